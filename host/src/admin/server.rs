//! The server of the administration: accepts connections, and serves each.

use std::convert::Infallible;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};

use super::context::Admin;
use super::patience::Patient;
use super::routes::respond;
use super::slots::{Slot, Slots};
use crate::supervise;
use crate::throttle::Throttle;
use crate::transport::endpoint::Listener;

/// Connections at a time. Probes, a scraper and a person or two need fewer. For another one
/// the one ends that has been idle for longest.
const CONNECTIONS: usize = 32;

/// From a connection's first byte to the end of a head, and from one request to the next.
const HEAD: Duration = Duration::from_secs(10);

/// How long a client may take nothing of what was sent to it.
const STALL: Duration = Duration::from_secs(10);

/// Bytes of a request's head. hyper wants 8 KiB at least.
const HEAD_BYTES: usize = 16 << 10;

/// Serves until it is dropped, also after a panic.
pub async fn serve(admin: Arc<Admin>, listener: Listener) {
    let listener = Arc::new(listener);
    let work = || accept_from(Arc::clone(&admin), Arc::clone(&listener));
    supervise::task("admin", work).await;
}

async fn accept_from(admin: Arc<Admin>, listener: Arc<Listener>) {
    let slots = Slots::new(CONNECTIONS);
    loop {
        match &*listener {
            Listener::Tcp(listener) => match listener.accept().await {
                Ok((stream, _)) => {
                    // `TCP_USER_TIMEOUT`, tcp(7): also when this process is gone.
                    if let Err(error) = SockRef::from(&stream).set_tcp_user_timeout(Some(STALL)) {
                        tracing::debug!(%error, "cannot bound how long an admin client takes");
                    }
                    let slot = slots.take().await;
                    drop(tokio::spawn(serve_connection(Arc::clone(&admin), stream, slot)));
                }
                Err(error) => rest(&error).await,
            },
            Listener::Unix(listener) => match listener.accept().await {
                Ok((stream, _)) => {
                    let slot = slots.take().await;
                    drop(tokio::spawn(serve_connection(Arc::clone(&admin), stream, slot)));
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

async fn serve_connection<S>(admin: Arc<Admin>, stream: S, slot: Slot)
where
    S: AsyncRead + AsyncWrite + AsFd + Unpin + Send,
{
    let service = service_fn(|request| {
        let admin = Arc::clone(&admin);
        let responding = slot.begin();
        async move {
            let response = respond(&admin, request).await;
            drop(responding);
            Ok::<_, Infallible>(response)
        }
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(Patient::new(stream, STALL)), service);
    let patience = tokio::select! {
        () = slot.is_wanted() => {
            tracing::debug!("idle admin connection closed for another");
            Duration::ZERO
        }
        served = &mut connection => {
            if let Err(error) = served {
                tracing::debug!(%error, "admin connection failed");
            }
            STALL
        }
    };
    // What the client has not taken keeps its slot.
    connection.into_parts().io.into_inner().taken_within(patience).await;
}
