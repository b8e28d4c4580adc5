//! The TLS handshake of a connection, before its wire is chosen (RFC 8446, section 4; RFC 5246,
//! section 7): bounded in time, in bytes and in number.
//!
//! What takes long is the signature of the key exchange, a few hundred microseconds. Each
//! handshake waits for a slot of the send scheduler before it, so that a crowd of new clients
//! does not keep those waiting that are served.

use std::sync::Arc;
use std::time::Duration;

use rustls::server::{Accepted, AcceptedAlert, Acceptor};
use rustls::{HandshakeKind, ProtocolVersion, ServerConnection};
use tokio::time::Instant;

use super::certificates::UnrecognizedName;
use super::certificates::client::identify;
use super::challenge::{self, FindChallenge};
use super::config::{Config, H2};
use super::failure::Failure;
use super::limits::Limits;
use super::misdirected::Hosts;
use super::places::Places;
use crate::http::{Tls, TlsVersion};
use crate::transport::session::Session;
use crate::transport::stream::{More, Read, Stream};

/// The first byte of a record of a handshake (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 22;

/// A fatal alert in a record: `unrecognized_name` (RFC 6066, section 3). `rustls` has no way to
/// send it.
const UNRECOGNIZED_NAME: &[u8] = &[21, 3, 3, 0, 2, 2, 112];

/// How long a client has to read why its handshake failed.
const PARTING: Duration = Duration::from_secs(1);

/// What secures the connections of a server.
pub struct Server {
    config: Config,
    limits: Limits,
    /// Those of each worker.
    places: Box<[Places]>,
    /// What proves names to an authority, where certificates are ordered.
    challenges: Option<FindChallenge>,
}

/// A connection that is secured.
pub(crate) struct Secured {
    /// What TLS tells of it.
    pub(crate) tls: Arc<Tls>,
    /// What is spoken on it.
    pub(crate) protocol: Protocol,
    /// The hosts that the connection is for.
    pub(crate) hosts: Hosts,
    /// Whether an earlier session was resumed.
    pub(crate) is_resumed: bool,
}

/// What client and server agreed to speak (ALPN, RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP/1.1, also when the client named nothing.
    Http1,
    /// HTTP/2.
    Http2,
}

impl Server {
    /// For this number of workers.
    pub fn new(config: Config, limits: Limits, workers: usize) -> Server {
        let each = (limits.handshakes.get() as usize).div_ceil(workers.max(1));
        let places = std::iter::repeat_with(|| Places::new(each)).take(workers.max(1)).collect();
        Server { config, limits, places, challenges: None }
    }

    /// The same, which proves names to an authority.
    #[must_use]
    pub fn proving(self, challenges: Option<FindChallenge>) -> Server {
        Server { challenges, ..self }
    }

    /// What it is secured with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Has a connection be secured. What has arrived of it already is in `received`, and the first
    /// of its content is there afterwards; if it fails, what has arrived.
    pub(crate) async fn secure(
        &self,
        stream: &mut Stream<'_>,
        received: &mut Vec<u8>,
        worker: usize,
    ) -> Result<Secured, Failure> {
        let deadline = Instant::now() + self.limits.handshake;
        let place = self.places[worker % self.places.len()].take();
        let Ok(mut place) = tokio::time::timeout_at(deadline, place).await else {
            return Err(Failure::TooMany);
        };
        let mut handshake = Handshake {
            server: self,
            stream,
            received,
            read: 0,
            bytes: 0,
            deadline,
            client_auth: 0,
        };
        tokio::select! {
            biased;
            secured = handshake.run() => secured,
            () = place.is_wanted() => Err(Failure::TooMany),
        }
    }
}

/// A handshake in progress.
struct Handshake<'h, 's> {
    server: &'h Server,
    stream: &'h mut Stream<'s>,
    /// Bytes that arrived, of which TLS has read some.
    received: &'h mut Vec<u8>,
    read: usize,
    /// All bytes that arrived before these.
    bytes: usize,
    deadline: Instant,
    /// The rule for client certificates that it goes by.
    client_auth: u64,
}

impl Handshake<'_, '_> {
    async fn run(&mut self) -> Result<Secured, Failure> {
        let secured = self.complete().await;
        if secured.as_ref().is_err_and(Failure::has_alert) {
            self.part().await;
        }
        secured
    }

    /// Lets the client read why its handshake failed. Were the connection closed at once, what
    /// still arrives would reset it, and the alert be lost.
    async fn part(&mut self) {
        if self.stream.end().await.is_err() {
            return;
        }
        let deadline = self.deadline.min(Instant::now() + PARTING);
        while self.stream.discard(deadline).await == Read::Data {
            self.stream.slot().await;
        }
    }

    async fn complete(&mut self) -> Result<Secured, Failure> {
        let hello = self.hello().await?;
        self.stream.slot().await;
        let mut connection = self.begin(hello).await?;
        let asks_clients = self.server.config.store().client_auth().verifier.is_some();
        loop {
            let processed = connection.process_new_packets();
            // Tickets of TLS 1.3 go with the first response, or when nothing else is to be done.
            let is_handshaking = connection.is_handshaking();
            let is_tls13 = connection.protocol_version() == Some(ProtocolVersion::TLSv1_3);
            if is_handshaking || processed.is_err() || !is_tls13 {
                self.send(|out| connection.write_tls(out).map(drop)).await?;
            }
            processed.map_err(Failure::Tls)?;
            if !is_handshaking {
                break;
            }
            if self.read == self.received.len() {
                self.receive().await?;
                let is_retried =
                    connection.handshake_kind() == Some(HandshakeKind::FullWithHelloRetryRequest);
                if !is_tls13 || is_retried || asks_clients {
                    self.stream.slot().await;
                }
            }
            self.feed(|bytes| connection.read_tls(bytes))?;
        }
        if challenge::is_agreed(connection.alpn_protocol()) {
            connection.send_close_notify();
            self.send(|out| connection.write_tls(out).map(drop)).await?;
            return Err(Failure::Challenged);
        }
        Ok(self.install(connection))
    }

    /// Reads until the client has said what it can.
    async fn hello(&mut self) -> Result<Accepted, Failure> {
        let mut acceptor = Acceptor::default();
        loop {
            if self.read == self.received.len() {
                self.receive().await?;
            }
            if self.bytes == 0 && self.read == 0 && self.received[0] != HANDSHAKE {
                // A method of HTTP begins with a letter.
                if self.received[0].is_ascii_alphabetic() {
                    return Err(Failure::Cleartext);
                }
            }
            self.feed(|bytes| acceptor.read_tls(bytes))?;
            match acceptor.accept() {
                Ok(Some(accepted)) => return Ok(accepted),
                Ok(None) => {}
                Err((error, alert)) => return Err(self.refuse(error, alert).await),
            }
        }
    }

    /// Responds to what the client said. Most of the work is done here.
    async fn begin(&mut self, hello: Accepted) -> Result<ServerConnection, Failure> {
        if let Some(find) = &self.server.challenges
            && challenge::is_asked_for(&hello.client_hello())
        {
            let name = hello.client_hello().server_name().unwrap_or_default().to_owned();
            return self.prove(hello, find(name).await).await;
        }
        let config = &self.server.config;
        let recognized = config.store().recognize(hello.client_hello().server_name());
        if let Err(UnrecognizedName) = recognized {
            return Err(self.refuse_name().await);
        }
        let (rustls, client_auth) = config.current().map_err(Failure::Tls)?;
        self.client_auth = client_auth;
        match hello.into_connection(rustls) {
            Ok(connection) => Ok(connection),
            Err((error, alert)) => Err(self.refuse(error, alert).await),
        }
    }

    /// Responds to an authority.
    async fn prove(
        &mut self,
        hello: Accepted,
        found: Option<(String, String)>,
    ) -> Result<ServerConnection, Failure> {
        let config = found.and_then(|(name, text)| challenge::config(name, &text));
        let Some(config) = config else { return Err(self.refuse_name().await) };
        match hello.into_connection(config) {
            Ok(connection) => Ok(connection),
            Err((error, alert)) => Err(self.refuse(error, alert).await),
        }
    }

    /// Tells the client that there is no certificate for the name that it asks for.
    async fn refuse_name(&mut self) -> Failure {
        // It may be gone.
        let _ = self
            .send(|out| {
                out.extend_from_slice(UNRECOGNIZED_NAME);
                Ok(())
            })
            .await;
        Failure::UnrecognizedName
    }

    /// Tells the client why its handshake failed.
    async fn refuse(&mut self, error: rustls::Error, mut alert: AcceptedAlert) -> Failure {
        // It may be gone.
        let _ = self.send(|out| alert.write_all(out)).await;
        Failure::Tls(error)
    }

    /// Waits for bytes of the client.
    async fn receive(&mut self) -> Result<(), Failure> {
        self.bytes += std::mem::take(&mut self.read);
        // A connection that waits has no room for what it waits for.
        *self.received = Vec::new();
        match self.stream.wake(self.received, self.deadline).await {
            Read::Data => {}
            Read::TimedOut | Read::Stalled => return Err(Failure::TimedOut),
            Read::Eof | Read::Truncated | Read::Disconnected => return Err(Failure::Disconnected),
        }
        if self.bytes + self.received.len() > self.server.limits.handshake_bytes {
            return Err(Failure::TooLarge);
        }
        Ok(())
    }

    /// Gives TLS bytes that arrived, as many as it reads at a time.
    fn feed(
        &mut self,
        read: impl FnOnce(&mut dyn std::io::Read) -> std::io::Result<usize>,
    ) -> Result<(), Failure> {
        let count = read(&mut &self.received[self.read..]).map_err(|_| Failure::TooLarge)?;
        if count == 0 {
            return Err(Failure::TooLarge);
        }
        self.read += count;
        Ok(())
    }

    /// Sends what TLS has to send.
    async fn send(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>,
    ) -> Result<(), Failure> {
        let mut out = Vec::new();
        // A vector takes all of it.
        let _ = write(&mut out);
        if out.is_empty() {
            return Ok(());
        }
        let sent = tokio::time::timeout_at(self.deadline, self.stream.send(&out, More::No)).await;
        sent.map_err(|_| Failure::TimedOut)?.map_err(|_| Failure::Disconnected)
    }

    /// Has the stream go on with TLS.
    fn install(&mut self, connection: ServerConnection) -> Secured {
        let version = match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => TlsVersion::Tls12,
            _ => TlsVersion::Tls13,
        };
        let server_name = connection.server_name().map(|name| {
            let name = name.to_ascii_lowercase();
            name.strip_suffix('.').unwrap_or(&name).into()
        });
        // Only what was verified is there: others fail, or are not asked for one.
        let client = connection.peer_certificates().and_then(<[_]>::first).map(identify);
        let protocol = match connection.alpn_protocol() == Some(H2) {
            true => Protocol::Http2,
            false => Protocol::Http1,
        };
        let is_resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
        let mut session = Session::new(connection);
        let mut content = Vec::new();
        session.open(&self.received[self.read..], &mut content);
        *self.received = content;
        self.read = 0;
        self.stream.secure(session);
        let tls = Arc::new(Tls { version, server_name, client });
        let certificates = Arc::clone(self.server.config.store());
        let hosts = Hosts::new(certificates, self.client_auth);
        Secured { tls, protocol, hosts, is_resumed }
    }
}
