//! What the administration tells of requests: figures, paths and failures, and what another guest
//! would change for clients.

use serde_json::{Value, json};

use crate::admin::{Place, code_of, json, keys};
use crate::running::until;
use crate::wat_guest::{module, redirecting, replying, replying_with};

/// Its parts, once the server has noted this many requests.
fn requests(place: &Place, count: u64) -> Value {
    until(|| json(&place.get("/status"))["requests"] == count);
    json(&place.change("GET /requests", b""))
}

#[test]
fn paths_and_failures_are_told_to_those_who_may_change_the_guest() {
    let place = Place::new(&[]);
    for target in ["/hello.txt", "/hello.txt?secret", "/nothing", "/a/../hello.txt"] {
        place.program.get(target);
    }
    assert_eq!(place.change("PUT /guest", &module("", "unreachable")).status(), 200);
    assert_eq!(place.program.get("/x?secret").status(), 500);
    let told = requests(&place, 5);
    assert_eq!(told["paths"][0], json!({ "path": "/hello.txt", "requests": 2 }));
    assert!(told["not_found"].as_array().unwrap().iter().any(|it| it["path"] == "/nothing"));
    let failure = &told["failures"][0];
    assert_eq!((&failure["request"], &failure["status"]), (&"GET /x".into(), &500.into()));
    assert_eq!(failure["guest"], json(&place.get("/status"))["guest"]["digest"]);
    assert!(failure["cause"].as_str().unwrap().contains("unreachable"), "{failure}");
    assert!(!told.to_string().contains("secret"), "{told}");
    let mut found = keys(&told);
    found.sort();
    found.dedup();
    assert_eq!(
        found,
        [
            "failures",
            "failures[].at",
            "failures[].cause",
            "failures[].decision",
            "failures[].guest",
            "failures[].request",
            "failures[].status",
            "not_found",
            "not_found[].path",
            "not_found[].requests",
            "paths",
            "paths[].path",
            "paths[].requests",
            "seconds",
        ]
    );
    let refused = place.get("/requests");
    assert_eq!((refused.status(), &*code_of(&refused)), (401, "token-required"));
}

/// It was another path than that of the usual form.
#[test]
fn path_of_the_absolute_form_is_told_without_its_host() {
    let place = Place::new(&[]);
    for target in ["/hello.txt", "http://localhost/hello.txt?secret", "http://localhost"] {
        place.program.get(target);
    }
    let told = requests(&place, 3);
    let paths = json!([{ "path": "/hello.txt", "requests": 2 }, { "path": "/", "requests": 1 }]);
    assert_eq!(told["paths"], paths);
}

#[test]
fn traffic_is_that_of_the_last_minute() {
    let place = Place::new(&[]);
    for target in ["/hello.txt", "/hello.txt", "/nothing"] {
        place.program.get(target);
    }
    // A second is told when it is over.
    until(|| json(&place.get("/traffic"))["last_minute"]["requests"] == 3);
    let traffic = json(&place.get("/traffic"));
    let minute = &traffic["last_minute"];
    assert_eq!(minute["statuses"], json!({ "2xx": 2, "3xx": 0, "4xx": 1, "5xx": 0 }));
    assert!(minute["p50_ms"].as_f64().unwrap() <= minute["p99_ms"].as_f64().unwrap(), "{minute}");
    let not_found = traffic["timeline"]["statuses"]["4xx"].as_array().unwrap();
    assert_eq!(not_found.len() as u64, traffic["timeline"]["seconds"].as_u64().unwrap());
    assert_eq!(not_found.iter().map(|it| it.as_u64().unwrap()).sum::<u64>(), 1);
    let mut found = keys(&traffic);
    found.sort();
    let of_classes = |whole: &str| {
        let parts = ["2xx", "3xx", "4xx", "5xx"].map(|class| format!("{whole}.{class}"));
        std::iter::once(whole.to_owned()).chain(parts).collect::<Vec<_>>()
    };
    let mut expected = vec!["last_minute".to_owned(), "timeline".to_owned()];
    let minute = ["body_bytes", "p50_ms", "p99_ms", "requests", "requests_per_second", "seconds"];
    expected.extend(minute.map(|key| format!("last_minute.{key}")));
    expected.extend(["body_bytes", "seconds"].map(|key| format!("timeline.{key}")));
    expected.extend(of_classes("last_minute.statuses"));
    expected.extend(of_classes("timeline.statuses"));
    expected.sort();
    assert_eq!(found, expected);
}

/// The groups of changes, without examples.
fn changes(report: &Value) -> Vec<(String, String, String, u64)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let changes = report["changes"].as_array().unwrap().iter();
    changes
        .map(|it| {
            let count = it["requests"].as_u64().unwrap();
            (text(&it["kind"]), text(&it["current"]), text(&it["candidate"]), count)
        })
        .collect()
}

#[test]
fn changes_are_told_as_responses_and_grouped() {
    let place = Place::new(&[]);
    const TARGETS: [&str; 5] = ["/hello.txt", "/nothing", "/nothing/1", "/nothing/2", "/nothing/3"];
    for target in TARGETS.into_iter().chain(["/x"]) {
        place.program.get(target);
    }
    let check = |guest: &[u8]| json(&place.change("POST /check", guest));
    let group = |kind: &str, current: &str, candidate: &str, requests| {
        (kind.to_owned(), current.to_owned(), candidate.to_owned(), requests)
    };
    // A file that is not there is decided otherwise, and found as little.
    let report = check(&module("", "unreachable"));
    assert_eq!(
        changes(&report),
        [
            group("failure", "404", "none", 1),
            group("status", "200", "404", 1),
            group("nothing", "404", "404", 4),
        ]
    );
    assert_eq!((&report["compared"], &report["differing"]), (&6.into(), &6.into()));
    let found = &report["changes"][1]["examples"][0];
    assert_eq!(found["request"], "GET /hello.txt HTTP/1.1");
    assert_eq!(
        (&found["current"]["file"], &found["current"]["status"]),
        (&"hello.txt".into(), &200.into())
    );
    assert_eq!(
        (&found["candidate"]["file"], &found["candidate"]["status"]),
        (&Value::Null, &404.into())
    );
    assert_eq!(report["changes"][2]["examples"].as_array().unwrap().len(), 3);
    let report = check(&redirecting("/elsewhere"));
    // The path on which it fails comes first.
    let example = &report["changes"][1]["examples"][0];
    assert_eq!(example["candidate"]["location"], "/elsewhere", "{report}");

    // It is warmed up with the requests before. It fails on `/x`, and would be rejected.
    let place = Place::new(&[]);
    for target in TARGETS {
        place.program.get(target);
    }
    let check = |guest: &[u8]| json(&place.change("POST /check", guest));
    assert_eq!(place.change("PUT /guest", &replying("one")).status(), 200);
    assert_eq!(changes(&check(&replying("two"))), [group("content", "200", "200", 5)]);
    assert_eq!(changes(&check(&replying_with(503, "one"))), [group("status", "200", "503", 5)]);
    assert_eq!(changes(&check(&replying("one"))), []);
}
