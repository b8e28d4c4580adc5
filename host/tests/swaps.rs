//! Guests that are replaced while they serve.

use std::fs;
use std::os::unix::fs::{FileExt, symlink};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use innkeeper::guest::{DEFAULT_GUEST, Digest};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::fixture::{Client, site};
use crate::running::{Program, serving, told, until};
use crate::wat_guest::{decides_nonsense, module, replying};

/// A folder with a site, and the file of a guest in it.
struct Place {
    folder: TempDir,
    guest: PathBuf,
}

impl Place {
    fn new(guest: &[u8]) -> Place {
        let folder = site();
        let path = folder.path().join("policy.wasm");
        fs::write(&path, guest).unwrap();
        Place { folder, guest: path }
    }

    fn serve(&self, arguments: &[&str]) -> Program {
        let mut command = serving(&self.folder.path().join("root"), arguments);
        command.arg("--guest").arg(&self.guest);
        Program::start(command, 1)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts another guest in the file's place, in one step.
    fn replace(&self, guest: &[u8]) {
        let next = self.path("next.wasm");
        fs::write(&next, guest).unwrap();
        fs::rename(next, &self.guest).unwrap();
    }
}

fn ask(client: &mut Client, target: &str) -> (u16, String) {
    client.send(format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n"));
    let reply = client.reply();
    (reply.status(), reply.text().to_owned())
}

fn answer(text: &str) -> (u16, String) {
    (200, text.to_owned())
}

/// Waits until this guest serves, and looks at it from old and new connections.
#[track_caller]
fn expect_in_service(program: &mut Program, old: &mut Client, guest: &[u8], text: &str) {
    let digest = Digest::of(guest).to_string();
    let line = program.wait_for("guest deployed");
    assert!(line.contains(&format!("guest={digest} ")), "{line}");
    assert_eq!(ask(&mut program.client(), "/"), answer(text));
    assert_eq!(ask(old, "/"), answer(text));
}

/// The guest is another one after this was done to its file.
#[track_caller]
fn swaps(change: impl FnOnce(&Place, &[u8])) {
    let (one, two) = (replying("one"), replying("two"));
    let place = Place::new(&one);
    let mut program = place.serve(&[]);
    let mut client = program.client();
    assert_eq!(ask(&mut client, "/"), answer("one"));
    change(&place, &two);
    expect_in_service(&mut program, &mut client, &two, "two");
    program.wait_for(&format!("guest freed guest={} ", Digest::of(&one)));
}

#[test]
fn a_file_that_is_written_anew_serves() {
    swaps(|place, guest| fs::write(&place.guest, guest).unwrap());
}

#[test]
fn a_file_that_is_renamed_over_it_serves() {
    swaps(|place, guest| place.replace(guest));
}

#[test]
fn a_file_that_is_removed_and_comes_back_serves() {
    swaps(|place, guest| {
        fs::remove_file(&place.guest).unwrap();
        fs::write(&place.guest, guest).unwrap();
    });
}

#[test]
fn a_file_in_a_folder_that_is_replaced_serves() {
    let (one, two) = (replying("one"), replying("two"));
    let mut place = Place::new(b"");
    for (folder, guest) in [("live", &one), ("next", &two)] {
        fs::create_dir(place.path(folder)).unwrap();
        fs::write(place.path(folder).join("policy.wasm"), guest).unwrap();
    }
    place.guest = place.path("live/policy.wasm");
    let replace = || {
        fs::rename(place.path("live"), place.path("old")).unwrap();
        fs::rename(place.path("next"), place.path("live")).unwrap();
    };
    let mut program = place.serve(&[]);
    let mut client = program.client();
    replace();
    expect_in_service(&mut program, &mut client, &two, "two");
    // The new folder is watched as the old one was.
    let three = replying("three");
    fs::write(&place.guest, &three).unwrap();
    expect_in_service(&mut program, &mut client, &three, "three");
}

/// Written by another of its names, in a folder that is not watched.
#[test]
fn a_change_that_nobody_tells_of_serves() {
    swaps(|place, guest| {
        fs::create_dir(place.path("elsewhere")).unwrap();
        let other_name = place.path("elsewhere/policy.wasm");
        fs::hard_link(&place.guest, &other_name).unwrap();
        fs::write(other_name, guest).unwrap();
    });
}

/// Kubernetes mounts a volume so that all its files change at once: each is a link
/// through `..data`, which points at a folder named by its date.
#[test]
fn a_link_that_is_pointed_elsewhere_serves() {
    let place = Place::new(b"");
    let (one, two) = (replying("one"), replying("two"));
    for (folder, guest) in [("..2026_01", &one), ("..2026_02", &two)] {
        fs::create_dir(place.path(folder)).unwrap();
        fs::write(place.path(folder).join("policy.wasm"), guest).unwrap();
    }
    symlink("..2026_01", place.path("..data")).unwrap();
    fs::remove_file(&place.guest).unwrap();
    symlink("..data/policy.wasm", &place.guest).unwrap();
    let mut program = place.serve(&[]);
    let mut client = program.client();
    let flip = |target: &str| {
        symlink(target, place.path("..data_tmp")).unwrap();
        fs::rename(place.path("..data_tmp"), place.path("..data")).unwrap();
    };
    flip("..2026_02");
    expect_in_service(&mut program, &mut client, &two, "two");
    flip("..2026_01");
    expect_in_service(&mut program, &mut client, &one, "one");
}

#[test]
fn many_guests_in_quick_succession_end_with_the_last() {
    let place = Place::new(&replying("one"));
    let mut program = place.serve(&[]);
    let guests: Vec<_> = (0..20).map(|number| replying(&format!("guest {number}"))).collect();
    for (number, guest) in guests.iter().enumerate() {
        if number % 2 == 0 {
            fs::write(&place.guest, guest).unwrap();
        } else {
            place.replace(guest);
        }
    }
    program.wait_for(&format!("guest deployed guest={} ", Digest::of(&guests[19])));
    assert_eq!(ask(&mut program.client(), "/"), answer("guest 19"));
}

#[test]
fn what_is_unfit_leaves_the_old_one_serving() {
    let place = Place::new(&replying("one"));
    let cases = place.path("cases.toml");
    fs::write(&cases, "case = [{ line = 'GET / HTTP/1.1', decision = { reply = {} } }]").unwrap();
    let mut program = place.serve(&["--cases", cases.to_str().unwrap()]);
    let mut client = program.client();
    let always = |code: &str| module(&format!("(func $start {code}) (start $start)"), "");
    let nonsense = decides_nonsense();
    let other_world = wat::parse_str("(component)").unwrap();
    let two = replying("two");
    for (guest, reason) in [
        (&b""[..], "is empty"),
        (b"<!doctype html>", "not WebAssembly"),
        (&two[..two.len() / 2], "component type"),
        (&DEFAULT_GUEST[..DEFAULT_GUEST.len() - 1], "does not compile"),
        (&other_world, "does not export the world"),
        (&always("unreachable"), "unreachable"),
        (&always("(loop $again (br $again))"), "deadline"),
        (&nonsense, "code=decision-failed"),
        (&module("", ""), "1 of 1 cases failed, first"),
    ] {
        place.replace(guest);
        let line = program.wait_for("guest rejected");
        assert!(line.contains(reason), "{reason:?} is the reason, but it says {line}");
        assert!(line.contains(" current="), "{line}");
        assert_eq!(ask(&mut client, "/"), answer("one"));
        assert_eq!(ask(&mut program.client(), "/"), answer("one"));
    }
    place.replace(&two);
    expect_in_service(&mut program, &mut client, &two, "two");
}

#[test]
fn rejected_bytes_are_not_tried_again() {
    let place = Place::new(&replying("one"));
    let mut program = place.serve(&[]);
    place.replace(b"nonsense");
    program.wait_for("guest rejected");
    // The same bytes, in a file that changes. It is not made empty on the way, which would be other
    // bytes.
    place.replace(b"nonsense");
    let file = fs::File::options().write(true).open(&place.guest).unwrap();
    file.write_all_at(b"nonsense", 0).unwrap();
    let two = replying("two");
    place.replace(&two);
    program.wait_for("guest deployed");
    let tries = program.said.matches("guest rejected").count();
    assert_eq!(tries, 1, "{}", program.said);
}

#[test]
fn unreadable_file_leaves_the_old_guest_active() {
    let place = Place::new(&replying("one"));
    let mut program = place.serve(&[]);
    fs::remove_file(&place.guest).unwrap();
    program.wait_for("cannot read the guest");
    fs::create_dir(&place.guest).unwrap();
    program.wait_for("it is not a regular file");
    fs::remove_dir(&place.guest).unwrap();
    // A pipe that nobody writes to holds nobody up.
    let made = Command::new("mkfifo").arg(&place.guest).status().unwrap();
    assert!(made.success());
    program.wait_for("it is not a regular file");
    assert_eq!(ask(&mut program.client(), "/"), answer("one"));
    let two = replying("two");
    place.replace(&two);
    let mut client = program.client();
    expect_in_service(&mut program, &mut client, &two, "two");
}

#[test]
fn sighup_reads_the_file_again() {
    let place = Place::new(&replying("one"));
    let mut program = place.serve(&["--no-watch"]);
    let mut client = program.client();
    program.signal(Signal::HUP);
    program.wait_for("it is active");
    let two = replying("two");
    place.replace(&two);
    assert_eq!(ask(&mut client, "/"), answer("one"));
    program.signal(Signal::HUP);
    expect_in_service(&mut program, &mut client, &two, "two");
    // Who asks is told, also a second time.
    place.replace(b"nonsense");
    for _ in 0..2 {
        program.signal(Signal::HUP);
        program.wait_for("guest rejected");
    }
    assert_eq!(ask(&mut client, "/"), answer("two"));
}

#[test]
fn a_guest_is_tried_again_when_its_cases_are_mended() {
    let (one, two) = (replying("one"), replying("two"));
    let place = Place::new(&one);
    let cases = place.path("cases.toml");
    let says = |body: &str| {
        format!(
            "case = [{{ line = 'GET / HTTP/1.1', decision = {{ reply = {{ body = '{body}' }} }} }}]"
        )
    };
    fs::write(&cases, says("one")).unwrap();
    let mut program = place.serve(&["--cases", cases.to_str().unwrap()]);
    place.replace(&two);
    program.wait_for("1 of 1 cases failed");
    assert_eq!(program.get("/").text(), "one");
    fs::write(&cases, says("two")).unwrap();
    program.wait_for("guest deployed");
    assert_eq!(program.get("/").text(), "two");
}

#[test]
fn hangup_without_guest_and_rules_looks_at_the_root() {
    let folder = site();
    let mut program = Program::start(serving(&folder.path().join("root"), &["--no-site-rules"]), 1);
    program.signal(Signal::HUP);
    program.wait_for("root unchanged: it is active");
    program.client().expect_open();
}

#[test]
fn failing_guest_is_500() {
    let place = Place::new(&replying("one"));
    let mut program = place.serve(&[]);
    assert_eq!(ask(&mut program.client(), "/x%22").0, 500);
    let line = program.wait_for("guest trapped");
    assert!(line.contains("request=\"GET /x%22 HTTP/1.1\""), "{line}");
    assert!(line.contains("unreachable"), "{line}");
}

#[test]
fn fallback_is_the_previous_guest() {
    // What serves first does not fail on this.
    let place = Place::new(&module("", ""));
    let mut program = place.serve(&["--on-guest-failure", "fallback", "--admin", "127.0.0.1:0"]);
    let admin = program.admin();
    // There is none before the first.
    assert_eq!(ask(&mut program.client(), "/other").0, 404);
    let two = replying("two");
    place.replace(&two);
    let mut client = program.client();
    expect_in_service(&mut program, &mut client, &two, "two");
    assert_eq!(ask(&mut client, "/xenon").0, 404);
    program.wait_for("previous guest decides instead");
    // Who looks after it is to know, although no client does.
    let counted = "innkeeper_guest_failures_total{kind=\"trap\"} 1\n";
    until(|| told(admin, "/metrics").contains(counted));
}

#[test]
fn guest_that_fails_often_is_rolled_back() {
    let one = module("", "");
    let place = Place::new(&one);
    let mut program = place.serve(&["--rollback-after", "3"]);
    let two = replying("two");
    place.replace(&two);
    let mut client = program.client();
    expect_in_service(&mut program, &mut client, &two, "two");
    for _ in 0..2 {
        assert_eq!(ask(&mut client, "/x").0, 500);
        assert_eq!(ask(&mut client, "/"), answer("two"));
    }
    assert_eq!(ask(&mut client, "/x").0, 500);
    let line = program.wait_for("too many decisions failed");
    assert!(line.contains(&format!(" guest={} ", Digest::of(&one))), "{line}");
    assert_eq!(ask(&mut program.client(), "/").0, 404);
    // It does not come back by itself, and does when somebody asks for it.
    place.replace(&two);
    let three = replying("three");
    place.replace(&three);
    expect_in_service(&mut program, &mut client, &three, "three");
    assert_eq!(program.said.matches("guest deployed").count(), 2, "{}", program.said);
}

#[test]
fn guest_that_fails_on_what_a_client_requested_lately_is_rejected() {
    let place = Place::new(&module("", ""));
    let mut program = place.serve(&[]);
    assert_eq!(ask(&mut program.client(), "/x").0, 404);
    place.replace(&replying("two"));
    let line = program.wait_for("guest rejected");
    assert!(line.contains("code=decision-failed"), "{line}");
    assert!(line.contains(r#"fails on \"GET /x HTTP/1.1\": "#), "{line}");
    assert_eq!(ask(&mut program.client(), "/").0, 404);
}

/// The benchmark `swaps` does the same for longer, and with figures.
#[test]
fn a_swap_loses_no_request() {
    let guests = [replying("one"), replying("two")];
    let place = Place::new(&guests[0]);
    let mut program = place.serve(&[]);
    let stop = Arc::new(AtomicBool::new(false));
    let address = program.addresses[0];
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                let mut client = Client::connect(address);
                let mut answered = 0;
                while !stop.load(Ordering::Relaxed) {
                    let (status, text) = ask(&mut client, &format!("/{answered}"));
                    assert!(status == 200 && ["one", "two"].contains(&&*text), "{status} {text}");
                    answered += 1;
                }
                answered
            })
        })
        .collect();
    for swap in 1..=20 {
        let guest = &guests[swap % 2];
        place.replace(guest);
        program.wait_for(&format!("guest deployed guest={} ", Digest::of(guest)));
        let text = ["one", "two"][swap % 2];
        assert_eq!(ask(&mut program.client(), "/"), answer(text), "after swap {swap}");
    }
    stop.store(true, Ordering::Relaxed);
    let answered: u64 = clients.into_iter().map(|client| client.join().unwrap()).sum();
    assert!(answered > 20, "only {answered} requests in all");
}
