//! TLS: however what a client sends is cut into records, and these into pieces on their way, it gets
//! what it gets without TLS, and `close_notify` behind it.
//!
//! The input is what a client sends in HTTP/1 before it ends its half. One that names a scheme is
//! left out: that of the connection is another.

use std::io::{ErrorKind, Read, Write};
use std::sync::{Arc, OnceLock};

use innkeeper::http::Scheme;
use innkeeper::http1::Limits;
use innkeeper::tls::certificates::{Options, PairFiles, Store};
use innkeeper::tls::{self, Config};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use tokio::net::UnixStream;
use tokio::task::yield_now;

use super::connection::{WORLD, World, check, connect, is_patient};
use super::pieces::{Numbers, split};
use super::reference::request::turns;

/// Records of one connection, and pieces of one record, more or less.
const PIECES: usize = 16;

/// Turns of the runtime after each piece.
const TURNS: usize = 3;

/// Runs the target.
pub fn run(input: &[u8]) {
    let lower = input.to_ascii_lowercase();
    if lower.windows(3).any(|three| three == b"://") {
        return;
    }
    WORLD.with(|world| {
        let mut numbers = Numbers::of(input);
        let expected = turns(input, &Limits::default());
        let plain = check(&world.talk(&world.others, &[input]), &expected);
        let received = talk(world, input, &mut numbers);
        let over_tls = check(&received, &expected);
        if !expected.iter().any(is_patient) {
            assert_eq!(over_tls, plain);
        }
    });
}

/// The client's configuration, and the file of the server's certificate and key.
fn identity() -> &'static (Arc<ClientConfig>, Arc<Store>) {
    static IDENTITY: OnceLock<(Arc<ClientConfig>, Arc<Store>)> = OnceLock::new();
    IDENTITY.get_or_init(|| {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a name");
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("pair.pem");
        let pem = made.cert.pem() + &made.signing_key.serialize_pem();
        std::fs::write(&file, pem).expect("a file");
        let pairs = vec![PairFiles { certificate: file, key: None }];
        let store = Store::load(Options { pairs, ..Options::default() }).expect("a certificate");
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(made.cert.der().to_vec())).expect("a root");
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider);
        let config = config.with_safe_default_protocol_versions().expect("versions");
        let config = config.with_root_certificates(roots).with_no_client_auth();
        (Arc::new(config), Arc::new(store))
    })
}

/// What secures the connections of a server.
pub(super) fn server() -> tls::Server {
    let config = Config::new(Arc::clone(&identity().1), true).expect("a configuration");
    tls::Server::new(config, tls::Limits::default(), 1)
}

/// Gives what comes back for the input in records of any size, once the machine has time for it.
fn talk(world: &World, input: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    for _ in 1..super::decide::ATTEMPTS {
        let received = talk_once(world, input, numbers);
        if !super::connection::tells_failure(&received) {
            return received;
        }
    }
    talk_once(world, input, numbers)
}

fn talk_once(world: &World, input: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    world.runtime.block_on(async {
        let (socket, serving) = connect(&world.others, Scheme::Https);
        let name = ServerName::try_from("localhost").expect("a name");
        let config = Arc::clone(&identity().0);
        let session = ClientConnection::new(config, name).expect("a session");
        let mut client = Client { socket, session, received: Vec::new(), ended: false };
        while client.session.is_handshaking() && !client.ended {
            client.exchange(numbers).await;
        }
        for record in split(input, input.len().div_ceil(PIECES / 2).max(1), numbers) {
            client.session.writer().write_all(record).expect("room");
            client.exchange(numbers).await;
        }
        client.session.send_close_notify();
        while !client.ended {
            client.exchange(numbers).await;
        }
        drop(client.socket);
        if let Err(error) = serving.await {
            std::panic::resume_unwind(error.into_panic());
        }
        client.received
    })
}

struct Client {
    socket: UnixStream,
    session: ClientConnection,
    received: Vec<u8>,
    /// Whether `close_notify` has come.
    ended: bool,
}

impl Client {
    /// Sends what the session has, in pieces, and takes what has come.
    async fn exchange(&mut self, numbers: &mut Numbers) {
        let mut sealed = Vec::new();
        while self.session.wants_write() {
            self.session.write_tls(&mut sealed).expect("memory");
        }
        for piece in split(&sealed, sealed.len().div_ceil(PIECES / 2).max(1), numbers) {
            let mut rest = piece;
            while !rest.is_empty() && !self.ended {
                match self.socket.try_write(rest) {
                    Ok(sent) => rest = &rest[sent..],
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    // The server has said its last, which is still to be read.
                    Err(_) => rest = &[],
                }
                self.take().await;
            }
        }
        self.take().await;
    }

    async fn take(&mut self) {
        for _ in 0..TURNS {
            yield_now().await;
        }
        let mut buffer = [0; 4096];
        while !self.ended {
            let count = match self.socket.try_read(&mut buffer) {
                Ok(0) => panic!("the end without close_notify"),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("{error} instead of close_notify"),
            };
            let mut came = &buffer[..count];
            while !came.is_empty() {
                self.session.read_tls(&mut came).expect("memory");
                let state = self.session.process_new_packets().expect("TLS");
                self.ended = state.peer_has_closed();
                let mut content = vec![0; state.plaintext_bytes_to_read()];
                self.session.reader().read_exact(&mut content).expect("content");
                self.received.extend_from_slice(&content);
            }
        }
    }
}
