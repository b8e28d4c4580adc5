//! Certificates of clients: who may issue them, and what is known of a client that has one.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use sha2::{Digest, Sha256};
use x509_parser::extensions::GeneralName;

use super::content::read;
use super::error::{CertificateError, FileRole, Problem};
use super::leaf::{self, alternative_names, hex};
use super::options::{ClientAuthorities, ClientPolicy};
use super::pem::Contents;
use crate::http::ClientCertificate;

/// Authorities of clients. The name of each is in every handshake.
const MAX_AUTHORITIES: usize = 100;

/// Bytes of a client's name, as long as a host's.
const MAX_CLIENT_NAME: usize = 255;

/// Which certificates of clients are accepted.
pub struct ClientAuth {
    /// Verifies certificates of clients. Without one, clients are not asked for them.
    pub verifier: Option<Arc<dyn ClientCertVerifier>>,
    /// Another one whenever the authorities are others. A session that was made with one of them
    /// must not be resumed with another.
    pub id: u64,
    /// The number of authorities.
    pub authorities: usize,
    /// SHA-256 of the file.
    pub(super) content: [u8; 32],
}

impl ClientAuth {
    /// Clients are not asked for certificates.
    pub fn none() -> ClientAuth {
        ClientAuth { verifier: None, id: next_id(), authorities: 0, content: [0; 32] }
    }

    /// Reads the authorities.
    pub fn load(authorities: &ClientAuthorities) -> Result<ClientAuth, CertificateError> {
        let path = &authorities.file;
        let role = FileRole::ClientAuthorities;
        let error = |problem| CertificateError { role, path: path.clone(), problem };
        let bytes = read(role, path)?;
        let contents = Contents::parse(&bytes).map_err(error)?;
        let certificates = contents.certificates().map_err(error)?;
        if certificates.len() > MAX_AUTHORITIES {
            return Err(error(Problem::TooManyCertificates(certificates.len())));
        }
        let mut roots = RootCertStore::empty();
        for (index, certificate) in certificates.iter().enumerate() {
            roots
                .add(certificate.clone())
                .map_err(|cause| error(Problem::NoTrustAnchor(index + 1, cause.to_string())))?;
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let builder = match authorities.policy {
            ClientPolicy::Required => builder,
            ClientPolicy::Wanted => builder.allow_unauthenticated(),
        };
        let verifier =
            builder.build().map_err(|cause| error(Problem::NoTrustAnchor(1, cause.to_string())))?;
        Ok(ClientAuth {
            verifier: Some(verifier),
            id: next_id(),
            authorities: certificates.len(),
            content: Sha256::digest(&bytes).into(),
        })
    }
}

impl fmt::Debug for ClientAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientAuth").field("id", &self.id).finish_non_exhaustive()
    }
}

fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// What is known of a client by its certificate, which was verified.
pub fn identify(certificate: &CertificateDer<'_>) -> ClientCertificate {
    ClientCertificate {
        sha256: hex(&Sha256::digest(certificate)).into(),
        name: client_name(certificate),
    }
}

/// The first alternative name that is a URI, a DNS name or a mail address; of a certificate that
/// has none of them, the last common name of its subject.
fn client_name(der: &CertificateDer<'_>) -> Option<Box<str>> {
    let certificate = leaf::parse(der).ok()?;
    let alternative = alternative_names(&certificate).find_map(|name| match name {
        GeneralName::URI(name) | GeneralName::DNSName(name) | GeneralName::RFC822Name(name) => {
            Some(*name)
        }
        _ => None,
    });
    let common = || certificate.subject().iter_common_name().last()?.as_str().ok();
    let name = alternative.or_else(common)?;
    let is_text = !name.is_empty() && !name.chars().any(char::is_control);
    (is_text && name.len() <= MAX_CLIENT_NAME).then(|| name.into())
}

#[cfg(test)]
mod tests {
    use super::identify;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    fn name(common: Option<&str>, alternatives: &[SanType]) -> Option<String> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        if let Some(common) = common {
            params.distinguished_name.push(DnType::CommonName, common);
        }
        params.subject_alt_names = alternatives.to_vec();
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        let client = identify(certificate.der());
        assert_eq!(client.sha256.len(), 64);
        assert!(client.sha256.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)));
        client.name.map(String::from)
    }

    #[test]
    fn client_is_called_by_its_first_alternative_name_or_its_common_name() {
        let uri = SanType::URI("spiffe://a/b".try_into().expect("text"));
        let dns = SanType::DnsName("a.example".try_into().expect("text"));
        let mail = SanType::Rfc822Name("a@example".try_into().expect("text"));
        let address = SanType::IpAddress([127, 0, 0, 1].into());
        let named = |name: &str| Some(name.to_owned());
        assert_eq!(name(Some("c"), &[uri.clone(), dns.clone()]), named("spiffe://a/b"));
        assert_eq!(name(Some("c"), &[address.clone(), mail, dns]), named("a@example"));
        assert_eq!(name(Some("c"), &[address]), named("c"));
        assert_eq!(name(Some("caf\u{e9}"), &[]), named("caf\u{e9}"));
        assert_eq!(name(Some("a\nb"), &[]), None);
        assert_eq!(name(Some(&"a".repeat(256)), &[]), None);
        assert_eq!(name(None, &[]), None);
    }
}
