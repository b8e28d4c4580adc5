//! The body of a request, read from the connection to be discarded.

use tokio::time::Instant;

use super::connection::Connection;
use super::head::Head;
use super::request_body::{BodyDrain, BodyError};
use super::response_head::Persistence;
use crate::http::fault::Fault;
use crate::transport::stream::Read;

/// What became of a request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drained {
    /// It was read to its end.
    Whole,
    /// The client keeps it back until it is asked for, which it never is.
    Withheld,
}

impl Drained {
    /// What becomes of the connection behind the response to the request with this head.
    pub(super) fn persistence(self, head: &Head<'_>) -> Persistence {
        match self {
            Drained::Whole => head.persistence,
            // Whether the body comes all the same cannot be known.
            Drained::Withheld => Persistence::Close,
        }
    }
}

/// Why a request's body was not read to its end.
pub(super) enum DrainError {
    /// It gets a response with an error.
    Refused { status: u16, why: &'static str },
    /// The client is gone.
    Disconnected,
}

impl From<BodyError> for DrainError {
    fn from(error: BodyError) -> DrainError {
        DrainError::Refused { status: error.status(), why: error.why() }
    }
}

impl Connection<'_, '_> {
    /// Reads the request's body and throws it away, so that what follows it is
    /// the next request.
    ///
    /// A client that waits for `100 Continue` gets its final response instead, and
    /// keeps its body: no response here depends on one (RFC 9110, section 10.1.1).
    /// Whether it sends the body all the same cannot be known, so that response is
    /// the connection's last.
    pub(super) async fn drain(&mut self, head: &Head<'_>) -> Result<Drained, DrainError> {
        let body = BodyDrain::new(head.framing, self.http1.limits.request.body_bytes)?;
        if body.is_done() {
            return Ok(Drained::Whole);
        }
        if head.expects_continue && self.accepted.received.is_empty() {
            return Ok(Drained::Withheld);
        }
        // Boxed, as each connection would have room for it while it is idle.
        Box::pin(self.read_to_end(body)).await
    }

    async fn read_to_end(&mut self, mut body: BodyDrain) -> Result<Drained, DrainError> {
        let deadline = Instant::now() + self.accepted.limits.body;
        loop {
            let taken = body.advance(&self.accepted.received)?;
            self.accepted.received.drain(..taken);
            if body.is_done() {
                return Ok(Drained::Whole);
            }
            match self.accepted.stream.read(&mut self.accepted.received, deadline).await {
                Read::Data => {}
                Read::Eof | Read::Truncated | Read::Disconnected | Read::Stalled => {
                    return Err(DrainError::Disconnected);
                }
                Read::TimedOut => {
                    let late = Fault::LateBody;
                    return Err(DrainError::Refused { status: late.status(), why: late.why() });
                }
            }
        }
    }
}
