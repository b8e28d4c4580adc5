//! Binds, accepts, counts connections, shuts down.
//!
//! Each worker is a thread with a single-threaded runtime and listening sockets
//! of its own (`SO_REUSEPORT`): the kernel spreads connections over them, and a
//! connection stays with its worker. Nothing is stolen, and little is locked.

pub mod connection;
mod worker;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use socket2::Socket;
use tokio::sync::{Semaphore, watch};

use crate::files::OPEN_FILES;
use crate::http::Scheme;
use crate::supervise;
pub use crate::transport::Address;
use crate::transport::listener::{bind_for_all, explain, local_address, path_of, prepare};
use crate::transport::socket_file::{self, SocketFile};
use crate::transport::{FileAccess, defer_accept};
pub use worker::{HEARTBEAT, Place, Serve};
use worker::{Listening, Worker, new_runtime};

/// How long a server that stops goes on accepting where it defers that: clients that have connected, and send
/// their request with the next packet, would be reset by the kernel.
const ACCEPT_ON: Duration = Duration::from_millis(100);

/// Connections that may wait to be accepted, for each listening socket. The notes
/// that the project began with said 128; browsers open six at a time, and the
/// kernel cuts this to `net.core.somaxconn` (4096 since Linux 5.4).
const BACKLOG: i32 = 1024;

/// Connections at a time, for the whole server, unless descriptors are scarcer.
/// An idle one costs a few KiB.
pub const MAX_CONNECTIONS: NonZeroUsize = NonZeroUsize::new(16_384).expect("is not zero");

/// Descriptors that are not for connections: logs, the guest, the administration.
const RESERVED_DESCRIPTORS: u64 = 48;

/// Those of a worker: its runtime, and for each address or path a socket, its double and one that was
/// accepted and waits for a place.
const DESCRIPTORS_PER_WORKER: u64 = 4;
const DESCRIPTORS_PER_LISTENER: u64 = 3;

/// Those of a site: its root, the one before and the one that takes its place, and its log.
const DESCRIPTORS_PER_SITE: u64 = 4;

/// Descriptors that a connection needs: its socket, and the file it sends.
const DESCRIPTORS_PER_CONNECTION: u64 = 2;

/// What has descriptors of its own, beside connections.
#[derive(Clone, Copy, Debug)]
pub struct Reserved {
    /// Addresses and paths that are listened on.
    pub listeners: usize,
    /// Sites that are served.
    pub sites: usize,
}

/// Sockets that are bound and listen, and from which nothing was accepted yet.
#[derive(Default)]
pub struct Server {
    addresses: Vec<Address>,
    /// The paths of Unix sockets.
    paths: Vec<PathBuf>,
    /// Their files, where this server has made them.
    files: Vec<SocketFile>,
    /// For each worker, one socket for each address, and one for each path.
    listeners: Vec<Vec<(Scheme, Socket)>>,
    max_connections: usize,
    /// Whether connections are accepted only when their client has sent something.
    is_deferring: bool,
}

/// How long it is waited for workers to end, once their connections did. One that is stuck in
/// the kernel never does.
const WORKER_GRACE: Duration = Duration::from_secs(1);

/// A server whose workers accept and serve.
pub struct Running {
    /// Removed when the server accepts nothing more.
    files: Vec<SocketFile>,
    /// Closed when all workers have ended.
    workers: tokio::sync::mpsc::Receiver<()>,
    /// Closed when all sockets that listen are.
    listening: tokio::sync::mpsc::Receiver<()>,
    heartbeats: Arc<[AtomicU64]>,
    connections: Arc<Semaphore>,
    max_connections: usize,
    stopping: watch::Sender<bool>,
    over: watch::Sender<bool>,
}

/// The places of connections, also when what serves them was given up: then they are reset.
pub struct Places {
    all: usize,
    free: Arc<Semaphore>,
}

impl Server {
    /// Binds these addresses, for this many workers. Port 0 is any free port. Descriptors are
    /// reserved for all listeners: the addresses, and the paths that are [bound](Self::bind_unix)
    /// next.
    pub fn bind(
        addresses: &[Address],
        reserved: Reserved,
        workers: NonZeroUsize,
        max_connections: NonZeroUsize,
    ) -> anyhow::Result<Server> {
        let max_connections = possible_connections(max_connections, workers, reserved)?;
        let mut bound = Vec::new();
        let mut listeners: Vec<Vec<_>> = (0..workers.get()).map(|_| Vec::new()).collect();
        for &Address { scheme, socket: address } in addresses {
            let sockets = match bind_for_all(address, workers) {
                Err(error) if lacks_ipv6(address, &error, addresses) => {
                    tracing::warn!(%address, "machine has no IPv6, only IPv4 is listened on");
                    continue;
                }
                sockets => sockets.map_err(|error| explain(address, error))?,
            };
            bound.push(Address { scheme, socket: local_address(&sockets[0])? });
            for (listeners, socket) in listeners.iter_mut().zip(sockets) {
                listeners.push((scheme, socket));
            }
        }
        for (_, socket) in listeners.iter().flatten() {
            socket.listen(BACKLOG).context("cannot listen")?;
        }
        Ok(Server { addresses: bound, listeners, max_connections, ..Server::default() })
    }

    /// Listens on Unix sockets, too. All workers accept from each of them. To be called while there is one thread.
    pub fn bind_unix(&mut self, paths: &[PathBuf], access: FileAccess) -> anyhow::Result<()> {
        for path in paths {
            let (socket, file) = socket_file::bind(path, access)?;
            self.files.push(file);
            self.share(Scheme::Http, &socket)?;
            socket.listen(BACKLOG).context("cannot listen")?;
            self.paths.push(path.clone());
        }
        Ok(())
    }

    /// Has connections of TCP be accepted when their client has sent something, or after this time. On a
    /// socket of another kind they are accepted at once.
    pub fn defer_accept(&mut self, wait: Duration) {
        self.is_deferring = !wait.is_zero();
        for (_, socket) in self.listeners.iter().flatten() {
            if path_of(socket).is_none()
                && let Err(error) = defer_accept::set(socket, wait)
            {
                tracing::debug!(%error, "connections are accepted at once");
            }
        }
    }

    /// Has all workers accept from a socket.
    fn share(&mut self, scheme: Scheme, socket: &Socket) -> anyhow::Result<()> {
        for listeners in &mut self.listeners {
            let socket = socket.try_clone().context("cannot share a socket")?;
            listeners.push((scheme, socket));
        }
        Ok(())
    }

    /// Takes over sockets that listen already, for this many workers: those that a
    /// service manager keeps while one server goes and the next one comes. All workers
    /// accept from each of them.
    pub fn inherit(
        inherited: Vec<(Scheme, Socket)>,
        sites: usize,
        workers: NonZeroUsize,
        max_connections: NonZeroUsize,
    ) -> anyhow::Result<Server> {
        let reserved = Reserved { listeners: inherited.len(), sites };
        let max_connections = possible_connections(max_connections, workers, reserved)?;
        let listeners: Vec<Vec<_>> = (0..workers.get()).map(|_| Vec::new()).collect();
        let mut server = Server { listeners, max_connections, ..Server::default() };
        for (scheme, socket) in inherited {
            match path_of(&socket) {
                Some(path) => {
                    socket.set_nonblocking(true).context("cannot use an inherited socket")?;
                    server.paths.push(path);
                }
                None => {
                    prepare(&socket).context("cannot use an inherited socket")?;
                    server.addresses.push(Address { scheme, socket: local_address(&socket)? });
                }
            }
            server.share(scheme, &socket)?;
        }
        Ok(server)
    }

    /// The addresses that are bound, with their real ports, in the given order.
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// The paths of Unix sockets.
    pub fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// The directories that files of sockets are removed from in the end.
    pub fn socket_directories(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(SocketFile::directory)
    }

    /// Starts the workers.
    pub fn start<S: Serve>(self, service: &S) -> anyhow::Result<Running> {
        let (stopping, _) = watch::channel(false);
        let (over, _) = watch::channel(false);
        let connections = Arc::new(Semaphore::new(self.max_connections));
        let heartbeats = self.listeners.iter().map(|_| AtomicU64::new(0)).collect::<Arc<[_]>>();
        let (at_work, workers) = tokio::sync::mpsc::channel(1);
        let (are_open, listening) = tokio::sync::mpsc::channel(1);
        for (number, sockets) in self.listeners.into_iter().enumerate() {
            let worker = Worker {
                number,
                accept_on: if self.is_deferring { ACCEPT_ON } else { Duration::ZERO },
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
            let at_work = at_work.clone();
            let mut listening = Some(Listening { sockets, are_open: are_open.clone() });
            thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn(move || {
                    // What it has of the service goes before it is said to have ended.
                    let (_at_work, worker) = (at_work, worker);
                    // The sockets stay here, whatever becomes of what accepts from them.
                    supervise::thread(&format!("worker-{number}"), || {
                        let begun = begun.take();
                        let runtime = runtime.take().map_or_else(new_runtime, Ok)?;
                        worker.service.prepare_thread()?;
                        let heartbeat = &heartbeats[number];
                        worker.work(runtime, &mut listening, over.clone(), heartbeat, begun)
                    });
                })
                .context("cannot start a worker")?;
            if has_begun.recv().is_err() {
                bail!("worker-{number} cannot start; the line above says why");
            }
        }
        let (max_connections, files) = (self.max_connections, self.files);
        Ok(Running {
            files,
            workers,
            listening,
            heartbeats,
            connections,
            max_connections,
            stopping,
            over,
        })
    }
}

impl Running {
    /// The number of heartbeats of each worker, about one per second. A worker that misses them
    /// serves no client.
    pub fn heartbeats(&self) -> Vec<u64> {
        self.heartbeats.iter().map(|heartbeat| heartbeat.load(Ordering::Relaxed)).collect()
    }

    /// The places of connections.
    pub fn places(&self) -> Places {
        Places { all: self.max_connections, free: Arc::clone(&self.connections) }
    }

    /// Accepts nothing more, and closes the sockets that listen: should the process not end, as a
    /// file system keeps one of its threads, the next one can have its addresses.
    pub async fn close(&mut self) {
        self.stopping.send_replace(true);
        if tokio::time::timeout(WORKER_GRACE, self.listening.recv()).await.is_err() {
            tracing::error!("worker keeps its sockets, it waits for the kernel");
        }
        for file in self.files.drain(..) {
            file.remove();
        }
    }

    /// Stops: nothing more is accepted, idle connections are closed, requests in
    /// flight are finished, for at most this long. Tells how many connections
    /// were cut.
    pub async fn stop(mut self, grace: Duration) -> usize {
        self.close().await;
        let places = self.places();
        let finished = tokio::time::timeout(grace, places.are_free()).await;
        let cut = match finished {
            Ok(()) => 0,
            Err(_) => self.max_connections - self.connections.available_permits(),
        };
        self.over.send_replace(true);
        if tokio::time::timeout(WORKER_GRACE, self.workers.recv()).await.is_err() {
            tracing::error!("worker does not end, it waits for the kernel");
        }
        cut
    }
}

impl Places {
    /// Waits until all connections are gone.
    pub async fn are_free(&self) {
        let all = u32::try_from(self.all).unwrap_or(u32::MAX);
        // An error would mean that the semaphore was closed, which never happens.
        let _all = self.free.acquire_many(all).await;
    }
}

/// Whether all addresses of IPv6 cannot be listened on, as the machine has none, and those of IPv4
/// are there instead.
pub fn lacks_ipv6(address: SocketAddr, error: &io::Error, all: &[Address]) -> bool {
    use rustix::io::Errno;
    let is_ipv4 = |other: &Address| {
        other.socket.is_ipv4()
            && (other.socket.ip(), other.socket.port())
                == (Ipv4Addr::UNSPECIFIED.into(), address.port())
    };
    let is_lacking =
        matches!(Errno::from_io_error(error), Some(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL));
    address.is_ipv6() && address.ip().is_unspecified() && is_lacking && all.iter().any(is_ipv4)
}

/// Raises the limit of descriptors as far as this process may, and gives it; `None` if there is none.
/// To be called before sites are opened: each has some.
pub fn raise_descriptors() -> Option<u64> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current < limit.maximum {
        limit.current = limit.maximum;
        // Refused in some sandboxes; what we have then has to do.
        if setrlimit(Resource::Nofile, limit).is_err() {
            limit = getrlimit(Resource::Nofile);
        }
    }
    limit.current
}

/// How many of these connections the descriptors of this process allow, after asking for
/// as many as it may have.
pub fn possible_connections(
    wanted: NonZeroUsize,
    workers: NonZeroUsize,
    Reserved { listeners, sites }: Reserved,
) -> anyhow::Result<usize> {
    let Some(descriptors) = raise_descriptors() else {
        return Ok(wanted.get());
    };
    // A worker keeps few files open, and fewer still where there are few to have.
    let open_files = OPEN_FILES.saturating_mul(workers.get() as u64).min(descriptors / 4);
    let of_workers = (DESCRIPTORS_PER_WORKER + DESCRIPTORS_PER_LISTENER * listeners as u64)
        .saturating_mul(workers.get() as u64);
    let of_sites = DESCRIPTORS_PER_SITE.saturating_mul(sites as u64);
    let reserved = RESERVED_DESCRIPTORS.saturating_add(of_workers).saturating_add(of_sites);
    let for_connections = descriptors.saturating_sub(reserved.saturating_add(open_files));
    let allowed = usize::try_from(for_connections / DESCRIPTORS_PER_CONNECTION)
        .unwrap_or(usize::MAX)
        .min(wanted.get());
    if allowed == 0 {
        anyhow::bail!(
            "this process may open only {descriptors} files; allow it at least {} (ulimit -n)",
            reserved * 2
        );
    }
    Ok(allowed)
}
