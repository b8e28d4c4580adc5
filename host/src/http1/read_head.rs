//! Waits for the next request of a connection, and reads its head.

use std::time::Duration;

use tokio::time::Instant;

use super::connection::Connection;
use super::scan::Scanner;
use crate::http::Scheme;
use crate::transport::progress::{FIRST_LOOK, Look};
use crate::transport::stream::Read;

/// What came of waiting for a request.
pub(super) enum ReadHead {
    /// A complete head, from its request line to its empty line.
    Head(Vec<u8>),
    /// Bytes that are no head. They get a response.
    Refused { status: u16, why: String },
    /// The preface of HTTP/2, or its beginning, which this listener takes.
    Http2,
    /// No request: the client has ended or is idle, or the server is about to stop.
    Nothing,
    /// The client is gone, or does not take the response that it was sent.
    Lost,
}

/// The line with which the preface of HTTP/2 begins.
const HTTP2_LINE: &[u8] = b"PRI * HTTP/2.0\r\n";

impl Connection<'_, '_> {
    /// Waits this long for the next request, and then for all of its head.
    pub(super) async fn read_head(&mut self, patience: Duration) -> ReadHead {
        let limits = &self.http1.limits;
        if self.accepted.received.is_empty() {
            match self.first_bytes(patience).await {
                Read::Data => {}
                Read::Eof | Read::Truncated | Read::TimedOut => return ReadHead::Nothing,
                Read::Disconnected | Read::Stalled => return ReadHead::Lost,
            }
            self.settle_before_next();
        } else if !self.deliveries.is_empty() {
            // It was there before the response, and tells nothing of what the client takes.
            self.is_pipelined = true;
        }
        let deadline = Instant::now() + self.accepted.limits.head;
        let mut scanner =
            Scanner::new(Scheme::of(&self.accepted.peer, self.accepted.tls.as_deref()));
        loop {
            if self.is_http2() {
                return ReadHead::Http2;
            }
            match scanner.scan(&self.accepted.received, limits) {
                Ok(Some(extent)) => {
                    let rest = self.accepted.received.split_off(extent.end);
                    let mut head = std::mem::replace(&mut self.accepted.received, rest);
                    head.drain(..extent.start);
                    return ReadHead::Head(head);
                }
                Ok(None) => {}
                Err(error) => {
                    return ReadHead::Refused { status: error.status(), why: error.to_string() };
                }
            }
            match self.accepted.stream.read(&mut self.accepted.received, deadline).await {
                Read::Data => {}
                // Half a head gets no response, whether the client meant its end or not.
                Read::Eof | Read::Truncated => return ReadHead::Nothing,
                Read::Disconnected | Read::Stalled => return ReadHead::Lost,
                Read::TimedOut => {
                    return ReadHead::Refused {
                        status: 408,
                        why: "the request head did not arrive in time".to_owned(),
                    };
                }
            }
        }
    }

    /// Whether a client begins with what only one of HTTP/2 sends (RFC 9113, section 3.4), and may:
    /// the first line of it.
    fn is_http2(&self) -> bool {
        self.takes_http2 && self.accepted.received.starts_with(HTTP2_LINE)
    }

    /// Waits for the first bytes of a request. Meanwhile it looks, less and less often, whether
    /// the client takes what it was sent: as long as it does not take all, it is not idle.
    async fn first_bytes(&mut self, patience: Duration) -> Read {
        let linger = self.accepted.limits.linger;
        let mut now = Instant::now();
        let mut deadline = if self.accepted.stop.is_noticed() {
            now + patience.min(linger)
        } else {
            now + patience
        };
        let mut pause = FIRST_LOOK;
        loop {
            let until = match self.accepted.stream.progress().is_over() {
                true => deadline,
                false => self.accepted.stream.next_look(now, &mut pause).min(deadline),
            };
            let wake = self.accepted.stream.wake(&mut self.accepted.received, until);
            match self.accepted.stop.unless_begun(wake).await {
                // The client of a connection that was busy just now may be sending a
                // request, and would have to guess whether it was answered.
                None => {
                    now = Instant::now();
                    deadline = deadline.min(now + linger);
                }
                Some(Read::TimedOut) if !self.accepted.stream.progress().is_over() => {
                    now = Instant::now();
                    match self.look() {
                        Look::Empty => self.accepted.stream.rest(),
                        Look::Left if !self.accepted.stop.is_noticed() => deadline = now + patience,
                        Look::Left => {}
                        Look::Stalled => {
                            self.log_stall();
                            return Read::Stalled;
                        }
                    }
                    if now >= deadline {
                        return Read::TimedOut;
                    }
                }
                Some(read) => return read,
            }
        }
    }
}
