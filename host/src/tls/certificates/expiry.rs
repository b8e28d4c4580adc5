//! Warns of certificates that should have been renewed, and of those that have expired.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::leaf::Lifetime;
use super::pair::Pair;
use crate::clock;

/// How often it warns of the same certificate.
const AGAIN: Duration = Duration::from_secs(24 * 60 * 60);

/// The certificates that were warned of.
#[derive(Debug, Default)]
pub(super) struct Expiry {
    /// What was said of a certificate last, and when; by its fingerprint.
    said: HashMap<[u8; 32], (Stage, SystemTime)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Early,
    Due,
    Expired,
}

impl Expiry {
    /// Logs what is to be known at this time.
    pub(super) fn look(&mut self, pairs: &[Arc<Pair>], now: SystemTime) {
        let fingerprints: HashSet<_> = pairs.iter().map(|pair| pair.leaf.fingerprint).collect();
        self.said.retain(|known, _| fingerprints.contains(known));
        for pair in pairs {
            let Some(stage) = self.next(pair, now) else { continue };
            let (path, names) = (pair.files.certificate.display(), pair.names());
            let expires = clock::rfc3339_of(pair.leaf.not_after);
            match stage {
                Stage::Early => {
                    let from = clock::rfc3339_of(pair.leaf.not_before);
                    tracing::warn!(%path, names, from, "certificate is not valid yet");
                }
                Stage::Due => {
                    let left = pair.leaf.not_after.duration_since(now).unwrap_or_default();
                    let left = humantime::format_duration(hours(left)).to_string();
                    tracing::warn!(%path, names, expires, left, "certificate expires soon, renew it");
                }
                Stage::Expired => {
                    tracing::error!(%path, names, expires, "certificate is expired, clients refuse it");
                }
            }
        }
    }

    /// What is to be said of a certificate, if it was not said today.
    fn next(&mut self, pair: &Pair, now: SystemTime) -> Option<Stage> {
        let stage = match pair.leaf.lifetime(now) {
            Lifetime::Valid(_) => return None,
            Lifetime::Early => Stage::Early,
            Lifetime::Due(_) => Stage::Due,
            Lifetime::Expired(_) => Stage::Expired,
        };
        let is_known = self.said.get(&pair.leaf.fingerprint).is_some_and(|(before, at)| {
            // A clock that was set back must not silence it.
            *before == stage && now.duration_since(*at).is_ok_and(|since| since < AGAIN)
        });
        if is_known {
            return None;
        }
        self.said.insert(pair.leaf.fingerprint, (stage, now));
        Some(stage)
    }
}

/// To the hour where there are some.
fn hours(time: Duration) -> Duration {
    let seconds = time.as_secs();
    Duration::from_secs(if seconds >= 3600 { seconds - seconds % 3600 } else { seconds })
}
