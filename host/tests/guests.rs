//! Guests that misbehave, each in its way: the client whose request it was gets
//! a 500, and nobody else is touched.
//!
//! Each guest here is one of `wat_guest`: it behaves unless the path begins with
//! `/x`.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use innkeeper::guest::{DEFAULT_GUEST, Engine, Facts, Generation, GuestLimits};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::fixture::{Setup, TestServer, default_guest, engine, write};
use crate::wat_guest::{DECISION, module, text};

fn start(guest: &[u8]) -> TestServer {
    let guest = Generation::load(engine(), guest).unwrap_or_else(|error| panic!("{error}"));
    Setup { guest: Arc::new(guest), ..Setup::default() }.start()
}

/// What asking a guest for a decision on `GET /x` gives, in the words of the log.
fn failure(guest: &Generation) -> String {
    let facts = Facts { client: "127.0.0.1".parse().unwrap() };
    match guest.try_out(b"GET /x HTTP/1.1", [].into_iter(), facts) {
        Ok(decision) => panic!("it decided: {decision:?}"),
        Err(failure) => on_one_line(failure.to_string()),
    }
}

/// A text for the log, which has one line for it.
#[track_caller]
fn on_one_line(text: String) -> String {
    assert!(!text.chars().any(char::is_control), "not on one line: {text:?}");
    text
}

/// Lets the guest misbehave, in the log's words, and looks at everyone else.
#[track_caller]
fn misbehaves(items: &str, misbehave: &str, cause: &str) {
    let bytes = module(items, misbehave);
    let guest = Generation::load(engine(), &bytes).unwrap_or_else(|error| panic!("{error}"));
    let told = failure(&guest);
    assert!(told.contains(cause), "the log says: {told}");
    let server = Setup { guest: Arc::new(guest), ..Setup::default() }.start();
    let (mut client, mut other) = (server.connect(), server.connect());
    for _ in 0..2 {
        client.send("GET /x HTTP/1.1\r\nHost: test\r\n\r\n");
        let reply = client.reply();
        assert_eq!((reply.status(), reply.text()), (500, "Internal Server Error\n"));
        // The same connection and others go on, and nothing is remembered.
        for client in [&mut client, &mut other] {
            client.send("GET /a HTTP/1.1\r\nHost: test\r\n\r\n");
            assert_eq!(client.reply().status(), 404);
        }
    }
}

/// Misbehaves by a decision: the bytes of one, at its address.
#[track_caller]
fn decides(data: &str, cause: &str) {
    let items = format!(r#"(data (i32.const {DECISION}) "{data}")"#);
    misbehaves(&items, &format!("(return (i32.const {DECISION}))"), cause);
}

#[test]
fn traps() {
    misbehaves("", "unreachable", "unreachable");
}

#[test]
fn divides_by_zero() {
    misbehaves("", "(drop (i32.div_u (i32.const 1) (i32.const 0)))", "divide by zero");
}

#[test]
fn loads_out_of_bounds() {
    misbehaves("", "(drop (i32.load (i32.const -8)))", "out of bounds memory access");
}

#[test]
fn loops() {
    misbehaves("", "(loop $again (br $again))", "deadline");
}

/// A guest that is slow on purpose gets threads of its own to be slow on. What is
/// more than they can do waits for a second, and is told to come again.
#[test]
fn loops_for_many_clients_at_a_time() {
    let guest = module("", "(loop $again (br $again))");
    // One worker, and one thread beside it.
    let engine = Arc::new(Engine::new(GuestLimits::default(), 1).unwrap());
    let guest = Arc::new(Generation::load(&engine, &guest).unwrap());
    let server = Setup { guest: Arc::clone(&guest), workers: 1, ..Setup::default() }.start();
    let mut slow: Vec<_> = (0..30).map(|_| server.connect()).collect();
    for (number, client) in slow.iter_mut().enumerate() {
        client.send(format!("GET /x{number} HTTP/1.1\r\nHost: test\r\n\r\n"));
    }
    // Thirty at a tenth of a second would be three seconds, if they were in the way.
    let mut honest = server.connect();
    let mut slowest = Duration::ZERO;
    for number in 0..200 {
        let began = Instant::now();
        honest.send(format!("GET /{number} HTTP/1.1\r\nHost: test\r\n\r\n"));
        assert_eq!(honest.reply().status(), 404);
        slowest = slowest.max(began.elapsed());
    }
    assert!(slowest < Duration::from_secs(2), "one request took {slowest:?}");
    let statuses: Vec<_> = slow.iter_mut().map(|client| client.reply().status()).collect();
    assert!(statuses.iter().all(|status| [500, 503].contains(status)), "{statuses:?}");
    assert!(statuses.contains(&500) && statuses.contains(&503), "{statuses:?}");
    let counts = guest.counts();
    assert_eq!(counts.deadline + counts.busy, 30, "{counts:?}");
}

#[test]
fn recurses() {
    let items = "(func $deeper (result i32) (i32.add (i32.const 1) (call $deeper)))";
    misbehaves(items, "(drop (call $deeper))", "call stack exhausted");
}

#[test]
fn grows_its_memory() {
    let grow = "(loop $more (drop (memory.grow (i32.const 16))) (br $more))";
    misbehaves("", grow, "bytes of memory");
}

#[test]
fn grows_its_table() {
    let grow = "(drop (table.grow $t (ref.null func) (i32.const 10000000)))";
    misbehaves("(table $t 1 funcref)", grow, "table cannot grow");
}

#[test]
fn returns_a_decision_out_of_bounds() {
    misbehaves("", "(return (i32.const -8))", "bounds");
}

#[test]
fn returns_a_decision_that_is_not_aligned() {
    misbehaves("", "(return (i32.const 1025))", "align");
}

#[test]
fn returns_a_case_that_does_not_exist() {
    decides(r"\09", "discriminant");
}

#[test]
fn returns_text_that_is_not_utf8() {
    decides(r"\01\00\00\00\00\10\00\00\02\00\00\00", "is not a path");
    let items = r#"(data (i32.const 1024) "\01\00\00\00\00\10\00\00\02\00\00\00")
        (data (i32.const 4096) "\c3\28")"#;
    misbehaves(items, "(return (i32.const 1024))", "utf-8");
}

#[test]
fn returns_text_out_of_bounds() {
    decides(r"\01\00\00\00\00\10\00\00\ff\ff\ff\7f", "bounds");
}

/// A path of the guest's, which lies at 4096.
#[track_caller]
fn names(path: &str) {
    let length = path.len();
    let items = format!(
        r#"(data (i32.const 1024) "\01\00\00\00\00\10\00\00\{length:02x}\00\00\00")
        (data (i32.const 4096) "{path}")"#
    );
    misbehaves(&items, "(return (i32.const 1024))", "is not a path below the root");
}

#[test]
fn names_a_path_above_the_root() {
    names("../outside.txt");
    names("docs/../../outside.txt");
}

#[test]
fn names_an_absolute_path() {
    names("/etc/passwd");
}

#[test]
fn names_nothing() {
    names("");
}

/// A reply with this status, as little-endian bytes, and no fields or body.
#[test]
fn replies_with_a_status_that_is_none() {
    for status in [r"\00\00", r"\63\00", r"\64\00", r"\65\00", r"\30\01", r"\58\02", r"\ff\ff"] {
        decides(&format!(r"\05\00\00\00{status}"), "status");
    }
}

#[test]
fn splits_the_answer() {
    // A reply with one field, `a`, whose value has a line end in it.
    let items = r#"
        (data (i32.const 1024) "\05\00\00\00\c8\00\00\00\00\10\00\00\01\00\00\00")
        (data (i32.const 4096) "\00\20\00\00\01\00\00\00\00\30\00\00\0b\00\00\00")
        (data (i32.const 8192) "a")
        (data (i32.const 12288) "b\0d\0aEvil: yes")"#;
    misbehaves(items, "(return (i32.const 1024))", "control character");
}

#[test]
fn frames_the_answer() {
    let items = r#"
        (data (i32.const 1024) "\05\00\00\00\c8\00\00\00\00\10\00\00\01\00\00\00")
        (data (i32.const 4096) "\00\20\00\00\0e\00\00\00\00\30\00\00\01\00\00\00")
        (data (i32.const 8192) "Content-Length")
        (data (i32.const 12288) "0")"#;
    misbehaves(items, "(return (i32.const 1024))", "the host alone writes");
}

#[test]
fn redirects_to_a_script() {
    let items = r#"
        (data (i32.const 1024) "\04\00\00\00\2d\01\00\00\00\10\00\00\0c\00\00\00")
        (data (i32.const 4096) "javascript:1")"#;
    misbehaves(items, "(return (i32.const 1024))", "is not an http or https URL");
}

#[test]
fn replies_with_too_much() {
    // 16 MiB of body: more than a decision may take of the host's memory.
    let grow = "(drop (memory.grow (i32.const 256))) (return (i32.const 1024))";
    let items = r#"(data (i32.const 1024) "\05\00\00\00\c8\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\01")"#;
    misbehaves(items, grow, "fuel");
}

#[test]
fn replies_with_a_field_a_million_times() {
    // A list of a million fields. Their names and values overlap, so that the
    // guest has 16 MiB of memory, and the host would need terabytes.
    let grow = "(drop (memory.grow (i32.const 256))) (return (i32.const 1024))";
    let items = r#"(data (i32.const 1024) "\05\00\00\00\c8\00\00\00\00\00\00\00\00\00\10\00")"#;
    misbehaves(items, grow, "fuel");
}

#[test]
fn decisions_are_counted() {
    let guest = Arc::new(Generation::load(engine(), &module("", "unreachable")).unwrap());
    let server = Setup { guest: Arc::clone(&guest), ..Setup::default() }.start();
    let mut client = server.connect();
    for target in ["/a", "/a", "/b", "/a", "/x", "/x"] {
        client.send(format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n"));
        client.reply();
    }
    let counts = guest.counts();
    assert_eq!((counts.remembered, counts.computed, counts.trap), (2, 4, 2), "{counts:?}");
}

#[test]
fn nothing_is_remembered_when_that_is_switched_off() {
    let limits = GuestLimits { remembered_bytes: 0, ..GuestLimits::default() };
    let engine = Arc::new(Engine::new(limits, 2).unwrap());
    let guest = Arc::new(Generation::load(&engine, DEFAULT_GUEST).unwrap());
    let server = Setup { guest: Arc::clone(&guest), ..Setup::default() }.start();
    for _ in 0..3 {
        server.connect().expect_open();
    }
    assert_eq!((guest.counts().remembered, guest.counts().computed), (0, 3));
}

#[test]
fn tries_to_remember() {
    // It counts in its memory, and misbehaves at the second request.
    let count = "(i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (i32.const 1)))
        (if (i32.gt_u (i32.load (i32.const 8)) (i32.const 1)) (then unreachable))";
    let server = start(&module("", count));
    for number in 0..5 {
        assert_eq!(server.get(&format!("/x{number}")).status(), 404);
    }
}

/// Guests that are refused when they are loaded, each with a reason.
#[track_caller]
fn is_not_loaded(bytes: &[u8], reason: &str) {
    match Generation::load(engine(), bytes) {
        Ok(_) => panic!("it was loaded"),
        Err(error) => {
            assert!(on_one_line(error.clone()).contains(reason), "it is refused with: {error}");
        }
    }
}

/// What wasmtime says of such a name is two lines, and names are the guest's.
#[test]
fn a_name_that_is_none_is_told_on_one_line() {
    let named = |name: &str| wat::parse_str(format!("(component (import {name:?} (func)))"));
    is_not_loaded(&named("imporN").unwrap(), "not in kebab case");
    is_not_loaded(&named("a\u{1b}[2J").unwrap(), "not in kebab case");
    is_not_loaded(&named(&("n".repeat(50_000) + "N")).unwrap(), "bytes more");
}

#[test]
fn loops_in_its_start_function() {
    let items = "(func $start (loop $again (br $again))) (start $start)";
    is_not_loaded(&module(items, ""), "deadline");
}

#[test]
fn traps_in_its_start_function() {
    is_not_loaded(&module("(func $start unreachable) (start $start)", ""), "unreachable");
}

#[test]
fn asks_for_four_gibibytes() {
    is_not_loaded(&module("(memory $large 65535)", ""), "memor");
}

#[test]
fn is_no_guest() {
    is_not_loaded(b"", "it is empty");
    is_not_loaded(b"not wasm at all", "not WebAssembly");
    is_not_loaded(b"\0asm\x01\0\0\0", "without a component type");
    let truncated = &DEFAULT_GUEST[..DEFAULT_GUEST.len() / 2];
    is_not_loaded(truncated, "does not compile");
    let other_world = wat::parse_str("(component)").unwrap();
    is_not_loaded(&other_world, "does not export the world");
}

/// A toolchain adds imports that are never called. They are inert: calling one
/// traps.
#[test]
fn calls_an_import() {
    let import = r#"(import "test:extra/clock" "now" (func $now))"#;
    let text = text(import, "", "(call $now)");
    let mut resolve = Resolve::default();
    let wit = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../wit");
    resolve.push_dir(wit).unwrap();
    let extra = "package test:extra;
        interface clock { now: func(); }
        world extra { import clock; export innkeeper:policy/policy@0.1.0; }";
    let package = resolve.push_str("extra.wit", extra).unwrap();
    let world = resolve.select_world(&[package], Some("extra")).unwrap();
    let mut module = wat::parse_str(text).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    let guest = Generation::load(engine(), &module).unwrap();
    assert_eq!(guest.imports(), ["test:extra/clock"]);
    assert!(failure(&guest).contains("unknown import"), "{}", failure(&guest));
    let server = start(&module);
    assert_eq!(server.get("/x").status(), 500);
    assert_eq!(server.get("/a").status(), 404);
}

#[test]
fn the_default_guest_imports_nothing() {
    assert!(default_guest().imports().is_empty(), "{:?}", default_guest().imports());
}

/// An example from `guest/examples`, built as the README says.
fn example(name: &str) -> Vec<u8> {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        // A folder of its own: the usual one may be locked by who runs the tests.
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
fn hello_answers_its_page_for_every_path() {
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
    // The second time the decision is remembered, and the answer is the same.
    for _ in 0..2 {
        assert_eq!(server.get("/").text(), "<h1>home</h1>\n");
        assert_eq!(server.get("/hello").text(), "hello\n");
        assert_eq!(server.get("/nowhere").status(), 404);
        let docs = server.get("/docs");
        assert_eq!((docs.status(), docs.text()), (200, "<h1>docs</h1>\n"));
        assert_eq!(docs.field("cache-control"), Some("max-age=60"));
        let bare = server.get("/bare");
        assert_eq!((bare.status(), bare.field("location")), (301, Some("/bare/")));
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

/// The fields that a guest gives a file are the file's: a refusal and the frame
/// around several parts are in the host's words.
#[test]
fn a_guests_fields_go_with_its_file() {
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

#[test]
fn a_guest_is_told_what_it_is_interested_in() {
    let server = start(&example("tour"));
    let mut client = server.connect();
    for agent in ["one", "two", "one"] {
        client.send(format!(
            "GET /whoami HTTP/1.1\r\nHost: test\r\nCookie: secret\r\nuser-AGENT: {agent}\r\n\r\n"
        ));
        let told = format!(":client-address=127.0.0.1\n:scheme=http\nuser-agent={agent}\n");
        assert_eq!(client.reply().text(), told);
    }
}

/// A redirect and a reply of the guest's are for every method; files are not.
#[test]
fn methods_are_the_hosts_where_files_are_served() {
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
fn a_single_page_app_answers_for_its_routes() {
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
fn what_is_not_there_varies_as_what_is_there_does() {
    let server = start(&example("i18n"));
    let mut client = server.connect();
    client.send("GET /nowhere HTTP/1.1\r\nHost: test\r\nAccept-Language: de\r\n\r\n");
    let reply = client.reply();
    assert_eq!(reply.status(), 404);
    let vary = reply.field("vary").unwrap().to_ascii_lowercase();
    assert!(vary.contains("accept-language"), "{vary}");
}
