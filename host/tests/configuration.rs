//! Guests that are configured by data, and those that misbehave meanwhile.

use std::sync::Arc;
use std::time::{Duration, Instant};

use innkeeper::guest::{Decision, Engine, Facts, GuestLimits, LoadError, LoadedGuest};

use crate::fixture::engine;
use crate::wat_guest::{REPLY_SIZE, configurable, configurable_text, module, of_world};

const LINE: &[u8] = b"GET / HTTP/1.1";

fn load(guest: &[u8], data: Option<&[u8]>) -> LoadedGuest {
    LoadedGuest::load_with(engine(), guest, data).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(guest: &[u8], data: Option<&[u8]>) -> LoadError {
    LoadedGuest::load_with(engine(), guest, data).err().expect("it is not loaded")
}

/// The body of the reply to a request with this line.
fn reply(guest: &LoadedGuest, line: &[u8]) -> Vec<u8> {
    let facts = Facts::plain(std::net::Ipv4Addr::LOCALHOST.into());
    match guest.decide_uncached(line, std::iter::empty(), facts) {
        Ok(Decision::Reply { body, .. }) => body.to_vec(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn data_is_the_state_that_decisions_start_from() {
    let guest = configurable("", "", "");
    let [one, two, none] = [Some(&b"one"[..]), Some(b"two"), None].map(|data| load(&guest, data));
    for _ in 0..2 {
        assert_eq!(reply(&one, LINE), b"one");
        assert_eq!(reply(&two, LINE), b"two");
        assert_eq!(reply(&none, LINE), b"");
    }
    assert_ne!(one.digest(), two.digest());
    assert_ne!(one.digest(), none.digest());
    assert!(one.is_configurable() && none.is_configurable());
    assert!(!load(&module("", ""), None).is_configurable());
}

#[test]
fn no_call_after_configuration_leaves_anything_behind() {
    // Each call makes the reply shorter, and `interests` does before all of them.
    let shorter = format!(
        "(i32.store (i32.const {REPLY_SIZE})
            (i32.sub (i32.load (i32.const {REPLY_SIZE})) (i32.const 1)))"
    );
    let guest = load(&configurable("", "", &shorter), Some(b"twelve bytes"));
    for _ in 0..3 {
        assert_eq!(reply(&guest, b"GET /x HTTP/1.1"), b"twelve byte");
        assert_eq!(reply(&guest, LINE), b"twelve bytes");
    }
}

#[test]
fn configuration_changes_globals_and_grows_memory() {
    let own = "(global $seen (mut i64) (i64.const 1))";
    let configure = "(global.set $seen (i64.const 0x0807060504030201))
        (drop (memory.grow (i32.const 3)))
        (i32.store8 (i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const 1)) (i32.const 9))";
    // What is in the global, and at the memory's end, is written into the data.
    let decide = "(i64.store (i32.load (i32.const 528)) (global.get $seen))
        (i32.store8 offset=8 (i32.load (i32.const 528))
            (i32.load8_u (i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const 1))))";
    let guest = load(&configurable(own, configure, decide), Some(b"123456789"));
    assert_eq!(reply(&guest, b"GET /x HTTP/1.1"), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(reply(&guest, LINE), b"123456789");
}

/// A result with this text, of which there are so many bytes at 4096.
fn error_of(size: u32) -> String {
    format!(
        "(i32.store (i32.const 640) (i32.const 1))
        (i32.store (i32.const 644) (i32.const 4096))
        (i32.store (i32.const 648) (i32.const {size}))"
    )
}

#[test]
fn refusal_is_one_line_of_the_guests_words() {
    let text = r#"(data (i32.const 4096) "line 3:\0a\1b[31m no \e2\80\ae such\0d\0apage")"#;
    let guest = configurable(text, &error_of(31), "");
    let error = refused(&guest, Some(b"x"));
    assert_eq!(error.code(), "configuration-refused");
    let words = r"line 3: \u{1b}[31m no \u{202e} such page";
    assert_eq!(error.to_string(), format!("the guest refuses its data: {words}"));
    let error = refused(&guest, None);
    let expected = format!("the guest refuses to serve without data (--data): {words}");
    assert_eq!(error.to_string(), expected);
}

#[test]
fn huge_refusal_is_cut() {
    let size = 40 << 20;
    let configure = format!(
        "(drop (memory.grow (i32.const 700)))
        (memory.fill (i32.const 4096) (i32.const 97) (i32.const {size})) {}",
        error_of(size)
    );
    let error = refused(&configurable("", &configure, ""), Some(b"x")).to_string();
    assert!(error.starts_with("the guest refuses its data: aaaa"), "{error}");
    assert!(error.len() < 1_100, "{} bytes", error.len());
}

#[test]
fn configuration_that_loops_is_interrupted() {
    let limits = GuestLimits { configure_time: Duration::from_millis(50), ..Default::default() };
    let engine = Arc::new(Engine::new(limits, 1).unwrap());
    let began = Instant::now();
    let guest = configurable("", "(loop $again (br $again))", "");
    let error = LoadedGuest::load_with(&engine, &guest, None).err().unwrap();
    assert_eq!(error.code(), "configuration-failed");
    let error = error.to_string();
    assert!(error.contains("more than the 50ms of a processor"), "{error}");
    assert!(error.contains("--configure-time"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn configuration_that_fails_says_why() {
    let grows = "(loop $again (drop (memory.grow (i32.const 16))) (br $again))";
    let table = "(table 30000000 funcref)";
    let recursive = "(func $deep (param i32) (result i32)
        (i32.add (i32.const 1) (call $deep (local.get 0))))";
    for (items, configure, expected) in [
        ("", "unreachable", "traps while it is configured"),
        ("", "(drop (i32.load (i32.const -4)))", "out of bounds memory access"),
        ("", "(drop (i32.div_u (i32.const 1) (i32.const 0)))", "integer divide by zero"),
        (recursive, "(drop (call $deep (i32.const 1)))", "stack"),
        ("", grows, "more memory than it may (--guest-memory)"),
        (table, "", "a table of 30000000 elements"),
        ("(func $start unreachable) (start $start)", "", "traps while it is configured"),
    ] {
        let error = refused(&configurable(items, configure, ""), Some(b"x"));
        assert_eq!(error.code(), "configuration-failed", "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn state_that_cannot_be_taken_is_an_error() {
    let table = "(table $t 2 2 funcref) (elem declare func $f) (func $f)";
    for (items, configure, expected) in [
        (table, "(table.set $t (i32.const 0) (ref.func $f))", "table.set"),
        (table, "(table.fill $t (i32.const 0) (ref.null func) (i32.const 1))", "table.fill"),
        ("(elem $e func $f) (func $f)", "(elem.drop $e)", "elem.drop"),
        ("(data $d \"x\")", "(data.drop $d)", "data.drop"),
        ("(global $r (mut funcref) (ref.null func))", "", "reference type"),
        ("(global $v (mut v128) (v128.const i64x2 0 0))", "", "v128"),
    ] {
        let error = refused(&configurable(items, configure, ""), Some(b"x"));
        assert_eq!(error.code(), "configuration-failed", "{error}");
        assert!(error.to_string().contains("cannot be taken"), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn state_of_60_mib_is_taken() {
    // A generator of pseudo-random numbers, so that nothing can be left out.
    let configure = "(local $at i32) (local $word i64)
        (drop (memory.grow (i32.const 958)))
        (local.set $at (i32.const 131072))
        (local.set $word (i64.const 88172645463325252))
        (loop $next
            (local.set $word (i64.xor (local.get $word) (i64.shl (local.get $word) (i64.const 13))))
            (local.set $word (i64.xor (local.get $word) (i64.shr_u (local.get $word) (i64.const 7))))
            (local.set $word (i64.xor (local.get $word) (i64.shl (local.get $word) (i64.const 17))))
            (i64.store (local.get $at) (local.get $word))
            (local.set $at (i32.add (local.get $at) (i32.const 8)))
            (br_if $next (i32.lt_u (local.get $at) (i32.const 62914560))))";
    let decide = format!(
        "(i32.store (i32.const 528) (i32.const 62914552)) (i32.store (i32.const {REPLY_SIZE}) (i32.const 8))"
    );
    let guest = load(&configurable("", configure, &decide), Some(b"x"));
    let mut word = 88172645463325252_u64;
    for _ in 0..(62914560 - 131072) / 8 {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
    }
    assert_eq!(reply(&guest, b"GET /x HTTP/1.1"), word.to_le_bytes());
    assert_eq!(reply(&guest, LINE), b"x");
}

#[test]
fn data_for_a_guest_that_takes_none_is_an_error() {
    let guest = module("", "");
    for data in [&b""[..], b"x"] {
        let error = refused(&guest, Some(data));
        assert_eq!(error.code(), "no-configuration", "{error}");
    }
    let error = engine().bake(&guest, None).unwrap_err();
    assert_eq!(error.code(), "no-configuration", "{error}");
}

#[test]
fn baked_guest_decides_as_guest_and_data_do() {
    let guest = configurable("", "", "unreachable");
    let baked = engine().bake(&guest, Some(b"a table")).unwrap();
    let loaded = load(&baked, None);
    assert_eq!(reply(&loaded, LINE), b"a table");
    assert!(!loaded.is_configurable());
    assert_eq!(engine().bake(&guest, Some(b"a table")).unwrap(), baked);
    for error in [refused(&baked, Some(b"x")), engine().bake(&baked, Some(b"x")).unwrap_err()] {
        assert_eq!(error.code(), "already-configured", "{error}");
    }
}

const CONTRACT: &str = include_str!("../../wit/policy.wit");

#[test]
fn memory_with_a_maximum_says_what_to_do() {
    let [any, bounded] = [r#"(export "memory") 2)"#, r#"(export "memory") 2 3)"#];
    let text = configurable_text("", "", "", "").replace(any, bounded);
    let error = refused(&of_world(&text, CONTRACT, "configurable-guest"), Some(b"x"));
    assert_eq!(error.code(), "configuration-failed", "{error}");
    assert!(error.to_string().contains("without a maximum (--max-memory)"), "{error}");
}

/// It is in two places that are far from one another.
#[test]
fn sparse_state_is_taken() {
    let configure = "(drop (memory.grow (i32.const 800)))
        (i32.store8 (i32.const 50000000) (i32.const 88))";
    let decide = "(i32.store8 (i32.load (i32.const 528)) (i32.load8_u (i32.const 50000000)))";
    let guest = load(&configurable("", configure, decide), Some(b"x"));
    assert_eq!(reply(&guest, b"GET /x HTTP/1.1"), b"X");
    assert_eq!(reply(&guest, LINE), b"x");
}

#[test]
fn imports_trap_while_a_guest_is_configured() {
    let contract = format!(
        "{CONTRACT}
        interface clock {{ now: func() -> u64; }}
        world curious {{ include configurable-guest; import clock; }}"
    );
    let name = "innkeeper:policy/clock@0.1.0";
    let imports = format!(r#"(import "{name}" "now" (func $now (result i64)))"#);
    for (configure, expected) in [("", None), ("(drop (call $now))", Some(name))] {
        let text = configurable_text(&imports, "", configure, "");
        let guest = of_world(&text, &contract, "curious");
        let Some(expected) = expected else {
            assert_eq!(reply(&load(&guest, Some(b"x")), LINE), b"x");
            continue;
        };
        let error = refused(&guest, Some(b"x"));
        assert_eq!(error.code(), "configuration-failed", "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn configuration_of_another_type_is_an_error() {
    let contract =
        CONTRACT.replace("configure: func(data: list<u8>)", "configure: func(data: string)");
    assert_ne!(contract, CONTRACT);
    let guest = of_world(&configurable_text("", "", "", ""), &contract, "configurable-guest");
    let error = refused(&guest, Some(b"x"));
    assert_eq!(error.code(), "configuration-failed", "{error}");
    assert!(error.to_string().contains("another type than that of wit/policy.wit"), "{error}");
}
