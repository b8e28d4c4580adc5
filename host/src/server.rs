//! Binds, accepts, counts connections, shuts down.
//!
//! Each worker is a thread with a single-threaded runtime and listening sockets
//! of its own (`SO_REUSEPORT`): the kernel spreads connections over them, and a
//! connection stays with its worker. Nothing is stolen, and little is locked.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, watch};

use crate::guest;
use crate::http1::connection::{self, Origin, Service};
use crate::panics;
use crate::site::OPEN_FILES;

/// Connections that may wait to be accepted, for each listening socket. The notes
/// that the project began with said 128; browsers open six at a time, and the
/// kernel cuts this to `net.core.somaxconn` (4096 since Linux 5.4).
const BACKLOG: i32 = 1024;

/// Connections at a time, for the whole server, unless descriptors are scarcer.
/// An idle one costs a few KiB.
const MAX_CONNECTIONS: usize = 16_384;

/// Descriptors that are not for connections: listeners, runtimes, logs.
const RESERVED_DESCRIPTORS: u64 = 64;

/// Descriptors that a connection needs: its socket, and the file it sends.
const DESCRIPTORS_PER_CONNECTION: u64 = 2;

/// How long accepting rests when the system is out of descriptors. Connections
/// that end meanwhile give some back.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// Threads of one worker that may wait for the disk.
const BLOCKING_THREADS: usize = 8;

/// How long such a thread stays when it has nothing to do: for ever. While there is one, what
/// needs one waits for it where the system gives no more; without any it would panic.
const BLOCKING_STAY: Duration = Duration::from_secs(u32::MAX as u64);

/// How often a worker shows that it gets to run. Service managers ask for a sign of life
/// every ten seconds or so.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// How long a worker waits for threads that wait for the disk, at the very end.
const BLOCKING_GRACE: Duration = Duration::from_millis(100);

/// Sockets that are bound and listen, and from which nothing was accepted yet.
pub struct Server {
    addresses: Vec<SocketAddr>,
    /// For each worker, one socket for each address.
    listeners: Vec<Vec<Socket>>,
    max_connections: usize,
}

/// A server whose workers accept and serve.
pub struct Running {
    workers: Vec<JoinHandle<()>>,
    heartbeats: Arc<[AtomicU64]>,
    connections: Arc<Semaphore>,
    max_connections: usize,
    stopping: watch::Sender<bool>,
    over: watch::Sender<bool>,
}

impl Server {
    /// Binds these addresses, for this many workers. Port 0 is any free port.
    pub fn bind(addresses: &[SocketAddr], workers: NonZeroUsize) -> anyhow::Result<Server> {
        let max_connections = max_connections(workers)?;
        let mut bound = Vec::new();
        let mut listeners: Vec<Vec<Socket>> = (0..workers.get()).map(|_| Vec::new()).collect();
        for &address in addresses {
            let sockets =
                bind_for_all(address, workers).map_err(|error| explain(address, error))?;
            bound.push(local_address(&sockets[0])?);
            for (listeners, socket) in listeners.iter_mut().zip(sockets) {
                listeners.push(socket);
            }
        }
        for socket in listeners.iter().flatten() {
            socket.listen(BACKLOG).context("cannot listen")?;
        }
        Ok(Server { addresses: bound, listeners, max_connections })
    }

    /// Takes over sockets that listen already, for this many workers: those that a
    /// service manager keeps while one server goes and the next one comes. All workers
    /// accept from each of them.
    pub fn inherit(
        inherited: Vec<std::net::TcpListener>,
        workers: NonZeroUsize,
    ) -> anyhow::Result<Server> {
        let max_connections = max_connections(workers)?;
        let mut addresses = Vec::new();
        let mut listeners: Vec<Vec<Socket>> = (0..workers.get()).map(|_| Vec::new()).collect();
        for socket in inherited.into_iter().map(Socket::from) {
            socket.set_nonblocking(true).context("cannot use an inherited socket")?;
            socket.set_tcp_nodelay(true).context("cannot use an inherited socket")?;
            addresses.push(local_address(&socket)?);
            for listeners in &mut listeners {
                listeners.push(socket.try_clone().context("cannot share an inherited socket")?);
            }
        }
        Ok(Server { addresses, listeners, max_connections })
    }

    /// The addresses that are bound, with their real ports, in the given order.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Starts the workers.
    pub fn start<S: Serve>(self, service: &S) -> anyhow::Result<Running> {
        let (stopping, _) = watch::channel(false);
        let (over, _) = watch::channel(false);
        let connections = Arc::new(Semaphore::new(self.max_connections));
        let heartbeats = self.listeners.iter().map(|_| AtomicU64::new(0)).collect::<Arc<[_]>>();
        let mut workers = Vec::new();
        for (number, mut listeners) in self.listeners.into_iter().enumerate() {
            let worker = Worker {
                number,
                service: service.clone(),
                connections: Arc::clone(&connections),
                stopping: stopping.subscribe(),
            };
            // What keeps a worker from its first start is told to who starts the server.
            let mut runtime = Some(new_runtime().context("cannot start a worker's runtime")?);
            let (begun, has_begun) = mpsc::channel();
            let mut begun = Some(begun);
            let over = over.subscribe();
            let heartbeats = Arc::clone(&heartbeats);
            let thread = thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn(move || {
                    // The sockets stay here, whatever becomes of what accepts from them.
                    panics::go_on(&format!("worker-{number}"), || {
                        let begun = begun.take();
                        let runtime = runtime.take().map_or_else(new_runtime, Ok)?;
                        worker.service.prepare_thread()?;
                        let heartbeat = &heartbeats[number];
                        worker.work(runtime, &mut listeners, over.clone(), heartbeat, begun)
                    });
                })
                .context("cannot start a worker")?;
            if has_begun.recv().is_err() {
                bail!("worker-{number} cannot start; the line above says why");
            }
            workers.push(thread);
        }
        let max_connections = self.max_connections;
        Ok(Running { workers, heartbeats, connections, max_connections, stopping, over })
    }
}

/// A runtime with the first of its threads that may wait for the disk.
fn new_runtime() -> io::Result<Runtime> {
    // Where there is no room for that thread the runtime would panic: one that ends at once
    // finds out, and leaves its room behind.
    let room = thread::Builder::new().spawn(|| {})?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_keep_alive(BLOCKING_STAY)
        .build()?;
    // It does nothing that could panic.
    let _ = room.join();
    drop(runtime.spawn_blocking(|| {}));
    Ok(runtime)
}

/// Counts, as long as the worker gets to it.
async fn beat(heartbeat: &AtomicU64) {
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        heartbeat.fetch_add(1, Ordering::Relaxed);
    }
}

impl Running {
    /// How often each worker's heart has beaten: about once a second. One that stands still
    /// serves nobody.
    pub fn heartbeats(&self) -> Vec<u64> {
        self.heartbeats.iter().map(|heartbeat| heartbeat.load(Ordering::Relaxed)).collect()
    }

    /// Stops: nothing more is accepted, idle connections are closed, requests in
    /// flight are finished, for at most this long. Tells how many connections
    /// were cut.
    pub async fn stop(self, grace: Duration) -> usize {
        self.stopping.send_replace(true);
        let all = u32::try_from(self.max_connections).unwrap_or(u32::MAX);
        // All permits are back when all connections are gone.
        let finished = tokio::time::timeout(grace, self.connections.acquire_many(all)).await;
        let cut = match finished {
            Ok(_) => 0,
            Err(_) => self.max_connections - self.connections.available_permits(),
        };
        self.over.send_replace(true);
        for worker in self.workers {
            if worker.join().is_err() {
                tracing::error!("a worker panicked");
            }
        }
        cut
    }
}

/// Serves connections.
pub trait Serve: Clone + Send + Sync + 'static {
    /// Takes what a thread that serves needs of the system beforehand, so that none is left
    /// without it later.
    fn prepare_thread(&self) -> io::Result<()> {
        Ok(())
    }

    /// Serves one until it ends. When `stopping` becomes true that should be soon.
    fn serve(
        self,
        socket: TcpStream,
        origin: Origin,
        stopping: watch::Receiver<bool>,
    ) -> impl Future<Output = ()> + Send + 'static;
}

impl Serve for Arc<Service> {
    fn prepare_thread(&self) -> io::Result<()> {
        guest::prepare_thread()
    }

    fn serve(
        self,
        socket: TcpStream,
        origin: Origin,
        stopping: watch::Receiver<bool>,
    ) -> impl Future<Output = ()> + Send + 'static {
        connection::serve(socket, origin, self, stopping)
    }
}

/// What a worker's accepting tasks share.
#[derive(Clone)]
struct Worker<S> {
    number: usize,
    service: S,
    connections: Arc<Semaphore>,
    stopping: watch::Receiver<bool>,
}

impl<S: Serve> Worker<S> {
    /// Accepts and serves until the server is over.
    fn work(
        &self,
        runtime: Runtime,
        listeners: &mut Vec<Socket>,
        mut over: watch::Receiver<bool>,
        heartbeat: &AtomicU64,
        begun: Option<mpsc::Sender<()>>,
    ) -> io::Result<()> {
        runtime.block_on(async {
            for listener in &*listeners {
                let listener = Arc::new(into_tokio(listener.try_clone()?)?);
                let worker = self.clone();
                tokio::spawn(panics::keep_up("accepting", move || {
                    worker.clone().accept_from(Arc::clone(&listener))
                }));
            }
            if let Some(begun) = begun {
                // Who starts the server waits for it.
                let _ = begun.send(());
            }
            // An error means that the server is gone, which is an end.
            let mut stopping = self.stopping.clone();
            let is_over = async {
                let _ = stopping.wait_for(|stopping| *stopping).await;
                // Now clients are to be refused, and not to wait for who will not come.
                listeners.clear();
                let _ = over.wait_for(|over| *over).await;
            };
            tokio::select! {
                () = is_over => {}
                () = beat(heartbeat) => {}
            }
            Ok::<(), io::Error>(())
        })?;
        runtime.shutdown_timeout(BLOCKING_GRACE);
        Ok(())
    }

    /// Accepts connections until the server stops.
    async fn accept_from(mut self, listener: Arc<TcpListener>) {
        let mut is_short = false;
        loop {
            let stopping = self.stopping.clone();
            let next = async {
                // At the cap, connections wait in the backlog for one to end.
                let permit = Arc::clone(&self.connections).acquire_owned().await;
                (permit, listener.accept().await)
            };
            let (permit, accepted) = tokio::select! {
                biased;
                _ = self.stopping.wait_for(|stopping| *stopping) => return,
                next = next => next,
            };
            match accepted {
                Ok((socket, client)) => {
                    if std::mem::take(&mut is_short) {
                        tracing::warn!("connections are accepted again");
                    }
                    // An inherited socket may be one for both versions of IP.
                    let client = client.ip().to_canonical();
                    let origin = Origin { client, worker: self.number };
                    let served = self.service.clone().serve(socket, origin, stopping);
                    tokio::spawn(async move {
                        served.await;
                        drop(permit);
                    });
                }
                Err(error) if is_exhaustion(&error) => {
                    // Once, and not ten times a second.
                    if !std::mem::replace(&mut is_short, true) {
                        tracing::error!("cannot accept connections now: {error}; they wait");
                    }
                    tokio::time::sleep(ACCEPT_REST).await;
                }
                // The connection ended before it was accepted.
                Err(error) => tracing::debug!("a connection was not accepted: {error}"),
            }
        }
    }
}

/// Whether accepting failed because the system is short of something: it fails
/// again until something is given back.
fn is_exhaustion(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)
    )
}

/// One bound socket for each worker, all on the same address.
fn bind_for_all(address: SocketAddr, workers: NonZeroUsize) -> io::Result<Vec<Socket>> {
    if address.port() != 0 {
        // Sockets that share a port would share it with another server of the
        // same user as well, without a word. One that does not share finds out.
        bind(address, Sharing::Alone)?;
    }
    let first = bind(address, Sharing::AmongWorkers)?;
    let bound = local_address(&first)?;
    let mut sockets = vec![first];
    for _ in 1..workers.get() {
        sockets.push(bind(bound, Sharing::AmongWorkers)?);
    }
    Ok(sockets)
}

/// Whether other sockets may be bound to the same address and port.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    Alone,
    AmongWorkers,
}

fn bind(address: SocketAddr, sharing: Sharing) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart binds at once, while connections of before are in TIME_WAIT.
    socket.set_reuse_address(true)?;
    if sharing == Sharing::AmongWorkers {
        socket.set_reuse_port(true)?;
    }
    if address.is_ipv6() {
        // `[::]` and `0.0.0.0` are two addresses, whatever the system's default.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    // Answers are written whole: waiting to fill a packet only delays their ends.
    // Accepted sockets inherit this (tcp(7)).
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn local_address(socket: &Socket) -> io::Result<SocketAddr> {
    socket
        .local_addr()?
        .as_socket()
        .ok_or_else(|| io::Error::other("a TCP socket without an IP address"))
}

fn into_tokio(socket: Socket) -> io::Result<TcpListener> {
    TcpListener::from_std(socket.into())
}

/// Says what to do about an address that cannot be bound.
fn explain(address: SocketAddr, error: io::Error) -> anyhow::Error {
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program listens there; stop it, or choose another \
            port with --listen"
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need a privilege; choose a higher \
            one with --listen"
        }
        io::ErrorKind::AddrNotAvailable => "this machine does not have that address",
        _ => return anyhow!(error).context(format!("cannot listen on {address}")),
    };
    anyhow!("cannot listen on {address}: {advice}")
}

/// How many connections the descriptors of this process allow, after asking for
/// as many as it may have.
fn max_connections(workers: NonZeroUsize) -> anyhow::Result<usize> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current < limit.maximum {
        limit.current = limit.maximum;
        // Refused in some sandboxes; what we have then has to do.
        if setrlimit(Resource::Nofile, limit).is_err() {
            limit = getrlimit(Resource::Nofile);
        }
    }
    let Some(descriptors) = limit.current else {
        return Ok(MAX_CONNECTIONS);
    };
    // A worker keeps few files open, and fewer still where there are few to have.
    let open_files = OPEN_FILES.saturating_mul(workers.get() as u64).min(descriptors / 4);
    let for_connections = descriptors.saturating_sub(RESERVED_DESCRIPTORS + open_files);
    let allowed = usize::try_from(for_connections / DESCRIPTORS_PER_CONNECTION)
        .unwrap_or(MAX_CONNECTIONS)
        .min(MAX_CONNECTIONS);
    if allowed == 0 {
        anyhow::bail!(
            "this process may open only {descriptors} files; allow it at least {} (ulimit -n)",
            RESERVED_DESCRIPTORS * 2
        );
    }
    Ok(allowed)
}
