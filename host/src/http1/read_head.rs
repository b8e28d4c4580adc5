//! Waits for the next request of a connection, and reads its head.

use std::time::Duration;

use tokio::time::Instant;

use super::connection::Connection;
use super::scan::Scanner;
use crate::transport::progress::Look;
use crate::transport::stream::Read;

/// What came of waiting for a request.
pub(super) enum ReadHead {
    /// A complete head, from its request line to its empty line.
    Head(Vec<u8>),
    /// Bytes that are no head. They get a response.
    Refused { status: u16, why: String },
    /// No request: the client has ended or is idle, or the server is about to stop.
    Nothing,
    /// The client is gone, or does not take the response that it was sent.
    Lost,
}

/// From the end of a response to the first look at whether the client took it. The client of a
/// usual one asks for the next before that.
const FIRST_LOOK: Duration = Duration::from_millis(100);

impl Connection<'_> {
    /// Waits this long for the next request, and then for all of its head.
    pub(super) async fn read_head(&mut self, patience: Duration) -> ReadHead {
        let limits = &self.http1.limits;
        if self.received.is_empty() {
            match self.first_bytes(patience).await {
                Read::Data => {}
                Read::Eof | Read::TimedOut => return ReadHead::Nothing,
                Read::Disconnected | Read::Stalled => return ReadHead::Lost,
            }
            self.settle_before_next();
        } else if !self.deliveries.is_empty() {
            // It was there before the response, and tells nothing of what the client takes.
            self.is_pipelined = true;
        }
        let deadline = Instant::now() + limits.head;
        let mut scanner = Scanner::default();
        loop {
            match scanner.scan(&self.received, limits) {
                Ok(Some(extent)) => {
                    let rest = self.received.split_off(extent.end);
                    let mut head = std::mem::replace(&mut self.received, rest);
                    head.drain(..extent.start);
                    return ReadHead::Head(head);
                }
                Ok(None) => {}
                Err(error) => {
                    return ReadHead::Refused { status: error.status(), why: error.to_string() };
                }
            }
            match self.stream.read(&mut self.received, deadline).await {
                Read::Data => {}
                Read::Eof => return ReadHead::Nothing,
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

    /// Waits for the first bytes of a request. Meanwhile it looks, less and less often, whether
    /// the client takes what it was sent: as long as it does not take all, it is not idle.
    async fn first_bytes(&mut self, patience: Duration) -> Read {
        let linger = self.http1.limits.linger;
        let mut now = Instant::now();
        let mut deadline =
            if self.stop.is_noticed() { now + patience.min(linger) } else { now + patience };
        let mut pause = FIRST_LOOK;
        loop {
            let until = match self.stream.progress().is_over() {
                true => deadline,
                false => self.stream.next_look(now, &mut pause).min(deadline),
            };
            let wake = self.stream.wake(&mut self.received, until);
            match self.stop.unless_begun(wake).await {
                // The client of a connection that was busy just now may be sending a
                // request, and would have to guess whether it was answered.
                None => {
                    now = Instant::now();
                    deadline = deadline.min(now + linger);
                }
                Some(Read::TimedOut) if !self.stream.progress().is_over() => {
                    now = Instant::now();
                    match self.look() {
                        Look::Empty => self.stream.rest(),
                        Look::Left if !self.stop.is_noticed() => deadline = now + patience,
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
