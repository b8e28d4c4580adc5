//! Roots that are replaced while they are served: a release with its files and its rules, in one step.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::fixture::{Client, Reply, Stream, write};
use crate::http2_client::Http2Client;
use crate::running::{Program, TOKEN, serving, told, until};
use crate::wat_guest::replying;

/// Bytes of a file that no socket takes at once.
const LARGE: usize = 32 << 20;

/// Releases, and a link to the one that is served.
struct Place {
    folder: TempDir,
}

impl Place {
    /// Releases with these numbers, the first of which is served.
    fn new(numbers: &[usize]) -> Place {
        let place = Place { folder: tempfile::tempdir().unwrap() };
        for &number in numbers {
            place.release(number, &format!("/*\n  X-Release: {number}\n"));
        }
        place.lead_to(&format!("releases/{}", numbers[0]));
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A release that names itself in its page, with these rules.
    fn release(&self, number: usize, headers: &str) {
        let folder = self.path(&format!("releases/{number}"));
        write(&folder.join("index.html"), number.to_string().as_bytes());
        write(&folder.join("_headers"), headers.as_bytes());
        if number == 1 {
            write(&folder.join("large"), &vec![b'1'; LARGE]);
        }
    }

    /// Replaces the link in one step, as `ln -sfn` does.
    fn lead_to(&self, target: &str) {
        symlink(target, self.path("next")).unwrap();
        fs::rename(self.path("next"), self.path("current")).unwrap();
    }

    fn serve(&self, root: &str, arguments: &[&str]) -> Program {
        Program::start(serving(&self.path(root), arguments), 1)
    }

    /// The same with an administration.
    fn serve_with_admin(&self, arguments: &[&str]) -> (Program, SocketAddr) {
        fs::write(self.path("token"), TOKEN).unwrap();
        let mut command = serving(&self.path("current"), &["--admin", "127.0.0.1:0"]);
        command.arg("--admin-token-file").arg(self.path("token")).args(arguments);
        let mut program = Program::start(command, 1);
        let admin = program.admin();
        (program, admin)
    }
}

/// The release of the files, and that of the rules.
fn releases(reply: &Reply) -> (String, String) {
    assert_eq!(reply.status(), 200);
    (reply.text().to_owned(), reply.field("x-release").unwrap_or_default().to_owned())
}

/// Waits until this release is served.
#[track_caller]
fn expect_release(program: &Program, release: &str) {
    until(|| releases(&program.get("/")).0 == release);
    assert_eq!(releases(&program.get("/")), (release.to_owned(), release.to_owned()));
}

fn change(admin: SocketAddr, line: &str) -> Value {
    let mut client = Client::connect(admin);
    client.send(format!(
        "{line} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    ));
    serde_json::from_str(client.reply().text()).unwrap()
}

fn status(admin: SocketAddr) -> Value {
    serde_json::from_str(&told(admin, "/status")).unwrap()
}

#[test]
fn release_is_served_with_its_own_rules_alone() {
    /// The machine is to compile meanwhile.
    const PAUSE: Duration = Duration::from_micros(200);
    const FLIPS: usize = 6;
    let place = Place::new(&[1, 2, 3]);
    let mut program = place.serve("current", &["--http2-prior-knowledge", "--access-log", "off"]);
    let address = program.addresses[0];
    let (stop, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut client = Client::connect(address);
            while !stop.load(Ordering::Relaxed) {
                client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
                let reply = client.reply();
                let (files, rules) = releases(&reply);
                assert_eq!(files, rules);
                asked.fetch_add(1, Ordering::Relaxed);
                if reply.field("connection") == Some("close") {
                    client = Client::connect(address);
                }
                thread::sleep(PAUSE);
            }
        });
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let mut client = Http2Client::new(Stream::tcp(address));
                for _ in 0..50 {
                    let response = client.get_of("http", "test", "/");
                    assert_eq!(response.field("x-release").unwrap().as_bytes(), response.body);
                    asked.fetch_add(1, Ordering::Relaxed);
                    thread::sleep(PAUSE);
                }
            }
        });
        for flip in 1..=FLIPS {
            place.lead_to(&format!("releases/{}", flip % 3 + 1));
            program.wait_for("guest deployed");
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(asked.into_inner() > FLIPS);
    expect_release(&program, "1");
}

#[test]
fn release_with_the_same_rules_is_deployed_without_compiling() {
    let place = Place::new(&[1]);
    place.release(2, "/*\n  X-Release: 1\n");
    let mut program = place.serve("current", &[]);
    place.lead_to("releases/2");
    let line = program.wait_for("root deployed");
    assert!(line.contains("releases/2 previous_root=") && line.contains("releases/1 "), "{line}");
    assert_eq!(releases(&program.get("/")), ("2".to_owned(), "1".to_owned()));
    assert!(!program.said.contains("guest deployed"), "{}", program.said);
}

#[test]
fn download_in_flight_keeps_its_release() {
    let place = Place::new(&[1, 2]);
    let mut program = place.serve("current", &[]);
    let mut client = program.client();
    client.send("GET /large HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    client.receive_until("\r\n\r\n");
    place.lead_to("releases/2");
    program.wait_for("guest deployed");
    expect_release(&program, "2");
    assert_eq!(program.get("/large").status(), 404);
    let (rest, _) = client.read_to_end();
    assert!(rest.ends_with(b"11") && rest.len() > LARGE / 2, "{} bytes", rest.len());
}

#[test]
fn any_link_on_the_way_may_be_replaced() {
    let place = Place::new(&[1, 2]);
    for number in [1, 2] {
        let public = place.path(&format!("releases/{number}/public"));
        write(&public.join("index.html"), number.to_string().as_bytes());
    }
    // As Kubernetes mounts a volume.
    symlink("current", place.path("..data")).unwrap();
    symlink("..data/public", place.path("html")).unwrap();
    let through = ["current/public", "html"].map(|root| place.serve(root, &[]));
    place.lead_to("releases/2");
    for mut program in through {
        program.wait_for("root deployed");
        assert_eq!(program.get("/").text(), "2");
    }
}

#[test]
fn broken_release_keeps_the_old_one_until_it_is_mended() {
    let place = Place::new(&[1]);
    place.release(2, "/*\n  X Release\n");
    let (mut program, admin) = place.serve_with_admin(&[]);
    place.lead_to("releases/2");
    let line = program.wait_for("rules rejected");
    assert!(line.contains("_headers:2") && line.contains("releases/2"), "{line}");
    expect_release(&program, "1");
    let told = status(admin);
    assert!(told["active_root"].as_str().unwrap().ends_with("releases/1"), "{told}");
    let message = told["history"][0]["message"].as_str().unwrap();
    assert!(message.contains("releases/2 is not served: "), "{message}");
    // Also where its rules are those that serve already.
    place.release(2, "/*\n  X-Release: 1\n");
    program.wait_for("root deployed");
    assert_eq!(program.get("/").text(), "2");
    // A link that leads nowhere.
    place.lead_to("releases/99");
    let line = program.wait_for("root cannot be opened");
    assert!(line.contains("a link that leads nowhere"), "{line}");
    assert_eq!(program.get("/").text(), "2");
    assert_eq!(status(admin)["history"][0]["outcome"], "unreadable");
    place.lead_to("releases/1");
    program.wait_for("root deployed");
    expect_release(&program, "1");
}

#[test]
fn rollback_returns_to_guest_and_root() {
    let place = Place::new(&[1, 2, 3]);
    let (mut program, admin) = place.serve_with_admin(&[]);
    place.lead_to("releases/2");
    program.wait_for("guest deployed");
    let told = change(admin, "POST /rollback");
    let root = |key: &str| told[key].as_str().unwrap().to_owned();
    assert!(root("active_root").ends_with("releases/1"), "{told}");
    assert!(root("replaced_root").ends_with("releases/2"), "{told}");
    expect_release(&program, "1");
    // The link leads to it still, and its files are looked at.
    fs::write(place.path("releases/2/other.html"), "").unwrap();
    thread::sleep(Duration::from_millis(2_500));
    expect_release(&program, "1");
    program.signal(Signal::HUP);
    program.wait_for("guest deployed");
    expect_release(&program, "2");
    change(admin, "POST /rollback");
    expect_release(&program, "1");
    // Another release has the rules of the one that was rolled back.
    place.release(3, "/*\n  X-Release: 2\n");
    place.lead_to("releases/3");
    program.wait_for("guest deployed");
    assert_eq!(releases(&program.get("/")), ("3".to_owned(), "2".to_owned()));
    let events = status(admin)["history"].to_string();
    assert!(events.contains("with the root") && events.contains("releases/3"), "{events}");
}

#[test]
fn release_that_was_rolled_back_stays_out() {
    let place = Place::new(&[1, 2]);
    let rules = place.path("rules.toml");
    fs::write(&rules, "header = '/*: X-Own: 1'\n").unwrap();
    let (mut program, admin) = place.serve_with_admin(&["--rules", rules.to_str().unwrap()]);
    place.lead_to("releases/2");
    program.wait_for("guest deployed");
    change(admin, "POST /rollback");
    // Other rules serve with the release that does.
    fs::write(&rules, "header = '/*: X-Own: 2'\n").unwrap();
    program.wait_for("guest deployed");
    assert_eq!(program.get("/").field("x-own"), Some("2"));
    expect_release(&program, "1");
    // What the path led to before it led nowhere does not count.
    place.lead_to("releases/99");
    program.wait_for("root cannot be opened");
    program.signal(Signal::HUP);
    program.wait_for("root cannot be opened");
    thread::sleep(Duration::from_millis(300));
    expect_release(&program, "1");
    assert_eq!(status(admin)["history"][0]["outcome"], "unreadable");
    // It led elsewhere meanwhile.
    place.release(3, "/*\n  X Release\n");
    place.lead_to("releases/3");
    program.wait_for("rules rejected");
    place.lead_to("releases/2");
    program.wait_for("guest deployed");
    expect_release(&program, "2");
    // A release that was removed is none to return to.
    fs::remove_dir_all(place.path("releases/1")).unwrap();
    assert_eq!(change(admin, "POST /rollback")["error"]["code"], "previous-root-removed");
    expect_release(&program, "2");
}

#[test]
fn guest_of_a_release_serves_with_its_files_alone() {
    let place = Place::new(&[1, 2, 3]);
    for (number, guest) in [(1, replying("1")), (2, b"garbage".to_vec()), (3, replying("3"))] {
        fs::write(place.path(&format!("releases/{number}/policy.wasm")), guest).unwrap();
    }
    fs::write(place.path("token"), TOKEN).unwrap();
    let mut command = serving(&place.path("current"), &["--admin", "127.0.0.1:0"]);
    command.arg("--admin-token-file").arg(place.path("token"));
    command.arg("--guest").arg(place.path("current/policy.wasm"));
    let mut program = Program::start(command, 1);
    let admin = program.admin();
    let active_root = || status(admin)["active_root"].as_str().unwrap().to_owned();
    place.lead_to("releases/2");
    program.wait_for("guest rejected");
    thread::sleep(Duration::from_millis(100));
    assert!(active_root().ends_with("releases/1"));
    place.lead_to("releases/3");
    program.wait_for("guest deployed");
    assert!(active_root().ends_with("releases/3"));
    assert_eq!(program.get("/").text(), "3");
}

#[test]
fn root_that_is_away_for_a_moment_is_served() {
    let place = Place::new(&[1, 2]);
    let mut program = place.serve("current", &[]);
    fs::remove_file(place.path("current")).unwrap();
    program.wait_for("root is not there, the old one is served");
    expect_release(&program, "1");
    symlink("releases/1", place.path("current")).unwrap();
    program.wait_for("root is there again");
    fs::remove_file(place.path("current")).unwrap();
    program.wait_for("root is not there");
    symlink("releases/2", place.path("current")).unwrap();
    program.wait_for("guest deployed");
    expect_release(&program, "2");
}

#[test]
fn root_beyond_the_sandbox_is_told_with_what_to_do() {
    let place = Place::new(&[1, 2]);
    let other = tempfile::tempdir().unwrap();
    write(&other.path().join("site/index.html"), b"other");
    let target = |path: &Path| path.to_str().unwrap().to_owned();
    let mut program = place.serve("current", &[]);
    place.lead_to(&target(&other.path().join("site")));
    let line = program.wait_for("root cannot be opened");
    let above = other.path().canonicalize().unwrap();
    assert!(line.contains(&format!("--allow-read {}", above.display())), "{line}");
    expect_release(&program, "1");
    place.lead_to("releases/2");
    program.wait_for("guest deployed");
    // A directory that is no link, and is replaced.
    let mut program =
        place.serve("releases/1", &["--allow-read", &target(&place.path("releases"))]);
    fs::rename(place.path("releases/1"), place.path("releases/old")).unwrap();
    place.release(1, "/*\n  X-Release: 3\n");
    program.wait_for("guest deployed");
    assert_eq!(releases(&program.get("/")), ("1".to_owned(), "3".to_owned()));
}

#[test]
fn root_is_looked_at_on_request_alone_without_a_watch() {
    let place = Place::new(&[1, 2]);
    let mut program = place.serve("current", &["--no-watch"]);
    place.lead_to("releases/2");
    thread::sleep(Duration::from_millis(2_500));
    expect_release(&program, "1");
    program.signal(Signal::HUP);
    program.wait_for("guest deployed");
    expect_release(&program, "2");
}

#[test]
fn reload_tells_what_was_not_put_in_service() {
    let place = Place::new(&[1]);
    place.release(2, "/*\n  X Release\n");
    let (program, admin) = place.serve_with_admin(&["--no-watch"]);
    let told = change(admin, "POST /reload");
    assert_eq!(told["rejected"], Value::Array(Vec::new()), "{told}");
    for (target, expected) in [("releases/2", "_headers:2"), ("releases/9", "leads nowhere")] {
        place.lead_to(target);
        let told = change(admin, "POST /reload");
        let error = told["rejected"][0]["error"].as_str().unwrap_or_default();
        assert!(error.contains(expected), "{told}");
        expect_release(&program, "1");
    }
    fs::remove_file(place.path("current")).unwrap();
    let told = change(admin, "POST /reload");
    let error = told["rejected"][0]["error"].as_str().unwrap_or_default();
    for part in ["current: No such file", "is served; put a directory there"] {
        assert!(error.contains(part), "{told}");
    }
}
