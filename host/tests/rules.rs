//! Rules as data: each flag, files of rules, and those of a site, over sockets; and the commands that
//! work on rules.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;

use crate::fixture::{Reply, write};
use crate::running::{Ended, Program, run, serving};

/// A site with two pages, an asset and files of rules.
pub fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let pages = [("root/index.html", "home"), ("root/about.html", "about"), ("root/app.js", "js")];
    for (path, content) in pages.iter().chain(files) {
        write(&folder.path().join(path), content.as_bytes());
    }
    folder
}

/// A server of such a site with these flags, whose paths are in its folder.
pub fn serve(folder: &TempDir, flags: &[&str]) -> Program {
    let mut command = serving(Path::new("root"), flags);
    command.current_dir(folder.path());
    Program::start(command, 1)
}

pub fn ask(program: &Program, request: &str) -> Reply {
    let (line, fields) = request.split_once('\n').unwrap_or((request, ""));
    let fields: String = fields.lines().map(|field| format!("{}\r\n", field.trim())).collect();
    let mut client = program.client();
    client.send(format!("{line} HTTP/1.1\r\nHost: a\r\n{fields}\r\n").as_bytes());
    client.reply()
}

#[test]
fn each_flag_does_what_it_says() {
    let folder = folder(&[("root/down.html", "closed"), ("root/404.html", "none")]);
    for (flags, asked) in [
        (
            &["--spa"][..],
            &[("GET /users/7", 200, "", "home"), ("GET /none.js", 404, "", "none")][..],
        ),
        (
            &["--clean-urls"],
            &[("GET /about", 200, "", "about"), ("GET /about.html", 301, "location: /about", "")],
        ),
        (
            &["--header", "/app.js: X-A: 1", "--header", "always /*: X-B: 2"],
            &[("GET /app.js", 200, "x-a: 1", "js"), ("GET /none", 404, "x-b: 2", "none")],
        ),
        (&["--redirect", "/old/* /new/:splat 302"], &[("GET /old/a", 302, "location: /new/a", "")]),
        // Its own host is no place to be sent to.
        (&["--redirect", "/* https://a/:splat 301!"], &[("GET /about.html", 200, "", "about")]),
        (
            &["--redirect", "{ from = '/old', to = '/about.html', status = 200, force = true }"],
            &[("GET /old", 200, "", "about")],
        ),
        (
            &["--cors", "https://app.example"],
            &[(
                "GET /app.js\nOrigin: https://app.example",
                200,
                "access-control-allow-origin: https://app.example",
                "js",
            )],
        ),
        (
            &["--allow-from", "/app.js=10.0.0.0/8"],
            &[("GET /app.js", 403, "", ""), ("GET /", 200, "", "home")],
        ),
        (&["--deny-from", "127.0.0.0/8"], &[("GET /", 403, "", "")]),
        (
            &["--allow-referer", "/app.js=example.org"],
            &[
                ("GET /app.js\nReferer: https://example.org/a", 200, "", "js"),
                ("GET /app.js\nReferer: https://evil.example/", 403, "", ""),
            ],
        ),
        (&["--allow-method", "GET"], &[("OPTIONS /", 405, "", ""), ("GET /", 200, "", "home")]),
        (
            &["--maintenance=down.html", "--maintenance-cookie", "in=yes"],
            &[
                ("GET /", 503, "retry-after: 300", "closed"),
                ("GET /\nCookie: in=yes", 200, "", "home"),
            ],
        ),
        (
            &["--security-headers=coop", "--header", "/*: X-Frame-Options: DENY"],
            &[
                ("GET /", 200, "x-frame-options: DENY", "home"),
                ("GET /none", 404, "cross-origin-opener-policy: same-origin", "none"),
            ],
        ),
        (
            &["--mime", "js=text/x-script"],
            &[("GET /app.js", 200, "content-type: text/x-script; charset=utf-8", "js")],
        ),
    ] {
        let program = serve(&folder, flags);
        for (request, status, field, body) in asked {
            let reply = ask(&program, request);
            assert_eq!(reply.status(), *status, "{flags:?}: {request}");
            if let Some((name, value)) = field.split_once(": ") {
                assert_eq!(reply.field(name), Some(value), "{flags:?}: {request}");
            }
            if !body.is_empty() {
                assert_eq!(reply.text(), *body, "{flags:?}: {request}");
            }
        }
    }
}

#[test]
fn page_of_a_rule_that_is_not_there_is_told() {
    let rules = "spa = 'nope.html'\nredirect = ['/a /b/c 200', '/b /gone 410!', '/c /about 200']\n";
    let folder = folder(&[("rules.toml", rules)]);
    let flags = ["--rules", "rules.toml", "--maintenance=closed.html"];
    let pages = [
        ("rules.toml:1", "nope.html"),
        ("rules.toml:2", "b/c"),
        ("rules.toml:2", "gone"),
        ("--maintenance", "closed.html"),
    ];
    let mut program = serve(&folder, &flags);
    for (rule, page) in pages {
        let told = format!("page of a rule is not there rule={rule} page={page}\n");
        assert!(program.said.contains(&told), "{told}: {}", program.said);
    }
    let reply = ask(&program, "GET /x");
    assert_eq!((reply.status(), reply.field("retry-after")), (503, Some("300")));
    let Ended { errors, .. } =
        run(folder.path(), &[&["root", "--check", "--listen", "127.0.0.1:0"], &flags[..]].concat());
    assert!(errors.contains("rule=rules.toml:1 page=nope.html"), "{errors}");
    let Ended { out, .. } =
        run(folder.path(), &["check", "--root", "root", "--rules", "rules.toml"]);
    assert!(out.contains("warning    rules.toml:2: the page gone is not in the root"), "{out}");
    // It may come later.
    write(&folder.path().join("root/gone.html"), b"gone");
    write(&folder.path().join("rules.toml"), format!("{rules}header = '/*: A: 1'\n").as_bytes());
    let told = program.wait_for("page of a rule is not there");
    assert!(told.contains("closed.html"), "{told}");
    program.wait_for("page=nope.html");
    assert_eq!(program.said.matches("page=gone\n").count(), 1, "{}", program.said);
}

#[test]
fn missing_page_of_an_error_leaves_its_status() {
    let folder = folder(&[]);
    let flags = ["--redirect", "/gone/* /410.html 410", "--redirect", "/none/* /404.html 404"];
    let program = serve(&folder, &flags);
    assert_eq!(ask(&program, "GET /gone/x").status(), 410);
    assert_eq!(ask(&program, "GET /none/x").status(), 404);
}

#[test]
fn wrong_flags_say_what_to_write() {
    let folder = folder(&[("bad.toml", "spa = 1\n"), ("guest.wasm", "")]);
    for (flags, told) in [
        (&["--header", "/* X"][..], "write 'PATTERN: Name: value'"),
        (&["--header", "/*.{js,css}: X: y"], "one rule for each: `/*.js`, `/*.css`"),
        (&["--deny-from", "/(a|b)/*=10.0.0.0/8"], "one rule for each: `/a/*`, `/b/*`"),
        (&["--redirect", "/a|/b /c"], "one rule for each: `/a`, `/b`"),
        (&["--cache-control", "*.{png,jpg}=no-store"], "one rule for each: `*.png`, `*.jpg`"),
        (&["--clean-urls=sometimes"], "write never, always or either"),
        (&["--mime", "a"], "write EXT=TYPE"),
        (&["--rules", "bad.toml"], "bad.toml:1: spa"),
        (&["--rules", "none.toml"], "cannot read none.toml"),
        (&["--guest", "guest.wasm", "--spa"], "--guest guest.wasm and --spa exclude each other"),
    ] {
        let arguments = [&["root", "--listen", "127.0.0.1:0"], flags].concat();
        let Ended { code, errors, .. } = run(folder.path(), &arguments);
        assert!(code != 0 && errors.contains(told), "{flags:?}: {errors}");
    }
}

#[test]
fn fields_of_headers_file_are_on_pages_of_errors() {
    let headers = "/*\n  X-A: 1\n  Cache-Control: max-age=60\n";
    let redirects = "/away /about.html 302!\n/gone /404.html 410\n";
    let folder = folder(&[
        ("root/404.html", "none"),
        ("root/_headers", headers),
        ("root/_redirects", redirects),
    ]);
    let program = serve(&folder, &[]);
    for (request, status, has_field, is_kept) in [
        ("GET /about.html", 200, true, true),
        ("GET /none", 404, true, false),
        ("GET /gone", 410, true, false),
        ("GET /away", 302, false, false),
    ] {
        let reply = ask(&program, request);
        assert_eq!(reply.status(), status, "{request}");
        assert_eq!(reply.field("x-a").is_some(), has_field, "{request}");
        assert_eq!(reply.field("cache-control") == Some("max-age=60"), is_kept, "{request}");
    }
}

#[test]
fn files_of_a_site_are_obeyed_as_they_come_and_go() {
    let folder = folder(&[]);
    let mut program = serve(&folder, &[]);
    assert_eq!(ask(&program, "GET /old").status(), 404);
    // Rules that come later are compiled in another process, too.
    let process = program.child.id();
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children"));
    assert_ne!(children.unwrap(), "");
    let redirects = folder.path().join("root/_redirects");
    write(&redirects, b"/old /about.html 302\n");
    program.wait_for("guest deployed");
    assert_eq!(ask(&program, "GET /old").field("location"), Some("/about.html"));
    assert_eq!(ask(&program, "GET /_redirects").status(), 404);
    write(&redirects, b"/old https://a.example/ 200\n");
    let line = program.wait_for("rules rejected");
    assert!(line.contains("root/_redirects:1: "), "{line}");
    assert_eq!(ask(&program, "GET /old").status(), 302);
    fs::remove_file(&redirects).unwrap();
    program.wait_for("guest deployed");
    assert_eq!(ask(&program, "GET /old").status(), 404);
}

#[test]
fn rejected_case_of_a_file_keeps_the_rules_before() {
    let rules = |page: &str| {
        format!(
            "redirect = ['/a /{page} 302!']\n\n[[case]]\nline = 'GET /a HTTP/1.1'\n\
             decision.redirect = {{ status = 302, location = '/b' }}\n"
        )
    };
    let folder = folder(&[("rules.toml", &rules("b"))]);
    let mut program = serve(&folder, &["--rules", "rules.toml"]);
    assert_eq!(ask(&program, "GET /a").field("location"), Some("/b"));
    write(&folder.path().join("rules.toml"), rules("c").as_bytes());
    let line = program.wait_for("1 of 1 cases failed");
    assert!(line.contains("rules.toml:3"), "{line}");
    assert_eq!(ask(&program, "GET /a").field("location"), Some("/b"));
}

#[test]
fn commands_work_on_rules() {
    let rules = "redirect = ['/a /b 302!']\nspa = true\n\n[[case]]\nline = 'GET /a HTTP/1.1'\n\
                 decision.redirect = { status = 302, location = '/b' }\n";
    let folder = folder(&[("rules.toml", rules)]);
    let with = |arguments: &[&str]| {
        let Ended { code, out, errors } = run(folder.path(), arguments);
        assert_eq!((code, errors.as_str()), (0, ""), "{arguments:?}: {out}");
        out
    };
    let out = with(&["explain", "--root", "root", "--rules", "rules.toml", "GET /a HTTP/1.1"]);
    assert!(out.contains("rule      rules.toml:1 redirects: redirect /a /b 302!"), "{out}");
    assert!(!out.contains("warning"), "{out}");
    assert!(with(&["test", "--rules", "rules.toml"]).contains("1 of 1 cases passed"));
    assert!(with(&["check", "--rules", "rules.toml"]).contains("rules.toml:2: app /*: index.html"));
    let printed = with(&["root", "--rules", "rules.toml", "--print-config"]);
    assert!(printed.contains("# rules.toml:1: redirect /a /b 302!"), "{printed}");
    with(&["bake", "--rules", "rules.toml", "-o", "policy.wasm"]);
    let out = with(&["explain", "--root", "root", "policy.wasm", "GET /a HTTP/1.1"]);
    assert!(out.contains("Location: /b"), "{out}");
}

#[test]
fn new_from_rules_writes_the_table_in_rust_and_its_cases() {
    let rules = "redirect = ['/a /b 302!']\nheader = ['/*: X-A: \"1\"']\n\n[[case]]\n\
                 line = 'GET /a HTTP/1.1'\ndecision.redirect = { status = 302, location = '/b' }\n";
    let folder = folder(&[("rules.toml", rules), ("none.toml", "spa = true\n")]);
    let Ended { code, errors, .. } =
        run(folder.path(), &["new", "mine", "--from-rules", "rules.toml"]);
    assert_eq!((code, errors.as_str()), (0, ""));
    let read = |name: &str| fs::read_to_string(folder.path().join("mine").join(name)).unwrap();
    let table = read("src/rules.rs");
    assert!(table.contains("from: \"/a\".to_owned()"), "{table}");
    assert!(table.contains("value: \"\\\"1\\\"\".to_owned()"), "{table}");
    assert!(read("src/lib.rs").contains("innkeeper_guest::export!(ByRules, configurable);"));
    assert!(read("cases.toml").starts_with("[[case]]"), "{}", read("cases.toml"));
    let Ended { code, errors, .. } =
        run(folder.path(), &["new", "other", "--from-rules", "none.toml"]);
    assert!(code == 1 && errors.contains("has no cases"), "{errors}");
}

/// A flood of wrong passwords, as much as may wait and more. What needs no password, and what is
/// remembered, comes to its address as to others; a client of another address, whom a trusted proxy
/// names, has its turn. Were they in one queue, the first would get 503.
#[test]
fn flood_of_wrong_passwords_delays_only_passwords_of_its_address() {
    let users = "alice:$pbkdf2-sha256$i=20000$NwyBJMoNzohOi39wcZBxsA$\
                 DYBltaODEB2WwKhsarGQzinjuNSX/2M0NlxkftlvL9A\n";
    let folder = folder(&[("pw", users), ("root/admin/a.txt", "a"), ("root/admin/b.txt", "b")]);
    let flags = ["--workers", "1", "--trusted-proxy", "127.0.0.1", "--basic-auth", "/admin/*=pw"];
    let program = serve(&folder, &flags);
    let request = |path: &str, client: &str, credentials: &str| {
        format!("GET {path}\nX-Forwarded-For: {client}\n{credentials}")
    };
    let right = "Authorization: Basic YWxpY2U6b3BlbiBzZXNhbWUgYW5kIG1vcmU=";
    assert_eq!(ask(&program, &request("/admin/a.txt", "192.0.2.1", right)).status(), 200);
    let mut flood: Vec<_> = (0..300).map(|_| program.client()).collect();
    for (number, client) in flood.iter_mut().enumerate() {
        client.send(format!(
            "GET /admin/b.txt HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.1\r\n\
             Authorization: Basic YWxpY2U6{number:04}\r\n\r\n"
        ));
    }
    // The first that is too much is told so: now there is no room.
    assert!(flood.iter_mut().skip(200).any(|client| client.reply().status() == 503));
    for number in 0..20 {
        let fresh = format!("/about.html?{number}");
        assert_eq!(ask(&program, &request(&fresh, "192.0.2.1", "")).status(), 200);
        assert_eq!(ask(&program, &request("/admin/a.txt", "192.0.2.1", right)).status(), 200);
        assert_eq!(ask(&program, &request("/admin/b.txt", "192.0.2.1", "")).status(), 401);
    }
    assert_eq!(ask(&program, &request("/admin/b.txt", "192.0.2.2", right)).status(), 200);
}

#[test]
fn commands_go_by_the_configuration_of_a_server() {
    let cases = "[[case]]\nline = 'GET /a HTTP/1.1'\n\
                 decision.redirect = { status = 302, location = '/b' }\n";
    let by_rules = "root = 'root'\n[rules]\nredirect = ['/a /b 302!']\nspa = 'nope.html'\n";
    let by_guest = "[guest]\nfile = 'policy.wasm'\ncases = ['cases.toml']\n";
    let folder = folder(&[
        ("cases.toml", cases),
        ("rules.conf", by_rules),
        ("guest.conf", by_guest),
        ("root/_headers", "/*\n  X-Site: 1\n"),
    ]);
    let with = |arguments: &[&str]| {
        let Ended { code, out, errors } = run(folder.path(), arguments);
        assert_eq!(code, 0, "{arguments:?}: {out}{errors}");
        out + &errors
    };
    let out = with(&["explain", "--config", "rules.conf", "/a"]);
    assert!(out.contains("rule      rules.conf:3 redirects: redirect /a /b 302!"), "{out}");
    assert!(out.contains("Location: /b"), "{out}");
    let out = with(&["explain", "--config", "rules.conf", "/about.html"]);
    assert!(out.contains("X-Site: 1"), "{out}");
    let out = with(&["explain", "--config", "rules.conf", "--redirect", "/a /c 301!", "/a"]);
    assert!(out.contains("--redirect redirects: redirect /a /c 301!"), "{out}");
    let out = with(&["check", "--config", "rules.conf"]);
    assert!(out.contains("rule       rules.conf:4: app /*: nope.html"), "{out}");
    assert!(out.contains("warning    rules.conf:4: the page nope.html is not in"), "{out}");
    let out = with(&["test", "--config", "rules.conf", "cases.toml"]);
    assert!(out.contains("1 of 1 cases passed") && out.contains("rules.conf:4: the page"), "{out}");
    with(&["compile", "--config", "rules.conf"]);
    with(&["bake", "--config", "rules.conf", "-o", "policy.wasm"]);
    for arguments in [
        &["test", "--config", "guest.conf"][..],
        &["test", "--config", "guest.conf", "cases.toml"],
        &["test", "policy.wasm", "cases.toml"],
        &["check", "--config", "guest.conf"],
    ] {
        let out = with(arguments);
        assert!(out.contains("1 of 1 cases passed") || out.contains("and 1 cases"), "{out}");
    }
    let Ended { code, errors, .. } =
        run(folder.path(), &["check", "policy.wasm", "--config", "rules.conf"]);
    assert!(code == 1 && errors.contains("rules.conf:3 exclude each other"), "{errors}");
    let Ended { code, errors, .. } = run(folder.path(), &["check", "--config", "cases.toml"]);
    assert!(code == 2 && errors.contains("cases.toml: there is no table [case]"), "{errors}");
}

#[test]
fn baked_passwords_are_for_their_owner_alone() {
    let user = innkeeper_guest::basic_auth::users::User::new("a", b"secret", &[1; 16], 1_000);
    let folder = folder(&[("passwords", &user.unwrap().line())]);
    let arguments = ["bake", "--basic-auth", "passwords", "-o", "policy.wasm"];
    let Ended { code, out, errors } = run(folder.path(), &arguments);
    assert_eq!((code, errors.as_str()), (0, ""), "{out}");
    assert!(out.contains("which only you can read"), "{out}");
    let mode = fs::metadata(folder.path().join("policy.wasm")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "{mode:o}");
}
