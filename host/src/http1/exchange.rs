//! One request and its response: what was received is parsed, the service responds, the response
//! is written.

use super::connection::{Connection, Next};
use super::drain::{DrainError, Drained};
use super::head::Head;
use super::response_head::Persistence;
use crate::diagnostics;
use crate::http::Method;
use crate::http::request::trim;
use crate::service::record::Received;
use crate::tls::MISDIRECTED;

impl Connection<'_, '_> {
    /// Reads the request with this head to its end, and responds to it. If the request is the
    /// connection's last, the response says so.
    pub(super) async fn exchange(&mut self, bytes: &[u8], is_last: bool) -> Next {
        if self.http1.print_heads {
            diagnostics::show_head(self.accepted.peer.address, bytes);
        }
        // The parts of the request borrow it, while the connection is used.
        let tls = self.accepted.tls.clone();
        let head = match Head::parse(bytes, &self.http1.limits, self.accepted.peer, tls.as_deref())
        {
            Ok(head) => head,
            Err(error) => {
                let why = error.to_string();
                return Box::pin(self.refuse_malformed(bytes, error.status(), &why)).await;
            }
        };
        let service = self.service;
        let mut record = service.begin(&head.request);
        let (response, mut persistence) = match self.drain(&head).await {
            Ok(_)
                if self.hosts.is_some_and(|hosts| hosts.misdirection(&head.request).is_some()) =>
            {
                (service.refuse(421, MISDIRECTED, &record), Persistence::Close)
            }
            Ok(drained) => {
                let persistence = drained.persistence(&head);
                self.is_last = persistence == Persistence::Close && drained == Drained::Whole;
                (service.respond(&head.request, &mut record).await, persistence)
            }
            Err(DrainError::Refused { status, why }) => {
                (service.refuse(status, why, &record), Persistence::Close)
            }
            Err(DrainError::Disconnected) => return Next::Close,
        };
        if is_last || self.accepted.stop.has_begun() {
            persistence = Persistence::Close;
        }
        let is_head = head.request.method == Method::Head;
        self.write(&response, is_head, persistence, &mut record).await
    }

    /// Responds to bytes that are no request.
    pub(super) async fn refuse(&mut self, status: u16, why: &str) -> Next {
        let received = std::mem::take(&mut self.accepted.received);
        // Boxed, as each connection would have room for it while it is idle.
        Box::pin(self.refuse_malformed(&received, status, why)).await
    }

    async fn refuse_malformed(&mut self, received: &[u8], status: u16, why: &str) -> Next {
        let received = known(received, self.http1.limits.request.line_bytes);
        let mut record = self.service.begin_malformed(self.accepted.peer, received);
        let response = self.service.refuse(status, why, &record);
        // Also where the rest of the head could not be read (RFC 9110, section 9.3.2).
        let is_head = received.line.starts_with(b"HEAD ");
        self.write(&response, is_head, Persistence::Close, &mut record).await
    }

    /// Responds on a connection that is one too many for its client.
    pub(super) async fn refuse_connection(&mut self) -> Next {
        let mut record = self.service.begin_unread(self.accepted.peer, Received::default());
        // Which wishes to close.
        let response = self.service.too_many_connections();
        self.write(&response, false, Persistence::KeepAlive, &mut record).await
    }
}

/// What is known of a head that is malformed, for the log: its line, up to this length, and the
/// fields that the log has.
fn known(received: &[u8], line_bytes: usize) -> Received<'_> {
    let mut lines =
        received.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let line = lines.find(|line| !line.is_empty()).unwrap_or_default();
    let mut known = Received { line: &line[..line.len().min(line_bytes)], ..Received::default() };
    // What follows an empty line is another request's.
    for line in lines.take_while(|line| !line.is_empty()) {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
        let (name, value) = (&line[..colon], trim(&line[colon + 1..]));
        for (field, known) in
            [("referer", &mut known.referer), ("user-agent", &mut known.user_agent)]
        {
            if name.eq_ignore_ascii_case(field.as_bytes()) {
                known.get_or_insert(value);
            }
        }
    }
    known
}

#[cfg(test)]
mod tests {
    use super::known;

    #[test]
    fn malformed_head_tells_its_line_and_the_fields_of_the_log() {
        let head = b"\r\nGET / HTTP/1.1\r\nuser-agent:\t one \r\nHost\r\nUser-Agent: two\r\n\r\n";
        let received = known(head, 5);
        assert_eq!((received.line, received.referer), (&b"GET /"[..], None));
        assert_eq!(received.user_agent, Some(&b"one"[..]));
        let two = b"GET / HTTP/1.1\nHost: a\n\nGET / HTTP/1.1\r\nUser-Agent: another's\r\n\r\n";
        assert_eq!(known(two, 100).user_agent, None);
        let received = known(b"nonsense", 100);
        assert_eq!((received.line, received.user_agent), (&b"nonsense"[..], None));
        assert_eq!(known(b"", 100).line, b"");
    }
}
