//! A certificate authority of the tests: what it signs, and clients that trust it alone.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A certificate authority with a key of its own.
pub struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, in PEM as files have them.
#[derive(Clone)]
pub struct Pair {
    pub certificate: String,
    pub key: String,
}

impl Pair {
    /// Both in one file.
    pub fn combined(&self) -> String {
        [self.certificate.as_str(), &self.key].concat()
    }
}

impl Authority {
    /// One that nothing else trusts.
    pub fn new() -> Authority {
        let mut params = valid_for(Vec::new(), 365 * DAY);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, "innkeeper's tests");
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Authority { certificate, issuer: Issuer::new(params, key) }
    }

    /// The one of all tests that need no other.
    pub fn shared() -> &'static Authority {
        static SHARED: OnceLock<Authority> = OnceLock::new();
        SHARED.get_or_init(Authority::new)
    }

    /// Its own certificate, in PEM.
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// A server's certificate for these names and addresses, for 90 days.
    pub fn leaf(&self, names: &[&str]) -> Pair {
        self.leaf_for(names, 90 * DAY)
    }

    /// A server's certificate that ends after this time.
    pub fn leaf_for(&self, names: &[&str], lifetime: Duration) -> Pair {
        self.sign(valid_for(names.iter().map(|&name| name.to_owned()).collect(), lifetime))
    }

    /// A certificate of what these parameters say. It is for servers and for clients.
    pub fn sign(&self, mut params: CertificateParams) -> Pair {
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Pair { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// A certificate of this key and of what these parameters say, and nothing else.
    pub fn certify(&self, params: &CertificateParams, key: &KeyPair) -> Certificate {
        params.clone().signed_by(key, &self.issuer).unwrap()
    }

    /// Clients that trust this authority alone and have a certificate.
    pub fn client_config_with(
        &self,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> ClientConfig {
        self.client_config_of(&rustls::version::TLS13, chain, key)
    }

    /// The same, that speak this version.
    pub fn client_config_of(
        &self,
        version: &'static rustls::SupportedProtocolVersion,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder.with_protocol_versions(&[version]).unwrap();
        builder.with_root_certificates(roots).with_client_auth_cert(chain, key).unwrap()
    }

    /// Clients that trust this authority alone and offer these protocols.
    pub fn client_config(&self, protocols: &[&str]) -> Arc<ClientConfig> {
        Arc::new(self.new_client_config(protocols))
    }

    /// The same, to be changed.
    pub fn new_client_config(&self, protocols: &[&str]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }
}

impl Pair {
    /// The certificate and its key, as rustls has them.
    pub fn der(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let certificates = CertificateDer::pem_slice_iter(self.certificate.as_bytes());
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        (certificates.map(Result::unwrap).collect(), key)
    }
}

/// Parameters for these names and addresses, valid since an hour and for this time.
pub fn valid_for(names: Vec<String>, lifetime: Duration) -> CertificateParams {
    let mut params = CertificateParams::new(names).unwrap();
    let now = date_time_ymd(1970, 1, 1) + SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    params.not_before = now - Duration::from_secs(60 * 60);
    params.not_after = now + lifetime;
    params
}
