//! What one address may have of the server, and whom a proxy asks for.

use std::num::NonZeroU32;

use innkeeper::clients::{Allowance, Clients, Proxies, RateLimit};

use crate::fixture::{Client, Setup, TestServer, site};
use crate::running::{Program, serving};

const REQUEST: &str = "GET /hello.txt HTTP/1.1\r\nHost: test\r\n\r\n";

fn start(clients: Clients) -> TestServer {
    Setup { clients, ..Setup::default() }.start()
}

fn limited(connections: u32, requests: u32) -> Clients {
    let rate = NonZeroU32::new(requests).map_or(RateLimit::Off, RateLimit::PerSecond);
    let allowance = Allowance::new(NonZeroU32::new(connections), rate);
    Clients { allowance, ..Clients::default() }
}

/// Proxies on this machine.
fn proxies(trusted: &[&str], proxy_protocol: &[&str]) -> Proxies {
    let networks = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    Proxies { trusted: networks(trusted), proxy_protocol: networks(proxy_protocol) }
}

fn status(client: &mut Client, request: &str) -> u16 {
    client.send(request);
    client.reply().status()
}

#[test]
fn a_connection_too_many_is_told_and_another_is_let_in_when_one_ends() {
    let server = start(limited(2, 0));
    let mut first = server.connect();
    let mut second = server.connect();
    assert_eq!(status(&mut first, REQUEST), 200);
    assert_eq!(status(&mut second, REQUEST), 200);
    let mut third = server.connect();
    let reply = third.reply();
    assert_eq!((reply.status(), reply.field("Retry-After")), (429, Some("1")));
    assert_eq!(reply.field("Connection"), Some("close"));
    third.expect_closed();
    // Those that were there are not touched.
    assert_eq!(status(&mut first, REQUEST), 200);
    first.half_close();
    first.expect_closed();
    // Its end is noted a moment later than its client sees it.
    let is_let_in = || {
        let mut client = server.connect();
        client.send_if_open(REQUEST.as_bytes());
        client.reply().status() == 200
    };
    assert!((0..1000).any(|_| is_let_in()), "nobody is let in any more");
}

#[test]
fn a_flood_of_connections_too_many_is_cut_without_a_word() {
    let server = start(limited(1, 0));
    let mut honest = server.connect();
    assert_eq!(status(&mut honest, REQUEST), 200);
    let flood: Vec<_> = (0..100).map(|_| server.connect()).collect();
    let answered = flood.into_iter().filter_map(|mut client| {
        let (bytes, _) = client.read_to_end();
        (!bytes.is_empty()).then_some(bytes)
    });
    // At most one at a time is told; each leaves when it was.
    assert!(answered.into_iter().all(|bytes| bytes.starts_with(b"HTTP/1.1 429 ")));
    assert_eq!(status(&mut honest, REQUEST), 200);
}

#[test]
fn a_request_too_many_is_told_and_the_connection_goes_on() {
    let server = start(limited(0, 1));
    let mut client = server.connect();
    let statuses: Vec<_> = (0..12).map(|_| status(&mut client, REQUEST)).collect();
    assert_eq!(statuses[..10], [200; 10]);
    assert!(statuses[10..].contains(&429), "{statuses:?}");
    client.send(REQUEST);
    let reply = client.reply();
    if reply.status() == 429 {
        assert_eq!(reply.field("Retry-After"), Some("1"));
        assert_eq!(reply.text(), "too many requests from your address\n");
    }
    // Its body is not taken for a request either.
    client.send("POST /hello.txt HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nGET /");
    assert!([405, 429].contains(&client.reply().status()));
    assert!([200, 429].contains(&status(&mut client, REQUEST)));
}

#[test]
fn malformed_requests_count_as_others_do() {
    for malformed in [
        "GET /\r\n",
        "GET / HTTP/2.0\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: test\r\nContent-Length: x\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 99999999\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
    ] {
        let server = start(limited(0, 1));
        let mut statuses = Vec::new();
        for _ in 0..12 {
            let mut client = server.connect();
            client.send_if_open(malformed.as_bytes());
            statuses.push(client.reply().status());
            client.expect_closed();
        }
        assert!(!statuses[..10].contains(&429), "{malformed:?}: {statuses:?}");
        assert!(statuses[10..].contains(&429), "{malformed:?}: {statuses:?}");
        // There may be one again by now, and not more.
        let mut honest = server.connect();
        let statuses: Vec<_> = (0..3).map(|_| status(&mut honest, REQUEST)).collect();
        assert!(statuses.contains(&429), "{malformed:?}: {statuses:?}");
    }
}

#[test]
fn malformed_requests_of_a_proxy_count_against_nobody() {
    let server = start(Clients { proxies: proxies(&["127.0.0.1/32"], &[]), ..limited(0, 1) });
    for _ in 0..30 {
        let mut proxy = server.connect();
        proxy.send_if_open(b"GET /\r\n");
        assert_eq!(proxy.reply().status(), 400);
    }
    assert_eq!(status(&mut server.connect(), REQUEST), 200);
}

#[test]
fn a_rate_is_that_of_the_client_whom_a_proxy_names() {
    let server = start(Clients { proxies: proxies(&["127.0.0.1/32"], &[]), ..limited(1, 1) });
    let mut proxy = server.connect();
    let ask = |client: &mut Client, for_whom: &str| {
        let field = format!("Host: test\r\nX-Forwarded-For: 127.0.0.2, {for_whom}\r\n\r\n");
        status(client, &format!("GET /hello.txt HTTP/1.1\r\n{field}"))
    };
    let mut statuses = (0..30).map(|_| ask(&mut proxy, "192.0.2.1"));
    assert!(statuses.any(|status| status == 429));
    assert_eq!(ask(&mut proxy, "192.0.2.2"), 200);
    // The proxy has as many connections as it wants.
    let mut others: Vec<_> = (0..5).map(|_| server.connect()).collect();
    assert!(others.iter_mut().all(|other| ask(other, "192.0.2.3") == 200));
}

#[test]
fn a_proxy_that_announces_must() {
    let server = start(Clients { proxies: proxies(&[], &["127.0.0.0/8"]), ..Clients::default() });
    let v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\x12\x67\0\x50";
    for header in [&b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 80\r\n"[..], b"PROXY UNKNOWN\r\n", v2] {
        let mut whole = server.connect();
        whole.send([header, REQUEST.as_bytes(), REQUEST.as_bytes()].concat());
        assert_eq!((whole.reply().status(), whole.reply().status()), (200, 200));
        let mut cut = server.connect();
        for byte in [header, REQUEST.as_bytes()].concat() {
            cut.send([byte]);
        }
        assert_eq!(cut.reply().status(), 200);
        // Once a connection, not once a request.
        whole.send([header, REQUEST.as_bytes()].concat());
        assert_eq!(whole.reply().status(), 400);
    }
    for no_header in [REQUEST, "PROXY TCP4 192.0.2.1\r\n", "PROXY\r\n"] {
        let mut client = server.connect();
        client.send_if_open(no_header.as_bytes());
        client.expect_closed();
    }
}

#[test]
fn a_stranger_cannot_announce() {
    let server = start(Clients { proxies: proxies(&[], &["192.0.2.0/24"]), ..Clients::default() });
    let mut client = server.connect();
    client.send(format!("PROXY TCP4 192.0.2.1 192.0.2.2 4711 80\r\n{REQUEST}"));
    assert_eq!(client.reply().status(), 400);
    client.expect_closed();
}

#[test]
fn the_access_log_names_whom_a_proxy_asks_for() {
    let site = site();
    let arguments = ["--trusted-proxy", "127.0.0.1", "--access-log", "combined"];
    let program = Program::start(serving(&site.path().join("root"), &arguments), 1);
    let mut client = program.client();
    client.send("GET /hello.txt HTTP/1.1\r\nHost: test\r\nX-Forwarded-For: 192.0.2.9\r\n\r\n");
    assert_eq!(client.reply().status(), 200);
    program.signal(rustix::process::Signal::TERM);
    let (_, out, _) = program.finish();
    assert!(out.starts_with("192.0.2.9 - - ["), "{out}");
}

#[test]
fn a_network_that_is_none_is_refused() {
    for (flag, value, told) in [
        ("--trusted-proxy", "10.0.0.0/33", "write an address or a network"),
        ("--proxy-protocol-from", "proxy.example", "write an address or a network"),
        ("--max-connections-per-client", "0", "invalid value '0'"),
        ("--rate-limit", "-1", "invalid value '-1'"),
    ] {
        let output = serving("html".as_ref(), &[&format!("{flag}={value}")]).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(errors.contains(told), "{errors}");
    }
}
