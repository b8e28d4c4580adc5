//! Serves one HTTP/1.1 connection, from its first byte to its last.
//!
//! Each turn reads one request head, asks the guest for a decision and carries
//! it out. Every timeout and size limit of a connection is applied here, so that
//! a reader who asks "how long do we wait?" has one file to open.
//!
//! Deliberately absent: TLS, HTTP/2, and request bodies beyond discarding them.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, timeout};

use super::account::{Account, Handed, Sent};
use super::answer::answer;
use super::body::{self, Discard};
use super::head::{After, Head};
use super::introduction;
use super::limits::Limits;
use super::scan::Scanner;
use super::stream::{Arrival, Broken, Stream};
use super::transmission::transmit;
use super::turns::{SMALL_BYTES, Turns};
use crate::clients::Clients;
use crate::clients::allowance::Admission;
use crate::dev::inject::Tail;
use crate::diagnostics;
use crate::files::Files;
use crate::guest::{ActiveGuest, Decided};
use crate::http::{Method, Peer};
use crate::log::{AccessLog, Draft};
use crate::metrics::{Metrics, Writing};
use crate::reply::{Body, Field, Persistence, Reply};

/// What all connections of a server share.
pub struct Service {
    /// Where files come from.
    pub files: Files,
    /// The guest that decides.
    pub guest: Arc<ActiveGuest>,
    /// Who asks, and what one of them may have.
    pub clients: Clients,
    /// The bounds on each connection.
    pub limits: Limits,
    /// Who goes first.
    pub turns: Turns,
    /// Where requests are logged, if anywhere.
    pub log: Option<AccessLog>,
    /// Where they are counted, if anywhere.
    pub metrics: Option<Arc<Metrics>>,
    /// Whether each request's head is shown among the diagnostics.
    pub show_heads: bool,
    /// What is appended to pages, for who writes a guest.
    pub tail: Option<Tail>,
}

/// Becomes ready when the server is about to stop. Waited for by one future for
/// the whole life of a connection, which is registered once.
pub(super) trait Stop: Future<Output = ()> + Send {}

impl<F: Future<Output = ()> + Send> Stop for F {}

/// One connection.
pub(super) struct Connection<'a> {
    pub(super) stream: Stream<'a>,
    pub(super) peer: Peer,
    pub(super) service: &'a Service,
    /// What has arrived and was not looked at yet.
    pub(super) received: Vec<u8>,
    /// Whether the client said that this request is its last, and sent all of it.
    pub(super) is_leaving: bool,
    /// Whether the client has sent a request before it could have taken the answer before.
    pub(super) is_ahead: bool,
    /// Answers that were sent, and of which it is not known that the client took them, if
    /// anybody wants to know.
    pub(super) handed: VecDeque<Handed>,
    /// Where the next line of the log is written.
    pub(super) room: Draft,
    /// Counts the connection while the client was found not to have taken all of it.
    pub(super) writing: Option<Writing<'a>>,
    pub(super) stopping: &'a watch::Receiver<bool>,
    /// Whether that was noticed while waiting for the client.
    pub(super) has_stopped: bool,
}

/// A request that is answered, as far as it is known.
#[derive(Clone, Copy)]
struct Request<'a> {
    /// Its line.
    line: &'a [u8],
    /// Its head, if it has one that can be read.
    head: Option<&'a Head<'a>>,
    /// What was decided on it, if a guest was asked.
    decided: Option<&'a Decided>,
}

/// What came of waiting for a request.
enum Awaited {
    /// A complete head, from its request line to its empty line.
    Head(Vec<u8>),
    /// Bytes that are no head. They get an answer.
    Refused { status: u16, why: String },
    /// Nobody waits for an answer: the client has ended or is idle, or the server is
    /// about to stop.
    Nothing,
    /// The client is gone, or does not take the answer that it was sent.
    Lost,
}

/// What becomes of the connection after an answer.
enum Next {
    /// It is kept for another request.
    Request,
    /// It is closed, so that the client has time to read the answer.
    Close,
    /// It is dropped, and reset if the client has not taken all that was sent: it does not take
    /// it, or is gone.
    Cut,
}

/// Serves a connection until it ends. When `stopping` becomes true the request
/// in flight is finished and the connection closed.
pub async fn serve(
    socket: TcpStream,
    peer: Peer,
    service: Arc<Service>,
    stopping: watch::Receiver<bool>,
) {
    let metrics = service.metrics.as_ref();
    let _open = metrics.map(|metrics| metrics.connection(peer.worker));
    let mut stop_receiver = stopping.clone();
    // The sender lives as long as the server; should it be gone, that is a stop.
    let mut stop: Pin<&mut dyn Stop> = pin!(async move {
        let _ = stop_receiver.wait_for(|stopping| *stopping).await;
    });
    let turn = service.turns.of(peer.worker);
    let mut stream = Stream::new(socket, turn, service.limits.stall);
    let mut received = Vec::new();
    let mut has_stopped = false;
    let client = {
        let introduced = introduction::client(&mut stream, &mut received, peer.address, &service);
        let mut introduced = pin!(introduced);
        match unless(stop.as_mut(), introduced.as_mut()).await {
            Some(client) => client,
            // The proxy may be sending a request, as the client of a busy connection may.
            None => {
                has_stopped = true;
                timeout(service.limits.linger, introduced).await.unwrap_or_default()
            }
        }
    };
    let Some(client) = client else { return };
    let Some(admission) = introduction::admit(client, &service) else { return };
    let mut connection = Connection {
        stream,
        peer: Peer { address: client, ..peer },
        service: &service,
        received,
        is_leaving: false,
        is_ahead: false,
        handed: VecDeque::new(),
        room: Draft::default(),
        writing: None,
        stopping: &stopping,
        has_stopped,
    };
    let mut requests = 0;
    let mut patience = service.limits.first_byte;
    let next = loop {
        if let Admission::Refused(_) = admission {
            break connection.refuse_another().await;
        }
        let next = match connection.next_head(patience, stop.as_mut()).await {
            Awaited::Head(head) => {
                requests += 1;
                let is_last = requests >= service.limits.requests;
                connection.serve_one(&head, is_last).await
            }
            Awaited::Refused { status, why } => connection.refuse(status, &why).await,
            Awaited::Nothing => Next::Close,
            Awaited::Lost => Next::Cut,
        };
        if !matches!(next, Next::Request) {
            break next;
        }
        patience = service.limits.idle;
        // A client whose next request is always there already must not keep the
        // other connections of this worker waiting: one that sent many at once gets
        // one answer a turn. tokio's own budget would give it 128.
        if connection.received.is_empty() {
            consume_budget().await;
        } else {
            connection.stream.turn().await;
        }
    };
    if matches!(next, Next::Close) {
        Box::pin(connection.close(stop)).await;
    }
}

impl<'a> Connection<'a> {
    /// Waits for the next request for so long, and then for all of its head.
    async fn next_head(&mut self, patience: Duration, stop: Pin<&mut dyn Stop>) -> Awaited {
        let limits = &self.service.limits;
        if self.received.is_empty() {
            match self.first_bytes(patience, stop).await {
                Arrival::Bytes => {}
                Arrival::End | Arrival::Late => return Awaited::Nothing,
                Arrival::Gone | Arrival::Stalled => return Awaited::Lost,
            }
            self.settle_before_next();
        } else if !self.handed.is_empty() {
            // It was there before the answer, and tells nothing of what the client takes.
            self.is_ahead = true;
        }
        let deadline = Instant::now() + limits.head;
        let mut scanner = Scanner::default();
        loop {
            match scanner.scan(&self.received, limits) {
                Ok(Some(extent)) => {
                    let rest = self.received.split_off(extent.end);
                    let mut head = std::mem::replace(&mut self.received, rest);
                    head.drain(..extent.start);
                    return Awaited::Head(head);
                }
                Ok(None) => {}
                Err(fault) => {
                    return Awaited::Refused { status: fault.status(), why: fault.to_string() };
                }
            }
            match self.stream.read(&mut self.received, deadline).await {
                Arrival::Bytes => {}
                Arrival::End => return Awaited::Nothing,
                Arrival::Gone | Arrival::Stalled => return Awaited::Lost,
                Arrival::Late => {
                    return Awaited::Refused {
                        status: 408,
                        why: "the request head did not arrive in time".to_owned(),
                    };
                }
            }
        }
    }

    /// Answers one request.
    async fn serve_one(&mut self, bytes: &[u8], is_last: bool) -> Next {
        let mut account = Account::open(self.service, self.peer);
        let metrics = self.service.metrics.as_ref();
        let _active = metrics.map(|metrics| metrics.request(self.peer.worker));
        if self.service.show_heads {
            diagnostics::head(self.peer.address, bytes);
        }
        let head = match Head::parse(bytes, &self.service.limits) {
            Ok(head) => head,
            Err(fault) => {
                let reply = self.refusal(fault.status(), &fault.to_string());
                let request = Request { line: first_line(bytes), head: None, decided: None };
                return self.send(reply, request, Persistence::Close, account).await;
            }
        };
        let client = self.client(&head);
        account.is_for(client);
        // Before its body, so that one that is refused, or does not come, counts too.
        let allowed = self.service.clients.allowance.request(client);
        let mut after = head.after;
        match self.discard_body(&head).await {
            Ok(Discarded::All) => self.is_leaving = head.after == After::Close,
            Ok(Discarded::Unsent) => after = After::Close,
            Err(Undiscarded::Refused { status, why }) => {
                let reply = match allowed {
                    Ok(()) => Reply::text(status, why),
                    Err(wait) => too_many("requests", wait),
                };
                let request = Request { line: head.line, head: Some(&head), decided: None };
                return self.send(reply, request, Persistence::Close, account).await;
            }
            Err(Undiscarded::Gone) => return Next::Close,
        }
        let (reply, decided) = match allowed {
            Ok(()) => {
                let peer = Peer { address: client, ..self.peer };
                let (reply, decided) = answer(self.service, &head, peer).await;
                (reply, Some(decided))
            }
            Err(wait) => (too_many("requests", wait), None),
        };
        let persistence = match after {
            _ if is_last || *self.stopping.borrow() => Persistence::Close,
            after => after.persistence(),
        };
        let request = Request { line: head.line, head: Some(&head), decided: decided.as_ref() };
        self.send(reply, request, persistence, account).await
    }

    /// For whom a request is made.
    fn client(&self, head: &Head<'_>) -> IpAddr {
        self.service.clients.proxies.client(self.peer.address, head.values("x-forwarded-for"))
    }

    /// Answers a connection that is one too many for its client, whatever it asks for.
    async fn refuse_another(&mut self) -> Next {
        let account = Account::open(self.service, self.peer);
        let request = Request { line: b"", head: None, decided: None };
        let reply = too_many("connections", Duration::from_secs(1));
        self.send(reply, request, Persistence::Close, account).await
    }

    /// Answers bytes that are no request.
    async fn refuse(&mut self, status: u16, why: &str) -> Next {
        let received = std::mem::take(&mut self.received);
        let line = first_line(&received);
        let line = &line[..line.len().min(self.service.limits.line_bytes)];
        let account = Account::open(self.service, self.peer);
        let request = Request { line, head: None, decided: None };
        let reply = self.refusal(status, why);
        self.send(reply, request, Persistence::Close, account).await
    }

    /// The reply to what is no request. It counts as one of the client's. Behind a proxy it
    /// is not known whose it is, and does not count against all of them.
    fn refusal(&self, status: u16, why: &str) -> Reply {
        let (clients, client) = (&self.service.clients, self.peer.address);
        match clients.proxies.forwards(client) {
            true => Reply::text(status, why),
            false => match clients.allowance.request(client) {
                Ok(()) => Reply::text(status, why),
                Err(wait) => too_many("requests", wait),
            },
        }
    }

    /// Reads the request's body and throws it away, so that what follows it is
    /// the next request.
    ///
    /// A client that waits for `100 Continue` gets its final answer instead, and
    /// keeps its body: no answer here depends on one (RFC 9110, section 10.1.1).
    /// Whether it sends the body all the same cannot be known, so that answer is
    /// the connection's last.
    async fn discard_body(&mut self, head: &Head<'_>) -> Result<Discarded, Undiscarded> {
        let limits = &self.service.limits;
        let mut body = Discard::new(head.framing, limits.body_bytes)?;
        if body.is_done() {
            return Ok(Discarded::All);
        }
        if head.expects_continue && self.received.is_empty() {
            return Ok(Discarded::Unsent);
        }
        let deadline = Instant::now() + limits.body;
        loop {
            let taken = body.advance(&self.received)?;
            self.received.drain(..taken);
            if body.is_done() {
                return Ok(Discarded::All);
            }
            match self.stream.read(&mut self.received, deadline).await {
                Arrival::Bytes => {}
                Arrival::End | Arrival::Gone | Arrival::Stalled => return Err(Undiscarded::Gone),
                Arrival::Late => {
                    return Err(Undiscarded::Refused {
                        status: 408,
                        why: "the request body did not arrive in time",
                    });
                }
            }
        }
    }

    /// Sends an answer, accounts for it and tells what becomes of the connection.
    async fn send(
        &mut self,
        reply: Reply,
        request: Request<'_>,
        persistence: Persistence,
        account: Account<'a>,
    ) -> Next {
        let Request { line, head, .. } = request;
        // Also where the rest of the head could not be read (RFC 9110, section 9.3.2).
        let without_body = match head {
            Some(head) => head.method == Method::Head,
            None => line.starts_with(b"HEAD "),
        };
        let body = if without_body { &Body::Empty } else { &reply.body };
        let status = reply.status;
        let mut sending = Sending { connection: self, account: Some(account), request, status };
        let sent = sending.send(&reply, body, persistence).await;
        sending.end(sent.is_ok());
        drop(sending);
        match sent {
            Ok(()) if persistence == Persistence::Close => Next::Close,
            Ok(()) => Next::Request,
            Err(Broken::Stalled) => {
                self.tell_of_stall();
                Next::Cut
            }
            Err(Broken::Gone(error)) => {
                let client = self.peer.address;
                tracing::debug!(%client, "the client is gone: {error}");
                Next::Cut
            }
            // The client is to have what was sent, and to see that it is not all.
            Err(Broken::FileCutShort) => {
                tracing::warn!(
                    "a file became shorter while it was sent, for {}; the connection was cut",
                    line.escape_ascii()
                );
                Next::Close
            }
            Err(Broken::FileFailed(error)) => {
                tracing::error!(
                    "cannot read a file to its end: {error}, for {}; the connection was cut",
                    line.escape_ascii()
                );
                Next::Close
            }
        }
    }
}

/// An answer while it is sent. It is accounted for however that ends: a server that stops drops
/// what takes too long.
struct Sending<'c, 'a, 'r> {
    connection: &'c mut Connection<'a>,
    /// Until it has ended.
    account: Option<Account<'a>>,
    request: Request<'r>,
    status: u16,
}

impl Sending<'_, '_, '_> {
    async fn send(
        &mut self,
        reply: &Reply,
        body: &Body,
        persistence: Persistence,
    ) -> Result<(), Broken> {
        let stream = &mut self.connection.stream;
        transmit(stream, reply, body, persistence, self.account.as_mut()).await
    }

    /// Accounts for it, as far as it was sent.
    fn end(&mut self, is_whole: bool) {
        let Some(account) = self.account.take() else { return };
        let connection = &mut *self.connection;
        let to = connection.stream.progress().handed();
        let sent = Sent { status: self.status, to, is_whole };
        let Request { line, head, decided } = self.request;
        let handed = account.close(sent, line, head, decided, &mut connection.room);
        connection.handed.extend(handed);
        if !connection.handed.is_empty() && connection.stream.progress().unseen() > SMALL_BYTES {
            connection.look();
        }
    }
}

impl Drop for Sending<'_, '_, '_> {
    fn drop(&mut self) {
        self.end(false);
    }
}

/// What became of a request's body.
enum Discarded {
    /// It was read to its end.
    All,
    /// The client keeps it back until it is asked for, which it never is.
    Unsent,
}

/// Why a request's body was not read to its end.
enum Undiscarded {
    /// It is answered with an error.
    Refused { status: u16, why: &'static str },
    /// The client is gone.
    Gone,
}

impl From<body::Fault> for Undiscarded {
    fn from(fault: body::Fault) -> Undiscarded {
        Undiscarded::Refused { status: fault.status(), why: fault.why() }
    }
}

/// The answer to a client that has more than it may have (RFC 6585, section 4).
fn too_many(what: &str, wait: Duration) -> Reply {
    let seconds = wait.as_secs_f64().ceil().max(1.0);
    Reply::text(429, &format!("too many {what} from your address"))
        .with(Field::new("Retry-After", format!("{seconds:.0}")))
}

/// What was received of a request line, for the log.
fn first_line(received: &[u8]) -> &[u8] {
    received
        .split(|byte| matches!(byte, b'\r' | b'\n'))
        .find(|line| !line.is_empty())
        .unwrap_or_default()
}

/// Waits for a future, unless the server is about to stop: then `None`, if the
/// future is not ready by then.
pub(super) async fn unless<F: Future>(
    mut stop: Pin<&mut dyn Stop>,
    future: F,
) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => stop.as_mut().poll(context).map(|()| None),
    })
    .await
}
