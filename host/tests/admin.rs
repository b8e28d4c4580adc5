//! What the administration tells who runs the server, and lets them change.

use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use innkeeper::guest::{DEFAULT_GUEST, Digest};
use rustix::process::Signal;
use serde_json::Value;
use socket2::{Domain, Socket, Type};
use tempfile::TempDir;

use crate::fixture::{Client, Reply, replace, site};
use crate::running::{PROGRAM, Program, TOKEN, serving, until};
use crate::wat_guest::{decides_nonsense, module, replying, replying_at_length};

/// A running server with an administration at an address.
pub struct Place {
    pub program: Program,
    admin: SocketAddr,
    _folder: TempDir,
}

impl Place {
    pub fn new(arguments: &[&str]) -> Place {
        let folder = site();
        let token = folder.path().join("token");
        fs::write(&token, TOKEN).unwrap();
        let mut command = serving(&folder.path().join("root"), &["--admin", "127.0.0.1:0"]);
        command.arg("--admin-token-file").arg(token).args(arguments);
        let mut program = Program::start(command, 1);
        let admin = program.admin();
        Place { program, admin, _folder: folder }
    }

    pub fn ask(&self, line: &str, fields: &str, body: &[u8]) -> Reply {
        ask(
            &mut Client::connect(self.admin),
            line,
            &format!("Host: {}\r\n{fields}", self.admin),
            body,
        )
    }

    pub fn get(&self, path: &str) -> Reply {
        self.ask(&format!("GET {path}"), "", b"")
    }

    pub fn change(&self, line: &str, body: &[u8]) -> Reply {
        self.ask(line, &format!("Authorization: Bearer {TOKEN}\r\n"), body)
    }
}

fn ask(client: &mut Client, line: &str, fields: &str, body: &[u8]) -> Reply {
    client.send(format!("{line} HTTP/1.1\r\n{fields}Content-Length: {}\r\n\r\n", body.len()));
    client.send_if_open(body);
    client.reply()
}

/// The code of an error.
pub fn code_of(reply: &Reply) -> String {
    json(reply)["error"]["code"].as_str().unwrap().to_owned()
}

pub fn json(reply: &Reply) -> Value {
    serde_json::from_str(reply.text()).unwrap()
}

#[test]
fn status_and_metrics_are_those_of_the_server() {
    let place = Place::new(&[]);
    place.program.get("/hello.txt");
    place.program.get("/hello.txt");
    assert_eq!(place.get("/healthz").text(), "ok\n");
    assert_eq!(place.get("/readyz").text(), "ready\n");
    until(|| json(&place.get("/status"))["requests"] == 2);
    let status = json(&place.get("/status"));
    assert_eq!(status["guest"]["digest"], format!("{:#}", Digest::of(DEFAULT_GUEST)));
    assert_eq!(status["guest"]["origin"], "built-in");
    assert_eq!(status["requests"], 2);
    assert_eq!(status["sandbox"]["files"], "fully");
    assert!(status["previous"].is_null());
    // What was taken is counted when it is.
    until(|| {
        place.get("/metrics").text().contains("innkeeper_http_response_body_bytes_total 12\n")
    });
    let metrics = place.get("/metrics");
    for line in [
        r#"innkeeper_http_requests_total{status="2xx",decision="file",protocol="http/1.1"} 2"#,
        "innkeeper_http_response_body_bytes_total 12",
        "innkeeper_panics_total 0",
        &format!(
            "innkeeper_guest_info{{digest=\"{0}\",guest=\"{0}\",data=\"\",origin=\"built-in\"}} 1",
            Digest::of(DEFAULT_GUEST)
        ),
    ] {
        assert!(metrics.text().lines().any(|told| told == line), "{line}: {}", metrics.text());
    }
    // Also in the sandbox, which has no `/proc`.
    for name in [
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_virtual_memory_bytes",
        "process_open_fds",
        "process_max_fds",
        "process_start_time_seconds",
    ] {
        let value = |line: &str| line.strip_prefix(name)?.trim().parse::<f64>().ok();
        assert!(metrics.text().lines().filter_map(value).any(|value| value > 0.0), "{name}");
    }
    assert_eq!(place.get("/nothing").status(), 404);
    assert_eq!(place.ask("DELETE /status", "", b"").field("allow"), Some("GET"));
    let page = place.get("/");
    assert!(page.field("content-security-policy").unwrap().contains("default-src 'none'"));
    for part in ["/style.css", "/script.js"] {
        assert!(page.text().contains(part));
        assert_eq!(place.get(part).status(), 200);
    }
}

/// The keys of an object and of what is in it, in the order of the alphabet: `a`, `a.b`, `c[].d`.
pub fn keys(value: &Value) -> Vec<String> {
    match value {
        Value::Object(members) => members
            .iter()
            .flat_map(|(key, value)| {
                let within = keys(value).into_iter().map(move |inner| {
                    if inner.starts_with('[') {
                        format!("{key}{inner}")
                    } else {
                        format!("{key}.{inner}")
                    }
                });
                std::iter::once(key.clone()).chain(within)
            })
            .collect(),
        Value::Array(items) => items
            .first()
            .map(keys)
            .unwrap_or_default()
            .into_iter()
            .map(|key| format!("[].{key}"))
            .collect(),
        _ => Vec::new(),
    }
}

/// The shapes are stable: a key may be added here, and none may go.
#[test]
fn json_has_these_keys() {
    let folder = site();
    let cases = folder.path().join("cases.toml");
    fs::write(&cases, "case = [{ line = 'GET / HTTP/1.1', decision = { index = '' } }]").unwrap();
    let place = Place::new(&["--cases", cases.to_str().unwrap()]);
    place.program.get("/hello.txt");
    const REPORT: [&str; 22] = [
        "accepted",
        "active",
        "cases",
        "changes",
        "check_ms",
        "compared",
        "compile_ms",
        "data_digest",
        "decisions",
        "differences",
        "differing",
        "digest",
        "error",
        "form",
        "guest_digest",
        "imports",
        "interests",
        "request_lines",
        "skipped_cases",
        "skipped_trials",
        "trials",
        "warnings",
    ];
    let with = |more: &[&str]| {
        let mut all: Vec<String> = REPORT.iter().chain(more).map(|&key| key.to_owned()).collect();
        all.sort();
        all
    };
    let sorted = |reply: &Reply| {
        let mut keys = keys(&json(reply));
        keys.sort();
        keys
    };
    let not_loaded = place.change("PUT /guest", b"");
    assert_eq!(sorted(&not_loaded), with(&["error.code", "error.message"]));
    assert!(json(&not_loaded)["form"].is_null());
    const FAILED_CASE: [&str; 7] = [
        "cases[].expected",
        "cases[].file",
        "cases[].got",
        "cases[].line",
        "cases[].name",
        "cases[].passed",
        "cases[].request",
    ];
    const RESPONSE: [&str; 6] = ["content", "failure", "fields", "file", "location", "status"];
    let responses = ["current", "candidate"].iter().flat_map(|which| {
        let whole = format!("changes[].examples[].{which}");
        let parts = RESPONSE.map(|part| format!("{whole}.{part}"));
        std::iter::once(whole).chain(parts)
    });
    let responses: Vec<_> = responses.collect();
    const DIFFERENCE: [&str; 9] = [
        "changes[].candidate",
        "changes[].current",
        "changes[].examples",
        "changes[].examples[].request",
        "changes[].fields",
        "changes[].kind",
        "differences[].candidate",
        "differences[].current",
        "differences[].request",
    ];
    let rejected = place.change("POST /check", &replying("x"));
    let mut more = [&FAILED_CASE[..], &DIFFERENCE, &["error.code", "error.message"]].concat();
    more.push("changes[].requests");
    more.extend(responses.iter().map(String::as_str));
    assert_eq!(sorted(&rejected), with(&more));
    assert_eq!(json(&rejected)["form"], "module");
    let accepted = place.change("PUT /guest", DEFAULT_GUEST);
    let kinds = ["decisions.file", "decisions.index", "decisions.not-found", "decisions.reply"];
    let passed = FAILED_CASE.iter().filter(|key| !key.ends_with("expected")).chain(&kinds);
    assert_eq!(sorted(&accepted), with(&passed.copied().collect::<Vec<_>>()));
    assert!(json(&accepted)["error"].is_null());

    let status = sorted(&place.get("/status"));
    // There is one only where a device was asked for something.
    let status: Vec<_> = status.iter().filter(|key| !key.starts_with("disks[]")).collect();
    assert_eq!(
        status,
        [
            "access_log_lost_lines",
            "acme",
            "active_root",
            "broken_sites",
            "compiler",
            "connections",
            "connections.active",
            "connections.idle",
            "connections.writing",
            "disks",
            "guest",
            "guest.configurable",
            "guest.data_digest",
            "guest.data_file",
            "guest.decision_cache_hits",
            "guest.decision_cache_misses",
            "guest.digest",
            "guest.failures",
            "guest.failures.busy",
            "guest.failures.deadline",
            "guest.failures.memory",
            "guest.failures.refused",
            "guest.failures.trap",
            "guest.file",
            "guest.form",
            "guest.guest_digest",
            "guest.imports",
            "guest.interests",
            "guest.live",
            "guest.not_live",
            "guest.origin",
            "history",
            "history[].at",
            "history[].digest",
            "history[].message",
            "history[].outcome",
            "limits",
            "limits.decision_cache_bytes",
            "limits.guest_deadline_ms",
            "limits.guest_memory_bytes",
            "limits.guest_stack_bytes",
            "limits.head_bytes",
            "limits.line_bytes",
            "limits.requests_per_connection",
            "listeners",
            "previous",
            "previous_root",
            "ready",
            "reloads",
            "requests",
            "root",
            "rules",
            "sandbox",
            "sandbox.files",
            "sandbox.reads",
            "sandbox.system_calls",
            "sandbox.writes",
            "site",
            "site_error",
            "sites",
            "started",
            "tls",
            "uptime_s",
            "version",
            "workers",
        ]
    );
    assert_eq!(
        sorted(&place.get("/sites")),
        [
            "sites",
            "sites[].default",
            "sites[].error",
            "sites[].guest_digest",
            "sites[].hosts",
            "sites[].name",
            "sites[].origin",
            "sites[].requests",
            "sites[].root",
            "sites[].serves",
        ]
    );
    assert_eq!(place.change("PUT /guest", &replying("y")).status(), 422);
    for (line, status, code) in [
        ("POST /rollback", 409, "no-previous-guest"),
        ("GET /nothing", 404, "not-found"),
        ("GET /guest", 405, "method-not-allowed"),
    ] {
        let error = place.change(line, b"");
        assert_eq!((error.status(), &*code_of(&error)), (status, code));
        assert_eq!(sorted(&error), ["error", "error.code", "error.message"]);
        assert_eq!(error.field("content-type"), Some("application/json"));
    }
    let error = place.ask("POST /rollback", "", b"");
    assert_eq!((error.status(), &*code_of(&error)), (401, "token-required"));
    let foreign = place.ask("GET /status", "Origin: http://evil.example\r\n", b"");
    assert_eq!((foreign.status(), &*code_of(&foreign)), (403, "foreign-origin"));
}

#[test]
fn uploaded_guest_serves_and_is_rolled_back() {
    let place = Place::new(&[]);
    let guest = replying("two");
    let tried = place.change("POST /check", &guest);
    assert_eq!((tried.status(), &json(&tried)["accepted"]), (200, &Value::Bool(true)));
    assert_eq!(place.program.get("/hello.txt").text(), "hello\n");
    let served = place.change("PUT /guest", &guest);
    let report = json(&served);
    assert_eq!((served.status(), &report["active"]), (200, &Value::Bool(true)));
    // What was asked for of late is decided otherwise.
    assert_eq!(
        (&report["compared"], &report["differences"][0]["current"]),
        (&1.into(), &"file \"hello.txt\"".into())
    );
    assert_eq!(place.program.get("/hello.txt").text(), "two");
    let status = json(&place.get("/status"));
    assert_eq!(status["guest"]["digest"], format!("{:#}", Digest::of(&guest)));
    assert_eq!(status["guest"]["origin"], "upload");
    assert_eq!(status["history"][0]["outcome"], "deployed");
    let back = place.change("POST /rollback", b"");
    assert_eq!(back.status(), 200);
    assert_eq!(json(&back)["active"], format!("{:#}", Digest::of(DEFAULT_GUEST)));
    assert_eq!(json(&back)["replaced"], format!("{:#}", Digest::of(&guest)));
    assert_eq!(place.program.get("/hello.txt").text(), "hello\n");
    let status = json(&place.get("/status"));
    assert_eq!(status["guest"]["origin"], "built-in");
    assert_eq!(status["history"][0]["outcome"], "rolled-back");
    let again = place.change("POST /rollback", b"");
    assert_eq!((again.status(), code_of(&again)), (409, "no-previous-guest".to_owned()));
}

#[test]
fn status_has_the_origin_of_the_guest() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.wasm");
    fs::write(&file, replying("one")).unwrap();
    let mut place = Place::new(&["--guest", file.to_str().unwrap()]);
    let origin = |place: &Place| {
        let status = json(&place.get("/status"));
        assert_eq!(status["guest"]["file"], file.to_str().unwrap());
        status["guest"]["origin"].as_str().unwrap().to_owned()
    };
    assert_eq!(origin(&place), "file");
    assert_eq!(place.change("PUT /guest", &replying("two")).status(), 200);
    assert_eq!(origin(&place), "upload");
    place.program.wait_for("guest deployed");
    place.program.signal(Signal::HUP);
    place.program.wait_for("guest deployed");
    assert_eq!(origin(&place), "file");
}

#[test]
fn rejected_guest_is_422_with_a_code() {
    let folder = site();
    let cases = folder.path().join("cases.toml");
    fs::write(&cases, "case = [{ line = 'GET / HTTP/1.1', decision = { index = '' } }]").unwrap();
    let place = Place::new(&["--cases", cases.to_str().unwrap()]);
    for (guest, code, part) in [
        (b"".to_vec(), "not-a-guest", "is empty"),
        (b"<!doctype html>".to_vec(), "not-a-guest", "not WebAssembly"),
        (DEFAULT_GUEST[..DEFAULT_GUEST.len() - 1].to_vec(), "does-not-compile", "compile: "),
        (wat::parse_str("(component)").unwrap(), "contract-mismatch", "does not export the world"),
        (decides_nonsense(), "decision-failed", "unexpected discriminant"),
        (replying("x"), "case-failed", "1 of 1 cases failed"),
    ] {
        let refused = place.change("PUT /guest", &guest);
        let report = json(&refused);
        assert_eq!(refused.status(), 422, "{part}");
        assert_eq!(report["error"]["code"], code);
        assert!(report["error"]["message"].as_str().unwrap().contains(part), "{report}");
        assert_eq!((&report["accepted"], &report["active"]), (&false.into(), &false.into()));
    }
    let report = json(&place.change("POST /check", &replying("x")));
    assert_eq!(
        (&report["accepted"], &report["cases"][0]["passed"]),
        (&false.into(), &false.into())
    );
    assert_eq!(place.program.get("/hello.txt").text(), "hello\n");
    let metrics = place.get("/metrics");
    assert!(metrics.text().contains("innkeeper_guest_deployments_total{outcome=\"rejected\"} 6"));
}

#[test]
fn who_has_no_token_changes_nothing() {
    let place = Place::new(&[]);
    let guest = replying("two");
    for line in ["PUT /guest", "POST /check", "POST /rollback"] {
        let refused = place.ask(line, "", &guest);
        assert_eq!((refused.status(), refused.field("www-authenticate")), (401, Some("Bearer")));
        let wrong = "Authorization: Bearer a-token-of-the-testz\r\n";
        assert_eq!(place.ask(line, wrong, &guest).status(), 401);
    }
    assert_eq!(place.program.get("/hello.txt").text(), "hello\n");
}

#[test]
fn pages_of_other_sites_are_kept_out() {
    let place = Place::new(&[]);
    let token = format!("Authorization: Bearer {TOKEN}\r\n");
    let from = |host: &str, origin: &str, line: &str| {
        let fields = format!("Host: {host}\r\n{origin}{token}");
        ask(&mut Client::connect(place.admin), line, &fields, b"").status()
    };
    let own = place.admin.to_string();
    assert_eq!(from(&own, "Origin: http://evil.example\r\n", "POST /rollback"), 403);
    assert_eq!(from("evil.example", "", "POST /rollback"), 403);
    assert_eq!(from("evil.example", "", "GET /status"), 403);
    assert_eq!(from(&own, &format!("Origin: http://{own}\r\n"), "POST /rollback"), 409);
    // Probes and scrapers come by whatever name.
    assert_eq!(from("innkeeper.example", "", "GET /metrics"), 200);
}

#[test]
fn a_socket_is_for_its_user_alone_and_needs_no_token() {
    let folder = site();
    let path: PathBuf = folder.path().join("admin");
    let admin = format!("unix:{}", path.display());
    let mut program = Program::start(serving(&folder.path().join("root"), &["--admin", &admin]), 1);
    program.wait_for("administration at unix:");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let guest = replying("two");
    let mut socket = UnixStream::connect(&path).unwrap();
    let head = format!(
        "PUT /guest HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        guest.len()
    );
    socket.write_all(&[head.as_bytes(), &guest].concat()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert_eq!(program.get("/hello.txt").text(), "two");
    let health = |admin: &str| Command::new(PROGRAM).args(["health", admin]).output().unwrap();
    assert!(health(&admin).status.success());
    drop(program);
    let ill = health(&admin);
    assert_eq!(ill.status.code(), Some(1));
    assert!(String::from_utf8(ill.stderr).unwrap().contains("does not respond"));
}

/// They kept everybody out, for as long as they liked.
#[test]
fn clients_that_take_nothing_do_not_keep_others_out() {
    let place = Place::new(&[]);
    let asked = format!("GET /metrics HTTP/1.1\r\nHost: {}\r\n\r\n", place.admin).repeat(500);
    // As many as are let in at a time. More is asked for than the kernel takes.
    let silent: Vec<_> = (0..32)
        .map(|_| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_recv_buffer_size(4096).unwrap();
            socket.connect(&place.admin.into()).unwrap();
            let mut client = std::net::TcpStream::from(socket);
            client.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
            while client.write_all(asked.as_bytes()).is_ok() {}
            client
        })
        .collect();
    let began = Instant::now();
    let healthy = Client::connect(place.admin);
    let mut socket = healthy.socket();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    write!(socket, "GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", place.admin).unwrap();
    assert!(socket.read(&mut [0; 100]).unwrap() > 0);
    assert!(began.elapsed() < Duration::from_secs(30), "after {:?}", began.elapsed());
    drop(silent);
}

/// Silent ones, and those that send a head by and by.
#[test]
fn silent_connections_do_not_keep_health_out() {
    let folder = site();
    let socket = folder.path().join("admin.sock");
    let unix = format!("unix:{}", socket.display());
    for admin in ["127.0.0.1:0", unix.as_str()] {
        let root = folder.path().join("root");
        let mut program = Program::start(serving(&root, &["--admin", admin]), 1);
        let line = program.wait_for("administration at");
        let address =
            line.split("administration at ").nth(1).unwrap().trim_start_matches("http://");
        let address = address.trim_end_matches('/');
        let mut silent: Vec<Box<dyn Write>> = Vec::new();
        for number in 0..100 {
            let mut stream: Box<dyn Write> = match address.strip_prefix("unix:") {
                Some(path) => Box::new(UnixStream::connect(path).unwrap()),
                None => Box::new(std::net::TcpStream::connect(address).unwrap()),
            };
            if number % 2 == 0 {
                stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: loc").unwrap();
            }
            silent.push(stream);
        }
        let health = Command::new(PROGRAM).args(["health", address]).output().unwrap();
        assert!(health.status.success(), "{admin}: {health:?}");
        drop(silent);
    }
}

#[test]
fn what_is_too_large_or_no_token_is_told() {
    let place = Place::new(&[]);
    let mut client = Client::connect(place.admin);
    client.send(format!(
        "PUT /guest HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {}\r\n\r\n",
        place.admin,
        1_u64 << 40
    ));
    assert_eq!(client.reply().status(), 413);
    let folder = site();
    let token = folder.path().join("token");
    fs::write(&token, "short").unwrap();
    let mut command = serving(&folder.path().join("root"), &["--admin", "127.0.0.1:0"]);
    let refused = command.arg("--admin-token-file").arg(token).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("openssl rand"));
}

/// A guest that was kept in a file, and a place with it.
fn with_file(guest: &[u8], arguments: &[&str]) -> (TempDir, PathBuf, Place) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policies/policy.wasm");
    crate::fixture::write(&file, guest);
    // What does not change anything is told there.
    let flags = [&["--guest", file.to_str().unwrap(), "-v"], arguments].concat();
    let place = Place::new(&flags);
    (folder, file, place)
}

/// Does what changes a file and not its content. Each is noticed.
fn touch_in_every_way(place: &mut Place, file: &std::path::Path) {
    const NOTHING_NEW: &str = "guest file unchanged";
    let content = fs::read(file).unwrap();
    fs::File::options().append(true).open(file).unwrap().set_modified(SystemTime::now()).unwrap();
    place.program.wait_for(NOTHING_NEW);
    fs::set_permissions(file.parent().unwrap(), fs::Permissions::from_mode(0o750)).unwrap();
    place.program.wait_for(NOTHING_NEW);
    fs::set_permissions(file, fs::Permissions::from_mode(0o640)).unwrap();
    place.program.wait_for(NOTHING_NEW);
    replace(file, &content);
    place.program.wait_for(NOTHING_NEW);
}

/// Another one that was put in service, and a touch, brought it back.
#[test]
fn guest_that_failed_in_service_stays_out_of_it() {
    let (_folder, file, mut place) = with_file(&module("", ""), &["--rollback-after", "1"]);
    let fails = replying("fails on /x");
    replace(&file, &fails);
    place.program.wait_for("guest deployed");
    assert_eq!(place.program.get("/x").status(), 500);
    place.program.wait_for("too many decisions failed");
    touch_in_every_way(&mut place, &file);
    for other in [replying("two"), replying("three")] {
        assert_eq!(place.change("PUT /guest", &other).status(), 200);
        touch_in_every_way(&mut place, &file);
    }
    // Also where other content was there meanwhile, and where somebody hands it over.
    replace(&file, b"nonsense");
    place.program.wait_for("not WebAssembly");
    replace(&file, &fails);
    place.program.wait_for("guest not tried again");
    touch_in_every_way(&mut place, &file);
    let refused = place.change("PUT /guest", &fails);
    assert_eq!(refused.status(), 422);
    assert_eq!(code_of(&refused), "failed-in-service");
    assert!(refused.text().contains("1 of its last 1000 decisions failed"), "{}", refused.text());
    assert_eq!(place.program.get("/hello.txt").text(), "three");
    place.program.signal(Signal::HUP);
    place.program.wait_for("guest deployed");
    assert_eq!(place.program.get("/").text(), "fails on /x");
}

/// A `chmod` of a folder above the file undid what somebody had put in service.
#[test]
fn uploaded_guest_serves_until_the_content_of_the_file_changes() {
    let one = replying("one");
    let (_folder, file, mut place) = with_file(&one, &[]);
    assert_eq!(place.change("PUT /guest", &replying("two")).status(), 200);
    place.program.wait_for("guest deployed");
    touch_in_every_way(&mut place, &file);
    assert_eq!(place.program.get("/").text(), "two");
    replace(&file, &replying("three"));
    place.program.wait_for("guest deployed");
    replace(&file, &one);
    place.program.wait_for("guest deployed");
    assert_eq!(place.program.get("/").text(), "one");
}

/// What people are shown of the two decisions is the same.
#[test]
fn decisions_that_differ_at_their_end_are_told_apart() {
    let place = Place::new(&[]);
    let ending = |end: &str| replying(&(".".repeat(200) + end));
    assert_eq!(place.change("PUT /guest", &ending("a")).status(), 200);
    place.program.get("/hello.txt");
    let report = json(&place.change("POST /check", &ending("b")));
    let difference = &report["differences"][0];
    assert_eq!(report["compared"], 1, "{report}");
    assert!(
        difference["current"] != difference["candidate"] && difference["current"].is_string(),
        "{report}"
    );
    let report = json(&place.change("POST /check", &ending("a")));
    assert_eq!(report["differences"], Value::Array(Vec::new()), "{report}");
}

/// All of its decisions were kept until it was checked.
#[test]
fn guest_that_replies_at_length_is_checked_in_little_memory() {
    let place = Place::new(&[]);
    assert_eq!(place.change("POST /check", &replying_at_length(1)).status(), 200);
    let before = place.program.memory("VmHWM:");
    let report = json(&place.change("POST /check", &replying_at_length(128 << 10)));
    assert_eq!(report["accepted"], true, "{report}");
    let taken = place.program.memory("VmHWM:").saturating_sub(before);
    assert!(taken < 16 << 20, "{} MiB", taken >> 20);
}
