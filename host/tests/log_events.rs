//! What is logged is data: events have a constant message and fields of one vocabulary, and lines
//! of the access log have the fields that the manual tells.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Signal};

use crate::authority::Authority;
use crate::failing_machine::limit;
use crate::fixture::{Client, Stream, site, write};
use crate::http2_client::Http2Client;
use crate::running::{Program, serving, until, workspace};
use crate::wat_guest::{importing, module, replying};

/// The heads of the manual's tables.
const EVENTS: &str = "Field of an event";
const ACCESS_LOG: &str = "Field";

/// All files of the host's source.
fn sources() -> Vec<(PathBuf, String)> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                files.push((path, text));
            }
        }
    }
    files
}

/// The arguments of each event in this text: the fields, and the message as it is written.
fn events(text: &str) -> Vec<(Vec<String>, String)> {
    let mut events = Vec::new();
    for level in ["error", "warn", "info", "debug", "trace"] {
        for call in text.split(&format!("tracing::{level}!(")).skip(1) {
            let (mut depth, mut quoted, mut escaped) = (0, false, false);
            let mut arguments = vec![String::new()];
            for character in call.chars() {
                match character {
                    _ if escaped => escaped = false,
                    '\\' if quoted => escaped = true,
                    '"' => quoted = !quoted,
                    _ if quoted => {}
                    '(' | '[' | '{' => depth += 1,
                    ')' if depth == 0 => break,
                    ')' | ']' | '}' => depth -= 1,
                    ',' if depth == 0 => {
                        arguments.push(String::new());
                        continue;
                    }
                    _ => {}
                }
                arguments.last_mut().unwrap().push(character);
            }
            arguments.retain(|argument| !argument.trim().is_empty());
            let arguments = arguments.iter().map(|argument| argument.trim().to_owned());
            let mut fields: Vec<_> = arguments.collect();
            let message = fields.pop().unwrap();
            events.push((fields, message));
        }
    }
    events
}

/// The fields of the table in the manual that has this head.
fn documented_fields(head: &str) -> BTreeSet<String> {
    let manual = fs::read_to_string(workspace().join("docs/operating.md")).unwrap();
    let (_, table) = manual.split_once(&format!("| {head} | |\n")).unwrap();
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    let names = rows.flat_map(|row| row.split('|').nth(1).unwrap().split(','));
    names
        .filter_map(|name| name.trim().strip_prefix('`')?.strip_suffix('`'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_event_is_a_constant_message_with_documented_fields() {
    let documented = documented_fields(EVENTS);
    let (mut used, mut faults) = (BTreeSet::new(), Vec::new());
    // The context of a connection.
    used.extend(["client", "worker", "request"].map(str::to_owned));
    for (path, text) in sources() {
        let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        // Lines that have a form of their own as text.
        for call in text.split("diagnostics::info(").skip(1) {
            let names = call.split(");").next().unwrap().split("(\"").skip(1);
            used.extend(names.map(|name| name.split('"').next().unwrap().to_owned()));
        }
        for (fields, message) in events(text) {
            let place = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().display();
            if !message.starts_with('"') || message.contains(['{', '}']) {
                faults.push(format!("{place}: {message} is not a constant"));
            }
            for field in fields {
                let name = field.split('=').next().unwrap().trim().trim_start_matches(['%', '?']);
                if !documented.contains(name) {
                    faults.push(format!(
                        "{place}: the field {name} of {message} is not in docs/operating.md"
                    ));
                }
                used.insert(name.to_owned());
            }
        }
    }
    let unused: Vec<_> = documented.difference(&used).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(unused.is_empty(), "fields in docs/operating.md that no event has: {unused:?}");
}

#[test]
fn json_log_has_one_shape_from_start_to_stop() {
    let folder = site();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("policy.wasm"), importing("env")).unwrap();
    let flags = ["--log-format", "json", "--admin", "127.0.0.1:0", "--log-level", "info"];
    let mut command = serving(&path("root"), &flags);
    command.arg("--guest").arg(path("policy.wasm")).arg("--access-log-file").arg(path("log"));
    let mut program = Program::start(command, 1);
    program.admin();
    assert_eq!(program.get("/hello.txt").status(), 404);
    let swap = |name: &str, guest: &[u8]| {
        fs::write(path(name), guest).unwrap();
        fs::rename(path(name), path("policy.wasm")).unwrap();
    };
    // One that traps, one that is refused, and one that serves.
    swap("next", &module("", "unreachable"));
    program.wait_for("guest deployed");
    until(|| program.get("/xyz").status() == 500);
    swap("next", b"no guest");
    swap("next", &replying("three"));
    until(|| program.get("/").text() == "three");
    program.signal(Signal::HUP);
    // The log's folder is gone, and the log cannot be reopened.
    program.signal(Signal::USR1);
    program.signal(Signal::TERM);
    let (status, _, said) = program.finish();
    assert!(status.success());
    let source: String = sources().into_iter().map(|(_, text)| text).collect();
    let own = [folder.path().to_str().unwrap().to_owned(), "127.0.0.1".to_owned()];
    let fields = documented_fields(EVENTS);
    let mut messages = BTreeSet::new();
    for line in said.lines() {
        let event: serde_json::Map<_, _> = serde_json::from_str(line).expect(line);
        let text = |name: &str| event.get(name).and_then(|value| value.as_str()).expect(line);
        assert!(humantime::parse_rfc3339(text("timestamp")).is_ok(), "{line}");
        assert!(["ERROR", "WARN", "INFO"].contains(&text("level")), "{line}");
        let message = text("message");
        assert!(source.contains(&format!("\"{message}\"")), "{message:?} is no constant: {line}");
        assert!(own.iter().all(|own| !message.contains(own)), "{line}");
        // The fields stand beside them.
        assert!(event.values().all(|value| !value.is_object() && !value.is_array()), "{line}");
        for name in event.keys() {
            let is_known = ["timestamp", "level", "message"].contains(&name.as_str());
            assert!(
                is_known || fields.contains(name),
                "{name} is not in docs/operating.md: {line}"
            );
        }
        messages.insert(message.to_owned());
    }
    for message in ["sandbox is on", "listening on", "administration at", "stopped"] {
        assert!(messages.contains(message), "{message} in {messages:?}");
    }
    assert!(messages.len() > 8, "{messages:?}");
}

/// It is tried ten times a second while there are no descriptors.
#[test]
fn repeated_event_is_logged_once() {
    let folder = site();
    let flags = ["--workers", "1", "--admin", "127.0.0.1:0"];
    let mut program = Program::start(serving(&folder.path().join("root"), &flags), 1);
    let admin = program.admin();
    let before = limit(&program, Resource::Nofile, Some(3));
    let mut client = Client::connect(admin);
    client.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    program.wait_for("cannot accept admin connection");
    client.socket().set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    assert_eq!(client.receive().unwrap_err().kind(), ErrorKind::WouldBlock);
    client.socket().set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    limit(&program, Resource::Nofile, before);
    assert_eq!(client.reply().text(), "ok\n");
    program.signal(Signal::TERM);
    let (_, _, said) = program.finish();
    assert_eq!(said.matches("cannot accept admin connection").count(), 1, "{said}");
}

/// Requests of all kinds: served with all fields, refused, and given up by the client.
fn logged(format: &str) -> Vec<String> {
    let folder = site();
    let root = folder.path().join("root");
    fs::File::create(root.join("large.bin")).unwrap().set_len(64 << 20).unwrap();
    let program = Program::start(serving(&root, &["--access-log", format]), 1);
    let mut client = program.client();
    client.send("GET /hello.txt HTTP/1.1\r\nHost: a\r\nUser-Agent: b \"c\"\r\nReferer: /d\r\n\r\n");
    assert_eq!(client.reply().status(), 200);
    client.send("nonsense\r\n\r\n");
    assert_eq!(client.reply().status(), 400);
    let mut client = program.client();
    client.send("GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n");
    client.receive().unwrap();
    drop(client);
    program.signal(Signal::TERM);
    let (status, out, _) = program.finish();
    assert!(status.success());
    let lines: Vec<_> = out.lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 3, "{out}");
    lines
}

#[test]
fn json_access_log_has_the_documented_fields() {
    let documented = documented_fields(ACCESS_LOG);
    let mut used = BTreeSet::new();
    for line in logged("json") {
        let fields: serde_json::Map<_, _> = serde_json::from_str(&line).expect(&line);
        for name in ["timestamp", "client", "request", "status", "body_bytes", "decision"] {
            assert!(fields.contains_key(name), "{name} in {line}");
        }
        assert!(["first_byte_us", "total_us"].iter().all(|name| fields[*name].is_u64()), "{line}");
        assert_eq!(fields.contains_key("aborted"), line.contains("large.bin"), "{line}");
        used.extend(fields.into_iter().map(|(name, _)| name));
    }
    // The test below has them, and those of `access_log` and `several_sites`.
    used.extend(OF_TLS.map(str::to_owned));
    used.extend(["query", "request_id", "site"].map(str::to_owned));
    assert_eq!(used, documented);
}

/// Fields of the JSON access log that only connections with TLS have.
const OF_TLS: [&str; 3] = ["tls_version", "server_name", "client_name"];

#[test]
fn access_log_has_the_protocol_and_what_tls_tells() {
    let folder = site();
    let (root, pair) = (folder.path().join("root"), folder.path().join("pair.pem"));
    let certificate = Authority::shared().leaf(&["localhost"]);
    write(&pair, certificate.combined().as_bytes());
    let clients = folder.path().join("clients.pem");
    write(&clients, Authority::shared().pem().as_bytes());
    let lines = ["json", "combined"].map(|format| {
        let [pair, clients] = [&pair, &clients].map(|path| path.to_str().unwrap());
        let arguments = ["--access-log", format, "--listen-tls", "127.0.0.1:0"];
        let tls = ["--tls-certificate", pair, "--tls-client-ca", clients];
        let mut program = Program::start(serving(&root, &[&arguments[..], &tls].concat()), 1);
        let line = program.wait_for("listening on https://");
        let address = line.split("https://").nth(1).unwrap().trim().parse().unwrap();
        let (chain, key) = Authority::shared().leaf(&["alice.example"]).der();
        let mut config = Authority::shared().client_config_with(chain, key);
        config.alpn_protocols = vec![b"h2".to_vec()];
        let mut client = Http2Client::new(Stream::tls(address, &Arc::new(config), "localhost"));
        assert_eq!(client.get_of("https", "localhost", "/hello.txt").status, 200);
        drop(client);
        program.signal(Signal::TERM);
        program.finish().1
    });
    let logged: serde_json::Value = serde_json::from_str(&lines[0]).expect(&lines[0]);
    assert_eq!(OF_TLS.map(|name| &logged[name]), ["1.3", "localhost", "alice.example"]);
    assert_eq!(
        (&logged["protocol"], &logged["request"]),
        (&"h2".into(), &"GET /hello.txt HTTP/2.0".into())
    );
    assert!(lines[1].contains(" \"GET /hello.txt HTTP/2.0\" 200 6 "), "{}", lines[1]);
}

#[test]
fn combined_access_log_has_the_form_of_apache_and_nginx() {
    for line in logged("combined") {
        let line = line.strip_prefix("127.0.0.1 - - [").expect(&line);
        let (date, rest) = line.split_at("02/Jan/2026:03:04:05 +0000".len());
        assert_eq!((&date[2..3], &date[6..7], &date[20..]), ("/", "/", " +0000"), "{line}");
        let rest = rest.strip_prefix("] ").expect(line);
        if rest.contains("hello") {
            assert_eq!(rest, r#""GET /hello.txt HTTP/1.1" 200 6 "/d" "b \"c\"""#);
        } else if rest.contains("large") {
            let (begin, end) = (r#""GET /large.bin HTTP/1.1" 200 "#, r#" "-" "-" X"#);
            let bytes = rest.strip_prefix(begin).and_then(|rest| rest.strip_suffix(end));
            let bytes: u64 = bytes.expect(rest).parse().unwrap();
            assert!(bytes < 64 << 20, "{line}");
        } else {
            let (begin, end) = (r#""nonsense" 400 "#, r#" "-" "-""#);
            assert!(rest.starts_with(begin) && rest.ends_with(end), "{rest}");
        }
    }
}
