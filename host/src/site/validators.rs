//! What tells two versions of a file apart: entity tag and modification date
//! (RFC 9110, section 8.8).

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long a file must have been left alone before it gets a tag. Its times come
/// from a clock that ticks every 1 to 10 ms (`CONFIG_HZ`): two writes within one
/// tick leave the same times behind. Ten ticks of the slowest clock.
const SETTLING: Duration = Duration::from_millis(100);

/// The same where a file system keeps whole seconds (ext4 with small inodes, some of NFS),
/// or every second one (FAT): its time of change tells nothing finer.
const COARSE_SETTLING: Duration = Duration::from_millis(2_100);

const SECOND_NS: i128 = 1_000_000_000;

/// The validators of one version of a file. A file that was written just now has
/// none: its next version could not be told from this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validators {
    /// The entity tag.
    pub tag: Option<EntityTag>,
    /// The time of the last modification, in whole seconds, once its second is
    /// over: so it is a strong validator (RFC 9110, section 8.8.2.2), and never
    /// later than `Date`.
    pub modified: Option<SystemTime>,
}

/// What a file's handle says that changes when the file does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Version {
    /// The device: each has inodes of its own, and there may be several below the root.
    pub device: u64,
    /// The inode: another file that was renamed to this name has another one.
    pub inode: u64,
    /// The length in bytes.
    pub length: u64,
    /// When the content was last modified, in nanoseconds since 1970. Tools set
    /// it to what they like.
    pub modified_ns: i128,
    /// When anything of the file was last changed, in nanoseconds since 1970. The
    /// kernel alone sets it.
    pub changed_ns: i128,
}

/// A strong entity tag: inode, length, and both times of the file.
///
/// Two contents share one only if a file was rewritten in place, with the same
/// length, within one tick of the kernel's clock, and was then left alone: that is
/// why a file gets no tag until it is [settled](SETTLING), and why the time of
/// change is part of it (`cp -p`, `rsync -t` and reproducible builds set the time
/// of modification). The price: replicas of a site have different tags, and
/// `chmod` makes a new one. The device tells two of them apart here, but is not written:
/// it may have another number after a restart of the machine.
///
/// What is compressed on the fly has the tag of its file with the name of the coding
/// behind it: each representation has a tag of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct EntityTag {
    version: Version,
    /// The coding, or nothing.
    coding: &'static str,
}

impl EntityTag {
    /// Whether this is the tag of that version, in whatever coding.
    pub(super) fn is_of(self, version: Version) -> bool {
        self.version == version
    }
}

impl fmt::Display for EntityTag {
    /// As it stands in `ETag`, with its quotes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let EntityTag { version, coding } = self;
        let Version { device: _, inode, length, modified_ns, changed_ns } = version;
        let dash = if coding.is_empty() { "" } else { "-" };
        write!(f, "\"{inode:x}-{length:x}-{modified_ns:x}-{changed_ns:x}{dash}{coding}\"")
    }
}

impl Validators {
    /// Those of the same version in this coding.
    pub fn in_coding(self, coding: &'static str) -> Validators {
        Validators { tag: self.tag.map(|tag| EntityTag { coding, ..tag }), ..self }
    }

    /// The validators of this version, seen at this time.
    pub fn of(version: Version, now: SystemTime) -> Validators {
        let now_ns = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos().cast_signed();
        let last = version.modified_ns.max(version.changed_ns);
        let is_coarse = version.changed_ns % SECOND_NS == 0;
        let settling = if is_coarse { COARSE_SETTLING } else { SETTLING };
        let is_settled = now_ns - last > settling.as_nanos().cast_signed();
        let second = version.modified_ns.div_euclid(SECOND_NS);
        let is_over = second < now_ns.div_euclid(SECOND_NS);
        Validators {
            tag: is_settled.then_some(EntityTag { version, coding: "" }),
            modified: u64::try_from(second)
                .ok()
                .filter(|_| is_settled && is_over)
                .map(|second| UNIX_EPOCH + Duration::from_secs(second)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{SECOND_NS, Validators, Version};
    use std::time::{Duration, UNIX_EPOCH};

    fn version(modified_ns: i128) -> Version {
        Version { device: 1, inode: 7, length: 10, modified_ns, changed_ns: modified_ns }
    }

    fn seen(version: Version, at_ms: u64) -> Validators {
        Validators::of(version, UNIX_EPOCH + Duration::from_millis(at_ms))
    }

    #[test]
    fn a_file_that_was_left_alone_has_both() {
        let validators = seen(version(100 * SECOND_NS), 200_000);
        let tag = validators.tag.expect("a tag").to_string();
        assert_eq!(tag, "\"7-a-174876e800-174876e800\"");
        assert_eq!(validators.modified, Some(UNIX_EPOCH + Duration::from_secs(100)));
    }

    #[test]
    fn a_file_that_was_written_just_now_has_none() {
        let file = version(100 * SECOND_NS + 1);
        let validators = seen(file, 100_050);
        assert_eq!((validators.tag, validators.modified), (None, None));
        // Later in the same second its date could still be that of another version.
        let validators = seen(file, 100_900);
        assert!(validators.tag.is_some() && validators.modified.is_none());
    }

    #[test]
    fn a_file_system_with_a_clock_of_seconds_is_given_time() {
        let file = version(100 * SECOND_NS);
        for at_ms in [100_900, 101_500, 102_000] {
            let validators = seen(file, at_ms);
            assert_eq!((validators.tag, validators.modified), (None, None), "{at_ms}");
        }
        let validators = seen(file, 102_200);
        assert!(validators.tag.is_some() && validators.modified.is_some());
    }

    #[test]
    fn a_date_in_the_future_is_not_told() {
        let mut file = version(500 * SECOND_NS);
        file.changed_ns = 100 * SECOND_NS;
        assert_eq!(seen(file, 200_000).modified, None);
    }

    #[test]
    fn whatever_changes_makes_another_tag() {
        let file = version(100 * SECOND_NS);
        let tag = |file| seen(file, 200_000).tag;
        for other in [
            Version { device: 2, ..file },
            Version { inode: 8, ..file },
            Version { length: 11, ..file },
            Version { modified_ns: file.modified_ns + 1, ..file },
            Version { changed_ns: file.changed_ns + 1, ..file },
        ] {
            assert_ne!(tag(file), tag(other));
        }
        assert_eq!(tag(file), tag(file));
    }

    #[test]
    fn times_before_1970_are_no_date() {
        assert_eq!(seen(version(-5), 200_000).modified, None);
    }
}
