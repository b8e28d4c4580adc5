//! TLS handshakes: what they are bounded by, and what becomes of clients that speak otherwise.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use innkeeper::clients::{Allowance, Clients, Proxies, RateLimit};
use innkeeper::tls;
use innkeeper::tls::certificates::{
    ClientAuthorities, ClientPolicy, Keeper, Options, PairFiles, Store, UnknownName,
};
use rustls::{ClientConfig, HandshakeKind, StreamOwned};

use crate::authority::Authority;
use crate::fixture::{Client, Setup, Stream, TestServer, write};

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

#[test]
fn session_is_not_resumed_when_the_authorities_of_clients_are_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (ours, other) = (Authority::shared(), Authority::new());
    let pair = ours.leaf(&["localhost"]);
    write(&path("pair.pem"), pair.combined().as_bytes());
    write(&path("ca.pem"), ours.pem().as_bytes());
    let policy = ClientPolicy::Wanted;
    let store = Store::load(Options {
        pairs: vec![PairFiles { certificate: path("pair.pem"), key: None }],
        unknown_name: UnknownName::Default,
        client_authorities: Some(ClientAuthorities { file: path("ca.pem"), policy }),
        ..Options::default()
    });
    let store = Arc::new(store.unwrap());
    let _keeper = Keeper::start(Arc::clone(&store)).unwrap();
    let server = Setup { certificates: Arc::clone(&store), ..Setup::default() }.start();
    let (chain, key) = ours.leaf(&["alice"]).der();
    let known = Arc::new(ours.client_config_with(chain, key));
    let unknown = ours.client_config(&[]);
    let kind = |config: &Arc<ClientConfig>| {
        let mut stream = Stream::tls(server.tls_address, config, "localhost");
        stream.write_all(REQUEST).map_err(|error| error.to_string())?;
        let mut client = Client::over(stream);
        // A client of TLS 1.3 learns with the response that its certificate is refused.
        client.receive().map_err(|error| error.to_string())?;
        assert!(client.reply().status() == 200);
        let Stream::Tls(stream) = client.stream() else { panic!("it is TLS") };
        Ok::<_, String>(stream.conn.handshake_kind().unwrap())
    };
    for config in [&known, &unknown] {
        assert_eq!(kind(config), Ok(HandshakeKind::Full));
        assert_eq!(kind(config), Ok(HandshakeKind::Resumed));
    }
    let before = store.client_auth().id;
    write(&path("new.pem"), other.pem().as_bytes());
    std::fs::rename(path("new.pem"), path("ca.pem")).unwrap();
    let began = Instant::now();
    while store.client_auth().id == before {
        assert!(began.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(20));
    }
    let refused = kind(&known);
    assert!(refused.as_ref().is_err_and(|why| why.contains("fatal alert")), "{refused:?}");
    assert_eq!(kind(&unknown), Ok(HandshakeKind::Full));
    assert_eq!(kind(&unknown), Ok(HandshakeKind::Resumed));
}

#[test]
fn proxy_header_precedes_the_handshake() {
    let proxy_protocol = vec!["127.0.0.0/8".parse().unwrap()];
    let proxies = Proxies { trusted: Vec::new(), proxy_protocol };
    let clients = Clients { proxies, ..Clients::default() };
    let server = Setup { clients, ..Setup::default() }.start();
    let config = Authority::shared().client_config(&["http/1.1"]);
    let mut session =
        rustls::ClientConnection::new(config, "localhost".try_into().unwrap()).unwrap();
    // In one segment with what is TLS.
    let mut first = b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n".to_vec();
    session.write_tls(&mut first).unwrap();
    let mut socket = TcpStream::connect(server.tls_address).unwrap();
    socket.write_all(&first).unwrap();
    let stream = Stream::Tls(Box::new(StreamOwned::new(session, socket)));
    Client::over(stream).expect_open();
}

#[test]
fn half_open_handshake_counts_as_a_connection_of_its_client() {
    let allowance = Allowance::new(Some(NonZeroU32::new(1).unwrap()), RateLimit::Off);
    let clients = Clients { allowance, ..Clients::default() };
    let server = Setup { clients, ..Setup::default() }.start();
    let mut half_open = TcpStream::connect(server.tls_address).unwrap();
    half_open.write_all(HALF_HELLO).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    let mut client = server.connect_tls();
    client.send(REQUEST);
    assert_eq!(client.reply().status(), 429);
    drop(half_open);
}

#[test]
fn alert_reaches_a_client_that_goes_on_sending() {
    let server = TestServer::start();
    let mut socket = TcpStream::connect(server.tls_address).unwrap();
    let config = Authority::shared().client_config(&["imap"]);
    let mut session =
        rustls::ClientConnection::new(config, "localhost".try_into().unwrap()).unwrap();
    let mut hello = Vec::new();
    session.write_tls(&mut hello).unwrap();
    // As a client does that sends its request with its certificate.
    hello.resize(hello.len() + 200_000, 0);
    socket.write_all(&hello).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    let mut came = Vec::new();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket.read_to_end(&mut came).expect("an end, and no reset");
    // Its last record is the alert, encrypted: two bytes, their type and a tag.
    assert_eq!(came[came.len() - 24..][..5], *b"\x17\x03\x03\x00\x13");
}
