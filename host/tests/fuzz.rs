//! The fuzz targets of `host/fuzz`, for some seconds: what is kept of their inputs, and as
//! many mutations of it, which are the same each time.

use std::fs;
use std::path::Path;

use targets::pieces::Numbers;

/// What `lib.rs` there has, but for some of wasm-smith: among the dependencies of a test that would
/// have wasmtime's tools built with other features.
#[path = "../fuzz/src"]
mod targets {
    pub mod connection;
    pub mod decide;
    pub mod fields;
    pub mod frames;
    pub mod head;
    pub mod live;
    pub mod load;
    pub mod modules;
    pub mod path;
    pub mod pieces;
    pub mod records;
    pub mod reference;
    pub mod rules;

    pub mod smith {
        pub fn module(_: &[u8], _: Vec<u8>) -> Option<Vec<u8>> {
            None
        }

        pub fn component(_: &[u8]) -> Option<Vec<u8>> {
            None
        }
    }
}

/// Modules of wasm-smith: they take some twenty seconds.
const MODULES: u64 = 300;

/// Bytes of a mutated input.
const INPUT_BYTES: usize = 20_000;

#[test]
fn heads_are_what_the_reference_makes_of_them() {
    replay("head", "http", targets::head::run, 6_000);
}

#[test]
fn paths_open_what_the_reference_opens() {
    replay("path", "path", targets::path::run, 800);
}

#[test]
fn fields_mean_what_the_reference_takes_them_for() {
    replay("fields", "fields", targets::fields::run, 4_000);
}

#[test]
fn the_default_policy_decides_natively_and_as_wasm_the_same() {
    replay("decide", "http", targets::decide::run, 1_000);
}

#[test]
fn what_is_loaded_keeps_its_limits_or_is_refused_in_one_sentence() {
    replay("load", "load", targets::load::run, 20);
}

#[test]
fn live_guests_decide_as_fresh_ones() {
    replay("live", "load", targets::live::run, 3_000);
}

#[test]
fn modules_at_random_are_put_back_and_decide_as_fresh_ones() {
    let mut compared = 0;
    for seed in 1..=MODULES {
        let mut numbers = Numbers::from(seed);
        let bytes: Vec<_> = (0..3_000).map(|_| numbers.below(256).to_le_bytes()[0]).collect();
        let shown = Shown(&bytes);
        compared += targets::live::any_module(shown.0);
    }
    // Else this test compares little: many modules have no memory, and many functions trap.
    assert!(compared > usize::try_from(MODULES).unwrap(), "{compared} decisions");
}

#[test]
fn connections_are_answered_the_same_however_they_are_split() {
    replay("connection", "http", targets::connection::run, 150);
}

#[test]
fn records_of_any_size_carry_the_same() {
    replay("records", "http", targets::records::run, 150);
}

#[test]
fn frames_of_any_client_leave_the_next_one_served() {
    replay("frames", "frames", targets::frames::run, 400);
}

#[test]
fn rules_are_refused_in_clear_lines_or_keep_the_contract() {
    replay("rules", "rules", targets::rules::run, 2_000);
}

/// Runs a target on all that is kept for it, and on so many mutations.
#[track_caller]
fn replay(target: &str, dictionary: &str, run: fn(&[u8]), mutations: usize) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let seeds = fs::read_to_string(folder.join("seeds").join(target).with_extension("txt"));
    let seeds: Vec<_> = lines(&seeds.unwrap()).map(unescaped).collect();
    assert!(seeds.len() > 5, "only {} inputs are kept for {target}", seeds.len());
    let words = folder.join("dictionaries").join(dictionary).with_extension("dict");
    let words = fs::read_to_string(words).unwrap();
    let quoted = |line| str::strip_prefix(line, '"').and_then(|line| line.strip_suffix('"'));
    let words: Vec<_> = lines(&words).map(|line| unescaped(quoted(line).unwrap())).collect();
    for seed in &seeds {
        let shown = Shown(seed);
        run(shown.0);
    }
    let mut numbers = Numbers::of(target.as_bytes());
    for _ in 0..mutations {
        let input = mutated(&seeds, &words, &mut numbers);
        let shown = Shown(&input);
        run(shown.0);
    }
}

/// An input that is shown if its run panics.
struct Shown<'a>(&'a [u8]);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the input: b\"{}\"", self.0.escape_ascii());
        }
    }
}

/// One of the inputs, changed in some places.
fn mutated(seeds: &[Vec<u8>], words: &[Vec<u8>], numbers: &mut Numbers) -> Vec<u8> {
    let mut input = seeds[numbers.below(seeds.len())].clone();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(input.len() + 1);
        let end = (at + numbers.below(16)).min(input.len());
        match numbers.below(7) {
            0 if at < input.len() => input[at] ^= 1 << numbers.below(8),
            1 if at < input.len() => input[at] = numbers.below(256).to_le_bytes()[0],
            2 => drop(input.drain(at..end)),
            3 => {
                let again = input[at..end].repeat(1 + numbers.below(20));
                input.splice(at..at, again);
            }
            4 => {
                let other = &seeds[numbers.below(seeds.len())];
                let from = numbers.below(other.len() + 1);
                input.splice(at.., other[from..].iter().copied());
            }
            _ => {
                let word = words[numbers.below(words.len())].clone();
                input.splice(at..at, word);
            }
        }
    }
    input.truncate(INPUT_BYTES);
    input
}

/// The lines of a text that are not for people.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// What a line stands for: `\xNN` is a byte, `\r`, `\n` and `\t` are what they are in Rust,
/// and behind any other `\` a character is itself.
fn unescaped(line: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = line.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next().unwrap() {
                b'r' => b'\r',
                b'n' => b'\n',
                b't' => b'\t',
                b'x' => {
                    let digits = [rest.next().unwrap(), rest.next().unwrap()];
                    u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
                }
                itself => itself,
            },
            _ => byte,
        });
    }
    bytes
}
