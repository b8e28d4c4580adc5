//! A machine that fails: a disk that is full or cannot be written, a clock that jumps, a server that
//! is killed while others wait for it, a kernel without Landlock.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::authority::Fault;
use super::of_pebble::look_until;
use super::{Place, descendants, heard, quiet_start, record_of, tls_page, until_told};
use crate::failing_disk::beside;
use crate::failing_machine::movable_clock;
use crate::faulty_calls::start_with;
use crate::fixture::Client;
use crate::running::{Program, TOKEN, told, until};
use crate::skip::{Need, skip};

const DAY: i64 = 86_400;

/// A server whose state is on a small disk of its own, which is full.
fn on_a_full_disk(place: &Place) -> Option<Command> {
    fs::create_dir(place.state()).unwrap();
    let script = "state=$1; shift; mount -t tmpfs -o size=128k,mode=700 none \"$state\" && \
                  { head -c 1m /dev/zero >\"$state/filler\" 2>/dev/null; exec \"$@\"; }";
    let inside = |program: &Command| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]);
        command.arg(place.state()).arg(program.get_program()).args(program.get_args());
        for (name, value) in program.get_envs() {
            command.env(name, value.unwrap());
        }
        command
    };
    if !inside(&Command::new("true")).status().is_ok_and(|status| status.success()) {
        skip(Need::UserNamespaces, "`unshare --user --mount` cannot mount a tmpfs");
        return None;
    }
    Some(inside(&place.command()))
}

/// That the administration tells of a state that cannot be kept, with this advice.
fn assert_state_fails(admin: SocketAddr, advice: &str) {
    until_told(admin, "/status", advice);
    let status: serde_json::Value = serde_json::from_str(&told(admin, "/status")).unwrap();
    let name = &status["acme"]["names"][0];
    assert_eq!(name["state"], "failed", "{name}");
    assert_eq!(name["last_error"]["code"], "state", "{name}");
    assert!(name["last_error"]["detail"].as_str().unwrap().contains("state"), "{name}");
    assert!(name["next_attempt"].as_str().unwrap() > "2000", "{name}");
    assert!(name["failures"].as_u64().unwrap() > 0, "{name}");
    let metrics = told(admin, "/metrics");
    assert!(!metrics.contains("innkeeper_acme_failures{name=\"a.example\"} 0"), "{metrics}");
}

#[test]
fn folder_of_the_state_that_goes_away_is_told_until_it_is_back() {
    let place = Place::new();
    let mut program = quiet_start(&place);
    let admin = program.admin();
    program.signal(Signal::HUP);
    heard(&mut program, "certificate that was awaited serves");
    let status: serde_json::Value = serde_json::from_str(&told(admin, "/status")).unwrap();
    if status["sandbox"]["files"] == "not" {
        // There the fetcher makes the folder again by itself.
        return;
    }
    let (state, moved) = (place.state(), place.folder.path().join("moved"));
    fs::rename(&state, &moved).unwrap();
    // Each command has it tried, and told.
    for _ in 0..2 {
        program.signal(Signal::HUP);
        let line = program.wait_for("no certificate is ordered, the state cannot be kept");
        assert!(line.contains("is gone") && line.contains("next_attempt=2"), "{line}");
    }
    assert_state_fails(admin, "restart the server");
    fs::create_dir(&state).unwrap();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o700)).unwrap();
    program.signal(Signal::HUP);
    let line = program.wait_for("no certificate is ordered, the state cannot be kept");
    assert!(line.contains("another directory") && line.contains("restart"), "{line}");
    assert_eq!(tls_page(program.addresses[1]), "a page");
    assert_eq!(place.fake.asked("/new-order"), 1);
    fs::remove_dir(&state).unwrap();
    fs::rename(&moved, &state).unwrap();
    place.fake.state.lock().unwrap().window = Some((-7200, -3600));
    program.signal(Signal::HUP);
    program.wait_for("state of certificates is kept again");
    until_told(admin, "/metrics", "innkeeper_acme_failures{name=\"a.example\"} 0");
    look_until(&program, || place.fake.asked("/new-order") == 2);
}

#[test]
fn end_of_the_process_that_starts_the_fetcher_is_told_until_a_restart() {
    let place = Place::new();
    fs::write(place.folder.path().join("token"), TOKEN).unwrap();
    let mut command = place.command();
    command.arg("--admin-token-file").arg(place.folder.path().join("token"));
    let mut program = Program::start(command, 2);
    let admin = program.admin();
    let ids = descendants(program.child.id(), "inn-fetchkeeper");
    kill_process(Pid::from_raw(ids[0]).unwrap(), Signal::KILL).unwrap();
    heard(&mut program, "fetcher has ended, certificates are not renewed until a restart");
    until_told(admin, "/status", "\"has_ended\": true");
    until_told(admin, "/status", "the process that orders certificates has ended");
    until_told(admin, "/metrics", "innkeeper_acme_failures{name=\"a.example\"}");
    let mut client = Client::connect(admin);
    client.send(format!(
        "POST /reload HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    ));
    let reply: serde_json::Value = serde_json::from_str(client.reply().text()).unwrap();
    assert!(reply["rejected"][0]["error"].as_str().unwrap().contains("certificates"), "{reply}");
}

#[test]
fn full_disk_orders_nothing_until_there_is_room() {
    let place = Place::new();
    let Some(command) = on_a_full_disk(&place) else { return };
    let mut program = Program::start(command, 2);
    let admin = program.admin();
    place.fake.state.lock().unwrap().servers = vec![program.addresses[0]];
    let line = heard(&mut program, "no certificate is ordered, the state cannot be kept");
    assert!(line.contains("No space left"), "{line}");
    assert!(line.contains(place.state().to_str().unwrap()), "{line}");
    assert_state_fails(admin, "make room");
    assert_eq!(program.get("/").text(), "a page");
    assert_eq!(place.fake.asked("/new-order"), 0);
    let path = |name: &str| place.state().join(name).display().to_string();
    assert!(beside(&program, &["rm", &path("filler")]));
    program.signal(Signal::HUP);
    program.wait_for("certificate that was awaited serves");
    assert!(told(admin, "/metrics").contains("acme_failures{name=\"a.example\"} 0"));
    // It is to be renewed, and nothing can be written.
    assert!(beside(&program, &["mount", "-o", "remount,ro", &path("")]));
    place.fake.state.lock().unwrap().window = Some((-7200, -3600));
    // It was asked for the window when the certificate came, and is not asked again at once.
    std::thread::sleep(Duration::from_secs(11));
    program.signal(Signal::HUP);
    let line = program.wait_for("no certificate is ordered, the state cannot be kept");
    assert!(line.contains("Read-only"), "{line}");
    assert_eq!(tls_page(program.addresses[1]), "a page");
    assert_eq!(place.fake.asked("/new-order"), 1);
    assert!(beside(&program, &["mount", "-o", "remount,rw", &path("")]));
    look_until(&program, || place.fake.asked("/new-order") == 2);
    program.wait_for("certificate replaced");
}

/// A server whose clock, and its helpers', is moved.
fn with_a_movable_clock(place: &Place, folder: &Path) -> Option<(Command, impl Fn(i64))> {
    let (library, offset) = movable_clock(folder)?;
    let mut command = place.command();
    command.env("LD_PRELOAD", library);
    let jump = move |seconds: i64| offset.write_all_at(&seconds.to_ne_bytes(), 0).unwrap();
    Some((command, jump))
}

#[test]
fn clock_that_jumps_renews_what_is_due_and_orders_nothing_else() {
    let (place, folder) = (Place::new(), tempfile::tempdir().unwrap());
    let Some((command, jump)) = with_a_movable_clock(&place, folder.path()) else { return };
    let mut program = Program::start(command, 2);
    let admin = program.admin();
    place.fake.state.lock().unwrap().servers = vec![program.addresses[0]];
    program.signal(Signal::HUP);
    heard(&mut program, "certificate that was awaited serves");
    let orders = || place.fake.asked("/new-order");
    let back = -3652 * DAY;
    for (days, expected) in [(DAY, 1), (-DAY, 1), (back, 1), (62 * DAY, 2), (back, 2), (0, 2)] {
        jump(days);
        if expected > orders() {
            program.signal(Signal::HUP);
            program.wait_for("certificate replaced");
        } else {
            // The one that was renewed late is still due, and has its pause.
            let is_due = days > 60 * DAY;
            if !is_due {
                program.signal(Signal::HUP);
            }
            std::thread::sleep(Duration::from_millis(700));
        }
        assert_eq!(orders(), expected, "{days}: {}", told(admin, "/status"));
        assert!(told(admin, "/readyz").contains("ready"), "{days}");
    }
    // What was done at any of these times keeps nothing waiting.
    jump(64 * DAY);
    program.signal(Signal::HUP);
    program.wait_for("certificate replaced");
    assert_eq!(orders(), 3);
}

#[test]
fn failure_of_a_clock_that_is_wrong_is_over_when_it_is_right() {
    for days in [-3652 * DAY, 3652 * DAY] {
        let (place, folder) = (Place::new(), tempfile::tempdir().unwrap());
        let Some((command, jump)) = with_a_movable_clock(&place, folder.path()) else { return };
        jump(days);
        let mut program = Program::start(command, 2);
        place.fake.state.lock().unwrap().servers = vec![program.addresses[0]];
        let line = heard(&mut program, "certificate not obtained");
        assert!(line.contains("code=connection") && line.contains("time"), "{line}");
        jump(0);
        program.signal(Signal::HUP);
        program.wait_for("certificate obtained");
    }
}

#[test]
fn order_of_a_server_that_is_killed_goes_on_in_another() {
    let place = Place::new();
    place.fake.fail("/chall", Fault::Silence);
    let mut first = quiet_start(&place);
    until(|| place.fake.asked("/chall") > 0);
    let mut second = Program::start(place.command(), 2);
    heard(&mut second, "another server orders certificates in this folder");
    place.fake.state.lock().unwrap().servers = vec![second.addresses[0]];
    let helpers = ["inn-fetchkeeper", "inn-fetcher"];
    let helpers = helpers.map(|name| descendants(first.child.id(), name));
    first.child.kill().unwrap();
    for id in helpers.concat() {
        // It may have ended with the server.
        let _ = kill_process(Pid::from_raw(id).unwrap(), Signal::KILL);
    }
    heard(&mut second, "certificate that was awaited serves");
    assert_eq!(tls_page(second.addresses[1]), "a page");
    assert_eq!(place.fake.asked("/new-order"), 1);
    assert!(record_of(&place.state(), "a.example")["order"].is_null());
}

#[test]
fn fetcher_has_nothing_of_the_site_and_no_privilege() {
    let place = Place::new();
    place.fake.fail("/dir", Fault::Silence);
    let program = quiet_start(&place);
    until(|| place.fake.asked("/dir") > 0);
    let site = place.folder.path().join("root");
    for name in ["inn-fetcher", "inn-fetchkeeper"] {
        let ids = descendants(program.child.id(), name);
        assert_eq!(ids.len(), 1, "{name}");
        let process = Path::new("/proc").join(ids[0].to_string());
        let status = fs::read_to_string(process.join("status")).unwrap();
        for field in ["Seccomp:\t2\n", "NoNewPrivs:\t1\n"] {
            assert!(status.contains(field), "{name}: {status}");
        }
        for file in ["cmdline", "environ"] {
            let text = fs::read(process.join(file)).unwrap();
            let text = String::from_utf8_lossy(&text);
            assert!(!text.contains(site.to_str().unwrap()), "{name}: {file}: {text}");
        }
        for descriptor in fs::read_dir(process.join("fd")).unwrap().flatten() {
            let Ok(target) = fs::read_link(descriptor.path()) else { continue };
            assert!(!target.starts_with(&site), "{name} has {}", target.display());
        }
    }
}

#[test]
fn kernel_without_landlock_orders_and_says_so() {
    let place = Place::new();
    // Its own number is the same everywhere: landlock_create_ruleset(2).
    let mut program = start_with(&[(444, None)], place.command());
    program.wait_for("listening on");
    let admin = program.admin();
    place.fake.state.lock().unwrap().servers = vec![program.addresses[0]];
    program.signal(Signal::HUP);
    heard(&mut program, "certificate that was awaited serves");
    let status: serde_json::Value = serde_json::from_str(&told(admin, "/status")).unwrap();
    let sandbox = &status["sandbox"];
    assert_eq!((&sandbox["files"], &sandbox["system_calls"]), (&"not".into(), &"fully".into()));
}
