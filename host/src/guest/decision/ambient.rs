//! What a guest may know of a request that neither the request nor its connection has: the time,
//! and the bucket of its client.

use std::net::IpAddr;
use std::num::{NonZeroU16, NonZeroU32};

use innkeeper_cases::facts::{DEFAULT_TIME_S, floor};

use super::client_buckets::ClientBuckets;
use crate::clock;

/// The time, and how clients fall into buckets.
#[derive(Clone, Debug)]
pub struct Ambient {
    time: Time,
    buckets: Buckets,
}

#[derive(Clone, Copy, Debug)]
enum Time {
    /// That of the system's clock.
    Now,
    /// This one, in Unix seconds.
    At(u64),
}

#[derive(Clone, Debug)]
enum Buckets {
    ByKey(ClientBuckets),
    /// How many there are, and which it is: for a request that is made up. Any other is 0.
    Stated(Vec<(NonZeroU16, u16)>),
}

/// To borrow it for good.
pub(super) static UNSTATED: Ambient = Ambient::unstated();

impl Ambient {
    /// That of a request that is made up and states nothing.
    pub(super) const fn unstated() -> Ambient {
        Ambient { time: Time::At(DEFAULT_TIME_S), buckets: Buckets::Stated(Vec::new()) }
    }

    /// The present, with buckets by a key: what a server has.
    pub fn live(buckets: ClientBuckets) -> Ambient {
        Ambient { time: Time::Now, buckets: Buckets::ByKey(buckets) }
    }

    /// What is stated of a request that is made up.
    pub(super) fn stated(facts: &innkeeper_cases::Facts) -> Ambient {
        Ambient {
            time: Time::At(facts.time_s().unwrap_or(DEFAULT_TIME_S)),
            buckets: Buckets::Stated(facts.buckets().collect()),
        }
    }

    /// The same at the present time.
    #[must_use]
    pub fn now(self) -> Ambient {
        Ambient { time: Time::Now, ..self }
    }

    /// The time in whole grains, in Unix seconds.
    pub(super) fn time_s(&self, grain_s: NonZeroU32) -> u64 {
        let time_s = match self.time {
            Time::Now => clock::unix_seconds(),
            Time::At(time_s) => time_s,
        };
        floor(time_s, grain_s)
    }

    /// The bucket of a client.
    pub(super) fn bucket(&self, client: IpAddr, buckets: NonZeroU16) -> u16 {
        match &self.buckets {
            Buckets::ByKey(key) => key.bucket(client, buckets),
            Buckets::Stated(stated) => {
                let stated = stated.iter().find(|(count, _)| *count == buckets);
                stated.map_or(0, |(_, bucket)| *bucket)
            }
        }
    }
}

/// The present, and every client in the first bucket.
impl Default for Ambient {
    fn default() -> Ambient {
        Ambient::unstated().now()
    }
}
