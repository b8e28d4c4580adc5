//! One request and its response: what was received is parsed, the service responds, the response
//! is written.

use super::connection::{Connection, Next};
use super::drain::{DrainError, Drained};
use super::head::Head;
use super::response_head::Persistence;
use super::write::Line;
use crate::diagnostics;
use crate::http::Method;

impl Connection<'_> {
    /// Reads the request with this head to its end, and responds to it. If the request is the
    /// connection's last, the response says so.
    pub(super) async fn exchange(&mut self, bytes: &[u8], is_last: bool) -> Next {
        if self.http1.print_heads {
            diagnostics::show_head(self.peer.address, bytes);
        }
        let head = match Head::parse(bytes, &self.http1.limits, self.peer) {
            Ok(head) => head,
            Err(error) => {
                return self
                    .refuse_line(first_line(bytes), error.status(), &error.to_string())
                    .await;
            }
        };
        let service = self.service;
        let mut record = service.begin(&head.request);
        let (response, mut persistence) = match self.drain(&head).await {
            Ok(drained) => {
                let persistence = match drained {
                    Drained::Whole => head.persistence,
                    Drained::Withheld => Persistence::Close,
                };
                self.is_last = persistence == Persistence::Close && drained == Drained::Whole;
                (service.respond(&head.request, &mut record).await, persistence)
            }
            Err(DrainError::Refused { status, why }) => {
                (service.refuse(status, why, &record), Persistence::Close)
            }
            Err(DrainError::Disconnected) => return Next::Close,
        };
        if is_last || response.close || self.stop.has_begun() {
            persistence = Persistence::Close;
        }
        let line = Line { bytes: head.request.line, is_head: head.request.method == Method::Head };
        self.write(response, line, persistence, record).await
    }

    /// Responds to bytes that are no request.
    pub(super) async fn refuse(&mut self, status: u16, why: &str) -> Next {
        let received = std::mem::take(&mut self.received);
        let line = first_line(&received);
        let line = &line[..line.len().min(self.http1.limits.line_bytes)];
        self.refuse_line(line, status, why).await
    }

    async fn refuse_line(&mut self, line: &[u8], status: u16, why: &str) -> Next {
        let record = self.service.begin_malformed(self.peer, line);
        let response = self.service.refuse(status, why, &record);
        // Also where the rest of the head could not be read (RFC 9110, section 9.3.2).
        let line = Line { bytes: line, is_head: line.starts_with(b"HEAD ") };
        self.write(response, line, Persistence::Close, record).await
    }

    /// Responds on a connection that is one too many for its client.
    pub(super) async fn refuse_connection(&mut self) -> Next {
        let record = self.service.begin_unread(self.peer, b"");
        let response = self.service.too_many_connections();
        let line = Line { bytes: b"", is_head: false };
        self.write(response, line, Persistence::Close, record).await
    }
}

/// What was received of a request line, for the log.
fn first_line(received: &[u8]) -> &[u8] {
    received
        .split(|byte| matches!(byte, b'\r' | b'\n'))
        .find(|line| !line.is_empty())
        .unwrap_or_default()
}
