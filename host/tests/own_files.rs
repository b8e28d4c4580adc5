//! Files that the server itself uses are missing for clients, where they lie beneath the root.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::authority::Authority;
use crate::fixture::{Client, site};
use crate::running::{PROGRAM, Program, TOKEN, begin_change, run, serving};

/// Settings, and the files beneath the root that they name.
const NAMED: [(&str, &str); 9] = [
    ("--config", "conf/innkeeper.toml"),
    ("--client-bucket-key", "bucket-key"),
    ("--tls-certificate", "cert.pem"),
    ("--tls-key", "key.pem"),
    ("--tls-client-ca", "ca.pem"),
    ("--admin-token-file", "token"),
    ("--access-log-file", "logs/access.log"),
    ("--guest", "policy.wasm"),
    ("--cases", "cases.toml"),
];

/// A root with all of them, with copies that others made.
fn fill(root: &Path) {
    let pair = Authority::shared().leaf(&["localhost"]);
    fs::create_dir(root.join("conf")).unwrap();
    fs::create_dir(root.join("logs")).unwrap();
    for (file, content) in [
        ("conf/innkeeper.toml", "workers = 1\n"),
        ("bucket-key", "a-key-of-many-letters\n"),
        ("cert.pem", &pair.certificate),
        ("key.pem", &pair.key),
        ("key.pem.gz", "x"),
        ("ca.pem", &Authority::shared().pem()),
        ("token", "a-token-of-many-letters\n"),
        ("logs/access.log", ""),
        ("logs/access.log.1", "x"),
        ("logs/access.log-20261130.gz", "x"),
        ("cases.toml", "case = [{ line = 'GET / HTTP/1.1', decision = { index = '' } }]\n"),
        ("mine.txt", "mine"),
        ("logs/mine.txt", "mine"),
    ] {
        fs::write(root.join(file), content).unwrap();
    }
    fs::write(root.join("policy.wasm"), innkeeper::guest::DEFAULT_GUEST).unwrap();
    std::os::unix::fs::symlink("key.pem", root.join("link.pem")).unwrap();
}

#[test]
fn files_of_the_server_are_404_and_in_no_list() {
    let folder = site();
    let root = folder.path().join("root");
    fill(&root);
    fs::remove_file(root.join("index.html")).unwrap();
    let mut command = serving(&root, &["--listing", "--listen-tls", "127.0.0.1:0"]);
    command.args(["--admin", "127.0.0.1:0", "--tls-client-auth", "wanted"]);
    for (flag, file) in NAMED {
        // By another path than that of the root.
        let path = if flag == "--tls-key" { "link.pem" } else { file };
        command.arg(flag).arg(root.join("conf/..").join(path));
    }
    let mut program = Program::start(command, 2);
    for (flag, _) in NAMED {
        let told = program.said.lines().any(|line| {
            line.contains("file of the server lies beneath the root") && line.contains(flag)
        });
        assert!(told, "{flag}: {}", program.said);
    }
    let get = |target: &str| program.get(target);
    for (flag, file) in NAMED {
        for file in [file.to_owned(), file.to_uppercase()] {
            assert_eq!(get(&format!("/{file}")).status(), 404, "{flag} {file}");
        }
    }
    for more in [
        "key.pem.gz",
        "link.pem",
        "logs/access.log.1",
        "logs/access.log-20261130.gz",
        "cases.toml/",
    ] {
        assert_eq!(get(&format!("/{more}")).status(), 404, "{more}");
    }
    assert_eq!(get("/mine.txt").status(), 200);
    for folder in ["/", "/conf/", "/logs/"] {
        let list = get(folder);
        let text = list.text();
        assert!(folder == "/conf/" || text.contains("mine.txt"), "{text}");
        for (_, file) in NAMED {
            let name = file.rsplit('/').next().unwrap();
            assert!(!text.contains(name), "{file}: {text}");
        }
        assert!(!text.contains("link.pem"), "{text}");
    }
    let admin = program.admin();
    let mut client = Client::connect(admin);
    client.send(
        "POST /reload HTTP/1.1\r\nHost: localhost\r\n\
         Authorization: Bearer a-token-of-many-letters\r\n\r\n",
    );
    assert!(client.reply().status() < 300);
    assert_eq!(program.get("/key.pem").status(), 404);
}

#[test]
fn files_of_one_site_are_hidden_in_the_root_of_another() {
    let folder = site();
    let root = |name: &str| folder.path().join(name);
    for name in ["a", "b"] {
        fs::create_dir(root(name)).unwrap();
        fs::write(root(name).join("mine.txt"), name).unwrap();
    }
    fs::write(
        root("a/innkeeper.toml"),
        "[[site]]\nhosts = ['a.test']\nroot = 'a'\n[[site]]\nhosts = ['b.test']\nroot = 'b'\n\
         [site.log]\naccess-file = 'a/b.log'\n\
         [site.rules]\nfile = ['a/rules.toml']\nbasic-auth = ['/given/*=a/given']\n",
    )
    .unwrap();
    fs::write(root("a/rules.toml"), "basic-auth = ['/named/*=named']\n").unwrap();
    for file in ["a/given", "a/named"] {
        let user = "alice:$pbkdf2-sha256$i=20000$NwyBJMoNzohOi39wcZBxsA$\
                    DYBltaODEB2WwKhsarGQzinjuNSX/2M0NlxkftlvL9A\n";
        fs::write(root(file), user).unwrap();
    }
    let mut command = Command::new(PROGRAM);
    command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR")).current_dir(folder.path());
    command.args(["--listen", "127.0.0.1:0", "--config", "a/innkeeper.toml"]);
    let program = Program::start(command, 1);
    let hidden = ["/b.log", "/innkeeper.toml", "/rules.toml", "/given", "/named"];
    let hidden = hidden.map(|path| (path, 404));
    for (path, status) in [("/mine.txt", 200)].into_iter().chain(hidden) {
        let mut client = program.client();
        client.send(format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n"));
        assert_eq!(client.reply().status(), status, "{path}");
    }
    assert!(root("a/b.log").exists());
}

#[test]
fn files_of_a_site_that_is_added_are_hidden_in_roots_that_stay() {
    let folder = site();
    let root = |name: &str| folder.path().join(name);
    for name in ["a", "b"] {
        fs::create_dir(root(name)).unwrap();
        fs::write(root(name).join("own.wasm"), innkeeper::guest::DEFAULT_GUEST).unwrap();
    }
    fs::write(root("token"), TOKEN).unwrap();
    let one = "[[site]]\nhosts = ['a.test']\nroot = 'a'\n";
    let two = format!("{one}[[site]]\nhosts = ['b.test']\nroot = 'b'\nguest.file = 'a/own.wasm'\n");
    let configure = |text: &str| fs::write(root("innkeeper.toml"), text).unwrap();
    configure(one);
    let mut command = Command::new(PROGRAM);
    command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR")).current_dir(folder.path());
    command.args(["--listen", "127.0.0.1:0", "--config", "innkeeper.toml"]);
    command.args(["--admin", "127.0.0.1:0", "--admin-token-file", "token", "--allow-read", "."]);
    let mut program = Program::start(command, 1);
    let admin = program.admin();
    let status = |host: &str, path: &str| {
        let mut client = program.client();
        client.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        client.reply().status()
    };
    let reload = || begin_change(admin, "POST /reload", 0).reply().status();
    assert_eq!(status("a.test", "/own.wasm"), 200);
    // What is rejected hides nothing.
    configure(&two.replace("root = 'b'", "root = 'c'"));
    assert_eq!((reload(), status("a.test", "/own.wasm")), (422, 200));
    configure(&two);
    assert_eq!(reload(), 200);
    assert_eq!((status("a.test", "/own.wasm"), status("b.test", "/own.wasm")), (404, 200));
    configure(one);
    assert_eq!((reload(), status("a.test", "/own.wasm")), (200, 200));
}

#[test]
fn check_tells_of_files_beneath_the_root() {
    let folder = site();
    fs::write(folder.path().join("root/token"), "a-token-of-many-letters\n").unwrap();
    let flags = ["--admin", "127.0.0.1:0", "--admin-token-file", "root/token", "--port", "0"];
    let checked = run(folder.path(), &[&["root", "--check"], &flags[..]].concat());
    let told = "root/token (--admin-token-file) lies beneath the root root: it is not served; \
                move it out\n";
    assert!(checked.code == 0 && checked.out.contains(told), "{}{}", checked.out, checked.errors);
}

#[test]
fn code_cache_beneath_the_root_is_refused() {
    let folder = site();
    for cache in ["root/cache", "root"] {
        for check in [&[][..], &["--check"]] {
            let flags = ["root", "--port", "0", "--code-cache", cache];
            let ended = run(folder.path(), &[&flags[..], check].concat());
            let told = format!("--code-cache {cache} lies beneath the root root");
            assert!(ended.code == 1 && ended.errors.contains(&told), "{}", ended.errors);
        }
    }
    assert!(!folder.path().join("root/cache").exists());
}
