//! A request head that is there as a whole: what a connection would make of it, without one.

use super::Limits;
use super::drain::Drained;
use super::error::HeadError;
use super::head::Head;
use super::request_body::BodyDrain;
use super::response_head::Persistence;
use super::scan::Scanner;
use crate::http::{Peer, Scheme, Tls};

/// The line of a request of HTTP/1.1 for this method and target: `GET /`.
pub fn line(method_and_target: &str) -> String {
    format!("{method_and_target} HTTP/1.1")
}

/// Writes the head of a request, as a client would send it. Its parts are not checked.
pub fn write(line: &str, fields: &[(String, String)]) -> Vec<u8> {
    let mut head = format!("{line}\r\n");
    for (name, value) in fields {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    head.into_bytes()
}

/// Why a connection would refuse the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status of the response.
    pub status: u16,
    /// A sentence about it.
    pub why: String,
}

/// Reads the head of a request, and tells what becomes of the connection behind the response.
/// Of the request's body there is what its head says.
pub fn read<'a>(
    bytes: &'a [u8],
    limits: &Limits,
    peer: Peer,
    tls: Option<&'a Tls>,
) -> Result<(Head<'a>, Persistence), Refusal> {
    let head = parse(bytes, limits, peer, tls)
        .map_err(|error| Refusal { status: error.status(), why: error.to_string() })?;
    let body = BodyDrain::new(head.framing, limits.request.body_bytes)
        .map_err(|error| Refusal { status: error.status(), why: error.why().to_owned() })?;
    let drained = match head.expects_continue && !body.is_done() {
        true => Drained::Withheld,
        false => Drained::Whole,
    };
    let persistence = drained.persistence(&head);
    Ok((head, persistence))
}

fn parse<'a>(
    bytes: &'a [u8],
    limits: &Limits,
    peer: Peer,
    tls: Option<&'a Tls>,
) -> Result<Head<'a>, HeadError> {
    let extent =
        Scanner::new(Scheme::of(&peer, tls)).scan(bytes, limits)?.ok_or(HeadError::Line)?;
    if extent.end < bytes.len() {
        // An empty line within what was meant to be one head.
        return Err(HeadError::Line);
    }
    Head::parse(&bytes[extent.start..extent.end], limits, peer, tls)
}
