//! What a client says in its handshakes: versions, ciphers, groups, protocols.

use std::io;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

/// What is spoken over TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    Http1,
    Http2,
}

impl Wire {
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "h1" => Some(Self::Http1),
            "h2" => Some(Self::Http2),
            _ => None,
        }
    }

    fn alpn(self) -> &'static [u8] {
        match self {
            Self::Http1 => b"http/1.1",
            Self::Http2 => b"h2",
        }
    }
}

/// The name that every connection asks for, and its certificate is for.
pub fn server_name() -> ServerName<'static> {
    ServerName::try_from("localhost").expect("it is a name")
}

/// The group that load generators on OpenSSL take.
pub const X25519: &str = "X25519";

/// A configuration with one cipher and one group, without resumption.
pub fn client(wire: Wire, group: &str) -> io::Result<ClientConfig> {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites = vec![aws_lc_rs::cipher_suite::TLS13_AES_256_GCM_SHA384];
    let all = aws_lc_rs::ALL_KX_GROUPS;
    provider.kx_groups =
        all.iter().copied().filter(|one| format!("{:?}", one.name()) == group).collect();
    if provider.kx_groups.is_empty() {
        let names: Vec<_> = all.iter().map(|one| format!("{:?}", one.name())).collect();
        return Err(io::Error::other(format!(
            "there is no group {group}; there are {}",
            names.join(", ")
        )));
    }
    let provider = Arc::new(provider);
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    config.alpn_protocols = vec![wire.alpn().to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// Believes any certificate, but not that the server has its key: that is checked, as every
/// client does.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not offered".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
