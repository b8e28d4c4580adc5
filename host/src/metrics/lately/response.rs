//! One response, as workers note it.

use std::fmt::Display;
use std::time::{Duration, Instant};

/// One response, as it was sent.
#[derive(Clone, Copy)]
pub struct Response<'a> {
    /// When.
    pub at: Instant,
    /// From the request's last byte to the response's.
    pub duration: Duration,
    /// Its status.
    pub status: u16,
    /// The method, and the path without its query; both empty if there was no request.
    pub method: &'a str,
    /// See there.
    pub path: &'a str,
    /// What the response follows.
    pub decision: &'static str,
    /// The digest of the guest that was asked, as `{:#}` writes it.
    pub guest: Option<&'a dyn Display>,
    /// Why there is no decision, or why an earlier guest made it.
    pub failure: Option<&'a dyn Display>,
}
