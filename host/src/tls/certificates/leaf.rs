//! What a certificate says: its names, its lifetime, its issuer.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};
use x509_parser::certificate::Validity;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::time::ASN1Time;

use super::name::Name;
use crate::text::short_name;

/// The certificate of a server.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// The names that it is for, in its order.
    pub names: Vec<Name>,
    /// When it begins to be valid.
    pub not_before: SystemTime,
    /// The last second in which it is valid.
    pub not_after: SystemTime,
    /// Its subject, for people.
    pub subject: String,
    /// Its issuer, for people.
    pub issuer: String,
    /// The kind of its key.
    pub key: KeyKind,
    /// SHA-256 of its DER.
    pub fingerprint: [u8; 32],
}

/// The kind of a public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA.
    Rsa,
    /// ECDSA.
    Ecdsa,
    /// Another one, such as Ed25519.
    Other,
}

impl KeyKind {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            KeyKind::Rsa => "RSA",
            KeyKind::Ecdsa => "ECDSA",
            KeyKind::Other => "EdDSA",
        }
    }
}

/// Whether a certificate is valid now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// It is not valid yet.
    Early,
    /// More than a third of its lifetime is left.
    Valid(Duration),
    /// A third of it or less is left: it should have been renewed.
    Due(Duration),
    /// It expired so long ago.
    Expired(Duration),
}

impl Leaf {
    /// Of a certificate that was parsed from this DER.
    pub(super) fn new(certificate: &X509Certificate<'_>, der: &[u8]) -> Leaf {
        let Validity { not_before, not_after } = *certificate.validity();
        let names = alternative_names(certificate).filter_map(|name| match name {
            GeneralName::DNSName(name) => Name::dns(name),
            GeneralName::IPAddress(bytes) => Name::address(bytes),
            _ => None,
        });
        // RFC 3279, section 2.3.
        let key = match certificate.public_key().algorithm.algorithm.to_id_string().as_str() {
            "1.2.840.113549.1.1.1" => KeyKind::Rsa,
            "1.2.840.10045.2.1" => KeyKind::Ecdsa,
            _ => KeyKind::Other,
        };
        Leaf {
            names: names.collect(),
            not_before: time(not_before),
            not_after: time(not_after),
            subject: short_name(&certificate.subject().to_string()),
            issuer: short_name(&certificate.issuer().to_string()),
            key,
            fingerprint: Sha256::digest(der).into(),
        }
    }

    /// Whether it is valid at a time.
    pub fn lifetime(&self, now: SystemTime) -> Lifetime {
        if now < self.not_before {
            return Lifetime::Early;
        }
        match self.not_after.duration_since(now) {
            Err(since) => Lifetime::Expired(since.duration()),
            Ok(left) => {
                let all = self.not_after.duration_since(self.not_before).unwrap_or_default();
                if left * 3 <= all { Lifetime::Due(left) } else { Lifetime::Valid(left) }
            }
        }
    }

    /// Whether clients accept its dates.
    pub fn is_valid(&self, now: SystemTime) -> bool {
        matches!(self.lifetime(now), Lifetime::Valid(_) | Lifetime::Due(_))
    }

    /// The name that it is called by: its first, or what it has instead.
    pub fn first_name(&self) -> String {
        self.names.first().map_or_else(|| self.subject.clone(), Name::to_string)
    }

    /// Its fingerprint, as hexadecimal digits.
    pub fn fingerprint_hex(&self) -> String {
        hex(&self.fingerprint)
    }
}

/// Bytes as hexadecimal digits, in lower case.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The first certificate in this DER, or why there is none.
pub(super) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, String> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err("bytes follow it".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// The names in the extension `subjectAltName` (RFC 5280, section 4.2.1.6).
pub(super) fn alternative_names<'a>(
    certificate: &'a X509Certificate<'_>,
) -> impl Iterator<Item = &'a GeneralName<'a>> {
    let extension = certificate.subject_alternative_name().ok().flatten();
    extension.into_iter().flat_map(|extension| &extension.value.general_names)
}

/// No time of a certificate is before 1950 (RFC 5280, section 4.1.2.5); those before 1970 are 1970.
fn time(time: ASN1Time) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(time.timestamp()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::{Leaf, Lifetime, parse};
    use rcgen::{CertificateParams, KeyPair};
    use std::time::{Duration, SystemTime};

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn certificate_is_due_when_a_third_of_its_lifetime_is_left() {
        let now = SystemTime::now();
        let names = ["b.example", "*.a.example", "127.0.0.1"].map(str::to_owned);
        let mut params = CertificateParams::new(names).expect("names");
        params.not_before = now.into();
        params.not_after = (now + 90 * DAY).into();
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        let leaf = Leaf::new(&parse(certificate.der()).expect("parsed"), certificate.der());
        let names: Vec<_> = leaf.names.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["b.example", "*.a.example", "127.0.0.1"]);
        assert_eq!(leaf.key.name(), "ECDSA");
        assert_eq!(leaf.lifetime(now - DAY), Lifetime::Early);
        assert!(matches!(leaf.lifetime(now + 59 * DAY), Lifetime::Valid(_)));
        assert!(matches!(leaf.lifetime(now + 61 * DAY), Lifetime::Due(_)));
        assert!(matches!(leaf.lifetime(now + 91 * DAY), Lifetime::Expired(_)));
        assert!(leaf.is_valid(now + 61 * DAY) && !leaf.is_valid(now + 91 * DAY));
    }
}
