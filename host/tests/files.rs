//! What is sent, and what is never sent.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use innkeeper::files::{Options, Resolver};

use crate::fixture::{Setup, TestServer, site, write};
use crate::running::{Program, serving};

#[test]
fn large_files_arrive_byte_for_byte() {
    let server = TestServer::start();
    let content: Vec<u8> = (0..3_000_000_u32).flat_map(|n| n.to_le_bytes()).collect();
    write(&server.root().join("large.bin"), &content);
    let mut client = server.connect();
    for _ in 0..2 {
        client.send("GET /large.bin HTTP/1.1\r\nHost: test\r\n\r\n");
        let reply = client.reply();
        assert_eq!(reply.field("content-type"), Some("application/octet-stream"));
        assert!(reply.body == content, "the bytes differ");
    }
    client.expect_open();
}

#[test]
fn files_around_the_limit_of_small_files_arrive_whole() {
    let server = TestServer::start();
    let mut client = server.connect();
    for length in [1, 32 << 10, (32 << 10) + 1, 64 << 10] {
        let content = vec![b'x'; length];
        write(&server.root().join("file.bin"), &content);
        client.send("GET /file.bin HTTP/1.1\r\nHost: test\r\n\r\n");
        assert_eq!(client.reply().body, content);
        client.send("HEAD /file.bin HTTP/1.1\r\nHost: test\r\n\r\n");
        let length = length.to_string();
        assert_eq!(client.reply_without_body().field("content-length"), Some(length.as_str()));
    }
    client.expect_open();
}

#[test]
fn file_truncated_while_sent_closes_the_connection() {
    let server = TestServer::start();
    let path = server.root().join("shrinks.bin");
    write(&path, &vec![b'x'; 64 << 20]);
    let mut client = server.connect();
    client.send("GET /shrinks.bin HTTP/1.1\r\nHost: test\r\n\r\n");
    // Some of it has come, and most of it waits for us.
    client.receive().unwrap();
    OpenOptions::new().write(true).open(&path).unwrap().set_len(1 << 20).unwrap();
    let (received, _) = client.read_to_end();
    assert!(received.len() < 64 << 20, "all of it came");
    assert!(received.starts_with(b"HTTP/1.1 200 OK\r\n"));
    server.connect().expect_open();
}

#[test]
fn file_grown_while_sent_keeps_its_length() {
    let server = TestServer::start();
    let path = server.root().join("grows.bin");
    write(&path, &vec![b'x'; 16 << 20]);
    let mut client = server.connect();
    client.send("GET /grows.bin HTTP/1.1\r\nHost: test\r\n\r\n");
    client.receive().unwrap();
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(&vec![b'y'; 16 << 20]).unwrap();
    assert_eq!(client.reply().body, vec![b'x'; 16 << 20]);
    client.expect_open();
}

#[test]
fn fifo_socket_and_device_are_404() {
    for resolver in [Resolver::Kernel, Resolver::Portable] {
        let site = Options { resolver, ..Options::default() };
        let setup = Setup { site, ..Setup::default() };
        let root = setup.folder.path().join("root");
        let link = |target: &str, name: &str| symlink(target, root.join(name)).unwrap();
        link("hello.txt", "inside");
        link("docs", "folder");
        link("../outside.txt", "outside");
        link("/etc/passwd", "absolute");
        link("..", "parent");
        link("loop", "loop");
        link("/proc/self/environ", "magic");
        link("/dev/zero", "device");
        let _socket = UnixListener::bind(root.join("socket")).unwrap();
        let fifo = rustix::fs::FileType::Fifo;
        let mode = rustix::fs::Mode::RWXU;
        rustix::fs::mknodat(rustix::fs::CWD, root.join("fifo"), fifo, mode, 0).unwrap();
        let server = setup.start();
        assert_eq!(server.get("/inside").body, b"hello\n");
        assert_eq!(server.get("/folder/").body, b"<h1>docs</h1>\n");
        for target in [
            "/outside",
            "/absolute",
            "/parent/outside.txt",
            "/parent/root/hello.txt",
            "/loop",
            "/magic",
            "/device",
            "/socket",
            "/fifo",
        ] {
            let reply = server.get(target);
            assert_eq!(reply.status(), 404, "{target} by {resolver:?}");
            assert_eq!(reply.text(), "File not found\n");
        }
    }
}

#[test]
fn directory_swapped_for_a_link_never_leads_outside() {
    let server = TestServer::start();
    let (root, folder) = (server.root(), server.folder.path().to_owned());
    write(&folder.join("elsewhere/secret.txt"), b"outside-secret");
    write(&root.join("real/secret.txt"), b"inside");
    symlink(folder.join("elsewhere"), root.join("link")).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            use std::sync::atomic::Ordering::Relaxed;
            while !done.load(Relaxed) {
                // What is `swapped` is now the directory, now the link.
                for now in ["real", "link"] {
                    let _ = fs::rename(root.join(now), root.join("swapped"));
                    let _ = fs::rename(root.join("swapped"), root.join(now));
                }
            }
        });
        let mut client = server.connect();
        for _ in 0..3000 {
            client.send("GET /swapped/secret.txt HTTP/1.1\r\nHost: test\r\n\r\n");
            let body = client.reply().body;
            assert!(body == b"inside" || body == b"File not found\n", "{}", body.escape_ascii());
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

/// A deployment tool makes them: `current` is a link to where a release is, beneath the root.
#[test]
fn absolute_link_into_the_root_is_served_in_the_sandbox() {
    let folder = site();
    let root = folder.path().join("root");
    symlink(root.join("docs"), root.join("current")).unwrap();
    symlink(root.join("hello.txt"), root.join("bare/link.txt")).unwrap();
    symlink(folder.path().join("outside.txt"), root.join("bare/outside.txt")).unwrap();
    let program = Program::start(serving(&root, &["--listing"]), 1);
    // Also when a worker is busy, and when nothing is.
    for _ in 0..200 {
        assert_eq!(program.get("/current/").text(), "<h1>docs</h1>\n");
        assert_eq!(program.get("/bare/link.txt").text(), "hello\n");
        assert_eq!(program.get("/bare/outside.txt").status(), 404);
    }
    let page = program.get("/bare/");
    assert!(page.text().contains("./link.txt") && !page.text().contains("./outside.txt"));
}

#[test]
fn listing_of_files_to_keep_is_shown() {
    let folder = site();
    let root = folder.path().join("root");
    let flags = ["--listing", "--header", "/*: Content-Disposition: attachment"];
    let program = Program::start(serving(&root, &flags), 1);
    assert_eq!(program.get("/bare/").field("content-disposition"), None);
    assert_eq!(program.get("/hello.txt").field("content-disposition"), Some("attachment"));
}

#[test]
fn retargeted_absolute_link_never_leads_outside() {
    let server = TestServer::start();
    let (root, folder) = (server.root(), server.folder.path().to_owned());
    write(&folder.join("elsewhere/secret.txt"), b"outside-secret");
    write(&root.join("real/secret.txt"), b"inside");
    symlink(root.join("real"), root.join("in")).unwrap();
    symlink(folder.join("elsewhere"), root.join("out")).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            use std::sync::atomic::Ordering::Relaxed;
            while !done.load(Relaxed) {
                // What is `turned` leads back, then outside.
                for now in ["in", "out"] {
                    let _ = fs::rename(root.join(now), root.join("turned"));
                    std::thread::yield_now();
                    let _ = fs::rename(root.join("turned"), root.join(now));
                }
                // And what it leads to is a folder, then a link outside.
                let _ = fs::rename(root.join("in"), root.join("turned"));
                let _ = fs::rename(root.join("real"), root.join("kept"));
                let _ = symlink(folder.join("elsewhere"), root.join("real"));
                let _ = fs::remove_file(root.join("real"));
                let _ = fs::rename(root.join("kept"), root.join("real"));
                let _ = fs::rename(root.join("turned"), root.join("in"));
            }
        });
        let mut client = server.connect();
        let (mut inside, mut asked) = (0, 0);
        while asked < 3000 || inside == 0 && asked < 100_000 {
            asked += 1;
            client.send("GET /turned/secret.txt HTTP/1.1\r\nHost: test\r\n\r\n");
            let body = client.reply().body;
            inside += usize::from(body == b"inside");
            assert!(body == b"inside" || body == b"File not found\n", "{}", body.escape_ascii());
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(inside > 0, "it never led inside");
    });
}

#[test]
fn impossible_names_are_404() {
    let server = TestServer::start();
    assert_eq!(server.get(&format!("/{}", "a".repeat(300))).status(), 404);
    assert_eq!(server.get(&"/a".repeat(3000)).status(), 404);
    assert_eq!(server.get("/hello.txt%20").status(), 404);
}

#[test]
fn changed_file_is_sent_to_the_next_request() {
    let server = TestServer::start();
    let path = server.root().join("hello.txt");
    let mut client = server.connect();
    for content in ["one", "two, longer", "", "four"] {
        fs::write(&path, content).unwrap();
        client.send("GET /hello.txt HTTP/1.1\r\nHost: test\r\n\r\n");
        assert_eq!(client.reply().text(), content);
    }
    fs::remove_file(&path).unwrap();
    client.send("GET /hello.txt HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(client.reply().status(), 404);
}

#[test]
fn missing_file_sends_the_sites_404_page() {
    let server = TestServer::start();
    write(&server.root().join("404.html"), b"<h1>lost</h1>\n");
    let reply = server.get("/missing");
    assert_eq!(reply.status(), 404);
    assert_eq!(reply.field("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(reply.text(), "<h1>lost</h1>\n");
    assert_eq!(server.get("/404.html").status(), 200);
}

#[test]
fn descriptors_stay_flat() {
    let server = TestServer::start();
    let mut client = server.connect();
    let mut ask = || {
        for target in ["/hello.txt", "/missing", "/docs", "/docs/"] {
            client.send(format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n"));
            client.reply();
        }
    };
    // The highest number in use tells of a leak, whatever other tests have open.
    ask();
    let probe = || {
        let file = File::open("/dev/null").unwrap();
        std::os::fd::AsRawFd::as_raw_fd(&file)
    };
    let before = probe();
    for _ in 0..500 {
        ask();
    }
    assert!(probe() < before + 500, "descriptors leak");
}

#[test]
fn stopping_finishes_what_is_in_flight() {
    let server = TestServer::start();
    write(&server.root().join("large.bin"), &vec![b'x'; 32 << 20]);
    let mut busy = server.connect();
    let mut idle = server.connect();
    idle.expect_open();
    busy.send("GET /large.bin HTTP/1.1\r\nHost: test\r\n\r\n");
    busy.receive().unwrap();
    let address = server.address;
    let reader = std::thread::spawn(move || {
        let reply = busy.reply();
        busy.expect_closed();
        reply.body.len()
    });
    assert_eq!(server.stop(Duration::from_secs(20)), 0, "connections were cut");
    assert_eq!(reader.join().unwrap(), 32 << 20);
    idle.expect_closed();
    assert!(std::net::TcpStream::connect(address).is_err(), "it still accepts");
}

#[test]
fn stopping_ends_within_its_time() {
    let server = TestServer::start();
    write(&server.root().join("large.bin"), &vec![b'x'; 64 << 20]);
    let mut stuck = server.connect();
    stuck.send("GET /large.bin HTTP/1.1\r\nHost: test\r\n\r\n");
    stuck.receive().unwrap();
    // This client takes no more, so its request never ends by itself.
    assert_eq!(server.stop(Duration::from_millis(200)), 1);
}

#[test]
fn directory_is_listed_only_with_the_option() {
    let server = TestServer::start();
    assert_eq!(server.get("/bare/").status(), 404);
    let site = Options { list: true, ..Options::default() };
    let server = Setup { site, ..Setup::default() }.start();
    let bare = server.root().join("bare");
    write(&bare.join(".hidden"), b"x");
    write(&bare.join("sub/file"), b"x");
    write(&bare.join("<script>.txt"), b"marked up\n");
    write(&bare.join("a\nb"), b"x");
    let not_utf8 = std::os::unix::ffi::OsStrExt::from_bytes(b"bad\xff");
    write(&bare.join::<&std::ffi::OsStr>(not_utf8), b"x");
    symlink("../../outside.txt", bare.join("outside")).unwrap();
    symlink("file.txt", bare.join("inside")).unwrap();
    let page = server.get("/bare/");
    assert_eq!(page.status(), 200);
    assert_eq!(page.field("content-type"), Some("text/html; charset=utf-8"));
    assert!(page.text().contains("<a href=\"./sub/\">sub/</a>"), "{}", page.text());
    // The page's own, which no name has changed.
    assert_eq!(page.text().matches("<script").count(), 1, "{}", page.text());
    for shown in ["<td><span>a\\nb</span>", "<td><span>bad\\xff</span>"] {
        assert!(page.text().contains(shown), "{}", page.text());
    }
    // The link leads to the file.
    assert!(page.text().contains("href=\"./%3Cscript%3E.txt\""), "{}", page.text());
    assert_eq!(server.get("/bare/%3Cscript%3E.txt").text(), "marked up\n");
    let mut client = server.connect();
    client.send("GET /bare/ HTTP/1.1\r\nHost: test\r\nAccept: application/json\r\n\r\n");
    let json = client.reply();
    assert_eq!(json.field("content-type"), Some("application/json"));
    let entries: serde_json::Value = serde_json::from_str(json.text()).unwrap();
    let names: Vec<_> = entries.as_array().unwrap().iter().map(|entry| &entry["name"]).collect();
    assert_eq!(names, ["sub", "<script>.txt", "file.txt", "inside"]);
    assert!(page.text().contains("2 entries have no link"), "{}", page.text());
    // An index page is still the answer where there is one.
    assert_eq!(server.get("/docs/").text(), "<h1>docs</h1>\n");
    assert_eq!(server.get("/missing/").status(), 404);
    assert_eq!(server.get("/hello.txt/").status(), 404);
}

/// Names with each byte, alone and in company: what is listed is found where the listing
/// says, and what is not cannot be asked for.
#[test]
fn listing_has_the_names_that_a_url_can_hold() {
    use std::os::unix::ffi::OsStrExt;
    let site = Options { list: true, ..Options::default() };
    let server = Setup { site, ..Setup::default() }.start();
    let folder = server.root().join("names");
    let mut names: Vec<Vec<u8>> = Vec::new();
    for byte in (1..=u8::MAX).filter(|byte| *byte != b'/') {
        names.extend([vec![b'a', byte, b'b'], vec![b'b', byte], vec![byte, b'c']]);
    }
    for name in
        ["a\u{85}b", "\u{85}", "a\u{9f}", "\u{2028}", "\u{fffd}", "\u{feff}a", "%41", "a%2fb"]
    {
        names.push(name.as_bytes().to_vec());
    }
    names.extend([b"\xc2".to_vec(), b"a\xed\xa0\x80".to_vec(), b"\xf5b".to_vec()]);
    names.retain(|name| !name.starts_with(b".."));
    names.sort();
    names.dedup();
    for (nth, name) in names.iter().enumerate() {
        let path = folder.join(std::ffi::OsStr::from_bytes(name));
        match nth % 5 {
            0 => write(&path.join("index.html"), name),
            _ => write(&path, name),
        }
    }
    let mut client = server.connect();
    client.send("GET /names/ HTTP/1.1\r\nHost: test\r\nAccept: application/json\r\n\r\n");
    let json = client.reply();
    let entries: Vec<serde_json::Value> = serde_json::from_slice(&json.body).unwrap();
    let mut listed = std::collections::HashSet::new();
    for entry in &entries {
        let (name, url) = (entry["name"].as_str().unwrap(), entry["url"].as_str().unwrap());
        let target = format!("/names/{}", url.strip_prefix("./").unwrap());
        let reply = server.get(&target);
        assert_eq!((reply.status(), &*reply.body), (200, name.as_bytes()), "{target}");
        assert_eq!(entry["type"] == "directory", url.ends_with('/'), "{url}");
        listed.insert(name.as_bytes().to_vec());
    }
    let page = server.get("/names/");
    let links = page.text().matches("><td><a href=\"./").count();
    assert_eq!(links, entries.len());
    for name in names.iter().filter(|name| !name.starts_with(b".")) {
        let escaped: String = name.iter().map(|byte| format!("%{byte:02X}")).collect();
        let is_found = ["", "/"]
            .iter()
            .any(|end| server.get(&format!("/names/{escaped}{end}")).status() == 200);
        assert_eq!(is_found, listed.contains(name), "{}", name.escape_ascii());
    }
}

#[test]
fn names_are_served_byte_for_byte() {
    let server = TestServer::start();
    for (name, target) in [
        ("a+b.txt", "/a+b.txt"),
        ("100%.txt", "/100%25.txt"),
        ("%20.txt", "/%2520.txt"),
        ("what?.txt", "/what%3F.txt"),
        ("a#b.txt", "/a%23b.txt"),
        ("composed-\u{e9}.txt", "/composed-%C3%A9.txt"),
        ("decomposed-e\u{301}.txt", "/decomposed-e%CC%81.txt"),
        ("Case.txt", "/Case.txt"),
        ("a;b=c,d.txt", "/a;b=c,d.txt"),
        ("\u{4f60}\u{597d}.txt", "/%E4%BD%A0%E5%A5%BD.txt"),
        ("deep/er/and/deep/er/file.txt", "/deep/er/and/deep/er/file.txt"),
    ] {
        write(&server.root().join(name), name.as_bytes());
        assert_eq!(server.get(target).text(), name, "{target}");
    }
    // Composed and decomposed, small and large are different names.
    for target in ["/composed-e%CC%81.txt", "/decomposed-%C3%A9.txt", "/case.txt", "/a%20b.txt/"] {
        assert_eq!(server.get(target).status(), 404, "{target}");
    }
    let long = "n".repeat(251) + ".txt";
    write(&server.root().join(&long), b"long");
    assert_eq!(server.get(&format!("/{long}")).text(), "long");
}

/// Large enough to be sent in many steps, small enough to be replaced meanwhile.
#[test]
fn replaced_file_is_never_mixed_with_the_old_one() {
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    let server = TestServer::start();
    let (path, next) = (server.root().join("mixed.bin"), server.root().join("next.bin"));
    write(&path, &vec![b'a'; 3 << 20]);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for letter in (b'a'..=b'z').cycle() {
                if done.load(Relaxed) {
                    break;
                }
                write(&next, &vec![letter; 3 << 20]);
                fs::rename(&next, &path).unwrap();
            }
        });
        let mut client = server.connect();
        let mut seen = std::collections::HashSet::new();
        while seen.len() < 5 {
            client.send("GET /mixed.bin HTTP/1.1\r\nHost: test\r\n\r\n");
            let body = client.reply().body;
            assert!(body.iter().all(|byte| *byte == body[0]), "old and new in one answer");
            seen.insert(body[0]);
        }
        done.store(true, Relaxed);
    });
}

#[test]
fn list_and_ranges_end_at_what_is_set() {
    let options = Options { list: true, listing_entries: 1, ranges: 1, ..Options::default() };
    let server = Setup { site: options, ..Setup::default() }.start();
    write(&server.root().join("bare/second.txt"), b"x");
    let list = server.get("/bare/");
    assert!(list.text().contains("more entries than the 1 that are shown"), "{}", list.text());
    let mut client = server.connect();
    for (ranges, status) in [("0-1", 206), ("0-1,4-5", 200)] {
        let fields = format!("Host: test\r\nRange: bytes={ranges}");
        client.send(format!("GET /range.txt HTTP/1.1\r\n{fields}\r\n\r\n"));
        assert_eq!(client.reply().status(), status, "{ranges}");
    }
}
