//! `[[site]]`: each site has its requests, a broken one keeps none of the others from being served, and sites
//! come, change and go with the configuration.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::authority::Authority;
use crate::fixture::{Client, Reply, Stream, replace};
use crate::running::{PROGRAM, Program, TOKEN, begin_change, run, told, until, workspace};

/// A folder with roots that say which they are.
fn roots(names: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in names {
        make_root(folder.path(), name);
    }
    folder
}

fn make_root(folder: &Path, name: &str) {
    fs::create_dir(folder.join(name)).unwrap();
    fs::write(folder.join(name).join("index.html"), name).unwrap();
}

fn program(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"))
        .args(["--config", "innkeeper.toml", "--listen", "127.0.0.1:0"])
        .args(["--admin", "127.0.0.1:0", "--admin-token-file", "token"])
        .args(arguments)
        .current_dir(folder);
    fs::write(folder.join("token"), TOKEN).unwrap();
    command
}

fn configure(folder: &Path, text: &str) {
    replace(&folder.join("innkeeper.toml"), text.as_bytes());
}

fn start(folder: &Path, text: &str) -> (Program, SocketAddr) {
    configure(folder, text);
    let mut program = Program::start(program(folder, &[]), 1);
    let admin = program.admin();
    (program, admin)
}

fn get(program: &Program, host: &str) -> Reply {
    get_at(program.addresses[0], host)
}

fn get_at(address: SocketAddr, host: &str) -> Reply {
    let mut client = Client::connect(address);
    client.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"));
    client.reply()
}

fn check(program: &Program, expected: &[(&str, u16, &str)]) {
    for (host, status, body) in expected {
        let reply = get(program, host);
        assert_eq!(reply.status(), *status, "{host}: {}", reply.text());
        assert!(reply.text().contains(body), "{host}: {}", reply.text());
    }
}

fn reload(admin: SocketAddr) -> (u16, String) {
    let reply = begin_change(admin, "POST /reload", 0).reply();
    (reply.status(), reply.text().to_owned())
}

const TWO: &str = "[[site]]\nhosts = ['a.example', '*.a.example']\nroot = 'a'\n\
                   [[site]]\nhosts = ['b.example', '[::1]']\nroot = 'b'\n";

#[test]
fn request_is_of_the_site_that_has_its_host() {
    let folder = roots(&["a", "b"]);
    let (program, _) = start(folder.path(), TWO);
    assert!(program.said.contains("no default site, hosts of no site get 421"));
    check(
        &program,
        &[
            ("a.example", 200, "a"),
            ("A.Example.:8080", 200, "a"),
            ("www.a.example", 200, "a"),
            ("b.example", 200, "b"),
            ("[0::1]:80", 200, "b"),
            ("c.example", 421, ""),
            ("x.b.example", 421, ""),
        ],
    );
}

#[test]
fn many_sites_have_few_threads_and_equal_rules_are_compiled_once() {
    const SITES: usize = 200;
    let names: Vec<_> = (0..SITES).map(|number| format!("s{number}")).collect();
    let folder = roots(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let cache = folder.path().join("cache");
    fs::create_dir(&cache).unwrap();
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o700)).unwrap();
    let site = |name: &String| {
        format!("[[site]]\nhosts = ['{name}.example']\nroot = '{name}'\n[site.rules]\nspa = true\n")
    };
    configure(folder.path(), &names.iter().map(site).collect::<String>());
    let program =
        Program::start(program(folder.path(), &["--code-cache", "cache", "--workers", "2"]), 1);
    check(&program, &[("s0.example", 200, "s0"), ("s199.example", 200, "s199")]);
    let compiled = fs::read_dir(&cache).unwrap().filter(|entry| {
        let name = entry.as_ref().unwrap().file_name().into_string().unwrap();
        name.ends_with(".cwasm") && !name.contains("passed") && !name.starts_with("functions")
    });
    assert_eq!(compiled.count(), 1);
    let threads = fs::read_dir(format!("/proc/{}/task", program.child.id())).unwrap().count();
    assert!(threads < 40, "{threads}");
}

/// What stands in the manual is served as it stands there.
#[test]
fn examples_in_the_manual_are_served() {
    let manual = fs::read_to_string(workspace().join("docs/sites.md")).unwrap();
    let examples: Vec<_> =
        manual.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(examples.len(), 3);
    let folder = roots(&[]);
    let path = folder.path();
    fs::create_dir_all(path.join("certificates")).unwrap();
    fs::create_dir_all(path.join("sites")).unwrap();
    for name in ["example", "docs", "others"] {
        make_root(&path.join("sites"), name);
    }
    for name in ["example.org", "docs.example.org"] {
        let leaf = Authority::shared().leaf(&[name]);
        fs::write(path.join(format!("certificates/{name}.pem")), leaf.combined()).unwrap();
    }
    for example in examples {
        // Any port, as others may be in use.
        let example = example.replace(":8080", ":0").replace(":8443", ":0");
        configure(path, &example);
        let has_tls = example.contains("listen-tls");
        let mut command = Command::new(PROGRAM);
        command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
        command.args(["--config", "innkeeper.toml", "--strict-start"]).current_dir(path);
        if !example.contains("listen = ") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        let program = Program::start(command, if has_tls { 2 } else { 1 });
        let status = if has_tls { 308 } else { 200 };
        check(&program, &[("example.org", status, "")]);
        if example.contains("docs.example.org") {
            check(&program, &[("docs.example.org", status, "")]);
        }
        let of_none = if example.contains("default = true") { 200 } else { 421 };
        check(&program, &[("example.net", of_none, "")]);
    }
}

#[test]
fn default_site_has_the_requests_for_other_hosts() {
    let folder = roots(&["a", "b"]);
    let (program, _) = start(folder.path(), &format!("{TWO}default = true\n"));
    check(&program, &[("a.example", 200, "a"), ("c.example", 200, "b")]);
}

#[test]
fn broken_site_keeps_the_others_serving_and_is_served_once_it_is_fit() {
    let folder = roots(&["a"]);
    let path = folder.path();
    let text = format!("[sandbox]\nallow-read = ['.']\n{TWO}");
    configure(path, &text);
    let checked = run(path, &["--check", "--config", "innkeeper.toml", "--listen", "127.0.0.1:0"]);
    assert_eq!(checked.code, 1, "{}", checked.out);
    assert!(checked.errors.contains("b.example: cannot serve b"), "{}", checked.errors);
    let strict =
        run(path, &["--config", "innkeeper.toml", "--listen", "127.0.0.1:0", "--strict-start"]);
    assert_eq!(strict.code, 1, "{}", strict.errors);
    assert!(strict.errors.contains("site b.example: cannot serve b"), "{}", strict.errors);
    let mut program = Program::start(program(path, &[]), 1);
    let admin = program.admin();
    assert!(program.said.contains("site is not served"), "{}", program.said);
    check(&program, &[("a.example", 200, "a"), ("b.example", 503, "")]);
    let ready = told(admin, "/readyz");
    assert!(ready.contains("site b.example is not served"), "{ready}");
    assert!(told(admin, "/sites").contains("cannot serve b"));
    make_root(path, "b");
    program.wait_for("site is served");
    check(&program, &[("b.example", 200, "b")]);
    assert!(!told(admin, "/readyz").contains("not served"));
}

#[test]
fn sites_come_and_change_and_go_without_a_lost_request() {
    let folder = roots(&["a", "b", "c"]);
    let path = folder.path();
    let outside = "[sandbox]\nallow-read = ['.']\n";
    let (mut program, admin) = start(path, &format!("{outside}{TWO}"));
    let is_over = AtomicBool::new(false);
    let served = AtomicUsize::new(0);
    thread::scope(|scope| {
        for host in ["a.example", "b.example"] {
            let (is_over, served, address) = (&is_over, &served, program.addresses[0]);
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    let reply = get_at(address, host);
                    assert_eq!(reply.status(), 200, "{host}: {}", reply.text());
                    served.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let c = "[[site]]\nhosts = ['c.example']\nroot = 'c'\n";
        configure(path, &format!("{outside}{c}{TWO}[site.log]\naccess = 'off'\n"));
        let (status, body) = reload(admin);
        assert_eq!(status, 200, "{body}");
        assert!(body.contains("\"added\": [\n    \"c.example\"\n  ]"), "{body}");
        assert!(body.contains("\"changed\": [\n    \"b.example\"\n  ]"), "{body}");
        check(&program, &[("c.example", 200, "c"), ("a.example", 200, "a")]);
        // Its hosts are others, and c is gone.
        let other = TWO.replace("'[::1]'", "'d.example'");
        configure(path, &format!("{outside}{other}"));
        assert_eq!(reload(admin).0, 200);
        check(&program, &[("c.example", 421, ""), ("d.example", 200, "b"), ("[::1]", 421, "")]);
        thread::sleep(Duration::from_millis(100));
        is_over.store(true, Ordering::Relaxed);
    });
    assert!(served.into_inner() > 10);
    configure(path, &format!("{outside}{TWO}"));
    program.signal(Signal::HUP);
    until(|| get(&program, "[::1]").status() == 200);
    program.wait_for("configuration reloaded");
}

#[test]
fn configuration_with_a_mistake_changes_nothing() {
    let folder = roots(&["a", "b"]);
    let path = folder.path();
    let (mut program, admin) = start(path, TWO);
    for (text, expected) in [
        (format!("{TWO}rot = 'c'\n"), "innkeeper.toml:7: there is no setting `rot` in [[site]]"),
        (format!("{TWO}[[site"), "innkeeper.toml is not valid TOML"),
        (TWO.replace("root = 'b'", "root = 'gone'"), "site b.example: cannot serve gone"),
        (
            format!("{TWO}[site.guest]\nfile = 'gone.wasm'\n"),
            "site b.example: cannot read the guest gone.wasm",
        ),
        ("workers = 1\n".to_owned(), "there is no [[site]] any more"),
    ] {
        configure(path, &text);
        let (status, body) = reload(admin);
        assert_eq!(status, 422, "{text}: {body}");
        assert!(
            body.contains("configuration-rejected") && body.contains(expected),
            "{text}: {body}"
        );
        program.wait_for("configuration rejected, the one before stays");
        check(&program, &[("a.example", 200, "a"), ("b.example", 200, "b")]);
        // The history has it, also if nobody heard the response.
        let status: serde_json::Value = serde_json::from_str(&told(admin, "/status")).unwrap();
        let latest = &status["reloads"][0];
        assert_eq!(latest["outcome"], "rejected", "{latest}");
        assert!(latest["message"].as_str().unwrap().contains(expected), "{latest}");
    }
    assert!(!program.said.contains("guest active"), "{}", program.said);
    configure(path, &format!("workers = 7\n[limits]\nmax-connections = 1000\n{TWO}"));
    let (status, body) = reload(admin);
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("\"workers\"") && body.contains("[limits] max-connections"), "{body}");
    program.wait_for("settings need a restart");
}

#[test]
fn root_that_comes_later_is_told_to_be_out_of_reach() {
    let folder = roots(&["a", "b"]);
    let path = folder.path();
    let (program, admin) = start(path, TWO);
    let sandbox = told(admin, "/status");
    make_root(path, "c");
    configure(path, &format!("{TWO}[[site]]\nhosts = ['c.example']\nroot = 'c'\n"));
    let (status, body) = reload(admin);
    // Without a sandbox it can be read.
    if sandbox.contains("\"files\": \"fully\"") {
        assert_eq!(status, 422, "{body}");
        assert!(body.contains("does not let the server read"), "{body}");
        assert!(body.contains("restart it with --allow-read"), "{body}");
        check(&program, &[("a.example", 200, "a"), ("c.example", 421, "")]);
    }
}

#[test]
fn each_site_has_its_certificate_and_one_without_is_broken() {
    let folder = roots(&["a", "b"]);
    let path = folder.path();
    let authority = Authority::new();
    let write = |name: &str| {
        let leaf = authority.leaf(&[name]);
        replace(&path.join(format!("{name}.pem")), leaf.combined().as_bytes());
    };
    write("a.example");
    let text = "[[site]]\nhosts = ['a.example']\nroot = 'a'\n[site.tls]\n\
                certificate = 'a.example.pem'\n[[site]]\nhosts = ['b.example']\nroot = 'b'\n\
                [site.tls]\ncertificate = 'b.example.pem'\n";
    configure(path, text);
    let program = Program::start(program(path, &["--listen-tls", "127.0.0.1:0"]), 2);
    assert!(program.said.contains("site is not served"), "{}", program.said);
    let secured = |host: &str| {
        let config = authority.client_config(&["http/1.1"]);
        let mut client = Client::over(Stream::tls(program.addresses[1], &config, host));
        client.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"));
        client.reply()
    };
    assert_eq!(secured("a.example").text(), "a");
    check(&program, &[("b.example", 503, "")]);
    write("b.example");
    until(|| get(&program, "b.example").status() == 200);
    until(|| secured("b.example").text() == "b");
}

#[test]
fn limits_of_a_site_are_its_own_and_change_with_the_configuration() {
    let folder = roots(&["a", "b", "c"]);
    let path = folder.path();
    let c = "[[site]]\nhosts = ['c.example']\nroot = 'c'\n";
    let text = |common: u32, own: &str| {
        format!(
            "[limits]\nrate-limit = {common}\n{TWO}[site.limits]\nrate-limit = {own}\n\
             [site.guest]\ndeadline = '200ms'\n{c}"
        )
    };
    let (program, admin) = start(path, &text(1, "2"));
    let many = |host: &str| {
        let ask = |_: &usize| get(&program, host).status() == 200;
        (0..40).filter(ask).count()
    };
    // A client may burst ten seconds' worth: of b, and of all others together.
    assert!((20..30).contains(&many("b.example")));
    assert!((10..20).contains(&many("a.example")));
    assert!(many("c.example") < 10);
    let status = |site: &str| told(admin, &format!("/status?site={site}"));
    assert!(status("b.example").contains("\"guest_deadline_ms\": 200"));
    assert!(status("a.example").contains("\"guest_deadline_ms\": 100"));
    // Others count from now on, and no site starts again for that.
    let history = |site: &str| {
        let status = status(site);
        let (_, history) = status.split_once("\"history\"").unwrap();
        history.split(']').next().unwrap().to_owned()
    };
    let before = history("b.example");
    configure(path, &text(1_000, "'off'"));
    let (code, body) = reload(admin);
    assert_eq!(code, 200, "{body}");
    assert!(body.contains("\"changed\": [\n    \"b.example\"\n  ]"), "{body}");
    assert_eq!(many("b.example"), 40);
    assert_eq!((many("a.example"), many("c.example")), (40, 40));
    assert_eq!(history("b.example"), before);
    // No instance gets more than was set aside for it.
    configure(path, &format!("{TWO}[site.guest]\nmemory = '128MiB'\n"));
    let (code, body) = reload(admin);
    assert_eq!(code, 422, "{body}");
    assert!(body.contains("no instance has more than the 64.0 MiB"), "{body}");
    // And the code that sites share does not begin with more than one of them may have.
    configure(path, &format!("{TWO}[site.guest]\nmemory = '64KiB'\n"));
    let (code, body) = reload(admin);
    assert_eq!(code, 422, "{body}");
    assert!(body.contains("and it may have 64 KiB (--guest-memory)"), "{body}");
}

/// Who replaces a certificate writes its files one after the other: a start in between waits.
#[test]
fn certificate_that_is_being_replaced_at_the_start_is_waited_for() {
    let folder = roots(&["a"]);
    let path = folder.path();
    let authority = Authority::new();
    let (old, new) = (authority.leaf(&["a.example"]), authority.leaf(&["a.example"]));
    fs::write(path.join("a.key"), old.key).unwrap();
    fs::write(path.join("a.pem"), new.certificate).unwrap();
    configure(
        path,
        "[[site]]\nhosts = ['a.example']\nroot = 'a'\n[site.tls]\ncertificate = 'a.pem'\n\
         key = 'a.key'\n",
    );
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(1_000));
            replace(&path.join("a.key"), new.key.as_bytes());
        });
        let program = Program::start(program(path, &["--listen-tls", "127.0.0.1:0"]), 2);
        assert!(!program.said.contains("site is not served"), "{}", program.said);
        check(&program, &[("a.example", 200, "a")]);
    });
}

/// What a rejected configuration opened for its other sites is closed, and its guests never serve.
#[test]
fn rejected_configuration_leaves_nothing_behind() {
    let folder = roots(&["a", "b", "c"]);
    let path = folder.path();
    let (mut program, admin) = start(path, &format!("[sandbox]\nallow-read = ['.']\n{TWO}"));
    fs::write(path.join("rules.toml"), "redirect = ['/x /y 301']\n").unwrap();
    // Those of logs; one that deploys may have come, for all sites.
    let threads = |program: &Program| {
        let tasks = fs::read_dir(format!("/proc/{}/task", program.child.id())).unwrap();
        let names = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("comm")));
        names.filter(|name| name.as_ref().is_ok_and(|name| name.trim() == "access-log")).count()
    };
    let before = threads(&program);
    let c = "[[site]]\nhosts = ['c.example']\nroot = 'c'\n[site.rules]\nfile = ['rules.toml']\n\
             [site.log]\naccess = 'combined'\n";
    for _ in 0..3 {
        configure(path, &format!("{TWO}[[site]]\nhosts = ['d.example']\nroot = 'gone'\n{c}"));
        assert_eq!(reload(admin).0, 422);
        program.wait_for("configuration rejected, the one before stays");
    }
    assert!(!program.said.contains("guest active"), "{}", program.said);
    until(|| threads(&program) == before);
    configure(path, &format!("{TWO}{c}"));
    let (status, body) = reload(admin);
    assert_eq!(status, 200, "{body}");
    program.wait_for("guest active");
    check(&program, &[("c.example", 200, "c")]);
}

/// Where others than the settings of its content change, a site keeps what was deployed.
#[test]
fn site_with_other_hosts_and_log_keeps_its_history() {
    let folder = roots(&["a", "b"]);
    let path = folder.path();
    let (mut program, admin) = start(path, TWO);
    let guest = crate::wat_guest::replying("uploaded");
    let mut upload = begin_change(admin, "PUT /guest?site=b.example", guest.len());
    upload.send(&guest);
    assert_eq!(upload.reply().status(), 200);
    check(&program, &[("b.example", 200, "uploaded")]);
    // What the log says of it names the site: its deployments, and its requests.
    assert!(program.wait_for("guest deployed").contains(" site=b.example"));
    let mut client = Client::connect(program.addresses[0]);
    client.send("GET /x HTTP/1.1\r\nHost: b.example\r\nConnection: close\r\n\r\n");
    assert_eq!(client.reply().status(), 500);
    assert!(program.wait_for("guest trapped").contains(" site=b.example"));
    let other = TWO.replace("'[::1]'", "'c.example'");
    configure(path, &format!("{other}[site.log]\nrequest-id = 'x-id'\n"));
    let (status, body) = reload(admin);
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("\"changed\": [\n    \"b.example\"\n  ]"), "{body}");
    assert!(get(&program, "c.example").field("x-id").is_some());
    // A reload reads its rules again, and what served before is kept.
    let history = told(admin, "/status?site=b.example");
    assert!(history.contains("\"outcome\": \"deployed\""), "{history}");
    assert_eq!(begin_change(admin, "POST /rollback?site=b.example", 0).reply().status(), 200);
    check(&program, &[("b.example", 200, "uploaded"), ("c.example", 200, "uploaded")]);
    // With other content it starts again, and its history goes on.
    configure(path, &format!("{other}[site.files]\nlisting = true\n"));
    assert_eq!(reload(admin).0, 200);
    check(&program, &[("b.example", 200, "b")]);
    assert!(told(admin, "/status?site=b.example").contains("\"outcome\": \"rolled-back\""));
    assert_eq!(begin_change(admin, "POST /rollback?site=b.example", 0).reply().status(), 409);
    let deployments = told(admin, "/metrics");
    assert!(
        deployments.contains(
            "innkeeper_guest_deployments_total{site=\"b.example\",outcome=\"rolled-back\"} 1"
        ),
        "{deployments}"
    );
}

/// What is set outside the sites counts for requests to none of them, also after a reload.
#[test]
fn requests_for_no_site_follow_what_is_set_outside() {
    let folder = roots(&["a", "b"]);
    let path = folder.path();
    let (program, admin) = start(path, TWO);
    assert_eq!(get(&program, "none.example").field("x-id"), None);
    configure(path, &format!("[log]\nrequest-id = 'x-id'\naccess = 'off'\n{TWO}"));
    let (status, body) = reload(admin);
    assert_eq!(status, 200, "{body}");
    let reply = get(&program, "none.example");
    assert_eq!((reply.status(), reply.field("x-id").is_some()), (421, true));
    assert!(get(&program, "a.example").field("x-id").is_some());
}

/// The reason of one site that stays broken is told once, whatever changes beside it.
#[test]
fn broken_site_is_told_of_once_for_each_reason_and_by_the_exit_code() {
    let folder = roots(&["a", "b"]);
    let path = folder.path();
    fs::write(path.join("policy.wasm"), "no guest").unwrap();
    let (mut program, admin) = start(
        path,
        &format!("[sandbox]\nallow-read = ['.']\n{TWO}[site.guest]\nfile = 'policy.wasm'\n"),
    );
    let lines = |said: &str| said.matches("site is not served").count();
    assert_eq!(lines(&program.said), 1, "{}", program.said);
    // Another folder than it was, and the same reason; then another one.
    make_root(&path.join("b"), "more");
    thread::sleep(Duration::from_millis(2500));
    fs::remove_file(path.join("policy.wasm")).unwrap();
    let line = program.wait_for("site is not served");
    assert!(line.contains("cannot read the guest"), "{line}");
    assert_eq!(lines(&program.said), 2, "{}", program.said);
    assert!(told(admin, "/readyz").contains("cannot read the guest"));
    program.signal(Signal::TERM);
    let (status, _, said) = program.finish();
    assert_eq!(status.code(), Some(3), "{said}");
    assert!(
        said.contains("sites were not served when the server stopped broken=b.example"),
        "{said}"
    );
}

/// Listings of some megabytes each, which their clients do not read.
#[test]
fn flood_of_listings_of_one_site_leaves_others_memory() {
    let folder = roots(&["a", "b"]);
    let path = folder.path();
    let many = path.join("a/many");
    fs::create_dir(&many).unwrap();
    for number in 0..2_200 {
        fs::write(many.join(format!("{number:0240}")), "").unwrap();
    }
    // The text has the name of the folder.
    for number in 0..12 {
        std::os::unix::fs::symlink("many", path.join(format!("a/{number}"))).unwrap();
    }
    fs::create_dir(path.join("b/some")).unwrap();
    for number in 0..100 {
        fs::write(path.join(format!("b/some/{number:0200}")), "").unwrap();
    }
    let text = format!("[files]\nlisting = true\n[limits]\nresponse-reply-memory = '16MiB'\n{TWO}");
    let (program, _) = start(path, &text);
    let ask = |host: &str, target: &str| {
        let mut client = Client::connect(program.addresses[0]);
        client.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        client
    };
    let mut flood = Vec::new();
    let mut statuses = Vec::new();
    for number in 0..12 {
        let mut client = ask("a.example", &format!("/{number}/"));
        statuses.push(client.reply_without_body().status());
        flood.push(client);
    }
    // Three quarters at most, and the one that exceeds them.
    assert_eq!((statuses[0], statuses[11]), (200, 503), "{statuses:?}");
    let mut other = ask("b.example", "/some/");
    let reply = other.reply();
    assert_eq!(reply.status(), 200);
    assert!(reply.body.len() > 20_000);
}
