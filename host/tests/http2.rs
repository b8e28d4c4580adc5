//! HTTP/2 with prior knowledge: what the driver of a connection does.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use innkeeper::http2::{self, Http2, Places};
use innkeeper::transport;

use crate::fixture::{Setup, Stream, TestServer, write};
use crate::http2_client::{Http2Client, Response, kind};

fn setup() -> Setup {
    with(|_| ())
}

fn with(change: impl FnOnce(&mut http2::Limits)) -> Setup {
    let mut http2 = Http2 { prior_knowledge: true, ..Http2::default() };
    change(&mut http2.limits);
    Setup { http2, ..Setup::default() }
}

fn connect(server: &TestServer) -> Http2Client<Stream> {
    Http2Client::new(Stream::tcp(server.address))
}

fn get(server: &TestServer, path: &str) -> Response {
    let mut client = connect(server);
    let stream = client.get(path);
    client.response(stream)
}

#[test]
fn response_is_that_of_http1() {
    let server = setup().start();
    // Files that were written just now have no tag.
    let began = Instant::now();
    while server.get("/hello.txt").field("etag").is_none() {
        assert!(began.elapsed() < Duration::from_secs(20), "it gets no tag");
    }
    for path in ["/hello.txt", "/docs/", "/docs", "/missing", "/empty.txt", "/range.txt"] {
        let (response, expected) = (get(&server, path), server.get(path));
        assert_eq!(response.status, expected.status(), "{path}");
        assert_eq!(response.body, expected.body, "{path}");
        assert!(response.is_whole, "{path}");
        let fields = response.fields.iter().map(|(name, _)| name.as_str());
        assert!(fields.clone().all(|name| name == name.to_lowercase()), "{path}");
        for name in
            ["content-type", "content-length", "etag", "location", "server", "cache-control"]
        {
            assert_eq!(response.field(name), expected.field(name), "{name} of {path}");
        }
        assert_eq!(response.field("connection"), None);
    }
}

#[test]
fn head_has_the_fields_of_get_and_no_body() {
    let server = setup().start();
    let mut client = connect(&server);
    let stream = client.request("HEAD", "/hello.txt", &[]);
    let response = client.response(stream);
    assert_eq!((response.status, response.field("content-length")), (200, Some("6")));
    assert_eq!(response.body, b"");
    let stream = client.request("GET", "/hello.txt", &[("if-none-match", "*")]);
    let response = client.response(stream);
    assert_eq!((response.status, response.field("content-length")), (304, None));
    assert!(response.is_whole && response.body.is_empty());
}

#[test]
fn hundred_streams_at_once_are_all_responded_to() {
    let server = setup().start();
    let mut client = connect(&server);
    for _ in 0..20 {
        let streams: Vec<_> = (0..100).map(|_| client.get("/hello.txt")).collect();
        for stream in streams {
            assert_eq!(client.response(stream).body, b"hello\n");
        }
    }
}

#[test]
fn large_file_is_sent_as_the_client_makes_room() {
    let server = setup().start();
    let content: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
    write(&server.root().join("large.bin"), &content);
    let response = get(&server, "/large.bin");
    assert_eq!(response.status, 200);
    assert!(response.body == content && response.is_whole);
    let mut client = connect(&server);
    let stream = client.request("GET", "/large.bin", &[("range", "bytes=0-1,100000-299999")]);
    let response = client.response(stream);
    assert_eq!(response.status, 206);
    assert_eq!(response.field("content-length").unwrap(), response.body.len().to_string());
    assert!(response.body.windows(200_000).any(|part| part == &content[100_000..300_000]));
}

#[test]
fn body_of_a_request_is_discarded() {
    let server = setup().start();
    let mut client = connect(&server);
    let stream = client.next_stream();
    let fields =
        [(":method", "POST"), (":scheme", "http"), (":authority", "test"), (":path", "/hello.txt")];
    client.send_headers(stream, &fields, false);
    for _ in 0..6 {
        client.send_data(stream, &[b'x'; 10_000], false);
    }
    client.send_data(stream, b"", true);
    assert_eq!(client.response(stream).status, 405);
    let stream = client.get("/hello.txt");
    assert_eq!(client.response(stream).status, 200);
}

#[test]
fn file_that_is_truncated_while_it_is_sent_resets_its_stream_alone() {
    let server = setup().start();
    let path = server.root().join("large.bin");
    write(&path, &[b'x'; 3_000_000]);
    let mut client = connect(&server);
    client.makes_room = false;
    let stream = client.get("/large.bin");
    let hello = client.get("/hello.txt");
    // Its window is full then.
    while client.responses.get(&stream).is_none_or(|response| response.body.len() < 60_000) {
        client.step().unwrap();
    }
    fs::File::options().write(true).open(&path).unwrap().set_len(100).unwrap();
    client.makes_room = true;
    client.send_frame(kind::WINDOW_UPDATE, 0, 0, &1_000_000_u32.to_be_bytes());
    client.send_frame(kind::WINDOW_UPDATE, 0, stream, &1_000_000_u32.to_be_bytes());
    assert_eq!(client.response(stream).reset, Some(2), "INTERNAL_ERROR");
    assert_eq!(client.response(hello).body, b"hello\n");
}

#[test]
fn stop_announces_itself_and_waits_for_requests_in_flight() {
    let server = setup().start();
    let mut client = connect(&server);
    let stream = client.get("/hello.txt");
    client.response(stream);
    let stop = std::thread::spawn(move || server.stop(Duration::from_secs(5)));
    while client.goaway.is_none() {
        client.step().unwrap();
    }
    assert_eq!(client.goaway.as_ref().map(|goaway| goaway.1), Some(0x7fff_ffff));
    let stream = client.get("/hello.txt");
    assert_eq!(client.response(stream).body, b"hello\n");
    while client.step().is_some() {}
    assert_eq!(client.goaway.as_ref().map(|goaway| goaway.1), Some(stream));
    drop(client);
    assert_eq!(stop.join().unwrap(), 0);
}

/// curl 7.88 sees no response if both arrive at once.
#[test]
fn reset_of_an_unfinished_request_comes_some_time_after_its_response() {
    let linger = Duration::from_millis(300);
    let setup = setup();
    let limits = transport::Limits { linger, ..setup.limits };
    let server = Setup { limits, ..setup }.start();
    for expect in [&[][..], &[("expect", "100-continue")]] {
        let mut client = connect(&server);
        let stream = client.next_stream();
        let fields = [
            (":method", "POST"),
            (":path", "/hello.txt"),
            (":scheme", "http"),
            (":authority", "test"),
            ("content-length", "3000000"),
        ];
        client.send_headers(stream, &[&fields, expect].concat(), false);
        let response = client.response(stream);
        assert_eq!((response.status, response.reset), (413, None));
        let since = Instant::now();
        let other = client.get("/hello.txt");
        assert_eq!(client.response(other).body, b"hello\n");
        while client.responses.get(&stream).is_none_or(|it| it.reset.is_none()) {
            client.step().expect("a reset of the stream, not the end");
        }
        assert_eq!(client.responses[&stream].reset, Some(0));
        assert!(since.elapsed() > linger / 2, "{:?}", since.elapsed());
    }
}

#[test]
fn stream_without_a_place_is_refused_and_the_first_of_a_connection_needs_none() {
    let mut setup = setup();
    setup.http2.places = Arc::new(Places::new(1));
    let server = setup.start();
    let fields = |path: &'static str| {
        [(":method", "POST"), (":scheme", "http"), (":authority", "test"), (":path", path)]
    };
    let mut client = connect(&server);
    // Their bodies are still to come.
    let [first, second, third] = [(); 3].map(|()| {
        let stream = client.next_stream();
        client.send_headers(stream, &fields("/hello.txt"), false);
        stream
    });
    assert_eq!(client.response(third).reset, Some(7), "REFUSED_STREAM");
    let mut other = connect(&server);
    let stream = other.get("/hello.txt");
    assert_eq!(other.response(stream).status, 200);
    for stream in [first, second] {
        client.send_data(stream, b"", true);
        assert_eq!(client.response(stream).status, 405);
    }
    let stream = client.get("/hello.txt");
    assert_eq!(client.response(stream).status, 200);
}
