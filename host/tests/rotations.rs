//! Certificates that are replaced while the program serves, in its sandbox.

use std::collections::HashMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use tempfile::TempDir;

use crate::authority::{Authority, Pair, valid_for};
use crate::fixture::{replace, site, write};
use crate::http2_client::Http2Client;
use crate::running::{Program, TOKEN, begin_change, serving, told, until};

type Tls = StreamOwned<ClientConnection, TcpStream>;

/// A site, and the files of its certificate.
struct Place {
    folder: TempDir,
    certificate: PathBuf,
    key: PathBuf,
}

impl Place {
    fn new(pair: &Pair) -> Place {
        let folder = site();
        let path = |name: &str| folder.path().join("certs").join(name);
        let place = Place { certificate: path("a.crt"), key: path("a.key"), folder };
        fs::create_dir(place.folder.path().join("certs")).unwrap();
        place.put(pair);
        place
    }

    /// Renames both files over those that are there. The key is for its owner alone.
    fn put(&self, pair: &Pair) {
        for (path, content) in [(&self.key, &pair.key), (&self.certificate, &pair.certificate)] {
            let new = path.with_extension("new");
            write(&new, content.as_bytes());
            fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
            fs::rename(new, path).unwrap();
        }
    }

    fn serve(&self, arguments: &[&str]) -> Program {
        let mut command = serving(&self.folder.path().join("root"), arguments);
        command.args(["--listen-tls", "127.0.0.1:0", "--tls-certificate"]);
        command.arg(&self.certificate).arg("--tls-key").arg(&self.key);
        Program::start(command, 2)
    }
}

/// A connection whose handshake is over.
fn connect(address: SocketAddr, config: &Arc<ClientConfig>) -> Tls {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket.set_nodelay(true).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream =
        StreamOwned::new(ClientConnection::new(Arc::clone(config), name).unwrap(), socket);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).expect("a handshake");
    }
    stream
}

fn leaf(stream: &Tls) -> Vec<u8> {
    stream.conn.peer_certificates().unwrap()[0].to_vec()
}

fn der(pair: &Pair) -> Vec<u8> {
    pair.der().0[0].to_vec()
}

fn get(stream: &mut Tls) {
    stream.write_all(b"GET /hello.txt HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    while !received.ends_with(b"\r\n\r\nhello\n") {
        let count = stream.read(&mut buffer).expect("a response");
        assert_ne!(count, 0, "it ends: {}", received.escape_ascii());
        received.extend_from_slice(&buffer[..count]);
    }
    assert!(received.starts_with(b"HTTP/1.1 200"), "{}", received.escape_ascii());
}

fn waits_for(address: SocketAddr, config: &Arc<ClientConfig>, pair: &Pair) {
    let expected = der(pair);
    until(|| leaf(&connect(address, config)) == expected);
}

/// Clients of both versions make new connections, and others keep one: no request fails, and each
/// handshake gets the certificate of that moment, or the one that is just being put there.
#[test]
fn certificate_is_replaced_a_thousand_times_under_load() {
    const ROTATIONS: usize = 1_000;
    const PAIRS: usize = 50;
    let authority = Authority::shared();
    let pairs: Vec<_> = (0..PAIRS).map(|_| authority.leaf(&["localhost"])).collect();
    let numbers: HashMap<_, _> =
        pairs.iter().enumerate().map(|(number, pair)| (der(pair), number)).collect();
    let place = Place::new(&pairs[0]);
    let program = place.serve(&["--workers", "2"]);
    let address = program.addresses[1];
    let [http1, http2] = ["http/1.1", "h2"].map(|protocol| {
        let mut config = authority.new_client_config(&[protocol]);
        // Each handshake is a whole one.
        config.resumption = rustls::client::Resumption::disabled();
        Arc::new(config)
    });
    // How many certificates serve for sure, and how many were begun.
    let (settled, begun) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let mut slowest = Duration::ZERO;
    let (is_over, requests) = (AtomicBool::new(false), AtomicUsize::new(0));
    let fits = |before: usize, stream: &Tls| {
        let number = numbers[&leaf(stream)];
        let after = begun.load(Ordering::SeqCst);
        let is_known = (before..=after).any(|rotation| rotation % PAIRS == number);
        assert!(is_known, "certificate {number}, between {before} and {after}");
    };
    thread::scope(|scope| {
        for client in 0..4 {
            let (http1, http2, fits) = (&http1, &http2, &fits);
            let (settled, is_over, requests) = (&settled, &is_over, &requests);
            scope.spawn(move || {
                let mut kept = connect(address, http1);
                while !is_over.load(Ordering::Relaxed) {
                    let before = settled.load(Ordering::SeqCst);
                    if client % 2 == 0 {
                        let mut stream = connect(address, http1);
                        fits(before, &stream);
                        get(&mut stream);
                    } else {
                        let stream = connect(address, http2);
                        fits(before, &stream);
                        let mut client = Http2Client::new(stream);
                        let response = client.get_of("https", "localhost", "/hello.txt");
                        assert_eq!((response.status, &response.body[..]), (200, &b"hello\n"[..]));
                    }
                    // One that was made long ago is as good.
                    if requests.fetch_add(1, Ordering::Relaxed) % 500 == 0 {
                        kept = connect(address, http1);
                    }
                    get(&mut kept);
                }
            });
        }
        for rotation in 1..=ROTATIONS {
            begun.store(rotation, Ordering::SeqCst);
            let pair = &pairs[rotation % PAIRS];
            let began = Instant::now();
            place.put(pair);
            slowest = slowest.max(began.elapsed());
            waits_for(address, &http1, pair);
            settled.store(rotation, Ordering::SeqCst);
        }
        is_over.store(true, Ordering::Relaxed);
    });
    program.signal(Signal::TERM);
    let (status, _, said) = program.finish();
    assert!(status.success());
    assert_eq!(said.matches("certificate replaced").count(), ROTATIONS, "{said}");
    // Both files are renamed within the time that they are waited for, unless the machine is busy.
    assert!(slowest > Duration::from_secs(1) || !said.contains("not replaced"), "{said}");
    assert!(requests.into_inner() > ROTATIONS, "too few requests to tell");
}

#[test]
fn secret_volume_is_followed_in_the_sandbox() {
    let authority = Authority::shared();
    let put = |folder: &Path, number: u32| {
        let (pair, name) = (authority.leaf(&["localhost"]), format!("..{number}"));
        write(&folder.join(&name).join("a.crt"), pair.certificate.as_bytes());
        write(&folder.join(&name).join("a.key"), pair.key.as_bytes());
        symlink(&name, folder.join("..data_tmp")).unwrap();
        fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
        let _ = fs::remove_dir_all(folder.join(format!("..{}", number.wrapping_sub(1))));
        pair
    };
    let place = Place::new(&authority.leaf(&["localhost"]));
    let folder = place.certificate.parent().unwrap().to_owned();
    put(&folder, 0);
    for (path, name) in [(&place.certificate, "a.crt"), (&place.key, "a.key")] {
        fs::remove_file(path).unwrap();
        symlink(Path::new("..data").join(name), path).unwrap();
    }
    let program = place.serve(&[]);
    let client = authority.client_config(&["http/1.1"]);
    for number in 1..4 {
        waits_for(program.addresses[1], &client, &put(&folder, number));
    }
}

#[test]
fn status_and_metrics_tell_of_each_reload() {
    let authority = Authority::shared();
    let (first, second) = (authority.leaf(&["localhost"]), authority.leaf(&["localhost"]));
    let place = Place::new(&first);
    let tokens = TempDir::new().unwrap();
    let token = tokens.path().join("token");
    fs::write(&token, TOKEN).unwrap();
    let token = token.to_str().unwrap();
    let mut program = place.serve(&["--admin", "127.0.0.1:0", "--admin-token-file", token]);
    let admin = program.admin();
    let client = authority.client_config(&["http/1.1"]);
    let tls = || -> serde_json::Value {
        let status: serde_json::Value = serde_json::from_str(&told(admin, "/status")).unwrap();
        status["tls"].clone()
    };
    let before = tls();
    assert_eq!(before["certificates"][0]["names"], serde_json::json!(["localhost"]), "{before}");
    assert_eq!(before["certificates"][0]["last_reload"], serde_json::Value::Null, "{before}");
    assert_eq!(before["client_authorities"], serde_json::Value::Null, "{before}");
    let days = before["certificates"][0]["expires_in_s"].as_i64().unwrap() / 86_400;
    assert!((88..=90).contains(&days), "{before}");
    // The key does not fit: the first serves on.
    fs::write(&place.key, &second.key).unwrap();
    let error = program.wait_for("certificate not replaced");
    assert!(error.contains("it is not the key of the certificate"), "{error}");
    assert!(error.contains("code=key-mismatch"), "{error}");
    assert_eq!(leaf(&connect(program.addresses[1], &client)), der(&first));
    let reload = tls()["certificates"][0]["last_reload"].clone();
    assert_eq!((&reload["outcome"], &reload["code"]), (&"rejected".into(), &"key-mismatch".into()));
    let reply = begin_change(admin, "POST /reload", 0).reply();
    assert_eq!(reply.status(), 422, "{}", reply.text());
    assert!(reply.text().contains("it is not the key of the certificate"), "{}", reply.text());
    fs::write(&place.certificate, &second.certificate).unwrap();
    waits_for(program.addresses[1], &client, &second);
    until(|| tls()["certificates"][0]["last_reload"]["outcome"] == "replaced");
    let metrics = told(admin, "/metrics");
    for line in [
        "innkeeper_tls_certificate_reloads_total{outcome=\"replaced\"} 1",
        "innkeeper_tls_certificate_reloads_total{outcome=\"rejected\"} 2",
        "innkeeper_tls_certificate_expiry_seconds{name=\"localhost\"} ",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
}

#[test]
fn hangup_has_certificates_read_again() {
    let authority = Authority::shared();
    let place = Place::new(&authority.leaf(&["localhost"]));
    let mut program = place.serve(&[]);
    program.signal(Signal::HUP);
    program.wait_for("certificate unchanged");
    assert!(!program.said.contains("no guest file"), "{}", program.said);
    let next = authority.leaf(&["localhost"]);
    place.put(&next);
    program.signal(Signal::HUP);
    program.wait_for("certificate replaced");
    waits_for(program.addresses[1], &authority.client_config(&["http/1.1"]), &next);
}

/// Files that the server may not read, or that it may read later.
#[test]
fn key_that_cannot_be_read_is_told_and_read_later() {
    let authority = Authority::shared();
    let (first, second) = (authority.leaf(&["localhost"]), authority.leaf(&["localhost"]));
    let place = Place::new(&first);
    let mut program = place.serve(&[]);
    let client = authority.client_config(&["http/1.1"]);
    // Also for root: what is there is no file.
    fs::remove_file(&place.key).unwrap();
    fs::create_dir(&place.key).unwrap();
    let error = program.wait_for("certificate not replaced");
    assert!(error.contains("not a regular file but a directory"), "{error}");
    assert_eq!(leaf(&connect(program.addresses[1], &client)), der(&first));
    fs::remove_dir(&place.key).unwrap();
    place.put(&second);
    waits_for(program.addresses[1], &client, &second);
}

#[test]
fn certificate_that_should_have_been_renewed_is_warned_of() {
    let authority = Authority::shared();
    let mut params = valid_for(vec!["localhost".to_owned()], Duration::from_secs(86_400));
    params.not_before = (std::time::SystemTime::now() - Duration::from_secs(5 * 86_400)).into();
    let due = authority.sign(params.clone());
    params.not_after = (std::time::SystemTime::now() - Duration::from_secs(3_600)).into();
    let expired = authority.sign(params);
    let place = Place::new(&due);
    let mut program = place.serve(&[]);
    assert!(program.said.contains("certificate expires soon, renew it"), "{}", program.said);
    // There is no better one, and so it serves: the site over plain HTTP may be what renews it.
    let place = Place::new(&expired);
    program = place.serve(&[]);
    assert!(program.said.contains("certificate is expired, clients refuse it"), "{}", program.said);
    assert_eq!(program.get("/hello.txt").status(), 200);
    let next = authority.leaf(&["localhost"]);
    place.put(&next);
    program.wait_for("certificate replaced");
    connect(program.addresses[1], &authority.client_config(&["http/1.1"]));
}

#[test]
fn server_without_a_usable_certificate_does_not_start() {
    let authority = Authority::shared();
    let place = Place::new(&authority.leaf(&["localhost"]));
    fs::write(&place.key, authority.leaf(&["localhost"]).key).unwrap();
    let mut command = serving(&place.folder.path().join("root"), &[]);
    command.args(["--listen-tls", "127.0.0.1:0", "--tls-certificate"]);
    command.arg(&place.certificate).arg("--tls-key").arg(&place.key);
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("it is not the key of the certificate"), "{said}");
    assert_eq!(said.trim_end().lines().count(), 1, "{said}");
}

/// Whoever was verified by authorities that are no longer trusted is verified again, and not
/// resumed; nor may it ask for more on a connection that it has.
#[test]
fn change_of_client_authorities_ends_what_the_former_ones_verified() {
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let (server, one, other) = (Authority::shared(), Authority::new(), Authority::new());
        let place = Place::new(&server.leaf(&["localhost"]));
        let authorities = place.folder.path().join("certs/clients.pem");
        write(&authorities, one.pem().as_bytes());
        let flags = ["--tls-client-ca", authorities.to_str().unwrap()];
        let mut program = place.serve(&[&flags[..], &["--tls-unknown-name", "refuse"]].concat());
        let address = program.addresses[1];
        let client = |authority: &Authority| {
            let (chain, key) = authority.leaf(&["client"]).der();
            Arc::new(server.client_config_of(version, chain, key))
        };
        let (of_one, of_other) = (client(&one), client(&other));
        let resumes = |config| {
            let mut stream = connect(address, config);
            let kind = stream.conn.handshake_kind();
            get(&mut stream);
            (kind == Some(rustls::HandshakeKind::Resumed), stream)
        };
        assert!(!resumes(&of_one).0);
        let (is_resumed, mut kept) = resumes(&of_one);
        assert!(is_resumed, "{version:?}: a session is resumed as long as nothing changes");
        assert!(!is_accepted(address, &of_other));
        let mut config = (*of_one).clone();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let mut http2 = Http2Client::new(connect(address, &Arc::new(config)));
        // The connection is fit for its own host after a request for another one.
        for (host, expected) in [("localhost", 200), ("other.example", 421), ("localhost", 200)] {
            assert_eq!(http2.get_of("https", host, "/hello.txt").status, expected, "{host}");
        }
        assert_eq!(http2.goaway, None);
        replace(&authorities, other.pem().as_bytes());
        program.wait_for("client authorities replaced");
        assert!(!is_accepted(address, &of_one), "{version:?}");
        assert!(is_accepted(address, &of_other), "{version:?}");
        kept.write_all(b"GET /hello.txt HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut received = vec![0; 12];
        kept.read_exact(&mut received).unwrap();
        assert_eq!(received.escape_ascii().to_string(), "HTTP/1.1 421");
        assert_eq!(http2.get_of("https", "localhost", "/hello.txt").status, 421);
        assert_eq!(http2.ended_by(), Some("NO_ERROR"));
    }
}

/// Whether a client gets a response. With TLS 1.3 it learns after its handshake that it does not.
fn is_accepted(address: SocketAddr, config: &Arc<ClientConfig>) -> bool {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream =
        StreamOwned::new(ClientConnection::new(Arc::clone(config), name).unwrap(), socket);
    let asked = stream.write_all(b"GET /hello.txt HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut byte = [0; 1];
    asked.and_then(|()| stream.read_exact(&mut byte)).is_ok()
}

#[test]
fn unknown_name_gets_an_alert_where_that_is_set_and_is_logged() {
    let authority = Authority::shared();
    let place = Place::new(&authority.leaf(&["localhost"]));
    let mut program = place.serve(&["--tls-unknown-name", "refuse"]);
    let client = authority.client_config(&["http/1.1"]);
    let socket = TcpStream::connect(program.addresses[1]).unwrap();
    let name = ServerName::try_from("other.example").unwrap();
    let mut stream =
        StreamOwned::new(ClientConnection::new(Arc::clone(&client), name).unwrap(), socket);
    let error = stream.conn.complete_io(&mut stream.sock).unwrap_err().to_string();
    assert!(error.contains("UnrecognisedName"), "{error}");
    let said = program.wait_for("no certificate for server name");
    assert!(said.contains("server_name=other.example names=localhost"), "{said}");
    get(&mut connect(program.addresses[1], &client));
}
