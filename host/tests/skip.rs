//! Tests that a machine cannot run say what it lacks, and fail where that is not expected.

use std::io::{self, Write};

/// What a test needs and a machine may lack. The names are those of `INNKEEPER_TEST_LACKS`.
#[derive(Clone, Copy, Debug)]
pub enum Need {
    /// `/dev/fuse`, and the privilege to mount it: `fuse`.
    Fuse,
    /// User namespaces that may mount a file system: `user-namespaces`.
    UserNamespaces,
    /// A C compiler with the name `cc`: `cc`.
    CCompiler,
    /// The authority for tests, `pebble` and `pebble-challtestsrv`: `pebble`.
    Pebble,
    /// One of those that has profiles and suggests windows, since 2.5: `newer-pebble`.
    NewerPebble,
    /// The right to become another user: `root`.
    Root,
}

impl Need {
    fn name(self) -> &'static str {
        match self {
            Need::Fuse => "fuse",
            Need::UserNamespaces => "user-namespaces",
            Need::CCompiler => "cc",
            Need::Pebble => "pebble",
            Need::NewerPebble => "newer-pebble",
            Need::Root => "root",
        }
    }
}

/// Reports that a test is skipped.
///
/// With `INNKEEPER_TEST_STRICT=1` it panics, unless `INNKEEPER_TEST_LACKS` (names, separated
/// by blanks) has the need: `.ci/run` sets both, the second to what it probed by itself.
#[track_caller]
pub fn skip(need: Need, why: impl std::fmt::Display) {
    let variable = |name| std::env::var(name).unwrap_or_default();
    let is_expected =
        variable("INNKEEPER_TEST_LACKS").split_whitespace().any(|name| name == need.name());
    let is_strict = !matches!(variable("INNKEEPER_TEST_STRICT").as_str(), "" | "0");
    assert!(is_expected || !is_strict, "skipped for lack of {}: {why}", need.name());
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    // `eprintln` would be captured, and shown for tests that fail alone.
    let _ = writeln!(io::stderr(), "SKIPPED {test}: lack of {}: {why}", need.name());
}
