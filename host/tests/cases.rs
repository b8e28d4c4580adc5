//! Tables of cases: `innkeeper test`, which runs them on the compiled guest, and the unit tests
//! of a policy, which run them natively, pass and fail the same cases in the same words.

use std::collections::BTreeSet;
use std::panic::catch_unwind;
use std::sync::Arc;

use innkeeper::guest::LoadedGuest;
use innkeeper::guest::decision::Kind;
use innkeeper::guest::validation::cases::CaseFile;
use innkeeper_cases::Failure;
use innkeeper_guest::testing::check_cases;

use crate::examples::example;
use crate::fixture::engine;

/// The example that makes every kind of decision, as native code.
#[path = "../../guest/examples/tour/src/lib.rs"]
#[expect(unreachable_pub, reason = "the crate of the example exports it")]
mod tour;

/// Requests on which the example makes every kind of decision.
const REQUESTS: [&str; 14] = [
    "line = 'GET / HTTP/1.1'",
    "line = 'GET /hello HTTP/1.1'",
    "line = 'GET /nowhere HTTP/1.1'",
    "line = 'GET /docs HTTP/1.1'",
    "line = 'GET /hello.txt HTTP/1.1'",
    "line = 'GET /blog HTTP/1.1'",
    "line = 'GET /secret HTTP/1.1'",
    "line = 'GET /typed HTTP/1.1'",
    "line = 'GET /gone HTTP/1.1'",
    "line = 'GET /old HTTP/1.1'",
    "line = 'GET /whoami HTTP/1.1', fields = { user-agent = ['\u{e9}', 'b'], cookie = 'c' }",
    "line = 'GET /whoami HTTP/1.1', fields = { ':client-address' = '2001:DB8:0::1' }",
    "line = 'GET /whoami HTTP/1.1', fields = { ':client-name' = 'a', ':protocol' = 'h2' }",
    r"name = 'no request line', escaped-line = '\xff\x1b\\'",
];

/// Those decisions, and similar ones.
const DECISIONS: [&str; 24] = [
    "{ index = '' }",
    "{ index = '/' }",
    "{ file = 'hello.txt' }",
    "'not-found'",
    "{ serve = { candidates = [{ index = '' }] } }",
    "{ serve = { candidates = [{ file = 'hello.txt', fields = { Content-Type = 'text/x-typed' } }] } }",
    "{ serve = { candidates = [{ file = 'hello.txt', status = 410 }] } }",
    "{ serve = { candidates = [{ file = 'hello.txt', status = 301, location = '/hello' }] } }",
    "{ serve = { candidates = [{ file = 'hello.txt', status = 301, location = '/other' }] } }",
    "{ serve = { candidates = [{ file = 'blog.html' }], otherwise = { status = 302, location = 'https://blog.example.org/' } } }",
    "{ serve = { candidates = [{ file = 'blog.html' }] } }",
    "{ serve = { candidates = [], fields = { cache-control = 'no-store' } } }",
    "{ serve = { candidates = [], fields = { cache-control = 'no-cache' } } }",
    "{ serve = { candidates = [{ file = 'docs' }, { file = 'docs.html' }, { index = 'docs', fields = { content-security-policy = \"default-src 'self'\", cache-control = 'max-age=60' } }] } }",
    "{ serve = { candidates = [{ file = 'docs' }, { file = 'docs.html' }, { index = 'docs/' }] } }",
    "{ serve = { candidates = [{ index = 'docs' }, { file = 'docs.html' }, { file = 'docs' }] } }",
    "{ redirect = { status = 308, location = '/new?from=old' } }",
    "{ redirect = { status = 308, location = '/new', fields = { cache-control = 'no-store' } } }",
    "{ redirect = { status = 301, location = '/new?from=old' } }",
    "{ reply = {} }",
    "{ reply = { status = 204, body = '' } }",
    r#"{ reply = { body = ":client-address=2001:db8::1\n:scheme=http\n:protocol=http/1.1\n" } }"#,
    r#"{ reply = { body = ":client-address=127.0.0.1\n:scheme=https\n:protocol=h2\n:tls-version=1.3\n:client-certificate=0000000000000000000000000000000000000000000000000000000000000000\n:client-name=a\n" } }"#,
    "{ reply = { body = 'a', fields = { vary = 'user-agent' } } }",
];

/// A case for each request with each decision.
fn table() -> String {
    let case = |request| {
        DECISIONS.map(|decision| format!("    {{ {request}, decision = {decision} }},\n")).concat()
    };
    format!("case = [\n{}]\n", REQUESTS.map(case).concat())
}

/// The failures that `innkeeper test` prints.
fn failures_of_guest(table: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cases.toml");
    std::fs::write(&path, table).unwrap();
    let file = CaseFile::read(&path).unwrap_or_else(|error| panic!("{error}"));
    let guest = Arc::new(LoadedGuest::load(engine(), &example("tour")).unwrap());
    let outcomes = file.outcomes(&guest);
    let failed = outcomes.iter().filter(|outcome| !outcome.passed);
    let printed = failed.map(|outcome| {
        let failure = Failure {
            place: &format!("line {}", outcome.line),
            name: outcome.name.as_deref(),
            request: &outcome.request,
            expected: outcome.expected.as_deref().unwrap(),
            got: &outcome.got,
        };
        failure.to_string()
    });
    printed.collect()
}

#[test]
fn host_and_unit_tests_judge_cases_alike() {
    let table = table();
    let of_guest = failures_of_guest(&table);
    let panic = catch_unwind(|| check_cases::<tour::Tour>(&table)).unwrap_err();
    let message = panic.downcast_ref::<String>().unwrap();
    let count = REQUESTS.len() * DECISIONS.len();
    let summary = format!("{} of {count} cases failed\n\n", of_guest.len());
    assert_eq!(*message, summary + &of_guest.join("\n"));
    // Most requests have a case that passes, and each has many that fail.
    assert!((10..=30).contains(&(count - of_guest.len())), "{} cases failed", of_guest.len());
    let got: BTreeSet<_> = of_guest.iter().filter_map(|text| text.lines().nth(3)).collect();
    assert!(got.len() >= REQUESTS.len(), "{got:?}");
}

#[test]
fn every_kind_of_decision_can_be_expected() {
    for kind in Kind::ALL {
        let name = kind.name();
        let table = format!("case = [{{ line = 'a', decision = {{ {name} = 1 }} }}]");
        let error = innkeeper_cases::parse(&table).unwrap_err().to_string();
        assert!(error.contains(&format!("`{name}`")), "{error}");
        assert!(!error.contains("unknown variant"), "{error}");
    }
}

#[test]
fn host_and_unit_tests_refuse_a_table_in_the_same_words() {
    let table = "case = [\n    { line = 'a',\n      decision = 'not-found' },\n]\n";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cases.toml");
    std::fs::write(&path, table).unwrap();
    let of_host = CaseFile::read(&path).unwrap_err().to_string();
    let panic = catch_unwind(|| check_cases::<tour::Tour>(table)).unwrap_err();
    let of_unit_tests = panic.downcast_ref::<String>().unwrap();
    let why = "cannot be read: line 2: TOML 1.0 has { … } on one line";
    assert!(of_host.contains(why) && of_unit_tests.contains(why), "{of_host}\n{of_unit_tests}");
}
