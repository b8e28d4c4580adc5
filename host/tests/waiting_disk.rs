//! A file system that takes its time for an operation, or never answers: who waits for it, and
//! who does not. Needs /dev/fuse and the right to mount; where they are not there each test says
//! so, and the units of `disk` and `site` hold what they can without.

use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::fixture::{Client, site, write};
use crate::fuse::{FILES, FLUSH, Fuse, GETATTR, LOOKUP, OPEN, READ, READDIR};
use crate::running::{PROGRAM, Program, serving, told, until};

/// A site with a file system that waits in the folder `slow`.
fn slow_site() -> Option<(tempfile::TempDir, Fuse)> {
    let folder = site();
    let slow = folder.path().join("root/slow");
    std::fs::create_dir(&slow).unwrap();
    let fuse = Fuse::mount(&slow)?;
    Some((folder, fuse))
}

fn send(program: &Program, target: &str) -> Client {
    let mut client = program.client();
    client.send(format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n"));
    client
}

/// Whatever it waits for, its worker answers others; and in the end it has its answer.
#[test]
fn waiting_file_operation_blocks_no_worker() {
    let Some((folder, fuse)) = slow_site() else { return };
    let arguments = ["--workers", "1", "--listing", "--access-log", "off"];
    let program = Program::start(serving(&folder.path().join("root"), &arguments), 1);
    // It ends before the program, which could not end with it.
    let fuse = fuse;
    let [(small, small_bytes), (large, large_bytes), ..] = FILES;
    let expected = [(small, small_bytes), (large, large_bytes)];
    // Once, so that all names are known to the kernel, whose walk then waits for nothing.
    for (name, length) in expected {
        assert_eq!(program.get(&format!("/slow/{name}")).body.len(), length);
    }
    assert_eq!(program.get("/slow/").status(), 200);
    for operation in [OPEN, FLUSH, GETATTR, READDIR, READ] {
        for (name, length) in expected {
            fuse.hold(&[operation]);
            let name = match operation {
                READDIR => "",
                // What was read is in memory.
                READ if length < large_bytes => "unread.bin",
                _ => name,
            };
            let mut client = send(&program, &format!("/slow/{name}"));
            // What is large is sent as it is read.
            let reading = std::thread::spawn(move || client.reply());
            if operation != READ || length < large_bytes {
                fuse.wait_for(operation, 1);
            }
            for _ in 0..20 {
                assert_eq!(program.get("/hello.txt").text(), "hello\n", "beside {operation}");
            }
            fuse.go_on();
            let reply = reading.join().unwrap();
            assert_eq!(reply.status(), 200, "{operation}");
            let is_whole = name.is_empty() || FILES.contains(&(name, reply.body.len()));
            assert!(is_whole, "{operation}: {} bytes of {name}", reply.body.len());
        }
    }
}

/// They kept all threads, for ever, and the port after the end.
#[test]
fn hung_file_system_takes_only_its_own_threads_and_is_logged() {
    let Some((folder, fuse)) = slow_site() else { return };
    let root = folder.path().join("root");
    for number in 0..20 {
        write(&root.join(format!("cold/{number}.txt")), b"cold");
    }
    std::os::unix::fs::symlink("slow/small.txt", root.join("link")).unwrap();
    let arguments =
        ["--workers", "2", "--listing", "--admin", "127.0.0.1:0", "--access-log", "off"];
    let mut program = Program::start(serving(&root, &arguments), 1);
    let (admin, fuse) = (program.admin(), fuse);
    assert_eq!(told(admin, "/healthz"), "ok\n");
    fuse.hold(&[LOOKUP, GETATTR, OPEN, FLUSH, READ, READDIR, 17, 27, 34]);
    let asked = Instant::now();
    let mut stuck: Vec<_> = (0..60)
        .map(|number| match number % 3 {
            0 => send(&program, &format!("/slow/{number}")),
            1 => send(&program, "/slow/"),
            _ => send(&program, "/link"),
        })
        .collect();
    let elsewhere = |program: &Program, round: usize| {
        for number in 0..10 {
            let number = 10 * round + number;
            assert_eq!(program.get(&format!("/cold/{number}.txt")).text(), "cold");
            assert_eq!(program.get(&format!("/unknown/{number}")).status(), 404);
            assert_eq!(program.get("/bare/").status(), 200);
            // The folder in which it is mounted.
            assert_eq!(program.get("/").text(), "<h1>home</h1>\n");
        }
    };
    elsewhere(&program, 0);
    for client in &mut stuck {
        let reply = client.reply();
        assert_eq!((reply.status(), reply.field("retry-after")), (503, Some("10")));
    }
    assert!(asked.elapsed() < Duration::from_secs(25), "{:?}", asked.elapsed());
    let device = fuse.shown();
    let line = program.wait_for("file system does not respond");
    assert!(line.contains(&device), "{line}");
    let health = format!("the file system of device {device} does not respond\n");
    assert_eq!(told(admin, "/healthz"), health);
    // The rest of the site is served.
    assert_eq!(told(admin, "/readyz"), "ready\n");
    let stalled = format!("innkeeper_disk_stalled{{device=\"{device}\",threads=\"disk\"}} 1\n");
    assert!(told(admin, "/metrics").contains(&stalled), "{stalled}");
    assert!(told(admin, "/status").contains("\"stalled\": true"));
    elsewhere(&program, 1);
    // Who asks now hears sooner.
    let asked = Instant::now();
    assert_eq!(send(&program, "/slow/again").reply().status(), 503);
    assert!(asked.elapsed() < Duration::from_secs(8), "{:?}", asked.elapsed());
    fuse.go_on();
    program.wait_for("file system responds again");
    until(|| told(admin, "/healthz") == "ok\n");
    assert_eq!(send(&program, "/slow/small.txt").reply().body.len(), FILES[0].1);
}

/// A process that is stuck in the kernel cannot be ended. Its port can be had.
#[test]
fn stop_closes_the_port_before_a_hung_file_system_keeps_the_process() {
    let Some((folder, fuse)) = slow_site() else { return };
    let root = folder.path().join("root");
    let arguments = ["--workers", "1", "--admin", "127.0.0.1:0", "--access-log", "off"];
    let mut program = Program::start(serving(&root, &arguments), 1);
    let (site, admin, fuse) = (program.addresses[0], program.admin(), fuse);
    fuse.hold(&[LOOKUP]);
    let _stuck = send(&program, "/slow/small.txt");
    fuse.wait_for(LOOKUP, 1);
    program.signal(Signal::TERM);
    program.wait_for("stopping");
    program.signal(Signal::TERM);
    program.wait_for("stopped at once");
    for address in [site, admin] {
        until(|| TcpListener::bind(address).is_ok());
    }
    assert!(program.child.try_wait().unwrap().is_none(), "it waits for the file system");
    fuse.abort();
    program.child.wait().unwrap();
}

/// As after `umount` and `mount`: what was local is not taken to be that still.
#[test]
fn mount_over_another_is_classified_by_itself() {
    let folder = site();
    let slow = folder.path().join("root/slow");
    write(&slow.join("small.txt"), b"local\n");
    let arguments = ["--workers", "1", "--access-log", "off"];
    let program = Program::start(serving(&folder.path().join("root"), &arguments), 1);
    assert_eq!(program.get("/slow/small.txt").text(), "local\n");
    let Some(fuse) = Fuse::mount(&slow) else { return };
    assert_eq!(program.get("/slow/small.txt").body.len(), FILES[0].1);
    fuse.hold(&[OPEN]);
    let mut client = send(&program, "/slow/small.txt");
    fuse.wait_for(OPEN, 1);
    assert_eq!(program.get("/hello.txt").text(), "hello\n");
    fuse.go_on();
    assert_eq!(client.reply().body.len(), FILES[0].1);
    drop(fuse);
    assert_eq!(program.get("/slow/small.txt").text(), "local\n");
}

/// Which form a part is of would depend on how much there is to do.
#[test]
fn range_of_file_whose_sibling_cannot_be_opened_now_is_503() {
    let Some((folder, fuse)) = slow_site() else { return };
    let arguments = ["--workers", "1", "--access-log", "off"];
    let program = Program::start(serving(&folder.path().join("root"), &arguments), 1);
    let fuse = fuse;
    let ask = |range: &str| {
        let mut client = program.client();
        client.send(format!(
            "GET /slow/small.txt HTTP/1.1\r\nHost: test\r\nAccept-Encoding: gzip\r\n{range}\r\n"
        ));
        let reply = client.reply();
        (reply.status(), reply.field("content-encoding").map(str::to_owned), reply.body.len())
    };
    let range = "Range: bytes=0-4\r\n";
    assert_eq!(ask(range), (206, Some("gzip".to_owned()), 5));
    fuse.fail_to_open("small.txt.gz", libc::ENFILE);
    assert_eq!(ask(range).0, 503);
    assert_eq!(ask(""), (200, None, 1000));
    // What is wrong with it for good is no matter of load.
    fuse.fail_to_open("small.txt.gz", libc::EIO);
    assert_eq!(ask(range), (206, None, 5));
}

/// Both are on one device, whose threads they share.
#[test]
fn flood_of_one_site_on_a_slow_disk_leaves_another_site_threads() {
    let Some((folder, fuse)) = slow_site() else { return };
    let site = |host| format!("[[site]]\nhosts = ['{host}']\nroot = 'root/slow'\n");
    let text = [site("flooded.example"), site("other.example")].concat();
    write(&folder.path().join("innkeeper.toml"), text.as_bytes());
    let mut command = Command::new(PROGRAM);
    command
        .env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"))
        .args(["--config", "innkeeper.toml", "--listen", "127.0.0.1:0", "--workers", "2"])
        .current_dir(folder.path());
    let program = Program::start(command, 1);
    let send = |host: &str, target: &str| {
        let mut client = program.client();
        client.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        client
    };
    assert_eq!(send("flooded.example", "/small.txt").reply().status(), 200);
    fuse.hold_file(&[OPEN], "large.bin");
    let mut flood: Vec<_> = (0..60).map(|_| send("flooded.example", "/large.bin")).collect();
    // Of sixteen threads.
    fuse.wait_for(OPEN, 12);
    for name in ["small.txt", "other.txt", "unread.bin", "none.txt"].repeat(3) {
        let status = send("other.example", &format!("/{name}")).reply().status();
        assert_eq!(status, if name == "none.txt" { 404 } else { 200 }, "{name}");
    }
    fuse.go_on();
    for client in &mut flood {
        assert_eq!(client.reply().status(), 200);
    }
}
