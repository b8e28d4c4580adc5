//! A certificate authority of the tests' own (RFC 8555, in part), which can be told to fail.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PublicKeyData,
    SerialNumber, SignatureAlgorithm,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509CertificationRequest};

use crate::authority::Authority;

/// What an authority does with a request instead.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It refuses it: status, the last part of the URN, a sentence, and when to come again.
    Problem(u16, &'static str, &'static str, Option<u64>),
    /// It answers this, which is none.
    Garbage(&'static str),
    /// It never answers.
    Silence,
    /// It does what it is asked, and closes the connection instead of answering.
    Unheard,
    /// It does what it is asked, and answers with this and the body.
    Answer(u16, &'static str),
    /// It does what it is asked, and changes the answer so.
    Twisted(fn(&mut Value)),
    /// It answers this without end.
    Endless(&'static str),
}

/// What an authority signs that signs wrongly.
#[derive(Clone, Copy, Debug)]
pub struct Wrong {
    /// For this name.
    pub name: &'static str,
    /// Valid between these, in seconds from now.
    pub valid: (i64, i64),
    /// For the key of the request.
    pub is_of_key: bool,
}

/// Such an authority.
#[derive(Clone)]
pub struct Fake {
    pub url: String,
    folder: PathBuf,
    pub state: Arc<Mutex<State>>,
}

/// What it knows.
#[derive(Default)]
pub struct State {
    pub orders: Vec<Order>,
    /// The paths that were asked for.
    pub requests: Vec<String>,
    /// The next request below such a path meets this.
    pub faults: VecDeque<(&'static str, Fault)>,
    /// The window of renewals that it suggests, in seconds from now.
    pub window: Option<(i64, i64)>,
    /// Where it asks for http-01: each of these servers.
    pub servers: Vec<SocketAddr>,
    /// What it signs, instead of what is requested.
    pub wrong: Option<Wrong>,
    /// Those of all accounts.
    thumbprints: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct Order {
    pub name: Value,
    pub status: &'static str,
    pub replaces: Option<String>,
    pub error: Option<String>,
    certificate: String,
}

static SERIAL: AtomicU64 = AtomicU64::new(1);

impl Fake {
    /// Starts one.
    pub fn start(folder: &Path) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        std::fs::write(folder.join("ca.pem"), Authority::shared().pem()).unwrap();
        let fake = Fake { url, folder: folder.to_owned(), state: Arc::default() };
        let pair = Authority::shared().leaf(&["localhost", "127.0.0.1"]);
        let chain = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider);
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let config = Arc::new(config.with_single_cert(vec![chain], key).unwrap());
        let server = fake.clone();
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let (fake, config) = (server.clone(), Arc::clone(&config));
                thread::spawn(move || {
                    let tls = ServerConnection::new(config).unwrap();
                    fake.serve(StreamOwned::new(tls, socket));
                });
            }
        });
        fake
    }

    /// The file of the authority that signed its own certificate.
    pub fn ca_file(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    pub fn fail(&self, path: &'static str, fault: Fault) {
        self.state.lock().unwrap().faults.push_back((path, fault));
    }

    /// How often a path was asked for that begins so.
    pub fn asked(&self, path: &str) -> usize {
        let state = self.state.lock().unwrap();
        state.requests.iter().filter(|asked| asked.starts_with(path)).count()
    }

    fn serve(&self, stream: StreamOwned<ServerConnection, TcpStream>) {
        let mut stream = BufReader::new(stream);
        loop {
            let (mut line, mut length) = (String::new(), 0);
            if stream.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            loop {
                let mut field = String::new();
                if stream.read_line(&mut field).unwrap_or(0) == 0 {
                    return;
                }
                if let Some(value) = field.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if field == "\r\n" {
                    break;
                }
            }
            let mut body = vec![0; length];
            if stream.read_exact(&mut body).is_err() {
                return;
            }
            let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
            let fault = {
                let mut state = self.state.lock().unwrap();
                state.requests.push(path.clone());
                let at = state.faults.iter().position(|(begins, _)| path.starts_with(begins));
                at.and_then(|at| state.faults.remove(at)).map(|(_, fault)| fault)
            };
            let (status, fields, text) = match fault {
                Some(Fault::Silence) => {
                    thread::sleep(Duration::from_secs(600));
                    return;
                }
                Some(Fault::Garbage(text)) => (200, String::new(), text.to_owned()),
                Some(Fault::Problem(status, urn, detail, after)) => {
                    let after = after.map(|after| format!("Retry-After: {after}\r\n"));
                    (status, after.unwrap_or_default(), problem(urn, detail).to_string())
                }
                Some(Fault::Unheard) => {
                    self.answer(&path, &body);
                    return;
                }
                Some(Fault::Answer(status, fields)) => {
                    let (_, own, text) = self.answer(&path, &body);
                    (status, own + fields, text)
                }
                Some(Fault::Twisted(twist)) => {
                    let (status, fields, text) = self.answer(&path, &body);
                    let mut value = serde_json::from_str(&text).unwrap();
                    twist(&mut value);
                    (status, fields, value.to_string())
                }
                Some(Fault::Endless(text)) => {
                    let stream = stream.get_mut();
                    let begin = "HTTP/1.1 200 X\r\nReplay-Nonce: n\r\n";
                    let mut sent = stream.write_all(begin.as_bytes());
                    // As long as it is read.
                    while sent.is_ok() {
                        sent = stream.write_all(text.as_bytes());
                    }
                    return;
                }
                None => self.answer(&path, &body),
            };
            let kind = if status < 400 { "application/json" } else { "application/problem+json" };
            let nonce = SERIAL.fetch_add(1, Ordering::Relaxed);
            let is_head = line.starts_with("HEAD");
            let head = format!(
                "HTTP/1.1 {status} X\r\nReplay-Nonce: n{nonce}\r\nContent-Type: {kind}\r\n{fields}\
                 Content-Length: {}\r\n\r\n",
                text.len()
            );
            let text = if is_head { "" } else { &text };
            let stream = stream.get_mut();
            if stream.write_all((head + text).as_bytes()).and_then(|()| stream.flush()).is_err() {
                return;
            }
        }
    }

    /// Status, fields and body.
    fn answer(&self, path: &str, body: &[u8]) -> (u16, String, String) {
        let url = |path: String| format!("{}{path}", self.url);
        let jws: Value = serde_json::from_slice(body).unwrap_or_default();
        let part = |name: &str| -> Value {
            let bytes = BASE64.decode(jws[name].as_str().unwrap_or_default()).unwrap_or_default();
            serde_json::from_slice(&bytes).unwrap_or_default()
        };
        let (protected, payload) = (part("protected"), part("payload"));
        let (kind, rest) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
        let number = rest.parse::<usize>().unwrap_or_default();
        let json = |status, fields, value: Value| (status, fields, value.to_string());
        match kind {
            "dir" | "staging" => json(
                200,
                String::new(),
                json!({
                    "newNonce": url("/nonce".into()), "newAccount": url("/account".into()),
                    "newOrder": url("/new-order".into()), "revokeCert": url("/revoke".into()),
                    "keyChange": url("/key".into()), "renewalInfo": url("/ari".into()),
                }),
            ),
            "nonce" => (200, String::new(), String::new()),
            "account" => {
                let jwk = &protected["jwk"];
                let canonical = format!(
                    r#"{{"crv":{},"kty":{},"x":{},"y":{}}}"#,
                    jwk["crv"], jwk["kty"], jwk["x"], jwk["y"]
                );
                let thumbprint = BASE64.encode(Sha256::digest(canonical));
                self.state.lock().unwrap().thumbprints.push(thumbprint);
                json(
                    201,
                    format!("Location: {}\r\n", url("/acct/1".into())),
                    json!({"status": "valid"}),
                )
            }
            "new-order" => {
                let mut state = self.state.lock().unwrap();
                state.orders.push(Order {
                    name: payload["identifiers"][0].clone(),
                    status: "pending",
                    replaces: payload["replaces"].as_str().map(str::to_owned),
                    error: None,
                    certificate: String::new(),
                });
                let number = state.orders.len() - 1;
                let order = order(&state.orders[number], number, &self.url);
                json(201, format!("Location: {}\r\n", url(format!("/order/{number}"))), order)
            }
            "order" => {
                let state = self.state.lock().unwrap();
                json(200, String::new(), order(&state.orders[number], number, &self.url))
            }
            "authz" => {
                let state = self.state.lock().unwrap();
                json(200, String::new(), authorization(&state.orders[number], number, &self.url))
            }
            "chall" => {
                let outcome = self.look(number);
                let mut state = self.state.lock().unwrap();
                let order = &mut state.orders[number];
                if order.status == "pending" {
                    order.status = if outcome.is_ok() { "ready" } else { "invalid" };
                    order.error = outcome.err();
                }
                json(200, String::new(), challenge(order, number, &self.url))
            }
            "finalize" => {
                let csr = BASE64.decode(payload["csr"].as_str().unwrap()).unwrap();
                let mut state = self.state.lock().unwrap();
                let wrong = state.wrong;
                let it = &mut state.orders[number];
                if it.status == "ready" {
                    it.certificate = sign(&csr, wrong);
                    it.status = "valid";
                }
                json(200, String::new(), order(it, number, &self.url))
            }
            "cert" => {
                (200, String::new(), self.state.lock().unwrap().orders[number].certificate.clone())
            }
            "ari" => match self.state.lock().unwrap().window {
                Some((start, end)) => {
                    let date = |in_s: i64| {
                        let now = std::time::SystemTime::now();
                        let seconds = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
                        let at = u64::try_from(i64::try_from(seconds).unwrap() + in_s).unwrap();
                        innkeeper::clock::rfc3339_of(innkeeper::acme::time(at))
                    };
                    let window = json!({"start": date(start), "end": date(end)});
                    json(200, "Retry-After: 21600\r\n".into(), json!({"suggestedWindow": window}))
                }
                None => json(404, String::new(), problem("malformed", "it has no window")),
            },
            _ => json(404, String::new(), problem("malformed", "there is no such path")),
        }
    }

    /// Looks whether each server proves the name.
    fn look(&self, number: usize) -> Result<(), String> {
        let (name, servers, thumbprints) = {
            let state = self.state.lock().unwrap();
            let name = state.orders[number].name["value"].as_str().unwrap().to_owned();
            (name, state.servers.clone(), state.thumbprints.clone())
        };
        for server in servers {
            let mut socket = TcpStream::connect(server).map_err(|error| error.to_string())?;
            let token = token(number);
            let request = format!(
                "GET /.well-known/acme-challenge/{token} HTTP/1.1\r\nHost: {name}\r\n\
                 Connection: close\r\n\r\n"
            );
            socket.write_all(request.as_bytes()).map_err(|error| error.to_string())?;
            let mut response = String::new();
            socket.read_to_string(&mut response).map_err(|error| error.to_string())?;
            let is_proof = |of: &String| response.ends_with(&format!("\r\n\r\n{token}.{of}"));
            if !thumbprints.iter().any(is_proof) {
                return Err(format!("{server} answers {response}"));
            }
        }
        Ok(())
    }
}

fn token(number: usize) -> String {
    format!("token-of-the-order-number-{number}")
}

fn problem(urn: &str, detail: &str) -> Value {
    json!({"type": format!("urn:ietf:params:acme:error:{urn}"), "detail": detail})
}

fn order(it: &Order, number: usize, url: &str) -> Value {
    let mut value = json!({
        "status": it.status, "identifiers": [it.name],
        "authorizations": [format!("{url}/authz/{number}")],
        "finalize": format!("{url}/finalize/{number}"),
    });
    if let Some(replaces) = &it.replaces {
        value["replaces"] = replaces.as_str().into();
    }
    if it.status == "valid" {
        value["certificate"] = format!("{url}/cert/{number}").into();
    }
    value
}

fn authorization(it: &Order, number: usize, url: &str) -> Value {
    let status = match it.status {
        "pending" | "invalid" => it.status,
        _ => "valid",
    };
    json!({"status": status, "identifier": it.name, "challenges": [challenge(it, number, url)]})
}

fn challenge(it: &Order, number: usize, url: &str) -> Value {
    let mut value = json!({
        "type": "http-01", "url": format!("{url}/chall/{number}"), "token": token(number),
        "status": if it.status == "pending" { "pending" } else { "valid" },
    });
    if it.status == "invalid" {
        value["status"] = "invalid".into();
        value["error"] = problem("unauthorized", it.error.as_deref().unwrap_or_default());
    }
    value
}

/// The key of a request.
struct Public(Vec<u8>);

impl PublicKeyData for Public {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

/// A certificate of what is requested, for 90 days, and the one behind it.
fn sign(csr: &[u8], wrong: Option<Wrong>) -> String {
    let (_, csr) = X509CertificationRequest::from_der(csr).unwrap();
    let info = &csr.certification_request_info;
    let key = Public(info.subject_pki.subject_public_key.data.to_vec());
    let names = csr.requested_extensions().unwrap().find_map(|extension| match extension {
        x509_parser::extensions::ParsedExtension::SubjectAlternativeName(names) => Some(
            names
                .general_names
                .iter()
                .map(|name| match name {
                    x509_parser::extensions::GeneralName::DNSName(name) => (*name).to_owned(),
                    x509_parser::extensions::GeneralName::IPAddress(bytes) => {
                        std::net::IpAddr::from(<[u8; 4]>::try_from(*bytes).unwrap()).to_string()
                    }
                    other => panic!("{other:?}"),
                })
                .collect::<Vec<_>>(),
        ),
        _ => None,
    });
    let now = std::time::SystemTime::now();
    let at = |seconds: i64| {
        let distance = Duration::from_secs(seconds.unsigned_abs());
        if seconds < 0 { now - distance } else { now + distance }
    };
    let names = wrong.map(|wrong| vec![wrong.name.to_owned()]).or(names);
    let (begin, end) = wrong.map_or((-60, 90 * 86_400), |wrong| wrong.valid);
    let mut params = CertificateParams::new(names.unwrap()).unwrap();
    (params.not_before, params.not_after) = (at(begin).into(), at(end).into());
    params.serial_number = Some(SerialNumber::from(SERIAL.fetch_add(1, Ordering::Relaxed)));
    params.use_authority_key_identifier_extension = true;
    let mut of_issuer = CertificateParams::default();
    of_issuer.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    of_issuer.distinguished_name.push(DnType::CommonName, "fake intermediate");
    let issuer_key = KeyPair::generate().unwrap();
    let behind = of_issuer.self_signed(&issuer_key).unwrap();
    let issuer = Issuer::new(of_issuer, issuer_key);
    let other = KeyPair::generate().unwrap();
    let leaf = match wrong {
        Some(Wrong { is_of_key: false, .. }) => params.signed_by(&other, &issuer),
        _ => params.signed_by(&key, &issuer),
    };
    leaf.unwrap().pem() + &behind.pem()
}
