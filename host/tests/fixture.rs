//! A server on a port of its own, a client that speaks in bytes, a site.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use innkeeper::clients::Clients;
use innkeeper::files::{CacheSizes, Caches, Files, Options};
use innkeeper::guest::{Ambient, DEFAULT_GUEST, Engine, GuestLimits, LoadedGuest};
use innkeeper::http::Scheme;
use innkeeper::http1::{self, Http1};
use innkeeper::http2::Http2;
use innkeeper::in_flight;
use innkeeper::metrics::Metrics;
use innkeeper::release::active::FailurePolicy;
use innkeeper::release::{Active, Generation};
use innkeeper::server::connection::Wires;
use innkeeper::server::{Address, MAX_CONNECTIONS, Reserved, Running, Server};
use innkeeper::service::hosts::SiteHosts;
use innkeeper::service::{Https, Service, Site};
use innkeeper::tls;
use innkeeper::tls::certificates::{self, PairFiles, Store};
use innkeeper::transport::{self, SendScheduler};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use tempfile::TempDir;

use crate::authority::Authority;

/// How long a test waits for bytes before it fails. Nothing takes that long.
const PATIENCE: Duration = Duration::from_secs(20);

/// The engine of all guests in these tests.
pub fn engine() -> &'static Arc<Engine> {
    static ENGINE: OnceLock<Arc<Engine>> = OnceLock::new();
    ENGINE.get_or_init(|| Arc::new(Engine::new(GuestLimits::default(), 64).unwrap()))
}

/// The default policy, loaded once.
pub fn default_guest() -> Arc<LoadedGuest> {
    static GUEST: OnceLock<Arc<LoadedGuest>> = OnceLock::new();
    let load = || Arc::new(LoadedGuest::load(engine(), DEFAULT_GUEST).unwrap());
    Arc::clone(GUEST.get_or_init(load))
}

/// A folder with a site in `root`, and a secret beside it.
pub fn site() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, content) in [
        ("outside.txt", &b"outside-secret"[..]),
        ("root/index.html", b"<h1>home</h1>\n"),
        ("root/hello.txt", b"hello\n"),
        ("root/empty.txt", b""),
        ("root/range.txt", &[b'r'; 100]),
        ("root/a b.txt", b"spaced\n"),
        ("root/caf\u{e9}.txt", b"named\n"),
        ("root/docs/index.html", b"<h1>docs</h1>\n"),
        ("root/old/index.htm", b"<h1>old</h1>\n"),
        ("root/bare/file.txt", b"x"),
        ("root/.env", b"secret"),
        ("root/.well-known/security.txt", b"contact\n"),
    ] {
        write(&folder.path().join(path), content);
    }
    folder
}

/// Writes a file, and makes the folders that it is in.
pub fn write(path: &Path, content: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Puts another file in the place of this one, in one step.
pub fn replace(file: &Path, content: &[u8]) {
    let next = file.with_extension("next");
    fs::write(&next, content).unwrap();
    fs::rename(next, file).unwrap();
}

/// A server that runs until it is dropped.
pub struct TestServer {
    pub address: SocketAddr,
    /// Where it speaks TLS.
    pub tls_address: SocketAddr,
    /// One that trusts it and speaks HTTP/1. Sessions are resumed.
    http1_over_tls: Arc<ClientConfig>,
    http2_over_tls: Arc<ClientConfig>,
    pub folder: TempDir,
    /// What its connections share.
    pub service: Arc<Service>,
    running: Option<Running>,
}

/// What a test server is made of.
pub struct Setup {
    pub tls: tls::Limits,
    pub certificates: Arc<Store>,
    pub folder: TempDir,
    pub guest: Arc<LoadedGuest>,
    pub ambient: Ambient,
    pub failure_policy: FailurePolicy,
    pub clients: Clients,
    pub limits: transport::Limits,
    pub http1: http1::Limits,
    pub http2: Http2,
    pub https: Https,
    pub site: Options,
    /// Others than the one that is made of the above.
    pub sites: Vec<(SiteHosts, Arc<Site>)>,
    pub metrics: Option<Arc<Metrics>>,
    pub workers: usize,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup {
            tls: tls::Limits::default(),
            certificates: certificates(),
            folder: site(),
            guest: default_guest(),
            ambient: Ambient::default(),
            failure_policy: FailurePolicy::default(),
            clients: Clients::default(),
            limits: transport::Limits::default(),
            http1: http1::Limits::default(),
            http2: Http2::default(),
            https: Https::default(),
            site: Options::default(),
            sites: Vec::new(),
            metrics: None,
            workers: 2,
        }
    }
}

/// A certificate for localhost, by the authority that all tests share.
pub fn certificates() -> Arc<Store> {
    static STORE: OnceLock<Arc<Store>> = OnceLock::new();
    let load = || {
        let folder = tempfile::tempdir().unwrap();
        let pair = Authority::shared().leaf(&["localhost", "127.0.0.1"]);
        let file = folder.path().join("pair.pem");
        write(&file, pair.combined().as_bytes());
        let pairs = vec![PairFiles { certificate: file, key: None }];
        Arc::new(Store::load(certificates::Options { pairs, ..Default::default() }).unwrap())
    };
    Arc::clone(STORE.get_or_init(load))
}

impl Setup {
    /// What connections share, and its folder.
    pub fn wires(self) -> (TempDir, Arc<Wires>) {
        let workers = NonZeroUsize::new(self.workers).unwrap();
        let caches = Caches::new(workers, CacheSizes::default(), &in_flight::FILES);
        let files = Files::open(&self.folder.path().join("root"), self.site, &caches).unwrap();
        let first = Generation { guest: self.guest, files: Arc::new(files) };
        let active = Arc::new(Active::new(first, self.failure_policy));
        let (clients, https, ambient) = (self.clients, self.https, self.ambient);
        let site = Site { https, ambient, ..Site::new(active) };
        let metrics = self.metrics;
        let service = Service { clients, metrics, ..Service::of(site, workers) };
        if !self.sites.is_empty() {
            let outside = service.sites.outside();
            let metrics = service.metrics.as_deref();
            service.sites.replace(service.sites.prepare(&self.sites, outside, metrics).unwrap());
        }
        let tls = tls::Config::new(self.certificates, true).unwrap();
        let wires = Arc::new(Wires {
            service: Arc::new(service),
            scheduler: SendScheduler::new(self.workers),
            limits: self.limits,
            http1: Http1 { limits: self.http1, print_heads: false },
            tls: Some(tls::Server::new(tls, self.tls, self.workers)),
            http2: self.http2,
        });
        (self.folder, wires)
    }

    pub fn start(self) -> TestServer {
        let workers = NonZeroUsize::new(self.workers).unwrap();
        let (folder, wires) = self.wires();
        let any_port = |scheme| Address { scheme, socket: ([127, 0, 0, 1], 0).into() };
        let both = [Scheme::Http, Scheme::Https].map(any_port);
        let server = Server::bind(
            &both,
            Reserved { listeners: both.len(), sites: 1 },
            workers,
            MAX_CONNECTIONS,
        )
        .unwrap();
        TestServer {
            address: server.addresses()[0].socket,
            tls_address: server.addresses()[1].socket,
            http1_over_tls: Authority::shared().client_config(&["http/1.1"]),
            http2_over_tls: Authority::shared().client_config(&["h2"]),
            folder,
            service: Arc::clone(&wires.service),
            running: Some(server.start(&wires).unwrap()),
        }
    }
}

impl TestServer {
    /// The default site and policy.
    pub fn start() -> TestServer {
        Setup::default().start()
    }

    pub fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    /// HTTP/1 over TLS.
    pub fn connect_tls(&self) -> Client {
        Client::over(Stream::tls(self.tls_address, &self.http1_over_tls, "localhost"))
    }

    /// What HTTP/2 is spoken over: TLS.
    pub fn http2_stream(&self) -> Stream {
        Stream::tls(self.tls_address, &self.http2_over_tls, "localhost")
    }

    /// The answer to one GET on a connection of its own.
    pub fn get(&self, target: &str) -> Reply {
        let mut client = self.connect();
        client.send(format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n"));
        client.reply()
    }

    pub fn root(&self) -> std::path::PathBuf {
        self.folder.path().join("root")
    }

    /// Stops in peace, and tells how many connections were cut.
    pub fn stop(mut self, grace: Duration) -> usize {
        let running = self.running.take().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.unwrap().block_on(running.stop(grace))
    }
}

/// A client that sends and receives bytes as they are.
pub struct Client {
    stream: Stream,
    received: Vec<u8>,
}

/// What a client's bytes pass through.
pub enum Stream {
    Tcp(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    fn connect(address: SocketAddr) -> TcpStream {
        let socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        socket.set_nodelay(true).unwrap();
        socket
    }

    pub fn tcp(address: SocketAddr) -> Stream {
        Stream::Tcp(Stream::connect(address))
    }

    /// The handshake comes with the first bytes.
    pub fn tls(address: SocketAddr, config: &Arc<ClientConfig>, name: &str) -> Stream {
        Stream::tls_over(Stream::connect(address), config, name)
    }

    /// TLS on a connection that is there.
    pub fn tls_over(socket: TcpStream, config: &Arc<ClientConfig>, name: &str) -> Stream {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let session = ClientConnection::new(Arc::clone(config), name).unwrap();
        Stream::Tls(Box::new(StreamOwned::new(session, socket)))
    }

    pub fn socket(&self) -> &TcpStream {
        match self {
            Stream::Tcp(socket) => socket,
            Stream::Tls(stream) => &stream.sock,
        }
    }

    /// Ends our half: over TLS with `close_notify` before the end of the connection's half.
    pub fn half_close(&mut self) -> io::Result<()> {
        if let Stream::Tls(stream) = self {
            // A handshake comes before its end.
            while stream.conn.is_handshaking() {
                stream.conn.complete_io(&mut stream.sock)?;
            }
            stream.conn.send_close_notify();
            while stream.conn.wants_write() {
                stream.conn.write_tls(&mut stream.sock)?;
            }
        }
        self.socket().shutdown(Shutdown::Write)
    }
}

impl Read for Stream {
    /// The end is `close_notify` over TLS; without it, it is an error.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(socket) => socket.read(buffer),
            Stream::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(socket) => socket.write(bytes),
            Stream::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Tcp(socket) => socket.flush(),
            Stream::Tls(stream) => stream.flush(),
        }
    }
}

/// An answer, taken apart.
#[derive(Debug)]
pub struct Reply {
    pub status_line: String,
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn status(&self) -> u16 {
        self.status_line[9..12].parse().unwrap()
    }

    /// The values of all fields with this name.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        let fields = self.fields.iter().filter(move |field| field.0.eq_ignore_ascii_case(name));
        fields.map(|field| field.1.as_str())
    }

    pub fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.values(name);
        let value = values.next();
        assert!(values.next().is_none(), "{name} is there twice: {self:?}");
        value
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Client {
    pub fn connect(address: SocketAddr) -> Client {
        Client::over(Stream::tcp(address))
    }

    pub fn over(stream: Stream) -> Client {
        Client { stream, received: Vec::new() }
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
        self.stream.flush().unwrap();
    }

    /// Sends what can be sent: the server may have closed already.
    pub fn send_if_open(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).and_then(|()| self.stream.flush());
    }

    /// Ends our half of the connection.
    pub fn half_close(&mut self) {
        self.stream.half_close().unwrap();
    }

    /// The same, of a connection that the server may have closed.
    pub fn half_close_if_open(&mut self) {
        let _ = self.stream.half_close();
    }

    /// The next answer, with its body.
    pub fn reply(&mut self) -> Reply {
        self.try_reply(true).expect("an answer, not the end")
    }

    /// The next answer, to a HEAD request.
    pub fn reply_without_body(&mut self) -> Reply {
        self.try_reply(false).expect("an answer, not the end")
    }

    /// The next answer, or `None` at the end of the connection.
    pub fn try_reply(&mut self, with_body: bool) -> Option<Reply> {
        let end = loop {
            if let Some(at) = find(&self.received, b"\r\n\r\n") {
                break at + 4;
            }
            if self.receive().unwrap_or(0) == 0 {
                let rest = self.received.escape_ascii();
                assert!(self.received.is_empty(), "the answer ends in its head: {rest}");
                return None;
            }
        };
        let head = String::from_utf8(self.received.drain(..end).collect()).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let mut reply = Reply {
            status_line: lines.next().unwrap().to_owned(),
            fields: lines
                .map(|line| line.split_once(": ").expect("a field"))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            body: Vec::new(),
        };
        let length: usize = reply.field("content-length").map_or(0, |value| value.parse().unwrap());
        if with_body {
            while self.received.len() < length {
                assert_ne!(self.receive().unwrap(), 0, "the body ends early: {reply:?}");
            }
            reply.body = self.received.drain(..length).collect();
        }
        Some(reply)
    }

    /// All that comes until the server closes, and whether it ended with a reset.
    pub fn read_to_end(&mut self) -> (Vec<u8>, bool) {
        loop {
            match self.receive() {
                Ok(0) => return (std::mem::take(&mut self.received), false),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return (std::mem::take(&mut self.received), true);
                }
                Err(error) => panic!("the server neither answers nor closes: {error}"),
            }
        }
    }

    /// Asserts that the server closes and sends nothing more.
    pub fn expect_closed(&mut self) {
        let (rest, reset) = self.read_to_end();
        assert!(rest.is_empty(), "more came: {}", rest.escape_ascii());
        assert!(!reset, "the connection was reset");
    }

    /// Asserts that the connection is of use for another request.
    pub fn expect_open(&mut self) {
        self.send("GET /hello.txt HTTP/1.1\r\nHost: probe\r\n\r\n");
        assert_eq!(self.reply().body, b"hello\n");
    }

    /// Reads once; gives how many bytes came.
    pub fn receive(&mut self) -> io::Result<usize> {
        let mut buffer = [0; 16 << 10];
        let count = self.stream.read(&mut buffer)?;
        self.received.extend_from_slice(&buffer[..count]);
        Ok(count)
    }

    /// Reads until this has come, and drops all up to its end.
    #[track_caller]
    pub fn receive_until(&mut self, wanted: &str) {
        loop {
            if let Some(at) = find(&self.received, wanted.as_bytes()) {
                self.received.drain(..at + wanted.len());
                return;
            }
            let came = self.receive();
            let so_far = String::from_utf8_lossy(&self.received);
            assert!(came.is_ok_and(|count| count > 0), "{wanted} never comes, only: {so_far}");
        }
    }

    pub fn socket(&self) -> &TcpStream {
        self.stream.socket()
    }

    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    pub fn is_tls(&self) -> bool {
        matches!(self.stream, Stream::Tls(_))
    }
}

/// Where the needle begins.
fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
