//! What is known of one HTTP/1.1 connection.

use std::collections::VecDeque;

use super::Http1;
use super::delivery::Delivery;
use crate::http::Peer;
use crate::log::Draft;
use crate::metrics::WritingConnection;
use crate::service::Service;
use crate::transport::stop::Stop;
use crate::transport::stream::Stream;

/// One connection.
pub(crate) struct Connection<'a> {
    pub(crate) stream: Stream<'a>,
    /// Its client, or a proxy that forwards the requests of several.
    pub(crate) peer: Peer,
    pub(super) service: &'a Service,
    pub(crate) http1: &'a Http1,
    pub(crate) stop: Stop<'a>,
    /// What has arrived and was not looked at yet.
    pub(crate) received: Vec<u8>,
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

impl<'a> Connection<'a> {
    /// A connection on which nothing has arrived.
    pub(crate) fn new(
        stream: Stream<'a>,
        peer: Peer,
        service: &'a Service,
        http1: &'a Http1,
        stop: Stop<'a>,
    ) -> Connection<'a> {
        Connection {
            stream,
            peer,
            service,
            http1,
            stop,
            received: Vec::new(),
            is_last: false,
            is_pipelined: false,
            deliveries: VecDeque::new(),
            unlogged_bytes: 0,
            room: Draft::default(),
            writing: None,
        }
    }
}
