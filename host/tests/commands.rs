//! `innkeeper test`, `check`, `compile` and `explain`, as a user types them.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use innkeeper::guest::validation::cases::read_cases;
use innkeeper::guest::validation::check::check;
use innkeeper::guest::{DEFAULT_GUEST, Digest};
use innkeeper_guest::basic_auth::Credentials;
use innkeeper_guest::basic_auth::users::{User, Users};
use tempfile::TempDir;

use crate::fixture::{default_guest, site};
use crate::running::{Ended, PROGRAM, Program, run, serving, workspace};
use crate::wat_guest::{
    configurable, decides_nonsense, module, redirecting, replying, replying_with, saying,
    trapping_if,
};

/// A folder with `default.wasm`, which is the default guest, and these files.
fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("default.wasm"), DEFAULT_GUEST).unwrap();
    for (name, content) in files {
        fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

/// The table that the native build of the policy is held against, held against the
/// component.
#[test]
fn the_cases_of_the_default_guest_hold() {
    let cases = read_cases(&[workspace().join("guest/cases.toml")]).unwrap();
    let report = check(&default_guest(), &cases).unwrap();
    assert!(report.cases > 80, "only {} cases were found", report.cases);
}

#[test]
fn test_succeeds_when_all_cases_hold() {
    let folder = folder(&[(
        "cases.toml",
        b"case = [
            { line = 'GET / HTTP/1.1', decision = { index = '' } },
            { line = 'GET /a HTTP/1.1', decision = { file = 'a' } },
            { line = 'GET /.a HTTP/1.1', decision = 'not-found' },
        ]",
    )]);
    let ended = run(folder.path(), &["test", "default.wasm", "cases.toml"]);
    assert_eq!((ended.code, ended.errors.as_str()), (0, ""));
    let expected =
        "3 of 3 cases passed: 1 index, 1 file, 0 serve, 1 not-found, 0 redirect, 0 reply\n";
    assert_eq!(ended.out, expected);
}

#[test]
fn test_prints_request_expected_and_got() {
    let folder = folder(&[(
        "cases.toml",
        b"case = [
            { name = 'private', line = 'GET /.a HTTP/1.1', decision = { file = '.a' } },
            { line = 'GET / HTTP/1.1', fields = { accept = 'b' }, decision = { index = '' } },
        ]",
    )]);
    let ended = run(folder.path(), &["test", "default.wasm", "cases.toml"]);
    assert_eq!((ended.code, ended.errors.as_str()), (1, ""));
    let expected = "cases.toml:2: private
  request   GET /.a HTTP/1.1
  expected  file \".a\"
  got       not-found

warning: cases.toml:3 states accept, which the guest does not read: name it in its interests, or leave it out
1 of 2 cases passed: 1 index, 0 file, 0 serve, 0 not-found, 0 redirect, 0 reply
";
    assert_eq!(ended.out, expected);
}

#[test]
fn test_prints_json_for_programs() {
    let folder = folder(&[(
        "cases.toml",
        b"case = [
            { line = 'GET / HTTP/1.1', decision = { index = '' } },
            { line = 'GET /a HTTP/1.1', decision = 'not-found' },
        ]",
    )]);
    let ended = run(folder.path(), &["test", "--format", "json", "default.wasm", "cases.toml"]);
    assert_eq!(ended.code, 1);
    let outcome: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(outcome["digest"], format!("{:#}", Digest::of(DEFAULT_GUEST)));
    assert_eq!((&outcome["passed"], &outcome["failed"]), (&1.into(), &1.into()));
    assert_eq!(outcome["decisions"]["index"], 1);
    let failed = &outcome["cases"][1];
    assert_eq!((&failed["line"], &failed["passed"]), (&3.into(), &false.into()));
    assert_eq!((&failed["expected"], &failed["got"]), (&"not-found".into(), &"file \"a\"".into()));
}

#[test]
fn test_tells_why_there_is_no_decision() {
    let trap = module("", "unreachable");
    let case = b"case = [{ line = 'GET /x HTTP/1.1', decision = 'not-found' }]";
    let folder = folder(&[("trap.wasm", &trap), ("cases.toml", case)]);
    let ended = run(folder.path(), &["test", "trap.wasm", "cases.toml"]);
    assert_eq!(ended.code, 1);
    assert!(ended.out.contains("got       no decision: "), "{}", ended.out);
    assert!(ended.out.contains("unreachable"), "{}", ended.out);
}

#[test]
fn what_is_no_guest_or_no_table_is_told() {
    let folder = folder(&[("broken.toml", b"case = [{ line = 'a', decision = 'found' }]")]);
    for (arguments, code, part) in [
        (&["test", "default.wasm"][..], 2, "name a guest and files of cases, as in:"),
        (&["test", "default.wasm", "none.toml"], 1, "cannot read the cases none.toml"),
        (
            &["test", "default.wasm", "broken.toml"],
            1,
            "the cases in broken.toml cannot be read: line ",
        ),
        (&["test", "broken.toml", "broken.toml"], 1, "cannot be read: line "),
        (&["check", "broken.toml"], 1, "cannot load broken.toml: not WebAssembly"),
        (&["check", "."], 1, "cannot read the guest .: it is not a regular file"),
        (&["explain"], 2, "<LINE>"),
        (&["explain", "GET / HTTP/1.1", "-H", "none"], 2, "'Name: value'"),
        (&["explain", "GET / HTTP/1.1", "--root", "none"], 1, "cannot serve none"),
        (&["explain", ".", "GET / HTTP/1.1"], 1, "what would be served by --root ."),
        (&["--cases", "none.toml", "."], 1, "cannot read the cases none.toml"),
    ] {
        let ended = run(folder.path(), arguments);
        assert_eq!(ended.code, code, "{arguments:?}: {}", ended.errors);
        assert!(ended.errors.contains(part), "{arguments:?}: {}", ended.errors);
        assert!(code == 2 || ended.errors.lines().count() == 1, "{}", ended.errors);
        assert_eq!(ended.out, "");
    }
}

/// It told what another request is answered.
#[test]
fn explain_shows_what_is_sent() {
    let folder = site();
    fs::create_dir(folder.path().join("root/folder")).unwrap();
    for (line, field, parts) in [
        ("GET / HTTP/1.0", "X: y", &["Connection: close"][..]),
        ("GET / HTTP/1.1", "Connection: close", &["Connection: close"]),
        ("GET / HTTP/1.1", "Content-Length: 99999999", &["413 Content Too Large"]),
        ("GET / HTTP/1.1", "Host: a, b", &["400 Bad Request", "Connection: close"]),
        ("GET /folder/ HTTP/1.1", "X: y", &["the directory is listed", "200 OK"]),
        ("GET /folder?\"<b> HTTP/1.1", "X: y", &["301 Moved", "Location: folder/?%22%3Cb%3E"]),
        ("GET /folder/ HTTP/1.1", "Accept: application/json", &["application/json"]),
        ("GET /folder/ HTTP/1.1", "Accept: application/json;q=0", &["Content-Type: text/html"]),
    ] {
        let arguments = ["explain", line, "--root", "root", "--listing", "-H", field];
        let ended = run(folder.path(), &arguments);
        for part in parts {
            assert!(ended.out.contains(part), "{line}, {field}: {}", ended.out);
        }
    }
}

/// Who wonders why a sibling is not sent finds the reason here.
#[test]
fn explain_tells_why_a_sibling_is_passed_over() {
    let folder = site();
    let root = folder.path().join("root");
    let at = |name: &str, seconds: u64, nanoseconds: u32| {
        let file = fs::File::options().write(true).open(root.join(name)).unwrap();
        let time = std::time::UNIX_EPOCH + std::time::Duration::new(seconds, nanoseconds);
        file.set_modified(time).unwrap();
    };
    for name in ["a.css", "a.css.gz", "b.css", "b.css.br", "c.css", "d.css"] {
        fs::write(root.join(name), "content").unwrap();
    }
    fs::create_dir(root.join("c.css.gz")).unwrap();
    fs::write(root.join("d.css.gz"), "").unwrap();
    at("a.css", 1_700_000_012, 250_000_000);
    at("a.css.gz", 1_700_000_010, 0);
    at("b.css", 1_700_000_000, 900_000_000);
    at("b.css.br", 1_700_000_000, 0);
    for (target, accepted, expected) in [
        (
            "a.css",
            "gzip",
            "7 bytes; its sibling .gz is passed over: it is older than the file by 2.250 s",
        ),
        ("b.css", "br", "7 bytes, ready-made in br"),
        ("b.css", "gzip", "7 bytes; its sibling .br is for clients that accept br"),
        ("c.css", "gzip", "7 bytes; its sibling .gz is passed over: it is no regular file"),
        (
            "d.css",
            "gzip",
            "7 bytes; its sibling .gz is passed over: it is empty, which is no content in that \
             coding",
        ),
    ] {
        let line = format!("GET /{target} HTTP/1.1");
        let field = format!("Accept-Encoding: {accepted}");
        let ended = run(folder.path(), &["explain", "--root", "root", &line, "-H", &field]);
        let told = format!("file \"{target}\": taken, {expected}");
        assert_eq!(value(&ended.out, "tried"), told, "{}", ended.out);
    }
}

/// They panicked.
#[test]
fn what_cannot_be_written_is_an_error() {
    let folder = folder(&[]);
    for arguments in [
        &["completions", "bash"][..],
        &["man"],
        &["--print-config"],
        &["--help"],
        &["--check", "."],
        &["compile"],
        &["new", "mine"],
        &["check"],
        &["explain", "GET / HTTP/1.1", "--root", "."],
    ] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let ended = Command::new(PROGRAM)
            .args(arguments)
            .current_dir(folder.path())
            .env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"))
            .stdout(full)
            .output()
            .unwrap();
        let errors = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{arguments:?}: {errors}");
        assert!(errors.contains("No space left") && !errors.contains("panic"), "{errors}");
    }
}

/// The value of a line that begins with this word.
fn value<'a>(out: &'a str, name: &str) -> &'a str {
    let mut lines = out.lines().filter_map(|line| line.strip_prefix(name));
    lines.next().unwrap_or_else(|| panic!("there is no {name} in:\n{out}")).trim()
}

#[test]
fn check_tells_what_a_guest_is() {
    let cases = b"case = [{ line = 'GET / HTTP/1.1', decision = { index = '' } }]";
    let folder = folder(&[("cases.toml", cases)]);
    let ended = run(folder.path(), &["check", "default.wasm", "--cases", "cases.toml"]);
    assert_eq!((ended.code, ended.errors.as_str()), (0, ""));
    let told = |name| value(&ended.out, name);
    assert_eq!(told("digest"), format!("sha256:{:#}", Digest::of(DEFAULT_GUEST)));
    assert!(told("form").starts_with("a component, "), "{}", ended.out);
    assert_eq!(told("world"), "innkeeper:policy/policy@0.1.0");
    assert_eq!((told("imports"), told("interests")), ("none", "none"));
    assert!(told("decision").contains("µs on a fresh instance"), "{}", ended.out);
    let instructions: u64 = told("fuel").split(' ').next().unwrap().parse().unwrap();
    assert!((500..50_000).contains(&instructions), "{}", ended.out);
    assert!(told("checked").contains(" and 1 cases"), "{}", ended.out);
    assert_eq!(told("verdict"), "accepted");
}

#[test]
fn check_warns_of_what_breaks_no_rule_and_is_wrong_all_the_same() {
    for (guest, part) in [
        (replying_with(405, "no\\n"), "status 405 needs the field Allow"),
        (replying_with(401, "who?\\n"), "status 401 needs the field WWW-Authenticate"),
        (redirecting("/\\evil.example"), "browsers take what follows two slashes"),
        (redirecting("//evil.example/a"), "browsers take what follows two slashes"),
        (redirecting("http://elsewhere.example/"), "an open redirect"),
    ] {
        let folder = folder(&[("policy.wasm", &guest)]);
        let ended = run(folder.path(), &["check", "policy.wasm"]);
        assert_eq!((ended.code, ended.errors.as_str()), (0, ""), "{}", ended.out);
        let warnings: Vec<_> =
            ended.out.lines().filter(|line| line.starts_with("warning")).collect();
        assert_eq!(warnings.len(), 1, "{}", ended.out);
        assert!(warnings[0].contains(part), "{}", warnings[0]);
        assert!(ended.out.contains("verdict    accepted"), "{}", ended.out);
    }
    for guest in
        [replying_with(404, "no\\n"), redirecting("https://example.org/a?//b"), redirecting("/a")]
    {
        let folder = folder(&[("policy.wasm", &guest)]);
        let ended = run(folder.path(), &["check", "policy.wasm"]);
        assert!(!ended.out.contains("warning"), "{}", ended.out);
    }
    assert!(!run(Path::new("."), &["check"]).out.contains("warning"));
}

#[test]
fn check_of_a_failing_guest_is_rejected() {
    let folder = folder(&[("nonsense.wasm", &decides_nonsense())]);
    let ended = run(folder.path(), &["check", "nonsense.wasm"]);
    assert_eq!(ended.code, 1);
    let verdict = value(&ended.out, "verdict");
    assert!(verdict.starts_with("rejected: the guest fails on \"GET / HTTP/1.1\": "), "{verdict}");
}

#[test]
fn check_rejects_what_fails_on_values_of_its_interests() {
    const VALUE: &str = "(i32.load offset=8 (local.get 2))";
    const LENGTH: &str = "(i32.load offset=12 (local.get 2))";
    let first = |byte: u8| format!("(i32.eq (i32.load8_u {VALUE}) (i32.const {byte}))");
    for (interest, holds, part) in [
        ("cookie", "(i32.const 1)".to_owned(), "(cookie: \"session=0123456789abcdef\"): "),
        (
            "Authorization",
            "(i32.const 1)".to_owned(),
            "(authorization: \"Basic YWxpY2U6c2VjcmV0\")",
        ),
        ("accept-language", "(i32.const 1)".to_owned(), "(accept-language: \"de\")"),
        ("x-any", format!("(i32.eqz {LENGTH})"), "(x-any: \"\")"),
        ("x-any", first(0xff), "(x-any: \"\\xff\\xfe\")"),
        ("x-any", format!("(i32.gt_u {LENGTH} (i32.const 8000))"), "aaa\" (and 8092 bytes more))"),
        (
            "x-any",
            "(i32.gt_u (local.get 3) (i32.const 1))".to_owned(),
            "(x-any: \"1\") (x-any: \"a\")",
        ),
        (":client-address", first(b'2'), "(:client-address: \"2001:db8::1\")"),
        (":tls-server-name", "(i32.const 1)".to_owned(), "(:tls-server-name: \"example.org\")"),
    ] {
        let folder = folder(&[("policy.wasm", &trapping_if(&[interest], &holds))]);
        let ended = run(folder.path(), &["check", "policy.wasm"]);
        let verdict = value(&ended.out, "verdict");
        assert_eq!(ended.code, 1, "{interest}: {verdict}");
        assert!(verdict.contains(part), "{interest}: {verdict}");
    }
    // What the guest does not read is not tried, and it reads what it does not fail on.
    for (interests, tried) in [(&[][..], None), (&["cookie", ":scheme"], Some("requests with"))] {
        let folder = folder(&[("policy.wasm", &trapping_if(interests, "(i32.const 0)"))]);
        let ended = run(folder.path(), &["check", "policy.wasm"]);
        assert_eq!(ended.code, 0, "{}", ended.out);
        let line = ended.out.lines().find(|line| line.starts_with("tried"));
        assert_eq!(line.is_some(), tried.is_some(), "{}", ended.out);
    }
}

#[test]
fn commands_show_what_a_failing_guest_says() {
    let case = b"case = [{ line = 'GET /x HTTP/1.1', decision = 'not-found' }]";
    let guest = saying("a = 1\x1b[2J\npanicked at src/lib.rs:1:2:\nboom\n");
    let folder = folder(&[("policy.wasm", &guest), ("cases.toml", case)]);
    let message =
        "panicked at src/lib.rs:1:2: boom (wasm trap: wasm `unreachable` instruction executed)";
    let shown = ["printed   a = 1\\u{1b}[2J\n", "  panicked at src/lib.rs:1:2:\n", "  boom\n"];
    for arguments in [
        &["test", "policy.wasm", "cases.toml"][..],
        &["check", "policy.wasm", "--cases", "cases.toml"],
        &["explain", "policy.wasm", "GET /x HTTP/1.1", "--root", "."],
    ] {
        let ended = run(folder.path(), arguments);
        assert!(ended.out.contains(message), "{arguments:?}: {}", ended.out);
        let out = ended.out.replace("printed    ", "printed   ");
        assert!(shown.iter().all(|part| out.contains(part)), "{arguments:?}: {}", ended.out);
    }
}

#[test]
fn fields_that_the_guest_does_not_read_are_warned_of() {
    let case = b"[[case]]\nline = 'GET /a HTTP/1.1'\ndecision = 'not-found'\n\
        fields = { Cookie = 'a', x-b = 'c', ':time/60' = '0', ':client-name' = 'a' }";
    let unread = ["cookie", ":time/1"];
    for (interests, expected) in [
        (&unread[..], ":1 states x-b, :client-name, which"),
        (&[], ":1 states Cookie, x-b, :client"),
    ] {
        let guest = trapping_if(interests, "(i32.const 0)");
        let folder = folder(&[("policy.wasm", &guest), ("cases.toml", case)]);
        for arguments in [
            &["test", "policy.wasm", "cases.toml"][..],
            &["check", "policy.wasm", "--cases", "cases.toml"],
        ] {
            let ended = run(folder.path(), arguments);
            assert_eq!(ended.code, 0, "{}", ended.out);
            assert!(ended.out.contains(expected), "{arguments:?}: {}", ended.out);
        }
        let line = "GET /a HTTP/1.1";
        let explain = ["explain", "policy.wasm", line, "--root", "."];
        let fields = ["Accept: a", "Cookie: a", "X-B: c", "cookie: b"];
        let fields = fields.iter().flat_map(|field| ["-H", field]);
        let ended = run(folder.path(), &explain.into_iter().chain(fields).collect::<Vec<_>>());
        let warns = ended.out.contains("does not read the field Cookie");
        assert_eq!(warns, interests.is_empty(), "{}", ended.out);
        assert!(!ended.out.contains("the field Accept"), "{}", ended.out);
        let warnings = ended.out.matches("does not read the field").count();
        assert_eq!(warnings, if warns { 2 } else { 1 }, "each field once: {}", ended.out);
    }
}

#[test]
fn limits_are_those_that_were_asked_for() {
    // It grows by 4 MiB when the path begins with `/x`.
    let grows = module("", "(drop (memory.grow (i32.const 64)))");
    let case = b"case = [{ line = 'GET /x HTTP/1.1', decision = 'not-found' }]";
    let folder = folder(&[("grows.wasm", &grows), ("cases.toml", case)]);
    let with = |memory: &str| {
        let arguments = ["test", "grows.wasm", "cases.toml", "--guest-memory", memory];
        run(folder.path(), &arguments).code
    };
    assert_eq!((with("8MiB"), with("1MiB")), (0, 1));
}

#[test]
fn explain_shows_each_step() {
    let site = site();
    let explain = |arguments: &[&str]| {
        let ended = run(site.path(), &[&["explain", "--root", "root"], arguments].concat());
        assert_eq!((ended.code, ended.errors.as_str()), (0, ""), "{arguments:?}");
        ended.out
    };
    let out = explain(&["GET /hello.txt HTTP/1.1"]);
    assert_eq!(value(&out, "decision"), "file \"hello.txt\"");
    assert_eq!(value(&out, "tried"), "file \"hello.txt\": taken, 6 bytes");
    assert_eq!(value(&out, "response"), "HTTP/1.1 200 OK");
    assert!(out.contains("Content-Length: 6"), "{out}");

    let out = explain(&["GET /a%2f..%2fb HTTP/1.1"]);
    assert_eq!(value(&out, "decision"), "not-found");
    assert_eq!(value(&out, "response"), "HTTP/1.1 404 Not Found");

    let out = explain(&["GET /docs HTTP/1.1"]);
    assert_eq!(value(&out, "tried"), "file \"docs\": it is a directory");
    assert!(out.contains("Location: docs/"), "{out}");

    let out = explain(&["GET /range.txt HTTP/1.1", "-H", "Range: bytes=0-4"]);
    assert_eq!(value(&out, "response"), "HTTP/1.1 206 Partial Content");

    let out = explain(&["GET / FTP/1.1"]);
    assert_eq!(
        value(&out, "refused"),
        "by the host, without asking the guest: the request line is malformed"
    );
    assert!(value(&out, "decision").starts_with("would have been reply 400 "), "{out}");
    assert_eq!(value(&out, "response"), "HTTP/1.1 400 Bad Request");

    // What was typed cannot become a second request.
    let out = explain(&["GET / HTTP/1.1\r\n\r\nGET /hello.txt HTTP/1.1"]);
    assert_eq!(value(&out, "response"), "HTTP/1.1 400 Bad Request");
}

#[test]
fn explain_takes_a_guest() {
    let site = site();
    fs::write(site.path().join("policy.wasm"), replying("hello")).unwrap();
    let arguments = ["explain", "--root", "root", "policy.wasm", "GET /a HTTP/1.1"];
    let ended = run(site.path(), &arguments);
    assert_eq!(value(&ended.out, "decision"), "reply 200 \"hello\"");
    let ended = run(site.path(), &["explain", "--root", "root", "policy.wasm", "GET /x HTTP/1.1"]);
    assert!(value(&ended.out, "decision").starts_with("none: "), "{}", ended.out);
    assert_eq!(value(&ended.out, "response"), "HTTP/1.1 500 Internal Server Error");
}

#[test]
fn what_was_compiled_ahead_is_what_the_server_loads() {
    let folder = folder(&[]);
    let cache = folder.path().join("cache");
    let flags = ["--code-cache", cache.to_str().unwrap()];
    let compiled = run(folder.path(), &["compile", "default.wasm", flags[0], flags[1]]);
    assert_eq!(compiled.code, 0, "{}", compiled.errors);
    assert!(compiled.out.contains("is ready to be loaded"), "{}", compiled.out);
    let kept = || fs::read_dir(&cache).unwrap().count();
    // Both of its forms.
    assert_eq!(kept(), 2);
    let explain = ["explain", "default.wasm", "GET / HTTP/1.1", "--root", ".", flags[0], flags[1]];
    assert_eq!(run(folder.path(), &explain).code, 0);
    assert_eq!(kept(), 2);
    let checked = run(folder.path(), &["check", "default.wasm", flags[0], flags[1]]).out;
    assert!(value(&checked, "compiled").starts_with("before; loaded in "), "{checked}");
    // The same that counts instructions.
    assert_eq!(kept(), 3);
    let site = site();
    let guest = folder.path().join("default.wasm");
    let mut command = serving(&site.path().join("root"), &flags);
    command.arg("--guest").arg(guest);
    Program::start(command, 1).client().expect_open();
    // And a note that the check was passed.
    assert_eq!(kept(), 4);
    let refused = run(folder.path(), &["compile", "nothing.wasm", flags[0], flags[1]]);
    assert_eq!(refused.code, 1);
    let nowhere = run(folder.path(), &["compile", "--code-cache", "off"]);
    assert!(nowhere.errors.contains("name one with --code-cache"), "{}", nowhere.errors);
}

#[test]
fn baked_guest_is_one_file_that_serves() {
    let folder = folder(&[]);
    let path = |name: &str| folder.path().join(name);
    let module = configurable("", "", "");
    let mut component = wit_component::ComponentEncoder::default().module(&module).unwrap();
    fs::write(path("module.wasm"), module).unwrap();
    fs::write(path("component.wasm"), component.encode().unwrap()).unwrap();
    fs::write(path("data.txt"), "a table").unwrap();
    for guest in ["module.wasm", "component.wasm"] {
        let baked = run(folder.path(), &["bake", guest, "data.txt", "-o", "baked.wasm"]);
        assert_eq!(baked.code, 0, "{}", baked.errors);
        let said = format!("is {guest} with data.txt in one file");
        assert!(
            baked.out.starts_with("baked.wasm (") && baked.out.contains(&said),
            "{}",
            baked.out
        );
        let arguments = ["explain", "--root", ".", "baked.wasm", "GET / HTTP/1.1"];
        let explained = run(folder.path(), &arguments);
        assert_eq!(value(&explained.out, "decision"), "reply 200 \"a table\"");
        assert_eq!(run(folder.path(), &["check", "baked.wasm"]).code, 0);
    }
    let site = site();
    let mut command = serving(&site.path().join("root"), &[]);
    command.arg("--guest").arg(path("baked.wasm"));
    assert_eq!(Program::start(command, 1).get("/").text(), "a table");
    let before = fs::read(path("baked.wasm")).unwrap();
    for (guest, data, output, problem) in [
        ("default.wasm", "data.txt", "baked.wasm", "the guest takes no data"),
        ("baked.wasm", "data.txt", "new.wasm", "holds its data already"),
        ("module.wasm", "data.txt", "module.wasm", "module.wasm would be replaced"),
        ("module.wasm", "data.txt", "data.txt", "data.txt would be replaced"),
        ("module.wasm", "none.txt", "new.wasm", "none.txt"),
        ("none.wasm", "data.txt", "new.wasm", "none.wasm"),
        ("module.wasm", "data.txt", "no/new.wasm", "cannot write no/new.wasm"),
        ("module.wasm", "data.txt", "/dev/null", "not a regular file"),
    ] {
        let refused = run(folder.path(), &["bake", guest, data, "-o", output]);
        assert_eq!(refused.code, 1, "{}", refused.errors);
        assert!(refused.errors.contains(problem), "{problem}: {}", refused.errors);
        assert_eq!(refused.errors.trim_end().lines().count(), 1, "{}", refused.errors);
    }
    assert_eq!(fs::read(path("baked.wasm")).unwrap(), before);
    assert!(!path("new.wasm").exists());
}

#[test]
fn new_writes_a_whole_project_in_each_language() {
    let folder = tempfile::tempdir().unwrap();
    for (language, file) in [
        ("rust", "src/lib.rs"),
        ("js", "policy.js"),
        ("ts", "policy.ts"),
        ("python", "policy.py"),
        ("c", "policy.c"),
        ("go", "policy.go"),
    ] {
        let name = format!("my-{language}");
        let written = run(folder.path(), &["new", &name, "--lang", language]);
        assert_eq!(written.code, 0, "{}", written.errors);
        let project = folder.path().join(&name);
        for file in [file, "wit/policy.wit", "cases.toml", "README.md", ".gitignore"] {
            let text = fs::read_to_string(project.join(file)).unwrap();
            for placeholder in ["PROJECT", "CRATE", "BUILD", "TEST", "SOURCES", "NEEDS"] {
                assert!(!text.contains(placeholder), "{placeholder} in {name}/{file}");
            }
        }
        assert!(fs::read_to_string(project.join(file)).unwrap().contains(&name));
        let again = run(folder.path(), &["new", &name, "--lang", language]);
        assert_eq!(again.code, 1);
        assert!(again.errors.contains("already exists"), "{}", again.errors);
    }
    // The default policy passes the cases of a new project, but for the redirect.
    let cases = folder.path().join("my-rust/cases.toml");
    let tested = run(folder.path(), &["check", "--cases", cases.to_str().unwrap()]);
    assert!(tested.out.contains("1 of 5 cases failed"), "{}", tested.out);
    for name in ["My", "1a", "a/b", "a-", ""] {
        assert_eq!(run(folder.path(), &["new", name]).code, 2, "{name:?}");
    }
}

/// A user types the line into a file, and the engine of rules reads it.
#[test]
fn password_makes_the_line_of_a_user() {
    let run = |arguments: &[&str], input: &str| {
        let mut command = Command::new(PROGRAM);
        command.arg("password").args(arguments).stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // It may have ended without reading.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        Ended::from(child.wait_with_output().unwrap())
    };
    let ended = run(&["alice"], "open sesame\n");
    assert_eq!((ended.code, ended.errors.as_str()), (0, ""));
    let line = ended.out.strip_suffix('\n').unwrap();
    assert!(line.starts_with("alice:$pbkdf2-sha256$i=20000$"), "{line}");
    let users: Users = [User::parse(line).unwrap()].into_iter().collect();
    // alice:open sesame
    let credentials = Credentials::parse("Basic YWxpY2U6b3BlbiBzZXNhbWU=").unwrap();
    assert!(users.find(&credentials).is_some());
    assert_ne!(run(&["alice"], "open sesame").out, ended.out, "the salt is another");
    let ended = run(&["alice", "--iterations", "1000"], "short\n");
    assert!(ended.out.starts_with("alice:$pbkdf2-sha256$i=1000$"), "{}", ended.out);
    assert!(ended.errors.starts_with("the password is short"), "{}", ended.errors);
    for (arguments, input, code, error) in [
        (&["alice"][..], "", 1, "the password is empty"),
        (&["alice"], "one\ntwo\n", 1, "several lines"),
        (&["a:b"], "open sesame", 1, "no colon"),
        (&[""], "open sesame", 1, "a name has 1 to 255 bytes"),
        (&[], "open sesame", 1, "write: innkeeper password NAME"),
        (&["alice", "--iterations", "999"], "", 2, "1000..=50000"),
        (&["alice", "open sesame"], "", 2, "unexpected argument"),
    ] {
        let ended = run(arguments, input);
        assert_eq!((ended.code, ended.out.as_str()), (code, ""), "{arguments:?}");
        assert!(ended.errors.contains(error), "{arguments:?}: {}", ended.errors);
    }
}
