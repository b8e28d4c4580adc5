//! Content over TLS: whole, in parts, cut short, and for clients that take their time.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use innkeeper::transport;
use rustls::{ClientConnection, StreamOwned};

use crate::authority::Authority;
use crate::fixture::{Setup, TestServer, write};

const REQUEST: &[u8] = b"GET /hello.txt HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn request(target: &str, more: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n")
}

fn numbers(count: u32) -> Vec<u8> {
    (0..count).flat_map(u32::to_le_bytes).collect()
}

/// A connection of which the test has both the TLS and the socket.
fn connect(server: &TestServer) -> StreamOwned<ClientConnection, TcpStream> {
    let config = Authority::shared().client_config(&["http/1.1"]);
    let session = ClientConnection::new(config, "localhost".try_into().unwrap()).unwrap();
    let socket = TcpStream::connect(server.tls_address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut stream = StreamOwned::new(session, socket);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).unwrap();
    }
    stream
}

/// All of the content that comes, and whether its end was said.
fn rest(mut stream: impl Read) -> (Vec<u8>, bool) {
    let mut came = Vec::new();
    let end = stream.read_to_end(&mut came);
    (came, end.is_ok())
}

#[test]
fn files_and_ranges_are_whole_on_one_connection() {
    let server = TestServer::start();
    let content = numbers(1_500_000);
    write(&server.root().join("large.bin"), &content);
    for size in [1, 2 << 10, 16 << 10, (16 << 10) + 1, 40_000, 64 << 10, 200_000] {
        write(&server.root().join(format!("{size}.bin")), &content[..size]);
    }
    let mut client = server.connect_tls();
    for size in [1, 2 << 10, 16 << 10, (16 << 10) + 1, 40_000, 64 << 10, 200_000] {
        client.send(request(&format!("/{size}.bin"), ""));
        assert!(client.reply().body == content[..size], "{size}");
    }
    client.send(request("/large.bin", ""));
    assert!(client.reply().body == content);
    client.send(request("/large.bin", "Range: bytes=1000000-4999999\r\n"));
    let reply = client.reply();
    assert_eq!(reply.status(), 206);
    assert!(reply.body == content[1_000_000..5_000_000]);
    client.send(request("/large.bin", "Range: bytes=0-9,100000-299999,5999999-\r\n"));
    let reply = client.reply();
    assert_eq!(reply.status(), 206);
    for part in [&content[..10], &content[100_000..300_000], &content[5_999_999..]] {
        assert!(reply.body.windows(part.len()).any(|window| window == part), "{}", part.len());
    }
    client.expect_open();
}

#[test]
fn large_file_is_whole_for_a_client_that_reads_slowly() {
    let server = TestServer::start();
    let content = numbers(1_000_000);
    write(&server.root().join("large.bin"), &content);
    let mut stream = connect(&server);
    stream.write_all(request("/large.bin", "Connection: close\r\n").as_bytes()).unwrap();
    let mut came = Vec::new();
    let mut buffer = [0; 50_000];
    loop {
        let count = stream.read(&mut buffer).unwrap();
        if count == 0 {
            break;
        }
        came.extend_from_slice(&buffer[..count]);
        thread::sleep(Duration::from_millis(2));
    }
    assert!(came.ends_with(&content));
}

#[test]
fn last_response_is_followed_by_the_end_of_tls() {
    let server = TestServer::start();
    for target in ["/hello.txt", "/missing"] {
        let mut stream = connect(&server);
        stream.write_all(request(target, "Connection: close\r\n").as_bytes()).unwrap();
        let (came, is_said) = rest(&mut stream);
        assert!(came.starts_with(b"HTTP/1.1 ") && is_said, "{}", came.escape_ascii());
    }
    let mut stream = connect(&server);
    stream.write_all(b"BAD\r\n\r\n").unwrap();
    assert!(rest(&mut stream).1);
}

#[test]
fn idle_connection_ends_with_the_end_of_tls() {
    let idle = Duration::from_millis(200);
    let limits = transport::Limits { idle, first_byte: idle, ..transport::Limits::default() };
    let server = Setup { limits, ..Setup::default() }.start();
    for requests in 0..2 {
        let mut stream = connect(&server);
        for _ in 0..requests {
            stream.write_all(REQUEST).unwrap();
        }
        assert!(rest(&mut stream).1, "after {requests} requests");
    }
}

#[test]
fn half_a_request_is_none_whether_tls_ends_with_it_or_not() {
    let server = TestServer::start();
    let bodiless = &REQUEST[..REQUEST.len() - 2];
    let half_body = b"POST /hello.txt HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf";
    for half in [bodiless, &half_body[..]] {
        for says_end in [true, false] {
            let mut stream = connect(&server);
            stream.write_all(half).unwrap();
            if says_end {
                stream.conn.send_close_notify();
            }
            stream.flush().unwrap();
            stream.sock.shutdown(Shutdown::Write).unwrap();
            assert_eq!(rest(&mut stream).0.escape_ascii().to_string(), "");
        }
    }
}

#[test]
fn client_that_ends_its_half_gets_its_response() {
    let server = TestServer::start();
    let content = numbers(500_000);
    write(&server.root().join("large.bin"), &content);
    for says_end in [true, false] {
        let mut stream = connect(&server);
        stream.write_all(request("/large.bin", "").as_bytes()).unwrap();
        if says_end {
            stream.conn.send_close_notify();
            stream.flush().unwrap();
        }
        stream.sock.shutdown(Shutdown::Write).unwrap();
        thread::sleep(Duration::from_millis(100));
        let (came, is_said) = rest(&mut stream);
        assert!(came.ends_with(&content) && is_said, "{} bytes", came.len());
    }
}

#[test]
fn file_that_is_truncated_while_it_is_sent_ends_the_connection() {
    let server = TestServer::start();
    let file = server.root().join("large.bin");
    write(&file, &numbers(8_000_000));
    let mut stream = connect(&server);
    stream.write_all(request("/large.bin", "").as_bytes()).unwrap();
    stream.read_exact(&mut [0; 1000]).unwrap();
    fs::File::options().write(true).open(&file).unwrap().set_len(1000).unwrap();
    let (came, _) = rest(&mut stream);
    assert!(came.len() < 32_000_000, "all of it came");
    server.connect_tls().expect_open();
}

#[test]
fn client_that_takes_nothing_is_given_up() {
    let stall = Duration::from_millis(500);
    let limits = transport::Limits { stall, ..transport::Limits::default() };
    let server = Setup { limits, ..Setup::default() }.start();
    write(&server.root().join("large.bin"), &vec![7; 64 << 20]);
    let mut stream = connect(&server);
    stream.write_all(request("/large.bin", "").as_bytes()).unwrap();
    thread::sleep(8 * stall);
    let (came, is_said) = rest(&mut stream);
    assert!(came.len() < 64 << 20 && !is_said, "{} bytes", came.len());
    server.connect_tls().expect_open();
}

#[test]
fn requests_in_one_record_and_requests_across_records_get_their_responses() {
    let server = TestServer::start();
    let mut stream = connect(&server);
    stream.write_all(&REQUEST.repeat(50)).unwrap();
    for byte in REQUEST.repeat(3) {
        stream.write_all(&[byte]).unwrap();
    }
    stream.write_all(request("/hello.txt", "Connection: close\r\n").as_bytes()).unwrap();
    let (came, is_said) = rest(&mut stream);
    let responses = came.windows(12).filter(|window| *window == b"HTTP/1.1 200").count();
    assert_eq!((responses, is_said), (54, true));
}

#[test]
fn broken_record_gets_an_alert_and_ends_the_connection() {
    let server = TestServer::start();
    let mut stream = connect(&server);
    stream.sock.write_all(&[23, 3, 3, 0, 30]).unwrap();
    stream.sock.write_all(&[0; 30]).unwrap();
    let error = stream.read(&mut [0; 100]).expect_err("no content");
    assert!(error.to_string().contains("BadRecordMac"), "{error}");
    server.connect_tls().expect_open();
}
