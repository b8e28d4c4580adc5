//! The time in the forms of responses and log lines, formatted once a second; and that of threads.

use std::cell::RefCell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Length of a date in HTTP's preferred format (RFC 9110, section 5.6.7).
pub const HTTP_DATE_LENGTH: usize = 29;

/// A date such as `Sun, 06 Nov 1994 08:49:37 GMT`.
pub type HttpDate = [u8; HTTP_DATE_LENGTH];

/// The current time, for `Date`.
pub fn http_date() -> HttpDate {
    thread_local! {
        /// The last second that was formatted, and its text.
        static LAST: RefCell<(u64, HttpDate)> = const { RefCell::new((u64::MAX, [0; HTTP_DATE_LENGTH])) };
    }
    let now = SystemTime::now();
    let second = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    LAST.with_borrow_mut(|(last, text)| {
        if *last != second {
            *text = format_http_date(now);
            *last = second;
        }
        *text
    })
}

/// Any time in HTTP's preferred format. What that format cannot hold (before
/// 1970, after 9999) becomes the nearest time that it can.
pub fn format_http_date(time: SystemTime) -> HttpDate {
    let text = httpdate::fmt_http_date(clamp(time));
    text.as_bytes()
        .try_into()
        .expect("the preferred format has one length for all years up to 9999")
}

/// The nearest time that has a date: none is before 1970 or after 9999, whatever the
/// machine's clock says.
fn clamp(time: SystemTime) -> SystemTime {
    /// The last second of the year 9999.
    const LAST_SECOND: Duration = Duration::from_secs(253_402_300_799);
    UNIX_EPOCH + time.duration_since(UNIX_EPOCH).unwrap_or_default().min(LAST_SECOND)
}

/// The current time in Unix seconds. A clock before 1970 is at its beginning.
pub fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Appends the current time as access logs write it: `06/Nov/1994:08:49:37 +0000`.
pub fn write_log_date(text: &mut Vec<u8>) {
    let date = http_date();
    for (part, end) in [(5..7, b'/'), (8..11, b'/'), (12..16, b':'), (17..25, b' ')] {
        text.extend_from_slice(&date[part]);
        text.push(end);
    }
    text.extend_from_slice(b"+0000");
}

/// Appends the current time as programs read it: `1994-11-06T08:49:37.123Z` (RFC 3339).
pub fn write_rfc3339(text: &mut Vec<u8>) {
    thread_local! {
        /// The last second that was formatted, and its text, up to the seconds.
        static LAST: RefCell<(u64, Vec<u8>)> = const { RefCell::new((u64::MAX, Vec::new())) };
    }
    let now = SystemTime::now();
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    LAST.with_borrow_mut(|(last, second)| {
        if *last != since.as_secs() {
            *second = humantime::format_rfc3339_seconds(clamp(now)).to_string().into_bytes();
            second.pop();
            *last = since.as_secs();
        }
        text.extend_from_slice(second);
    });
    let millis = since.subsec_millis();
    let digit = |value: u32| b'0' + u8::try_from(value % 10).expect("a digit");
    text.extend_from_slice(&[b'.', digit(millis / 100), digit(millis / 10), digit(millis), b'Z']);
}

/// Any time as programs read it.
pub fn rfc3339_of(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(clamp(time)).to_string()
}

/// The time of a core that this thread had, which others on the machine do not make longer.
pub fn thread_cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// Milliseconds, to a tenth: for people, and as a number for programs.
pub fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e4).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::{format_http_date, http_date, rfc3339_of, write_log_date, write_rfc3339};
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn example_of_rfc_9110_is_formatted() {
        let time = UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(&format_http_date(time), b"Sun, 06 Nov 1994 08:49:37 GMT");
    }

    #[test]
    fn time_that_a_format_cannot_hold_is_the_nearest_one() {
        let before = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(&format_http_date(before), b"Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(rfc3339_of(before), "1970-01-01T00:00:00.000Z");
        let after = UNIX_EPOCH + Duration::from_secs(1 << 40);
        assert_eq!(&format_http_date(after), b"Fri, 31 Dec 9999 23:59:59 GMT");
        assert_eq!(rfc3339_of(after), "9999-12-31T23:59:59.000Z");
    }

    #[test]
    fn log_dates_are_of_the_same_second() {
        let (mut log, mut json) = (Vec::new(), Vec::new());
        write_log_date(&mut log);
        write_rfc3339(&mut json);
        let (log, json) = (String::from_utf8(log), String::from_utf8(json));
        let (log, json) = (log.expect("text"), json.expect("text"));
        assert_eq!(log.len(), "06/Nov/1994:08:49:37 +0000".len());
        assert!(http_date().ends_with(b" GMT") && log.ends_with(" +0000"));
        assert_eq!(json.len(), "1994-11-06T08:49:37.123Z".len());
        let time = humantime::parse_rfc3339(&json).expect("a time");
        let off = time.duration_since(UNIX_EPOCH).expect("after 1970").as_secs().abs_diff(
            std::time::SystemTime::now().duration_since(UNIX_EPOCH).expect("now").as_secs(),
        );
        assert!(off <= 1);
    }
}
