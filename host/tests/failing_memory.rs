//! A machine that has no more memory to give: at the start, and while the server serves.
//!
//! Limits of a process stand for it: the system calls that ask for memory or for a thread
//! fail then, as they do elsewhere.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use rustix::process::Resource;

use crate::failing_machine::{ask, limit};
use crate::fixture::{Client, site, write};
use crate::running::{PROGRAM, Program, serving};

const MIB: u64 = 1 << 20;

/// What becomes of a program that is started with less than it wants.
#[derive(Debug, PartialEq, Eq)]
enum Start {
    /// It answers requests.
    Serves,
    /// It answers that it cannot.
    Hampered,
    /// It said why it does not, and ended.
    Refused,
    /// The C library or the kernel had nothing to give where nothing else can be done.
    Ended,
}

/// Whether a library says so that has no other way to say it than to panic or to abort: what
/// allocates, what gives a thread the stack on which the end of its stack is noticed, and the C
/// library, which notes what a thread drops at its end.
fn is_out_of_memory(said: &str) -> bool {
    [
        "memory allocation of",
        "sigaltstack",
        "an alternative stack",
        "failed to register TLS destructor",
    ]
    .iter()
    .any(|part| said.contains(part))
}

/// Starts it with so many bytes of address space.
fn started_with(bytes: u64, serving: &Command) -> (Start, String) {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -v \"$0\" && exec \"$@\"", &(bytes >> 10).to_string(), PROGRAM]);
    command.args(serving.get_args()).env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    command.stdin(Stdio::null());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while errors.read_line(&mut said).unwrap() > 0 {
        let Some((_, address)) = said.split_once("listening on http://") else { continue };
        let mut client = Client::connect(address.trim_end().parse().unwrap());
        client.send_if_open(b"GET /hello.txt HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        let (received, _) = client.read_to_end();
        let outcome = match received {
            answer if answer.starts_with(b"HTTP/1.1 200 OK\r\n") => Start::Serves,
            // There was no memory for the decision, or none at all.
            answer if answer.starts_with(b"HTTP/1.1 500 ") => Start::Hampered,
            // It has ended, or is found to be there all the same.
            answer if answer.is_empty() => {
                child.kill().unwrap();
                break;
            }
            answer => panic!("with {bytes} bytes: it answers {}", answer.escape_ascii()),
        };
        child.kill().unwrap();
        errors.read_to_string(&mut said).unwrap();
        child.wait().unwrap();
        return (outcome, said);
    }
    let status = child.wait().unwrap();
    errors.read_to_string(&mut said).unwrap();
    let outcome = match (status.code(), status.signal()) {
        // A worker that cannot start may say why a moment later.
        (Some(1), None) if said.lines().any(|it| it.starts_with("innkeeper: ")) => Start::Refused,
        (None, Some(libc::SIGABRT)) if is_out_of_memory(&said) => Start::Ended,
        // The stack of the first thread could not grow.
        (None, Some(libc::SIGSEGV)) => Start::Ended,
        _ => panic!("with {bytes} bytes: {status}, and it says {said}"),
    };
    (outcome, said)
}

/// It panicked, or listened and served nobody while its workers panicked each second.
#[test]
fn start_without_memory_is_an_error_with_a_reason() {
    let folder = site();
    let root = folder.path().join("root");
    // Without another process beside it, whose start fails in words of its own.
    let command = || serving(&root, &["--workers", "2", "--no-site-rules"]);
    // The guest is compiled by the first one.
    drop(Program::start(command(), 1));
    // The C library reserves 64 MiB for a thread or not, as it comes.
    let mut enough = Program::start(command(), 1).memory("VmPeak:") + 1024 * MIB;
    let (outcome, said) = started_with(enough, &command());
    assert_eq!(outcome, Start::Serves, "{said}");
    let (outcome, said) = started_with(512 * MIB, &command());
    assert_eq!(outcome, Start::Refused, "{said}");
    assert!(said.contains("cannot start the WebAssembly engine"), "{said}");
    assert!(said.contains("512 MiB of address space (ulimit -v)"), "{said}");
    let mut too_little = enough - 2048 * MIB;
    while enough - too_little > MIB {
        let between = too_little.midpoint(enough);
        match started_with(between, &command()).0 {
            Start::Serves => enough = between,
            _ => too_little = between,
        }
    }
    // From what is just enough down to what no thread has room in.
    for less in 0..24 {
        let (outcome, said) = started_with(enough - less * MIB, &command());
        let panics = said.lines().filter(|line| line.contains("panic thread="));
        for line in panics {
            assert!(is_out_of_memory(line), "{less} MiB less: {said}");
        }
        if outcome == Start::Refused {
            let is_clear = ["Resource temporarily unavailable", "memory"];
            assert!(is_clear.iter().any(|part| said.contains(part)), "{less} MiB less: {said}");
        }
    }
}

/// A file that was to be compressed, and a large guest, ended the process; and a worker that
/// had not run a guest yet could run none.
#[test]
fn compression_and_uploads_are_refused_near_the_end_of_memory() {
    let folder = site();
    let root = folder.path().join("root");
    let (page, token) = (root.join("page.html"), folder.path().join("token"));
    write(&page, "<p>to be compressed</p>\n".repeat(1000).as_bytes());
    let yesterday = SystemTime::now() - Duration::from_secs(86_400);
    File::options().write(true).open(&page).unwrap().set_modified(yesterday).unwrap();
    write(&token, b"0123456789abcdef\n");
    // What was changed a moment ago has no version yet, and is not compressed.
    let began = Instant::now();
    let earlier = Program::start(serving(&root, &[]), 1);
    while earlier.get("/page.html").field("etag").is_none() {
        assert!(began.elapsed() < Duration::from_secs(20), "it gets no tag");
    }
    let mut command = serving(&root, &["--workers", "1", "--file-cache-valid", "0s"]);
    command.args(["--admin", "127.0.0.1:0", "--admin-token-file"]).arg(&token);
    let mut program = Program::start(command, 1);
    let admin = program.admin();
    // Of what can be written to: the C library has address space in store.
    let so_much = program.memory("VmData:") + 8 * MIB;
    let before = limit(&program, Resource::Data, Some(so_much));
    // Nothing was asked for before.
    for number in 0..20 {
        let mut client = program.client();
        assert_eq!(ask(&mut client, &format!("/never/heard/of/{number}")).status(), 404);
        client.expect_open();
    }
    let mut client = program.client();
    let compressed = |client: &mut Client| {
        client.send("GET /page.html HTTP/1.1\r\nHost: test\r\nAccept-Encoding: br\r\n\r\n");
        let reply = client.reply();
        assert_eq!(reply.status(), 200);
        reply.field("content-encoding").map(str::to_owned)
    };
    assert_eq!(compressed(&mut client), None);
    program.wait_for("cannot compress file, it is sent as it is error=\"out of memory\"");
    let mut uploader = Client::connect(admin);
    uploader.send(format!(
        "PUT /guest HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer 0123456789abcdef\r\n\
         Content-Length: {}\r\n\r\n",
        50 * MIB
    ));
    let reply = uploader.reply();
    let told = "there is no memory for an upload of this size now";
    assert_eq!(reply.status(), 503);
    assert!(reply.text().contains(told), "{}", reply.text());
    client.expect_open();
    limit(&program, Resource::Data, before);
    assert_eq!(compressed(&mut client).as_deref(), Some("br"));
    assert!(!program.said.contains("panic"), "{}", program.said);
}
