//! What requests to the administration work on.

use std::sync::Arc;

use hyper::body::Bytes;
use tokio::sync::{Semaphore, mpsc};

use super::access::Access;
use super::reload::Reload;
use super::status::Subject;

/// What is administered, and how.
pub struct Admin {
    /// The server.
    pub subject: Subject,
    /// What clients may do.
    pub access: Access,
    /// Places of uploads: one at a time is in memory.
    pub uploads: Arc<Semaphore>,
    /// What reads the configuration, guests and certificates again.
    pub reload: Reload,
    /// Events for pages of the site, if there are any.
    pub page_events: Option<PageEvents>,
}

/// Events that pages of the site listen to, with a script that does so.
pub struct PageEvents {
    /// The script, at `/dev/script.js`.
    pub script: &'static str,
    /// Gives a new listener its events, at `/dev/events`: each has its framing.
    pub subscribe: Box<dyn Fn() -> mpsc::Receiver<Bytes> + Send + Sync>,
}
