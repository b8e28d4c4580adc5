//! Pebble, the authority of Let's Encrypt for tests, where it is installed.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use rcgen::{KeyPair, PublicKeyData, SigningKey};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

use super::any_certificate::any_certificate;
use crate::authority::Authority;
use crate::fixture::{Client, Reply, Stream};
use crate::running::{self, Program};
use crate::skip::{Need, skip};

/// Days of certificates of the profile `shortlived`. Without a name it takes one of its profiles by
/// chance.
pub const SHORT: u64 = 6;

/// What it asks of accounts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Accounts {
    /// Anyone may have one.
    Open,
    /// They are bound to one that it knows: `KEY_ID`, with `KEY`.
    Bound,
    /// Anyone may have one, and is believed each name: no server is asked, which may be gone.
    Believed,
}

pub const KEY_ID: &str = "kid-1";
pub const KEY: &str = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";

/// Pebble and its name server. Both are killed when dropped.
pub struct Pebble {
    folder: PathBuf,
    names: Child,
    pebble: Child,
    accounts: Accounts,
    own: SocketAddr,
    management: SocketAddr,
    dns: u16,
    dns_management: SocketAddr,
    http: u16,
    tls: u16,
}

impl Drop for Pebble {
    fn drop(&mut self) {
        for process in [&mut self.names, &mut self.pebble] {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Pebble {
    /// Starts it, if it is installed.
    pub fn start(folder: &Path) -> Option<Pebble> {
        Pebble::start_with(folder, Accounts::Open)
    }

    /// The same, if it suggests windows and has profiles: it does so since 2.5.
    pub fn start_newer(folder: &Path) -> Option<Pebble> {
        let pebble = Pebble::start(folder)?;
        if pebble.directory_of_urls()["renewalInfo"].is_string() {
            return Some(pebble);
        }
        skip(Need::NewerPebble, "this pebble suggests no windows");
        None
    }

    pub fn start_with(folder: &Path, accounts: Accounts) -> Option<Pebble> {
        let listeners: Vec<_> = (0..6).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let address = |at: usize| listeners[at].local_addr().unwrap();
        let [own, management, http, tls, dns, dns_management] = [0, 1, 2, 3, 4, 5].map(address);
        drop(listeners);
        let path = |name: &str| folder.join(name).display().to_string();
        let pair = Authority::shared().leaf(&["localhost", "127.0.0.1"]);
        fs::write(path("pebble.pem"), &pair.certificate).unwrap();
        fs::write(path("pebble.key"), &pair.key).unwrap();
        fs::write(path("ca.pem"), Authority::shared().pem()).unwrap();
        let config = json!({"pebble": {
            "listenAddress": own, "managementListenAddress": management,
            "certificate": path("pebble.pem"), "privateKey": path("pebble.key"),
            "httpPort": http.port(), "tlsPort": tls.port(), "ocspResponderURL": "",
            "externalAccountBindingRequired": accounts == Accounts::Bound,
            "externalAccountMACKeys": {KEY_ID: KEY},
            "profiles": {
                "default": {"description": "three months", "validityPeriod": 7_776_000},
                "shortlived": {"description": "six days", "validityPeriod": SHORT * 86_400},
            },
        }});
        fs::write(path("pebble.json"), config.to_string()).unwrap();
        let mut command = Command::new("pebble-challtestsrv");
        // The option has another name before 2.5.
        let help = match Command::new("pebble-challtestsrv").arg("-h").output() {
            Ok(output) => output.stderr,
            Err(error) => {
                skip(Need::Pebble, error);
                return None;
            }
        };
        let is_newer = String::from_utf8_lossy(&help).contains("-dnsserver");
        let option = if is_newer { "-dnsserver" } else { "-dns01" };
        command.args([option, &dns.to_string(), "-management", &dns_management.to_string()]);
        command.args(["-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""]);
        command.args(["-http01", "", "-https01", "", "-tlsalpn01", ""]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut names = command.spawn().unwrap();
        let pebble = match spawn(folder, dns.port(), own, accounts) {
            Ok(pebble) => pebble,
            Err(error) => {
                let _ = names.kill();
                let _ = names.wait();
                skip(Need::Pebble, error);
                return None;
            }
        };
        let (dns, http, tls) = (dns.port(), http.port(), tls.port());
        let folder = folder.to_owned();
        Some(Pebble {
            folder,
            names,
            pebble,
            accounts,
            own,
            management,
            dns,
            dns_management,
            http,
            tls,
        })
    }

    /// Ends it. The names stay.
    pub fn stop(&mut self) {
        self.pebble.kill().unwrap();
        self.pebble.wait().unwrap();
    }

    /// Starts it again: it knows nothing of what was before.
    pub fn start_again(&mut self) {
        self.pebble = spawn(&self.folder, self.dns, self.own, self.accounts).unwrap();
    }

    /// A server that it asks for names.
    pub fn server(&self, arguments: &[&str]) -> Program {
        Program::start(self.command("state", arguments), 2)
    }

    /// The same, not started yet, with its state there.
    pub fn command(&self, state: &str, arguments: &[&str]) -> Command {
        let root = self.folder.join("root");
        fs::create_dir_all(&root).unwrap();
        fs::write(root.join("index.html"), "a page").unwrap();
        let mut command = Command::new(running::PROGRAM);
        command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR")).arg(root);
        command.args(["--listen", &format!("127.0.0.1:{}", self.http)]);
        command.args(["--listen-tls", &format!("127.0.0.1:{}", self.tls)]);
        command.args(["--admin", "127.0.0.1:0", "--acme-accept-terms"]);
        command.args(["--acme-directory", &format!("https://localhost:{}/dir", self.own.port())]);
        command.arg("--acme-ca-file").arg(self.folder.join("ca.pem"));
        command.arg("--acme-state").arg(self.folder.join(state)).args(arguments);
        command
    }

    /// A file of the state of a server.
    pub fn state(&self, path: &str) -> PathBuf {
        self.folder.join("state").join(path)
    }

    /// Orders so far.
    pub fn orders(&self) -> usize {
        fs::read_to_string(self.folder.join("pebble.log")).unwrap().matches("Added order").count()
    }

    pub fn directory_of_urls(&self) -> Value {
        serde_json::from_str(self.ask("GET", "/dir", "", "").text()).unwrap()
    }

    /// What it responds to a request of its own interface.
    pub fn ask(&self, method: &str, path: &str, kind: &str, body: &str) -> Reply {
        ask(Stream::tls(self.own, &any_certificate(), "localhost"), method, path, kind, body)
    }

    /// Sets the window in which a certificate (PEM) is to be renewed, in seconds from now.
    pub fn suggest(&self, certificate: &str, start: i64, end: i64) {
        let [start, end] = [start, end].map(date);
        let window = json!({"suggestedWindow": {"start": start, "end": end}}).to_string();
        let told = json!({"certificate": certificate, "ariResponse": window}).to_string();
        let stream = Stream::tls(self.management, &any_certificate(), "localhost");
        let reply = ask(stream, "POST", "/set-renewal-info/", "application/json", &told);
        assert_eq!(reply.status(), 200, "{}", reply.text());
    }

    /// Revokes a certificate by its own key, of P-256 (RFC 8555, section 7.6).
    pub fn revoke(&self, certificate: &str, key: &str) {
        let key = KeyPair::from_pem(key).unwrap();
        let der = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
        let payload = BASE64.encode(json!({"certificate": BASE64.encode(der)}).to_string());
        let (x, y) = key.der_bytes()[1..].split_at(32);
        let jwk =
            json!({"kty": "EC", "crv": "P-256", "x": BASE64.encode(x), "y": BASE64.encode(y)});
        // Some of its nonces it does not take.
        for _ in 0..20 {
            let nonce = self.ask("HEAD", "/nonce-plz", "", "");
            let nonce = nonce.field("replay-nonce").unwrap();
            let url = format!("https://localhost:{}/revoke-cert", self.own.port());
            let protected = json!({"alg": "ES256", "jwk": jwk, "nonce": nonce, "url": url});
            let protected = BASE64.encode(protected.to_string());
            let signed = key.sign(format!("{protected}.{payload}").as_bytes()).unwrap();
            let signature = BASE64.encode(numbers(&signed));
            let body = json!({"protected": protected, "payload": payload, "signature": signature});
            let kind = "application/jose+json";
            let reply = self.ask("POST", "/revoke-cert", kind, &body.to_string());
            match reply.status() {
                200 => return,
                _ => assert!(reply.text().contains("badNonce"), "{}", reply.text()),
            }
        }
        panic!("it takes no nonce");
    }

    /// Has names lead nowhere, or here again: `set-servfail` and `clear-servfail`.
    pub fn names(&self, what: &str, name: &str) {
        let stream = Stream::tcp(self.dns_management);
        let told = json!({"host": name}).to_string();
        let reply = ask(stream, "POST", &format!("/{what}"), "application/json", &told);
        assert_eq!(reply.status(), 200, "{}", reply.text());
    }
}

/// A date as authorities write it, in so many seconds.
fn date(in_s: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let at = now.checked_add_signed(in_s).unwrap();
    innkeeper::clock::rfc3339_of(innkeeper::acme::time(at))
}

/// The two numbers of a signature, as JOSE has them (RFC 7518, section 3.4).
fn numbers(der: &[u8]) -> Vec<u8> {
    let (mut numbers, mut rest) = (Vec::new(), &der[2..]);
    for _ in 0..2 {
        let (number, behind) = rest[2..].split_at(usize::from(rest[1]));
        let number = &number[number.iter().take_while(|byte| **byte == 0).count()..];
        numbers.extend(vec![0; 32 - number.len()]);
        numbers.extend(number);
        rest = behind;
    }
    numbers
}

fn ask(stream: Stream, method: &str, path: &str, kind: &str, body: &str) -> Reply {
    let mut client = Client::over(stream);
    let port = client.socket().peer_addr().unwrap().port();
    client.send(format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost:{port}\r\nUser-Agent: a\r\nContent-Type: {kind}\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    ));
    match method {
        "HEAD" => client.reply_without_body(),
        _ => client.reply(),
    }
}

/// Starts pebble, and waits until it listens.
fn spawn(folder: &Path, dns: u16, own: SocketAddr, accounts: Accounts) -> std::io::Result<Child> {
    let log = File::options().create(true).append(true).open(folder.join("pebble.log"))?;
    let mut command = Command::new("pebble");
    command.arg("-config").arg(folder.join("pebble.json"));
    command.args(["-dnsserver", &format!("127.0.0.1:{dns}")]);
    command.env("PEBBLE_VA_NOSLEEP", "1").env("PEBBLE_WFE_NONCEREJECT", "10");
    if accounts == Accounts::Believed {
        command.env("PEBBLE_VA_ALWAYS_VALID", "1");
    }
    let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
    let began = Instant::now();
    while TcpStream::connect(own).is_err() {
        assert!(began.elapsed() < Duration::from_secs(30), "pebble does not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(child)
}
