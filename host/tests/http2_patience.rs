//! Slow and greedy clients of HTTP/2: which stream or connection ends, when, and which does not.

use std::thread::sleep;
use std::time::{Duration, Instant};

use innkeeper::http2::Http2;
use innkeeper::transport;
use socket2::SockRef;

use crate::fixture::{Setup, Stream, TestServer, write};
use crate::http2_client::{Http2Client, flag, kind, setting};
use crate::running::{Program, serving};

/// How long a client may take nothing in these tests.
const STALL: Duration = Duration::from_secs(2);

const MIB: usize = 1 << 20;

/// Codes of errors (RFC 9113, section 7).
const CANCEL: u32 = 8;
const REFUSED_STREAM: u32 = 7;

fn start(change: impl FnOnce(&mut transport::Limits)) -> TestServer {
    let http2 = Http2 { prior_knowledge: true, ..Http2::default() };
    let mut limits = transport::Limits { stall: STALL, ..transport::Limits::default() };
    change(&mut limits);
    let server = Setup { http2, limits, workers: 1, ..Setup::default() }.start();
    write(&server.root().join("large.bin"), &vec![b'x'; 8 * MIB]);
    server
}

fn connect(server: &TestServer, settings: &[(u16, u32)]) -> Http2Client<Stream> {
    let client = Stream::tcp(server.address);
    Http2Client::with_settings(client, settings)
}

fn make_room(client: &mut Http2Client<Stream>, stream: u32, bytes: u32) {
    client.send_frame(kind::WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes());
}

#[test]
fn stream_without_a_window_is_reset_and_others_are_served() {
    let server = start(|_| ());
    let mut client = connect(&server, &[(setting::INITIAL_WINDOW_SIZE, 0)]);
    let began = Instant::now();
    let [small, large] = ["/hello.txt", "/large.bin"].map(|path| client.get(path));
    let mut served = 0;
    while client.responses.get(&large).is_none_or(|response| response.reset.is_none()) {
        let other = client.get("/hello.txt");
        make_room(&mut client, other, 100);
        assert_eq!(client.response(other).body, b"hello\n");
        served += 1;
        sleep(Duration::from_millis(50));
        assert!(began.elapsed() < 4 * STALL, "it is never reset");
    }
    assert!(began.elapsed() >= STALL, "it is reset after {:?}", began.elapsed());
    assert!(served > 10, "{served} others were served");
    for stream in [small, large] {
        let response = client.response(stream);
        assert_eq!((response.status, response.reset), (200, Some(CANCEL)));
    }
    assert_eq!(client.goaway, None);
}

#[test]
fn stream_that_takes_a_little_within_each_stall_is_served() {
    let server = start(|_| ());
    let mut client = connect(&server, &[(setting::INITIAL_WINDOW_SIZE, 0)]);
    client.makes_room = false;
    let stream = client.get("/range.txt");
    for _ in 0..6 {
        sleep(STALL / 2);
        make_room(&mut client, stream, 1);
    }
    make_room(&mut client, stream, 94);
    let response = client.response(stream);
    assert_eq!((response.reset, response.body.len()), (None, 100));
}

/// Two large files and a window for the connection that one of them would fill.
#[test]
fn streams_that_share_a_narrow_connection_are_all_served() {
    let server = start(|_| ());
    let mut client = connect(&server, &[(setting::INITIAL_WINDOW_SIZE, 1 << 24)]);
    client.makes_room = false;
    let streams = [(); 20].map(|()| client.get("/large.bin"));
    let began = Instant::now();
    while began.elapsed() < 4 * STALL {
        make_room(&mut client, 0, 1000);
        sleep(Duration::from_millis(100));
    }
    make_room(&mut client, 0, 1 << 30);
    for stream in streams {
        let response = client.response(stream);
        assert_eq!((response.reset, response.body.len()), (None, 8 * MIB));
    }
}

#[test]
fn connection_without_a_window_loses_its_streams_alone() {
    let server = start(|_| ());
    let mut client = connect(&server, &[(setting::INITIAL_WINDOW_SIZE, 1 << 24)]);
    client.makes_room = false;
    let streams = [(); 3].map(|()| client.get("/large.bin"));
    let began = Instant::now();
    for stream in streams {
        assert_eq!(client.response(stream).reset, Some(CANCEL));
    }
    assert!(began.elapsed() >= STALL);
    make_room(&mut client, 0, 1 << 20);
    let other = client.get("/hello.txt");
    assert_eq!(client.response(other).body, b"hello\n");
}

/// A client that reads slowly is known by what its kernel acknowledges, and all of its streams
/// wait for that.
#[test]
fn streams_of_a_slow_reader_are_not_reset() {
    let server = start(|_| ());
    let stream = Stream::tcp(server.address);
    SockRef::from(stream.socket()).set_recv_buffer_size(64 << 10).unwrap();
    let most = (1 << 30) - 1;
    let mut client = Http2Client::with_settings(stream, &[(setting::INITIAL_WINDOW_SIZE, most)]);
    client.makes_room = false;
    make_room(&mut client, 0, most);
    let streams = [(); 10].map(|()| client.get("/large.bin"));
    let began = Instant::now();
    while began.elapsed() < 5 * STALL {
        client.step().expect("it is not closed");
        // Slow, but within each stall on a busy machine, too.
        sleep(Duration::from_millis(50));
    }
    assert!(streams.iter().all(|stream| client.responses[stream].reset.is_none()));
    assert_eq!(client.goaway, None);
}

/// As in HTTP/1: what is in the kernel's buffers is not taken.
#[test]
fn client_that_reads_nothing_is_gone_after_stall() {
    let server = start(|_| ());
    let stream = Stream::tcp(server.address);
    SockRef::from(stream.socket()).set_recv_buffer_size(4096).unwrap();
    let most = (1 << 30) - 1;
    let mut client = Http2Client::with_settings(stream, &[(setting::INITIAL_WINDOW_SIZE, most)]);
    make_room(&mut client, 0, most);
    let _streams = [(); 10].map(|()| client.get("/large.bin"));
    let began = Instant::now();
    sleep(STALL / 2);
    // The connection keeps its place until then.
    while SockRef::from(client.stream().socket()).take_error().unwrap().is_none() {
        client.send_frame(kind::PING, 0, 0, b"12345678");
        assert!(began.elapsed() < 10 * STALL, "it is never closed");
        sleep(STALL / 10);
    }
    assert!(began.elapsed() >= STALL);
}

#[test]
fn header_block_that_does_not_end_ends_the_connection() {
    let server = start(|limits| limits.head = Duration::from_secs(1));
    for is_frame_whole in [true, false] {
        let mut client = connect(&server, &[]);
        let stream = client.get("/hello.txt");
        assert_eq!(client.response(stream).status, 200);
        let began = Instant::now();
        match is_frame_whole {
            true => client.send_frame(kind::HEADERS, flag::END_STREAM, 3, b"\x82"),
            false => client.send(b"\0\0\x20\x01\x05\0\0\0\x03\x82"),
        }
        assert!(client.ended_by().is_some());
        let took = began.elapsed();
        assert!((Duration::from_secs(1)..4 * STALL).contains(&took), "it took {took:?}");
    }
}

/// It has to be told, and takes nothing.
#[test]
fn client_that_is_to_be_told_of_the_end_and_takes_nothing_costs_nothing() {
    let root = tempfile::tempdir().unwrap();
    write(&root.path().join("large.bin"), &vec![b'x'; 8 * MIB]);
    let options = ["--http2-prior-knowledge", "--header-timeout", "200ms", "--send-timeout", "6s"];
    let program = Program::start(serving(root.path(), &options), 1);
    let stream = Stream::tcp(program.addresses[0]);
    SockRef::from(stream.socket()).set_recv_buffer_size(4096).unwrap();
    let most = (1 << 30) - 1;
    let mut client = Http2Client::with_settings(stream, &[(setting::INITIAL_WINDOW_SIZE, most)]);
    make_room(&mut client, 0, most);
    client.get("/large.bin");
    // The first byte of a frame that never comes.
    client.send(b"\0");
    sleep(STALL / 2);
    let before = program.cpu_time();
    sleep(STALL);
    let spent = program.cpu_time() - before;
    assert!(spent < STALL / 4, "it took {spent:?} of {STALL:?}");
}

#[test]
fn client_that_never_acknowledges_the_end_is_refused_more() {
    let server = start(|limits| limits.linger = Duration::from_millis(300));
    let mut client = connect(&server, &[(setting::INITIAL_WINDOW_SIZE, 0)]);
    // It stays open.
    let open = client.get("/large.bin");
    let served = client.get("/hello.txt");
    make_room(&mut client, served, 100);
    assert_eq!(client.response(served).status, 200);
    client.acknowledges = false;
    let stopping = std::thread::spawn(move || server.stop(4 * STALL));
    while client.goaway.is_none() {
        client.step().expect("it is told of the end first");
    }
    sleep(Duration::from_millis(500));
    let late = client.get("/hello.txt");
    make_room(&mut client, late, 100);
    assert_eq!(client.response(late).reset, Some(REFUSED_STREAM));
    client.send_frame(kind::RST_STREAM, 0, open, &CANCEL.to_be_bytes());
    assert!(client.ended_by().is_some());
    drop(client);
    assert_eq!(stopping.join().unwrap(), 0);
}

#[test]
fn header_block_in_bytes_that_trickle_ends_the_connection() {
    let server = start(|limits| limits.head = Duration::from_secs(1));
    let mut client = connect(&server, &[]);
    client.send_frame(kind::HEADERS, flag::END_STREAM, 1, b"\x82");
    let began = Instant::now();
    let timeout = Some(Duration::from_millis(100));
    client.stream().socket().set_read_timeout(timeout).unwrap();
    client.send(b"\0\x10\0\x09\x04\0\0\0\x01");
    while !matches!(client.try_step(), Ok(None)) {
        client.send(b"\x82");
        assert!(began.elapsed() < 4 * STALL, "it is never closed");
    }
}

#[test]
fn connection_without_a_request_ends() {
    let server = start(|limits| {
        limits.first_byte = Duration::from_secs(1);
        limits.idle = Duration::from_secs(1);
    });
    for has_request in [false, true] {
        let mut client = connect(&server, &[]);
        if has_request {
            let stream = client.get("/hello.txt");
            assert_eq!(client.response(stream).status, 200);
        }
        let began = Instant::now();
        assert_eq!(client.ended_by(), Some("NO_ERROR"));
        let took = began.elapsed();
        let second = Duration::from_secs(1);
        assert!((second * 9 / 10..second * 6).contains(&took), "it took {took:?}");
    }
}

/// Frames that are no request do not make a connection busy.
#[test]
fn connection_that_is_kept_alive_by_pings_alone_ends() {
    let server = start(|limits| limits.idle = Duration::from_secs(1));
    let mut client = connect(&server, &[]);
    let stream = client.get("/hello.txt");
    assert_eq!(client.response(stream).status, 200);
    let began = Instant::now();
    let timeout = Some(Duration::from_millis(200));
    client.stream().socket().set_read_timeout(timeout).unwrap();
    while !matches!(client.try_step(), Ok(None)) {
        client.send_frame(kind::PING, 0, 0, b"12345678");
        sleep(Duration::from_millis(200));
        assert!(began.elapsed() < 4 * STALL, "it is never closed");
    }
}

/// RFC 9218: what the page needs first comes before what it needs last, whatever was asked for
/// first.
#[test]
fn style_sheet_comes_before_a_large_picture() {
    let server = start(|_| ());
    write(&server.root().join("style.css"), &vec![b'c'; 300 << 10]);
    let mut client = connect(&server, &[(setting::INITIAL_WINDOW_SIZE, 1 << 24)]);
    make_room(&mut client, 0, 1 << 24);
    let picture = client.request("GET", "/large.bin", &[("priority", "u=5, i")]);
    let style = client.request("GET", "/style.css", &[("priority", "u=1")]);
    let length = |client: &Http2Client<_>, stream| {
        client.responses.get(&stream).map_or(0, |response| response.body.len())
    };
    while length(&client, style) < 300 << 10 {
        client.step().expect("it is not closed");
    }
    let ahead = length(&client, picture);
    assert!(ahead <= MIB, "{ahead} bytes of the picture came first");
    assert_eq!(client.response(picture).body.len(), 8 * MIB);
}

/// The other way round for streams of the same urgency: each has its turn.
#[test]
fn pictures_of_the_same_urgency_come_in_turns() {
    let server = start(|_| ());
    let mut client = connect(&server, &[(setting::INITIAL_WINDOW_SIZE, 1 << 24)]);
    make_room(&mut client, 0, 1 << 24);
    let pictures = [(); 4].map(|()| client.request("GET", "/large.bin", &[("priority", "u=5, i")]));
    let came = |client: &Http2Client<_>| {
        pictures.map(|stream| client.responses.get(&stream).map_or(0, |one| one.body.len()))
    };
    while came(&client).iter().sum::<usize>() < 8 * MIB {
        client.step().expect("it is not closed");
    }
    let came = came(&client);
    let (least, most) = (came.iter().min().unwrap(), came.iter().max().unwrap());
    assert!(most - least <= MIB, "{came:?}");
}
