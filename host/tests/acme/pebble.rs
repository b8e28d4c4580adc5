//! Pebble, the authority of Let's Encrypt for tests, where it is installed.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};

use super::tls_page;
use crate::authority::Authority;
use crate::running::{self, Program, told};
use crate::skip::{Need, skip};

/// A client that takes any certificate: what it is for is not of interest.
pub fn any_certificate() -> Arc<ClientConfig> {
    #[derive(Debug)]
    struct Any;

    impl ServerCertVerifier for Any {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, rustls::Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
            verify_tls12_signature(message, certificate, signed, &algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
            verify_tls13_signature(message, certificate, signed, &algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
            algorithms.supported_schemes()
        }
    }

    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap();
    let config = config.dangerous().with_custom_certificate_verifier(Arc::new(Any));
    Arc::new(config.with_no_client_auth())
}

/// Pebble and its name server. Both are killed when dropped.
struct Pebble {
    processes: Vec<Child>,
    directory: String,
    http: u16,
    tls: u16,
}

impl Drop for Pebble {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Pebble {
    /// Starts it, if it is installed.
    fn start(folder: &Path) -> Option<Pebble> {
        let ports: Vec<_> = (0..6).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let port = |at: usize| ports[at].local_addr().unwrap().port();
        let [own, management, http, tls, dns, dns_management] = [0, 1, 2, 3, 4, 5].map(port);
        drop(ports);
        let path = |name: &str| folder.join(name).display().to_string();
        let pair = Authority::shared().leaf(&["localhost", "127.0.0.1"]);
        fs::write(path("pebble.pem"), &pair.certificate).unwrap();
        fs::write(path("pebble.key"), &pair.key).unwrap();
        fs::write(path("ca.pem"), Authority::shared().pem()).unwrap();
        let config = serde_json::json!({"pebble": {
            "listenAddress": format!("127.0.0.1:{own}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": path("pebble.pem"), "privateKey": path("pebble.key"),
            "httpPort": http, "tlsPort": tls, "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
            "profiles": {
                "default": {"description": "three months", "validityPeriod": 7_776_000},
                "shortlived": {"description": "six days", "validityPeriod": 518_400},
            },
        }});
        fs::write(path("pebble.json"), config.to_string()).unwrap();
        let mut names = Command::new("pebble-challtestsrv");
        names.args([
            "-defaultIPv4",
            "127.0.0.1",
            "-defaultIPv6",
            "",
            "-http01",
            "",
            "-https01",
            "",
        ]);
        names.args(["-tlsalpn01", "", "-dnsserver", &format!("127.0.0.1:{dns}")]);
        names.args(["-management", &format!("127.0.0.1:{dns_management}")]);
        let mut pebble = Command::new("pebble");
        pebble.args(["-config", &path("pebble.json"), "-dnsserver", &format!("127.0.0.1:{dns}")]);
        pebble.env("PEBBLE_VA_NOSLEEP", "1").env("PEBBLE_WFE_NONCEREJECT", "10");
        let mut processes = Vec::new();
        for command in [&mut names, &mut pebble] {
            let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            match command.spawn() {
                Ok(process) => processes.push(process),
                Err(error) => {
                    drop(Pebble { processes, directory: String::new(), http, tls });
                    skip(Need::Pebble, error);
                    return None;
                }
            }
        }
        let began = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", own)).is_err() {
            assert!(began.elapsed() < Duration::from_secs(30), "pebble does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        let directory = format!("https://localhost:{own}/dir");
        Some(Pebble { processes, directory, http, tls })
    }

    fn server(&self, folder: &Path, arguments: &[&str]) -> Program {
        let root = folder.join("root");
        fs::create_dir_all(&root).unwrap();
        fs::write(root.join("index.html"), "a page").unwrap();
        let mut command = Command::new(running::PROGRAM);
        command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR")).arg(root);
        command.args(["--listen", &format!("127.0.0.1:{}", self.http)]);
        command.args(["--listen-tls", &format!("127.0.0.1:{}", self.tls)]);
        command.args(["--admin", "127.0.0.1:0", "--acme-accept-terms"]);
        command.args(["--acme-directory", &self.directory]);
        command.arg("--acme-ca-file").arg(folder.join("ca.pem"));
        command.arg("--acme-state").arg(folder.join("state")).args(arguments);
        Program::start(command, 2)
    }
}

#[test]
fn pebble_proves_names_and_addresses_by_both_challenges() {
    for kind in ["tls-alpn-01", "http-01"] {
        let folder = tempfile::tempdir().unwrap();
        let Some(pebble) = Pebble::start(folder.path()) else { return };
        let mut program = pebble.server(
            folder.path(),
            &["--acme", "a.example,127.0.0.1", "--acme-challenge", kind, "--redirect-to-https"],
        );
        let admin = program.admin();
        for _ in 0..2 {
            program.wait_for("certificate that was awaited serves");
        }
        assert_eq!(tls_page(program.addresses[1]), "a page");
        let status = told(admin, "/status");
        assert_eq!(status.matches("\"state\": \"valid\"").count(), 2, "{status}");
    }
}

#[test]
fn each_kind_of_key_and_the_second_challenge_are_taken() {
    for kind in ["ecdsa-p384", "rsa2048"] {
        let folder = tempfile::tempdir().unwrap();
        let Some(pebble) = Pebble::start(folder.path()) else { return };
        let mut program = pebble.server(
            folder.path(),
            &["--acme", "a.example", "--acme-key-type", kind, "--acme-email", "a@a.example"],
        );
        program.wait_for("certificate that was awaited serves");
        assert_eq!(tls_page(program.addresses[1]), "a page");
    }
}
