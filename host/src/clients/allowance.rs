//! What one address may have of the server: connections at a time, and requests a
//! second. The 2^64 addresses of an IPv6 network are one, as they are given out
//! together (RFC 6177, section 2).

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use super::rate::{Counts, Rate, RateLimit};
use crate::http::{Subnet, UNIX_CLIENT};
use crate::lock::lock;

/// What one address may have. Without limits it costs nothing.
#[derive(Default)]
pub struct Allowance {
    places: Option<Places>,
    counts: Counts,
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
    /// Limits for each address: connections at a time, and requests a second of the sites that have
    /// no such limit of their own.
    pub fn new(connections: Option<NonZeroU32>, requests: RateLimit) -> Allowance {
        let counts = Counts::default();
        counts.common().set(Some(requests));
        let places = |limit: NonZeroU32| Places { limit: limit.get(), held: Mutex::default() };
        Allowance { places: connections.map(places), counts }
    }

    /// Changes the latter: what was counted stays.
    pub fn set_rate(&self, requests: RateLimit) {
        self.counts.common().set(Some(requests));
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

    /// Takes note of a request from there, for a site with this rate or for none; if it is one too
    /// many, how long the client is to wait.
    pub fn request(&self, rate: Option<&Rate>, client: IpAddr) -> Result<(), Duration> {
        self.counts.request(rate.unwrap_or(self.counts.common()), client)
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

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::num::NonZeroU32;

    use super::{Admission, Allowance, RateLimit};

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn places_are_given_back() {
        let allowance = Allowance::new(NonZeroU32::new(2), RateLimit::Off);
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
}
