//! Certificates that are ordered: by the program, of an authority of the tests that fails as it is
//! told, and of pebble where it is installed.

mod any_certificate;
mod authority;
mod hostile;
mod machine;
mod of_pebble;
mod pebble;
mod settings;

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use self::authority::{Fake, Fault};
use crate::fixture::{Client, Stream};
use crate::running::{self, Program, serving, told};

/// A server's folders, and the authority that it orders of.
pub struct Place {
    folder: TempDir,
    fake: Fake,
}

impl Place {
    fn new() -> Place {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("root")).unwrap();
        fs::write(folder.path().join("root/index.html"), "a page").unwrap();
        let fake = Fake::start(folder.path());
        Place { folder, fake }
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// What is kept of the authority with this directory.
    fn of_authority(&self, directory: &str) -> PathBuf {
        let hash = Sha256::digest(format!("{}/{directory}", self.fake.url));
        let hash: String = hash[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        self.state().join(".private").join(hash)
    }

    fn record(&self) -> PathBuf {
        self.of_authority("dir").join("a.example.json")
    }

    /// Changes a number in the record.
    fn set(&self, key: &str, value: u64) {
        let text = fs::read_to_string(self.record()).unwrap();
        let mut record: serde_json::Value = serde_json::from_str(&text).unwrap();
        record[key] = value.into();
        fs::write(self.record(), record.to_string()).unwrap();
    }

    fn command(&self) -> Command {
        self.command_of("dir")
    }

    /// Of the authority with this directory.
    fn command_of(&self, directory: &str) -> Command {
        let directory = format!("{}/{directory}", self.fake.url);
        let (ca, state) = (self.fake.ca_file(), self.state());
        let mut command = serving(
            &self.folder.path().join("root"),
            &[
                "--listen-tls",
                "127.0.0.1:0",
                "--admin",
                "127.0.0.1:0",
                "--acme",
                "a.example",
                "--acme-challenge",
                "http-01",
                "--acme-accept-terms",
                "--acme-directory",
                &directory,
            ],
        );
        command.arg("--acme-ca-file").arg(ca).arg("--acme-state").arg(state);
        command
    }

    /// A server, which the authority asks.
    fn start(&self) -> Program {
        let program = Program::start(self.command(), 2);
        self.fake.state.lock().unwrap().servers = vec![program.addresses[0]];
        program
    }

    fn serial(&self) -> String {
        fs::read_link(self.state().join("a.example")).unwrap().display().to_string()
    }
}

/// The program before the authority knows where it is may be too early for the first look.
fn quiet_start(place: &Place) -> Program {
    place.fake.state.lock().unwrap().servers.clear();
    place.start()
}

/// The line with this in it, which may have come before the server listened.
fn heard(program: &mut Program, part: &str) -> String {
    let said = program.said.lines().find(|line| line.contains(part)).map(str::to_owned);
    said.unwrap_or_else(|| program.wait_for(part))
}

/// Waits until the administration tells this: it has few places for clients.
fn until_told(admin: SocketAddr, path: &str, words: &str) {
    running::until(|| {
        let is_told = told(admin, path).contains(words);
        if !is_told {
            std::thread::sleep(Duration::from_millis(50));
        }
        is_told
    });
}

fn tls_page(address: SocketAddr) -> String {
    tls_page_of(address, "a.example")
}

fn tls_page_of(address: SocketAddr, name: &str) -> String {
    let config = any_certificate::any_certificate();
    let mut client = Client::over(Stream::tls(address, &config, name));
    client.send(format!("GET / HTTP/1.1\r\nHost: {name}\r\n\r\n"));
    client.reply().text().to_owned()
}

/// What is kept of a name somewhere in this folder; null without it.
fn record_of(folder: &Path, name: &str) -> serde_json::Value {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else if entry.file_name() == *format!("{name}.json") {
                return serde_json::from_slice(&fs::read(entry.path()).unwrap()).unwrap();
            }
        }
    }
    serde_json::Value::Null
}

#[test]
fn certificate_is_obtained_and_renewed_in_the_window_of_the_authority() {
    let place = Place::new();
    place.fake.state.lock().unwrap().window = Some((86_400, 90_000));
    let mut program = quiet_start(&place);
    heard(&mut program, "certificate obtained");
    heard(&mut program, "certificate that was awaited serves");
    assert_eq!(tls_page(program.addresses[1]), "a page");
    let before = place.serial();
    running::until(|| fs::read_to_string(place.record()).unwrap().contains("\"chosen\""));
    // The authority is about to revoke it: the window has passed.
    place.fake.state.lock().unwrap().window = Some((-7200, -3600));
    program.signal(Signal::HUP);
    program.wait_for("certificate is ordered");
    program.wait_for("certificate replaced");
    assert_ne!(place.serial(), before);
    let state = place.fake.state.lock().unwrap();
    assert_eq!(state.orders.len(), 2);
    assert!(state.orders[1].replaces.is_some(), "it says what it replaces");
    drop(state);
    assert_eq!(tls_page(program.addresses[1]), "a page");
}

#[test]
fn rate_limit_is_obeyed_across_restarts() {
    let place = Place::new();
    let words = "too many certificates already issued for a.example";
    place.fake.fail("/new-order", Fault::Problem(429, "rateLimited", words, Some(7200)));
    let mut program = quiet_start(&place);
    let line = heard(&mut program, "certificate not obtained");
    assert!(line.contains(words) && line.contains("code=rateLimited"), "{line}");
    // Plain HTTP serves, TLS waits.
    assert_eq!(program.get("/").status(), 200);
    drop(program);
    for _ in 0..2 {
        let mut program = quiet_start(&place);
        let admin = program.admin();
        until_told(admin, "/status", words);
        program.signal(Signal::HUP);
        until_told(admin, "/metrics", "innkeeper_acme_failures{name=\"a.example\"} 1");
        assert_eq!(place.fake.asked("/new-order"), 1);
    }
}

#[test]
fn refused_challenge_is_told_in_the_words_of_the_authority_and_not_repeated() {
    let place = Place::new();
    // Another server has the name.
    let other = Place::new();
    let elsewhere = Program::start(serving(&other.folder.path().join("root"), &[]), 1);
    place.fake.state.lock().unwrap().servers = vec![elsewhere.addresses[0]];
    for start in 0..3 {
        let mut program = Program::start(place.command(), 2);
        let admin = program.admin();
        if start == 0 {
            let line = heard(&mut program, "certificate not obtained");
            assert!(line.contains("unauthorized") && line.contains("404"), "{line}");
        }
        until_told(admin, "/status", "\"failed\"");
        assert!(told(admin, "/readyz").contains("ready"));
    }
    assert_eq!(place.fake.asked("/new-order"), 1, "a restart orders nothing");
}

/// The type of a problem that is longer than a message of the fetcher.
const LONG_TYPE: &str = match std::str::from_utf8(&[b'x'; 20_000]) {
    Ok(text) => text,
    Err(_) => "",
};

#[test]
fn authority_that_fails_is_named_and_the_next_attempt_succeeds() {
    for (path, fault, words) in [
        ("/dir", Fault::Garbage("<html>"), "makes no sense"),
        ("/account", Fault::Problem(403, "unauthorized", "not you", None), "not you"),
        ("/new-order", Fault::Problem(500, "serverInternal", "a fault", None), "a fault"),
        ("/account", Fault::Problem(400, LONG_TYPE, "a long type", None), "a long type"),
        ("/new-order", Fault::Problem(503, "a", "late", Some(u64::MAX)), "late"),
        ("/authz", Fault::Garbage("[]"), "makes no sense"),
        ("/finalize", Fault::Problem(403, "badCSR", "not that", None), "not that"),
        ("/cert", Fault::Garbage("no certificate"), "PEM"),
    ] {
        let place = Place::new();
        place.fake.fail(path, fault);
        let mut program = quiet_start(&place);
        let line = heard(&mut program, "certificate not obtained");
        assert!(line.contains(words), "{line}");
        program.signal(Signal::HUP);
        program.wait_for("certificate obtained");
    }
}

#[test]
fn bad_nonces_are_sent_again() {
    let place = Place::new();
    for path in ["/account", "/new-order", "/finalize"] {
        place.fake.fail(path, Fault::Problem(400, "badNonce", "not that nonce", None));
    }
    let mut program = quiet_start(&place);
    heard(&mut program, "certificate obtained");
}

/// Killed while the authority has heard of a step, or has not: the order goes on, and there is no
/// other.
#[test]
fn order_goes_on_after_a_kill_at_every_step() {
    for path in ["/order", "/authz", "/chall", "/finalize", "/cert"] {
        for fault in [Fault::Silence, Fault::Unheard] {
            let place = Place::new();
            let is_unheard = matches!(fault, Fault::Unheard);
            place.fake.fail(path, fault);
            let program = quiet_start(&place);
            running::until(|| place.fake.asked(path) > 0);
            if is_unheard {
                // What it was asked is done, and the failure is kept.
                running::until(|| {
                    fs::read_to_string(place.record()).is_ok_and(|text| text.contains("\"detail\""))
                });
            }
            drop(program);
            let mut program = quiet_start(&place);
            if is_unheard {
                program.signal(Signal::HUP);
            }
            heard(&mut program, "certificate obtained");
            let orders = place.fake.state.lock().unwrap().orders.clone();
            assert_eq!(orders.len(), 1, "killed at {path}: {orders:?}\n{}", program.said);
            assert!(!place.record().with_extension("key").exists());
        }
    }
}

#[test]
fn three_servers_that_share_a_folder_order_once() {
    let place = Place::new();
    place.fake.fail("/dir", Fault::Problem(503, "serverInternal", "not yet", None));
    let mut programs: Vec<_> = (0..3).map(|_| Program::start(place.command(), 2)).collect();
    let addresses = programs.iter().map(|program| program.addresses[0]).collect();
    place.fake.state.lock().unwrap().servers = addresses;
    for program in &programs {
        program.signal(Signal::HUP);
    }
    // Each answers the challenge, and each serves the certificate.
    for program in &mut programs {
        heard(program, "certificate that was awaited serves");
        assert_eq!(tls_page(program.addresses[1]), "a page");
    }
    assert_eq!(place.fake.asked("/new-order"), 1);
}

#[test]
fn fetcher_that_is_killed_is_started_again_and_the_server_serves() {
    let place = Place::new();
    place.fake.fail("/dir", Fault::Silence);
    let mut program = quiet_start(&place);
    running::until(|| place.fake.asked("/dir") > 0);
    let fetcher = descendants(program.child.id(), "inn-fetcher");
    assert_eq!(fetcher.len(), 1);
    kill_process(Pid::from_raw(fetcher[0]).unwrap(), Signal::KILL).unwrap();
    assert_eq!(program.get("/").status(), 200);
    let line = program.wait_for("fetcher has ended, it is started again");
    assert!(line.contains("signal: 9"), "{line}");
    program.wait_for("fetcher has started again");
    program.signal(Signal::HUP);
    program.wait_for("certificate obtained");
    let keeper = descendants(program.child.id(), "inn-fetchkeeper");
    drop(program);
    let began = Instant::now();
    while keeper.iter().any(|id| is_running(*id)) {
        assert!(began.elapsed() < Duration::from_secs(20), "it outlives the server");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn state_that_cannot_be_kept_orders_nothing() {
    let place = Place::new();
    let state = place.state();
    fs::write(&state, "").unwrap();
    let ended = place.command().output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(
        said.contains("cannot keep certificates in") && said.contains("--acme-state"),
        "{said}"
    );
    fs::remove_file(&state).unwrap();
    // A folder is where the record should be.
    fs::create_dir(&state).unwrap();
    for folder in [&state, &state.join(".private"), place.record().parent().unwrap()] {
        fs::create_dir_all(folder).unwrap();
        fs::set_permissions(folder, Permissions::from_mode(0o700)).unwrap();
    }
    fs::create_dir(place.record()).unwrap();
    let mut program = quiet_start(&place);
    heard(&mut program, "no certificate is ordered, the state cannot be kept");
    assert_eq!(program.get("/").status(), 200);
    assert_eq!(place.fake.asked("/new-order"), 0);
}

#[test]
fn what_is_missing_is_said_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, words) in [
        (&["--acme", "a.example"][..], "--acme-accept-terms"),
        (&["--acme", "*.a.example", "--acme-accept-terms"], "wildcard"),
        (
            &["--acme", "a.example", "--acme-accept-terms", "--acme-challenge", "tls-alpn-01"],
            "--listen-tls",
        ),
        (&["--acme", "a.example", "--acme-directory", "http://a"], "https://"),
        (&["--acme", "a.example", "--acme-eab-kid", "a"], "--acme-eab-key-file"),
    ] {
        let ended = serving(folder.path(), arguments).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(!ended.status.success() && said.contains(words), "{arguments:?}: {said}");
    }
}

#[test]
fn challenge_is_answered_for_ordered_names_alone_and_before_redirects() {
    let place = Place::new();
    place.fake.fail("/chall", Fault::Silence);
    let mut command = place.command();
    command.args(["--redirect-to-https", "--access-log", "json"]);
    let program = Program::start(command, 2);
    running::until(|| place.fake.asked("/chall") > 0);
    let get = |host: &str, token: &str| {
        let mut client = program.client();
        client.send(format!(
            "GET /.well-known/acme-challenge/{token} HTTP/1.1\r\nHost: {host}\r\n\r\n"
        ));
        client.reply()
    };
    let token = "token-of-the-order-number-0";
    let reply = get("a.example:80", token);
    assert_eq!(reply.status(), 200);
    assert!(reply.text().starts_with(&format!("{token}.")));
    for (host, token) in
        [("b.example", token), ("a.example", "other"), ("a.example", "..%2f..%2fa.example.key")]
    {
        assert_eq!(get(host, token).status(), 404, "{host} {token}");
    }
}

/// The processes of this name below another.
pub fn descendants(id: u32, name: &str) -> Vec<i32> {
    let mut found = Vec::new();
    let mut parents = vec![i32::try_from(id).unwrap()];
    while let Some(parent) = parents.pop() {
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let Some(id) = entry.file_name().to_str().and_then(|id| id.parse::<i32>().ok()) else {
                continue;
            };
            let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            let Some((before, after)) = stat.rsplit_once(") ") else { continue };
            if after.split(' ').nth(1).and_then(|id| id.parse().ok()) == Some(parent) {
                parents.push(id);
                if before.ends_with(&format!("({name}")) {
                    found.push(id);
                }
            }
        }
    }
    found
}

/// Kills a server, and waits until its fetcher has ended and writes no more.
fn stop(program: Program) {
    let fetchers = descendants(program.child.id(), "inn-fetcher");
    drop(program);
    running::until(|| !fetchers.iter().any(|id| is_running(*id)));
}

fn is_running(id: i32) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(id.to_string()).join("stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z"))
}

#[test]
fn name_in_the_place_of_the_directory_is_served_over_https() {
    let place = Place::new();
    fs::rename(place.folder.path().join("root"), place.folder.path().join("html")).unwrap();
    let directory = format!("{}/dir", place.fake.url);
    let mut command = Command::new(running::PROGRAM);
    command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR")).current_dir(&place.folder);
    command.args(["A.example", "--listen", "127.0.0.1:0", "--listen-tls", "127.0.0.1:0"]);
    command.args(["--acme-challenge", "http-01", "--acme-directory", &directory]);
    command.arg("--acme-ca-file").arg(place.fake.ca_file());
    command.arg("--acme-state").arg(place.state());
    if innkeeper::unprivileged::is_root() {
        // It would become a user that cannot read the folder of the test.
        command.args(["--user", "root"]);
    }
    let mut program = Program::start(command, 2);
    heard(&mut program, "certificate that was awaited serves");
    assert_eq!(tls_page(program.addresses[1]), "a page");
    let mut client = program.client();
    client.send("GET /x HTTP/1.1\r\nHost: a.example\r\n\r\n");
    let reply = client.reply();
    assert_eq!((reply.status(), reply.field("location")), (308, Some("https://a.example/x")));
}

#[test]
fn hosts_of_sites_without_certificates_are_ordered() {
    let place = Place::new();
    let own = crate::authority::Authority::shared().leaf(&["b.example"]);
    let path = |name: &str| place.folder.path().join(name).display().to_string();
    fs::write(path("b.pem"), own.combined()).unwrap();
    let config = format!(
        "listen = [\"127.0.0.1:0\"]\nlisten-tls = [\"127.0.0.1:0\"]\n\
         [acme]\naccept-terms = true\nchallenge = [\"http-01\"]\ndirectory = \"{}/dir\"\n\
         ca-file = {:?}\nstate = {:?}\n\
         [[site]]\nhosts = [\"a.example\", \"*.a.example\"]\nroot = {:?}\n\
         [[site]]\nhosts = [\"b.example\"]\nroot = {:?}\ntls.certificate = [{:?}]\n",
        place.fake.url,
        place.fake.ca_file(),
        place.state(),
        path("root"),
        path("root"),
        path("b.pem"),
    );
    fs::write(path("innkeeper.toml"), config).unwrap();
    let mut command = Command::new(running::PROGRAM);
    command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    command.args(["--config", &path("innkeeper.toml")]);
    let mut program = Program::start(command, 2);
    heard(&mut program, "certificate that was awaited serves");
    assert_eq!(tls_page(program.addresses[1]), "a page");
    let state = place.fake.state.lock().unwrap();
    let names: Vec<_> = state.orders.iter().map(|order| order.name["value"].clone()).collect();
    assert_eq!(names, ["a.example"]);
}
