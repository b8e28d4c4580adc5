//! What is told of the certificates that serve: by `/status` and by metrics.

use std::time::SystemTime;

use super::client::ClientAuth;
use super::name::Name;
use super::reloads::{Outcome, Reload};
use super::store::Store;

/// A certificate that serves.
#[derive(Clone, Debug)]
pub struct PairStatus {
    /// Its file.
    pub certificate: String,
    /// The file of its key; the same if it has both.
    pub key: String,
    /// What it is called: its first name.
    pub name: String,
    /// All of its names.
    pub names: Vec<String>,
    /// The kind of its key.
    pub kind: &'static str,
    /// Its issuer.
    pub issuer: String,
    /// SHA-256 of it, in hexadecimal digits.
    pub sha256: String,
    /// When it begins to be valid.
    pub not_before: SystemTime,
    /// When it ends to be valid.
    pub not_after: SystemTime,
    /// What is wrong with its chain.
    pub problems: Vec<String>,
    /// What became of its files when they changed last.
    pub last_reload: Option<Reload>,
}

/// The authorities of clients.
#[derive(Clone, Debug)]
pub struct AuthoritiesStatus {
    /// Their file.
    pub file: String,
    /// How many there are.
    pub authorities: usize,
    /// What became of the file when it changed last.
    pub last_reload: Option<Reload>,
}

impl Store {
    /// The certificates that serve, in the order of the settings.
    pub fn status(&self) -> Vec<PairStatus> {
        let pairs = self.pairs();
        let status = pairs.iter().enumerate().map(|(number, pair)| {
            let (files, leaf) = (&pair.files, &pair.leaf);
            PairStatus {
                certificate: files.certificate.display().to_string(),
                key: files.key.as_ref().unwrap_or(&files.certificate).display().to_string(),
                name: leaf.first_name(),
                names: leaf.names.iter().map(Name::to_string).collect(),
                kind: leaf.key.name(),
                issuer: leaf.issuer.clone(),
                sha256: leaf.fingerprint_hex(),
                not_before: leaf.not_before,
                not_after: leaf.not_after,
                problems: pair.problems.iter().map(ToString::to_string).collect(),
                last_reload: self.reloads.last(number),
            }
        });
        status.collect()
    }

    /// The authorities of clients, if there are any.
    pub fn authorities_status(&self) -> Option<AuthoritiesStatus> {
        let options = self.options();
        let file = options.client_authorities.as_ref()?.file.display().to_string();
        let ClientAuth { authorities, .. } = *self.client_auth();
        Some(AuthoritiesStatus {
            file,
            authorities,
            last_reload: self.reloads.last(options.pairs.len()),
        })
    }

    /// How often a reload had this outcome since the start.
    pub fn reloads(&self, outcome: Outcome) -> u64 {
        self.reloads.count(outcome)
    }

    /// The times at which certificates end to be valid, by the first name of each: of several
    /// with one name the first to come.
    pub fn expiries(&self) -> Vec<(String, SystemTime)> {
        let mut expiries: Vec<(String, SystemTime)> = Vec::new();
        for pair in self.pairs() {
            let (name, time) = (pair.leaf.first_name(), pair.leaf.not_after);
            match expiries.iter_mut().find(|(known, _)| *known == name) {
                Some((_, earliest)) => *earliest = time.min(*earliest),
                None => expiries.push((name, time)),
            }
        }
        expiries
    }
}
