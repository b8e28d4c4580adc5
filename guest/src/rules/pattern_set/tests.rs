use super::{MAX_PASSES, PatternSet};
use crate::pattern::{Pattern, steps};
use crate::rules::Problem;
use proptest::prelude::*;

/// The slow, obvious way: each pattern by itself.
fn all(patterns: &[(Option<&str>, Pattern)], host: Option<&str>, path: &str) -> Vec<usize> {
    let matches = |(expected, pattern): &(Option<&str>, Pattern)| {
        expected.is_none_or(|expected| Some(expected) == host) && pattern.matches(path).is_some()
    };
    (0..patterns.len()).filter(|&at| matches(&patterns[at])).collect()
}

proptest! {
    #[test]
    fn set_matches_what_each_pattern_matches(
        texts in prop::collection::vec(
            (0..3_usize, r"(/(a|b|ab|:x|:y)){0,4}(/|/\*|\*|/\*b|/a\*b\*|/a:z|/ab:z|/aba\*|/b\*a|/\*/:z)?"), 0..30),
        paths in prop::collection::vec(r"((a|b|ab|ba)/){0,4}(a|b|aab)?", 1..20),
    ) {
        let hosts = [None, Some("h"), Some("i")];
        let mut set = PatternSet::default();
        let mut patterns = Vec::new();
        for (host, text) in &texts {
            if let Ok(pattern) = Pattern::parse(text) {
                set.push(hosts[*host], &pattern).expect("few patterns");
                patterns.push((hosts[*host], pattern));
            }
        }
        for path in &paths {
            for host in [None, Some("h"), Some("j")] {
                let matched: Vec<_> = set.matches(host, path).map(|(at, _)| at).collect();
                prop_assert_eq!(matched, all(&patterns, host, path), "{:?} {}", patterns, path);
                for (at, captures) in set.matches(host, path) {
                    prop_assert_eq!(Some(captures), patterns[at].1.matches(path));
                }
            }
        }
    }
}

#[test]
fn ten_thousand_patterns_are_not_looked_at_for_each_path() {
    let mut set = PatternSet::default();
    for number in 0..10_000 {
        let text = format!("/old/{number}/:name");
        set.push(None, &Pattern::parse(&text).expect("a pattern")).expect("no limit");
    }
    let matched: Vec<_> = set.matches(None, "old/7777/x").map(|(at, _)| at).collect();
    assert_eq!(matched, [7777]);
}

/// The patterns until one is refused, and their number.
fn fill(patterns: impl Fn(usize) -> String) -> (PatternSet, usize) {
    let mut set = PatternSet::default();
    for number in 0..50_000 {
        let pattern = Pattern::parse(&patterns(number)).expect("a pattern");
        if let Err(problem) = set.push(None, &pattern) {
            assert_eq!(problem, Problem::Slow);
            return (set, number);
        }
    }
    (set, 50_000)
}

/// Placeholders as whole names, each behind the other text.
fn placeholders(before: &str, number: usize) -> String {
    (0..number).map(|at| format!("{before}/:n{at}")).collect()
}

#[test]
fn hostile_tables_end_where_a_path_would_need_too_many_passes() {
    const PATH: usize = 8 << 10;
    let paths = ["a/", "ab", "x/x1/", "a-b", "-b/b", "\u{e9}-", "a"]
        .map(|piece| piece.repeat(PATH / piece.len()));
    for (pattern, least) in [
        (&(|_| "/*/*/*/*/*/*/*/*".to_owned()) as &dyn Fn(usize) -> String, 500),
        (&|at| format!("/:x/:a-:b-b:c-b:d-b:e-{at}z"), 500),
        (&|at| format!("/*/x{at}/*"), 500),
        (&|at| format!("/*b{at}"), 50_000),
        (&|_| "/:a-*b:c-*".to_owned(), 25),
        (&|_| "/:a-:b-:c-:d-:e-:f-:g-*".to_owned(), 25),
        (&|at| format!("/f{at}/*/x/*"), 50_000),
        (&|at| format!("/f{at}-:id"), 50_000),
        (&|at| format!("/:x/f{at}-*/x/*"), 50_000),
        // Each starts with those before it.
        (&|at| format!("/{}*b*", "a".repeat(at + 1)), 500),
        (&|at| format!("/f{at}/*/x/*/:a-:b-*"), 50_000),
        (&|at| placeholders("", at % 16) + "/*b*", 500),
        (&|at| placeholders("/a", at % 8) + "/*b*", 500),
    ] {
        let (set, number) = fill(pattern);
        assert!(number >= least, "{number} of {}", pattern(0));
        for path in &paths {
            steps();
            let _ = set.matches(None, path).count();
            let steps = steps();
            // The last one, which was refused, is in the set.
            let most = (MAX_PASSES as usize + 20) * (PATH + 1);
            assert!(steps <= most, "{steps} for {}", pattern(0));
        }
    }
}
