//! Authorities that lie, flood and stand still, folders that others have written to, and servers that
//! disagree: names are renewed all the same, and nothing is ordered again and again.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::authority::{Fault, Wrong};
use super::{Place, descendants, heard, quiet_start, stop, tls_page, until_told};
use crate::running::{self, Program};

/// Longer than a message of the fetcher, and with all that a terminal and JSON mind.
const LONG: &str = match std::str::from_utf8(&[b'"'; 60_000]) {
    Ok(text) => text,
    Err(_) => "",
};

const DAYS: i64 = 90 * 86_400;

/// The fetcher's process, which is the same as long as none ends it.
fn fetcher(program: &Program) -> Vec<i32> {
    descendants(program.child.id(), "inn-fetcher")
}

#[test]
fn hostile_response_is_a_failure_and_the_next_attempt_succeeds() {
    for (path, fault, code) in [
        ("/account", Fault::Problem(400, LONG, LONG, None), "code="),
        ("/new-order", Fault::Problem(503, "\u{1b}[2J\n\u{202e}", "x\ny", None), "x y"),
        ("/new-order", Fault::Problem(503, "late", "late", Some(u64::MAX)), "late"),
        ("/dir", Fault::Answer(302, "Location: https://elsewhere.example/\r\n"), "redirect"),
        ("/dir", Fault::Problem(503, "serverInternal", "closed today", None), "closed today"),
        ("/dir", Fault::Answer(429, ""), "rateLimited"),
        ("/dir", Fault::Endless("x: y\r\n"), "connection"),
        ("/account", Fault::Endless("\r\nxxxxxxxxxxxxxxx"), "connection"),
        ("/nonce", Fault::Answer(500, ""), "serverInternal"),
        (
            "/new-order",
            Fault::Twisted(|order| {
                let one = order["authorizations"][0].clone();
                order["authorizations"] = vec![one; 2_000].into();
            }),
            "garbled",
        ),
        (
            "/authz",
            Fault::Twisted(|it| it["challenges"][0]["token"] = "../../../a".into()),
            "garbled",
        ),
        ("/authz", Fault::Twisted(|it| it["challenges"][0]["token"] = LONG.into()), "garbled"),
        ("/authz", Fault::Twisted(|it| it["challenges"] = [(); 0].into()), "challenge"),
        ("/order", Fault::Answer(200, "Retry-After: 18446744073709551615\r\n"), ""),
        ("/chall", Fault::Answer(200, "Retry-After: Fri, 31 Dec 9999 23:59:59 GMT\r\n"), ""),
    ] {
        let place = Place::new();
        place.fake.fail(path, fault.clone());
        let mut program = quiet_start(&place);
        if !code.is_empty() {
            let line = heard(&mut program, "certificate not obtained");
            assert!(line.contains(code), "{path} {line}");
            assert!(line.len() < 10_000 && !line.contains(['\u{1b}', '\u{202e}']), "{line}");
            let before = fetcher(&program);
            program.signal(Signal::HUP);
            program.wait_for("certificate obtained");
            assert_eq!(fetcher(&program), before, "{path} {fault:?} ends the fetcher");
        } else {
            heard(&mut program, "certificate obtained");
        }
        let orders = place.fake.asked("/new-order");
        assert!(orders <= 2, "{path} {fault:?}: {orders} orders");
    }
}

#[test]
fn window_with_any_retry_after_is_taken() {
    for fault in [
        Fault::Answer(200, "Retry-After: 18446744073709551615\r\n"),
        Fault::Answer(200, "Retry-After: -1\r\nRetry-After: \r\n"),
        Fault::Answer(200, "Retry-After: Fri, 31 Dec 9999 23:59:59 GMT\r\n"),
        Fault::Problem(429, LONG, LONG, Some(u64::MAX)),
        Fault::Twisted(|it| it["suggestedWindow"]["end"] = "0000-01-01T00:00:00Z".into()),
        Fault::Garbage("[[[["),
        Fault::Unheard,
    ] {
        let place = Place::new();
        place.fake.state.lock().unwrap().window = Some((86_400, 90_000));
        place.fake.fail("/ari/", fault.clone());
        let mut program = quiet_start(&place);
        heard(&mut program, "certificate obtained");
        running::until(|| {
            let record = fs::read_to_string(place.record()).unwrap_or_default();
            record.contains("window_asked_at") && !record.contains("\"window_asked_at\": 0")
        });
        let record = fs::read_to_string(place.record()).unwrap();
        let record: serde_json::Value = serde_json::from_str(&record).unwrap();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let again = record["ask_window_at"].as_u64().unwrap() - now.as_secs();
        assert!((50..=90_000).contains(&again), "{fault:?}: asked again in {again} s");
        assert_eq!(fetcher(&program).len(), 1);
        assert_eq!(place.fake.asked("/new-order"), 1);
    }
}

#[test]
fn wrong_certificate_does_not_serve_and_is_not_ordered_again() {
    let right = Wrong { name: "a.example", valid: (-60, DAYS), is_of_key: true };
    for (wrong, words) in [
        (Wrong { name: "b.example", ..right }, "is for b.example"),
        (Wrong { valid: (-2 * DAYS, -60), ..right }, "expired"),
        (Wrong { valid: (86_400, DAYS), ..right }, "not valid before"),
        (Wrong { is_of_key: false, ..right }, "is not the key of"),
    ] {
        let place = Place::new();
        place.fake.state.lock().unwrap().wrong = Some(wrong);
        let mut program = quiet_start(&place);
        let line = heard(&mut program, "certificate not obtained");
        assert!(line.contains("code=certificate") && line.contains(words), "{line}");
        assert!(!place.state().join("a.example").exists());
        program.signal(Signal::HUP);
        program.wait_for("certificate not obtained");
        assert_eq!(place.fake.asked("/new-order"), 1, "{wrong:?}");
        assert_eq!(place.fake.asked("/cert"), 2, "it is downloaded again");
    }
}

#[test]
fn record_that_is_poisoned_keeps_no_name_from_its_certificate() {
    let poisons = [
        serde_json::json!({"error": {"code": LONG, "detail": LONG, "advice": LONG}}).to_string(),
        serde_json::json!({"pause_until": u64::MAX, "ask_window_at": u64::MAX}).to_string(),
        serde_json::json!({"pause_cut_at": u64::MAX, "failures": u32::MAX}).to_string(),
        serde_json::json!({"obtained_at": u64::MAX, "replaced_early_at": u64::MAX}).to_string(),
        serde_json::json!({"order": "not a URL"}).to_string(),
        serde_json::json!({"order": "https://127.0.0.1:1/order/7", "failures": 7}).to_string(),
        "\0\0\0".to_owned(),
    ];
    for poison in poisons {
        let place = Place::new();
        let folder = place.of_authority("dir");
        for folder in [place.state(), place.state().join(".private"), folder] {
            fs::create_dir_all(&folder).unwrap();
            fs::set_permissions(&folder, Permissions::from_mode(0o700)).unwrap();
        }
        fs::write(place.record(), &poison).unwrap();
        fs::set_permissions(place.record(), Permissions::from_mode(0o600)).unwrap();
        let mut program = quiet_start(&place);
        let beginning = poison.chars().take(60).collect::<String>();
        if poison.contains("/order/7") {
            // The authority is out of reach, as far as that is known.
            let line = heard(&mut program, "certificate not obtained");
            assert!(line.contains("code=connection"), "{beginning}: {line}");
            program.signal(Signal::HUP);
        }
        heard(&mut program, "certificate obtained");
        assert_eq!(fetcher(&program).len(), 1, "{beginning}");
    }
}

#[test]
fn two_authorities_in_one_folder_order_once_each() {
    let place = Place::new();
    let start = |directory: &str| {
        let mut program = Program::start(place.command_of(directory), 2);
        place.fake.state.lock().unwrap().servers = vec![program.addresses[0]];
        let admin = program.admin();
        (program, admin)
    };
    let (mut staging, of_one) = start("staging");
    heard(&mut staging, "certificate obtained");
    let of_staging = place.serial();
    // The change to production, while the one before serves.
    let (mut production, of_other) = start("dir");
    heard(&mut production, "certificate obtained");
    let of_production = place.serial();
    assert_ne!(of_staging, of_production);
    staging.wait_for("certificate replaced");
    for (program, admin) in [(&staging, of_one), (&production, of_other)] {
        program.signal(Signal::HUP);
        assert_eq!(tls_page(program.addresses[1]), "a page");
        until_told(admin, "/status", "\"valid\"");
    }
    assert_eq!(place.serial(), of_production);
    assert_eq!(place.fake.asked("/new-order"), 2);
    // Back to staging, which has its own still, and to production.
    drop(staging);
    drop(production);
    for (directory, link) in [("staging", &of_staging), ("dir", &of_production)] {
        let (mut program, _) = start(directory);
        heard(&mut program, "certificate that was not served is put back");
        assert_eq!(place.serial(), *link);
        assert_eq!(place.fake.asked("/new-order"), 2);
    }
}

#[test]
fn link_that_is_lost_is_put_back_and_a_lost_certificate_is_ordered_once() {
    let place = Place::new();
    let mut program = quiet_start(&place);
    heard(&mut program, "certificate obtained");
    drop(program);
    fs::remove_file(place.state().join("a.example")).unwrap();
    let mut program = quiet_start(&place);
    heard(&mut program, "certificate that was not served is put back");
    heard(&mut program, "certificate that was awaited serves");
    assert_eq!(tls_page(program.addresses[1]), "a page");
    drop(program);
    fs::remove_dir_all(place.state().join(".certificates/a.example")).unwrap();
    let program = quiet_start(&place);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(place.fake.asked("/new-order"), 1, "not within the hour");
    stop(program);
    place.set("obtained_at", 1_000_000_000);
    let mut program = quiet_start(&place);
    heard(&mut program, "certificate obtained");
    assert_eq!(place.fake.asked("/new-order"), 2);
}

#[test]
fn folder_that_others_may_write_to_is_refused_with_what_to_do() {
    let place = Place::new();
    fs::create_dir(place.state()).unwrap();
    fs::set_permissions(place.state(), Permissions::from_mode(0o777)).unwrap();
    let ended = place.command().output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(!ended.status.success() && said.contains("chmod 700"), "{said}");
}

#[test]
fn account_that_others_may_read_is_not_used() {
    let place = Place::new();
    let mut program = quiet_start(&place);
    heard(&mut program, "certificate obtained");
    stop(program);
    let account = place.of_authority("dir").join("account");
    assert_eq!(fs::metadata(&account).unwrap().permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&account, Permissions::from_mode(0o644)).unwrap();
    fs::remove_dir_all(place.state().join(".certificates/a.example")).unwrap();
    place.set("obtained_at", 0);
    let mut program = quiet_start(&place);
    let line = heard(&mut program, "certificate not obtained");
    assert!(line.contains("chmod 600"), "{line}");
    assert_eq!(place.fake.asked("/new-order"), 1);
}

/// Who asks for challenges all the while keeps the authority from none.
#[test]
fn flood_of_challenges_does_not_keep_the_authority_from_its_own() {
    let place = Place::new();
    place.fake.fail("/dir", Fault::Answer(503, ""));
    let mut program = quiet_start(&place);
    heard(&mut program, "certificate not obtained");
    let is_over = AtomicBool::new(false);
    let clients: Vec<_> = (0..64).map(|_| program.client()).collect();
    let began = Instant::now();
    std::thread::scope(|scope| {
        for mut client in clients {
            let is_over = &is_over;
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    client.send(
                        "GET /.well-known/acme-challenge/AAAA HTTP/1.1\r\nHost: a.example\r\n\r\n",
                    );
                    assert_eq!(client.reply().status(), 404);
                }
            });
        }
        std::thread::sleep(Duration::from_millis(500));
        program.signal(Signal::HUP);
        running::until(|| place.state().join("a.example").exists());
        is_over.store(true, Ordering::Relaxed);
    });
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!(place.fake.asked("/new-order"), 1);
}
