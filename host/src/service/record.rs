//! The record of one request: who asked, who decided, what was sent. It is the one tap for the
//! access log and the metrics.

use std::fmt::Display;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::explain::Trace;
use super::location::path_query;
use super::site::{Place, SiteOfWorker};
use super::{Response, Service, request_id};
use crate::clients::proxies::Forwarded;
use crate::diagnostics::context;
use crate::guest::decision::Kind;
use crate::guest::{self, Failure};
use crate::http::{Peer, Request, Scheme, Version};
use crate::log::{AccessLog, Draft, Entry};
use crate::metrics::{ActiveRequest, Decision, FailureKind, Protocol, Sample, lately};

/// The record of one request while it is served. Where neither log nor metrics want one it does
/// not even look at the clock. Dropped before it is finished, it leaves no line: the client
/// left before its request was whole. A malformed one has its line, also where HTTP/2 resets its
/// stream and sends no response.
pub struct Record<'s, 'r> {
    service: &'s Service,
    /// Whose the request is. `None` once it is finished.
    place: Option<Place>,
    /// The client, once it is known.
    peer: Peer,
    /// The scheme that the client uses, unless only a proxy could tell.
    scheme: Option<Scheme>,
    received: Received<'r>,
    request: Option<&'r Request<'r>>,
    /// How long the client is to wait, which has asked too often.
    over_limit: Option<Duration>,
    began: Option<Instant>,
    first_byte: Option<Instant>,
    decided: Option<guest::Decided>,
    trace: Option<Box<Trace>>,
    /// Its id, where requests have one.
    id: Option<Box<str>>,
    /// Counts the request while it is served.
    _active: Option<ActiveRequest<'s>>,
}

/// What was received of a request that may be none, for its line in the log.
#[derive(Clone, Copy, Debug, Default)]
pub struct Received<'a> {
    /// The request line.
    pub line: &'a [u8],
    /// The version of HTTP that the connection speaks, if the line does not tell it.
    pub version: Version,
    /// `Referer`, if there was one.
    pub referer: Option<&'a [u8]>,
    /// `User-Agent`, if there was one.
    pub user_agent: Option<&'a [u8]>,
}

/// The record of a response that was sent, until it is known what the client took of it. Dropped
/// before that, it is logged as aborted before its body.
pub struct Finished<'a> {
    service: &'a Service,
    place: Option<Place>,
    worker: usize,
    /// What is known of its line in the log. `None` once it is logged.
    draft: Option<Draft>,
}

/// Memory of lines of one connection that wait until the client has taken their responses: 200
/// usual lines. A client that sends more requests waits until it has taken some.
pub const UNLOGGED_BYTES: usize = 64 << 10;

impl Service {
    /// Begins the record of a request, and counts it as one of its client's. It counts however
    /// it ends: before its body is read, and also where it is refused.
    pub fn begin<'s, 'r>(&'s self, request: &'r Request<'r>) -> Record<'s, 'r> {
        let Request { line, version, .. } = *request;
        let received = Received { line, version, ..Received::default() };
        let place = self.sites.find(request.peer.worker, request.host());
        let mut record = self.begin_without_id(request.peer, received, place);
        record.request = Some(request);
        record.id = record.new_id();
        let (forwarded_for, forwarded_proto) =
            (request.values("x-forwarded-for"), request.values("x-forwarded-proto"));
        let proxies = &self.clients.proxies;
        let Forwarded { client, scheme } =
            proxies.client(request.peer.address, forwarded_for, forwarded_proto);
        record.set_client(client);
        record.scheme = match scheme {
            // The proxy may end TLS, and not tell it.
            None if request.scheme == Scheme::Http && proxies.forwards(request.peer.address) => {
                None
            }
            None => Some(request.scheme),
            told => told,
        };
        let rate = record.site().map(|of| &*of.site.rate);
        record.over_limit = self.clients.allowance.request(rate, record.client()).err();
        record
    }

    /// Begins the record of what is no request. It counts as one of the client's. Behind a proxy
    /// it is not known whose it is, and does not count against all of them.
    pub fn begin_malformed<'s, 'r>(&'s self, peer: Peer, received: Received<'r>) -> Record<'s, 'r> {
        let mut record = self.begin_unread(peer, received);
        if !self.clients.proxies.forwards(peer.address) {
            record.over_limit = self.clients.allowance.request(None, peer.address).err();
        }
        record
    }

    /// Begins the record of a response that no request asked for.
    pub fn begin_unread<'s, 'r>(&'s self, peer: Peer, received: Received<'r>) -> Record<'s, 'r> {
        let place = self.sites.find_only(peer.worker);
        let mut record = self.begin_without_id(peer, received, place);
        record.id = record.new_id();
        record
    }

    fn begin_without_id<'s, 'r>(
        &'s self,
        peer: Peer,
        received: Received<'r>,
        place: Place,
    ) -> Record<'s, 'r> {
        context::set_request(peer.address, received.line, place.name());
        let is_wanted = self.metrics.is_some() || place.log().is_some();
        Record {
            service: self,
            place: Some(place),
            peer,
            scheme: None,
            received,
            request: None,
            over_limit: None,
            began: is_wanted.then(Instant::now),
            first_byte: None,
            decided: None,
            trace: None,
            id: None,
            _active: self.metrics.as_ref().map(|metrics| metrics.request(peer.worker)),
        }
    }
}

impl<'s, 'r> Record<'s, 'r> {
    /// The client: the other end of the connection, or the one that a trusted proxy names.
    pub fn client(&self) -> IpAddr {
        self.peer.address
    }

    /// The site that the request is for, if there is one.
    pub(super) fn site(&self) -> Option<&Arc<SiteOfWorker>> {
        self.place.as_ref()?.site()
    }

    /// The name of the field for ids, if requests have one.
    fn id_name(&self) -> Option<&str> {
        self.place.as_ref()?.request_id()
    }

    fn new_id(&self) -> Option<Box<str>> {
        self.id_name().map(|name| request_id::of(name, self.request))
    }

    /// The request, if it is one.
    pub(super) fn request(&self) -> Option<&'r Request<'r>> {
        self.request
    }

    /// The scheme that the client uses: what a trusted proxy tells, or else the connection. `None`
    /// where such a proxy does not tell it.
    pub(super) fn scheme(&self) -> Option<Scheme> {
        self.scheme
    }

    fn set_client(&mut self, client: IpAddr) {
        context::set_client(client);
        self.peer.address = client;
    }

    /// The response with the request's id, where requests have one.
    pub(super) fn identify(&self, response: Response) -> Response {
        match (self.id_name(), &self.id) {
            (Some(name), Some(id)) => request_id::add_to(response, name, id),
            _ => response,
        }
    }

    /// How long the client is to wait, if it asks more often than it may.
    pub(super) fn over_limit(&self) -> Option<Duration> {
        self.over_limit
    }

    pub(super) fn set_decided(&mut self, decided: guest::Decided) {
        self.decided = Some(decided);
    }

    pub(super) fn decided(&self) -> Option<&guest::Decided> {
        self.decided.as_ref()
    }

    /// Has the record keep the reasons of the response.
    pub(super) fn keep_trace(&mut self) {
        self.trace = Some(Box::default());
    }

    pub(super) fn trace(&mut self) -> Option<&mut Trace> {
        self.trace.as_deref_mut()
    }

    pub(super) fn into_trace(self) -> Option<Box<Trace>> {
        self.trace
    }

    /// Whether log or metrics want to know what the client takes of the response.
    pub fn is_wanted(&self) -> bool {
        self.began.is_some()
    }

    /// Notes that the first bytes of the response are sent, and others follow.
    pub fn first_byte(&mut self) {
        if self.began.is_some() && self.first_byte.is_none() {
            self.first_byte = Some(Instant::now());
        }
    }

    /// Finishes it: the response with this status is sent, or given up. What is left to tell is
    /// what the client takes of it. Its line in the log is written in the room of one that is
    /// there already. `None` where nothing is logged and counted.
    pub fn finish(&mut self, status: u16, room: &mut Draft) -> Option<Finished<'s>> {
        let began = self.began.take()?;
        let total = began.elapsed();
        let decided = self.decided.as_ref();
        let compute_time = decided.and_then(|decided| decided.compute_time);
        let decision = decision(decided);
        // Most logs have but the line.
        let place = self.place.as_ref();
        let log = place.and_then(Place::log);
        let counters = place.and_then(Place::counters);
        let has_parts = self.service.metrics.is_some() || log.is_some_and(AccessLog::has_parts);
        let request = self.request.filter(|_| has_parts);
        let method = request.and_then(|request| method(request.line));
        let target = request.map(|request| path_query(request.target));
        if let Some(metrics) = &self.service.metrics {
            let masked = decided.and_then(|decided| decided.masked_failure.as_ref());
            let masked_failure = masked.map(failure_kind);
            let (protocol, duration) = (protocol(self.received.version), total);
            let sample =
                Sample { protocol, status, decision, masked_failure, compute_time, duration };
            metrics.observe(self.peer.worker, counters, &sample);
            let failure = decided.and_then(|decided| {
                decided.decision.as_ref().err().or(decided.masked_failure.as_ref())
            });
            let response = lately::Response {
                at: began + total,
                duration: total,
                status,
                method: method.unwrap_or_default(),
                // Without its query: those who read what was asked lately need no token, and
                // queries hold secrets.
                path: target.map_or("", |(path, _)| path),
                decision: decision.name(),
                guest: decided.map(|decided| &decided.by as &dyn Display),
                failure: failure.map(|failure| failure as &dyn Display),
            };
            metrics.note(self.peer.worker, counters, &response);
        }
        let draft = log.map_or_else(Draft::default, |log| {
            let field = |name| self.request.and_then(|request| request.values(name).next());
            let tls = self.request.and_then(|request| request.tls);
            let query = target.and_then(|(_, query)| query).filter(|query| !query.is_empty());
            let host = request.and_then(|request| request.host()).map(str::as_bytes);
            let site = place.and_then(|place| place.site()?.site.name.as_deref());
            let first_byte = self.first_byte.map_or(total, |first| first - began);
            let entry = Entry {
                client: self.peer.address,
                request: &self.log_line(),
                method,
                scheme: self.scheme.or(self.request.map(|of| of.scheme)).map(Scheme::name),
                host,
                site,
                virtual_host: match self.service.sites.are_several() {
                    true => site.map(str::as_bytes),
                    false => host,
                },
                path: target.map(|(path, _)| path.as_bytes()),
                query: query.map(str::as_bytes),
                request_id: self.id.as_deref(),
                protocol: self.received.version.alpn_name(),
                tls_version: tls.map(|tls| tls.version.name()),
                server_name: tls.and_then(|tls| tls.server_name.as_deref()),
                client_name: tls.and_then(|tls| tls.client.as_ref()?.name.as_deref()),
                status,
                referer: field("referer").or(self.received.referer),
                user_agent: field("user-agent").or(self.received.user_agent),
                decision: decision.name(),
                guest: decided.map(|decided| decided.by.short()),
                compute_time,
                first_byte,
                total,
            };
            log.draft(std::mem::take(room), &entry)
        });
        let (service, place, worker) = (self.service, self.place.take(), self.peer.worker);
        Some(Finished { service, place, worker, draft: Some(draft) })
    }

    /// The line with the version that the client spoke.
    fn log_line(&self) -> std::borrow::Cow<'_, [u8]> {
        let line = self.received.line;
        let Some(version) = self.received.version.name() else { return line.into() };
        if line.is_empty() {
            return line.into();
        }
        let before = line.iter().rposition(|&byte| byte == b' ').map_or(0, |at| at + 1);
        [&line[..before], version.as_bytes()].concat().into()
    }
}

/// The method of a line, which may be any token.
fn method(line: &[u8]) -> Option<&str> {
    std::str::from_utf8(line.split(|&byte| byte == b' ').next()?).ok()
}

impl Finished<'_> {
    /// Logs and counts that the client took this many bytes of the response's body, and whether it
    /// was aborted before its end. Gives the room of its line.
    pub fn taken(mut self, body_bytes: u64, is_aborted: bool) -> Draft {
        self.settle(body_bytes, is_aborted).unwrap_or_default()
    }

    /// The memory that its line takes until then, beside its own.
    pub fn memory_bytes(&self) -> usize {
        self.draft.as_ref().map_or(0, Draft::memory_bytes)
    }

    fn settle(&mut self, body_bytes: u64, is_aborted: bool) -> Option<Draft> {
        let draft = self.draft.take()?;
        if let Some(metrics) = &self.service.metrics {
            let counters = self.place.as_ref().and_then(Place::counters);
            metrics.delivered(self.worker, counters, body_bytes, is_aborted);
        }
        if let Some(log) = self.place.as_ref().and_then(Place::log) {
            log.append(&draft, body_bytes, is_aborted);
        }
        Some(draft)
    }
}

impl Drop for Finished<'_> {
    fn drop(&mut self) {
        self.settle(0, true);
    }
}

fn decision(decided: Option<&guest::Decided>) -> Decision {
    let Some(decided) = decided else { return Decision::Host };
    match &decided.decision {
        Ok(decision) => match decision.kind() {
            Kind::Index => Decision::Index,
            Kind::File => Decision::File,
            Kind::Serve => Decision::Serve,
            Kind::NotFound => Decision::NotFound,
            Kind::Redirect => Decision::Redirect,
            Kind::Reply => Decision::Reply,
        },
        Err(failure) => Decision::Failed(failure_kind(failure)),
    }
}

fn protocol(version: Version) -> Protocol {
    match version {
        Version::Http10 => Protocol::Http10,
        Version::Http11 => Protocol::Http11,
        Version::Http2 => Protocol::Http2,
        Version::Http3 => Protocol::Http3,
    }
}

fn failure_kind(failure: &Failure) -> FailureKind {
    match failure {
        Failure::Busy => FailureKind::Busy,
        Failure::Deadline => FailureKind::Deadline,
        Failure::Memory(_) => FailureKind::Memory,
        Failure::Trap(_) => FailureKind::Trap,
        Failure::Refused(_) => FailureKind::Refused,
    }
}
