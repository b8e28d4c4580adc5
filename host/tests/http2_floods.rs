//! Honest clients of HTTP/2 that do much at once, and those that do too much.

use std::net::SocketAddr;
use std::thread::sleep;
use std::time::Duration;

use innkeeper::http2::Http2;
use rustix::process::Signal;
use socket2::SockRef;

use crate::fixture::{Setup, Stream, TestServer, site, write};
use crate::http2_client::{Http2Client, flag, frame, hpack, kind, setting};
use crate::running::{Program, serving, told, until};

/// A kind of frames (RFC 9113, section 6.3).
const PRIORITY: u8 = 2;

/// Codes of errors (RFC 9113, section 7).
const PROTOCOL_ERROR: u32 = 1;
const REFUSED_STREAM: u32 = 7;
const CANCEL: [u8; 4] = [0, 0, 0, 8];

fn start() -> TestServer {
    let http2 = Http2 { prior_knowledge: true, ..Http2::default() };
    let server = Setup { http2, workers: 1, ..Setup::default() }.start();
    write(&server.root().join("picture.bin"), &vec![b'x'; 1 << 20]);
    server
}

fn connect(server: &TestServer) -> Http2Client<Stream> {
    Http2Client::new(Stream::tcp(server.address))
}

/// The fields that each request has.
fn block(method: &str, path: &str) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in
        [(":method", method), (":scheme", "http"), (":authority", "test"), (":path", path)]
    {
        hpack::literal(&mut block, name, value);
    }
    block
}

/// HEADERS of a GET.
fn get(stream: u32, path: &str) -> Vec<u8> {
    frame(kind::HEADERS, flag::END_STREAM | flag::END_HEADERS, stream, &block("GET", path))
}

fn reset(stream: u32) -> Vec<u8> {
    frame(kind::RST_STREAM, 0, stream, &CANCEL)
}

/// So many streams from this one on.
fn streams(first: u32, count: u32) -> impl Iterator<Item = u32> + Clone {
    (0..count).map(move |nth| first + 2 * nth)
}

/// A user who leaves page after page, each with 100 pictures, before any has come: in one write, or
/// after their first bytes.
#[test]
fn pages_of_a_hundred_pictures_that_are_left_keep_the_connection() {
    let server = start();
    for is_at_once in [true, false] {
        let mut client = connect(&server);
        for page in 0..20 {
            let pictures = streams(1 + page * 202, 100);
            let asked: Vec<_> = pictures.clone().flat_map(|one| get(one, "/picture.bin")).collect();
            let left: Vec<_> = pictures.clone().flat_map(reset).collect();
            match is_at_once {
                true => client.send([asked, left].concat()),
                false => {
                    client.send(asked);
                    client.step().expect("it is not closed");
                    client.send(left);
                }
            }
            // The page that follows.
            let next = 1 + page * 202 + 200;
            client.send(get(next, "/hello.txt"));
            assert_eq!(client.response(next).body, b"hello\n", "page {page}");
        }
        assert_eq!(client.goaway, None);
    }
}

#[test]
fn resets_without_a_finished_response_end_the_connection() {
    let server = start();
    let mut client = connect(&server);
    for stream in streams(1, 101) {
        client.send([get(stream, "/picture.bin"), reset(stream)].concat());
    }
    assert_eq!(client.ended_by(), Some("ENHANCE_YOUR_CALM"));
}

#[test]
fn streams_beyond_the_limit_are_refused_and_the_others_are_served() {
    let server = start();
    let mut client = Http2Client::with_settings(
        Stream::tcp(server.address),
        &[(setting::INITIAL_WINDOW_SIZE, 0)],
    );
    client.send(streams(1, 120).flat_map(|one| get(one, "/hello.txt")).collect::<Vec<_>>());
    for stream in streams(201, 20) {
        assert_eq!(client.response(stream).reset, Some(REFUSED_STREAM));
    }
    for stream in streams(1, 100) {
        client.send_frame(kind::WINDOW_UPDATE, 0, stream, &[0, 0, 1, 0]);
        assert_eq!(client.response(stream).body, b"hello\n");
    }
    assert_eq!(client.goaway, None);
}

/// MadeYouReset (CVE-2025-8671): the client has the server reset its streams.
#[test]
fn streams_that_the_server_is_made_to_reset_are_bounded() {
    let server = start();
    let mut client = connect(&server);
    for stream in streams(1, 1000) {
        client.send(get(stream, "/picture.bin"));
        client.send_frame(kind::WINDOW_UPDATE, 0, stream, &0x7fff_ffff_u32.to_be_bytes());
    }
    assert_eq!(client.ended_by(), Some("ENHANCE_YOUR_CALM"));
    let count = client.responses.values().filter(|one| one.reset.is_some()).count();
    assert!(count <= 129, "{count} were reset");
}

/// Twice the usual room for each DATA frame, one PING for each response.
#[test]
fn client_that_makes_room_often_is_served() {
    let server = start();
    write(&server.root().join("small.bin"), &vec![b'x'; 20_000]);
    let mut client = connect(&server);
    for nth in 0..300_u64 {
        client.send_frame(kind::PING, 0, 0, &nth.to_be_bytes());
        let stream = client.get("/small.bin");
        assert_eq!(client.response(stream).body.len(), 20_000);
    }
    assert_eq!(client.goaway, None);
}

/// A request that `h2` takes and that is none: a name has a byte that no name has.
fn malformed(client: &mut Http2Client<Stream>) -> u32 {
    client.request("GET", "/hello.txt", &[("a\"b", "")])
}

/// What is read of a request before its end shows that it is malformed.
fn begin_post(client: &mut Http2Client<Stream>) -> u32 {
    let stream = client.next_stream();
    let fields = [(":method", "POST"), (":scheme", "http"), (":authority", "test")];
    let fields = [&fields[..], &[(":path", "/hello.txt"), ("content-length", "3")]].concat();
    client.send_headers(stream, &fields, false);
    client.send_frame(kind::PING, 0, 0, &[0; 8]);
    while client.step().expect("it is not closed").kind != kind::PING {}
    stream
}

#[test]
fn malformed_requests_are_logged_and_counted() {
    let folder = site();
    let flags = ["--http2-prior-knowledge", "--rate-limit", "1", "--access-log", "json"];
    let flags = [&flags[..], &["--admin", "127.0.0.1:0"]].concat();
    let mut program = Program::start(serving(&folder.path().join("root"), &flags), 1);
    let admin = program.admin();
    let mut client = Http2Client::new(Stream::tcp(program.addresses[0]));
    let head = malformed(&mut client);
    assert_eq!(client.response(head).reset, Some(PROTOCOL_ERROR));
    let length = begin_post(&mut client);
    client.send_data(length, b"four", true);
    assert_eq!(client.response(length).reset, Some(PROTOCOL_ERROR));
    let trailers = begin_post(&mut client);
    client.send_data(trailers, b"abc", false);
    client.send_headers(trailers, &[(":path", "/")], true);
    assert_eq!(client.response(trailers).reset, Some(PROTOCOL_ERROR));
    let aborted = "\ninnkeeper_http_responses_aborted_total 3\n";
    until(|| told(admin, "/metrics").contains(aborted));
    // Ten may come at once, and there may be another by now.
    for _ in 0..9 {
        malformed(&mut client);
    }
    let honest = client.get("/hello.txt");
    let second = client.get("/hello.txt");
    client.response(honest);
    assert_eq!(client.response(second).status, 429);
    drop(client);
    program.signal(Signal::TERM);
    let (_, out, _) = program.finish();
    let lines: Vec<serde_json::Value> =
        out.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let ends: Vec<_> = lines.iter().map(|line| (&line["status"], &line["aborted"])).collect();
    assert_eq!(ends[..3], [(&400.into(), &true.into()); 3], "{out}");
    assert_eq!(lines.len(), 14, "{out}");
}

#[test]
fn malformed_requests_make_no_frames_good() {
    let server = start();
    let mut client = connect(&server);
    for _ in 0..600 {
        malformed(&mut client);
        client.send_frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1]);
    }
    assert_eq!(client.ended_by(), Some("ENHANCE_YOUR_CALM"));
}

/// Small responses of which the client takes nothing are not logged, and the metrics want to know
/// what it takes.
#[test]
fn requests_wait_while_many_responses_wait_to_be_counted() {
    let folder = site();
    let flags = ["--http2-prior-knowledge", "--access-log", "off", "--admin", "127.0.0.1:0"];
    let mut program = Program::start(serving(&folder.path().join("root"), &flags), 1);
    let admin = program.admin();
    let stream = Stream::tcp(program.addresses[0]);
    SockRef::from(stream.socket()).set_recv_buffer_size(4096).unwrap();
    // The server may write fields that it repeats as one byte each.
    let mut client = Http2Client::with_settings(stream, &[(setting::HEADER_TABLE_SIZE, 4096)]);
    for _ in 0..160 {
        for _ in 0..50 {
            client.request("GET", "/hello.txt", &[("if-none-match", "*")]);
        }
        sleep(Duration::from_millis(10));
    }
    until(|| begun(admin) >= 100);
    sleep(Duration::from_millis(100));
    let begun = begun(admin);
    // A client that waits for its responses is taken to have those of the first 64 KiB, which are
    // some 2,600, and 600 wait to be counted.
    assert!(begun < 5000, "{begun} requests");
}

/// How many requests were responded to.
fn begun(admin: SocketAddr) -> u64 {
    let metrics = told(admin, "/metrics");
    let counts = metrics.lines().filter(|line| line.starts_with("innkeeper_http_requests_total"));
    counts.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

/// One byte of a request is a field of 4 KiB, and that is 20 KiB of its line.
#[test]
fn long_lines_of_requests_that_come_at_once_are_bounded() {
    let folder = site();
    let root = folder.path().join("root");
    write(&root.join("large.bin"), &[b'x'; 48 << 10]);
    let flags = ["--http2-prior-knowledge", "--access-log", "json", "--admin", "127.0.0.1:0"];
    let mut program = Program::start(serving(&root, &flags), 1);
    let admin = program.admin();
    let stream = Stream::tcp(program.addresses[0]);
    SockRef::from(stream.socket()).set_recv_buffer_size(4096).unwrap();
    let most = (1 << 30) - 1;
    let mut client = Http2Client::with_settings(stream, &[(setting::INITIAL_WINDOW_SIZE, most)]);
    // What follows its response is not taken.
    client.get("/large.bin");
    until(|| begun(admin) == 1);
    let mut requests = Vec::new();
    for nth in 0..90 {
        let mut block = block("HEAD", "/");
        let at = block.len();
        match nth {
            0 => {
                hpack::literal(&mut block, "user-agent", [0xe9; 3_900]);
                // It enters the table (RFC 7541, section 6.2.1), where its index is 62.
                block[at] = 0x40;
            }
            _ => block.push(0x80 | 62),
        }
        let flags = flag::END_STREAM | flag::END_HEADERS;
        requests.extend(frame(kind::HEADERS, flags, 3 + 2 * nth, &block));
    }
    client.send(requests);
    until(|| begun(admin) > 1);
    sleep(Duration::from_millis(500));
    let begun = begun(admin);
    assert!(begun < 10, "{begun} requests");
}
