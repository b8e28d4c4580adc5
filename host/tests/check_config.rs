//! `innkeeper --check`: each kind of problem, its exit code, and that nothing is left behind.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use crate::authority::Authority;
use crate::fixture::site;
use crate::running::PROGRAM;

struct Checked {
    code: Option<i32>,
    out: String,
    errors: String,
}

/// Checks a configuration in this folder. The site is `root`.
fn check(folder: &Path, flags: &[&str]) -> Checked {
    let output = Command::new(PROGRAM)
        .args(["--check", "root", "--listen", "127.0.0.1:0"])
        .args(flags)
        .env("INNKEEPER_CODE_CACHE", "off")
        .current_dir(folder)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Checked { code: output.status.code(), out: text(output.stdout), errors: text(output.stderr) }
}

/// All files beneath a folder, with their lengths.
fn files(folder: &Path) -> Vec<(String, u64)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let metadata = path.symlink_metadata().unwrap();
        all.push((path.display().to_string(), metadata.len()));
        if metadata.is_dir() {
            all.extend(files(&path));
        }
    }
    all.sort();
    all
}

#[test]
fn valid_configuration_is_0_and_leaves_nothing_behind() {
    let folder = site();
    let path = folder.path();
    fs::write(path.join("guest.wasm"), innkeeper::guest::DEFAULT_GUEST).unwrap();
    fs::write(path.join("token"), "0123456789abcdef0123\n").unwrap();
    fs::write(
        path.join("cases.toml"),
        "[[case]]\nline = 'GET / HTTP/1.1'\ndecision = { index = '' }\n",
    )
    .unwrap();
    fs::write(
        path.join("innkeeper.toml"),
        "[guest]\nfile = 'guest.wasm'\ncases = ['cases.toml']\n[log]\naccess-file = 'access.log'\n\
         [admin]\nlisten = 'unix:admin'\ntoken-file = 'token'\n",
    )
    .unwrap();
    let before = files(path);
    let checked = check(path, &["--config", "innkeeper.toml", "--code-cache", "made/later"]);
    assert_eq!((checked.code, checked.errors.as_str()), (Some(0), ""), "{}", checked.out);
    for told in [
        "/root\n",
        "listen      http://127.0.0.1:0\n",
        "guest       guest.wasm (",
        " and 1 cases in ",
        "code cache  made/later\n",
        "access log  access.log\n",
        "admin       unix:admin: a change of the guest requires the token\n",
        " connections × (4.0 KiB idle + ",
        "verdict     a server would start\n",
    ] {
        assert!(checked.out.contains(told), "{told}: {}", checked.out);
    }
    assert_eq!(files(path), before);
}

#[test]
fn what_the_configuration_names_and_is_wrong_is_1() {
    let folder = site();
    let path = folder.path();
    fs::write(path.join("file"), "text").unwrap();
    let authority = Authority::new();
    fs::write(path.join("ca.pem"), authority.pem()).unwrap();
    for name in ["one", "two"] {
        let pair = authority.leaf(&["localhost"]);
        fs::write(path.join(format!("{name}.pem")), &pair.certificate).unwrap();
        fs::write(path.join(format!("{name}.key")), &pair.key).unwrap();
    }
    let tls = ["--listen-tls", "127.0.0.1:0"];
    for (flags, told) in [
        (&["--tls-certificate", "none.pem"][..], "none.pem: No such file"),
        (&["--tls-certificate", "one.pem", "--tls-key", "none.key"], "key none.key: No such file"),
        (&["--tls-certificate", "file"], "cannot use the certificate file: "),
        (&["--tls-certificate", "one.pem"], "cannot use the certificate one.pem: "),
        (&["--tls-certificate", "one.pem", "--tls-key", "one.pem"], "certificate one.pem: "),
        (&["--tls-certificate", "one.key", "--tls-key", "one.pem"], "one.key"),
        (&["--tls-certificate", "one.pem", "--tls-key", "two.key"], "key two.key: "),
        (
            &[
                "--tls-certificate",
                "one.pem",
                "--tls-certificate",
                "two.pem",
                "--tls-key",
                "one.key",
            ],
            "--tls-certificate is set 2 times, and --tls-key 1: the first key is for the first",
        ),
        (&["--self-signed"], "there is none: name one with --code-cache"),
        (
            &["--self-signed", "--tls-certificate", "one.pem", "--tls-key", "one.key"],
            "--self-signed and --tls-certificate are both set; leave one out",
        ),
        (
            &["--tls-certificate", "one.pem", "--tls-key", "one.key", "--tls-client-ca", "one.key"],
            "one.key",
        ),
        (
            &[
                "--tls-certificate",
                "one.pem",
                "--tls-key",
                "one.key",
                "--tls-client-auth",
                "wanted",
            ],
            "set --tls-client-ca",
        ),
    ] {
        let checked = check(path, &[&tls, flags].concat());
        assert_eq!(checked.code, Some(1), "{flags:?}: {}", checked.errors);
        assert!(checked.errors.contains(told), "{flags:?}: {}", checked.errors);
        assert_eq!(checked.errors.lines().count(), 1, "{flags:?}: {}", checked.errors);
    }
    fs::write(path.join("wrong.toml"), "[[case]]\nline = 'GET / HTTP/1.1'\ndecision = 'found'\n")
        .unwrap();
    fs::write(
        path.join("fails.toml"),
        "[[case]]\nline = 'GET / HTTP/1.1'\ndecision = 'not-found'\n",
    )
    .unwrap();
    std::os::unix::fs::symlink("no/target", path.join("dangling")).unwrap();
    let long = format!("unix:{}", "a".repeat(110));
    for (flags, told) in [
        (&["--listen", "192.0.2.1:80"][..], "this machine does not have that address"),
        (&["--listen-tls", "127.0.0.1:0"], "--listen-tls 127.0.0.1:0 needs a certificate: set"),
        (&["--self-signed"], "no address is for TLS: add --listen-tls ADDR:PORT, as in"),
        (&["--tls-client-ca", "ca.pem"], "--tls-client-ca is set, and no address is for TLS"),
        (
            &[
                "--self-signed",
                "--code-cache",
                "later",
                "--listen-tls",
                "[::]:1",
                "--listen",
                "[::1]:1",
            ],
            "--listen-tls [::]:1 is the address of --listen [::1]:1; choose another port",
        ),
        (&["--no-http2", "--http2-prior-knowledge"], "which switches HTTP/2 off; leave one out"),
        (&["--listen", "[::]:1", "--listen", "[::]:1"], "--listen [::]:1 is set twice"),
        (&["--guest", "none.wasm"], "cannot read the guest none.wasm: No such file"),
        (&["--guest", "file"], "file is rejected: not WebAssembly"),
        (&["--cases", "none.toml"], "cannot read the cases none.toml: No such file"),
        (&["--cases", "wrong.toml"], "wrong.toml"),
        (&["--cases", "fails.toml"], "the built-in guest is rejected: "),
        (&["--guest-memory", "64KiB"], "memory begins with 448 KiB, and it may have 64 KiB"),
        (&["--socket-owner", "1"], "--socket-owner does nothing without a socket in the file"),
        (&["--socket-mode", "666"], "--socket-mode does nothing without a socket in the file"),
        (&["--tls-unknown-name", "refuse"], "does nothing without an address for TLS"),
        (&["--access-log-file", "no/a.log"], "cannot write the log no/a.log: No such file"),
        (&["--access-log-file", "root"], "it is not a regular file but a directory"),
        (&["--code-cache", "file"], "compiled guests in file: it is not a directory"),
        (&["--listen", "127.0.0.1:1", "--admin", "127.0.0.1:1"], "is the address of --listen"),
        (&["--listen", "0.0.0.0:1", "--admin", "127.0.0.1:1"], "is the address of --listen"),
        (
            &["--listen", "unix:a", "--admin", "unix:a"],
            "--admin unix:a is the address of --listen unix:a; choose another",
        ),
        (&["--admin", &long], "path must be shorter than SUN_LEN"),
        (&["--admin", "unix:no/"], "--admin: cannot listen on unix:no/: "),
        (&["--access-log-file", "no/"], "cannot write the log no/: "),
        (&["--access-log-file", "dangling"], "cannot write the log dangling: No such file"),
        (&["--admin", "unix:file"], "there is a file of that name, which is no socket"),
        (&["--admin", "unix:no/admin"], "--admin: cannot listen on unix:no/admin: No such file"),
        (&["--admin", "192.0.2.1:80"], "--admin: cannot listen on http://192.0.2.1:80/"),
        (&["--admin-token-file", "file"], "which has no address; set --admin"),
        (&["--admin", "127.0.0.1:0", "--admin-token-file", "file"], "file holds no token"),
        (&["--admin", "127.0.0.1:0", "--admin-token-file", "none"], "cannot read the token in"),
        (&["--allow-read", "none"], "cannot open none (--allow-read): No such file"),
    ] {
        let checked = check(path, flags);
        assert_eq!(checked.code, Some(1), "{flags:?}: {}", checked.errors);
        assert!(checked.errors.contains(told), "{flags:?}: {}", checked.errors);
        assert_eq!(checked.errors.lines().count(), 1, "{flags:?}: {}", checked.errors);
        assert!(checked.out.ends_with("verdict     1 problem\n"), "{}", checked.out);
    }
    assert!(!path.join("no").exists());
}

#[test]
fn certificates_are_described_and_what_clients_refuse_is_no_problem() {
    let folder = site();
    let path = folder.path();
    let authority = Authority::new();
    let pair = authority.leaf(&["localhost", "*.example.org"]);
    fs::write(path.join("ca.pem"), authority.pem()).unwrap();
    fs::write(path.join("both.pem"), pair.certificate + &pair.key).unwrap();
    fs::create_dir(path.join("cache")).unwrap();
    let before = files(path);
    let flags = ["--listen-tls", "127.0.0.1:0", "--tls-certificate", "both.pem"];
    let checked = check(path, &[&flags[..], &["--tls-client-ca", "ca.pem"]].concat());
    assert_eq!((checked.code, checked.errors.as_str()), (Some(0), ""), "{}", checked.out);
    for told in [
        "listen      https://127.0.0.1:0\n",
        "certificate both.pem: localhost, *.example.org; expires ",
        "client CA   ca.pem: 1 authority, a client must have a certificate of one\n",
        " connections × (8.0 KiB idle TLS + ",
    ] {
        assert!(checked.out.contains(told), "{told}: {}", checked.out);
    }
    let flags = ["--listen-tls", "127.0.0.1:0", "--self-signed", "--code-cache", "cache"];
    let checked = check(path, &flags);
    assert_eq!((checked.code, checked.errors.as_str()), (Some(0), ""), "{}", checked.out);
    let told = "certificate self-signed, to be made at the start: localhost, 127.0.0.1, ::1\n";
    assert!(checked.out.contains(told), "{}", checked.out);
    assert_eq!(files(path), before);
}

#[test]
fn all_problems_are_told() {
    let folder = site();
    let flags = ["--cases", "none.toml", "--guest", "none.wasm", "--access-log-file", "no/a.log"];
    let checked = check(folder.path(), &flags);
    assert_eq!(checked.errors.lines().count(), 3, "{}", checked.errors);
    assert!(checked.out.ends_with("verdict     3 problems\n"), "{}", checked.out);
    fs::remove_dir_all(folder.path().join("root")).unwrap();
    let checked = check(folder.path(), &[]);
    assert!(checked.errors.contains("cannot serve root: there is no such directory"));
    assert_eq!(checked.code, Some(1));
}

#[test]
fn invalid_configuration_is_2() {
    let folder = site();
    let path = folder.path();
    fs::write(path.join("no.toml"), "workers =\n").unwrap();
    fs::write(path.join("two.toml"), "workers = 0\n[ssl]\na = 1\n[log]\nformat = 'x'\n").unwrap();
    for (flags, told) in [
        (&["--workers", "0"][..], &["write a number from 1"][..]),
        (&["--no-such-flag"], &["there is no flag --no-such-flag"]),
        (&["--config", "none.toml"], &["cannot read the configuration file none.toml"]),
        (&["--config", "no.toml"], &["no.toml is not valid TOML: line 1"]),
        (
            &["--config", "two.toml"],
            &["there is no table [ssl]", "workers: invalid value \"0\"", "[log] format: invalid"],
        ),
    ] {
        let checked = check(path, flags);
        assert_eq!((checked.code, checked.out.as_str()), (Some(2), ""), "{}", checked.errors);
        for told in told {
            assert!(checked.errors.contains(told), "{flags:?}: {}", checked.errors);
        }
    }
}

/// nginx -t does the same: maybe the server that is to be replaced has it.
#[test]
fn address_in_use_is_no_problem() {
    let folder = site();
    let used = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = used.local_addr().unwrap().to_string();
    let also_used = TcpListener::bind("127.0.0.1:0").unwrap();
    let admin = also_used.local_addr().unwrap().to_string();
    let checked = check(folder.path(), &["--listen", &address, "--admin", &admin]);
    assert_eq!((checked.code, checked.errors.as_str()), (Some(0), ""));
    assert!(checked.out.contains(&format!("http://{address}, which is in use")), "{}", checked.out);
    let admin = format!("admin       http://{admin}/ is in use");
    assert!(checked.out.contains(&admin), "{}", checked.out);
}

#[test]
fn what_a_server_without_a_sandbox_may_read_is_not_checked() {
    let folder = site();
    let checked = check(folder.path(), &["--no-sandbox", "--allow-read", "none"]);
    assert_eq!((checked.code, checked.errors.as_str()), (Some(0), ""));
    assert!(checked.out.contains("sandbox     off"), "{}", checked.out);
}

#[test]
fn server_refuses_a_token_that_nothing_asks_for() {
    let folder = site();
    fs::write(folder.path().join("token"), "0123456789abcdef0123").unwrap();
    let output = Command::new(PROGRAM)
        .args(["root", "--listen", "127.0.0.1:0", "--admin-token-file", "token"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("set --admin, or leave out the token"), "{errors}");
}

#[test]
fn variable_that_is_no_setting_is_refused() {
    let folder = site();
    let output = Command::new(PROGRAM)
        .args(["--check", "root", "--listen", "127.0.0.1:0"])
        .env("INNKEEPER_ACESS_LOG", "off")
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("did you mean INNKEEPER_ACCESS_LOG?"), "{errors}");
}

#[test]
fn content_of_a_key_in_place_of_its_path_is_not_shown() {
    let folder = site();
    let key = Authority::shared().leaf(&["localhost"]).key;
    for (variable, flag) in
        [("INNKEEPER_TLS_KEY", "--tls-key"), ("INNKEEPER_TLS_CERTIFICATE", "--tls-certificate")]
    {
        for key in [key.clone(), key.replace('\n', "\\n"), key.replace('\n', "")] {
            let output = Command::new(PROGRAM)
                .args(["--check", "root", "--listen-tls", "127.0.0.1:0"])
                .env("INNKEEPER_TLS_CERTIFICATE", "a.pem")
                .env(variable, &key)
                .current_dir(folder.path())
                .output()
                .unwrap();
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            assert_eq!(output.status.code(), Some(1), "{said}");
            assert!(said.contains(&format!("{flag} is to be the path of a file")), "{said}");
            let shown = key
                .as_bytes()
                .windows(16)
                .filter(|part| part.is_ascii() && said.contains(str::from_utf8(part).unwrap()));
            assert_eq!(shown.count(), 0, "{said}");
        }
    }
}
