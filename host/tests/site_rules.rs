//! The life of `_redirects` and `_headers` while a site is served: they come, go, come back, and are
//! replaced by what is no file.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::fixture::write;
use crate::rules::{ask, folder, serve};
use crate::running::{Ended, Program, run, told};

/// What takes the place of a file: how it is made, and what the log says of it.
type Stranger = (&'static str, fn(&Path));

const STRANGERS: [Stranger; 4] = [
    ("a directory", |path| fs::create_dir(path).unwrap()),
    ("a FIFO", |path| mknodat(CWD, path, FileType::Fifo, Mode::RWXU, 0).unwrap()),
    ("a socket", |path| drop(UnixListener::bind(path).unwrap())),
    ("a link that leads nowhere", |path| symlink("nowhere", path).unwrap()),
];

fn remove(path: &Path) {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir(path).unwrap(),
        Ok(_) => fs::remove_file(path).unwrap(),
        Err(_) => {}
    }
}

/// The statuses of `/old` for as long as this.
fn statuses(program: &Program, time: Duration) -> Vec<u16> {
    let began = Instant::now();
    let mut all = Vec::new();
    while began.elapsed() < time {
        all.push(ask(program, "GET /old").status());
    }
    all.dedup();
    all
}

#[test]
fn removed_file_that_is_written_again_keeps_its_rules() {
    let folder = folder(&[("root/_redirects", "/old /about.html 302\n")]);
    let mut program = serve(&folder, &[]);
    let redirects = folder.path().join("root/_redirects");
    for next in ["/old /about.html 302\n", "/old /about.html 307\n"] {
        fs::remove_file(&redirects).unwrap();
        assert_eq!(statuses(&program, Duration::from_millis(300)), [302]);
        write(&redirects, next.as_bytes());
    }
    program.wait_for("guest deployed");
    assert_eq!(ask(&program, "GET /old").status(), 307);
    // Another file counts at once meanwhile.
    fs::remove_file(&redirects).unwrap();
    write(&folder.path().join("root/_headers"), b"/*\n  X-A: 1\n");
    program.wait_for("guest deployed");
    assert_eq!(ask(&program, "GET /").field("x-a"), Some("1"));
    // Missing for good.
    program.wait_for("guest deployed");
    assert_eq!(ask(&program, "GET /old").status(), 404);
    assert_eq!(ask(&program, "GET /").field("x-a"), Some("1"));
}

#[test]
fn removal_counts_at_once_for_a_reload() {
    let folder = folder(&[("root/_redirects", "/old /about.html 302\n")]);
    let mut program = serve(&folder, &["--no-watch"]);
    fs::remove_file(folder.path().join("root/_redirects")).unwrap();
    program.signal(rustix::process::Signal::HUP);
    program.wait_for("guest deployed");
    assert_eq!(ask(&program, "GET /old").status(), 404);
}

#[test]
fn what_is_no_file_is_rejected_and_the_rules_serve_on() {
    let folder = folder(&[("root/_redirects", "/old /about.html 302\n")]);
    let mut program = serve(&folder, &[]);
    let redirects = folder.path().join("root/_redirects");
    for (what, make) in STRANGERS {
        remove(&redirects);
        make(&redirects);
        let line = program.wait_for("rules rejected");
        assert!(line.contains("root/_redirects") && line.contains(what), "{line}");
        assert!(line.contains("--no-site-rules"), "{line}");
        assert_eq!(ask(&program, "GET /old").status(), 302, "{what}");
    }
    remove(&redirects);
    write(&redirects, b"/old /about.html 308\n");
    program.wait_for("guest deployed");
    assert_eq!(ask(&program, "GET /old").status(), 308);
}

#[test]
fn what_is_no_file_keeps_a_server_from_starting() {
    for (what, make) in STRANGERS {
        let folder = folder(&[]);
        make(&folder.path().join("root/_headers"));
        let Ended { code, errors, .. } = run(folder.path(), &["root", "--listen", "127.0.0.1:0"]);
        assert!(code != 0 && errors.contains("root/_headers"), "{errors}");
        assert!(errors.contains(what), "{errors}");
    }
}

#[test]
fn status_tells_the_rules_in_force_and_not_rejected_ones() {
    let folder = folder(&[("root/_redirects", "/old /about.html 302\n")]);
    let mut program = serve(&folder, &["--admin", "127.0.0.1:0"]);
    let admin = program.admin();
    let rules = || {
        let status = told(admin, "/status");
        serde_json::from_str::<serde_json::Value>(&status).unwrap()["rules"].clone()
    };
    let source = serde_json::json!({
        "source": "root/_redirects", "redirects": 1, "headers": 0, "others": 0
    });
    let in_force = serde_json::json!({ "sources": [source], "warnings": 0 });
    assert_eq!(rules(), in_force);
    write(&folder.path().join("root/_headers"), b"no header\n");
    program.wait_for("rules rejected");
    assert_eq!(rules(), in_force);
}

#[test]
fn rejected_files_of_a_site_are_neither_served_nor_listed() {
    let names = ["_headers", "_headers.gz", "_headers.br", "_headers.zst", "_redirects.gz"];
    let listed = "GET /\nAccept: application/json";
    let folder = folder(&[]);
    fs::remove_file(folder.path().join("root/index.html")).unwrap();
    let mut program = serve(&folder, &["--listing"]);
    // Also before the file is looked at.
    for name in names {
        write(&folder.path().join("root").join(name), b"no header\n");
        write(&folder.path().join("root/sub").join(name), b"a file");
        for request in [
            format!("GET /{name}"),
            format!("GET /{name}\nRange: bytes=0-1"),
            format!("GET /%5f{}", &name[1..]),
            format!("GET /{name}\nAccept-Encoding: br, gzip, zstd"),
        ] {
            assert_eq!(ask(&program, &request).status(), 404, "{request}");
        }
        let mut client = program.client();
        client.send(format!("HEAD /{name} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(client.reply_without_body().status(), 404, "{name}");
        assert_eq!(ask(&program, &format!("GET /sub/{name}")).status(), 200);
        let listing = ask(&program, listed);
        let listing = listing.text();
        assert!(listing.contains("about.html") && !listing.contains(name), "{listing}");
    }
    program.wait_for("rules rejected");
    assert_eq!(ask(&program, "GET /_headers").status(), 404);
    assert!(ask(&program, "GET /sub/\nAccept: application/json").text().contains("_headers"));
    drop(program);
    // Where they are no rules they are files like any other.
    let program = serve(&folder, &["--listing", "--no-site-rules"]);
    assert_eq!(ask(&program, "GET /_headers").status(), 200);
    assert!(ask(&program, listed).text().contains("_headers"));
}
