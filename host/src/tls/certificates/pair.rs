//! Loads a certificate and its private key, and holds one against the other.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::CertificateDer;
use rustls::sign::{CertifiedKey, SigningKey};
use x509_parser::prelude::X509Certificate;

use super::chain::{self, ChainProblem};
use super::content::Content;
use super::error::{CertificateError, FileRole, Problem};
use super::leaf::{self, Leaf, Lifetime};
use super::options::PairFiles;
use super::pem::Contents;
use crate::clock;
use crate::text::beginning;

/// Certificates of a chain. Those of public authorities have two to four, and each handshake
/// sends all of them.
const MAX_CHAIN: usize = 10;

/// Characters of a list of names, for people.
pub(super) const NAMES: usize = 500;

/// How long files that do not fit are read again: programs that renew certificates write one file
/// after the other.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// The pause before they are read again.
pub(super) const PAUSE: Duration = Duration::from_millis(50);

/// A certificate with its private key.
pub struct Pair {
    /// Where it comes from.
    pub files: PairFiles,
    /// What the certificate says.
    pub leaf: Leaf,
    /// What is wrong with its chain.
    pub problems: Vec<ChainProblem>,
    /// What a handshake needs.
    pub(super) key: Arc<CertifiedKey>,
    /// SHA-256 of both files.
    pub(super) content: [u8; 32],
}

impl fmt::Debug for Pair {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Pair {
    /// Reads the files once.
    pub fn load(files: &PairFiles) -> Result<Pair, CertificateError> {
        Pair::parse(files, &Content::read(files)?)
    }

    /// Holds the certificate and the key in these files against each other.
    pub(super) fn parse(files: &PairFiles, content: &Content) -> Result<Pair, CertificateError> {
        let (role, path) = (files.certificate_role(), &files.certificate);
        let error = |problem| CertificateError { role, path: path.clone(), problem };
        let contents = Contents::parse(&content.certificate).map_err(error)?;
        let chain = contents.certificates().map_err(error)?;
        if chain.len() > MAX_CHAIN {
            return Err(error(Problem::TooManyCertificates(chain.len())));
        }
        let certificates = parse_chain(chain).map_err(error)?;
        let key_error = |problem| match &files.key {
            Some(path) => CertificateError { role: FileRole::Key, path: path.clone(), problem },
            None => error(problem),
        };
        let key = match &content.key {
            Some(bytes) => Contents::parse(bytes).and_then(|contents| contents.key()),
            None => contents.key(),
        };
        let key = any_supported_type(&key.map_err(key_error)?)
            .map_err(|_| key_error(Problem::UnusableKey))?;
        match certificates.iter().position(|certificate| is_key_of(&*key, certificate)) {
            Some(0) => {}
            Some(index) => return Err(error(Problem::LeafNotFirst(index + 1))),
            None => return Err(key_error(Problem::KeyMismatch(path.clone()))),
        }
        let leaf = Leaf::new(&certificates[0], &chain[0]);
        let problems = chain::problems(&certificates, &leaf, SystemTime::now());
        Ok(Pair {
            files: files.clone(),
            leaf,
            problems,
            key: Arc::new(CertifiedKey::new(chain.to_vec(), key)),
            content: content.digest,
        })
    }

    /// Reads the files until they fit, or until it took too long: they may be being replaced.
    pub fn load_patiently(files: &PairFiles) -> Result<Pair, CertificateError> {
        Pair::load_until(Instant::now() + PATIENCE, files)
    }

    /// The same until this moment, which several may share.
    pub fn load_until(end: Instant, files: &PairFiles) -> Result<Pair, CertificateError> {
        loop {
            match Pair::load(files) {
                Err(error) if error.problem.may_pass() && Instant::now() < end => {
                    std::thread::sleep(PAUSE);
                }
                loaded => return loaded,
            }
        }
    }

    /// Its names, for people: not all of a long list.
    pub fn names(&self) -> String {
        let names: Vec<_> = self.leaf.names.iter().map(ToString::to_string).collect();
        match names.is_empty() {
            true => self.leaf.subject.clone(),
            false => beginning(&names.join(", "), NAMES),
        }
    }

    /// One line for people: names, expiry, kind of key.
    pub fn summary(&self, now: SystemTime) -> String {
        let names = self.names();
        let days = |time: Duration| match time.as_secs() / 86_400 {
            1 => "1 day".to_owned(),
            days => format!("{days} days"),
        };
        let time = match self.leaf.lifetime(now) {
            Lifetime::Early => {
                format!("not valid before {}", clock::rfc3339_of(self.leaf.not_before))
            }
            Lifetime::Valid(left) | Lifetime::Due(left) => {
                format!("expires {} (in {})", clock::rfc3339_of(self.leaf.not_after), days(left))
            }
            Lifetime::Expired(since) => {
                format!("EXPIRED {} ({} ago)", clock::rfc3339_of(self.leaf.not_after), days(since))
            }
        };
        format!("{names}; {time}; {}", self.leaf.key.name())
    }
}

fn parse_chain<'a>(
    chain: &'a [CertificateDer<'static>],
) -> Result<Vec<X509Certificate<'a>>, Problem> {
    let parsed = chain.iter().enumerate().map(|(index, der)| {
        leaf::parse(der).map_err(|why| Problem::MalformedCertificate(index + 1, why))
    });
    parsed.collect()
}

/// As `CertifiedKey::keys_match`, which takes no certificates of version 1.
fn is_key_of(key: &dyn SigningKey, certificate: &X509Certificate<'_>) -> bool {
    // All kinds that are supported tell their public key.
    key.public_key().is_none_or(|public| *public == *certificate.public_key().raw)
}
