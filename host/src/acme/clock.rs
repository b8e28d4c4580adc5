//! Times as they are kept: seconds since 1970.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds since 1970; 0 before that.
pub(super) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// The time of these seconds. One that no clock has is as late as can be.
pub fn time(seconds: u64) -> SystemTime {
    // The year 9999, which certificates end with (RFC 5280, section 4.1.2.5).
    const LATEST: u64 = 253_402_300_799;
    UNIX_EPOCH + Duration::from_secs(seconds.min(LATEST))
}

/// A number below this one, by chance.
pub(super) fn chance(below: u64) -> u64 {
    // Without chance the middle does.
    crate::random::bytes::<8>().map_or(below / 2, |bytes| u64::from_le_bytes(bytes) % below.max(1))
}
