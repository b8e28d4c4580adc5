//! Guests that misbehave, each in its way: the client whose request it was gets
//! a 500, and nobody else is touched.
//!
//! Each guest here is one of `wat_guest`: it behaves unless the path begins with
//! `/x`.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use innkeeper::clients::{Clients, Proxies};
use innkeeper::guest::offer::Offer;
use innkeeper::guest::origin::Origin;
use innkeeper::guest::validation::make_live;
use innkeeper::guest::{DEFAULT_GUEST, DecisionLimits, Engine, Facts, GuestLimits, LoadedGuest};
use innkeeper::http1::Limits;
use innkeeper_guest::{Candidate, Decision, Redirect, Serve};
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::deciding_guest::deciding;
use crate::fixture::{Client, Setup, TestServer, engine, site};
use crate::running::{Program, TOKEN, begin_change, serving};
use crate::wat_guest::{DECISION, interested, module, reallocating, saying, text};

fn start(guest: &[u8]) -> TestServer {
    let guest = LoadedGuest::load(engine(), guest).unwrap_or_else(|error| panic!("{error}"));
    Setup { guest: Arc::new(guest), ..Setup::default() }.start()
}

/// What asking a guest for a decision on `GET /x` gives, in the words of the log.
fn failure(guest: &LoadedGuest) -> String {
    let facts = Facts::plain("127.0.0.1".parse().unwrap());
    match guest.decide_uncached(b"GET /x HTTP/1.1", [].into_iter(), facts) {
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
    misbehaves_on(engine(), items, misbehave, cause);
}

#[track_caller]
fn misbehaves_on(engine: &Arc<Engine>, items: &str, misbehave: &str, cause: &str) {
    let bytes = module(items, misbehave);
    let load = || LoadedGuest::load(engine, &bytes).unwrap_or_else(|error| panic!("{error}"));
    let guest = load();
    let told = failure(&guest);
    assert!(told.contains(cause), "the log says: {told}");
    costs_one_request(guest);
    // The same on live instances, if it may have some: it may change its memory, and no table.
    let guest = load();
    let live = make_live::now(&guest, &offer(&bytes)).unwrap();
    assert_eq!(live.is_ok(), !misbehave.contains("table."), "{live:?}");
    costs_one_request(guest);
}

/// Lets the guest misbehave, and looks at everyone else.
#[track_caller]
fn costs_one_request(guest: LoadedGuest) {
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

/// A guest of these bytes, and nothing besides.
fn offer(bytes: &[u8]) -> Offer {
    Offer { guest: bytes.to_vec().into(), origin: Origin::Uploaded, data: None, cases: Vec::new() }
}

/// Misbehaves by a decision: the bytes of one, at its address.
#[track_caller]
fn decides(data: &str, cause: &str) {
    let items = format!(r#"(data (i32.const {DECISION}) "{data}")"#);
    misbehaves(&items, &format!("(return (i32.const {DECISION}))"), cause);
}

/// The usual limits with this deadline.
fn within(deadline: Duration) -> GuestLimits {
    let decision = DecisionLimits { deadline, ..DecisionLimits::default() };
    GuestLimits { decision, ..GuestLimits::default() }
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
    let guest = Arc::new(LoadedGuest::load(&engine, &guest).unwrap());
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

/// More than may wait: those beyond are told to come again, and what is remembered is
/// answered as ever.
#[test]
fn a_flood_of_slow_decisions_leaves_what_is_remembered_alone() {
    let guest = module("", "(loop $again (br $again))");
    let limits = within(Duration::from_millis(20));
    let engine = Arc::new(Engine::new(limits, 1).unwrap());
    let guest = Arc::new(LoadedGuest::load(&engine, &guest).unwrap());
    let server = Setup { guest: Arc::clone(&guest), workers: 1, ..Setup::default() }.start();
    let mut honest = server.connect();
    honest.send("GET /known HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(honest.reply().status(), 404);
    let mut flood: Vec<_> = (0..200).map(|_| server.connect()).collect();
    for (number, client) in flood.iter_mut().enumerate() {
        client.send(format!("GET /x{number} HTTP/1.1\r\nHost: test\r\n\r\n"));
    }
    for _ in 0..200 {
        honest.send("GET /known HTTP/1.1\r\nHost: test\r\n\r\n");
        assert_eq!(honest.reply().status(), 404);
    }
    let replies: Vec<_> = flood.iter_mut().map(Client::reply).collect();
    let refused: Vec<_> = replies.iter().filter(|reply| reply.status() == 503).collect();
    // One runs and 128 wait at a time; in the second that they wait at most, 50 are decided.
    assert!(refused.len() > 70, "{} of 200 were refused", refused.len());
    assert!(refused.len() < 200, "all were refused");
    assert!(refused.iter().all(|reply| reply.field("Retry-After") == Some("1")));
    assert!(replies.iter().all(|reply| [500, 503].contains(&reply.status())));
    assert_eq!(guest.counts().busy, refused.len() as u64);
}

/// Instructions, and not time: they are the same on every machine. A guest whose decisions take
/// long on average is slow for all its clients.
#[test]
fn the_built_in_guest_is_fast_on_any_line() {
    let engine = Arc::new(Engine::counting(GuestLimits::default()).unwrap());
    let guest = LoadedGuest::load(&engine, DEFAULT_GUEST).unwrap();
    let facts = Facts::plain([127, 0, 0, 1].into());
    let room = Limits::default().request.line_bytes - "GET / HTTP/1.1".len();
    for unit in [
        "a", "/", "a/", "./", "../", "a/../", "%41", "%41/", "%2e/", "%2f", "%C3%A9", ".a/", "?",
        "\\",
    ] {
        let line = format!("GET /{} HTTP/1.1", unit.repeat(room / unit.len()));
        let cost = guest.measure(line.as_bytes(), [].into_iter(), facts).unwrap();
        let per_byte = cost.instructions.unwrap() / line.len() as u64;
        assert!(per_byte <= MOST_PER_BYTE, "{unit}: {per_byte} instructions for each byte");
    }
}

/// What the built-in guest may take for each byte of a line: `a` takes 111, `a/` 149.
const MOST_PER_BYTE: u64 = 200;

/// Each decision takes all of its deadline, so the flood has more to do than can be done.
#[test]
fn a_flood_of_one_client_leaves_others_their_turns() {
    let guest = module("", "(loop $again (br $again))");
    let limits = within(Duration::from_millis(20));
    let engine = Arc::new(Engine::new(limits, 1).unwrap());
    let guest = Arc::new(LoadedGuest::load(&engine, &guest).unwrap());
    let trusted = vec!["127.0.0.1/32".parse().unwrap()];
    let proxies = Proxies { trusted, ..Proxies::default() };
    let clients = Clients { proxies, ..Clients::default() };
    let server = Setup { guest, clients, workers: 1, ..Setup::default() }.start();
    let request = |number: usize, client: &str| {
        format!("GET /x{number} HTTP/1.1\r\nHost: test\r\nX-Forwarded-For: {client}\r\n\r\n")
    };
    let mut flood: Vec<_> = (0..200).map(|_| server.connect()).collect();
    for (number, client) in flood.iter_mut().enumerate() {
        client.send(request(number, "192.0.2.1"));
    }
    // The first that are too many are told so: now there is no room.
    assert!(flood.iter_mut().skip(150).any(|client| client.reply().status() == 503));
    let mut honest = server.connect();
    for number in 1_000..1_005 {
        honest.send(request(number, "192.0.2.2"));
        assert_eq!(honest.reply().status(), 500, "it is decided on, though in vain");
    }
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

/// All that it may have: 64 MiB, of which it writes a byte in each page.
#[test]
fn grows_its_memory_and_touches_it() {
    let touch = "(local $at i32) (drop (memory.grow (i32.const 1022)))
        (loop $more
            (i32.store8 (local.get $at) (i32.const 1))
            (local.set $at (i32.add (local.get $at) (i32.const 4096)))
            (br_if $more (i32.lt_u (local.get $at) (i32.const 67108864))))
        unreachable";
    let items = format!("(func $touch {touch})");
    // It has the time for it, however busy the machine is.
    let limits = within(Duration::from_secs(10));
    let engine = Arc::new(Engine::new(limits, 1).unwrap());
    misbehaves_on(&engine, &items, "(call $touch)", "unreachable");
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

/// A gibibyte of it, in a memory of 64 MiB.
#[test]
fn returns_a_gibibyte_of_text() {
    decides(r"\01\00\00\00\00\10\00\00\00\00\00\40", "bounds");
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

#[test]
fn names_a_path_with_nul() {
    let items = r#"(data (i32.const 1024) "\01\00\00\00\00\10\00\00\05\00\00\00")
        (data (i32.const 4096) "a\00b/c")"#;
    misbehaves(items, "(return (i32.const 1024))", "is not a path below the root");
}

/// No file has such a name.
#[test]
fn names_a_path_of_a_mebibyte() {
    let items = r#"(data (i32.const 1024) "\01\00\00\00\00\00\10\00\00\00\10\00")"#;
    let name = "(drop (memory.grow (i32.const 64)))
        (memory.fill (i32.const 1048576) (i32.const 97) (i32.const 1048576))
        (return (i32.const 1024))";
    let server = start(&module(items, name));
    assert_eq!(server.get("/x").status(), 404);
}

/// A reply with this status, as little-endian bytes, and no fields or body.
#[test]
fn replies_with_a_status_that_is_none() {
    for status in [r"\00\00", r"\63\00", r"\64\00", r"\65\00", r"\30\01", r"\58\02", r"\ff\ff"] {
        decides(&format!(r"\05\00\00\00{status}"), "status");
    }
}

/// A decision that breaks a rule, of a guest that its toolchain would have made.
#[track_caller]
fn makes(decision: impl Into<Decision>, cause: &str) {
    let guest = LoadedGuest::load(engine(), &deciding(&[(b'x', decision.into())])).unwrap();
    let told = failure(&guest);
    assert!(told.contains(cause), "the log says: {told}");
    let server = Setup { guest: Arc::new(guest), ..Setup::default() }.start();
    for method in ["GET", "HEAD", "POST", "OPTIONS"] {
        let mut client = server.connect();
        client.send(format!("{method} /x HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n"));
        assert_eq!(client.try_reply(method != "HEAD").unwrap().status(), 500, "{method}");
    }
}

#[test]
fn redirects_to_nowhere_if_a_page_is_there() {
    let page = || Candidate::file("hello.txt");
    makes(page().status(301), "a candidate with status 301 needs a location");
    makes(page().moved(200, "/a"), "and not 200");
    makes(page().moved(304, "/a"), "and not 304");
    makes(page().moved(301, ""), "is not an http or https URL");
    makes(page().moved(301, "javascript:alert(1)"), "is not an http or https URL");
    makes(page().moved(301, "/a\r\nx: y"), "is not an http or https URL");
    let otherwise = |redirect| Serve::nothing().otherwise(redirect);
    makes(otherwise(Redirect::new(200, "/a")), "status 200");
    makes(otherwise(Redirect::new(302, "data:,a")), "is not an http or https URL");
}

#[test]
fn has_a_candidate_too_many() {
    let many = (0..17).map(|_| Candidate::file("a"));
    makes(Serve::first_of(many), "17 candidates; at most 16 are allowed");
}

#[test]
fn takes_a_field_of_the_host_wherever_there_are_fields() {
    for name in ["Content-Length", "etag", "Location"] {
        let cause = format!("the host alone writes {name:?}");
        let page = || Candidate::file("hello.txt");
        makes(page().with(name, "1"), &cause);
        makes(Serve::one(page()).with(name, "1"), &cause);
        makes(Serve::one(page()).otherwise(Redirect::new(302, "/").with(name, "1")), &cause);
        makes(Serve::nothing().with(name, "1"), &cause);
    }
}

#[test]
fn has_more_fields_than_a_response_may_have() {
    let mut page = Candidate::file("hello.txt");
    let mut serve = Serve::nothing();
    for number in 0..40 {
        page = page.with(format!("a-{number}"), "");
        serve = serve.with(format!("b-{number}"), "");
    }
    serve.candidates.push(page);
    makes(serve, "more than 64 fields");
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
    let guest = Arc::new(LoadedGuest::load(engine(), &module("", "unreachable")).unwrap());
    let server = Setup { guest: Arc::clone(&guest), ..Setup::default() }.start();
    let mut client = server.connect();
    for target in ["/a", "/a", "/b", "/a", "/x", "/x"] {
        client.send(format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n"));
        client.reply();
    }
    let counts = guest.counts();
    assert_eq!((counts.cache_hits, counts.cache_misses, counts.trap), (2, 4, 2), "{counts:?}");
}

#[test]
fn nothing_is_remembered_when_that_is_switched_off() {
    let limits = GuestLimits { decision_cache_bytes: 0, ..GuestLimits::default() };
    let engine = Arc::new(Engine::new(limits, 2).unwrap());
    let guest = Arc::new(LoadedGuest::load(&engine, DEFAULT_GUEST).unwrap());
    let server = Setup { guest: Arc::clone(&guest), ..Setup::default() }.start();
    for _ in 0..3 {
        server.connect().expect_open();
    }
    assert_eq!((guest.counts().cache_hits, guest.counts().cache_misses), (0, 3));
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
    match LoadedGuest::load(engine(), bytes) {
        Ok(_) => panic!("it was loaded"),
        Err(error) => {
            assert!(on_one_line(error.to_string()).contains(reason), "it is refused with: {error}");
        }
    }
}

/// It names the policy, or nothing else of the component was looked at.
const NO_POLICY: &str =
    r#"(instance $none) (export "innkeeper:policy/policy@0.1.0" (instance $none))"#;

/// What wasmtime says of such a name is two lines, and names are the guest's.
#[test]
fn a_name_that_is_none_is_told_on_one_line() {
    let named =
        |name: &str| wat::parse_str(format!("(component (import {name:?} (func)) {NO_POLICY})"));
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
fn loops_when_it_is_first_asked() {
    is_not_loaded(&interested("(loop $again (br $again))"), "deadline");
}

/// Whose memory a request cannot be written to: each request fails, and the connection
/// goes on.
#[track_caller]
fn cannot_take_a_request(realloc: &str, cause: &str) {
    let guest = LoadedGuest::load(engine(), &reallocating(realloc)).unwrap();
    let told = failure(&guest);
    assert!(told.contains(cause), "the log says: {told}");
    let server = Setup { guest: Arc::new(guest), ..Setup::default() }.start();
    let mut client = server.connect();
    for _ in 0..2 {
        client.send("GET /a HTTP/1.1\r\nHost: test\r\n\r\n");
        assert_eq!(client.reply().status(), 500);
    }
}

#[test]
fn gives_room_out_of_bounds() {
    cannot_take_a_request("(i32.const -8)", "beyond end of memory");
}

#[test]
fn gives_room_that_is_not_aligned() {
    // Room for bytes may be anywhere; that for the list of fields may not.
    let server = start(&reallocating("(i32.const 1)"));
    assert!([404, 500].contains(&server.get("/a").status()));
}

#[test]
fn loops_when_it_is_to_give_room() {
    cannot_take_a_request("(loop $again (br $again)) unreachable", "deadline");
}

#[test]
fn traps_when_it_is_to_give_room() {
    cannot_take_a_request("unreachable", "unreachable");
}

/// The request is written over what the guest has at address 0: its own loss.
#[test]
fn gives_room_at_null() {
    let server = start(&reallocating("(i32.const 0)"));
    assert_eq!(server.get("/a").status(), 404);
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
    is_not_loaded(b"", "is empty");
    is_not_loaded(b"not wasm at all", "not WebAssembly");
    is_not_loaded(b"\0asm\x01\0\0\0", "without a component type");
    let truncated = &DEFAULT_GUEST[..DEFAULT_GUEST.len() / 2];
    is_not_loaded(truncated, "does not compile");
    let other_world = wat::parse_str("(component)").unwrap();
    is_not_loaded(&other_world, "does not export the world");
    // Found by the names of its exports, before it is compiled.
    is_not_loaded(&other_world, "it exports nothing");
    let program = "(component (component $run) (export \"wasi:cli/run@0.2.0\" (component $run)))";
    let names = "it exports wasi:cli/run@0.2.0, and not innkeeper:policy/policy@0.1.0";
    is_not_loaded(&wat::parse_str(program).unwrap(), names);
    let typed = |exported: &str| {
        let text = format!(
            r#"(component
                (core module $m (func (export "f") (result i32) (i32.const 0)))
                (core instance $i (instantiate $m))
                (func $f (result u32) (canon lift (core func $i "f")))
                (instance $policy (export "interests" (func $f)) {exported})
                (export "innkeeper:policy/policy@0.1.0" (instance $policy)))"#
        );
        wat::parse_str(text).unwrap()
    };
    is_not_loaded(&typed(""), "does not export the world");
    is_not_loaded(&typed(r#"(export "decide" (func $f))"#), "type mismatch");
}

/// Threads, and memory that they share: with a second thread that counts a guest could
/// tell the time, and with shared memory it could keep something.
#[test]
fn shares_memory_or_starts_threads() {
    let refused = |component: &str, reason| {
        let component = format!("(component {component} {NO_POLICY})");
        is_not_loaded(&wat::parse_str(component).unwrap(), reason);
    };
    let shared = "threads must be enabled for shared memories";
    refused("(core module (memory 1 1 shared))", shared);
    refused(r#"(core module (import "env" "memory" (memory 1 1 shared)))"#, shared);
    let add = "i32.atomic.rmw.add (i32.const 0) (i32.const 1)";
    let wait = "memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)";
    for call in [add, wait] {
        let module = format!("(core module (memory 1) (func (drop ({call}))))");
        refused(&module, "threads support is not enabled");
    }
    let thread =
        "(core type $f (shared (func (param i32)))) (core func (canon thread.spawn-ref $f))";
    let proposal = "the shared-everything-threads proposal";
    refused(thread, proposal);
    refused("(core func (canon thread.available_parallelism))", proposal);
}

/// It has no clock but the deadline: how far it counts until then it can tell nobody.
#[test]
fn counts_until_the_deadline_to_tell_the_time() {
    // What it has counted lies where the next request would find it, and in its decision.
    let count = format!(
        "(i32.store (i32.const 8) (i32.const 0))
        (loop $again
            (i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (i32.const 1)))
            (i32.store8 (i32.const {DECISION}) (i32.const 3))
            (br $again))"
    );
    misbehaves("", &count, "deadline");
}

#[test]
fn prints_by_wasi_before_it_traps() {
    let wasi = "
        package innkeeper:extra;
        package wasi:io@0.2.0 {
            interface error { resource error; }
            interface streams {
                use error.{error};
                variant stream-error { last-operation-failed(error), closed }
                resource output-stream {
                    blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>;
                }
            }
        }
        package wasi:cli@0.2.0 {
            interface stderr {
                use wasi:io/streams@0.2.0.{output-stream};
                get-stderr: func() -> output-stream;
            }
        }
        world extra { import wasi:cli/stderr@0.2.0; export innkeeper:policy/policy@0.1.0; }";
    let imports = r#"
        (import "wasi:cli/stderr@0.2.0" "get-stderr" (func $stderr (result i32)))
        (import "wasi:io/streams@0.2.0" "[method]output-stream.blocking-write-and-flush"
            (func $write (param i32 i32 i32 i32)))"#;
    let said = r#"(data (i32.const 4096) "Traceback:\n  here\nValueError: \1b[31mboom")"#;
    let print = "
        (call $write (call $stderr) (i32.const 4096) (i32.const 39) (i32.const 4200))
        unreachable";
    let mut resolve = Resolve::default();
    resolve.push_dir(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../wit")).unwrap();
    let package = resolve.push_str("extra.wit", wasi).unwrap();
    let world = resolve.select_world(&[package], Some("extra")).unwrap();
    let mut module = wat::parse_str(text(imports, said, print)).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    let guest = LoadedGuest::load(engine(), &module).unwrap();
    let told = failure(&guest);
    assert!(told.starts_with("ValueError: \\u{1b}[31mboom (wasm trap: "), "{told}");
}

#[test]
fn says_why_it_traps() {
    let module = saying("panicked at src/lib.rs:1:2:\n\u{202e}boom");
    let guest = LoadedGuest::load(engine(), &module).unwrap();
    let told = failure(&guest);
    assert!(told.starts_with("panicked at src/lib.rs:1:2: \\u{202e}boom (wasm trap: "), "{told}");
    let server = start(&module);
    assert_eq!(server.get("/x").status(), 500);
    assert_eq!(server.get("/a").status(), 404);
}

#[test]
fn server_says_that_a_guest_is_built_for_development() {
    let folder = site();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("policy.wasm"), saying("one")).unwrap();
    fs::write(path("token"), TOKEN).unwrap();
    fs::set_permissions(path("token"), Permissions::from_mode(0o600)).unwrap();
    let mut command = serving(&path("root"), &["--admin", "127.0.0.1:0"]);
    command.arg("--guest").arg(path("policy.wasm"));
    command.arg("--admin-token-file").arg(path("token"));
    let mut program = Program::start(command, 1);
    const WARNING: &str = "guest is built for development; build it for release";
    assert!(program.said.contains(WARNING), "{}", program.said);
    let admin = program.admin();
    fs::write(path("next"), saying("two")).unwrap();
    fs::rename(path("next"), path("policy.wasm")).unwrap();
    program.wait_for(WARNING);
    let three = saying("three");
    let mut upload = begin_change(admin, "PUT /guest", three.len());
    upload.send(&three);
    let report = upload.reply().text().to_owned();
    assert!(report.contains("it is built for development; build it for release"), "{report}");
    program.wait_for(WARNING);
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
    let guest = LoadedGuest::load(engine(), &module).unwrap();
    assert_eq!(guest.imports(), ["test:extra/clock"]);
    assert!(failure(&guest).contains("it calls the import "), "{}", failure(&guest));
    let server = start(&module);
    assert_eq!(server.get("/x").status(), 500);
    assert_eq!(server.get("/a").status(), 404);
}
