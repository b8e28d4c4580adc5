//! A panic in the server costs one connection, and nobody else anything.

use std::fs;
use std::future::Future;
use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use innkeeper::http::{Peer, Scheme};
use innkeeper::server::{Address, MAX_CONNECTIONS, Place, Reserved, Running, Serve, Server};
use rustix::process::Signal;
use seccompiler::SeccompCmpOp;
use tokio::sync::watch;

use crate::faulty_calls::{Fault, start_with};
use crate::fixture::{Client, site};
use crate::running::{Program, serving, told};

/// Says hello, unless it is a connection's turn to panic.
#[derive(Clone, Default)]
struct Panicking {
    /// Connections so far.
    turns: Arc<AtomicUsize>,
    /// Which turns panic while they are accepted.
    when_accepted: &'static [usize],
    /// Which panic while they are served.
    when_served: &'static [usize],
}

impl Serve for Panicking {
    fn serve(
        self,
        mut socket: TcpStream,
        _: Peer,
        _: Scheme,
        _: watch::Receiver<bool>,
        place: Place,
    ) -> impl Future<Output = ()> + Send + 'static {
        let turn = self.turns.fetch_add(1, Ordering::Relaxed);
        assert!(!self.when_accepted.contains(&turn), "in the accepting task, on purpose");
        async move {
            let _place = place;
            assert!(!self.when_served.contains(&turn), "in a connection, on purpose");
            socket.write_all(format!("hello {turn}\n").as_bytes()).unwrap();
        }
    }
}

/// One worker, so that nobody else can take its place.
fn start(service: &Panicking) -> (Running, std::net::SocketAddr) {
    let any_port = Address { scheme: Scheme::Http, socket: ([127, 0, 0, 1], 0).into() };
    let server = Server::bind(
        &[any_port],
        Reserved { listeners: 1, sites: 1 },
        NonZeroUsize::MIN,
        MAX_CONNECTIONS,
    )
    .unwrap();
    let address = server.addresses()[0].socket;
    (server.start(service).unwrap(), address)
}

fn stop(running: Running) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(running.stop(Duration::from_secs(20)))
}

fn hear(address: std::net::SocketAddr) -> String {
    let (heard, _) = Client::connect(address).read_to_end();
    String::from_utf8(heard).unwrap()
}

#[test]
fn panic_in_a_connection_ends_it_and_frees_its_place() {
    let service = Panicking { when_served: &[1, 2, 4], ..Panicking::default() };
    let (running, address) = start(&service);
    let heard: Vec<_> = (0..6).map(|_| hear(address)).collect();
    assert_eq!(heard, ["hello 0\n", "", "", "hello 3\n", "", "hello 5\n"]);
    // Each has given its permit back: nothing is left to be waited for.
    assert_eq!(stop(running), 0);
}

#[test]
fn panic_while_accepting_leaves_the_socket_open() {
    let service = Panicking { when_accepted: &[1, 2], ..Panicking::default() };
    let (running, address) = start(&service);
    assert_eq!(hear(address), "hello 0\n");
    let began = Instant::now();
    assert_eq!(hear(address), "", "the connection in whose turn it panicked");
    // These wait in the backlog, where the next panic does not touch them.
    let mut waiting = [Client::connect(address), Client::connect(address)];
    let heard = waiting.each_mut().map(|client| client.read_to_end().0);
    assert_eq!(heard, [&b""[..], b"hello 3\n"]);
    assert!(began.elapsed() >= Duration::from_secs(2), "it rests for a second each time");
    assert_eq!(running.heartbeats().len(), 1);
    assert_eq!(stop(running), 0);
}

/// Which the second of two workers cannot make use of.
struct Unready;

impl Clone for Unready {
    fn clone(&self) -> Unready {
        assert_ne!(thread::current().name(), Some("worker-1"), "on purpose");
        Unready
    }
}

impl Serve for Unready {
    async fn serve(self, _: TcpStream, _: Peer, _: Scheme, _: watch::Receiver<bool>, _: Place) {}
}

/// It was told that all is well, while connections waited for a worker that began anew each
/// second.
#[test]
fn worker_that_cannot_start_is_an_error_of_the_start() {
    let any_port = Address { scheme: Scheme::Http, socket: ([127, 0, 0, 1], 0).into() };
    let server = Server::bind(
        &[any_port],
        Reserved { listeners: 1, sites: 1 },
        NonZeroUsize::new(2).unwrap(),
        MAX_CONNECTIONS,
    )
    .unwrap();
    let error = server.start(&Unready).err().expect("it did not start").to_string();
    assert!(error.contains("worker-1 cannot start"), "{error}");
}

/// Descriptors by which the runtimes of a program wait for sockets, in their order.
fn waits(program: &Program) -> Vec<u64> {
    let folder = format!("/proc/{}/fd", program.child.id());
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let is_wait = |entry: &fs::DirEntry| {
        fs::read_link(entry.path()).is_ok_and(|link| link.ends_with("anon_inode:[eventpoll]"))
    };
    let number = |entry: fs::DirEntry| entry.file_name().to_str().unwrap().parse().unwrap();
    let mut numbers: Vec<u64> = entries.filter(is_wait).map(number).collect();
    numbers.sort_unstable();
    numbers
}

/// The second of two workers cannot wait for sockets, whenever it is begun anew: its runtime
/// panics then.
fn with_a_worker_that_panics_each_time() -> (Program, tempfile::TempDir) {
    let folder = site();
    let start = || {
        let flags = ["--workers", "2", "--no-site-rules", "--admin", "127.0.0.1:0"];
        serving(&folder.path().join("root"), &flags)
    };
    // Each runtime has two of them, and what watches files one. They are made in the same order
    // each time, those of workers last.
    let waits = waits(&Program::start(start(), 1));
    assert_eq!(waits.len(), 7, "of the program, its watch and two workers: {waits:?}");
    let is_of_the_last = Some((0, SeccompCmpOp::Ge, waits[5]));
    let mut faults: Vec<Fault> = vec![(libc::SYS_epoll_pwait, is_of_the_last.clone())];
    #[cfg(target_arch = "x86_64")]
    faults.push((libc::SYS_epoll_wait, is_of_the_last));
    (start_with(&faults, start()), folder)
}

#[test]
fn worker_that_panics_each_time_leaves_the_others_serving() {
    let (mut program, _folder) = with_a_worker_that_panics_each_time();
    let began = Instant::now();
    let admin = program.admin();
    // The kernel gives some of these to the one, some to the other, which are kept waiting.
    let mut clients: Vec<_> = (0..32).map(|_| program.client()).collect();
    for client in &mut clients {
        client.send("GET /hello.txt HTTP/1.1\r\nHost: test\r\n\r\n");
    }
    let is_served = |client: &mut Client| {
        client.socket().set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        match client.receive() {
            Ok(0) => panic!("it was closed"),
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            came => came.is_ok(),
        }
    };
    let served = loop {
        if let Some(at) = clients.iter_mut().position(is_served) {
            break &mut clients[at];
        }
        assert!(began.elapsed() < Duration::from_secs(20), "nobody is served");
    };
    served.socket().set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    assert_eq!(served.reply().text(), "hello\n");
    for _ in 0..3 {
        let line = program.wait_for("panic thread=worker-1");
        assert!(line.contains("I/O driver"), "{line}");
        program.wait_for("thread panicked, restarting thread=worker-1");
        served.expect_open();
    }
    // It is begun three times, with a second between them.
    assert!(began.elapsed() >= Duration::from_millis(1900), "{:?}", began.elapsed());
    program.wait_for("worker missed its heartbeat worker=1");
    served.expect_open();
    let so_far = program.said.matches("ERROR panic thread=").count();
    let allowed = usize::try_from(began.elapsed().as_secs()).unwrap() + 2;
    assert!((4..=allowed).contains(&so_far), "{so_far} panics in {:?}", began.elapsed());
    assert!(!program.said.contains("panic thread=worker-0"), "{}", program.said);
    let metrics = told(admin, "/metrics");
    let counted = metrics.lines().find_map(|line| line.strip_prefix("innkeeper_panics_total "));
    assert!(counted.unwrap().parse::<usize>().unwrap() >= so_far, "{metrics}");
    let health = told(admin, "/healthz");
    assert!(health.starts_with("worker 1 missed its heartbeat for "), "{health}");
    program.signal(Signal::TERM);
    assert!(program.finish().0.success());
}
