//! For who runs the server: its health, metrics and status, and the guest that serves.
//!
//! An HTTP server of its own, on its own listener, apart from what is served to the
//! public; off unless asked for. It is small and not in a hurry, so it stands on hyper.
//!
//! - [`access`]: who may do what.
//! - [`listener`]: where it listens.
//! - `patience`: how long a client may take nothing.
//! - `places`: how many are listened to at a time.
//! - `routes`: what there is.
//! - [`status`]: what the server tells about itself.

pub mod access;
pub mod listener;
mod patience;
mod places;
mod routes;
pub mod status;

use std::convert::Infallible;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;

use crate::dev::Dev;
use crate::guest::release::deploy::Deployer;
use crate::supervise;
use crate::throttle::Throttle;
use access::Access;
use listener::Listener;
use patience::Patient;
use places::{Place, Places};
use status::Subject;

/// Connections at a time. Probes, a scraper and a person or two need fewer. For another one
/// the one makes room that has been idle for longest.
const CONNECTIONS: usize = 32;

/// From a connection's first byte to the end of a head, and from one request to the next.
const HEAD: Duration = Duration::from_secs(10);

/// How long a client may take nothing of what was sent to it.
const STALL: Duration = Duration::from_secs(10);

/// Bytes of a request's head. hyper asks for 8 KiB at least.
const HEAD_BYTES: usize = 16 << 10;

/// What is administered.
pub struct Admin {
    /// What is told about.
    pub subject: Subject,
    /// Who is asked to change the guest.
    pub deployer: Arc<Deployer>,
    /// Who may do what.
    pub access: Access,
    /// Places of guests that are handed over: one at a time is in memory.
    pub uploads: Arc<Semaphore>,
    /// The loop of who writes a guest, if that is what the server is for.
    pub dev: Option<Arc<Dev>>,
}

/// Serves until it is dropped, also after a panic.
pub async fn serve(admin: Arc<Admin>, listener: Listener) {
    let listener = Arc::new(listener);
    let work = || accept_from(Arc::clone(&admin), Arc::clone(&listener));
    supervise::task("admin", work).await;
}

async fn accept_from(admin: Arc<Admin>, listener: Arc<Listener>) {
    let places = Places::new(CONNECTIONS);
    loop {
        match &*listener {
            Listener::Tcp(listener) => match listener.accept().await {
                Ok((stream, _)) => {
                    // `TCP_USER_TIMEOUT`, tcp(7): also when this process is gone.
                    if let Err(error) = SockRef::from(&stream).set_tcp_user_timeout(Some(STALL)) {
                        tracing::debug!(%error, "cannot bound how long an admin client takes");
                    }
                    let place = places.take().await;
                    drop(tokio::spawn(converse(Arc::clone(&admin), stream, place)));
                }
                Err(error) => rest(&error).await,
            },
            Listener::Unix(listener) => match listener.accept().await {
                Ok((stream, _)) => {
                    let place = places.take().await;
                    drop(tokio::spawn(converse(Arc::clone(&admin), stream, place)));
                }
                Err(error) => rest(&error).await,
            },
        }
    }
}

/// Ten a second, while there are no descriptors.
static NOT_ACCEPTED: Throttle = Throttle::new();

async fn rest(error: &std::io::Error) {
    NOT_ACCEPTED.log(|suppressed| {
        tracing::warn!(%error, suppressed, "cannot accept admin connection");
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
}

async fn converse<S>(admin: Arc<Admin>, stream: S, place: Place)
where
    S: AsyncRead + AsyncWrite + AsFd + Unpin + Send,
{
    let service = service_fn(|request| {
        let admin = Arc::clone(&admin);
        let answering = place.begin();
        async move {
            let reply = routes::answer(&admin, request).await;
            drop(answering);
            Ok::<_, Infallible>(reply)
        }
    });
    let mut conversation = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(Patient::new(stream, STALL)), service);
    let patience = tokio::select! {
        () = place.is_wanted() => {
            tracing::debug!("idle admin connection closed for another");
            Duration::ZERO
        }
        served = &mut conversation => {
            if let Err(error) = served {
                tracing::debug!(%error, "admin connection failed");
            }
            STALL
        }
    };
    // What the client has not taken keeps its place.
    conversation.into_parts().io.into_inner().taken_within(patience).await;
}
