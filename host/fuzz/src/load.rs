//! Loading guests: whatever the bytes are, there is a guest that keeps to its limits, or
//! one clear sentence.
//!
//! The first byte of the input tells what is made of the rest.

use std::sync::{Arc, Once, OnceLock};
use std::time::Duration;

use innkeeper::guest::validation::check::check;
use innkeeper::guest::{DEFAULT_GUEST, DecisionLimits, Engine, GuestLimits, LoadedGuest};
use rustix::time::{ClockId, clock_gettime};
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use super::decide::{FACTS, assert_safe};
use super::smith;

/// Bytes of a sentence.
const SENTENCE_BYTES: usize = 2_000;

/// What loading and checking one guest may take of a processor. An unoptimised build needs
/// seconds to compile the default guest.
const PATIENCE: Duration = Duration::from_secs(30);

/// Lines that a guest which was loaded is asked about.
const LINES: [&[u8]; 3] = [b"GET / HTTP/1.1", b"GET /x HTTP/1.1", b"\xff\x00"];

/// Runs the target.
pub fn run(input: &[u8]) {
    static ONCE: Once = Once::new();
    ONCE.call_once(suffer_panics);
    let Some((&kind, rest)) = input.split_first() else { return };
    let Some(bytes) = guest(kind, rest) else { return };
    let began = processor_time();
    let loaded = LoadedGuest::load(engine(), &bytes);
    match loaded {
        Err(problem) => assert_sentence(&problem.to_string()),
        Ok(guest) => ask(&guest),
    }
    let taken = processor_time() - began;
    assert!(taken < PATIENCE, "it took {taken:?}");
}

/// Lets panics pass that the host catches; a fuzzer would end with the first. One that it
/// does not catch ends the run all the same.
fn suffer_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let file = panic.location().map_or("", |location| location.file());
        if !["wit-parser", "wit-component"].iter().any(|part| file.contains(part)) {
            before(panic);
        }
    }));
}

fn ask(guest: &LoadedGuest) {
    if let Err(problem) = check(guest, &[]) {
        assert_sentence(&problem.to_string());
    }
    for name in guest.imports().iter().map(String::as_str).chain(guest.interests()) {
        assert!(!name.chars().any(char::is_control), "{name:?}");
    }
    for line in LINES {
        let fields = [("host", &b"h"[..]), ("accept", b"*/*")];
        match guest.decide_uncached(line, fields.into_iter(), FACTS) {
            Ok(decision) => {
                assert_safe(&decision);
                assert_one_line(&decision.to_string());
            }
            Err(failure) => assert_sentence(&failure.to_string()),
        }
    }
}

/// What a person is told: something, on one line, that is not too long.
fn assert_sentence(text: &str) {
    assert!(!text.is_empty() && text.len() <= SENTENCE_BYTES, "{} bytes: {text}", text.len());
    assert_one_line(text);
}

fn assert_one_line(text: &str) {
    assert!(!text.chars().any(char::is_control), "{text:?}");
}

/// An engine whose guests have little time.
fn engine() -> &'static Arc<Engine> {
    static ENGINE: OnceLock<Arc<Engine>> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let limits = GuestLimits {
            decision: DecisionLimits { deadline: Duration::from_millis(4), memory_bytes: 4 << 20 },
            ..GuestLimits::default()
        };
        Arc::new(Engine::new(limits, 1).expect("an engine"))
    })
}

/// The time that this thread has run.
fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).expect("it is positive")
}

/// Makes what may be a guest.
fn guest(kind: u8, rest: &[u8]) -> Option<Vec<u8>> {
    match kind % 8 {
        0 => Some(rest.to_vec()),
        1 => smith::module(rest, by_hand(b"", b"")).map(|module| with_type(&module)),
        2 => smith::component(rest),
        3 => Some(edited(DEFAULT_GUEST, rest)),
        4 => Some(edited(&with_type(&by_hand(b"", b"")), rest)),
        // Sections as they come, in a module that tells its component type.
        5 => Some(with_type(&[b"\0asm\x01\0\0\0", rest].concat())),
        // What lies in the memory that a decision is read from, and the interests.
        6 => Some(with_type(&by_hand(rest, b""))),
        _ => Some(with_type(&by_hand(b"\x03", rest))),
    }
}

/// A module by hand: these bytes are where its decision lies, and its interests.
fn by_hand(decision: &[u8], interests: &[u8]) -> Vec<u8> {
    let escaped = |bytes: &[u8]| {
        let bytes = &bytes[..bytes.len().min(2048)];
        bytes.iter().map(|byte| format!("\\{byte:02x}")).collect::<String>()
    };
    let text = format!(
        r#"(module
            (memory (export "memory") 2)
            (global $free (mut i32) (i32.const 65536))
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (global.get $free)
                (global.set $free (i32.add (global.get $free) (local.get 3)))
                (global.set $free (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8))))
            (func (export "innkeeper:policy/policy@0.1.0#interests") (result i32)
                (i32.const 4096))
            (func (export "innkeeper:policy/policy@0.1.0#decide")
                (param i32 i32 i32 i32) (result i32)
                (i32.const 512))
            (data (i32.const 4096) "{}")
            (data (i32.const 512) "{}"))"#,
        escaped(interests),
        escaped(decision),
    );
    wat::parse_str(text).expect("a module")
}

/// With the section that tells a core module's component type.
fn with_type(module: &[u8]) -> Vec<u8> {
    static SECTION: OnceLock<Vec<u8>> = OnceLock::new();
    let section = SECTION.get_or_init(|| {
        let mut resolve = Resolve::default();
        let wit = include_str!("../../../wit/policy.wit");
        let package = resolve.push_str("policy.wit", wit).expect("the contract");
        let world = resolve.select_world(&[package], Some("guest")).expect("the world");
        let empty = b"\0asm\x01\0\0\0";
        let mut module = empty.to_vec();
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
            .expect("a section");
        module.split_off(empty.len())
    });
    [module, section].concat()
}

/// With bytes in it replaced: each edit is a place, in three bytes, and the byte there.
fn edited(guest: &[u8], edits: &[u8]) -> Vec<u8> {
    let mut guest = guest.to_vec();
    for edit in edits.chunks_exact(4).take(16) {
        let place = usize::from(edit[0]) << 16 | usize::from(edit[1]) << 8 | usize::from(edit[2]);
        let place = place % guest.len();
        guest[place] = edit[3];
    }
    guest
}
