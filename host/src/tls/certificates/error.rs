//! Why a certificate is not used, and what to do about it.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::clock;
use crate::named_file::NamedFileError;

/// A file of certificates that is not used.
#[derive(Debug)]
pub struct CertificateError {
    /// What it should have been.
    pub role: FileRole,
    /// Its path.
    pub path: PathBuf,
    /// What is wrong.
    pub problem: Problem,
}

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileRole {
    /// A certificate, and its intermediate certificates.
    Certificate,
    /// The private key of a certificate.
    Key,
    /// A certificate, its intermediate certificates, and its private key.
    Combined,
    /// The authorities that issue certificates of clients.
    ClientAuthorities,
}

/// What is wrong with a file.
#[derive(Debug)]
pub enum Problem {
    /// It cannot be read.
    File(NamedFileError),
    /// It has no bytes.
    Empty,
    /// It holds this in binary.
    Binary(Binary),
    /// It is no PEM at all.
    NoPem,
    /// Its PEM is malformed.
    MalformedPem(String),
    /// It has only these sections, and none that is needed.
    OnlySections(Vec<String>),
    /// Its key is encrypted.
    EncryptedKey,
    /// It has several private keys.
    SeveralKeys(usize),
    /// It has more certificates than a chain has.
    TooManyCertificates(usize),
    /// A certificate in it cannot be parsed: its number, from 1, and why.
    MalformedCertificate(usize, String),
    /// Its private key is of no supported kind, or damaged.
    UnusableKey,
    /// The key does not belong to the certificate in this file.
    KeyMismatch(PathBuf),
    /// The key belongs to a certificate that is not the first: its number, from 1.
    LeafNotFirst(usize),
    /// The certificate expired at this time, while the active one has not.
    Expired(SystemTime),
    /// The certificate is valid from this time on, while the active one is valid.
    NotYetValid(SystemTime),
    /// A certificate of an authority is no trust anchor: its number, from 1, and why.
    NoTrustAnchor(usize, String),
}

/// What a file in DER or the like holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    /// A certificate in DER.
    Certificate,
    /// A private key in DER.
    Key,
    /// A PKCS#12 archive, also called PFX.
    Pkcs12,
    /// Something else.
    Unknown,
}

impl Problem {
    /// Whether it is what a file looks like while it, or the other of its pair, is being written.
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Problem::File(NamedFileError::Changed)
                | Problem::Empty
                | Problem::MalformedPem(_)
                | Problem::KeyMismatch(_)
        )
    }

    /// Whether there is no such file.
    pub fn is_missing_file(&self) -> bool {
        matches!(self, Problem::File(error) if error.kind() == io::ErrorKind::NotFound)
    }

    /// Its code in the JSON of the administration.
    pub fn code(&self) -> &'static str {
        match self {
            Problem::File(NamedFileError::Changed) => "changed",
            Problem::File(_) => "unreadable",
            Problem::Empty => "empty",
            Problem::Binary(_) => "not-pem",
            Problem::NoPem => "not-pem",
            Problem::MalformedPem(_) => "malformed-pem",
            Problem::OnlySections(_) => "missing-section",
            Problem::EncryptedKey => "encrypted-key",
            Problem::SeveralKeys(_) => "several-keys",
            Problem::TooManyCertificates(_) => "too-many-certificates",
            Problem::MalformedCertificate(..) => "malformed-certificate",
            Problem::UnusableKey => "unusable-key",
            Problem::KeyMismatch(_) => "key-mismatch",
            Problem::LeafNotFirst(_) => "leaf-not-first",
            Problem::Expired(_) => "expired",
            Problem::NotYetValid(_) => "not-yet-valid",
            Problem::NoTrustAnchor(..) => "no-trust-anchor",
        }
    }
}

impl FileRole {
    fn noun(self) -> &'static str {
        match self {
            FileRole::Certificate | FileRole::Combined => "certificate",
            FileRole::Key => "key",
            FileRole::ClientAuthorities => "client authorities",
        }
    }

    /// Whether it should hold certificates.
    fn has_certificates(self) -> bool {
        self != FileRole::Key
    }
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CertificateError { role, path, problem } = self;
        let path = path.display();
        write!(f, "cannot use the {} {path}: ", role.noun())?;
        match problem {
            Problem::File(error) => error.with_advice().fmt(f),
            Problem::Empty => f.write_str("it is empty"),
            Problem::Binary(binary) => write_conversion(f, *binary, *role, &path),
            Problem::NoPem => {
                f.write_str("it is not PEM, which has lines such as -----BEGIN CERTIFICATE-----")
            }
            Problem::MalformedPem(why) => write!(f, "its PEM is malformed: {why}"),
            Problem::OnlySections(sections) => write_missing(f, *role, sections, &path),
            Problem::EncryptedKey => write!(
                f,
                "its key is encrypted, and a server cannot ask for the passphrase; decrypt it \
                 into a file that only the server's user can read: openssl pkey -in {path} -out \
                 NEW"
            ),
            Problem::SeveralKeys(count) => {
                write!(f, "it has {count} private keys; leave the one of the certificate")
            }
            Problem::TooManyCertificates(count) if *role == FileRole::ClientAuthorities => write!(
                f,
                "it has {count} certificates; leave the authorities that issue certificates of \
                 clients"
            ),
            Problem::TooManyCertificates(count) => write!(
                f,
                "it has {count} certificates; leave the server's own, followed by the \
                 intermediate certificates up to its authority"
            ),
            Problem::MalformedCertificate(number, why) => {
                write!(f, "certificate {number} in it is malformed: {why}")
            }
            Problem::UnusableKey => f.write_str(
                "its private key is damaged or of a kind that is not supported: RSA with 2048 to \
                 8192 bits, ECDSA with P-256, P-384 or P-521, and Ed25519 are",
            ),
            Problem::KeyMismatch(certificate) if certificate == &self.path => {
                f.write_str("its private key belongs to another certificate")
            }
            Problem::KeyMismatch(certificate) => {
                write!(f, "it is not the key of the certificate {}", certificate.display())
            }
            Problem::LeafNotFirst(number) => write!(
                f,
                "the certificate of the private key is the {} in it; put it first, and then each \
                 issuer after the certificate that it issued",
                ordinal(*number)
            ),
            Problem::Expired(at) => {
                write!(f, "it expired at {}; renew it", clock::rfc3339_of(*at))
            }
            Problem::NotYetValid(at) => write!(
                f,
                "it is not valid before {}; is the clock of this machine right?",
                clock::rfc3339_of(*at)
            ),
            Problem::NoTrustAnchor(number, why) => {
                write!(f, "certificate {number} in it cannot be a trust anchor: {why}")
            }
        }
    }
}

impl std::error::Error for CertificateError {}

/// How to make PEM of it.
fn write_conversion(
    f: &mut fmt::Formatter<'_>,
    binary: Binary,
    role: FileRole,
    path: &impl fmt::Display,
) -> fmt::Result {
    match binary {
        Binary::Certificate => write!(
            f,
            "it is DER and not PEM; convert it: openssl x509 -inform DER -in {path} -out NEW"
        ),
        Binary::Key => write!(
            f,
            "it is DER and not PEM; convert it: openssl pkey -inform DER -in {path} -out NEW"
        ),
        Binary::Pkcs12 if role == FileRole::Key => write!(
            f,
            "it is PKCS#12 and not PEM; convert it: openssl pkcs12 -nocerts -nodes -in {path} \
             -out NEW"
        ),
        Binary::Pkcs12 if role == FileRole::Certificate => write!(
            f,
            "it is PKCS#12 and not PEM; convert it: openssl pkcs12 -nokeys -in {path} -out NEW"
        ),
        Binary::Pkcs12 => write!(
            f,
            "it is PKCS#12 and not PEM; convert it: openssl pkcs12 -nodes -in {path} -out NEW"
        ),
        Binary::Unknown => f.write_str(
            "it is binary and not PEM, which has lines such as -----BEGIN CERTIFICATE-----",
        ),
    }
}

/// What it lacks, and what it has instead.
fn write_missing(
    f: &mut fmt::Formatter<'_>,
    role: FileRole,
    sections: &[String],
    path: &impl fmt::Display,
) -> fmt::Result {
    let has = |name: &str| sections.iter().any(|section| section.contains(name));
    let found = sections.join(", ");
    match role {
        FileRole::Key if has("CERTIFICATE") => write!(
            f,
            "it has no private key but {found}; name the file with -----BEGIN PRIVATE KEY-----"
        ),
        FileRole::Key => write!(f, "it has no private key but {found}"),
        FileRole::Combined if has("CERTIFICATE") => f.write_str(
            "it has no private key; name the key's file (--tls-key), or append the key to this one",
        ),
        role if role.has_certificates() && has("PRIVATE KEY") => write!(
            f,
            "it has no certificate but {found}; name the file with -----BEGIN CERTIFICATE-----"
        ),
        _ if has("REQUEST") => write!(
            f,
            "it has no certificate but {found}; an authority issues a certificate for a request"
        ),
        _ if has("PKCS7") => write!(
            f,
            "it has no certificate but {found}; convert it: openssl pkcs7 -print_certs -in {path} \
             -out NEW"
        ),
        _ if has("TRUSTED") => write!(
            f,
            "it has no certificate but {found}; convert it: openssl x509 -in {path} -out NEW"
        ),
        _ => write!(f, "it has no certificate but {found}"),
    }
}

fn ordinal(number: usize) -> String {
    match number {
        2 => "2nd".to_owned(),
        3 => "3rd".to_owned(),
        _ => format!("{number}th"),
    }
}
