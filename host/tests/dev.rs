//! The loop of who writes a guest: build, check, swap, and pages that load anew.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use tempfile::TempDir;

use crate::fixture::{Client, site};
use crate::running::{PROGRAM, Program};
use crate::wat_guest::{decides_nonsense, replying, saying};

/// A folder with a site, a guest and the source that it is "built" from.
struct Place {
    folder: TempDir,
    program: Program,
    admin: SocketAddr,
    events: Client,
}

impl Place {
    fn new() -> Place {
        Place::with("src")
    }

    /// The build copies the source, and fails where there is none.
    fn with(watched: &str) -> Place {
        let folder = site();
        fs::create_dir(folder.path().join("src")).unwrap();
        fs::write(folder.path().join("src/guest"), guest::DEFAULT).unwrap();
        let mut command = Command::new(PROGRAM);
        command.args(["dev", "root", "--listen", "127.0.0.1:0", "--guest", "policy.wasm"]);
        command.args(["--build", "cat src/guest > policy.wasm", "--access-log", "off"]);
        command.args(["--source", watched]);
        command.current_dir(folder.path()).env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
        let mut program = Program::start(command, 1);
        let admin = program.admin();
        let mut events = Client::connect(admin);
        events.send(format!("GET /dev/events HTTP/1.1\r\nHost: {admin}\r\n\r\n"));
        Place { folder, program, admin, events }
    }

    fn source(&self, guest: &[u8]) {
        fs::write(self.folder.path().join("src/guest"), guest).unwrap();
    }
}

mod guest {
    pub use innkeeper::guest::DEFAULT_GUEST as DEFAULT;
}

#[test]
fn a_change_of_the_source_reaches_the_page() {
    let mut place = Place::new();
    place.events.receive_until(r#"data: {"version":0,"error":null"#);
    let page = place.program.get("/");
    assert_eq!(page.field("cache-control"), Some("no-store"));
    assert!(page.text().starts_with("<h1>home</h1>\n"));
    assert!(page.text().contains("/dev/script.js\" nonce="), "{}", page.text());
    assert_eq!(place.program.get("/hello.txt").text(), "hello\n");
    // A new guest.
    place.source(&replying("two"));
    place.events.receive_until(r#"data: {"version":1,"error":null"#);
    assert_eq!(place.program.get("/hello.txt").text(), "two");
    // One that does not pass its check.
    place.source(&decides_nonsense());
    place.events.receive_until(r#""version":1,"error":{"kind":"trap","title":"The guest fails on a request","text":"policy.wasm: "#);
    assert_eq!(place.program.get("/hello.txt").text(), "two");
    // That is undone.
    place.source(&replying("two"));
    place.events.receive_until(r#""version":1,"error":null,"busy":null"#);
    // One that does not even build.
    fs::remove_file(place.folder.path().join("src/guest")).unwrap();
    place.events.receive_until(r#""kind":"build""#);
    place.events.receive_until("cat: src/guest: No such file or directory");
    assert_eq!(place.program.get("/hello.txt").text(), "two");
    // It is mended.
    place.source(&replying("three"));
    place.events.receive_until(r#"data: {"version":2,"error":null"#);
    assert_eq!(place.program.get("/hello.txt").text(), "three");
}

#[test]
fn trap_on_a_request_is_shown_until_a_page_or_another_guest() {
    let mut place = Place::new();
    place.source(&saying("boom at policy.c:7"));
    place.events.receive_until(r#""version":1,"error":null,"busy":null,"failed":null"#);
    assert_eq!(place.program.get("/x").status(), 500);
    let failed = concat!(
        r#""failed":{"kind":"trap","title":"The guest fails on a request","#,
        r#""text":"the guest fails on GET /x HTTP/1.1: boom at policy.c:7 "#
    );
    place.events.receive_until(failed);
    // A page that the guest decides on.
    let mut client = place.program.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\n\r\n");
    assert_eq!(client.reply().status(), 404);
    place.events.receive_until(r#""failed":null"#);
    assert_eq!(place.program.get("/x").status(), 500);
    place.events.receive_until(failed);
    place.source(&replying("mended"));
    place.events.receive_until(r#""version":2,"error":null,"busy":null,"failed":null"#);
}

/// Also where there is no guest yet.
#[test]
fn first_build_that_fails_is_shown_and_the_built_in_guest_serves() {
    let folder = site();
    let mut command = Command::new(PROGRAM);
    command.args(["dev", "root", "--listen", "127.0.0.1:0", "--guest", "policy.wasm"]);
    command.args(["--source", "guest"]);
    command.current_dir(folder.path()).env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    let build = "echo a mistake >&2; test -s guest && cat guest > policy.wasm";
    command.args(["--build", build]).args(["--access-log", "off"]);
    fs::write(folder.path().join("guest"), b"").unwrap();
    let mut program = Program::start(command, 1);
    let admin = program.admin();
    let mut events = Client::connect(admin);
    events.send(format!("GET /dev/events HTTP/1.1\r\nHost: {admin}\r\n\r\n"));
    events.receive_until(r#""error":{"kind":"build","title":"The build failed""#);
    events.receive_until("a mistake");
    assert_eq!(program.get("/hello.txt").text(), "hello\n");
    fs::write(folder.path().join("guest"), replying("first")).unwrap();
    events.receive_until(r#""busy":"building""#);
    events.receive_until(r#"{"version":1,"error":null"#);
    assert_eq!(program.get("/hello.txt").text(), "first");
}

#[test]
fn rules_that_are_wrong_are_shown_until_that_is_undone() {
    let folder = site();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("rules.toml"), "redirect = ['/a /b 301']\n").unwrap();
    let mut command = Command::new(PROGRAM);
    command.args(["dev", "root", "--listen", "127.0.0.1:0", "--rules", "rules.toml"]);
    command.current_dir(folder.path()).env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    let mut program = Program::start(command, 1);
    let admin = program.admin();
    let mut events = Client::connect(admin);
    events.send(format!("GET /dev/events HTTP/1.1\r\nHost: {admin}\r\n\r\n"));
    events.receive_until(r#""version":0,"error":null"#);
    fs::write(path("root/_redirects"), "/a /b 999\n").unwrap();
    events.receive_until(r#""error":{"kind":"rules","title":"The rules are not accepted""#);
    fs::remove_file(path("root/_redirects")).unwrap();
    events.receive_until(r#""error":null"#);
    program.wait_for("guest file unchanged: it is active");
    assert_eq!(program.said.matches("rules rejected").count(), 1, "{}", program.said);
}

/// What a build says may hold paths, names and parts of sources.
#[test]
fn pages_of_other_sites_do_not_hear_of_it() {
    let mut place = Place::new();
    let admin = place.admin;
    let site = place.program.addresses[0];
    let ask = |host: &str, origin: &str| {
        let mut client = Client::connect(admin);
        client.send(format!("GET /dev/events HTTP/1.1\r\nHost: {host}\r\n{origin}\r\n"));
        client
    };
    let own = admin.to_string();
    for (host, origin) in [
        (&*own, "Origin: http://evil.example\r\n"),
        (&own, "Origin: null\r\n"),
        (&own, "Origin: http://127.0.0.1:1\r\n"),
        ("evil.example", ""),
        ("evil.example", &*format!("Origin: http://{site}\r\n")),
    ] {
        let reply = ask(host, origin).reply();
        assert_eq!(reply.status(), 403, "{host} {origin}");
        assert_eq!(reply.field("access-control-allow-origin"), None, "{host} {origin}");
    }
    let origin = format!("http://{site}");
    let mut page = ask(&own, &format!("Origin: {origin}\r\n"));
    page.receive_until(&format!("access-control-allow-origin: {origin}\r\n"));
    place.events.receive_until(r#"data: {"version":0"#);
}

/// Editors write another file and rename it.
#[test]
fn a_source_that_is_one_file_may_be_replaced_more_than_once() {
    let mut place = Place::with("src/guest");
    place.events.receive_until(r#"data: {"version":0,"error":null"#);
    for version in 1..4 {
        let new = place.folder.path().join("src/new");
        fs::write(&new, replying(&version.to_string())).unwrap();
        fs::rename(new, place.folder.path().join("src/guest")).unwrap();
        place.events.receive_until(&format!(r#""version":{version},"error":null"#));
        assert_eq!(place.program.get("/hello.txt").text(), version.to_string());
    }
}

#[test]
fn a_change_of_the_site_reaches_the_page() {
    let mut place = Place::new();
    place.events.receive_until(r#""version":0"#);
    fs::write(place.folder.path().join("root/index.html"), "<h1>new</h1>\n").unwrap();
    place.events.receive_until(r#"data: {"version":1,"error":null"#);
    assert!(place.program.get("/").text().starts_with("<h1>new</h1>\n"));
}
