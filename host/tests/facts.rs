//! Facts that no connection has: the time, and the bucket of a client.

use std::fs;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use innkeeper::clients::{Clients, Proxies};
use innkeeper::guest::{Ambient, ClientBuckets, LoadedGuest, StatedFacts};

use crate::fixture::{Setup, engine, site};
use crate::running::{Ended, Program, run, serving};
use crate::wat_guest::telling;

fn load(interests: &[&str]) -> Arc<LoadedGuest> {
    Arc::new(LoadedGuest::load(engine(), &telling(interests)).unwrap())
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

#[test]
fn time_is_told_by_the_grain() {
    let interests = [":time/1", ":time/60", ":time/86400"];
    let server = Setup { guest: load(&interests), ..Setup::default() }.start();
    for (index, grain) in [1, 60, 86_400].into_iter().enumerate() {
        let before = now();
        let told: u64 = server.get(&format!("/x{index}")).text().parse().unwrap();
        let after = now();
        assert_eq!(told % grain, 0);
        assert!((before - before % grain..=after).contains(&told), "{told} at {after}");
    }
}

#[test]
fn decision_is_remembered_within_a_grain() {
    let guest = load(&[":time/60", ":client-bucket/2"]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let decide = |facts: &[(&str, &str)]| {
        let mut stated = innkeeper_cases::Facts::default();
        for (name, value) in facts {
            stated.state(innkeeper_cases::Fact::from_name(name).unwrap(), value).unwrap();
        }
        let facts = StatedFacts::from(&stated);
        let decided = guest.decide(0, b"GET /x0 HTTP/1.1", [].into_iter(), facts.lend());
        let decided = runtime.block_on(decided);
        (decided.decision.unwrap().to_string(), decided.compute_time.is_none())
    };
    let (first, is_remembered) = decide(&[(":time/1", "7200"), (":client-address", "192.0.2.1")]);
    assert!(first.contains("7200") && !is_remembered, "{first}");
    let others: &[&[(&str, &str)]] = &[
        &[(":time/1", "7259")],
        &[(":time/60", "7200")],
        &[(":time/1", "7200"), (":client-address", "2001:db8::1")],
    ];
    for facts in others {
        assert_eq!(decide(facts), (first.clone(), true), "{facts:?}");
    }
    let (next, is_remembered) = decide(&[(":time/1", "7260")]);
    assert!(next.contains("7260") && !is_remembered, "{next}");
    let (other, is_remembered) = decide(&[(":time/1", "7200"), (":client-bucket/2", "1")]);
    assert!(other == first && !is_remembered, "{other}");
}

#[test]
fn bucket_is_that_of_the_true_client() {
    let buckets = ClientBuckets::new(b"0123456789abcdef");
    let here = vec!["127.0.0.0/8".parse().unwrap()];
    let proxies = Proxies { trusted: here, ..Proxies::default() };
    let server = Setup {
        guest: load(&[":client-bucket/10", ":client-bucket/1000"]),
        ambient: Ambient::live(buckets.clone()),
        clients: Clients { proxies, ..Clients::default() },
        ..Setup::default()
    }
    .start();
    for (index, count) in [(0, 10), (1, 1_000)] {
        for (told, client) in [
            ("127.0.0.1", "127.0.0.1"),
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::2"),
        ] {
            let mut connection = server.connect();
            connection.send(format!(
                "GET /x{index} HTTP/1.1\r\nHost: test\r\nX-Forwarded-For: {told}\r\n\r\n"
            ));
            let count = NonZeroU16::new(count).unwrap();
            let expected = buckets.bucket(client.parse().unwrap(), count).to_string();
            assert_eq!(connection.reply().text(), expected, "{told} of {count}");
        }
    }
}

#[test]
fn servers_with_one_key_agree() {
    let folder = site();
    let root = folder.path().join("root");
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("guest.wasm"), telling(&[":client-bucket/1000"])).unwrap();
    fs::write(path("key"), "0123456789abcdef\n").unwrap();
    fs::write(path("other"), "0123456789abcdeg\n").unwrap();
    let told = |key: &str| {
        let (guest, key) = (path("guest.wasm"), path(key));
        let arguments = ["--guest", &guest, "--client-bucket-key", &key];
        Program::start(serving(&root, &arguments), 1).get("/x0").text().to_owned()
    };
    let thousand = NonZeroU16::new(1_000).unwrap();
    for (file, key) in [("key", "0123456789abcdef"), ("other", "0123456789abcdeg")] {
        let buckets = ClientBuckets::new(key.as_bytes());
        assert_eq!(told(file), buckets.bucket([127, 0, 0, 1].into(), thousand).to_string());
    }
    fs::write(path("key"), "short\n").unwrap();
    let key = path("key");
    for arguments in [&[][..], &["--check"]] {
        let mut command = serving(&root, &["--client-bucket-key", &key]);
        let output = command.args(arguments).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("holds no key: it must be 16 characters"), "{text}");
        assert_eq!(output.status.code(), Some(1));
    }
}

#[test]
fn fact_with_another_number_is_refused() {
    for (name, remedy) in [
        (":time", "write `:time/N` with a number of seconds from 1 to 86400, as in `:time/60`"),
        (":time/0", "write `:time/N` with"),
        (":time/07", "write `:time/N` with"),
        (":time/99999", "write `:time/N` with"),
        (":client-bucket/1", "write `:client-bucket/N` with a number of buckets from 2 to 1000"),
        (":clock", "the facts are `:client-address`, "),
    ] {
        let error = LoadedGuest::load(engine(), &telling(&[name])).err().unwrap().to_string();
        let expected = format!("{name:?}, which is neither a field name nor a fact; {remedy}");
        assert!(error.contains(&expected), "{error}");
    }
}

#[test]
fn explain_and_test_state_time_and_bucket() {
    let folder = site();
    fs::write(folder.path().join("guest.wasm"), telling(&[":time/60", ":client-bucket/5"]))
        .unwrap();
    let run = |arguments: &[&str]| {
        let Ended { code, out, errors } = run(folder.path(), arguments);
        (code, out + &errors)
    };
    let explain = |line: &str, facts: &[&str]| {
        let facts = facts.iter().flat_map(|fact| ["--fact", fact]);
        let start = ["explain", "--root", "root", "guest.wasm", line];
        run(&start.into_iter().chain(facts).collect::<Vec<_>>())
    };
    let (code, text) = explain("GET /x0 HTTP/1.1", &["time/60=7200"]);
    assert!(code == 0 && text.contains("reply 200 \"7200\""), "{text}");
    assert!(text.contains("http/1.1, http, time/60 7200"), "{text}");
    let (_, text) = explain("GET /x0 HTTP/1.1", &[":time/3600=7200"]);
    assert!(text.contains("reply 200 \"7200\""), "{text}");
    // The present.
    let (before, (_, text)) = (now(), explain("GET /x0 HTTP/1.1", &[]));
    let is_present =
        |second: u64| text.contains(&format!("reply 200 \"{}\"", second - second % 60));
    assert!(is_present(before) || is_present(now()), "{text}");
    let (_, text) = explain("GET /x1 HTTP/1.1", &["client-bucket/5=4"]);
    assert!(text.contains("reply 200 \"4\""), "{text}");
    let (_, text) = explain("GET /x1 HTTP/1.1", &[]);
    assert!(text.contains("reply 200 \"0\""), "{text}");
    for (facts, error) in [
        (&["time/0=0"][..], "write `:time/N` with"),
        (&["time/60=61"], "write Unix seconds, a multiple of 60"),
        (&["client-bucket/5=5"], "write a number from 0 to 4"),
        (&["time/60=60", "time/3600=7200"], "`:time/60` and `:time/3600` state two times"),
    ] {
        let (code, text) = explain("GET /x0 HTTP/1.1", facts);
        assert!(code != 0 && text.contains(error), "{facts:?}: {text}");
    }
    fs::write(
        folder.path().join("cases.toml"),
        "case = [
            { line = 'GET /x0 HTTP/1.1', decision = { reply = { body = '1735689600' } } },
            { line = 'GET /x0 HTTP/1.1', fields = { ':time/60' = '7260' }, decision = { reply = { body = '7260' } } },
            { line = 'GET /x0 HTTP/1.1', fields = { ':time/1' = '7319' }, decision = { reply = { body = '7260' } } },
            { line = 'GET /x1 HTTP/1.1', fields = { ':client-bucket/5' = '3' }, decision = { reply = { body = '3' } } },
        ]",
    )
    .unwrap();
    let (code, text) = run(&["test", "guest.wasm", "cases.toml"]);
    assert_eq!(code, 0, "{text}");
}
