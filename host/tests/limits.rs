//! Every wait and every size has its bound.

use std::io::Write;
use std::time::{Duration, Instant};

use innkeeper::http1::Limits;

use crate::fixture::{Setup, TestServer, write};

/// A limit short enough to wait for, and long enough for a busy machine.
const SHORT: Duration = Duration::from_millis(300);

fn start(change: impl FnOnce(&mut Limits)) -> TestServer {
    let mut limits = Limits::default();
    change(&mut limits);
    Setup { limits, ..Setup::default() }.start()
}

#[test]
fn a_client_that_says_nothing_is_left() {
    let server = start(|limits| limits.first_byte = SHORT);
    let began = Instant::now();
    server.connect().expect_closed();
    assert!(began.elapsed() >= SHORT);
}

#[test]
fn a_head_that_does_not_end_is_answered() {
    let server = start(|limits| limits.head = SHORT);
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nHost: test\r\n");
    assert_eq!(client.reply().status(), 408);
    client.expect_closed();
}

#[test]
fn a_head_that_comes_drop_by_drop_has_no_more_time() {
    let server = start(|limits| limits.head = SHORT);
    let mut client = server.connect();
    let began = Instant::now();
    client.send("GET / HTTP/1.1\r\nX: ");
    // Each byte is in time; all of them together are not.
    client.socket().set_read_timeout(Some(SHORT / 10)).unwrap();
    while client.receive().is_err() {
        client.send_if_open(b"x");
        assert!(began.elapsed() < Duration::from_secs(20), "it waits for ever");
    }
    assert_eq!(client.reply().status(), 408);
    assert!(began.elapsed() >= SHORT);
}

#[test]
fn an_idle_connection_is_closed() {
    let server = start(|limits| limits.idle = SHORT);
    let mut client = server.connect();
    client.expect_open();
    let began = Instant::now();
    client.expect_closed();
    assert!(began.elapsed() >= SHORT - Duration::from_millis(10));
}

#[test]
fn a_body_that_does_not_end_is_answered() {
    let server = start(|limits| limits.body = SHORT);
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhel");
    assert_eq!(client.reply().status(), 408);
    client.expect_closed();
}

#[test]
fn a_client_that_takes_nothing_is_cut() {
    let server = start(|limits| limits.stall = SHORT);
    write(&server.root().join("large.bin"), &vec![b'x'; 64 << 20]);
    let mut client = server.connect();
    client.send("GET /large.bin HTTP/1.1\r\nHost: test\r\n\r\n");
    // The server is done with this client when it can be stopped in peace.
    client.receive().unwrap();
    assert_eq!(server.stop(Duration::from_secs(20)), 0);
    let (received, _) = client.read_to_end();
    assert!(received.len() < 64 << 20);
}

#[test]
fn a_connection_has_a_last_request() {
    let server = start(|limits| limits.requests = 3);
    let mut client = server.connect();
    client.expect_open();
    client.expect_open();
    client.send("GET /hello.txt HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(client.reply().field("connection"), Some("close"));
    client.expect_closed();
}

#[test]
fn large_heads_are_refused() {
    let server = TestServer::start();
    let ask = |head: String| {
        let mut client = server.connect();
        client.send_if_open(head.as_bytes());
        let reply = client.reply();
        client.expect_closed();
        reply.status()
    };
    assert_eq!(ask(format!("GET /{} HTTP/1.1\r\n", "a".repeat(9000))), 414);
    assert_eq!(ask("A".repeat(70_000)), 414);
    assert_eq!(ask(format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(200_000))), 431);
    let fields = "X: y\r\n".repeat(101);
    assert_eq!(ask(format!("GET / HTTP/1.1\r\nHost: test\r\n{fields}\r\n")), 431);
    // What is just allowed.
    let fields = "X: y\r\n".repeat(98);
    let line = format!("GET /{} HTTP/1.1", "a".repeat(8000));
    let last = "Connection: close\r\n";
    assert_eq!(ask(format!("{line}\r\nHost: test\r\n{last}{fields}\r\n")), 404);
}

/// The closing handshake: a client that is still sending reads its answer, and
/// not a reset (RFC 9112, section 9.6).
#[test]
fn a_client_that_is_still_sending_reads_its_answer() {
    let server = TestServer::start();
    for _ in 0..20 {
        let mut client = server.connect();
        client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 99999999\r\n\r\n");
        for _ in 0..100 {
            client.send_if_open(&[b'x'; 16 << 10]);
        }
        assert_eq!(client.reply().status(), 413);
        client.half_close();
        client.expect_closed();
    }
}

/// The drain has an end too: a client that sends for ever is left.
#[test]
fn a_client_that_sends_for_ever_is_left() {
    let server = start(|limits| limits.drain = SHORT);
    let client = server.connect();
    let mut socket = client.socket();
    socket.write_all(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 99999999\r\n\r\n").unwrap();
    let began = Instant::now();
    while socket.write_all(&[b'x'; 1024]).is_ok() {
        assert!(began.elapsed() < Duration::from_secs(20), "it reads for ever");
    }
    assert!(began.elapsed() >= SHORT);
}

/// Split in any place, the same bytes get the same answers.
#[test]
fn where_a_request_is_split_does_not_matter() {
    let server = TestServer::start();
    let request = b"POST /hello.txt HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n\
        5\r\nhello\r\n0\r\n\r\nGET /hello.txt HTTP/1.1\r\nHost: test\r\n\r\n";
    for at in 1..request.len() {
        let mut client = server.connect();
        client.send(&request[..at]);
        std::thread::yield_now();
        client.send(&request[at..]);
        assert_eq!(client.reply().status(), 405, "split at {at}");
        assert_eq!(client.reply().text(), "hello\n", "split at {at}");
    }
}

/// A client that never lets its worker wait shares it with the others.
#[test]
fn a_flood_of_requests_on_one_connection_lets_others_through() {
    let server = TestServer::start();
    let flood = server.connect();
    let mut sender = flood.socket().try_clone().unwrap();
    let mut taker = flood.socket().try_clone().unwrap();
    let requests = b"GET /hello.txt HTTP/1.1\r\nHost: test\r\n\r\n".repeat(1000);
    std::thread::scope(|scope| {
        scope.spawn(move || while sender.write_all(&requests).is_ok() {});
        scope.spawn(move || {
            let mut buffer = vec![0; 1 << 20];
            while std::io::Read::read(&mut taker, &mut buffer).is_ok_and(|count| count > 0) {}
        });
        // Some of these share the flooded worker.
        for _ in 0..20 {
            server.connect().expect_open();
        }
        flood.socket().shutdown(std::net::Shutdown::Both).unwrap();
    });
}
