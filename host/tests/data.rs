//! Data of a guest: it is replaced while the guest serves, as guests are.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use innkeeper::guest::{Digest, Identity};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::fixture::{Client, Reply, replace, site};
use crate::running::{Ended, Program, TOKEN, begin_change, run, serving, told};
use crate::wat_guest::{configurable, replying};

/// A guest that replies with its data. It refuses data that begins with `!`, and fails where the
/// path begins with `/x`.
fn echo() -> Vec<u8> {
    refusing("")
}

/// The same, and the first byte of its data becomes `2`.
fn echo_with_two() -> Vec<u8> {
    refusing("(i32.store8 (local.get $data) (i32.const 50))")
}

fn refusing(and_then: &str) -> Vec<u8> {
    let sentence = r#"(data (i32.const 4096) "line 1: `!` is no redirect")"#;
    let configure = format!(
        "(if (i32.eq (i32.load8_u (local.get $data)) (i32.const 33)) (then
            (i32.store (i32.const 640) (i32.const 1))
            (i32.store (i32.const 644) (i32.const 4096))
            (i32.store (i32.const 648) (i32.const 26))
            (return (i32.const 640))))
        {and_then}"
    );
    configurable(sentence, &configure, "unreachable")
}

const SENTENCE: &str = "the guest refuses its data: line 1: `!` is no redirect";

/// A folder with a site, a guest, and data for it.
struct Place {
    folder: TempDir,
    guest: PathBuf,
    data: PathBuf,
}

impl Place {
    fn new(guest: &[u8], data: &[u8]) -> Place {
        let folder = site();
        let place = Place {
            guest: folder.path().join("policy.wasm"),
            data: folder.path().join("redirects.toml"),
            folder,
        };
        fs::write(&place.guest, guest).unwrap();
        fs::write(&place.data, data).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn serve(&self, arguments: &[&str]) -> Program {
        let mut command = serving(&self.path("root"), arguments);
        command.arg("--guest").arg(&self.guest).arg("--data").arg(&self.data);
        Program::start(command, 1)
    }

    /// The same with an administration on a socket.
    fn serve_with_admin(&self, arguments: &[&str]) -> (Program, Admin) {
        let mut program = self.serve(&[&["--admin", "127.0.0.1:0"], arguments].concat());
        let admin = Admin { address: program.admin() };
        (program, admin)
    }

    fn token(&self) -> String {
        let token = self.path("token");
        fs::write(&token, TOKEN).unwrap();
        token.to_str().unwrap().to_owned()
    }
}

struct Admin {
    address: SocketAddr,
}

impl Admin {
    fn change(&self, line: &str, body: &[u8]) -> (u16, Value) {
        let mut client = begin_change(self.address, line, body.len());
        client.send_if_open(body);
        let reply: Reply = client.reply();
        (reply.status(), serde_json::from_str(reply.text()).unwrap())
    }

    fn status(&self) -> Value {
        serde_json::from_str(&told(self.address, "/status")).unwrap()
    }
}

fn digest(guest: &[u8], data: &[u8]) -> Digest {
    Digest::of_guest(guest, Some(data))
}

/// Waits until the guest serves with this data, and looks at it from old and new connections.
#[track_caller]
fn expect_in_service(program: &mut Program, old: &mut Client, guest: &[u8], data: &str) {
    let digest = digest(guest, data.as_bytes());
    let line = program.wait_for("guest deployed");
    assert!(line.contains(&format!("guest={digest} ")), "{line}");
    assert!(line.contains("redirects.toml"), "{line}");
    assert_eq!(program.get("/").text(), data);
    old.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(old.reply().text(), data);
}

#[test]
fn change_of_data_alone_deploys() {
    let echo = echo();
    let place = Place::new(&echo, b"one");
    let mut program = place.serve(&[]);
    let mut client = program.client();
    assert_eq!(program.get("/").text(), "one");
    assert!(program.said.contains("redirects.toml"), "{}", program.said);
    replace(&place.data, b"two");
    expect_in_service(&mut program, &mut client, &echo, "two");
    program.wait_for(&format!("guest freed guest={} ", digest(&echo, b"one")));
    // In place, and twice in a row.
    fs::write(&place.data, "three").unwrap();
    expect_in_service(&mut program, &mut client, &echo, "three");
    fs::remove_file(&place.data).unwrap();
    program.wait_for("cannot read the guest's data");
    fs::write(&place.data, "four").unwrap();
    expect_in_service(&mut program, &mut client, &echo, "four");
    // The guest under it.
    let other = echo_with_two();
    replace(&place.guest, &other);
    program.wait_for(&format!("guest deployed guest={} ", digest(&other, b"four")));
    assert_eq!(program.get("/").text(), "2our");
}

/// Kubernetes mounts a volume so that all its files change at once.
#[test]
fn guest_and_data_that_change_at_once_serve_together() {
    let (one, two) = (echo(), echo_with_two());
    let mut place = Place::new(b"", b"");
    for (folder, guest, data) in [("..2026_01", &one, "one"), ("..2026_02", &two, "one!")] {
        fs::create_dir(place.path(folder)).unwrap();
        fs::write(place.path(folder).join("policy.wasm"), guest).unwrap();
        fs::write(place.path(folder).join("redirects.toml"), data).unwrap();
    }
    symlink("..2026_01", place.path("..data")).unwrap();
    place.guest = place.path("..data/policy.wasm");
    place.data = place.path("..data/redirects.toml");
    let mut program = place.serve(&[]);
    symlink("..2026_02", place.path("..data_tmp")).unwrap();
    fs::rename(place.path("..data_tmp"), place.path("..data")).unwrap();
    program.wait_for(&format!("guest deployed guest={} ", digest(&two, b"one!")));
    assert_eq!(program.get("/").text(), "2ne!");
    assert_eq!(program.said.matches("guest deployed").count(), 1, "{}", program.said);
}

#[test]
fn bad_data_leaves_the_old_serving() {
    let echo = echo();
    let place = Place::new(&echo, b"one");
    let cases = place.path("cases.toml");
    fs::write(&cases, "case = [{ line = 'GET / HTTP/1.1', decision = { reply = {} } }]").unwrap();
    let mut program = place.serve(&["--cases", cases.to_str().unwrap()]);
    let mut client = program.client();
    let refused = |program: &mut Program| {
        let line = program.wait_for("guest rejected");
        assert!(line.contains(&format!("data={}", place.data.display())), "{line}");
        assert!(line.contains("code=configuration-refused"), "{line}");
        assert!(line.contains(SENTENCE), "{line}");
        assert!(line.contains(&format!("current={}", digest(&echo, b"one"))), "{line}");
        assert_eq!(program.get("/").text(), "one");
    };
    replace(&place.data, b"!");
    refused(&mut program);
    // The same again is not tried again.
    replace(&place.data, b"!");
    fs::write(&place.data, "!!").unwrap();
    refused(&mut program);
    replace(&place.data, b"two");
    expect_in_service(&mut program, &mut client, &echo, "two");
    assert_eq!(program.said.matches("guest rejected").count(), 2, "{}", program.said);
    // Back to what served before, by its file.
    replace(&place.data, b"one");
    expect_in_service(&mut program, &mut client, &echo, "one");
    // What is not there, and what is no file.
    fs::remove_file(&place.data).unwrap();
    let line = program.wait_for("guest, data or cases cannot be read");
    assert!(line.contains("redirects.toml"), "{line}");
    fs::create_dir(&place.data).unwrap();
    program.wait_for("it is not a regular file");
    fs::remove_dir(&place.data).unwrap();
    assert_eq!(program.get("/").text(), "one");
    replace(&place.data, b"three");
    expect_in_service(&mut program, &mut client, &echo, "three");
}

#[test]
fn data_is_tried_again_when_its_cases_are_mended() {
    let echo = echo();
    let place = Place::new(&echo, b"one");
    let cases = place.path("cases.toml");
    let says = |body: &str| {
        format!(
            "case = [{{ line = 'GET / HTTP/1.1', decision = {{ reply = {{ body = '{body}' }} }} }}]"
        )
    };
    fs::write(&cases, says("one")).unwrap();
    let mut program = place.serve(&["--cases", cases.to_str().unwrap()]);
    let mut client = program.client();
    replace(&place.data, b"two");
    let line = program.wait_for("guest rejected");
    assert!(line.contains("1 of 1 cases failed"), "{line}");
    assert_eq!(program.get("/").text(), "one");
    fs::write(&cases, says("two")).unwrap();
    expect_in_service(&mut program, &mut client, &echo, "two");
}

#[test]
fn sighup_reads_data_again() {
    let echo = echo();
    let place = Place::new(&echo, b"one");
    let mut program = place.serve(&["--no-watch"]);
    let mut client = program.client();
    program.signal(Signal::HUP);
    program.wait_for("it is active");
    replace(&place.data, b"two");
    assert_eq!(program.get("/").text(), "one");
    program.signal(Signal::HUP);
    expect_in_service(&mut program, &mut client, &echo, "two");
    replace(&place.data, b"!");
    for _ in 0..2 {
        program.signal(Signal::HUP);
        program.wait_for("guest rejected");
    }
    assert_eq!(program.get("/").text(), "two");
}

#[test]
fn data_that_fails_often_is_rolled_back() {
    let echo = echo();
    let place = Place::new(&echo, b"one");
    let mut program = place.serve(&["--rollback-after", "1"]);
    let mut client = program.client();
    replace(&place.data, b"two");
    expect_in_service(&mut program, &mut client, &echo, "two");
    assert_eq!(program.get("/x").status(), 500);
    let line = program.wait_for("too many decisions failed");
    assert!(line.contains(&format!(" guest={} ", digest(&echo, b"one"))), "{line}");
    assert_eq!(program.get("/").text(), "one");
    replace(&place.data, b"three");
    expect_in_service(&mut program, &mut client, &echo, "three");
    // That with which it failed does not come back by itself.
    replace(&place.data, b"two");
    program.wait_for("guest not tried again");
    assert_eq!(program.get("/").text(), "three");
}

#[test]
fn uploaded_data_serves_under_the_active_guest() {
    let (one, two) = (echo(), echo_with_two());
    let place = Place::new(&one, b"first");
    let token = place.token();
    let (mut program, admin) = place.serve_with_admin(&["--admin-token-file", &token]);
    let guest = |status: &Value, key: &str| status["guest"][key].as_str().map(str::to_owned);
    let hex = |digest: Digest| Some(format!("{digest:#}"));
    let before = admin.status();
    assert_eq!(guest(&before, "digest"), hex(digest(&one, b"first")));
    assert_eq!(guest(&before, "guest_digest"), hex(Digest::of(&one)));
    assert_eq!(guest(&before, "data_digest"), hex(Digest::of(b"first")));
    assert_eq!(guest(&before, "data_file"), Some(place.data.display().to_string()));

    // A check changes nothing.
    let (status, report) = admin.change("POST /check/data", b"second");
    assert_eq!((status, &report["accepted"]), (200, &Value::Bool(true)), "{report}");
    assert_eq!(report["data_digest"].as_str().map(str::to_owned), hex(Digest::of(b"second")));
    assert_eq!(report["active"], Value::Bool(false));
    assert_eq!(program.get("/").text(), "first");
    let (status, report) = admin.change("PUT /guest/data", b"second");
    assert_eq!((status, &report["active"]), (200, &Value::Bool(true)), "{report}");
    assert_eq!(program.get("/").text(), "second");
    assert_eq!(guest(&admin.status(), "origin"), Some("upload".to_owned()));

    // What the guest refuses changes nothing.
    for line in ["POST /check/data", "PUT /guest/data"] {
        let (status, report) = admin.change(line, b"!");
        assert_eq!(status, if line.starts_with("PUT") { 422 } else { 200 });
        assert_eq!(report["error"]["code"], "configuration-refused");
        assert_eq!(report["error"]["message"], SENTENCE);
        assert_eq!(report["digest"].as_str().map(str::to_owned), hex(digest(&one, b"!")));
        assert_eq!(program.get("/").text(), "second");
    }

    // A guest that takes data gets that which serves, and one that takes none goes without.
    let (status, report) = admin.change("PUT /guest", &two);
    assert_eq!(status, 200, "{report}");
    assert_eq!(program.get("/").text(), "2econd");
    let (status, _) = admin.change("POST /rollback", b"");
    assert_eq!((status, program.get("/").text()), (200, "second"));
    let plain = replying("plain");
    let (status, report) = admin.change("PUT /guest", &plain);
    assert_eq!((status, program.get("/").text()), (200, "plain"), "{report}");
    assert_eq!(report["digest"].as_str().map(str::to_owned), hex(Digest::of(&plain)));
    assert_eq!(report["data_digest"], Value::Null);
    let (status, report) = admin.change("PUT /guest/data", b"third");
    assert_eq!((status, &report["error"]["code"]), (422, &"no-configuration".into()), "{report}");

    // After that one there is the data of the file again.
    let (status, report) = admin.change("PUT /guest", &two);
    assert_eq!((status, program.get("/").text()), (200, "2irst"), "{report}");
    // The guest that is returned to has its bytes and its data.
    let (status, _) = admin.change("PUT /guest/data", b"fourth");
    assert_eq!((status, program.get("/").text()), (200, "2ourth"));
    assert_eq!(admin.change("POST /rollback", b"").0, 200);
    assert_eq!(program.get("/").text(), "2irst");
    let (status, _) = admin.change("PUT /guest/data", b"fifth");
    assert_eq!((status, program.get("/").text()), (200, "2ifth"));
    // A change of the file takes over.
    replace(&place.data, b"file");
    program.wait_for(&format!("guest deployed guest={} ", digest(&one, b"file")));
    assert_eq!(program.get("/").text(), "file");
    let identity = Identity::of(&one, Some(b"file"));
    let info = format!(
        "innkeeper_guest_info{{digest=\"{}\",guest=\"{}\",data=\"{}\",origin=\"file\"}} 1",
        identity.digest(),
        identity.guest,
        identity.data.unwrap()
    );
    let metrics = told(admin.address, "/metrics");
    assert!(metrics.lines().any(|line| line == info), "{info}: {metrics}");
}

#[test]
fn data_that_is_too_large_is_refused_before_it_is_sent() {
    let place = Place::new(&echo(), b"first");
    let token = place.token();
    let (_program, admin) = place.serve_with_admin(&["--admin-token-file", &token]);
    for line in ["PUT /guest/data", "POST /check/data"] {
        let reply = begin_change(admin.address, line, (64 << 20) + 1).reply();
        assert_eq!(reply.status(), 413);
        assert!(reply.text().contains("data-too-large"), "{}", reply.text());
    }
    assert_eq!(admin.change("GET /guest/data", b"").0, 405);
}

#[test]
fn commands_take_data() {
    let place = Place::new(&echo(), b"one");
    fs::write(
        place.path("cases.toml"),
        "case = [{ line = 'GET / HTTP/1.1', decision = { reply = { body = 'one' } } }]",
    )
    .unwrap();
    fs::write(place.path("bad.toml"), "!").unwrap();
    const DATA: [&str; 2] = ["--data", "redirects.toml"];
    let folder = place.folder.path();
    let digest = digest(&echo(), b"one");
    for (arguments, told) in [
        (&["test", "policy.wasm", "cases.toml"][..], "1 of 1 cases passed".to_owned()),
        (&["check", "policy.wasm"], format!("digest     sha256:{digest:#}")),
        (
            &["check", "policy.wasm"],
            format!("data       redirects.toml, 3 B (3 bytes), sha256:{:#}", Digest::of(b"one")),
        ),
        (
            &["explain", "policy.wasm", "GET / HTTP/1.1", "--root", "root"],
            format!("policy.wasm with redirects.toml ({digest})"),
        ),
        (
            &["compile", "policy.wasm", "--code-cache", "cache"],
            format!("policy.wasm with redirects.toml ({digest}) is ready"),
        ),
        (
            &["root", "--check", "--listen", "127.0.0.1:0", "--guest", "policy.wasm"],
            format!("policy.wasm with redirects.toml ({digest}), compiled"),
        ),
        (
            &["root", "--print-config", "--guest", "policy.wasm"],
            "data = \"redirects.toml\"".to_owned(),
        ),
    ] {
        let Ended { code, out, errors } = run(folder, &[arguments, &DATA].concat());
        assert_eq!(code, 0, "{arguments:?}: {out}{errors}");
        assert!(out.contains(&told), "{arguments:?}: {told:?} is not in {out}");
        if arguments.contains(&"--print-config") {
            continue;
        }
        let Ended { code, errors, .. } =
            run(folder, &[arguments, &["--data", "bad.toml"]].concat());
        assert_eq!(code, 1, "{arguments:?}");
        assert!(
            errors.contains(SENTENCE) && errors.contains("bad.toml"),
            "{arguments:?}: {errors}"
        );
        let Ended { code, errors, .. } =
            run(folder, &[arguments, &["--data", "none.toml"]].concat());
        assert_eq!(code, 1, "{arguments:?}");
        assert!(
            errors.contains("cannot read the guest's data none.toml: No such file"),
            "{errors}"
        );
    }
}

#[test]
fn data_without_a_guest_is_an_error() {
    let place = Place::new(&replying("one"), b"one");
    const NEEDS: &str = "the data in redirects.toml (--data) is for a guest that reads it";
    for arguments in [
        &["root", "--listen", "127.0.0.1:0"][..],
        &["root", "--listen", "127.0.0.1:0", "--check"],
        &["check"],
        &["explain", "GET / HTTP/1.1", "--root", "root"],
    ] {
        let arguments = [arguments, &["--data", "redirects.toml"]].concat();
        let Ended { code, errors, .. } = run(place.folder.path(), &arguments);
        assert_eq!(code, 1, "{arguments:?}: {errors}");
        assert!(errors.contains(NEEDS), "{arguments:?}: {errors}");
    }
    // And one for a guest that does not read it.
    let arguments = ["check", "policy.wasm", "--data", "redirects.toml"];
    let Ended { code, errors, .. } = run(place.folder.path(), &arguments);
    assert_eq!(code, 1);
    assert!(errors.contains("the guest takes no data"), "{errors}");
}

#[test]
fn data_is_a_setting_of_file_and_environment() {
    let place = Place::new(&echo(), b"one");
    fs::write(
        place.path("innkeeper.toml"),
        "[guest]\nfile = 'policy.wasm'\ndata = 'redirects.toml'\n",
    )
    .unwrap();
    let mut command = serving(&place.path("root"), &["--config", "innkeeper.toml"]);
    command.current_dir(place.folder.path());
    let program = Program::start(command, 1);
    assert_eq!(program.get("/").text(), "one");
    fs::write(place.path("other"), "other").unwrap();
    let mut command = serving(&place.path("root"), &["--config", "innkeeper.toml"]);
    command.current_dir(place.folder.path()).env("INNKEEPER_DATA", "other");
    let program = Program::start(command, 1);
    assert_eq!(program.get("/").text(), "other");
}
