//! What a request and its answer came to, for the access log and the metrics.

use std::net::IpAddr;
use std::time::Instant;

use super::connection::{Origin, Service};
use super::head::Head;
use crate::guest::decision::Kind;
use crate::guest::{self, Failure};
use crate::log::Entry;
use crate::metrics::{Answered, Decided, Failed};

/// The account of one request. Where nobody wants one it does not even look at the
/// clock.
pub(super) struct Account<'a> {
    service: &'a Service,
    origin: Origin,
    began: Option<Instant>,
    first_byte: Option<Instant>,
    /// Bytes of the body that were sent so far.
    pub(super) body_bytes: u64,
}

impl<'a> Account<'a> {
    /// Opens the account of a request that has just arrived.
    pub(super) fn open(service: &'a Service, origin: Origin) -> Account<'a> {
        let is_wanted = service.log.is_some() || service.metrics.is_some();
        let began = is_wanted.then(Instant::now);
        Account { service, origin, began, first_byte: None, body_bytes: 0 }
    }

    /// Notes for whom the request is, which may be known only from its head.
    pub(super) fn is_for(&mut self, client: IpAddr) {
        self.origin.client = client;
    }

    /// Notes that the first bytes of the answer are sent, and others follow.
    pub(super) fn first_byte(&mut self) {
        if self.began.is_some() && self.first_byte.is_none() {
            self.first_byte = Some(Instant::now());
        }
    }

    /// Closes it: the answer is sent, or given up.
    pub(super) fn close(
        self,
        line: &[u8],
        head: Option<&Head<'_>>,
        status: u16,
        decided: Option<&guest::Decided>,
    ) {
        let Some(began) = self.began else { return };
        let took = began.elapsed();
        let computed_in = decided.and_then(|decided| decided.computed_in);
        let by_whom = name(decided);
        if let Some(metrics) = &self.service.metrics {
            let body_bytes = self.body_bytes;
            let failed = decided.and_then(|decided| decided.made_good.as_ref()).map(kind);
            let answered =
                Answered { status, decided: by_whom, failed, computed_in, body_bytes, took };
            metrics.answered(self.origin.worker, &answered);
        }
        if let Some(log) = &self.service.log {
            let field = |name| head.and_then(|head| head.values(name).next());
            log.request(&Entry {
                client: self.origin.client,
                line,
                status,
                body_bytes: self.body_bytes,
                referer: field("referer"),
                user_agent: field("user-agent"),
                decision: by_whom.name(),
                guest: decided.map(|decided| decided.by.short()),
                computed_in,
                first_byte: self.first_byte.map_or(took, |first| first - began),
                total: took,
            });
        }
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
