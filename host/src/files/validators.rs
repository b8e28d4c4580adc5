//! The validators of a version of a file: entity tag and modification date (RFC 9110, section 8.8).
//!
//! A file has two times. The *time of modification* (mtime) is set by tools: `cp -p`,
//! `rsync -t`, `tar x`, `touch -d` and most package managers set it to the time of the
//! original, or to a fixed one. The *time of change* (ctime) is set by the kernel's clock
//! when the file was last written, renamed, linked, or had its mode or its mtime set; no tool
//! sets it. The rules follow from that:
//!
//! 1. A version is a device, an inode, a length and both times. That is the entity tag, and it
//!    is strong. Whether a file was left alone for long enough to have one is asked of the time
//!    of change alone.
//! 2. `Last-Modified` is the time of modification, and is sent only where it identifies the
//!    version: where the time of change confirms it ([`AGREEMENT`]), and from the moment on at
//!    which no other version can get the same date. A date that a tool preserved, a fixed one,
//!    or one in the future may be that of another content, and is not sent.
//! 3. `If-Modified-Since` holds for the date that would be sent, and for no later one: a file
//!    that is rolled back gets an older date.
//! 4. `If-Unmodified-Since` may go by the time of change also where no date is sent: nothing
//!    was written later.
//! 5. A date never validates a range ([`super::conditions::Conditions::allow_range`]).
//!
//! Two versions that were both written within one second at different places, one of which is
//! put in the place of the other by renaming a folder or a link above them, have the same date.
//! It belongs to the one that had it first ([`super::dates`]). What remains: the program
//! forgets that when it ends. Their tags differ.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long a file must have been left alone before it gets a tag. Its times come
/// from a clock that ticks every 1 to 10 ms (`CONFIG_HZ`): two writes within one
/// tick leave the same times behind. Ten ticks of the slowest clock.
const SETTLING: Duration = Duration::from_millis(100);

/// The same where a file system keeps whole seconds (ext4 with small inodes, some of NFS),
/// or every second one (FAT): its time of change is no finer.
const COARSE_SETTLING: Duration = Duration::from_millis(2_100);

/// How far the two times of a file may be apart for the one to confirm the other: a file that
/// is written under another name, synced and renamed (editors, downloads) takes so long.
const AGREEMENT: Duration = Duration::from_secs(2);

const SECOND_NS: i128 = 1_000_000_000;

/// When the Web began: 6 August 1991. Times before are placeholders: 0, 1 (Nix, Guix, OSTree),
/// 1980 (zip, Gradle), 1985 (npm), and the clocks of machines that do not know the time.
const WEB_BEGAN_NS: i128 = 681_436_800 * SECOND_NS;

/// A later placeholder: 1 January 2000 (Bazel).
const PLACEHOLDER_NS: i128 = 946_684_800 * SECOND_NS;

/// The validators of one version of a file. A file that was written just now has
/// none: its next version could not be told apart from this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validators {
    /// The entity tag.
    pub tag: Option<EntityTag>,
    /// The time of the last modification, in whole seconds, where it identifies the version.
    /// Never later than `Date`.
    pub modified: Option<SystemTime>,
    /// A time after which the file was certainly not modified, if its file system has one.
    pub changed: Option<SystemTime>,
    /// Whether they stay as they are: the version has its tag, and its date if it ever gets one.
    pub are_final: bool,
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
    /// When the content was last modified, in nanoseconds since 1970. Tools may set it to any time.
    pub modified_ns: i128,
    /// When anything of the file was last changed, in nanoseconds since 1970. The
    /// kernel alone sets it.
    pub changed_ns: i128,
}

/// A strong entity tag: inode, length, and both times of the file.
///
/// Two contents share one only if a file was rewritten in place, with the same
/// length, within one tick of the kernel's clock, and was then left alone (or through a
/// mapping of memory, which changes no time): that is
/// why a file gets no tag until it is [settled](SETTLING), and why the time of
/// change is part of it (`cp -p`, `rsync -t` and reproducible builds set the time
/// of modification). The price: replicas of a site have different tags, and
/// `chmod` makes a new one. The device is part of a version, but not of the written tag:
/// it may have another number after a restart of the machine.
///
/// An image (squashfs, erofs) has no time of change of its own and may hold placeholders. The
/// next image has the same, so there a tag holds for this run of the program alone.
///
/// What is compressed on the fly has the tag of its file with the name of the coding
/// behind it: each representation has a tag of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct EntityTag {
    version: Version,
    /// The coding, or nothing.
    coding: &'static str,
    /// The run of the program that it holds for, if not for all.
    run: Option<u64>,
}

/// A number of this run of the program.
static RUN: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(0));

impl EntityTag {
    /// Whether this is the tag of that version, in whatever coding.
    pub(super) fn is_of(self, version: Version) -> bool {
        self.version == version
    }
}

impl fmt::Display for EntityTag {
    /// As it stands in `ETag`, with its quotes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let EntityTag { version, coding, run } = self;
        let Version { device: _, inode, length, modified_ns, changed_ns } = version;
        let dash = if coding.is_empty() { "" } else { "-" };
        write!(f, "\"{inode:x}-{length:x}-{modified_ns:x}-{changed_ns:x}")?;
        if let Some(run) = run {
            write!(f, "-{run:x}")?;
        }
        write!(f, "{dash}{coding}\"")
    }
}

impl Validators {
    /// Those of the same version in this coding.
    pub fn in_coding(self, coding: &'static str) -> Validators {
        Validators { tag: self.tag.map(|tag| EntityTag { coding, ..tag }), ..self }
    }

    /// The validators of this version, seen at this time.
    pub fn of(version: Version, now: SystemTime) -> Validators {
        let Version { modified_ns, changed_ns, .. } = version;
        let now_ns = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos().cast_signed();
        let is_coarse = changed_ns % SECOND_NS == 0;
        let settling = nanoseconds(if is_coarse { COARSE_SETTLING } else { SETTLING });
        // A time of change in the future means that the clock was set back. Until it gets
        // there, the file could be written again and have the same one.
        let is_settled = now_ns - changed_ns > settling;
        let is_clock = !is_placeholder(changed_ns);
        let run = (!is_clock).then(|| *RUN);
        let has_date = is_clock && date_is_confirmed(version);
        let is_dated = is_settled && has_date && date_is_over(version, now_ns - settling);
        Validators {
            tag: is_settled.then_some(EntityTag { version, coding: "", run }),
            modified: is_dated.then(|| time(modified_ns)).flatten(),
            changed: is_clock.then(|| time(changed_ns + SECOND_NS - 1)).flatten(),
            are_final: is_settled && (is_dated || !has_date),
        }
    }
}

/// Whether the time of change confirms that of modification.
fn date_is_confirmed(Version { modified_ns, changed_ns, .. }: Version) -> bool {
    (changed_ns - modified_ns).abs() <= nanoseconds(AGREEMENT)
}

/// Whether no other version can get this date any more, at this time. One whose date is in the
/// same second was changed by then, or its own time of change does not confirm its date.
fn date_is_over(Version { modified_ns, .. }: Version, now_ns: i128) -> bool {
    let second_ns = modified_ns.div_euclid(SECOND_NS) * SECOND_NS;
    second_ns + SECOND_NS + nanoseconds(AGREEMENT) < now_ns
}

/// Whether a time is none that a clock showed.
fn is_placeholder(time_ns: i128) -> bool {
    time_ns < WEB_BEGAN_NS || time_ns == PLACEHOLDER_NS
}

fn nanoseconds(duration: Duration) -> i128 {
    duration.as_nanos().cast_signed()
}

/// The whole second that this time is in.
fn time(time_ns: i128) -> Option<SystemTime> {
    let seconds = u64::try_from(time_ns.div_euclid(SECOND_NS)).ok()?;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::{SECOND_NS, Validators, Version};
    use std::time::{Duration, UNIX_EPOCH};

    /// A moment of 2026.
    const WRITTEN: u64 = 1_780_000_000;
    const WRITTEN_NS: i128 = WRITTEN as i128 * SECOND_NS;

    fn version(modified_ns: i128) -> Version {
        Version { device: 1, inode: 7, length: 10, modified_ns, changed_ns: modified_ns }
    }

    #[test]
    fn validators_are_final_once_the_date_is_known_or_never_will_be() {
        let final_at = |version, after_ms| {
            let now = UNIX_EPOCH + Duration::from_secs(WRITTEN) + Duration::from_millis(after_ms);
            Validators::of(version, now).are_final
        };
        // One that was written with a date, and one whose date was set back by a day.
        let written = version(WRITTEN_NS + 1);
        let preserved =
            Version { modified_ns: WRITTEN_NS - 86_400 * SECOND_NS, ..version(WRITTEN_NS + 1) };
        for (version, expected) in
            [(written, [false, false, true]), (preserved, [false, true, true])]
        {
            assert_eq!([50, 1_000, 60_000].map(|after| final_at(version, after)), expected);
        }
    }

    /// The validators of a version, this many milliseconds after [`WRITTEN`].
    fn seen(version: Version, after_ms: u64) -> Validators {
        Validators::of(
            version,
            UNIX_EPOCH + Duration::from_secs(WRITTEN) + Duration::from_millis(after_ms),
        )
    }

    #[test]
    fn settled_file_has_tag_and_date() {
        let validators = seen(version(WRITTEN_NS), 100_000);
        let tag = validators.tag.expect("a tag").to_string();
        assert_eq!(tag, "\"7-a-18b3d491b4320000-18b3d491b4320000\"");
        assert_eq!(validators.modified, Some(UNIX_EPOCH + Duration::from_secs(WRITTEN)));
    }

    #[test]
    fn file_written_just_now_has_neither_tag_nor_date() {
        let file = version(WRITTEN_NS + 1);
        let validators = seen(file, 50);
        assert_eq!((validators.tag, validators.modified), (None, None));
        // Until its second and the agreement are over, its date could be another version's.
        for after_ms in [200, 999, 1_500, 3_050] {
            let validators = seen(file, after_ms);
            assert!(validators.tag.is_some() && validators.modified.is_none(), "{after_ms}");
        }
        assert!(seen(file, 3_200).modified.is_some());
    }

    #[test]
    fn file_with_times_in_seconds_settles_later() {
        let file = version(WRITTEN_NS);
        for after_ms in [900, 1_500, 2_000] {
            let validators = seen(file, after_ms);
            assert_eq!((validators.tag, validators.modified), (None, None), "{after_ms}");
        }
        assert!(seen(file, 2_200).tag.is_some());
        assert!(seen(file, 5_200).modified.is_some());
    }

    /// No two versions that can both be seen at one path in turn have the same date: for each
    /// version with a date, another that was put in its place later, with any time of
    /// modification in the same second.
    #[test]
    fn date_is_never_that_of_a_later_version() {
        let step = SECOND_NS / 10;
        for modified in 0..10 {
            for delay in -30..60 {
                let modified_ns = WRITTEN_NS + modified * step + 1;
                let one =
                    Version { changed_ns: modified_ns + delay * step, ..version(modified_ns) };
                for after_ms in (0..9_000).step_by(100) {
                    let Some(date) = seen(one, after_ms).modified else { continue };
                    let changed_ns = WRITTEN_NS + i128::from(after_ms) * (SECOND_NS / 1_000) + 1;
                    for other in 0..10 {
                        let modified_ns = WRITTEN_NS + other * step + 1;
                        let other = Version { changed_ns, ..version(modified_ns) };
                        assert_ne!(
                            seen(other, 1_000_000).modified,
                            Some(date),
                            "{one:?} {other:?}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn date_not_confirmed_by_time_of_change_is_not_sent() {
        for (apart_ns, is_sent) in [
            (0, true),
            (SECOND_NS, true),
            (2 * SECOND_NS, true),
            (2 * SECOND_NS + 1, false),
            (5_000 * SECOND_NS, false),
            (-3 * SECOND_NS, false),
            (-3_600 * SECOND_NS, false),
        ] {
            let file = Version { changed_ns: WRITTEN_NS + 1, ..version(WRITTEN_NS + 1 - apart_ns) };
            let validators = seen(file, 9_000);
            assert!(validators.tag.is_some(), "{apart_ns}");
            assert_eq!(validators.modified.is_some(), is_sent, "{apart_ns}");
        }
    }

    #[test]
    fn placeholders_are_no_dates() {
        for second in [-5, 0, 1, 315_532_800, 318_211_200, 499_162_500, 946_684_800] {
            let file = version(second * SECOND_NS);
            assert_eq!(seen(file, 0).modified, None, "{second}");
            let put_there_later = Version { changed_ns: WRITTEN_NS, ..file };
            assert_eq!(seen(put_there_later, 100_000).modified, None, "{second}");
        }
    }

    /// Two images that are mounted one after the other have the same inodes and times.
    #[test]
    fn tag_of_a_placeholder_date_differs_in_each_run() {
        let tag = |seconds| seen(version(seconds * SECOND_NS), 0).tag.expect("a tag").to_string();
        assert_eq!(tag(1), tag(1));
        assert!(tag(1).starts_with("\"7-a-3b9aca00-3b9aca00-"), "{}", tag(1));
        assert_eq!(tag(1_600_000_000).matches('-').count(), 3);
    }

    #[test]
    fn future_time_of_modification_has_tag_and_no_date() {
        let file =
            Version { changed_ns: WRITTEN_NS + 1, ..version(WRITTEN_NS + 3_600 * SECOND_NS) };
        let validators = seen(file, 200);
        assert!(validators.tag.is_some() && validators.modified.is_none());
        // Also when it is over: another content may have been given the same.
        assert_eq!(seen(file, 5_000_000).modified, None);
    }

    #[test]
    fn future_time_of_change_has_neither_tag_nor_date() {
        let validators = seen(version(WRITTEN_NS + 60 * SECOND_NS), 0);
        assert_eq!((validators.tag, validators.modified), (None, None));
    }

    #[test]
    fn any_change_makes_another_tag() {
        let file = version(WRITTEN_NS);
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
}
