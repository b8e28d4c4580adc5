//! TLS-ALPN-01: a handshake in which a certificate authority sees that a name is this server's
//! (RFC 8737, and RFC 8738 for addresses). The connection ends with it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::ClientHello;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use sha2::{Digest, Sha256};

/// The name of the protocol (RFC 8737, section 6.2).
const PROTOCOL: &[u8] = b"acme-tls/1";

/// Tells what proves the name that a handshake is for: the name of the certificate, and the
/// text whose digest it has (RFC 8555, section 8.1).
pub type FindChallenge = Box<
    dyn Fn(String) -> Pin<Box<dyn Future<Output = Option<(String, String)>> + Send>> + Send + Sync,
>;

/// Whether a handshake is one: its client speaks nothing else.
pub(super) fn is_asked_for(hello: &ClientHello<'_>) -> bool {
    hello.alpn().is_some_and(|mut protocols| {
        protocols.next() == Some(PROTOCOL) && protocols.next().is_none()
    })
}

/// Whether a connection agreed on it.
pub(super) fn is_agreed(protocol: Option<&[u8]>) -> bool {
    protocol == Some(PROTOCOL)
}

/// What such a connection is secured with. An error means that this machine cannot make it.
pub(super) fn config(name: String, text: &str) -> Option<Arc<rustls::ServerConfig>> {
    let mut params = CertificateParams::new([name]).ok()?;
    params.distinguished_name = DistinguishedName::new();
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(&Sha256::digest(text))];
    let key = KeyPair::generate().ok()?;
    let certificate = params.self_signed(&key).ok()?;
    let key = PrivateKeyDer::try_from(key.serialize_der()).ok()?;
    let key = any_supported_type(&key).ok()?;
    // Not held against one another: the certificate has a critical extension that no client knows.
    let certified = CertifiedKey::new(vec![certificate.der().clone()], key);
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().ok()?.with_no_client_auth();
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    config.send_tls13_tickets = 0;
    Some(Arc::new(config))
}
