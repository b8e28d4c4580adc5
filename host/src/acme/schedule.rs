//! When a certificate is ordered or renewed.
//!
//! - Without a certificate: at once.
//! - At a time within the window that the authority suggests (ARI, RFC 9773), chosen by chance.
//! - Else when a third of its lifetime is left, or half of one of less than ten days.
//! - After a failure not before a pause, which grows and is kept on disk.
//! - After a success not for a day, whatever a clock says, but once a day for a window that has passed.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::clock::{chance, seconds, time};

/// Lifetimes below this end sooner than anyone notices a failure: they are renewed at half.
const SHORT: Duration = Duration::from_secs(10 * 86_400);

/// The pauses after failures, one after the other. Let's Encrypt allows five failures an hour for
/// a name; a name server that was set right takes minutes until all see it.
const PAUSES: &[Duration] = &[
    Duration::from_secs(60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(20 * 60),
    Duration::from_secs(3600),
    Duration::from_secs(3 * 3600),
    Duration::from_secs(6 * 3600),
    Duration::from_secs(12 * 3600),
];

/// No authority is waited for any longer than this, whatever it says: its limits are for a week.
const MOST: Duration = Duration::from_secs(8 * 86_400);

/// A certificate that was just obtained is not renewed within this time, or a tenth of its lifetime.
const FRESH: Duration = Duration::from_secs(86_400);

/// The same where it was due when it came, which a clock that is ahead does, or half of its lifetime:
/// Let's Encrypt allows five certificates of one name in a week.
const DUE_WHEN_IT_CAME: Duration = Duration::from_secs(2 * 86_400);

/// One that was just obtained, and is gone, is not ordered again within this time.
const LOST: Duration = Duration::from_secs(3600);

/// A certificate's lifetime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// When it begins to be valid.
    pub not_before: SystemTime,
    /// When it ends.
    pub not_after: SystemTime,
}

/// The window that the authority suggests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Its start, in seconds since 1970.
    pub start: u64,
    /// Its end.
    pub end: u64,
    /// The time in it that was chosen.
    pub chosen: u64,
    /// Of which certificate.
    pub certificate: String,
}

impl Window {
    /// With a time in it by chance; the one of before if the window is the same.
    pub fn choose(start: u64, end: u64, certificate: &str, before: Option<&Window>) -> Window {
        if let Some(before) = before
            && (before.start, before.end) == (start, end)
            && before.certificate == certificate
        {
            return before.clone();
        }
        let chosen = start.saturating_add(chance(end.saturating_sub(start).max(1)));
        Window { start, end, chosen, certificate: certificate.to_owned() }
    }
}

/// When a certificate is renewed, if nothing fails.
pub fn renewal(lifetime: Lifetime, window: Option<&Window>) -> SystemTime {
    let Lifetime { not_before, not_after } = lifetime;
    let all = not_after.duration_since(not_before).unwrap_or_default();
    let left = if all < SHORT { all / 2 } else { all / 3 };
    let due = not_after - left;
    // A window that begins after the end is of no use.
    let chosen = window.map(|window| time(window.chosen)).filter(|chosen| *chosen < not_after);
    chosen.unwrap_or(due)
}

/// The time before which no further attempt is made, after this many failures.
pub fn after_failures(failures: u32, now: SystemTime, told: Option<SystemTime>) -> u64 {
    let at = (failures.max(1) as usize - 1).min(PAUSES.len() - 1);
    let pause = PAUSES[at].as_secs();
    // A quarter more or less: servers that were started together part.
    let pause = pause - pause / 4 + chance(pause / 2);
    let own = seconds(now).saturating_add(pause);
    let told = told.map_or(0, |told| seconds(told.min(now + MOST)));
    own.max(told)
}

/// When a certificate that was obtained at this time is renewed at the earliest: the clock may be wrong,
/// and an authority may have a window that has passed for what it just signed.
pub fn not_fresh(obtained: SystemTime, lifetime: Option<Lifetime>) -> SystemTime {
    let Some(lifetime) = lifetime else { return obtained + LOST };
    let all = lifetime.not_after.duration_since(lifetime.not_before).unwrap_or_default();
    let was_due = renewal(lifetime, None) <= obtained;
    obtained + if was_due { DUE_WHEN_IT_CAME.min(all / 2) } else { FRESH.min(all / 10) }
}

/// When the next attempt is: not before `pause_until`, unless the clock was set back since.
pub fn next(due: SystemTime, pause_until: u64, now: SystemTime) -> SystemTime {
    let pause = time(pause_until);
    if pause > now + MOST + PAUSES[PAUSES.len() - 1] { due } else { due.max(pause) }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use super::{Lifetime, Window, after_failures, next, not_fresh, renewal};

    fn day(day: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(day * 86_400)
    }

    fn days(from: u64, to: u64) -> Lifetime {
        Lifetime { not_before: day(from), not_after: day(to) }
    }

    #[test]
    fn renewal_is_at_two_thirds_half_or_in_the_window() {
        assert_eq!(renewal(days(100, 190), None), day(160));
        assert_eq!(renewal(days(100, 145), None), day(130));
        assert_eq!(renewal(days(100, 106), None), day(103));
        let window = |start: u64, end: u64| Window::choose(start * 86_400, end * 86_400, "a", None);
        for _ in 0..50 {
            let chosen = renewal(days(100, 190), Some(&window(120, 122)));
            assert!(chosen >= day(120) && chosen < day(122));
        }
        // In the past: at once. After the end: as without one.
        assert!(renewal(days(100, 190), Some(&window(90, 91))) < day(100));
        assert_eq!(renewal(days(100, 190), Some(&window(200, 201))), day(160));
    }

    #[test]
    fn time_in_a_window_is_chosen_once() {
        let first = Window::choose(1_000, 900_000, "a", None);
        assert_eq!(Window::choose(1_000, 900_000, "a", Some(&first)), first);
        let other = Window::choose(1_000, 900_001, "a", Some(&first));
        assert_eq!(other.end, 900_001);
        assert_eq!(Window::choose(5, 5, "a", None).chosen, 5);
        assert_eq!(Window::choose(5, 4, "a", None).chosen, 5);
    }

    #[test]
    fn pauses_grow_and_authority_is_obeyed() {
        let now = day(100);
        let pause = |failures| after_failures(failures, now, None) - 100 * 86_400;
        assert!((45..=75).contains(&pause(1)), "{}", pause(1));
        assert!((45..=75).contains(&pause(0)));
        assert!((32_000..55_000).contains(&pause(u32::MAX)));
        let told = after_failures(1, now, Some(day(102)));
        assert_eq!(told, 102 * 86_400);
        assert_eq!(after_failures(1, now, Some(day(9_000))), 108 * 86_400);
    }

    #[test]
    fn clock_that_was_set_back_keeps_nothing_waiting() {
        let pause = 100 * 86_400 + 3600;
        assert_eq!(next(day(1), pause, day(100)), day(100) + Duration::from_secs(3600));
        assert_eq!(next(day(1), pause, day(1)), day(1));
    }

    #[test]
    fn certificate_that_was_just_obtained_is_not_renewed() {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        let at = day(100) + hours(1);
        assert_eq!(not_fresh(at, Some(days(100, 190))), at + hours(24));
        assert_eq!(not_fresh(at, Some(days(100, 106))), at + hours(6 * 24) / 10);
        // The clock is ahead: it is due when it comes.
        assert_eq!(not_fresh(day(170), Some(days(100, 190))), day(172));
        assert_eq!(not_fresh(day(105), Some(days(100, 106))), day(107));
        let short = Lifetime { not_before: day(100), not_after: day(100) + hours(1) };
        assert_eq!(not_fresh(day(100), Some(short)), day(100) + hours(1) / 10);
        // A clock that stands at the end of time.
        assert_eq!(not_fresh(at, None), at + hours(1));
    }
}
