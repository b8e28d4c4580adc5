//! Heads and framing: innkeeper makes of any bytes what the reference makes of them,
//! however they are split.

use std::net::{IpAddr, Ipv4Addr};

use innkeeper::http::{self, Method, Peer};
use innkeeper::http1::Limits;
use innkeeper::http1::head::Head;
use innkeeper::http1::request_body::{self, BodyDrain, BodyError};
use innkeeper::http1::response_head::Persistence;
use innkeeper::http1::scan::Scanner;

use super::pieces::{Numbers, split};
use super::reference::body::Framing;
use super::reference::request::{After, Body, Request, Turn, turns};

/// Where all heads come from.
const PEER: Peer = Peer::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Runs the target.
pub fn run(input: &[u8]) {
    for limits in [Limits::default(), narrow()] {
        let expected = turns(input, &limits);
        let mut numbers = Numbers::of(input);
        for largest in [input.len().max(1), 1, 7, 200] {
            let pieces = split(input, largest, &mut numbers);
            let turns = turns_of_innkeeper(&pieces, &limits);
            assert_eq!(turns, expected, "in pieces of up to {largest}");
        }
    }
}

/// Limits that short inputs meet.
pub fn narrow() -> Limits {
    let limits = Limits::default();
    let request = http::Limits { line_bytes: 40, head_bytes: 160, fields: 4, body_bytes: 20 };
    Limits { request, empty_lines: 1, ..limits }
}

/// What a connection of innkeeper's makes of these pieces.
fn turns_of_innkeeper(pieces: &[&[u8]], limits: &Limits) -> Vec<Turn> {
    let mut turns = Vec::new();
    let mut pieces = pieces.iter();
    let mut received = Vec::new();
    loop {
        let mut scanner = Scanner::default();
        let extent = loop {
            match scanner.scan(&received, limits) {
                Ok(Some(extent)) => break extent,
                Ok(None) => {}
                Err(fault) => {
                    turns.push(Turn::Refused(fault.status()));
                    return turns;
                }
            }
            let Some(piece) = pieces.next() else {
                turns.push(Turn::Unfinished);
                return turns;
            };
            received.extend_from_slice(piece);
        };
        let rest = received.split_off(extent.end);
        let bytes = std::mem::replace(&mut received, rest);
        let (request, framing) = match Head::parse(&bytes[extent.start..], limits, PEER, None) {
            Ok(head) => (request_of(&head), head.framing),
            Err(fault) => {
                turns.push(Turn::Refused(fault.status()));
                return turns;
            }
        };
        let body = match BodyDrain::new(framing, limits.request.body_bytes) {
            Err(fault) => Body::Refused(status_of(fault)),
            Ok(mut body) => loop {
                if body.is_done() {
                    break Body::Whole;
                }
                match body.advance(&received) {
                    Ok(taken) => drop(received.drain(..taken)),
                    Err(fault) => break Body::Refused(status_of(fault)),
                }
                if !body.is_done() {
                    assert!(received.is_empty(), "bytes of a body are left lying");
                    let Some(piece) = pieces.next() else { break Body::Unfinished };
                    received.extend_from_slice(piece);
                }
            },
        };
        turns.push(Turn::Request(Box::new(request), body));
        if body != Body::Whole {
            return turns;
        }
    }
}

/// As `http1::connection` answers it.
fn status_of(error: BodyError) -> u16 {
    match error {
        BodyError::TooLarge => 413,
        BodyError::Chunk => 400,
    }
}

/// The same in the reference's terms. What innkeeper keeps less of is checked here.
fn request_of(head: &Head<'_>) -> Request {
    let line = String::from_utf8(head.request.line.to_vec()).expect("a request line is ASCII");
    let (method, version) = (line.split(' ').next(), line.rsplit(' ').next());
    let method = method.expect("a method").to_owned();
    let kind = match method.as_str() {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "OPTIONS" => Method::Options,
        "POST" | "PUT" | "DELETE" | "CONNECT" | "TRACE" | "PATCH" | "PROPFIND" | "PROPPATCH"
        | "MKCOL" | "COPY" | "MOVE" | "LOCK" | "UNLOCK" => Method::Known,
        _ => Method::Unknown,
    };
    assert_eq!(head.request.method, kind, "{method}");
    let mut fields = Vec::new();
    for field in &head.request.fields {
        let value = super::reference::request::trim(field.value);
        assert!(head.request.values(field.name).any(|found| found == value), "{}", field.name);
        assert!(head.request.joined(field.name).is_some(), "{}", field.name);
        fields.push((field.name.to_owned(), value.to_vec()));
    }
    Request {
        line: head.request.line.to_vec(),
        method,
        target: head.request.target.to_owned(),
        minor_version: version.expect("a version").as_bytes()[7] - b'0',
        fields,
        framing: match head.framing {
            request_body::Framing::None => Framing::None,
            request_body::Framing::Length(length) => Framing::Length(length),
            request_body::Framing::Chunked => Framing::Chunked,
        },
        after: match head.persistence {
            Persistence::KeepAlive => After::KeepAlive,
            Persistence::KeepAliveSaid => After::KeepAliveSaid,
            Persistence::Close => After::Close,
        },
        expects_continue: head.expects_continue,
    }
}
