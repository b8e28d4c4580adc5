//! The life of one HTTP/1.1 connection, from its first request to its last.
//!
//! Each turn reads one request head, has the service respond and writes the response. Every
//! timeout of a connection is one of its [`transport::Limits`](crate::transport::Limits), each
//! other limit one of [`http1::Limits`](super::Limits).

use tokio::task::coop::consume_budget;

use super::connection::{Connection, Next};
use super::error::HeadError;
use super::read_head::ReadHead;
use crate::service::record::UNLOGGED_BYTES;

/// How the service of a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Served {
    /// It is over.
    Whole,
    /// The client speaks HTTP/2, from the first byte on: nothing was taken of what it sent.
    Http2,
}

impl Connection<'_, '_> {
    /// Serves it until it ends. When the server is about to stop, the request in flight is
    /// finished and the connection closed.
    pub(crate) async fn serve(&mut self) -> Served {
        let (limits, max_requests) = (self.accepted.limits, self.http1.limits.requests);
        let mut requests = 0;
        let mut patience = limits.first_byte;
        loop {
            let next = match self.read_head(patience).await {
                ReadHead::Head(head) => {
                    requests += 1;
                    self.exchange(&head, requests >= max_requests).await
                }
                ReadHead::Refused { status, why } => self.refuse(status, &why).await,
                ReadHead::Nothing => Next::Close,
                ReadHead::Lost => Next::Reset,
                ReadHead::Http2 if requests == 0 => return Served::Http2,
                ReadHead::Http2 => {
                    let error = HeadError::Version;
                    self.refuse(error.status(), &error.to_string()).await
                }
            };
            match next {
                Next::Request => {}
                Next::Close => {
                    Box::pin(self.close()).await;
                    return Served::Whole;
                }
                Next::Reset => return Served::Whole,
            }
            if self.unlogged_bytes > UNLOGGED_BYTES && !Box::pin(self.wait_for_room_to_log()).await
            {
                return Served::Whole;
            }
            patience = limits.idle;
            // A client whose next request is always there already must not keep the
            // other connections of this worker waiting: one that sent many at once gets
            // one response a slot. tokio's own budget would give it 128.
            if self.accepted.received.is_empty() {
                consume_budget().await;
            } else {
                self.accepted.stream.slot().await;
            }
        }
    }

    /// Tells the client, which speaks HTTP without TLS, that it is the other way here, and closes.
    pub(crate) async fn serve_cleartext(&mut self) {
        let why = "this port speaks HTTPS, and the request came without TLS: use https://";
        if let Next::Close = self.refuse(400, why).await {
            Box::pin(self.close()).await;
        }
    }

    /// Tells the client that it has one connection too many, whatever it asks for, and closes.
    pub(crate) async fn serve_refusal(&mut self) {
        if let Next::Close = self.refuse_connection().await {
            Box::pin(self.close()).await;
        }
    }
}
