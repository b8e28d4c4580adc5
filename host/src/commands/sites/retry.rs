//! When a broken site is tried again: once what it names has changed, and not in each moment of a
//! change that goes on.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::cli::SiteSettings;
use crate::file_watch::{LOOK, Stamps, stamps};

/// The longest pause between two attempts. Who mends a site waits for no more, and not at all with
/// SIGHUP.
const LONGEST: Duration = Duration::from_secs(64);

/// How far attempts are.
#[derive(Clone, Debug)]
pub(super) struct Retry {
    /// What the files were like before the last one.
    seen: Stamps,
    tried: Instant,
    /// How long the next one waits for: twice as long as the last did.
    pause: Duration,
}

impl Retry {
    /// After a first attempt, which was begun when the files were like this.
    pub(super) fn new(seen: Stamps, now: Instant) -> Retry {
        Retry { seen, tried: now, pause: LOOK }
    }

    /// Whether there is to be another attempt on files that are like this.
    pub(super) fn is_due(&self, files: &Stamps, now: Instant) -> bool {
        *files != self.seen && now.duration_since(self.tried) >= self.pause
    }

    /// After another attempt.
    pub(super) fn again(&self, seen: Stamps, now: Instant) -> Retry {
        // After a quiet time the first pause is short again.
        let was_quiet = now.duration_since(self.tried) >= 2 * LONGEST;
        let pause = if was_quiet { LOOK } else { LONGEST.min(2 * self.pause) };
        Retry { seen, tried: now, pause }
    }
}

/// What the files that a site names are like now. To be taken before they are read: what changes
/// afterwards is noticed.
pub(in crate::commands) fn look(site: &SiteSettings) -> Stamps {
    let rules = ["_redirects", "_headers"].map(|name| site.root.join(name));
    let log = site.log.access_file.as_deref();
    let folder = log.and_then(Path::parent).filter(|folder| !folder.as_os_str().is_empty());
    let log = log.into_iter().chain(folder);
    let all = [&site.root].into_iter().chain(&rules).chain(site.files_by_name());
    stamps(all.map(PathBuf::as_path).chain(log))
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, Retry};
    use std::time::{Duration, Instant};

    #[test]
    fn pauses_of_changes_that_go_on_double() {
        let began = Instant::now();
        let stamps = |number: u64| vec![Some((number, 0, 0, (0, 0), (0, 0)))];
        let mut retry = Retry::new(stamps(0), began);
        let mut attempts = Vec::new();
        for second in 0..400 {
            let now = began + Duration::from_secs(second);
            assert!(!retry.is_due(&retry.seen, now));
            if retry.is_due(&stamps(second), now) {
                retry = retry.again(stamps(second), now);
                attempts.push(second);
            }
        }
        assert_eq!(attempts, [2, 6, 14, 30, 62, 126, 190, 254, 318, 382]);
        let quiet = began + Duration::from_secs(382) + 2 * LONGEST;
        retry = retry.again(stamps(1000), quiet);
        assert!(retry.is_due(&stamps(1001), quiet + Duration::from_secs(2)));
    }
}
