//! What of a file is sent, and in which form: conditions, ranges, encodings.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use innkeeper::files::Options;
use innkeeper::files::cache_control::Rule;

use crate::fixture::{Client, Reply, Setup, TestServer, write};

/// A GET with these further field lines.
fn get(client: &mut Client, target: &str, lines: &str) -> Reply {
    request(client, "GET", target, lines)
}

fn request(client: &mut Client, method: &str, target: &str, lines: &str) -> Reply {
    let lines: String = lines.lines().map(|line| format!("{line}\r\n")).collect();
    client.send(format!("{method} {target} HTTP/1.1\r\nHost: test\r\n{lines}\r\n"));
    match method {
        "HEAD" => client.reply_without_body(),
        _ => client.reply(),
    }
}

/// Writes a file that was last modified in 1994, as the RFC's example.
fn write_old(path: &Path, content: &[u8]) {
    write(path, content);
    let modified = UNIX_EPOCH + Duration::from_secs(784_111_777);
    File::options().write(true).open(path).unwrap().set_modified(modified).unwrap();
}

/// Asks until the file is old enough to have a tag.
fn settled(client: &mut Client, target: &str) -> Reply {
    let began = Instant::now();
    loop {
        let reply = get(client, target, "");
        if reply.field("etag").is_some() {
            return reply;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "it gets no tag: {reply:?}");
    }
}

/// A server with a file of ten digits, modified in 1994, and its tag.
fn digits() -> (TestServer, Client, String) {
    let server = TestServer::start();
    write_old(&server.root().join("digits.txt"), b"0123456789");
    let mut client = server.connect();
    let tag = settled(&mut client, "/digits.txt").field("etag").unwrap().to_owned();
    (server, client, tag)
}

const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

/// The same with a file that was written now, and the date that it gets when its time of
/// modification is that of this version alone.
fn dated() -> (TestServer, Client, String, SystemTime) {
    let server = TestServer::start();
    write(&server.root().join("digits.txt"), b"0123456789");
    let mut client = server.connect();
    let began = Instant::now();
    let date = loop {
        let reply = get(&mut client, "/digits.txt", "");
        if let Some(date) = reply.field("last-modified") {
            break httpdate::parse_http_date(date).unwrap();
        }
        assert!(began.elapsed() < Duration::from_secs(20), "it gets no date: {reply:?}");
    };
    let tag = settled(&mut client, "/digits.txt").field("etag").unwrap().to_owned();
    (server, client, tag, date)
}

/// This date, so many seconds later, as it stands in a field.
fn http_date(date: SystemTime, later: i64) -> String {
    let seconds = date.duration_since(UNIX_EPOCH).unwrap().as_secs().strict_add_signed(later);
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds))
}

#[test]
fn file_response_has_validators() {
    let (server, mut client, tag, date) = dated();
    let modified = fs::metadata(server.root().join("digits.txt")).unwrap().modified().unwrap();
    let since = modified.duration_since(date).unwrap();
    assert!(since < Duration::from_secs(1), "{since:?}");
    assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");
    for method in ["GET", "HEAD"] {
        let reply = request(&mut client, method, "/digits.txt", "");
        assert_eq!(reply.field("etag"), Some(tag.as_str()));
        assert_eq!(reply.field("last-modified"), Some(http_date(date, 0).as_str()));
        assert_eq!(reply.field("accept-ranges"), Some("bytes"));
        assert_eq!(reply.field("x-content-type-options"), Some("nosniff"));
    }
}

#[test]
fn matching_validators_are_304() {
    let (_server, mut client, tag, date) = dated();
    let date = http_date(date, 0);
    for lines in [
        format!("If-None-Match: {tag}"),
        format!("If-None-Match: \"a\"\nIf-None-Match: W/{tag}"),
        format!("If-Modified-Since: {date}"),
        format!("If-None-Match: {tag}\nRange: bytes=0-1"),
    ] {
        for method in ["GET", "HEAD"] {
            let reply = request(&mut client, method, "/digits.txt", &lines);
            assert_eq!(reply.status(), 304, "{lines}");
            assert_eq!(reply.field("etag"), Some(tag.as_str()));
            assert_eq!(reply.field("vary"), Some("Accept-Encoding"));
            for name in ["content-length", "content-type", "content-range", "accept-ranges"] {
                assert_eq!(reply.field(name), None, "{reply:?}");
            }
        }
    }
    client.expect_open();
}

#[test]
fn other_validators_are_200() {
    let (_server, mut client, tag, date) = dated();
    let date = |later| http_date(date, later);
    for lines in [
        "If-None-Match: \"a\"".to_owned(),
        format!("If-None-Match: \"a\"\nIf-Modified-Since: {}", date(0)),
        format!("If-Modified-Since: {}", date(-1)),
        // The date of a version that was rolled back.
        format!("If-Modified-Since: {}", date(1)),
        format!("If-Modified-Since: {}", date(100_000)),
        "If-Modified-Since: yesterday".to_owned(),
        format!("If-Match: {tag}"),
        format!("If-Unmodified-Since: {}", date(0)),
        format!("If-Unmodified-Since: {}", date(100_000)),
    ] {
        let reply = get(&mut client, "/digits.txt", &lines);
        assert_eq!((reply.status(), reply.text()), (200, "0123456789"), "{lines}");
    }
}

#[test]
fn failed_precondition_is_412() {
    let (_server, mut client, tag) = digits();
    for lines in [
        "If-Match: \"a\"".to_owned(),
        format!("If-Match: W/{tag}"),
        format!("If-Unmodified-Since: {MODIFIED}"),
        format!("If-Match: \"a\"\nIf-None-Match: {tag}"),
    ] {
        assert_eq!(get(&mut client, "/digits.txt", &lines).status(), 412, "{lines}");
    }
    client.expect_open();
}

/// The same length, the same second, even the same time of modification: another
/// content is another version.
#[test]
fn rewritten_file_has_other_validators() {
    let options = Options { cache_valid: Duration::ZERO, ..Options::default() };
    let server = Setup { site: options, ..Setup::default() }.start();
    let path = server.root().join("digits.txt");
    write_old(&path, b"0123456789");
    let mut client = server.connect();
    for round in 0..10_u8 {
        let tag = settled(&mut client, "/digits.txt").field("etag").unwrap().to_owned();
        let content = [b'a' + round; 10];
        if round % 2 == 0 {
            write_old(&path, &content);
        } else {
            write_old(&server.root().join("new"), &content);
            fs::rename(server.root().join("new"), &path).unwrap();
        }
        let reply = get(&mut client, "/digits.txt", &format!("If-None-Match: {tag}"));
        assert_eq!((reply.status(), reply.body), (200, content.to_vec()));
    }
}

/// Under load a worker does not look each time, but at least once a second.
#[test]
fn busy_worker_sends_a_change_within_a_second() {
    let (server, mut client, _) = digits();
    let path = server.root().join("digits.txt");
    for change in ["rewrite", "replace", "remove"] {
        for _ in 0..300 {
            get(&mut client, "/digits.txt", "");
        }
        let new = server.root().join("new");
        match change {
            "rewrite" => write_old(&path, b"abcdefghij"),
            "replace" => {
                write_old(&new, b"ABCDEFGHIJ");
                fs::rename(new, &path).unwrap();
            }
            _ => fs::remove_file(&path).unwrap(),
        }
        let changed = Instant::now();
        let expected: (u16, &[u8]) = match change {
            "rewrite" => (200, b"abcdefghij"),
            "replace" => (200, b"ABCDEFGHIJ"),
            _ => (404, b"File not found\n"),
        };
        loop {
            let asked = Instant::now();
            let reply = get(&mut client, "/digits.txt", "");
            if (reply.status(), &reply.body[..]) == expected {
                break;
            }
            let late = asked - changed;
            assert!(late < Duration::from_secs(1), "{change} is not seen after {late:?}");
        }
    }
}

/// `app.js?v=2` gave the old content, for a year: the worker was busy, and had looked at `app.js`
/// a moment ago. The query is part of a URL, and of no file's name.
#[test]
fn busy_worker_never_sends_old_content_with_a_long_max_age() {
    let rules = ["assets/**=public, max-age=31536000, immutable", "*.css=max-age=60"];
    let cache_control = rules.map(|rule| Rule::parse(rule).unwrap()).to_vec();
    let options = Options { cache_control, ..Options::default() };
    let server = Setup { workers: 1, site: options, ..Setup::default() }.start();
    let root = server.root();
    let path = root.join("assets/app.js");
    let (mut client, mut version) = (server.connect(), 0);
    let get_now = |client: &mut Client, target: &str| get(client, target, "");
    for round in 0..20 {
        // A worker is busy after this, and what it found is a moment old.
        for _ in 0..100 {
            get_now(&mut client, "/assets/app.js?v=0");
            get_now(&mut client, &format!("/assets/new-{round}.js"));
        }
        version += 1;
        let content = format!("version {version:4}");
        match round % 3 {
            0 => write_old(&path, content.as_bytes()),
            1 => {
                write_old(&root.join("next"), content.as_bytes());
                fs::rename(root.join("next"), &path).unwrap();
            }
            // The folder is replaced by another.
            _ => {
                write_old(&root.join("release/app.js"), content.as_bytes());
                fs::remove_dir_all(root.join("assets")).unwrap();
                fs::rename(root.join("release"), root.join("assets")).unwrap();
            }
        }
        write_old(&root.join(format!("assets/new-{round}.js")), b"new");
        let reply = get_now(&mut client, &format!("/assets/app.js?v={version}"));
        assert_eq!(reply.text(), content, "round {round}");
        assert!(reply.field("cache-control").unwrap().contains("immutable"));
        assert_eq!(get_now(&mut client, &format!("/assets/new-{round}.js")).text(), "new");
    }
}

#[test]
fn error_page_ignores_conditions_and_ranges() {
    let server = TestServer::start();
    write_old(&server.root().join("404.html"), b"<h1>lost</h1>");
    let mut client = server.connect();
    settled(&mut client, "/404.html");
    let lines = format!("If-None-Match: *\nIf-Modified-Since: {MODIFIED}\nRange: bytes=0-1");
    let reply = get(&mut client, "/missing", &lines);
    assert_eq!((reply.status(), reply.text()), (404, "<h1>lost</h1>"));
    assert_eq!((reply.field("etag"), reply.field("last-modified")), (None, None));
    assert_eq!(reply.field("accept-ranges"), None);
}

#[test]
fn range_is_206() {
    let (_server, mut client, tag) = digits();
    for (range, part, content) in [
        ("bytes=0-0", "bytes 0-0/10", "0"),
        ("bytes=2-4", "bytes 2-4/10", "234"),
        ("bytes=7-", "bytes 7-9/10", "789"),
        ("bytes=-3", "bytes 7-9/10", "789"),
        ("bytes=-99", "bytes 0-9/10", "0123456789"),
        ("bytes=5-99999999999999999999999", "bytes 5-9/10", "56789"),
    ] {
        let reply = get(&mut client, "/digits.txt", &format!("Range: {range}"));
        assert_eq!((reply.status(), reply.text()), (206, content), "{range}");
        assert_eq!(reply.field("content-range"), Some(part));
        assert_eq!(reply.field("etag"), Some(tag.as_str()));
        assert_eq!(reply.field("content-type"), Some("text/plain; charset=utf-8"));
    }
}

#[test]
fn range_outside_the_file_is_416() {
    let (_server, mut client, _) = digits();
    for range in ["bytes=10-", "bytes=-0", "bytes=99999999999999999999999-"] {
        let reply = get(&mut client, "/digits.txt", &format!("Range: {range}"));
        assert_eq!(reply.status(), 416, "{range}");
        assert_eq!(reply.field("content-range"), Some("bytes */10"));
    }
    client.expect_open();
}

#[test]
fn ignorable_range_is_200() {
    let (server, mut client, _) = digits();
    for lines in [
        "Range: bytes=9-1",
        "Range: items=0-1",
        "Range: bytes=0-5,3-7",
        "Range: bytes=0-1\nRange: bytes=3-4",
        "Range: bytes=0-1\nIf-Range: \"a\"",
        "Range: bytes=0-1\nIf-Range: Sun, 06 Nov 1994 08:49:37 GMT",
    ] {
        let reply = get(&mut client, "/digits.txt", lines);
        assert_eq!((reply.status(), reply.text()), (200, "0123456789"), "{lines}");
    }
    let reply = request(&mut client, "HEAD", "/digits.txt", "Range: bytes=0-1");
    assert_eq!((reply.status(), reply.field("content-length")), (200, Some("10")));
    write(&server.root().join("empty.txt"), b"");
    assert_eq!(get(&mut client, "/empty.txt", "Range: bytes=0-").status(), 200);
}

#[test]
fn range_with_matching_if_range_or_if_match_is_206() {
    let (_server, mut client, tag) = digits();
    for lines in [format!("If-Range: {tag}"), format!("If-Match: {tag}")] {
        let lines = format!("Range: bytes=8-\n{lines}");
        assert_eq!(get(&mut client, "/digits.txt", &lines).text(), "89", "{lines}");
    }
}

/// RFC 9110, sections 13.1.5 and 8.8.2.2: that would take a strong one.
#[test]
fn date_never_validates_a_range() {
    let (_server, mut client, _, date) = dated();
    let date = http_date(date, 0);
    for condition in ["If-Range", "If-Unmodified-Since"] {
        let lines = format!("Range: bytes=8-\n{condition}: {date}");
        let reply = get(&mut client, "/digits.txt", &lines);
        assert_eq!((reply.status(), reply.text()), (200, "0123456789"), "{condition}");
    }
}

#[test]
fn several_ranges_are_multipart() {
    let (_server, mut client, _) = digits();
    let reply = get(&mut client, "/digits.txt", "Range: bytes=-1,0-1,4-5");
    assert_eq!(reply.status(), 206);
    assert_eq!(reply.field("content-range"), None);
    let content_type = reply.field("content-type").unwrap();
    let boundary = content_type.strip_prefix("multipart/byteranges; boundary=").unwrap();
    let head = |part| format!("Content-Type: text/plain; charset=utf-8\r\nContent-Range: {part}");
    let expected = format!(
        "--{boundary}\r\n{}\r\n\r\n9\r\n--{boundary}\r\n{}\r\n\r\n01\r\n--{boundary}\r\n{}\r\n\r\n45\r\n--{boundary}--\r\n",
        head("bytes 9-9/10"),
        head("bytes 0-1/10"),
        head("bytes 4-5/10"),
    );
    assert_eq!(reply.text(), expected);
    client.expect_open();
}

#[test]
fn range_of_large_file_is_206() {
    const LENGTH: u64 = 5 << 30;
    let server = TestServer::start();
    let path = server.root().join("sparse.bin");
    let file = File::create(path).unwrap();
    file.set_len(LENGTH).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"here", 5_000_000_000).unwrap();
    let mut client = server.connect();
    let reply = get(&mut client, "/sparse.bin", "Range: bytes=5000000000-5000000003");
    assert_eq!(reply.text(), "here");
    let reply = get(&mut client, "/sparse.bin", "Range: bytes=4999900000-5000000003");
    assert_eq!((reply.body.len(), reply.body.ends_with(b"here")), (100_004, true));
    let reply = get(&mut client, "/sparse.bin", "Range: bytes=0-0,5000000000-5000000003");
    assert!(reply.body.windows(4).any(|window| window == b"here"));
    client.expect_open();
}

/// A server with a style sheet and its siblings, each with a content that tells
/// which it is.
fn siblings() -> (TestServer, Client) {
    let server = TestServer::start();
    for name in ["style.css", "style.css.br", "style.css.gz", "style.css.zst"] {
        write_old(&server.root().join(name), name.as_bytes());
    }
    let client = server.connect();
    (server, client)
}

#[test]
fn sibling_is_sent_to_client_that_accepts_its_coding() {
    let (_server, mut client) = siblings();
    for (accepted, coding, content) in [
        ("gzip, deflate, br, zstd", Some("br"), "style.css.br"),
        ("gzip, zstd", Some("zstd"), "style.css.zst"),
        ("gzip", Some("gzip"), "style.css.gz"),
        ("br;q=0.1, gzip", Some("gzip"), "style.css.gz"),
        ("gzip;q=0", None, "style.css"),
        ("identity", None, "style.css"),
        ("", None, "style.css"),
        ("compress, identity;q=0", None, "style.css"),
    ] {
        let reply = get(&mut client, "/style.css", &format!("Accept-Encoding: {accepted}"));
        assert_eq!(reply.text(), content, "{accepted}");
        assert_eq!(reply.field("content-encoding"), coding, "{accepted}");
        assert_eq!(reply.field("content-type"), Some("text/css; charset=utf-8"));
        assert_eq!(reply.field("vary"), Some("Accept-Encoding"));
    }
}

#[test]
fn each_coding_has_its_own_tag_and_ranges() {
    let (_server, mut client) = siblings();
    let plain = settled(&mut client, "/style.css").field("etag").unwrap().to_owned();
    let brotli = loop {
        let reply = get(&mut client, "/style.css", "Accept-Encoding: br");
        if let Some(tag) = reply.field("etag") {
            break tag.to_owned();
        }
    };
    assert_ne!(plain, brotli);
    let lines = |tag: &str| format!("Accept-Encoding: br\nIf-None-Match: {tag}");
    assert_eq!(get(&mut client, "/style.css", &lines(&plain)).status(), 200);
    let reply = get(&mut client, "/style.css", &lines(&brotli));
    assert_eq!((reply.status(), reply.field("vary")), (304, Some("Accept-Encoding")));
    let reply = get(&mut client, "/style.css", "Accept-Encoding: br\nRange: bytes=-2");
    assert_eq!((reply.status(), reply.text()), (206, "br"));
    assert_eq!(reply.field("content-encoding"), Some("br"));
    assert_eq!(reply.field("content-range"), Some("bytes 10-11/12"));
}

#[test]
fn older_sibling_is_passed_over() {
    let (server, mut client) = siblings();
    fs::write(server.root().join("style.css"), "new").unwrap();
    let reply = get(&mut client, "/style.css", "Accept-Encoding: br, gzip");
    assert_eq!((reply.text(), reply.field("content-encoding")), ("new", None));
}

/// What was to make it failed or has just begun. The client would get nothing, or no page that
/// it can decode.
#[test]
fn empty_sibling_is_passed_over() {
    let (server, mut client) = siblings();
    write_old(&server.root().join("style.css.br"), b"");
    write_old(&server.root().join("style.css.gz"), b"");
    for (accepted, content) in
        [("gzip", "style.css"), ("br, gzip", "style.css"), ("br, zstd", "style.css.zst")]
    {
        for range in ["", "\nRange: bytes=0-"] {
            let lines = format!("Accept-Encoding: {accepted}{range}");
            let reply = get(&mut client, "/style.css", &lines);
            assert_eq!(reply.text(), content, "{lines}");
            assert_eq!(reply.field("vary"), Some("Accept-Encoding"), "{lines}");
        }
    }
}

/// Writes a file that was last modified at this time after the RFC's example.
fn write_at(path: &Path, content: &[u8], after: Duration) {
    write(path, content);
    let modified = UNIX_EPOCH + Duration::from_secs(784_111_777) + after;
    File::options().write(true).open(path).unwrap().set_modified(modified).unwrap();
}

/// Tools give a sibling the time of its file, more or less: brotli and pigz in whole seconds,
/// tar in a pipe in microseconds.
#[test]
fn sibling_older_by_less_than_a_second_is_of_the_same_version() {
    let server = TestServer::start();
    let mut client = server.connect();
    let file = Duration::from_nanos(1_999_999_999);
    for (older_ns, is_taken) in [
        (0, true),
        (1, true),
        (1_000, true),
        (999_999_999, true),
        (1_000_000_000, false),
        (1_500_000_000, false),
        (60_000_000_000, false),
    ] {
        let older = Duration::from_nanos(older_ns);
        let (name, sibling) = (format!("{older_ns}.css"), format!("{older_ns}.css.gz"));
        write_at(&server.root().join(&name), b"plain", file + Duration::from_secs(100));
        let time = file + Duration::from_secs(100) - older;
        write_at(&server.root().join(&sibling), b"sibling", time);
        let reply = get(&mut client, &format!("/{name}"), "Accept-Encoding: gzip");
        let expected = if is_taken { "sibling" } else { "plain" };
        assert_eq!(reply.text(), expected, "older by {older:?}");
    }
}

#[test]
fn sibling_is_sent_whatever_the_type() {
    let server = TestServer::start();
    let mut client = server.connect();
    for (name, media_type, is_compressible) in [
        ("a.tar", "application/x-tar", true),
        ("a.png", "image/png", false),
        ("a.woff2", "font/woff2", false),
        ("a.pdf", "application/pdf", false),
        ("a.wasm", "application/wasm", true),
        ("a.geojson", "application/geo+json", true),
        ("a.unknown-type", "application/octet-stream", false),
        ("none", "application/octet-stream", false),
    ] {
        write_old(&server.root().join(name), b"plain");
        let ask = |client: &mut Client, accepted: &str| {
            let lines = format!("Accept-Encoding: {accepted}");
            let reply = get(client, &format!("/{name}"), &lines);
            assert_eq!(reply.field("content-type"), Some(media_type), "{name}");
            let coding = reply.field("content-encoding").map(str::to_owned);
            (reply.text().to_owned(), coding, reply.field("vary").is_some())
        };
        let plain = |varies| ("plain".to_owned(), None, varies);
        assert_eq!(ask(&mut client, "gzip, br"), plain(is_compressible), "{name}");
        write_old(&server.root().join(format!("{name}.gz")), b"sibling");
        let sibling = ("sibling".to_owned(), Some("gzip".to_owned()), true);
        assert_eq!(ask(&mut client, "gzip, br"), sibling, "{name}");
        // Another client may get the other form, and caches are told.
        for accepted in ["", "identity", "br"] {
            assert_eq!(ask(&mut client, accepted), plain(true), "{name} for {accepted:?}");
        }
    }
}

#[test]
fn archive_requested_by_name_has_no_coding() {
    let server = TestServer::start();
    write_old(&server.root().join("a.tar.gz"), b"gz");
    let reply = get(&mut server.connect(), "/a.tar.gz", "Accept-Encoding: gzip");
    assert_eq!(reply.field("content-type"), Some("application/gzip"));
    assert_eq!((reply.field("content-encoding"), reply.field("vary")), (None, None));
}

/// The one extension that stands for a type and a coding.
#[test]
fn svgz_is_svg_in_gzip() {
    let server = TestServer::start();
    write_old(&server.root().join("a.svgz"), b"0123456789");
    // Siblings of it would be in two codings.
    write_old(&server.root().join("a.svgz.br"), b"twice");
    let mut client = server.connect();
    for (method, lines, status, body) in [
        ("GET", "Accept-Encoding: gzip, br", 200, "0123456789"),
        ("HEAD", "Accept-Encoding: gzip", 200, ""),
        // There is no other form of it.
        ("GET", "", 200, "0123456789"),
        ("GET", "Accept-Encoding: identity", 200, "0123456789"),
        ("GET", "Accept-Encoding: br, gzip;q=0", 200, "0123456789"),
        ("GET", "Accept-Encoding: gzip\nRange: bytes=2-4", 206, "234"),
    ] {
        let reply = request(&mut client, method, "/a.svgz", lines);
        assert_eq!((reply.status(), reply.text()), (status, body), "{lines}");
        assert_eq!(reply.field("content-type"), Some("image/svg+xml; charset=utf-8"));
        assert_eq!(reply.field("content-encoding"), Some("gzip"), "{lines}");
        assert_eq!(reply.field("vary"), None, "{lines}");
    }
}

/// Which of the two forms of a text a client gets may depend on how much there is to do; of
/// which form it gets a part must not.
#[test]
fn ranges_of_a_text_are_of_its_plain_form() {
    let server = Setup { workers: 2, ..Setup::default() }.start();
    let text: Vec<u8> =
        (0..400_000_u32).flat_map(|n| (n % 7919).to_string().into_bytes()).collect();
    for round in 0..6 {
        write_old(&server.root().join(format!("{round}.txt")), &text);
    }
    settled(&mut server.connect(), "/5.txt");
    for round in 0..6 {
        let target = format!("/{round}.txt");
        let replies: Vec<Reply> = std::thread::scope(|scope| {
            let ask = |number: usize| {
                let (server, target) = (&server, &target);
                let lines = ["", "Range: bytes=100-199"][usize::from(!number.is_multiple_of(4))];
                let lines = format!("Accept-Encoding: br, gzip\n{lines}");
                scope.spawn(move || get(&mut server.connect(), target, &lines))
            };
            let asked: Vec<_> = (0..20).map(ask).collect();
            asked.into_iter().map(|one| one.join().unwrap()).collect()
        });
        for reply in replies.iter().filter(|reply| reply.status() != 200) {
            assert_eq!(reply.status(), 206);
            assert_eq!(reply.field("content-encoding"), None, "{reply:?}");
            assert_eq!(reply.field("vary"), Some("Accept-Encoding"));
            assert_eq!(reply.body, text[100..200]);
            let part = format!("bytes 100-199/{}", text.len());
            assert_eq!(reply.field("content-range"), Some(part.as_str()));
        }
        // Who got all of it compressed and asks for the rest gets all of it.
        let coded = replies.iter().find(|reply| reply.field("content-encoding").is_some());
        if let Some(coded) = coded {
            assert_eq!(coded.field("accept-ranges"), None);
            let tag = coded.field("etag").unwrap();
            let lines = format!("Accept-Encoding: br, gzip\nRange: bytes=9-\nIf-Range: {tag}");
            let reply = get(&mut server.connect(), &target, &lines);
            assert_eq!((reply.status(), reply.field("content-encoding")), (200, None));
            assert!(reply.body == text);
        }
    }
}

#[test]
fn html_has_cache_control_no_cache() {
    let server = TestServer::start();
    assert_eq!(server.get("/").field("cache-control"), Some("no-cache"));
    assert_eq!(server.get("/hello.txt").field("cache-control"), None);
    let cache_control = vec![Rule::parse("*.txt=max-age=60").unwrap()];
    let site = Options { cache_control, ..Options::default() };
    let server = Setup { site, ..Setup::default() }.start();
    assert_eq!(server.get("/hello.txt").field("cache-control"), Some("max-age=60"));
    assert_eq!(server.get("/").field("cache-control"), Some("no-cache"));
}

#[test]
fn nearest_404_page_is_sent() {
    let server = TestServer::start();
    for folder in ["", "docs/", "docs/deep/"] {
        write(&server.root().join(folder).join("404.html"), folder.as_bytes());
    }
    fs::remove_file(server.root().join("docs/deep/404.html")).unwrap();
    for (target, page) in [
        ("/missing", ""),
        ("/missing/a/b/c", ""),
        ("/docs/missing", "docs/"),
        ("/docs/deep/missing", "docs/"),
        ("/docs/deep/missing/", "docs/"),
        ("/docs/hello/a/b", "docs/"),
        ("/.private/a", ""),
    ] {
        let reply = server.get(target);
        assert_eq!((reply.status(), reply.text()), (404, page), "{target}");
    }
}

#[test]
fn text_without_a_sibling_is_compressed() {
    let server = TestServer::start();
    let text = "It is all the same, again and again. ".repeat(100);
    write_old(&server.root().join("page.txt"), text.as_bytes());
    let mut client = server.connect();
    let plain = settled(&mut client, "/page.txt").field("etag").unwrap().to_owned();
    let mut tags = vec![plain];
    for coding in ["gzip", "br", "zstd"] {
        let accept = format!("Accept-Encoding: {coding}");
        let reply = get(&mut client, "/page.txt", &accept);
        assert_eq!(reply.field("content-encoding"), Some(coding));
        assert_eq!(reply.field("vary"), Some("Accept-Encoding"));
        assert!(reply.body.len() < text.len() / 5, "{coding}: {} bytes", reply.body.len());
        let tag = reply.field("etag").unwrap().to_owned();
        assert_eq!(reply.field("accept-ranges"), None);
        // A part is one of the file, and the word that it is known already.
        let part = get(&mut client, "/page.txt", &format!("{accept}\nRange: bytes=2-5"));
        assert_eq!((part.status(), part.text()), (206, &text[2..6]));
        assert_eq!(part.field("etag"), Some(tags[0].as_str()));
        let known = format!("{accept}\nIf-None-Match: {tag}");
        assert_eq!(get(&mut client, "/page.txt", &known).status(), 304);
        let head = request(&mut client, "HEAD", "/page.txt", &accept);
        let length = reply.body.len().to_string();
        assert_eq!(head.field("content-length"), Some(length.as_str()));
        tags.push(tag);
    }
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), 4, "representations share a tag: {tags:?}");
}

#[test]
fn small_binary_and_random_files_are_not_compressed() {
    let server = TestServer::start();
    let random: Vec<u8> =
        (0..2000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    write_old(&server.root().join("small.txt"), &[b'x'; 1000]);
    write_old(&server.root().join("picture.png"), &[b'x'; 5000]);
    write_old(&server.root().join("noise.txt"), &random);
    let mut client = server.connect();
    for target in ["/small.txt", "/picture.png", "/noise.txt"] {
        settled(&mut client, target);
        let reply = get(&mut client, target, "Accept-Encoding: gzip, br");
        assert_eq!(reply.field("content-encoding"), None, "{target}");
    }
}

#[test]
fn compression_switched_off_sends_plain_file() {
    let site = Options { compress: false, ..Options::default() };
    let server = Setup { site, ..Setup::default() }.start();
    write_old(&server.root().join("page.txt"), &[b'x'; 5000]);
    let mut client = server.connect();
    settled(&mut client, "/page.txt");
    let reply = get(&mut client, "/page.txt", "Accept-Encoding: gzip");
    assert_eq!((reply.field("content-encoding"), reply.body.len()), (None, 5000));
}
