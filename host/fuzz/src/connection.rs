//! Whole connections: however a client's bytes are split over time, it gets the same
//! answers; they are one stream of HTTP/1.1; and there are as many as the reference finds
//! requests.
//!
//! The input is what a client sends before it ends its half of the connection.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use innkeeper::files::{CacheSizes, Caches, Files, Options};
use innkeeper::http::{Peer, Scheme};
use innkeeper::http1::{Http1, Limits};
use innkeeper::http2::Http2;
use innkeeper::in_flight::FILES;
use innkeeper::release::active::FailurePolicy;
use innkeeper::release::{Active, Generation};
use innkeeper::server::Place;
use innkeeper::server::connection::{Wires, serve};
use innkeeper::service::Service;
use innkeeper::tls;
use innkeeper::transport::{self, SendScheduler};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::task::yield_now;

use super::decide::{ATTEMPTS, default_guest, runtime};
use super::head::narrow;
use super::pieces::{Numbers, split};
use super::records;
use super::reference::answers::{Answer, Asks, answers};
use super::reference::body::Framing;
use super::reference::request::{After, Body, Request, Turn, turns};

/// Turns of the runtime after each piece: enough for it to be read and answered.
const TURNS: usize = 3;

/// Pieces of one connection.
const PIECES: usize = 64;

/// When the files were modified: Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110.
const MODIFIED: Duration = Duration::from_secs(784_111_777);

/// How long files must have been left alone to get tags: `files::validators` has 100 ms.
const SETTLING: Duration = Duration::from_millis(150);

/// For waits that never end: who runs this may stop it for a while, and tests of their own
/// show that the host does not wait for ever.
const HOUR: Duration = Duration::from_secs(3_600);

/// What stands outside the root, and in no answer.
pub(super) const SECRET: &[u8] = b"outside-secret";

pub(super) struct World {
    pub(super) runtime: Runtime,
    _folder: TempDir,
    /// With the usual limits, and with narrow ones.
    wires: [(Limits, Arc<Wires>); 2],
    /// With the usual ones, TLS and HTTP/2 with prior knowledge.
    pub(super) others: Arc<Wires>,
}

thread_local! {
    pub(super) static WORLD: World = World::new();
}

/// Runs the target.
pub fn run(input: &[u8]) {
    WORLD.with(|world| {
        for (limits, wires) in &world.wires {
            let mut numbers = Numbers::of(input);
            let whole = world.talk(wires, &[input]);
            let expected = turns(input, limits);
            let answers = check(&whole, &expected);
            for largest in [input.len() / 3 + 1, input.len().div_ceil(PIECES / 2).max(1)] {
                let pieces = split(input, largest, &mut numbers);
                let received = world.talk(wires, &pieces);
                let split = check(&received, &expected);
                // Whether a body that the client keeps back is read depends on when it comes.
                if !expected.iter().any(is_patient) {
                    assert_eq!(split, answers, "in {} pieces", pieces.len());
                }
            }
        }
    });
}

/// Whether the client would wait for `100 Continue` before it sends the body.
pub(super) fn is_patient(turn: &Turn) -> bool {
    matches!(turn, Turn::Request(request, _)
        if request.expects_continue && request.framing != Framing::None)
}

/// Takes the answers apart and holds them against the turns. What differs from one time to
/// the next is left out of what is given.
pub(super) fn check(received: &[u8], turns: &[Turn]) -> Vec<Answer> {
    assert!(!received.windows(SECRET.len()).any(|window| window == SECRET), "the secret is out");
    assert!(!tells_failure(received), "it fails: {}", received.escape_ascii());
    let asks = |index: usize| match turns.get(index) {
        Some(Turn::Request(request, _)) if request.method == "HEAD" => Asks::Head,
        Some(Turn::Request(..)) => Asks::Body,
        // It may be a HEAD, as far as it could be read.
        _ => Asks::Last,
    };
    let mut answers = match answers(received, asks) {
        Ok(answers) => answers,
        Err(problem) => panic!("{problem}: {}", received.escape_ascii()),
    };
    let mut index = 0;
    for turn in turns {
        let is_over = answers.len() == index;
        let (status, may_close, must_close) = match turn {
            Turn::Unfinished => break,
            Turn::Refused(status) => (Some(*status), true, true),
            Turn::Request(request, body) => match (is_patient(turn), body) {
                // It is answered without its body, or the body is waited for.
                (true, Body::Unfinished) if is_over => break,
                (true, _) => (None, true, false),
                (false, Body::Unfinished) => break,
                (false, Body::Refused(status)) => (Some(*status), true, true),
                (false, Body::Whole) => {
                    let closes = closes(request);
                    (None, closes, closes)
                }
            },
        };
        assert!(!is_over, "{turn:?} has no answer: {}", received.escape_ascii());
        let answer = &mut answers[index];
        index += 1;
        if let Some(status) = status {
            assert_eq!(answer.status, status, "{turn:?}");
        }
        if matches!(turn, Turn::Refused(_)) {
            answer.body.clear();
        }
        assert!(answer.is_last() || !must_close, "{turn:?} does not end it");
        assert!(!answer.is_last() || may_close, "{turn:?} ends it");
        if answer.is_last() {
            break;
        }
    }
    assert_eq!(answers.len(), index, "more answers than requests: {}", received.escape_ascii());
    for answer in &mut answers {
        answer.fields.retain(|field| field.0 != "date");
        forget_boundary(answer);
    }
    answers
}

/// Whether an answer tells that the guest failed, or that there is no time for it.
pub(super) fn tells_failure(received: &[u8]) -> bool {
    let failures = [b"HTTP/1.1 500 ", b"HTTP/1.1 503 "];
    failures.iter().any(|failure| received.windows(failure.len()).any(|part| part == *failure))
}

/// Makes what separates the parts of an answer, which is random, always the same.
fn forget_boundary(answer: &mut Answer) {
    const NAMED: &str = "multipart/byteranges; boundary=";
    let Some(field) = answer.fields.iter_mut().find(|field| field.1.starts_with(NAMED)) else {
        return;
    };
    let boundary = field.1.split_off(NAMED.len()).into_bytes();
    while let Some(at) = answer.body.windows(boundary.len()).position(|part| part == boundary) {
        answer.body.drain(at..at + boundary.len());
    }
}

fn closes(request: &Request) -> bool {
    request.after == After::Close
}

impl World {
    fn new() -> World {
        let folder = site();
        let one = NonZeroUsize::MIN;
        let wires = |limits: Limits, options: Options, tls: Option<tls::Server>| {
            let times = transport::Limits::default();
            let times = transport::Limits { first_byte: HOUR, head: HOUR, body: HOUR, ..times };
            let times = transport::Limits { idle: HOUR, stall: HOUR, drain: HOUR, ..times };
            let times = transport::Limits { drain_silence: HOUR, ..times };
            let caches = Caches::new(one, CacheSizes::default(), &FILES);
            let files = Files::open(&folder.path().join("root"), options, &caches).expect("a root");
            let first = Generation { guest: default_guest(), files: Arc::new(files) };
            let active = Active::new(first, FailurePolicy::default());
            let wires = Wires {
                service: Arc::new(Service::new(Arc::new(active))),
                scheduler: SendScheduler::new(1),
                limits: times,
                http1: Http1 { limits, print_heads: false },
                http2: Http2 { prior_knowledge: tls.is_some(), ..Http2::default() },
                tls,
            };
            (limits, Arc::new(wires))
        };
        let listing = Options { list: true, compress: false, ..Options::default() };
        let (_, others) = wires(Limits::default(), Options::default(), Some(records::server()));
        let wires =
            [wires(Limits::default(), Options::default(), None), wires(narrow(), listing, None)];
        World { runtime: runtime(), _folder: folder, wires, others }
    }

    /// Gives all that comes back for these pieces, once the machine has time for it.
    pub(super) fn talk(&self, wires: &Arc<Wires>, pieces: &[&[u8]]) -> Vec<u8> {
        for _ in 1..ATTEMPTS {
            let received = self.talk_once(wires, pieces);
            if !tells_failure(&received) {
                return received;
            }
        }
        self.talk_once(wires, pieces)
    }

    /// Sends these pieces, one after the other, and gives all that comes back.
    fn talk_once(&self, wires: &Arc<Wires>, pieces: &[&[u8]]) -> Vec<u8> {
        self.runtime.block_on(async {
            let (mut client, serving) = connect(wires, Scheme::Http);
            let mut received = Vec::new();
            'sending: for piece in pieces {
                let mut rest = *piece;
                while !rest.is_empty() {
                    match client.try_write(rest) {
                        Ok(sent) => rest = &rest[sent..],
                        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                        // The server has said its last.
                        Err(_) => break 'sending,
                    }
                    for _ in 0..TURNS {
                        yield_now().await;
                    }
                    let mut buffer = [0; 4096];
                    while let Ok(count @ 1..) = client.try_read(&mut buffer) {
                        received.extend_from_slice(&buffer[..count]);
                    }
                }
            }
            let _ = tokio::io::AsyncWriteExt::shutdown(&mut client).await;
            // A reset comes after all that was sent.
            let _ = client.read_to_end(&mut received).await;
            drop(client);
            if let Err(error) = serving.await {
                std::panic::resume_unwind(error.into_panic());
            }
            received
        })
    }
}

/// A client, and the task that serves it.
pub(super) fn connect(wires: &Arc<Wires>, scheme: Scheme) -> (UnixStream, JoinHandle<()>) {
    let (client, server) = std::os::unix::net::UnixStream::pair().expect("a pair");
    client.set_nonblocking(true).expect("a socket");
    server.set_nonblocking(true).expect("a socket");
    // A pair of Unix sockets does all that the server asks of TCP.
    let server = std::net::TcpStream::from(OwnedFd::from(server));
    let server = TcpStream::from_std(server).expect("a socket");
    let client = UnixStream::from_std(client).expect("a socket");
    let (running, stopping) = watch::channel(false);
    let peer = Peer::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
    let wires = Arc::clone(wires);
    let serving = tokio::spawn(async move {
        let _running = running;
        serve(
            server.into_std().expect("a socket"),
            peer,
            scheme,
            wires,
            stopping,
            Place::uncounted(),
        )
        .await;
    });
    (client, serving)
}

/// A site that has been left alone for long enough to have tags and dates.
fn site() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (path, content) in [
        ("outside.txt", SECRET),
        ("root/index.html", b"<h1>home</h1>\n"),
        ("root/hello.txt", b"hello\n"),
        ("root/empty.txt", b""),
        ("root/range.txt", &[b'r'; 100]),
        ("root/a b.txt", b"spaced\n"),
        ("root/large.bin", &[b'l'; 40_000]),
        ("root/text.css", &b"a { b: c }\n".repeat(200)),
        ("root/ready.js", &b"let a = 1;\n".repeat(200)),
        ("root/ready.js.gz", b"not really"),
        ("root/docs/index.html", b"<h1>docs</h1>\n"),
        ("root/docs/404.html", b"<h1>nothing here</h1>\n"),
        ("root/bare/file.txt", b"x"),
        ("root/.env", SECRET),
        ("root/.well-known/security.txt", b"contact\n"),
    ] {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        let mut file = File::create(path).expect("a file");
        file.write_all(content).expect("a file");
        file.set_modified(UNIX_EPOCH + MODIFIED).expect("a time");
    }
    let root = folder.path().join("root");
    symlink("../outside.txt", root.join("out")).expect("a link");
    symlink("/etc/passwd", root.join("absolute")).expect("a link");
    symlink("loop", root.join("loop")).expect("a link");
    let written = Instant::now();
    while written.elapsed() < SETTLING {
        std::thread::yield_now();
    }
    folder
}
