//! What is told of the certificates that serve: by `/status` and by metrics.

use std::sync::Arc;
use std::time::SystemTime;

use super::client::ClientAuth;
use super::pair::Pair;
use super::reloads::{Outcome, Reload};
use super::store::Store;

/// A certificate that serves.
#[derive(Clone, Debug)]
pub struct PairStatus {
    /// The certificate.
    pub pair: Arc<Pair>,
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
        let slots = self.slots().into_iter().enumerate();
        slots
            .filter_map(|(number, pair)| {
                Some(PairStatus { pair: pair?, last_reload: self.reloads.last(number) })
            })
            .collect()
    }

    /// The authorities of clients, if there are any.
    pub fn authorities_status(&self) -> Option<AuthoritiesStatus> {
        let options = self.options();
        let file = options.client_authorities.as_ref()?.file.display().to_string();
        let ClientAuth { authorities, .. } = *self.client_auth();
        Some(AuthoritiesStatus {
            file,
            authorities,
            last_reload: self.reloads.last(options.all().count()),
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
