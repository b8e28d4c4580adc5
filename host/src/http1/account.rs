//! What a request and its answer came to, for the access log and the metrics.

use std::net::IpAddr;
use std::ops::Range;
use std::time::Instant;

use super::connection::Service;
use super::head::Head;
use crate::guest::decision::Kind;
use crate::guest::{self, Failure};
use crate::http::Peer;
use crate::log::{Draft, Entry};
use crate::metrics::{Answered, Decided, Failed};

/// The account of one request. Where nobody wants one it does not even look at the
/// clock.
pub(super) struct Account<'a> {
    service: &'a Service,
    peer: Peer,
    began: Option<Instant>,
    first_byte: Option<Instant>,
    /// Where the body begins in what is sent on the connection.
    body_begins: u64,
}

/// A response that was handed to the kernel, until it is known what the client took of it.
pub(super) struct Handed {
    /// What is known of its line in the log.
    draft: Option<Draft>,
    /// Where its body is in what was sent on the connection.
    body: Range<u64>,
    /// Whether it was handed over to its end.
    is_whole: bool,
}

impl<'a> Account<'a> {
    /// Opens the account of a request that has just arrived.
    pub(super) fn open(service: &'a Service, peer: Peer) -> Account<'a> {
        let is_wanted = service.log.is_some() || service.metrics.is_some();
        let began = is_wanted.then(Instant::now);
        Account { service, peer, began, first_byte: None, body_begins: 0 }
    }

    /// Notes for whom the request is, which may be known only from its head.
    pub(super) fn is_for(&mut self, client: IpAddr) {
        self.peer.address = client;
    }

    /// Notes where the body begins in what is sent on the connection.
    pub(super) fn body_begins(&mut self, at: u64) {
        self.body_begins = at;
    }

    /// Notes that the first bytes of the answer are sent, and others follow.
    pub(super) fn first_byte(&mut self) {
        if self.began.is_some() && self.first_byte.is_none() {
            self.first_byte = Some(Instant::now());
        }
    }

    /// Closes it: the answer is sent, to this place in what is sent on the connection, or given
    /// up there. What is left to tell is what the client takes of it. The line in the log is
    /// written in the room of one that is there already.
    pub(super) fn close(
        self,
        sent: Sent,
        line: &[u8],
        head: Option<&Head<'_>>,
        decided: Option<&guest::Decided>,
        room: &mut Draft,
    ) -> Option<Handed> {
        let began = self.began?;
        let took = began.elapsed();
        let compute_time = decided.and_then(|decided| decided.compute_time);
        let by_whom = name(decided);
        let status = sent.status;
        if let Some(metrics) = &self.service.metrics {
            let failed = decided.and_then(|decided| decided.masked_failure.as_ref()).map(kind);
            let answered = Answered { status, decided: by_whom, failed, compute_time, took };
            metrics.answered(self.peer.worker, &answered);
        }
        let draft = self.service.log.as_ref().map(|log| {
            let field = |name| head.and_then(|head| head.values(name).next());
            let entry = Entry {
                client: self.peer.address,
                line,
                status,
                referer: field("referer"),
                user_agent: field("user-agent"),
                decision: by_whom.name(),
                guest: decided.map(|decided| decided.by.short()),
                compute_time,
                first_byte: self.first_byte.map_or(took, |first| first - began),
                total: took,
            };
            log.draft(std::mem::take(room), &entry)
        });
        // An answer that ended within its head has no body.
        let body = self.body_begins.min(sent.to)..sent.to;
        Some(Handed { draft, body, is_whole: sent.is_whole })
    }
}

/// How far an answer was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    /// Its status.
    pub(super) status: u16,
    /// Its end in what is sent on the connection.
    pub(super) to: u64,
    /// Whether it is all of the answer.
    pub(super) is_whole: bool,
}

impl Handed {
    /// Whether the client, which took so much of what was sent on the connection, took all of
    /// it.
    pub(super) fn is_taken(&self, taken: u64) -> bool {
        self.is_whole && taken >= self.body.end
    }

    /// Logs and counts what the client took of it, which took so much of what was sent on the
    /// connection. Gives the room of its line.
    pub(super) fn close(self, service: &Service, worker: usize, taken: u64) -> Draft {
        let body_bytes = taken.clamp(self.body.start, self.body.end) - self.body.start;
        let is_cut = !self.is_taken(taken);
        if let Some(metrics) = &service.metrics {
            metrics.taken(worker, body_bytes, is_cut);
        }
        let draft = self.draft.unwrap_or_default();
        if let Some(log) = &service.log {
            log.append(&draft, body_bytes, is_cut);
        }
        draft
    }
}

fn name(decided: Option<&guest::Decided>) -> Decided {
    let Some(decided) = decided else { return Decided::Host };
    match &decided.decision {
        Ok(decision) => match decision.kind() {
            Kind::Index => Decided::Index,
            Kind::File => Decided::File,
            Kind::Serve => Decided::Serve,
            Kind::NotFound => Decided::NotFound,
            Kind::Redirect => Decided::Redirect,
            Kind::Reply => Decided::Reply,
        },
        Err(failure) => Decided::Failed(kind(failure)),
    }
}

fn kind(failure: &Failure) -> Failed {
    match failure {
        Failure::Busy => Failed::Busy,
        Failure::Deadline => Failed::Deadline,
        Failure::Memory(_) => Failed::Memory,
        Failure::Trap(_) => Failed::Trap,
        Failure::Refused(_) => Failed::Refused,
    }
}
