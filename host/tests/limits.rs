//! Every wait and every size has its bound.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use innkeeper::http1;
use innkeeper::transport::Limits;
use socket2::{Domain, Socket, Type};

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
fn malformed_line_is_answered_before_its_head_ends() {
    // Longer than the client waits.
    let server = start(|limits| limits.head = Duration::from_secs(600));
    let line = "GET /hello.txt HTTP/1.1\r\n";
    let field = "GET /hello.txt HTTP/1.1\r\nHost: test\r\n";
    let mut heads = Vec::new();
    for begun in [
        "GET /\r\n",
        "FOO\r\n",
        "GET  / HTTP/1.1\r\n",
        " GET / HTTP/1.1\r\n",
        "G\u{1}ET / HTTP/1.1\r\n",
        "GET / HTTP/1.10\r\n",
        "GET / HTTP/1.1x\r\n",
        "GET / http/1.1\r\n",
        "GET / HTTP/1.1 \r\n",
        "GET /\u{e9} HTTP/1.1\r\n",
        "GET http://u@h/ HTTP/1.1\r\n",
        "\r\nGET /\r\n",
        "\rX",
        "\r\r",
        "GET /\rX",
        "GET / HTTP/1.1\r\r\n",
    ] {
        heads.push((begun.to_owned(), 400));
    }
    heads.push(("GET / HTTP/2.0\r\n".to_owned(), 505));
    heads.push(("PRI * HTTP/2.0\r\n".to_owned(), 505));
    heads.push(("GET https://h/ HTTP/1.1\r\n".to_owned(), 421));
    for end in [
        " X: y\r\n",
        "\tX: y\r\n",
        "X Y: z\r\n",
        "X : y\r\n",
        "X:\0\r\n",
        "X: \u{7f}\r\n",
        ": v\r\n",
        "X\r\n",
        "X\u{e9}: y\r\n",
        "X: y\r\r\n",
        "X: y\rZ",
        "\rX",
        "\r\r\n",
        "\r \r\n",
        "\r\r",
    ] {
        heads.extend([line, field].map(|begun| (format!("{begun}{end}"), 400)));
    }
    heads.push((format!("{line}{}", "X: y\r\n".repeat(101)), 431));
    for (head, status) in heads {
        for piece in [head.len(), 1, 2, 3] {
            let mut client = server.connect();
            for piece in head.as_bytes().chunks(piece) {
                client.send_if_open(piece);
            }
            assert_eq!(client.reply().status(), status, "{head:?} in pieces of {piece}");
            client.expect_closed();
        }
    }
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
    let http1 = http1::Limits { requests: 3, ..http1::Limits::default() };
    let server = Setup { http1, ..Setup::default() }.start();
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

/// The memory that the kernel has for all connections is not for those that read nothing,
/// whether they come at once or one after the other.
#[test]
fn a_crowd_that_reads_nothing_is_sent_little_in_advance() {
    const MOST: usize = 200 << 10;
    const MOST_IN_A_CROWD: usize = 80 << 10;
    // Nobody is reset meanwhile, however slow the machine is.
    let limits = Limits { stall: Duration::from_secs(600), ..Limits::default() };
    let server = Setup { workers: 1, limits, ..Setup::default() }.start();
    let large = fs::File::create(server.root().join("large.bin")).unwrap();
    large.set_len(100 << 20).unwrap();
    // Half of it is left when it is compressed, which is sent from memory.
    let digits = |number: u32| format!("{:08x}", number.wrapping_mul(0x9E37_79B9));
    write(
        &server.root().join("large.txt"),
        (0..200_000).map(digits).collect::<String>().as_bytes(),
    );
    write(&server.root().join("middle.bin"), &[b'x'; 1 << 20]);
    // Each piece is small; all of them are not.
    let pieces: Vec<_> = (0..32).map(|n| format!("{}-{}", n << 20, (n << 20) + 65_535)).collect();
    let pieces = format!("Range: bytes={}\r\n", pieces.join(","));
    let asks = |path: &str, range: &str, times: usize| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.connect(&server.address.into()).unwrap();
        let mut client = TcpStream::from(socket);
        let fields = "Host: test\r\nAccept-Encoding: gzip";
        let request = format!("GET {path} HTTP/1.1\r\n{range}{fields}\r\n\r\n");
        client.write_all(request.repeat(times).as_bytes()).unwrap();
        client
    };
    // What is compressed once is remembered: the crowd is not to wait for it.
    let mut first = asks("/large.txt", "", 1);
    let mut begin = [0; 12];
    first.read_exact(&mut begin).unwrap();
    assert_eq!(&begin, b"HTTP/1.1 200");
    let kinds = [
        ("/large.txt", "", 1),
        ("/large.bin", &*pieces, 1),
        ("/large.bin", "", 1),
        ("/middle.bin", "", 1),
        ("/middle.bin", "Range: bytes=0-30000\r\n", 100),
    ];
    let crowd: Vec<_> =
        kinds.repeat(30).into_iter().map(|(path, range, n)| asks(path, range, n)).collect();
    let are_sent = |clients: &[TcpStream], least: usize| {
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            let sent: Vec<_> = clients.iter().map(|client| unread(&server, client)).collect();
            if sent.iter().all(|&sent| sent >= least) {
                return sent;
            }
            assert!(Instant::now() < deadline, "some are sent too little: {sent:?}");
            std::thread::yield_now();
        }
    };
    let sent = are_sent(&crowd, 10 << 10);
    assert!(sent.iter().all(|&sent| sent <= MOST), "{sent:?}");
    // Those who come when a crowd is there get less.
    let late: Vec<_> =
        kinds.repeat(4).into_iter().map(|(path, range, n)| asks(path, range, n)).collect();
    let sent = are_sent(&late, 10 << 10);
    assert!(sent.iter().all(|&sent| sent <= MOST_IN_A_CROWD), "{sent:?}");
    server.connect().expect_open();
    // Who reads gets all of it.
    let mut reader = late.into_iter().nth(2).unwrap();
    let mut received = vec![0; 4 << 20];
    reader.read_exact(&mut received).unwrap();
}

/// What the server's kernel keeps for a client until it is read.
fn unread(server: &TestServer, client: &TcpStream) -> usize {
    let connections = fs::read_to_string("/proc/net/tcp").unwrap();
    let client = format!(":{:04X}", client.local_addr().unwrap().port());
    let server = format!(":{:04X}", server.address.port());
    let queue = connections.lines().find_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        let is_it = words[1].ends_with(&server) && words[2].ends_with(&client);
        is_it.then(|| words[4].split(':').next().unwrap().to_owned())
    });
    usize::from_str_radix(&queue.expect("the connection"), 16).unwrap()
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
            while taker.read(&mut buffer).is_ok_and(|count| count > 0) {}
        });
        // Some of these share the flooded worker.
        for _ in 0..20 {
            server.connect().expect_open();
        }
        flood.socket().shutdown(std::net::Shutdown::Both).unwrap();
    });
}
