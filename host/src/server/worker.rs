//! One worker: a thread that accepts connections and serves them.

use std::future::Future;
use std::io;
use std::net::TcpStream;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use socket2::Socket as Listener;
use tokio::runtime::Runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use crate::http::{Peer, Scheme};
use crate::supervise;
use crate::throttle::Throttle;
use crate::transport::acceptor::Acceptor;

/// How long accepting rests when the system is out of descriptors. Connections
/// that end meanwhile give some back.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// How often a worker shows that it gets to run. Service managers ask for a sign of life
/// every ten seconds or so.
pub const HEARTBEAT: Duration = Duration::from_secs(1);

/// The place of a connection among all that the server may have. Dropping it makes room for
/// another one.
pub struct Place(
    #[expect(dead_code, reason = "it is dropped, which is all that it is for")] Permit,
);

type Permit = Option<OwnedSemaphorePermit>;

impl Place {
    /// A place beside those that are counted.
    pub fn uncounted() -> Place {
        Place(None)
    }
}

/// Serves connections.
pub trait Serve: Clone + Send + Sync + 'static {
    /// Takes what a thread that serves needs of the system beforehand, so that none is left
    /// without it later.
    fn prepare_thread(&self) -> io::Result<()> {
        Ok(())
    }

    /// Serves one that does not block, of a listener for this scheme, until it ends, and then drops its
    /// place. When `stopping` becomes true that should be soon.
    fn serve(
        self,
        socket: TcpStream,
        peer: Peer,
        scheme: Scheme,
        stopping: watch::Receiver<bool>,
        place: Place,
    ) -> impl Future<Output = ()> + Send + 'static;
}

/// The sockets that a worker accepts from.
pub(super) struct Listening {
    pub(super) sockets: Vec<(Scheme, Listener)>,
    /// Dropped with the last of them, which the stop waits for.
    pub(super) are_open: mpsc::Sender<()>,
}

/// What a worker's accepting tasks share.
#[derive(Clone)]
pub(super) struct Worker<S> {
    pub(super) number: usize,
    /// How long it goes on accepting when the server stops.
    pub(super) accept_on: Duration,
    pub(super) service: S,
    pub(super) connections: Arc<Semaphore>,
    pub(super) stopping: watch::Receiver<bool>,
}

impl<S: Serve> Worker<S> {
    /// Accepts and serves until the server is over.
    pub(super) fn work(
        &self,
        runtime: Runtime,
        listening: &mut Option<Listening>,
        mut over: watch::Receiver<bool>,
        heartbeat: &AtomicU64,
        begun: Option<std::sync::mpsc::Sender<()>>,
    ) -> io::Result<()> {
        runtime.block_on(async {
            for (scheme, listener) in listening.iter().flat_map(|listening| &listening.sockets) {
                let listener = Arc::new(Acceptor::new(listener.try_clone()?)?);
                let (scheme, worker) = (*scheme, self.clone());
                let is_open = listening.as_ref().map(|listening| listening.are_open.clone());
                tokio::spawn(supervise::task("accept", move || {
                    // It goes with the socket.
                    let _is_open = &is_open;
                    worker.clone().accept_from(Arc::clone(&listener), scheme)
                }));
            }
            if let Some(begun) = begun {
                // The start of the server waits for it.
                let _ = begun.send(());
            }
            // An error means that the server is gone, which is an end.
            let mut stopping = self.stopping.clone();
            let is_over = async {
                let _ = stopping.wait_for(|stopping| *stopping).await;
                // From now on clients are refused, instead of waiting for an accept that never comes.
                *listening = None;
                let _ = over.wait_for(|over| *over).await;
            };
            tokio::select! {
                () = is_over => {}
                () = beat(heartbeat) => {}
            }
            Ok(())
        })
    }

    /// Accepts connections until the server stops.
    async fn accept_from(self, listener: Arc<Acceptor>, scheme: Scheme) {
        // Why it cannot accept now is logged once, and not ten times a second.
        let (mut is_short, mut is_logged) = (false, false);
        let throttle = Throttle::new();
        let (mut is_stopping, accept_on) = (self.stopping.clone(), self.accept_on);
        let mut has_ended = pin!(async {
            let _ = is_stopping.wait_for(|stopping| *stopping).await;
            if !accept_on.is_zero() {
                // Who connects from now on is accepted, and not reset, when this ends.
                listener.accept_at_once();
                tokio::time::sleep(accept_on).await;
            }
        });
        loop {
            let stopping = self.stopping.clone();
            let next = async {
                let accepted = listener.accept().await;
                // At the cap it waits for another one to end, and those behind it in the
                // backlog. Waiting for a client with a place in hand would keep the place
                // from a client of another worker. If the server stops meanwhile it is closed.
                let permit = Arc::clone(&self.connections).acquire_owned().await;
                (permit, accepted)
            };
            let (permit, accepted) = tokio::select! {
                biased;
                () = &mut has_ended => return,
                next = next => next,
            };
            match accepted {
                Ok((socket, client)) => {
                    if std::mem::take(&mut is_short) && std::mem::take(&mut is_logged) {
                        tracing::warn!("connections are accepted again");
                    }
                    let peer = Peer::new(client, self.number);
                    // The place is dropped by what is spawned: in a task around that, each
                    // connection would have room for it twice.
                    let place = Place(permit.ok());
                    let service = self.service.clone();
                    tokio::spawn(service.serve(socket, peer, scheme, stopping, place));
                }
                Err(error) if is_exhaustion(&error) => {
                    if !std::mem::replace(&mut is_short, true) {
                        throttle.log(|suppressed| {
                            let worker = self.number;
                            tracing::error!(worker, %error, suppressed, "cannot accept connections, they wait");
                            is_logged = true;
                        });
                    }
                    tokio::time::sleep(ACCEPT_REST).await;
                }
                // The connection ended before it was accepted.
                Err(error) => tracing::debug!(%error, "connection was not accepted"),
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

/// A runtime without threads of its own: what may wait for the disk is for those of [`disk`].
///
/// [`disk`]: crate::disk
pub(super) fn new_runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// Counts, as long as the worker gets to it.
async fn beat(heartbeat: &AtomicU64) {
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        heartbeat.fetch_add(1, Ordering::Relaxed);
    }
}
