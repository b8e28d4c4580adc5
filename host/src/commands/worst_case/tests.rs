use clap::Parser;

use super::{Place, describe, parts};
use crate::cli::Arguments;

fn described(flags: &[&str], connections: usize) -> String {
    let typed = [&["innkeeper", "--workers", "2"], flags].concat();
    let arguments = Arguments::parse_from(typed);
    let settings = arguments.settings();
    describe(&parts(settings, &settings.listen(), connections))
}

#[test]
fn settings_are_the_factors() {
    let few = described(&["--max-header-size", "8KiB", "--no-site-rules"], 10);
    assert!(few.contains("= 10 connections × (4.0 KiB idle + 20.0 KiB received"), "{few}");
    assert!(few.contains("= 6 guest instances × (64.0 MiB memory"), "{few}");
    assert!(few.contains("= 2 workers × 4.0 MiB cached"), "{few}");
    assert!(few.contains("= 10 connections × 128.0 KiB unsent"), "{few}");
    assert!(!few.contains("more connections") && !few.contains("compilation"), "{few}");
    let rules = described(&[], 10);
    assert!(rules.contains("= 2 guests × ") && rules.contains("= 1 compilation"), "{rules}");
    let guest = ["--guest", "a.wasm", "--compile-memory", "2GiB", "--decision-cache-size", "0"];
    let many = described(&guest, 10_000);
    assert!(many.contains("= 2 guests × (2.0 GiB machine code"), "{many}");
    assert!(many.contains("= 1 compilation × 2.0 GiB of memory"), "{many}");
    assert!(many.contains("= 9744 more connections × 32.0 KiB unsent"), "{many}");
    assert!(!many.contains("cached decisions"), "{many}");
}

#[test]
fn responses_wait_to_be_logged_or_counted() {
    for (flags, expected) in [
        (&["--access-log", "off"][..], None),
        (&["--access-log", "off", "--admin", "127.0.0.1:1"], Some(" + 64.0 KiB unlogged")),
        (&["--access-log", "json"], Some(" + 224.0 KiB unlogged")),
    ] {
        let text = described(flags, 10);
        assert_eq!(text.contains("unlogged"), expected.is_some(), "{flags:?}: {text}");
        assert!(text.contains(expected.unwrap_or_default()), "{flags:?}: {text}");
    }
}

#[test]
fn tls_and_http2_have_their_parts_where_they_are_spoken() {
    let has = |flags: &[&str], expected: [bool; 2]| {
        let text = described(flags, 10);
        let told = ["= 10 connections × (8.0 KiB idle TLS", "= 17 streams × (64.0 KiB request"];
        assert_eq!(told.map(|part| text.contains(part)), expected, "{flags:?}: {text}");
    };
    has(&["--http2-max-requests", "7"], [false, false]);
    has(&["--self-signed", "--http2-max-requests", "7"], [true, true]);
    has(&["--self-signed", "--http2-max-requests", "7", "--no-http2"], [true, false]);
    has(&["--http2-prior-knowledge", "--http2-max-requests", "7"], [false, true]);
}

#[test]
fn sites_are_a_factor() {
    let site = |flags: &[&str]| {
        let typed = [&["innkeeper"], flags].concat();
        Arguments::parse_from(typed).serve.site
    };
    let mut arguments = Arguments::parse_from(["innkeeper", "--workers", "2"]);
    let sites = [&["--no-site-rules"][..], &["--guest", "a.wasm"], &["--guest", "b.wasm"]];
    arguments.serve.sites = sites.map(site).into();
    let settings = arguments.settings();
    let text = describe(&parts(settings, &settings.listen(), 10));
    assert!(text.contains("= 2 sites × 2 guests × (1.0 GiB machine code"), "{text}");
    assert!(text.contains("= 1 site × 1 guest × "), "{text}");
    assert!(text.contains("= 2 workers × 4.0 MiB cached decisions of all guests"), "{text}");
}

#[test]
fn sum_is_that_of_the_parts() {
    let arguments = Arguments::parse_from(["innkeeper", "--admin", "127.0.0.1:1"]);
    let parts = parts(arguments.settings(), &arguments.settings().listen(), 1_000);
    for place in Place::ALL {
        let all = parts.iter().filter(|part| part.place == place);
        let sum: u64 = all.map(super::Part::total).sum();
        let line = format!("{:>12}  at most {}\n", super::size(sum), place.name());
        // A place without parts is left out.
        assert_eq!(describe(&parts).contains(&line), sum > 0, "{line}");
    }
}
