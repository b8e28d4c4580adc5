//! What is known of one HTTP/1.1 connection.

use std::collections::VecDeque;

use super::Http1;
use super::delivery::Delivery;
use crate::log::Draft;
use crate::metrics::WritingConnection;
use crate::service::Service;
use crate::tls::Hosts;
use crate::transport::accepted::Accepted;

/// One connection.
pub(crate) struct Connection<'c, 'a> {
    pub(super) accepted: &'c mut Accepted<'a>,
    pub(super) service: &'a Service,
    pub(super) http1: &'a Http1,
    /// Whether the client may begin with HTTP/2 instead.
    pub(super) takes_http2: bool,
    /// The hosts that the connection is for, if TLS secures it.
    pub(super) hosts: Option<&'a Hosts>,
    /// Whether the client said that this request is its last, and sent all of it.
    pub(super) is_last: bool,
    /// Whether the client has sent a request before it could have taken the response before.
    pub(super) is_pipelined: bool,
    /// Responses that were sent, and of which it is not known that the client took them, if
    /// log or metrics want to know.
    pub(super) deliveries: VecDeque<Delivery<'a>>,
    /// The memory that these take.
    pub(super) unlogged_bytes: usize,
    /// Where the next line of the log is written.
    pub(super) room: Draft,
    /// Counts the connection while the client was found not to have taken all of it.
    pub(super) writing: Option<WritingConnection<'a>>,
}

/// What becomes of the connection after a response.
pub(super) enum Next {
    /// It is kept for another request.
    Request,
    /// It is closed, so that the client has time to read the response.
    Close,
    /// It is dropped, and reset if the client has not taken all that was sent: it does not take
    /// it, or is gone.
    Reset,
}

impl<'c, 'a> Connection<'c, 'a> {
    /// Has an accepted connection speak HTTP/1.
    pub(crate) fn new(
        accepted: &'c mut Accepted<'a>,
        service: &'a Service,
        http1: &'a Http1,
        hosts: Option<&'a Hosts>,
    ) -> Connection<'c, 'a> {
        Connection {
            accepted,
            service,
            http1,
            takes_http2: false,
            hosts,
            is_last: false,
            is_pipelined: false,
            deliveries: VecDeque::new(),
            unlogged_bytes: 0,
            room: Draft::default(),
            writing: None,
        }
    }

    /// Lets the client begin with HTTP/2 instead, or not.
    pub(crate) fn taking_http2(mut self, takes_http2: bool) -> Connection<'c, 'a> {
        self.takes_http2 = takes_http2;
        self
    }
}
