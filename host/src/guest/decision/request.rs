//! The request that a guest is shown.

use std::net::IpAddr;

use super::Field;
use crate::http::Scheme;

/// A request, as far as the guest reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::guest) struct Request {
    /// The request line, without its CR LF.
    pub(in crate::guest) line: Vec<u8>,
    /// The facts and header fields that the guest reads.
    pub(in crate::guest) fields: Vec<Field>,
}

/// What is known of a request besides its head.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// The client's address.
    pub client: IpAddr,
    /// The scheme of the target URI.
    pub scheme: Scheme,
}
