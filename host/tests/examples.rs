//! The examples of `guest/examples`, in the server, and the default guest.

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, OnceLock};

use innkeeper::guest::LoadedGuest;
use wit_component::ComponentEncoder;

use crate::fixture::{Setup, TestServer, default_guest, engine, write};

fn start(guest: &[u8]) -> TestServer {
    let guest = LoadedGuest::load(engine(), guest).unwrap_or_else(|error| panic!("{error}"));
    Setup { guest: Arc::new(guest), ..Setup::default() }.start()
}

#[test]
fn default_guest_imports_nothing() {
    assert!(default_guest().imports().is_empty(), "{:?}", default_guest().imports());
}

/// An example from `guest/examples`, built as the README says.
pub fn example(name: &str) -> Vec<u8> {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        // A folder of its own: the cargo that runs the tests locks the usual one.
        let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("example-guests");
        let status = Command::new(env!("CARGO"))
            .current_dir(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".."))
            .args(["build", "-p", "hello", "-p", "i18n", "-p", "spa", "-p", "tour"])
            .args(["--target", "wasm32-unknown-unknown"])
            .args(["--profile", "guest", "--target-dir"])
            .arg(&target)
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env_remove("RUSTC_WORKSPACE_WRAPPER")
            .status()
            .unwrap();
        assert!(status.success(), "the examples do not build");
        target.join("wasm32-unknown-unknown/guest")
    });
    std::fs::read(folder.join(name).with_extension("wasm")).unwrap()
}

#[test]
fn hello_sends_its_page_for_every_path() {
    let module = example("hello");
    let component = ComponentEncoder::default().module(&module).unwrap().encode().unwrap();
    for form in [module, component] {
        let server = start(&form);
        for target in ["/", "/any/path?x", "/hello.txt"] {
            let reply = server.get(target);
            assert_eq!(reply.status(), 200);
            assert_eq!(reply.field("content-type"), Some("text/html; charset=utf-8"));
            assert!(reply.text().contains("<h1>Hello, World!</h1>"));
        }
        let mut client = server.connect();
        client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(client.reply().status(), 200);
        client.send("HEAD / HTTP/1.1\r\nHost: test\r\n\r\n");
        assert_eq!(client.reply_without_body().status(), 200);
        client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
        assert_eq!(client.reply().status(), 200);
    }
}

#[test]
fn every_kind_of_decision_is_carried_out() {
    let server = start(&example("tour"));
    // The second decision comes from the cache, and the response is the same.
    for _ in 0..2 {
        assert_eq!(server.get("/").text(), "<h1>home</h1>\n");
        assert_eq!(server.get("/hello").text(), "hello\n");
        assert_eq!(server.get("/nowhere").status(), 404);
        let docs = server.get("/docs");
        assert_eq!((docs.status(), docs.text()), (200, "<h1>docs</h1>\n"));
        assert_eq!(docs.field("cache-control"), Some("max-age=60"));
        assert_eq!(docs.field("content-security-policy"), Some("default-src 'self'"));
        let moved = server.get("/hello.txt");
        assert_eq!((moved.status(), moved.field("location")), (301, Some("/hello")));
        assert_eq!(server.get("/missing.txt").status(), 404);
        let blog = server.get("/blog");
        let elsewhere = Some("https://blog.example.org/");
        assert_eq!((blog.status(), blog.field("location")), (302, elsewhere));
        let secret = server.get("/secret");
        assert_eq!((secret.status(), secret.field("cache-control")), (404, Some("no-store")));
        let bare = server.get("/bare");
        assert_eq!((bare.status(), bare.field("location")), (301, Some("bare/")));
        let gone = server.get("/gone");
        assert_eq!((gone.status(), gone.text()), (410, "hello\n"));
        assert_eq!(gone.field("content-type"), Some("text/x-farewell"));
        let old = server.get("/old");
        assert_eq!((old.status(), old.field("location")), (308, Some("/new?from=old")));
        assert_eq!(old.field("cache-control"), Some("no-store"));
        let other = server.get("/other");
        assert_eq!((other.status(), other.field("content-length")), (204, None));
    }
}

/// The fields of a decision belong to the file: a refusal, and the frame around several
/// parts, have fields of the host.
#[test]
fn fields_of_a_guest_go_with_its_file_alone() {
    let server = start(&example("tour"));
    let ask = |lines: &str| {
        let mut client = server.connect();
        client.send(format!("GET /typed HTTP/1.1\r\nHost: test\r\n{lines}\r\n"));
        client.reply()
    };
    let whole = ask("");
    assert_eq!((whole.status(), whole.text()), (200, "hello\n"));
    assert_eq!(whole.field("content-type"), Some("text/x-typed"));
    let parts = ask("Range: bytes=0-0,2-3\r\n");
    assert!(parts.field("content-type").unwrap().starts_with("multipart/byteranges; boundary="));
    assert_eq!(parts.text().matches("\r\nContent-Type: text/x-typed\r\n").count(), 2);
    assert_eq!(parts.field("cache-control"), Some("max-age=60"));
    for (lines, status) in [("Range: bytes=99-\r\n", 416), ("If-Match: \"a\"\r\n", 412)] {
        let refusal = ask(lines);
        assert_eq!(refusal.status(), status);
        assert_eq!(refusal.field("content-type"), Some("text/plain; charset=utf-8"));
        assert_eq!(refusal.field("cache-control"), None);
    }
}

/// A kept response depends on the guest's fields and status as well as on the file.
#[test]
fn decisions_about_one_file_are_not_mixed_up() {
    for first in ["/hello", "/typed"] {
        let server = start(&example("tour"));
        let mut client = server.connect();
        let mut ask = |target: &str, lines: &str| {
            client.send(format!("GET {target} HTTP/1.1\r\nHost: test\r\n{lines}\r\n"));
            let mut reply = client.reply();
            reply.fields.retain(|(name, _)| name != "Date");
            (reply.status_line, reply.fields, reply.body)
        };
        // A file that was written a moment ago has no `Last-Modified` yet.
        let mut fields = Vec::new();
        while !fields.iter().any(|(name, _)| name == "Last-Modified") {
            (_, fields, _) = ask(first, "");
        }
        let (_, tag) = fields.into_iter().find(|(name, _)| name == "ETag").unwrap();
        let targets = ["/hello", "/typed", "/gone"];
        for known in [String::new(), format!("If-None-Match: {tag}\r\n")] {
            // One more condition, which changes nothing, bypasses kept responses.
            let fresh = targets.map(|target| ask(target, &format!("{known}If-Range: \"a\"\r\n")));
            // A busy worker keeps its first response.
            for round in 0..300 {
                let which = round % 3;
                assert_eq!(ask(targets[which], &known), fresh[which], "{}", targets[which]);
            }
        }
    }
}

#[test]
fn guest_sees_its_interests_and_nothing_else() {
    let server = start(&example("tour"));
    let mut client = server.connect();
    for agent in ["one", "two", "one"] {
        client.send(format!(
            "GET /whoami HTTP/1.1\r\nHost: test\r\nCookie: secret\r\nuser-AGENT: {agent}\r\n\r\n"
        ));
        let facts = ":client-address=127.0.0.1\n:scheme=http\n:protocol=http/1.1\n";
        let told = format!("{facts}user-agent={agent}\n");
        assert_eq!(client.reply().text(), told);
    }
}

/// A redirect or a reply of a guest is sent for every method; files are not.
#[test]
fn method_is_applied_by_the_host_to_files_alone() {
    let server = start(&example("tour"));
    for (request, status) in [
        ("POST /old", 308),
        ("BREW /whoami", 200),
        ("POST /hello", 405),
        ("OPTIONS /docs", 204),
        ("BREW /nowhere", 501),
    ] {
        let mut client = server.connect();
        client.send(format!("{request} HTTP/1.1\r\nHost: test\r\n\r\n"));
        assert_eq!(client.reply().status(), status, "{request}");
    }
}

#[test]
fn route_without_a_file_is_the_page_of_the_app() {
    let server = start(&example("spa"));
    write(&server.root().join("about.html"), b"<h1>about</h1>");
    for (target, status, text) in [
        ("/", 200, "<h1>home</h1>\n"),
        ("/about", 200, "<h1>about</h1>"),
        ("/docs", 200, "<h1>docs</h1>\n"),
        ("/docs/", 200, "<h1>docs</h1>\n"),
        ("/a/route?of=the-app", 200, "<h1>home</h1>\n"),
        ("/a/route/", 200, "<h1>home</h1>\n"),
        ("/hello.txt", 200, "hello\n"),
        ("/missing.css", 404, "File not found\n"),
        ("/.env", 404, "File not found\n"),
    ] {
        let reply = server.get(target);
        assert_eq!((reply.status(), reply.text()), (status, text), "{target}");
    }
}

#[test]
fn missing_page_has_the_vary_of_the_site() {
    let server = start(&example("i18n"));
    let mut client = server.connect();
    client.send("GET /nowhere HTTP/1.1\r\nHost: test\r\nAccept-Language: de\r\n\r\n");
    let reply = client.reply();
    assert_eq!(reply.status(), 404);
    let vary = reply.field("vary").unwrap().to_ascii_lowercase();
    assert!(vary.contains("accept-language"), "{vary}");
}
