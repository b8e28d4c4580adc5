//! What the settings of a server mean for its certificates: sites that come and go, checks, and
//! trials.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

use rustix::process::Signal;

use super::{Place, descendants, heard, tls_page, until_told};
use crate::running::{self, Program, told};
use crate::skip::{Need, skip};

/// The configuration of a server with sites of these hosts.
fn configuration(place: &Place, hosts: &[&str]) -> String {
    let path = |name: &str| place.folder.path().join(name).display().to_string();
    let mut config = format!(
        "listen = [\"127.0.0.1:0\"]\nlisten-tls = [\"127.0.0.1:0\"]\nadmin.listen = \"127.0.0.1:0\"\n\
         [acme]\naccept-terms = true\nchallenge = [\"http-01\"]\ndirectory = \"{}/dir\"\n\
         ca-file = {:?}\nstate = {:?}\n",
        place.fake.url,
        place.fake.ca_file(),
        place.state(),
    );
    for host in hosts {
        config += &format!("[[site]]\nhosts = [{host:?}]\nroot = {:?}\n", path("root"));
    }
    config
}

fn with_sites(place: &Place, hosts: &[&str]) -> Command {
    let file = place.folder.path().join("innkeeper.toml");
    fs::write(&file, configuration(place, hosts)).unwrap();
    let mut command = Command::new(running::PROGRAM);
    command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR")).arg("--config").arg(file);
    command
}

#[test]
fn names_of_sites_come_and_go_with_a_reload() {
    let place = Place::new();
    // The first has no host that can be ordered.
    let mut program = Program::start(with_sites(&place, &["*.a.example"]), 2);
    place.fake.state.lock().unwrap().servers = vec![program.addresses[0]];
    let admin = program.admin();
    assert!(told(admin, "/status").contains("\"acme\""));
    let reload = |program: &mut Program, hosts: &[&str]| {
        with_sites(&place, hosts);
        program.signal(Signal::HUP);
        program.wait_for("configuration reloaded");
    };
    reload(&mut program, &["a.example", "b.example"]);
    let has = |name: &str| place.state().join(name).join("fullchain.pem").exists();
    running::until(|| has("a.example") && has("b.example"));
    heard(&mut program, "certificate that was awaited serves");
    assert_eq!(tls_page(program.addresses[1]), "a page");
    until_told(admin, "/metrics", "innkeeper_acme_failures{name=\"b.example\"} 0");
    reload(&mut program, &["a.example"]);
    let metrics = told(admin, "/metrics");
    assert!(metrics.contains("innkeeper_acme_failures{name=\"a.example\"}"), "{metrics}");
    assert!(!metrics.contains("innkeeper_acme_failures{name=\"b.example\"}"), "{metrics}");
    assert_eq!(place.fake.asked("/new-order"), 2);
}

/// A user that owns nothing.
const USER: u32 = 54_321;

#[test]
fn server_of_root_becomes_a_user_in_all_processes_and_renews() {
    if !innkeeper::unprivileged::is_root() {
        return skip(Need::Root, "only root becomes another user");
    }
    let place = Place::new();
    let folder = place.folder.path();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    place.fake.state.lock().unwrap().window = Some((86_400, 90_000));
    let user = format!("{USER}:{USER}");
    let start = || {
        let mut command = place.command();
        command.args(["--user", &user]);
        command.arg("--code-cache").arg(folder.join("cache"));
        command
    };
    // One that root has made is not taken over.
    fs::create_dir(place.state()).unwrap();
    let ended = start().output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(!ended.status.success() && said.contains("state belongs to root"), "{said}");
    fs::remove_dir(place.state()).unwrap();
    // What the user cannot read is told at the start.
    let key = folder.join("key.pem");
    fs::write(&key, "").unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let mut command = start();
    command.arg("--tls-certificate").arg(&key).arg("--tls-key").arg(&key);
    let ended = command.output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(said.contains("as the user 54321") && said.contains("Permission denied"), "{said}");

    let mut program = Program::start(start(), 2);
    place.fake.state.lock().unwrap().servers = vec![program.addresses[0]];
    heard(&mut program, "certificate that was awaited serves");
    let server = program.child.id();
    let mut processes = vec![i32::try_from(server).unwrap()];
    for name in ["inn-spawner", "inn-fetchkeeper", "inn-fetcher"] {
        let found = descendants(server, name);
        assert_eq!(found.len(), 1, "{name}");
        processes.extend(found);
    }
    for id in processes {
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        // Real, effective, saved and of the file system: there is no way back.
        for name in ["Uid:", "Gid:"] {
            assert_eq!(field(name), vec![USER.to_string(); 4], "{status}");
        }
        assert_eq!(field("Groups:"), [USER.to_string()], "{status}");
        assert_eq!(field("NoNewPrivs:"), ["1"], "{status}");
        for name in ["CapPrm:", "CapEff:", "CapAmb:"] {
            assert_eq!(field(name), ["0000000000000000"], "{status}");
        }
    }
    let state = fs::metadata(place.state()).unwrap();
    assert_eq!((state.uid(), state.mode() & 0o777), (USER, 0o700));
    // It is renewed, and what it reads again is read by that user.
    running::until(|| place.fake.asked("/ari/") > 0);
    place.fake.state.lock().unwrap().window = Some((-7200, -3600));
    program.signal(Signal::HUP);
    program.wait_for("certificate obtained");
    program.wait_for("certificate replaced");
    assert_eq!(tls_page(program.addresses[1]), "a page");
}
