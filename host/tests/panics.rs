//! A panic in the server costs one connection, and nobody else anything.

use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use innkeeper::http1::connection::Origin;
use innkeeper::server::{Running, Serve, Server};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::fixture::Client;

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
        _: Origin,
        _: watch::Receiver<bool>,
    ) -> impl Future<Output = ()> + Send + 'static {
        let turn = self.turns.fetch_add(1, Ordering::Relaxed);
        assert!(!self.when_accepted.contains(&turn), "in the accepting task, on purpose");
        async move {
            assert!(!self.when_served.contains(&turn), "in a connection, on purpose");
            socket.write_all(format!("hello {turn}\n").as_bytes()).await.unwrap();
        }
    }
}

/// One worker, so that nobody else can take its place.
fn start(service: &Panicking) -> (Running, std::net::SocketAddr) {
    let any_port = "127.0.0.1:0".parse().unwrap();
    let server = Server::bind(&[any_port], NonZeroUsize::MIN).unwrap();
    let address = server.addresses()[0];
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
fn a_panic_in_a_connection_ends_that_one_and_gives_its_place_back() {
    let service = Panicking { when_served: &[1, 2, 4], ..Panicking::default() };
    let (running, address) = start(&service);
    let heard: Vec<_> = (0..6).map(|_| hear(address)).collect();
    assert_eq!(heard, ["hello 0\n", "", "", "hello 3\n", "", "hello 5\n"]);
    // Each has given its permit back: nothing is left to be waited for.
    assert_eq!(stop(running), 0);
}

#[test]
fn a_panic_while_accepting_leaves_the_socket_open() {
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
