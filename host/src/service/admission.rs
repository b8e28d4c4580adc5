//! How much of the server a client may have: connections at a time, requests a second.

use std::net::IpAddr;
use std::time::Duration;

use super::Response;
use super::Service;
use crate::clients::allowance::Admission;
use crate::http::Field;

impl Service {
    /// Whether a connection of this client is served. The place that it takes is given back
    /// when the admission is dropped.
    pub fn admit(&self, client: IpAddr) -> Admission<'_> {
        // A proxy has as many as it has clients.
        if self.clients.proxies.forwards(client) {
            return Admission::Served(None);
        }
        self.clients.allowance.admit(client)
    }

    /// The response on a connection that is one too many for its client, whatever it asks for.
    pub fn too_many_connections(&self) -> Response {
        Response { close: true, ..too_many("connections", Duration::from_secs(1)) }
    }
}

/// The response to a client that has more than it may have, and how long it is to wait
/// (RFC 6585, section 4).
pub(super) fn too_many(what: &str, wait: Duration) -> Response {
    let seconds = wait.as_secs_f64().ceil().max(1.0);
    Response::text(429, &format!("too many {what} from your address"))
        .with(Field::new("Retry-After", format!("{seconds:.0}")))
}
