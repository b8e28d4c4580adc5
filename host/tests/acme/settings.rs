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
    // Either line may be the first.
    program.wait_for("certificate replaced");
    assert_eq!(tls_page(program.addresses[1]), "a page");
}

/// An address that is free now.
fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// A trial of a name, whose server would listen there.
fn trial(place: &Place, listen: &str, more: &[&str]) -> running::Ended {
    let directory = format!("{}/dir", place.fake.url);
    let mut command = Command::new(running::PROGRAM);
    command.args(["acme", "--dry-run", "--listen", listen, "--acme-directory", &directory]);
    command.args(["--acme", "a.example", "--acme-challenge", "http-01"]).args(more);
    command.arg("--acme-ca-file").arg(place.fake.ca_file()).arg("--acme-state").arg(place.state());
    command.current_dir(&place.folder).output().unwrap().into()
}

#[test]
fn trial_proves_names_and_keeps_nothing() {
    let place = Place::new();
    let listen = free_address();
    let ended = trial(&place, &listen, &[]);
    assert!(ended.code == 1 && ended.errors.contains("--acme-accept-terms"), "{}", ended.errors);
    place.fake.state.lock().unwrap().servers = vec![listen.parse().unwrap()];
    let ended = trial(&place, &listen, &["--acme-accept-terms"]);
    let line = "a.example http-01      proved\n";
    assert!(ended.code == 0 && ended.out.contains(line), "{}{}", ended.out, ended.errors);
    assert!(ended.out.ends_with("1 of 1 proved\n"), "{}", ended.out);
    assert_eq!(ended.errors, "");
    assert!(!place.state().exists());
    // Nothing answers there.
    place.fake.state.lock().unwrap().servers = vec![free_address().parse().unwrap()];
    let ended = trial(&place, &listen, &["--acme-accept-terms"]);
    let is_told = ended.out.contains("not proved: unauthorized: ") && ended.out.contains("refused");
    assert!(ended.code == 1 && is_told, "{}{}", ended.out, ended.errors);
    assert!(ended.out.ends_with("0 of 1 proved\n"), "{}", ended.out);
}

#[test]
fn trial_beside_a_server_is_answered_by_it() {
    let place = Place::new();
    let mut program = place.start();
    heard(&mut program, "certificate that was awaited serves");
    let before = place.serial();
    let listen = program.addresses[0].to_string();
    let ended = trial(&place, &listen, &["--acme-accept-terms"]);
    assert_eq!(ended.code, 0, "{}{}", ended.out, ended.errors);
    let taken = format!("is taken by innkeeper (process {})", program.child.id());
    assert!(ended.out.contains(&taken), "{}", ended.out);
    assert!(ended.out.contains("that server answers"), "{}", ended.out);
    assert_eq!(place.fake.asked("/new-order"), 2);
    assert_eq!(place.serial(), before);
    // Without its state it cannot be asked.
    fs::rename(place.state(), place.folder.path().join("elsewhere")).unwrap();
    let ended = trial(&place, &listen, &["--acme-accept-terms"]);
    assert!(ended.code == 1 && ended.errors.contains(&taken), "{}", ended.errors);
}

#[test]
fn check_tells_of_certificates_that_would_be_ordered() {
    let place = Place::new();
    let path = |name: &str| place.folder.path().join(name).display().to_string();
    fs::write(path("file"), "").unwrap();
    let check = |more: &[&str]| {
        let mut arguments = vec!["--check", "root", "--listen", "127.0.0.1:0"];
        arguments.extend(["--listen-tls", "127.0.0.1:0", "--acme", "a.example"]);
        arguments.extend(more);
        running::run(place.folder.path(), &arguments)
    };
    let state = path("state");
    let fit = check(&["--acme-accept-terms", "--acme-state", &state]);
    assert_eq!(fit.code, 0, "{}", fit.errors);
    for part in ["a.example of https://acme-v02", "proved by tls-alpn-01 and http-01, kept in"] {
        assert!(fit.out.contains(part), "{}", fit.out);
    }
    assert!(!place.state().exists(), "it makes nothing");
    let (file, key) = (path("file/state"), path("none"));
    for (more, told) in [
        (&["--acme-state", &state][..], "--acme-accept-terms"),
        (&["--acme-accept-terms", "--acme-state", &file], "cannot keep certificates in"),
        (
            &[
                "--acme-accept-terms",
                "--acme-state",
                &state,
                "--acme-eab-kid",
                "1",
                "--acme-eab-key-file",
                &key,
            ],
            "--acme-eab-key-file",
        ),
    ] {
        let ended = check(more);
        assert!(ended.code == 1 && ended.errors.contains(told), "{more:?}: {}", ended.errors);
    }
    // A name that cannot be had is no problem of the start.
    let config = configuration(&place, &["a.example", "*.b.example"]);
    fs::write(path("innkeeper.toml"), config).unwrap();
    let ended = running::run(place.folder.path(), &["--check", "--config", "innkeeper.toml"]);
    assert_eq!(ended.code, 0, "{}", ended.errors);
    assert!(
        ended.out.contains("warning: *.b.example: a wildcard is proved by DNS"),
        "{}",
        ended.out
    );
}

/// The examples of the manual, at other ports and of another authority.
#[test]
fn examples_of_the_manual_start_and_order() {
    let manual = fs::read_to_string(running::workspace().join("docs/acme.md")).unwrap();
    let examples: Vec<_> = manual.split("```toml\n").skip(1).collect();
    assert!(examples.iter().any(|example| example.contains("[[site]]")));
    for example in examples {
        let example = example.split("```").next().unwrap();
        let place = Place::new();
        let folder = place.folder.path();
        for root in ["html", "sites/example", "sites/docs"] {
            fs::create_dir_all(folder.join(root)).unwrap();
            fs::write(folder.join(root).join("index.html"), "a page").unwrap();
        }
        let authority = format!(
            "[acme]\nchallenge = [\"http-01\"]\ndirectory = \"{}/dir\"\nca-file = {:?}\n\
             state = {:?}\n",
            place.fake.url,
            place.fake.ca_file(),
            place.state(),
        );
        let config = example.replace("\":80\"", "\"127.0.0.1:0\"");
        let config = config.replace("\":443\"", "\"127.0.0.1:0\"").replace("staging = true\n", "");
        assert!(config.contains("[acme]\n"), "{config}");
        fs::write(folder.join("site.toml"), config.replace("[acme]\n", &authority)).unwrap();
        let mut command = Command::new(running::PROGRAM);
        command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR")).current_dir(folder);
        command.args(["--config", "site.toml"]);
        let mut program = Program::start(command, 2);
        place.fake.state.lock().unwrap().servers = vec![program.addresses[0]];
        heard(&mut program, "certificate obtained");
    }
}
