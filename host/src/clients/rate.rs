//! How many requests a second a client may make, of all sites together or of one.

use std::convert::Infallible;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;

use crate::http::{Subnet, UNIX_CLIENT};

/// Requests that a client may make at once, in seconds of its rate: who reads a page
/// asks for all that is on it, and then for nothing.
const BURST: Duration = Duration::from_secs(10);

/// Clients whose requests are counted, each once for each site that counts its own. When there are
/// more, those that are heard of least begin again; 65,536 take some 8 MiB.
const KNOWN: usize = 1 << 16;

/// Bytes of their counts, about.
pub const RATES_BYTES: u64 = KNOWN as u64 * 128;

/// Requests a second of one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateLimit {
    /// As many as it likes.
    Off,
    /// This many.
    PerSecond(NonZeroU32),
}

/// What is counted together: the requests of one client of one site, or of all that have no count
/// of their own. The limit may change meanwhile.
#[derive(Debug)]
pub struct Rate {
    /// No other has it.
    number: u64,
    /// Nanoseconds from one request to the next at that rate; or one of the two below.
    interval: AtomicU64,
}

/// Requests are not limited.
const OFF: u64 = 0;

/// Requests count with those of all sites.
const COMMON: u64 = u64::MAX;

/// The counts of all clients.
pub(super) struct Counts {
    common: Rate,
    since: Instant,
    spent_until: OnceLock<Until>,
}

/// For each client, the nanoseconds since then at which its burst would be spent no longer (the
/// theoretical arrival time of the generic cell rate algorithm, ITU-T I.371).
type Until = Cache<(u64, Subnet), Arc<AtomicU64>>;

impl Default for Rate {
    /// That of all sites.
    fn default() -> Rate {
        Rate::new(None)
    }
}

impl Rate {
    /// A rate of its own, or with that of all sites.
    pub fn new(own: Option<RateLimit>) -> Rate {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Rate { number, interval: AtomicU64::new(interval(own)) }
    }

    /// Changes it: what was counted stays.
    pub fn set(&self, own: Option<RateLimit>) {
        self.interval.store(interval(own), Ordering::Relaxed);
    }
}

fn interval(own: Option<RateLimit>) -> u64 {
    match own {
        None => COMMON,
        Some(RateLimit::Off) => OFF,
        Some(RateLimit::PerSecond(rate)) => nanoseconds(Duration::from_secs(1) / rate.get()),
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl Default for Counts {
    /// Without a limit, none are kept.
    fn default() -> Counts {
        let common = Rate::new(Some(RateLimit::Off));
        Counts { common, since: Instant::now(), spent_until: OnceLock::new() }
    }
}

impl Counts {
    /// The rate of all sites that have none of their own.
    pub(super) fn common(&self) -> &Rate {
        &self.common
    }

    /// Takes note of a request; if it is one too many, how long the client is to wait.
    pub(super) fn request(&self, rate: &Rate, client: IpAddr) -> Result<(), Duration> {
        let (rate, interval) = match rate.interval.load(Ordering::Relaxed) {
            COMMON => (&self.common, self.common.interval.load(Ordering::Relaxed)),
            own => (rate, own),
        };
        // All clients of a Unix socket have one address.
        if matches!(interval, OFF | COMMON) || client == UNIX_CLIENT {
            return Ok(());
        }
        self.take((rate.number, Subnet::of(client)), interval, self.since.elapsed())
    }

    fn take(&self, key: (u64, Subnet), interval: u64, now: Duration) -> Result<(), Duration> {
        let (now, burst) = (nanoseconds(now), nanoseconds(BURST));
        let all = self.spent_until.get_or_init(|| Cache::new(KNOWN));
        let new = || Ok::<_, Infallible>(Arc::default());
        let Ok(spent_until) = all.get_or_insert_with::<_, Infallible>(&key, new);
        let taken = spent_until.try_update(Ordering::Relaxed, Ordering::Relaxed, |until| {
            let until = until.max(now) + interval;
            (until - now <= burst).then_some(until)
        });
        taken.map(|_| ()).map_err(|until| Duration::from_nanos(until + interval - now - burst))
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::num::NonZeroU32;
    use std::time::Duration;

    use super::{Counts, KNOWN, Rate, RateLimit, Subnet, interval};

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn per_second(count: u32) -> Option<RateLimit> {
        NonZeroU32::new(count).map(RateLimit::PerSecond)
    }

    #[test]
    fn network_of_ipv6_is_one_client() {
        let same = |one: &str, other: &str| Subnet::of(address(one)) == Subnet::of(address(other));
        assert!(same("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff"));
        assert!(!same("2001:db8::1", "2001:db8:0:1::1"));
        assert!(!same("192.0.2.1", "192.0.2.2"));
        assert!(same("192.0.2.1", "::ffff:192.0.2.1"));
    }

    #[test]
    fn rate_is_kept_after_a_burst() {
        let counts = Counts::default();
        let take = |client: &str, now: Duration| {
            counts.take((7, Subnet::of(address(client))), interval(per_second(5)), now)
        };
        let (client, other) = ("192.0.2.1", "192.0.2.2");
        let at = Duration::from_millis;
        // Ten seconds' worth at once.
        for _ in 0..50 {
            assert_eq!(take(client, at(1000)), Ok(()));
        }
        assert_eq!(take(client, at(1000)), Err(at(200)));
        assert_eq!(take(client, at(1100)), Err(at(100)));
        assert_eq!(take(other, at(1100)), Ok(()));
        // What was refused is not counted.
        assert_eq!(take(client, at(1200)), Ok(()));
        assert_eq!(take(client, at(1200)), Err(at(200)));
        // And all of it again after ten seconds of silence.
        for _ in 0..50 {
            assert_eq!(take(client, at(12_000)), Ok(()));
        }
        assert_eq!(take(client, at(12_000)), Err(at(200)));
    }

    #[test]
    fn site_with_a_rate_of_its_own_counts_alone() {
        let counts = Counts::default();
        counts.common().set(per_second(1));
        let client = address("192.0.2.1");
        let (one, other) = (Rate::default(), Rate::default());
        let own = Rate::new(per_second(2));
        let free = Rate::new(Some(RateLimit::Off));
        let many = |rate: &Rate| (0..100).filter(|_| counts.request(rate, client).is_ok()).count();
        // Those without share one count.
        assert_eq!((many(&one), many(&other)), (10, 0));
        assert_eq!((many(&own), many(&free)), (20, 100));
        // What was counted stays when the limit changes.
        own.set(per_second(1));
        assert_eq!(many(&own), 0);
        own.set(None);
        assert_eq!(many(&own), 0);
        counts.common().set(Some(RateLimit::Off));
        assert_eq!((many(&one), many(&own)), (100, 100));
    }

    #[test]
    fn flood_of_addresses_takes_bounded_memory() {
        let counts = Counts::default();
        let own = Rate::new(per_second(1));
        for number in 0..4 * u32::try_from(KNOWN).expect("is small") {
            assert_eq!(counts.request(&own, IpAddr::V4(number.into())), Ok(()));
        }
        assert!(counts.spent_until.get().expect("some are kept").len() <= KNOWN);
    }
}
