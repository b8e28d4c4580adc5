//! Pages that the server makes itself: listings, and what it says about failures.

use std::io::Read;
use std::sync::Arc;

use innkeeper::files::Options;
use innkeeper::guest::LoadedGuest;
use innkeeper::http2::Http2;
use innkeeper_guest::{Field, Serve};

use crate::deciding_guest::deciding;
use crate::fixture::{Reply, Setup, Stream, TestServer, engine, write};
use crate::http2_client::Http2Client;

/// What browsers send for a page.
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

fn ask(server: &TestServer, line: &str, fields: &str) -> Reply {
    let mut client = server.connect();
    client.send(format!("{line} HTTP/1.1\r\nHost: test\r\n{fields}\r\n"));
    match line.starts_with("HEAD") {
        true => client.reply_without_body(),
        false => client.reply(),
    }
}

fn listing() -> TestServer {
    let site = Options { list: true, ..Options::default() };
    let http2 = Http2 { prior_knowledge: true, ..Http2::default() };
    let server = Setup { site, http2, ..Setup::default() }.start();
    for (name, size) in [("file10.txt", 3), ("file2.txt", 20), ("File1.png", 7)] {
        write(&server.root().join("names").join(name), &vec![b'x'; size]);
    }
    write(&server.root().join("names/sub/inner.txt"), b"x");
    server
}

/// The names that a page links to, in their order, without queries.
fn names(page: &Reply) -> Vec<String> {
    let links = page.text().split("<a href=\"./").skip(2);
    links.map(|rest| rest.split(['"', '?']).next().unwrap().to_owned()).collect()
}

#[test]
fn listing_is_in_the_order_that_is_asked_for() {
    let server = listing();
    for (query, expected) in [
        ("", ["sub/", "File1.png", "file2.txt", "file10.txt"]),
        ("?sort=-name", ["sub/", "file10.txt", "file2.txt", "File1.png"]),
        ("?sort=size", ["sub/", "file10.txt", "File1.png", "file2.txt"]),
        ("?sort=-size", ["sub/", "file2.txt", "File1.png", "file10.txt"]),
        ("?sort=nothing&a=<b>", ["sub/", "File1.png", "file2.txt", "file10.txt"]),
        ("?view=pictures", ["sub/", "File1.png", "file2.txt", "file10.txt"]),
    ] {
        let page = server.get(&format!("/names/{query}"));
        assert_eq!(names(&page), expected, "{query}");
        assert_eq!(page.text().contains("<img src=\"./File1.png\""), query.contains("view"));
    }
    let json = ask(&server, "GET /names/?sort=-size", "Accept: application/json\r\n");
    assert!(json.text().find("file2.txt") < json.text().find("File1.png"), "{}", json.text());
}

#[test]
fn listing_has_a_tag_and_a_policy_without_unsafe_inline() {
    let server = listing();
    let page = server.get("/names/");
    let (tag, policy) = (page.field("etag").unwrap(), page.field("content-security-policy"));
    assert!(policy.unwrap().starts_with("default-src 'none'; style-src 'sha256-"), "{policy:?}");
    assert!(!policy.unwrap().contains("unsafe"), "{policy:?}");
    assert_eq!(server.get("/names/").field("etag"), Some(tag));
    assert_ne!(server.get("/names/?sort=size").field("etag"), Some(tag));
    let again = ask(&server, "GET /names/", &format!("If-None-Match: {tag}\r\n"));
    assert_eq!((again.status(), again.body.len()), (304, 0));
    assert_eq!(again.field("vary"), Some("Accept, Accept-Encoding"));
    let other = ask(&server, "GET /names/", &format!("If-Match: {tag}\r\n"));
    assert_eq!(other.status(), 200);
    assert_eq!(ask(&server, "GET /names/", "If-Match: \"x\"\r\n").status(), 412);
    let head = ask(&server, "HEAD /names/", "");
    assert_eq!(head.field("content-length"), page.field("content-length"));
    assert_eq!(head.field("etag"), Some(tag));
    // A new entry makes a new version.
    write(&server.root().join("names/new"), b"");
    let new = ask(&server, "GET /names/", &format!("If-None-Match: {tag}\r\n"));
    assert_eq!(new.status(), 200);
    // Over HTTP/2 it is the same.
    let mut client = Http2Client::new(Stream::tcp(server.address));
    let stream = client.get("/names/");
    let response = client.response(stream);
    assert_eq!(response.field("etag"), new.field("etag"), "{response:?}");
}

#[test]
fn listing_is_compressed_for_clients_that_accept_it() {
    let server = listing();
    for accept in [BROWSER, "application/json"] {
        for number in 0..200 {
            write(&server.root().join(format!("many/photo with a name {number}.jpg")), b"");
        }
        let get =
            |line: &str, fields: &str| ask(&server, line, &format!("Accept: {accept}\r\n{fields}"));
        let plain = get("GET /many/", "");
        assert_eq!(plain.field("content-encoding"), None);
        let gzip = get("GET /many/", "Accept-Encoding: gzip\r\n");
        assert_eq!(gzip.field("content-encoding"), Some("gzip"));
        let mut text = String::new();
        flate2::read::GzDecoder::new(&*gzip.body).read_to_string(&mut text).unwrap();
        assert!(text == plain.text() && gzip.body.len() * 3 < text.len(), "{}", gzip.body.len());
        for reply in [&plain, &gzip] {
            assert_eq!(reply.field("vary"), Some("Accept, Accept-Encoding"));
        }
        let tag = gzip.field("etag").unwrap();
        assert_ne!(plain.field("etag"), Some(tag));
        let fields = format!("Accept-Encoding: gzip\r\nIf-None-Match: {tag}\r\n");
        assert_eq!(get("GET /many/", &fields).status(), 304);
        assert_eq!(get("GET /many/", &format!("If-None-Match: {tag}\r\n")).status(), 200);
        let head = get("HEAD /many/", "Accept-Encoding: gzip\r\n");
        for field in ["content-length", "etag", "content-encoding"] {
            assert_eq!(head.field(field), gzip.field(field), "{field}");
        }
    }
}

#[test]
fn failure_has_the_form_that_the_client_takes() {
    let server = TestServer::start();
    for (accept, content_type, start) in [
        ("", "text/plain; charset=utf-8", "File not found\n"),
        ("*/*", "text/plain; charset=utf-8", "File not found\n"),
        ("image/avif,*/*", "text/plain; charset=utf-8", "File not found\n"),
        (BROWSER, "text/html; charset=utf-8", "<!doctype html>"),
        ("application/json", "application/json", "{"),
        ("application/problem+json", "application/problem+json", "{"),
    ] {
        let fields = format!("Accept: {accept}\r\n");
        let reply = ask(&server, "GET /missing", &fields);
        assert_eq!((reply.status(), reply.field("content-type")), (404, Some(content_type)));
        assert!(reply.text().starts_with(start), "{accept}: {}", reply.text());
        assert_eq!(reply.field("vary"), Some("Accept"));
        let head = ask(&server, "HEAD /missing", &fields);
        assert_eq!(head.field("content-length"), reply.field("content-length"));
        let policy = reply.field("content-security-policy");
        assert_eq!(policy.is_some(), accept == BROWSER);
        assert!(!policy.unwrap_or_default().contains("unsafe"));
    }
    let browser = format!("Accept: {BROWSER}\r\n");
    for (line, status) in [("POST /", 405), ("BREW /", 501), ("GET /%4", 400)] {
        let page = ask(&server, line, &browser);
        assert_eq!(page.status(), status);
        assert!(page.text().starts_with("<!doctype html>"), "{line}: {}", page.text());
        let text = ask(&server, line, "");
        assert!(text.text().lines().count() == 1, "{line}: {}", text.text());
    }
    let malformed = ask(&server, "GET /%4", &browser);
    assert!(malformed.text().contains("<p>malformed percent-escape</p>"), "{}", malformed.text());
    // What succeeds is what it was, and so is the site's own page.
    assert_eq!(ask(&server, "GET /hello.txt", &browser).text(), "hello\n");
    assert!(ask(&server, "GET /docs", &browser).text().starts_with("Moved"));
    write(&server.root().join("404.html"), b"own");
    let own = ask(&server, "GET /missing", &browser);
    assert_eq!((own.text(), own.status()), ("own", 404));
    assert_eq!(own.field("vary"), Some("Accept-Encoding"));
}

/// A policy for the pages of a site would take the style from a page of the server's own.
#[test]
fn page_of_the_server_has_its_own_policy() {
    let policy = "default-src 'self'; frame-ancestors 'none'";
    let field = Field::new("content-security-policy", policy);
    let serve = Serve { fields: vec![field], ..Serve::nothing() };
    let guest = deciding(&[(b'm', serve.into())]);
    let guest = Arc::new(LoadedGuest::load(engine(), &guest).unwrap());
    let server = Setup { guest, ..Setup::default() }.start();
    let page = ask(&server, "GET /missing", "Accept: text/html\r\n");
    let policies: Vec<_> = page.values("content-security-policy").collect();
    assert_eq!(policies.len(), 2, "{policies:?}");
    assert!(policies[0].starts_with("default-src 'none'; style-src 'sha256-"), "{policies:?}");
    assert_eq!(policies[1], "frame-ancestors 'none'");
    let text = ask(&server, "GET /missing", "");
    assert!(text.field("content-security-policy").unwrap().starts_with("default-src 'self'"));
}
