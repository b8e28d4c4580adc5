//! Clients that take what they are sent slowly, or not at all: who is served, who is reset, and
//! what is told of it.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpStream as StdStream};
use std::num::NonZeroU32;
use std::thread;
use std::time::Duration;

use innkeeper::clients::{Allowance, Clients, Proxies, RateLimit};
use innkeeper::http::{Peer, Scheme};
use innkeeper::server::Place;
use innkeeper::server::connection::serve;
use innkeeper::transport::Limits;
use rustix::process::Signal;
use socket2::{Domain, SockRef, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::fixture::{Setup, TestServer, site, write};
use crate::rude::pause_behind_a_request;
use crate::running::{Program, serving, told, until};

const MIB: usize = 1 << 20;

/// What a client keeps for itself that has not read it: as little as there is.
const SMALL_WINDOW: usize = 4096;

/// A client on a simulated clock, and the task that serves it.
struct Simulated {
    client: TcpStream,
    served: JoinHandle<()>,
    _stop: watch::Sender<bool>,
}

/// Runs this on a clock that goes on when nobody has anything to do, with a client that has
/// sent this request to a site with `large.bin`, of so many bytes.
fn on_a_simulated_clock<T>(
    request: &str,
    bytes: usize,
    test: impl AsyncFnOnce(Simulated) -> T,
) -> T {
    let (folder, wires) = Setup { workers: 1, ..Setup::default() }.wires();
    write(&folder.path().join("root/large.bin"), &vec![b'x'; bytes]);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (stop, stopping) = watch::channel(false);
        let peer = Peer::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        pause_behind_a_request(&listener, peer, &wires, &stopping).await;
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(u32::try_from(SMALL_WINDOW).unwrap()).unwrap();
        let mut client = socket.connect(listener.local_addr().unwrap()).await.unwrap();
        // What is sent arrives at once, as no other clock goes on meanwhile.
        client.set_nodelay(true).unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        let served = tokio::spawn(serve(
            accepted.into_std().unwrap(),
            peer,
            Scheme::Http,
            wires,
            stopping,
            Place::uncounted(),
        ));
        client.write_all(request.as_bytes()).await.unwrap();
        test(Simulated { client, served, _stop: stop }).await
    })
}

/// Between two times that the kernel tells of room a third of its buffer has to be read.
#[test]
fn slow_reader_is_served_to_the_end() {
    const LENGTH: usize = 12 * MIB;
    for bytes_a_second in [1_000, 5_000, 20_000, 40_000, 90_000, 150_000] {
        let request = "GET /large.bin HTTP/1.0\r\n\r\n";
        let took = on_a_simulated_clock(request, LENGTH, async |mut it| {
            let began = Instant::now();
            let mut received = 0;
            let mut piece = vec![0; bytes_a_second];
            loop {
                let count = match it.client.read(&mut piece).await {
                    Ok(0) => break,
                    Ok(count) => count,
                    Err(error) => {
                        panic!("{error} behind {received} bytes of {bytes_a_second} each")
                    }
                };
                received += count;
                sleep(Duration::from_secs_f64(count as f64 / bytes_a_second as f64)).await;
            }
            assert!(received > LENGTH, "{received} of {LENGTH} at {bytes_a_second} a second");
            it.served.await.unwrap();
            began.elapsed()
        });
        let stall = Limits::default().stall.as_secs_f64();
        assert!(took.as_secs_f64() > 2.0 * stall, "it was not slow: {took:?}");
    }
}

/// An answer that the kernel has taken whole is no answer that the client has taken.
#[test]
fn client_that_takes_nothing_is_reset_also_behind_the_last_byte() {
    for (request, bytes) in [
        ("GET /large.bin HTTP/1.1\r\nHost: test\r\n\r\n", 200_000),
        ("GET /large.bin HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n", 200_000),
        ("GET /large.bin HTTP/1.0\r\n\r\n", 200_000),
        ("GET /large.bin HTTP/1.1\r\nHost: test\r\n\r\n", 12 * MIB),
    ] {
        on_a_simulated_clock(request, bytes, async |mut it| {
            let began = Instant::now();
            it.served.await.unwrap();
            let stayed = began.elapsed();
            let stall = Limits::default().stall;
            // The client's kernel acknowledges what it took by another clock, which may be late.
            assert!(stayed >= stall && stayed < 2 * stall, "{stayed:?}");
            let mut rest = Vec::new();
            let end = it.client.read_to_end(&mut rest).await;
            assert_eq!(end.map_err(|error| error.kind()), Err(ErrorKind::ConnectionReset));
            assert!(rest.len() < bytes);
        });
    }
}

/// It was given two seconds.
#[test]
fn client_that_sends_its_body_first_reads_its_answer() {
    let head = "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 99999999\r\n\r\n";
    on_a_simulated_clock(head, 1, async |mut it| {
        for _ in 0..20 {
            it.client.write_all(&[b'x'; 1000]).await.unwrap();
            sleep(Duration::from_secs(1)).await;
        }
        let mut answer = Vec::new();
        it.client.read_to_end(&mut answer).await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 413 "), "{}", answer.escape_ascii());
        drop(it.client);
        it.served.await.unwrap();
    });
}

#[test]
fn client_that_sends_nothing_more_after_its_answer_is_left_soon() {
    let silence = Duration::from_millis(300);
    let limits = Limits { drain_silence: silence, ..Limits::default() };
    let server = Setup { limits, ..Setup::default() }.start();
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 99999999\r\n\r\n");
    let began = std::time::Instant::now();
    assert_eq!(client.reply().status(), 413);
    // It does not react to the end of the server's half.
    until(|| {
        state(server.address, client.socket()).is_none_or(|state| state != "04" && state != "01")
    });
    until(|| client.socket().write(b"x").is_err());
    assert!(began.elapsed() >= silence);
}

/// A client with a small buffer that has sent this.
fn asking(address: SocketAddr, request: &str) -> StdStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(SMALL_WINDOW).unwrap();
    socket.connect(&address.into()).unwrap();
    let mut client = StdStream::from(socket);
    client.write_all(request.as_bytes()).unwrap();
    client
}

fn with_large_file(server: &TestServer, bytes: usize) {
    write(&server.root().join("large.bin"), &vec![b'x'; bytes]);
}

/// What it sends behind what it said would be its last is answered with a reset once the
/// connection is closed, and that destroys what it has not read.
#[test]
fn bytes_behind_the_last_request_destroy_no_answer() {
    let server = TestServer::start();
    with_large_file(&server, 3_000_000);
    for behind in ["\r\n", "GET / HTTP/1.1\r\n\r\n"] {
        let mut client = asking(server.address, "GET /large.bin HTTP/1.0\r\n\r\n");
        let mut received = vec![0; 1000];
        client.read_exact(&mut received).unwrap();
        client.write_all(behind.as_bytes()).unwrap();
        while client.read(&mut [0; 50_000]).unwrap() > 0 {}
    }
}

/// What the kernel tells of the server's end of a connection, in the words of its table.
fn entry(server: SocketAddr, client: &StdStream) -> Option<Vec<String>> {
    let connections = fs::read_to_string("/proc/net/tcp").unwrap();
    let client = format!(":{:04X}", client.local_addr().unwrap().port());
    let server = format!(":{:04X}", server.port());
    connections.lines().find_map(|line| {
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        (words[1].ends_with(&server) && words[2].ends_with(&client)).then_some(words)
    })
}

/// The state of the server's end of a connection.
fn state(server: SocketAddr, client: &StdStream) -> Option<String> {
    entry(server, client).map(|words| words[3].clone())
}

/// Bytes that were sent to a client and that it has not taken.
fn untaken(server: SocketAddr, client: &StdStream) -> usize {
    entry(server, client).map_or(0, |words| {
        let (queue, _) = words[4].split_once(':').unwrap();
        usize::from_str_radix(queue, 16).unwrap()
    })
}

#[test]
fn connection_keeps_its_place_until_its_answer_is_taken() {
    let clients = Clients {
        allowance: Allowance::new(NonZeroU32::new(2), RateLimit::Off),
        ..Clients::default()
    };
    let limits = Limits { stall: Duration::from_millis(500), ..Limits::default() };
    let server = Setup { clients, limits, ..Setup::default() }.start();
    with_large_file(&server, 100_000);
    let request = "GET /large.bin HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
    let served: Vec<_> = (0..2).map(|_| asking(server.address, request)).collect();
    for client in &served {
        let mut begin = [0; 12];
        until(|| client.peek(&mut [0; 12]).is_ok_and(|count| count == 12));
        client.peek(&mut begin).unwrap();
        assert_eq!(&begin, b"HTTP/1.1 200");
    }
    assert_eq!(server.connect().reply().status(), 429, "both are there, and take nothing");
    // They are gone when their places are, and leave nothing behind in the kernel.
    until(|| {
        let mut client = server.connect();
        client.send_if_open(request.as_bytes());
        client.reply().status() == 200
    });
    for client in &served {
        assert_eq!(state(server.address, client), None);
    }
}

/// The end of the server's grace is the end of them, too.
#[test]
fn what_is_not_taken_at_a_stop_is_reset() {
    let server = TestServer::start();
    with_large_file(&server, 100_000);
    let kept = "GET /large.bin HTTP/1.1\r\nHost: test\r\n\r\n";
    let closed = "GET /large.bin HTTP/1.0\r\n\r\n";
    let clients = [kept, closed].map(|request| asking(server.address, request));
    for client in &clients {
        until(|| client.peek(&mut [0; 12]).is_ok_and(|count| count == 12));
    }
    let address = server.address;
    assert_eq!(server.stop(Duration::from_millis(1500)), 2);
    for mut client in clients {
        assert_eq!(state(address, &client), None);
        let error = read_all(&mut client).1.expect("a reset");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
}

#[test]
fn what_is_not_taken_at_a_second_signal_is_reset() {
    let (_folder, mut program) = program(&[]);
    let address = program.addresses[0];
    let mut client = asking(address, "GET /large.bin HTTP/1.0\r\n\r\n");
    until(|| client.peek(&mut [0; 12]).is_ok_and(|count| count == 12));
    program.signal(Signal::TERM);
    program.wait_for("stopping");
    program.signal(Signal::TERM);
    let (status, ..) = program.finish();
    assert_eq!(status.code(), Some(130));
    assert_eq!(state(address, &client), None);
    assert_eq!(read_all(&mut client).1.expect("a reset").kind(), ErrorKind::ConnectionReset);
}

fn read_all(client: &mut StdStream) -> (usize, Option<io::Error>) {
    let mut received = 0;
    loop {
        match client.read(&mut [0; 10_000]) {
            Ok(0) => return (received, None),
            Ok(count) => received += count,
            Err(error) => return (received, Some(error)),
        }
    }
}

/// The connection between the stop and the request of a proxy that tells for whom it asks.
#[test]
fn announced_connection_in_flight_at_a_stop_is_answered() {
    for (before, behind) in [
        (
            "",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1000 80\r\nGET /hello.txt HTTP/1.1\r\nHost: test\r\n\r\n",
        ),
        (
            "PROXY TCP4 192.0.2.1 192.0.",
            "2.2 1000 80\r\nGET /hello.txt HTTP/1.1\r\nHost: test\r\n\r\n",
        ),
        (
            "PROXY TCP4 192.0.2.1 192.0.2.2 1000 80\r\n",
            "GET /hello.txt HTTP/1.1\r\nHost: test\r\n\r\n",
        ),
    ] {
        let proxies =
            Proxies { proxy_protocol: vec!["127.0.0.0/8".parse().unwrap()], ..Proxies::default() };
        let clients = Clients { proxies, ..Clients::default() };
        // Connections are served in their order then: one that was answered shows that the one
        // before it is.
        let server = Setup { clients, workers: 1, ..Setup::default() }.start();
        let mut client = server.connect();
        client.send(before);
        let mut probe = server.connect();
        probe.send("PROXY UNKNOWN\r\nGET /hello.txt HTTP/1.0\r\n\r\n");
        assert_eq!(probe.reply().status(), 200);
        let address = server.address;
        let stopped = thread::spawn(move || server.stop(Duration::from_secs(20)));
        // Who is refused comes after the stop.
        until(|| StdStream::connect(address).is_err());
        client.send_if_open(behind.as_bytes());
        let reply = client.try_reply(true).unwrap_or_else(|| panic!("closed behind {before:?}"));
        assert_eq!((reply.status(), reply.field("connection")), (200, Some("close")));
        drop(client);
        assert_eq!(stopped.join().unwrap(), 0);
    }
}

/// A program whose site has `large.bin` and `large.txt`, of 200,000 bytes and, compressed, not much less.
fn program(flags: &[&str]) -> (tempfile::TempDir, Program) {
    let folder = site();
    let root = folder.path().join("root");
    write(&root.join("large.bin"), &[b'x'; 200_000]);
    let digits = |number: u32| format!("{:08x}", number.wrapping_mul(0x9E37_79B9));
    write(&root.join("large.txt"), (0..60_000).map(digits).collect::<String>().as_bytes());
    let program = Program::start(serving(&root, flags), 1);
    (folder, program)
}

#[test]
fn log_tells_what_the_client_took_and_marks_what_was_cut() {
    let (_folder, program) = program(&["--access-log", "json"]);
    let address = program.addresses[0];
    let request =
        |path: &str, fields: &str| format!("GET {path} HTTP/1.1\r\nHost: test\r\n{fields}\r\n");
    for (path, fields) in [
        ("/large.bin", ""),
        ("/large.bin", "Range: bytes=0-90000,100000-150000\r\n"),
        ("/large.txt", "Accept-Encoding: gzip\r\n"),
    ] {
        let client = asking(address, &request(path, fields));
        until(|| client.peek(&mut [0; 12]).is_ok_and(|count| count == 12));
        SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
    }
    let mut whole = asking(address, &request("/large.bin", "Connection: close\r\n"));
    let (received, error) = read_all(&mut whole);
    assert!(error.is_none() && received > 200_000);
    drop(whole);
    program.signal(Signal::TERM);
    let (_, log, _) = program.finish();
    let lines: Vec<serde_json::Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (cut, whole): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line["aborted"] == true);
    assert_eq!((cut.len(), whole.len()), (3, 1), "{log}");
    for line in cut {
        let bytes = line["body_bytes"].as_u64().unwrap();
        assert!(bytes > 0 && bytes <= 2 * SMALL_WINDOW as u64, "{line}");
    }
    assert_eq!(whole[0]["body_bytes"], 200_000);
    assert_eq!(whole[0].get("aborted"), None);
}

/// Requests that were there before the answers tell nothing of what their client takes.
#[test]
fn log_tells_what_a_client_took_that_asked_ahead() {
    let (folder, program) = program(&["--access-log", "json"]);
    write(&folder.path().join("root/small.bin"), &[b'x'; 1000]);
    let address = program.addresses[0];
    let client = asking(address, &"GET /small.bin HTTP/1.1\r\nHost: test\r\n\r\n".repeat(40));
    until(|| untaken(address, &client) > 30_000);
    SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    program.signal(Signal::TERM);
    let (_, log, _) = program.finish();
    let lines: Vec<serde_json::Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.len() > 20, "{log}");
    let taken: u64 = lines.iter().map(|line| line["body_bytes"].as_u64().unwrap()).sum();
    assert!(taken <= 2 * SMALL_WINDOW as u64, "{taken} bytes: {log}");
}

/// A client that sends requests and takes no response had a line of up to 150 KiB wait for each.
#[test]
fn requests_wait_while_many_lines_wait_for_their_responses_to_be_taken() {
    let (_folder, program) = program(&["--access-log", "json"]);
    let field = "\u{e9}".repeat(7_000);
    let request = format!("HEAD / HTTP/1.1\r\nHost: test\r\nUser-Agent: {field}\r\n\r\n");
    let mut client = asking(program.addresses[0], &request);
    until(|| client.peek(&mut [0; 12]).is_ok_and(|count| count == 12));
    let before = program.memory("VmRSS:");
    client.set_nonblocking(true).unwrap();
    let (mut sent, mut blocked) = (0, Instant::now());
    while blocked.elapsed() < Duration::from_secs(1) {
        match client.write(&request.as_bytes()[sent % request.len()..]) {
            Ok(count) => (sent, blocked) = (sent + count, Instant::now()),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                thread::yield_now();
            }
        }
    }
    let grown = program.memory("VmRSS:").saturating_sub(before);
    assert!(grown < 6 << 20, "{grown} bytes for lines of responses that are not taken");
    // It goes on when the client does.
    client.set_nonblocking(false).unwrap();
    let mut reader = client.try_clone().unwrap();
    let reader = thread::spawn(move || read_all(&mut reader));
    let requests = sent.div_ceil(request.len());
    client
        .write_all(
            &request.repeat(2).as_bytes()[sent % request.len()..]
                [..requests * request.len() - sent],
        )
        .unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let (received, error) = reader.join().unwrap();
    assert!(error.is_none());
    // Lines as long as these may be lost; responses are not.
    let responses = 1 + requests;
    assert!(received / responses > 200, "{received} bytes of {responses} responses");
}

#[test]
fn combined_log_marks_what_was_cut_behind_its_fields() {
    let (_folder, program) = program(&[]);
    let client = asking(program.addresses[0], "GET /large.bin HTTP/1.1\r\nHost: test\r\n\r\n");
    until(|| client.peek(&mut [0; 12]).is_ok_and(|count| count == 12));
    program.signal(Signal::TERM);
    let (_, log, _) = program.finish();
    assert!(
        log.contains("\"GET /large.bin HTTP/1.1\" 200 ") && log.ends_with(" \"-\" \"-\" X\n"),
        "{log}"
    );
    assert!(!log.contains(" 200000 "), "{log}");
}

#[test]
fn connection_whose_answer_is_not_taken_is_not_idle() {
    let (_folder, mut program) = program(&["--admin", "127.0.0.1:0"]);
    let admin = program.admin();
    let has = |state: &str, count: u32| {
        let line = format!("innkeeper_connections{{state=\"{state}\"}} {count}");
        told(admin, "/metrics").lines().any(|told| told == line)
    };
    // The kernel takes all of it.
    let request = "GET /large.bin HTTP/1.1\r\nHost: test\r\nRange: bytes=0-29999\r\n\r\n";
    let mut client = asking(program.addresses[0], request);
    until(|| has("writing", 1) && has("idle", 0) && has("active", 0));
    let mut received = vec![0; 30_000];
    client.read_exact(&mut received).unwrap();
    until(|| has("idle", 1) && has("writing", 0));
    let lost = told(admin, "/metrics");
    assert!(lost.lines().any(|line| line == "innkeeper_http_responses_aborted_total 0"), "{lost}");
    client.write_all(request.as_bytes()).unwrap();
    until(|| has("writing", 1));
    SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    until(|| told(admin, "/metrics").contains("innkeeper_http_responses_aborted_total 1\n"));
}
