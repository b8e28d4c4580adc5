//! A connection that was accepted, before and after its wire is chosen.

use std::sync::Arc;

use super::limits::Limits;
use super::stop::Stop;
use super::stream::Stream;
use crate::http::{Peer, Tls};

/// An accepted connection: what every wire gets.
pub(crate) struct Accepted<'a> {
    /// Its socket.
    pub(crate) stream: Stream<'a>,
    /// What has arrived and was not looked at yet.
    pub(crate) received: Vec<u8>,
    /// Its client, or a proxy that forwards the requests of several.
    pub(crate) peer: Peer,
    /// What TLS tells of it, if it secures the connection.
    pub(crate) tls: Option<Arc<Tls>>,
    /// How long each of its waits may be.
    pub(crate) limits: &'a Limits,
    /// The stop of the server.
    pub(crate) stop: Stop<'a>,
}
