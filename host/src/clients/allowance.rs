//! What one address may have of the server: connections at a time, and requests a
//! second. The 2^64 addresses of an IPv6 network are one, as they are given out
//! together (RFC 6177, section 2).

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;

use crate::http::{Subnet, UNIX_CLIENT};
use crate::lock::lock;

/// Requests that an address may make at once, in seconds of its rate: who reads a page
/// asks for all that is on it, and then for nothing.
const BURST: Duration = Duration::from_secs(10);

/// Addresses whose rates are kept. When there are more, those that are heard of least begin
/// again; 65,536 take some 8 MiB.
const KNOWN: usize = 1 << 16;

/// Bytes of their rates, about.
pub const RATES_BYTES: u64 = KNOWN as u64 * 128;

/// What one address may have. Without limits it costs nothing.
#[derive(Default)]
pub struct Allowance {
    places: Option<Places>,
    rates: Option<Rates>,
}

/// Connections at a time.
struct Places {
    limit: u32,
    /// Addresses with a connection; so there are no more than connections.
    held: Mutex<HashMap<Subnet, Held>>,
}

/// What connections of one address there are.
#[derive(Default)]
struct Held {
    served: u32,
    refused: u32,
}

/// Requests a second.
struct Rates {
    /// From one request to the next, at that rate.
    interval: Duration,
    since: Instant,
    /// For each address, the nanoseconds since then at which its burst would be spent no
    /// longer (the theoretical arrival time of the generic cell rate algorithm, ITU-T I.371).
    spent_until: Cache<Subnet, Arc<AtomicU64>>,
}

/// Whether a connection is served.
pub enum Admission<'a> {
    /// It is, and has a place for as long as this exists, where places are counted.
    Served(Option<Place<'a>>),
    /// It is told that its address has too many.
    Refused(Place<'a>),
    /// It is closed without a response: too many are being refused.
    Dropped,
}

/// The place of a connection. Dropping it gives it back.
pub struct Place<'a> {
    places: &'a Places,
    subnet: Subnet,
    is_served: bool,
}

impl Allowance {
    /// Limits for each address: connections at a time, and requests a second.
    pub fn new(connections: Option<NonZeroU32>, requests: Option<NonZeroU32>) -> Allowance {
        Allowance {
            places: connections.map(|limit| Places { limit: limit.get(), held: Mutex::default() }),
            rates: requests.map(|rate| Rates {
                interval: Duration::from_secs(1) / rate.get(),
                since: Instant::now(),
                spent_until: Cache::new(KNOWN),
            }),
        }
    }

    /// Whether a connection from there is served. One of a Unix socket is: all have one address.
    pub fn admit(&self, client: IpAddr) -> Admission<'_> {
        let Some(places) = &self.places else { return Admission::Served(None) };
        if client == UNIX_CLIENT {
            return Admission::Served(None);
        }
        let subnet = Subnet::of(client);
        let mut all = places.held();
        let held = all.entry(subnet).or_default();
        let place = |is_served| Place { places, subnet, is_served };
        if held.served < places.limit {
            held.served += 1;
            Admission::Served(Some(place(true)))
        } else if held.refused < places.limit {
            held.refused += 1;
            Admission::Refused(place(false))
        } else {
            Admission::Dropped
        }
    }

    /// Takes note of a request from there; if it is one too many, how long the client is to
    /// wait.
    pub fn request(&self, client: IpAddr) -> Result<(), Duration> {
        if client == UNIX_CLIENT {
            return Ok(());
        }
        self.rates.as_ref().map_or(Ok(()), |rates| rates.take(client, rates.since.elapsed()))
    }
}

impl Places {
    fn held(&self) -> MutexGuard<'_, HashMap<Subnet, Held>> {
        // Counts are changed in one step, so that a panic leaves them right.
        lock(&self.held)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut all = self.places.held();
        if let Some(held) = all.get_mut(&self.subnet) {
            let count = if self.is_served { &mut held.served } else { &mut held.refused };
            *count -= 1;
            if held.served == 0 && held.refused == 0 {
                all.remove(&self.subnet);
            }
        }
    }
}

impl Rates {
    fn take(&self, client: IpAddr, now: Duration) -> Result<(), Duration> {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let (now, interval, burst) = (nanos(now), nanos(self.interval), nanos(BURST));
        let new = || Ok::<_, std::convert::Infallible>(Arc::default());
        let Ok(spent_until) = self
            .spent_until
            .get_or_insert_with::<_, std::convert::Infallible>(&Subnet::of(client), new);
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

    use super::{Admission, Allowance, KNOWN, Subnet};

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let same = |one: &str, other: &str| Subnet::of(address(one)) == Subnet::of(address(other));
        assert!(same("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff"));
        assert!(!same("2001:db8::1", "2001:db8:0:1::1"));
        assert!(!same("192.0.2.1", "192.0.2.2"));
        assert!(same("192.0.2.1", "::ffff:192.0.2.1"));
    }

    #[test]
    fn places_are_given_back() {
        let allowance = Allowance::new(NonZeroU32::new(2), None);
        let admit = |text| allowance.admit(address(text));
        let first = admit("192.0.2.1");
        let second = admit("192.0.2.1");
        assert!(matches!((&first, &second), (Admission::Served(Some(_)), Admission::Served(_))));
        let refused = [admit("192.0.2.1"), admit("192.0.2.1")];
        assert!(refused.iter().all(|admission| matches!(admission, Admission::Refused(_))));
        assert!(matches!(admit("192.0.2.1"), Admission::Dropped));
        // Others have theirs.
        assert!(matches!(admit("192.0.2.2"), Admission::Served(_)));
        drop(first);
        assert!(matches!(admit("192.0.2.1"), Admission::Served(_)));
        drop((second, refused));
        let places = allowance.places.as_ref().expect("places are counted");
        assert!(places.held().is_empty(), "addresses without connections are forgotten");
    }

    #[test]
    fn a_rate_is_kept_after_a_burst() {
        let allowance = Allowance::new(None, NonZeroU32::new(5));
        let rates = allowance.rates.as_ref().expect("rates are kept");
        let (client, other) = (address("192.0.2.1"), address("192.0.2.2"));
        let at = Duration::from_millis;
        // Ten seconds' worth at once.
        for _ in 0..50 {
            assert_eq!(rates.take(client, at(1000)), Ok(()));
        }
        assert_eq!(rates.take(client, at(1000)), Err(at(200)));
        assert_eq!(rates.take(client, at(1100)), Err(at(100)));
        assert_eq!(rates.take(other, at(1100)), Ok(()));
        // What was refused is not counted.
        assert_eq!(rates.take(client, at(1200)), Ok(()));
        assert_eq!(rates.take(client, at(1200)), Err(at(200)));
        // And all of it again after ten seconds of silence.
        for _ in 0..50 {
            assert_eq!(rates.take(client, at(12_000)), Ok(()));
        }
        assert_eq!(rates.take(client, at(12_000)), Err(at(200)));
    }

    #[test]
    fn a_flood_of_addresses_takes_bounded_memory() {
        let allowance = Allowance::new(None, NonZeroU32::new(1));
        for number in 0..4 * u32::try_from(KNOWN).expect("is small") {
            assert_eq!(allowance.request(IpAddr::V4(number.into())), Ok(()));
        }
        let rates = allowance.rates.as_ref().expect("rates are kept");
        assert!(rates.spent_until.len() <= KNOWN);
    }
}
