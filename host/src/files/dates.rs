//! Which version of a file had a date first, at each path.
//!
//! Two versions that were written within one second in two folders have the same date, and
//! either may be put in the place of the other by renaming its folder or by changing a link to
//! it: nothing of the files shows that. So the dates that were sent are kept, and a date
//! belongs to the version that had it first.

use std::hash::{BuildHasher, RandomState};
use std::time::SystemTime;

use quick_cache::sync::Cache;

use super::encodings::Coding;
use super::root_id::RootId;
use super::validators::{Validators, Version};

/// Dates that are kept: those of a large site, in a few megabytes.
const DATES: usize = 1 << 16;

/// The dates that were sent, since the program began.
pub(super) struct Dates {
    /// By root, path, form and date, as numbers: should two have the same one, no date is sent.
    first: Cache<u64, u64>,
    numbers: RandomState,
}

impl Dates {
    pub(super) fn new() -> Dates {
        Dates { first: Cache::new(DATES), numbers: RandomState::new() }
    }

    /// Takes the date away from the version that is at this path now, in this form, if another
    /// one had it there. Since when the path has named this version is not known then.
    pub(super) fn confirm(
        &self,
        root: RootId,
        path: &str,
        coding: Option<Coding>,
        version: Version,
        validators: Validators,
        now: SystemTime,
    ) -> Validators {
        let Some(modified) = validators.modified else { return validators };
        let key = self.numbers.hash_one((root, path, coding, modified));
        let number = self.numbers.hash_one(version);
        let first = self.first.get(&key).unwrap_or_else(|| {
            self.first.insert(key, number);
            number
        });
        match first == number {
            true => validators,
            false => Validators { modified: None, changed: Some(now), ..validators },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::{Coding, DATES, Dates, RootId};
    use crate::files::validators::{Validators, Version};

    const WRITTEN_NS: i128 = 1_780_000_000_000_000_000;

    fn version(inode: u64) -> Version {
        let (modified_ns, changed_ns) = (WRITTEN_NS + 1, WRITTEN_NS + 1);
        Version { device: 1, inode, length: 10, modified_ns, changed_ns }
    }

    fn confirm(dates: &Dates, path: &str, coding: Option<Coding>, version: Version) -> Validators {
        let now = UNIX_EPOCH + Duration::from_secs(1_780_000_100);
        let validators = Validators::of(version, now);
        assert!(validators.modified.is_some());
        let confirmed = dates.confirm(RootId::default(), path, coding, version, validators, now);
        assert_eq!(confirmed.tag, validators.tag);
        let expected = if confirmed.modified.is_some() { validators.changed } else { Some(now) };
        assert_eq!(confirmed.changed, expected);
        confirmed
    }

    #[test]
    fn date_belongs_to_the_version_that_had_it_first() {
        let dates = Dates::new();
        let has =
            |path, coding, inode| confirm(&dates, path, coding, version(inode)).modified.is_some();
        assert!(has("a", None, 1));
        assert!(!has("a", None, 2));
        // A rollback.
        assert!(has("a", None, 1));
        assert!(!has("a", None, 2));
        assert!(has("b", None, 2));
        assert!(has("a", Some(Coding::Gzip), 2));
        let later = Version { modified_ns: WRITTEN_NS + 1_000_000_000, ..version(2) };
        assert!(confirm(&dates, "a", None, later).modified.is_some());
    }

    #[test]
    fn dates_are_bounded() {
        let dates = Dates::new();
        for number in 0..4 * DATES {
            confirm(&dates, &number.to_string(), None, version(1));
        }
        assert!(dates.first.len() <= DATES + DATES / 8, "{}", dates.first.len());
    }
}
