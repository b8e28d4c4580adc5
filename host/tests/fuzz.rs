//! The fuzz targets of `host/fuzz`, for some seconds: what is kept of their inputs, and as
//! many mutations of it, which are the same each time.

use std::fs;
use std::path::{Path, PathBuf};

use targets::pieces::Numbers;

#[path = "../fuzz/src/lib.rs"]
mod targets;

/// Bytes of a mutated input.
const INPUT_BYTES: usize = 20_000;

#[test]
fn heads_are_what_the_reference_makes_of_them() {
    replay("head", "http", targets::head::run, 3_000);
}

#[test]
fn paths_open_what_the_reference_opens() {
    replay("path", "path", targets::path::run, 1_500);
}

#[test]
fn fields_mean_what_the_reference_takes_them_for() {
    replay("fields", "fields", targets::fields::run, 5_000);
}

#[test]
fn the_default_policy_decides_natively_and_as_wasm_the_same() {
    replay("decide", "http", targets::decide::run, 2_000);
}

#[test]
fn what_is_loaded_keeps_its_limits_or_is_refused_in_one_sentence() {
    replay("load", "load", targets::load::run, 60);
}

#[test]
fn connections_are_answered_the_same_however_they_are_split() {
    replay("connection", "http", targets::connection::run, 300);
}

/// Runs a target on all that is kept for it, and on so many mutations.
#[track_caller]
fn replay(target: &str, dictionary: &str, run: fn(&[u8]), mutations: usize) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let mut files: Vec<PathBuf> = fs::read_dir(folder.join("seeds").join(target))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let seeds: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    assert!(seeds.len() > 5, "only {} inputs are kept for {target}", seeds.len());
    let words = words(&folder.join("dictionaries").join(dictionary).with_extension("dict"));
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

/// The words of a dictionary: one in quotes a line, with `\xNN` for what is not text.
fn words(file: &Path) -> Vec<Vec<u8>> {
    let text = fs::read_to_string(file).unwrap();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let words = lines.map(|line| {
        let mut rest = line.strip_prefix('"').and_then(|line| line.strip_suffix('"')).unwrap();
        let mut word = Vec::new();
        while let Some((before, after)) = rest.split_once('\\') {
            word.extend_from_slice(before.as_bytes());
            rest = match after.strip_prefix('x') {
                Some(code) => {
                    word.push(u8::from_str_radix(&code[..2], 16).unwrap());
                    &code[2..]
                }
                None => {
                    word.push(after.as_bytes()[0]);
                    &after[1..]
                }
            };
        }
        word.extend_from_slice(rest.as_bytes());
        word
    });
    words.collect()
}
