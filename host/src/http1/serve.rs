//! The life of one HTTP/1.1 connection, from its first request to its last.
//!
//! Each turn reads one request head, has the service respond and writes the response. Every
//! timeout of a connection is one of its [`transport::Limits`](crate::transport::Limits), each
//! other limit one of [`http1::Limits`](super::Limits).

use tokio::task::coop::consume_budget;

use super::connection::{Connection, Next};
use super::read_head::ReadHead;
use super::settle::UNLOGGED_BYTES;

impl Connection<'_, '_> {
    /// Serves it until it ends. When the server is about to stop, the request in flight is
    /// finished and the connection closed.
    pub(crate) async fn serve(&mut self) {
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
            };
            match next {
                Next::Request => {}
                Next::Close => return Box::pin(self.close()).await,
                Next::Reset => return,
            }
            if self.unlogged_bytes > UNLOGGED_BYTES && !Box::pin(self.wait_for_room_to_log()).await
            {
                return;
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
