//! TLS handshakes: what they are bounded by, and what becomes of clients that speak otherwise.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use innkeeper::tls;
use rustls::HandshakeKind;

use crate::authority::Authority;
use crate::fixture::{Client, Setup, Stream, TestServer};

const REQUEST: &[u8] = b"GET /hello.txt HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// The beginning of a record with a `ClientHello` of 508 bytes.
const HALF_HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";

fn server(limits: tls::Limits) -> TestServer {
    Setup { tls: limits, workers: 1, ..Setup::default() }.start()
}

/// What comes on a connection of TCP until it ends.
fn rest(mut socket: TcpStream) -> Vec<u8> {
    let mut came = Vec::new();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // A reset is an end, too: bytes that nobody wanted were not read.
    let _ = socket.read_to_end(&mut came);
    came
}

#[test]
fn half_open_handshakes_give_way_to_a_client_that_completes_its_own() {
    let two = NonZeroU32::new(2).unwrap();
    let server = server(tls::Limits { handshakes: two, ..tls::Limits::default() });
    let began = Instant::now();
    let flood: Vec<_> = (0..6)
        .map(|_| {
            let mut socket = TcpStream::connect(server.tls_address).unwrap();
            socket.write_all(HALF_HELLO).unwrap();
            socket
        })
        .collect();
    // It waits behind them, each of which has its second.
    let waits = tls::Limits::default().handshake;
    let mut client = server.connect_tls();
    client.send(REQUEST);
    assert_eq!(client.reply().status(), 200);
    assert!(began.elapsed() < waits, "{:?}", began.elapsed());
    drop(flood);
    server.stop(Duration::from_secs(5));
}

#[test]
fn handshake_that_takes_too_long_ends() {
    let handshake = Duration::from_millis(300);
    let server = server(tls::Limits { handshake, ..tls::Limits::default() });
    for sent in [&b""[..], b"\x16", HALF_HELLO] {
        let began = Instant::now();
        let mut socket = TcpStream::connect(server.tls_address).unwrap();
        socket.write_all(sent).unwrap();
        assert_eq!(rest(socket), b"");
        assert!(began.elapsed() >= handshake, "{:?}", began.elapsed());
        assert!(began.elapsed() < 10 * handshake, "{:?}", began.elapsed());
    }
    server.connect_tls().expect_open();
}

#[test]
fn client_that_dribbles_its_handshake_has_no_more_time() {
    let handshake = Duration::from_millis(600);
    let server = server(tls::Limits { handshake, ..tls::Limits::default() });
    let began = Instant::now();
    let mut socket = TcpStream::connect(server.tls_address).unwrap();
    let mut left = HALF_HELLO.iter().chain(std::iter::repeat(&0));
    while socket.write_all(&[*left.next().unwrap()]).is_ok() {
        assert!(began.elapsed() < 10 * handshake);
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn handshake_has_a_most_of_bytes() {
    let server = server(tls::Limits { handshake_bytes: 4 << 10, ..tls::Limits::default() });
    let mut socket = TcpStream::connect(server.tls_address).unwrap();
    // One message of 16 KiB in many records.
    socket.write_all(b"\x16\x03\x01\x01\x00\x01\x00\x40\x00").unwrap();
    let began = Instant::now();
    let record = [&b"\x16\x03\x01\x01\x00"[..], &[0; 256]].concat();
    socket.write_all(&[0; 252]).unwrap();
    for _ in 0..60 {
        if socket.write_all(&record).is_err() {
            break;
        }
    }
    rest(socket);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    server.connect_tls().expect_open();
}

#[test]
fn http_without_tls_is_told_so() {
    let server = TestServer::start();
    for method in ["GET", "HEAD", "POST"] {
        let mut client = Client::connect(server.tls_address);
        client.send(format!("{method} /hello.txt HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        let reply = client.try_reply(method != "HEAD").unwrap();
        assert_eq!(reply.status(), 400, "{method}");
        assert_eq!(reply.field("connection"), Some("close"));
        assert!(method == "HEAD" || reply.text().contains("HTTPS"), "{reply:?}");
        client.half_close_if_open();
        client.expect_closed();
    }
}

#[test]
fn what_is_neither_tls_nor_http_gets_an_alert_and_no_response() {
    let server = TestServer::start();
    for garbage in [
        &[0; 100][..],
        b"\r\n\r\n",
        b"\x80\x2e\x01\x00\x02",
        b"\x16\x03\x01\xff\xff\x01",
        &[0x16, 3, 1, 0, 5, 2, 0, 0, 1, 0],
    ] {
        let mut socket = TcpStream::connect(server.tls_address).unwrap();
        socket.write_all(garbage).unwrap();
        socket.shutdown(Shutdown::Write).unwrap();
        let came = rest(socket);
        assert!(came.is_empty() || came[0] == 21, "{}", came.escape_ascii());
    }
    server.connect_tls().expect_open();
}

#[test]
fn request_may_come_with_the_end_of_the_handshake_and_byte_by_byte() {
    let server = TestServer::start();
    let config = Authority::shared().client_config(&["http/1.1"]);
    let name = "localhost".try_into().unwrap();
    let mut session = rustls::ClientConnection::new(config, name).unwrap();
    // Written before the handshake: it is sent behind its last message.
    session.writer().write_all(REQUEST).unwrap();
    let mut socket = TcpStream::connect(server.tls_address).unwrap();
    socket.set_nodelay(true).unwrap();
    let mut came = Vec::new();
    while !came.ends_with(b"hello\n") {
        let mut bytes = Vec::new();
        while session.wants_write() {
            session.write_tls(&mut bytes).unwrap();
        }
        for byte in bytes {
            socket.write_all(&[byte]).unwrap();
        }
        assert!(session.read_tls(&mut socket).unwrap() > 0, "{}", came.escape_ascii());
        session.process_new_packets().unwrap();
        let _ = session.reader().read_to_end(&mut came);
    }
    assert!(came.starts_with(b"HTTP/1.1 200"));
}

#[test]
fn client_that_speaks_no_protocol_of_ours_gets_an_alert() {
    let server = TestServer::start();
    let config = Authority::shared().client_config(&["imap"]);
    let mut client = Stream::tls(server.tls_address, &config, "localhost");
    let error = client.write_all(REQUEST).expect_err("no protocol in common");
    assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
    // One that names none speaks HTTP/1.
    let config = Authority::shared().client_config(&[]);
    let mut client = Client::over(Stream::tls(server.tls_address, &config, "localhost"));
    client.expect_open();
}

#[test]
fn session_is_resumed_by_any_worker() {
    let server = Setup { workers: 4, ..Setup::default() }.start();
    let config = Authority::shared().client_config(&["http/1.1"]);
    let kinds: Vec<_> = (0..12)
        .map(|_| {
            let mut stream = Stream::tls(server.tls_address, &config, "localhost");
            stream.write_all(REQUEST).unwrap();
            let mut client = Client::over(stream);
            assert_eq!(client.reply().status(), 200);
            match client.stream() {
                Stream::Tls(stream) => stream.conn.handshake_kind(),
                Stream::Tcp(_) => None,
            }
        })
        .collect();
    assert_eq!(kinds[0], Some(HandshakeKind::Full));
    assert!(kinds[1..].iter().all(|&kind| kind == Some(HandshakeKind::Resumed)), "{kinds:?}");
}
