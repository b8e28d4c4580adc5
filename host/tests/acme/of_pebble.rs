//! Certificates of pebble: challenges, keys, profiles, accounts, renewals and what goes wrong.

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use rustix::process::{Pid, Signal, kill_process};

use super::pebble::{Accounts, KEY, KEY_ID, Pebble, SHORT};
use super::{descendants, heard, record_of, tls_page, tls_page_of, until_told};
use crate::running::{Program, told, until};

/// Days until this certificate expires, rounded; `None` without one.
fn days(admin: SocketAddr) -> Option<u64> {
    let status: serde_json::Value = serde_json::from_str(&told(admin, "/status")).unwrap();
    let expires = status["acme"]["names"][0]["expires"].as_str()?;
    let left = humantime::parse_rfc3339(expires).unwrap().duration_since(SystemTime::now());
    Some((left.unwrap().as_secs() + 43_200) / 86_400)
}

/// Sends SIGHUP until this holds: the authority is not asked at each of them.
#[track_caller]
pub fn look_until(program: &Program, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(60), "it never comes to that");
        program.signal(Signal::HUP);
        for _ in 0..20 {
            if holds() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

#[test]
fn pebble_proves_names_and_addresses_by_both_challenges() {
    for kind in ["tls-alpn-01", "http-01"] {
        let folder = tempfile::tempdir().unwrap();
        let Some(pebble) = Pebble::start(folder.path()) else { return };
        let mut program = pebble.server(&[
            "--acme",
            "a.example,127.0.0.1",
            "--acme-challenge",
            kind,
            "--redirect-to-https",
        ]);
        let admin = program.admin();
        for _ in 0..2 {
            program.wait_for("certificate that was awaited serves");
        }
        assert_eq!(tls_page(program.addresses[1]), "a page");
        until(|| told(admin, "/status").matches("\"state\": \"valid\"").count() == 2);
    }
}

#[test]
fn each_kind_of_key_and_the_second_challenge_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let Some(pebble) = Pebble::start(folder.path()) else { return };
    for kind in ["ecdsa-p384", "rsa2048"] {
        let name = format!("{kind}.example");
        let mut program = pebble.server(&[
            "--acme",
            &name,
            "--acme-key-type",
            kind,
            "--acme-email",
            "a@a.example",
        ]);
        program.wait_for("certificate that was awaited serves");
        assert_eq!(tls_page(program.addresses[1]), "a page");
    }
    assert_eq!(pebble.orders(), 2);
}

#[test]
fn profile_is_the_one_that_was_named() {
    let folder = tempfile::tempdir().unwrap();
    let Some(pebble) = Pebble::start_newer(folder.path()) else { return };
    let mut program = pebble.server(&["--acme", "127.0.0.1", "--acme-profile", "shortlived"]);
    let admin = program.admin();
    heard(&mut program, "certificate obtained");
    until(|| days(admin) == Some(SHORT));
    drop(program);
    let mut program = pebble.server(&["--acme", "a.example", "--acme-profile", "eternal"]);
    let line = heard(&mut program, "certificate not obtained");
    assert!(line.contains("eternal") && line.contains("--acme-profile"), "{line}");
}

#[test]
fn account_is_bound_to_the_one_that_the_authority_knows() {
    let folder = tempfile::tempdir().unwrap();
    let Some(pebble) = Pebble::start_with(folder.path(), Accounts::Bound) else { return };
    let mut program = pebble.server(&["--acme", "a.example"]);
    let line = heard(&mut program, "certificate not obtained");
    assert!(line.contains("externalAccountRequired") && line.contains("--acme-eab-kid"), "{line}");
    drop(program);
    let file = folder.path().join("eab.key");
    for (name, key, part) in [
        ("b.example", KEY.replace('z', "a"), "certificate not obtained"),
        ("c.example", KEY.into(), "certificate obtained"),
    ] {
        fs::write(&file, key).unwrap();
        let arguments = ["--acme", name, "--acme-eab-kid", KEY_ID];
        let mut command = pebble.command("state", &arguments);
        command.arg("--acme-eab-key-file").arg(&file);
        let mut program = Program::start(command, 2);
        heard(&mut program, part);
    }
}

#[test]
fn certificate_is_replaced_when_its_window_is_moved_or_it_is_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let Some(pebble) = Pebble::start_newer(folder.path()) else { return };
    let mut program = pebble.server(&["--acme", "a.example,b.example,c.example"]);
    for _ in 0..3 {
        program.wait_for("certificate that was awaited serves");
    }
    let file = |name: &str, file: &str| {
        fs::read_to_string(pebble.state(&format!("{name}.example/{file}"))).unwrap()
    };
    let [a, b, c] = ["a", "b", "c"].map(|name| file(name, "fullchain.pem"));
    pebble.suggest(&a, -7200, -3600);
    pebble.revoke(&b, &file("b", "privkey.pem"));
    look_until(&program, || file("a", "fullchain.pem") != a && file("b", "fullchain.pem") != b);
    for _ in 0..2 {
        program.wait_for("certificate replaced");
    }
    assert_eq!(file("c", "fullchain.pem"), c);
    assert_eq!(pebble.orders(), 5);
    assert_eq!(tls_page(program.addresses[1]), "a page");
}

#[test]
fn name_that_leads_nowhere_is_told_and_ordered_once() {
    let folder = tempfile::tempdir().unwrap();
    let Some(pebble) = Pebble::start(folder.path()) else { return };
    pebble.names("set-servfail", "a.example");
    let mut program = pebble.server(&["--acme", "a.example,b.example"]);
    let line = heard(&mut program, "certificate not obtained");
    assert!(line.contains("name=a.example") && line.contains("resolve"), "{line}");
    // It keeps no other name waiting, and a start orders nothing.
    heard(&mut program, "certificate obtained name=b.example");
    drop(program);
    let mut program = pebble.server(&["--acme", "a.example,b.example"]);
    let admin = program.admin();
    until_told(admin, "/status", "\"failed\"");
    assert_eq!(pebble.orders(), 2);
    pebble.names("clear-servfail", "a.example");
    program.signal(Signal::HUP);
    heard(&mut program, "certificate obtained name=a.example");
}

#[test]
fn authority_that_is_down_and_has_forgotten_the_account_is_asked_again() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mut pebble) = Pebble::start(folder.path()) else { return };
    let mut program = pebble.server(&["--acme", "a.example"]);
    heard(&mut program, "certificate that was awaited serves");
    drop(program);
    pebble.stop();
    let mut program = pebble.server(&["--acme", "a.example,b.example"]);
    let line = heard(&mut program, "certificate not obtained");
    assert!(line.contains("code=connection") && line.contains("refused"), "{line}");
    assert_eq!(tls_page(program.addresses[1]), "a page");
    drop(program);
    // It knows no accounts any more.
    pebble.start_again();
    let mut program = pebble.server(&["--acme", "c.example"]);
    let line = heard(&mut program, "certificate not obtained");
    assert!(line.contains("accountDoesNotExist"), "{line}");
    program.signal(Signal::HUP);
    heard(&mut program, "certificate obtained");
}

/// Killed at some moment, and started again: what the authority knows of goes on.
#[test]
fn order_goes_on_after_a_kill_at_any_moment() {
    let folder = tempfile::tempdir().unwrap();
    let Some(pebble) = Pebble::start_with(folder.path(), Accounts::Believed) else { return };
    for moment in 0..8_u32 {
        let name = format!("{moment}.example");
        let before = pebble.orders();
        let mut program = pebble.server(&["--acme", &name]);
        heard(&mut program, "certificate is ordered");
        std::thread::sleep(Duration::from_millis(40) * moment);
        let victim = ["inn-fetcher", "inn-fetchkeeper", ""][moment as usize % 3];
        for id in descendants(program.child.id(), victim) {
            let _ = kill_process(Pid::from_raw(id).unwrap(), Signal::KILL);
        }
        drop(program);
        let is_known = record_of(&pebble.state(""), &name)["order"].is_string();
        let known = pebble.orders() - before;
        let mut program = pebble.server(&["--acme", &name]);
        // One that was not begun yet waits, as a failure.
        program.signal(Signal::HUP);
        heard(&mut program, "certificate that was awaited serves");
        assert_eq!(tls_page_of(program.addresses[1], &name), "a page");
        let orders = pebble.orders() - before;
        // Of an order whose response never came it cannot know.
        let most = if is_known { 1 } else { known + 1 };
        assert!(orders <= most, "{moment}: {orders} orders, {known} before the kill");
    }
}
