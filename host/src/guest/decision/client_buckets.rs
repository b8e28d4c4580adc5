//! Into which of N buckets a client falls: the fact `:client-bucket/N`.
//!
//! A keyed hash, so that servers with one key agree and no client can choose its bucket. It is
//! HMAC-SHA-256 (RFC 2104) of the client's address and N, and never changes: a client keeps its
//! bucket when the program is replaced by a later version. `docs/writing-guests.md` has the rule.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU16;

use sha2::{Digest as _, Sha256};

use crate::http::Subnet;

/// Bytes of a block of SHA-256, to which a key is filled up.
const BLOCK_BYTES: usize = 64;

/// Finds the buckets of clients, by one key.
#[derive(Clone)]
pub struct ClientBuckets {
    /// The two hashes of an HMAC, each with its padded key.
    inner: Sha256,
    outer: Sha256,
}

impl ClientBuckets {
    /// Buckets by this key, of any length.
    pub fn new(key: &[u8]) -> ClientBuckets {
        let hashed = Sha256::digest(key);
        let key = if key.len() > BLOCK_BYTES { &hashed[..] } else { key };
        let mut block = [0; BLOCK_BYTES];
        block[..key.len()].copy_from_slice(key);
        let with = |pad: u8| Sha256::new_with_prefix(block.map(|byte| byte ^ pad));
        ClientBuckets { inner: with(0x36), outer: with(0x5c) }
    }

    /// The bucket of a client, below the number of buckets.
    ///
    /// Buckets of different numbers are independent of each other: a client in the first half is
    /// as likely in any tenth.
    pub fn bucket(&self, client: IpAddr, buckets: NonZeroU16) -> u16 {
        let address = match Subnet::of(client).address() {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        };
        let address = address.octets();
        let inner =
            self.inner.clone().chain_update(address).chain_update(buckets.get().to_be_bytes());
        let digest = self.outer.clone().chain_update(inner.finalize()).finalize();
        let number = digest[..8].iter().fold(0, |number, &byte| number << 8 | u64::from(byte));
        let bucket = number % u64::from(buckets.get());
        u16::try_from(bucket).expect("is below a number of 16 bits")
    }
}

/// Without the key.
impl fmt::Debug for ClientBuckets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientBuckets")
    }
}

#[cfg(test)]
mod tests {
    use super::ClientBuckets;
    use std::num::NonZeroU16;

    fn bucket(key: &[u8], client: &str, buckets: u16) -> u16 {
        let buckets = NonZeroU16::new(buckets).expect("some buckets");
        ClientBuckets::new(key).bucket(client.parse().expect("an address"), buckets)
    }

    /// By `hmac` of Python, as `docs/writing-guests.md` has it. A change of these values moves
    /// clients to other buckets.
    #[test]
    fn buckets_never_change() {
        let long = [b'k'; 100];
        for (key, client, buckets, expected) in [
            (&b"0123456789abcdef"[..], "192.0.2.1", 2, 1),
            (&b"0123456789abcdef"[..], "192.0.2.1", 10, 4),
            (&b"0123456789abcdef"[..], "::ffff:192.0.2.1", 10, 4),
            (&b"0123456789abcdef"[..], "2001:db8::1", 100, 0),
            (&b"0123456789abcdef"[..], "2001:db8::1", 1000, 666),
            (&b"0123456789abcdef"[..], "127.0.0.1", 7, 6),
            (&long[..], "192.0.2.1", 2, 0),
            (&long[..], "192.0.2.1", 10, 3),
            (&long[..], "::ffff:192.0.2.1", 10, 3),
            (&long[..], "2001:db8::1", 100, 95),
            (&long[..], "2001:db8::1", 1000, 987),
            (&long[..], "127.0.0.1", 7, 0),
            (b"", "192.0.2.1", 2, 0),
            (b"", "192.0.2.1", 10, 6),
            (b"", "::ffff:192.0.2.1", 10, 6),
            (b"", "2001:db8::1", 100, 71),
            (b"", "2001:db8::1", 1000, 630),
            (b"", "127.0.0.1", 7, 1),
        ] {
            assert_eq!(bucket(key, client, buckets), expected, "{client} of {buckets}");
        }
    }

    #[test]
    fn addresses_of_one_client_have_one_bucket() {
        for buckets in [2, 10, 1_000] {
            let of = |client| bucket(b"a key of the tests", client, buckets);
            assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
            assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:ffff:ffff:ffff"));
        }
        let of = |client| bucket(b"a key of the tests", client, 1_000);
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.3"));
        assert_ne!(of("192.0.2.1"), bucket(b"another key", "192.0.2.1", 1_000));
    }

    #[test]
    fn clients_fall_into_all_buckets_alike() {
        let mut counts = [0; 10];
        for number in 0..10_000_u32 {
            let client = std::net::Ipv4Addr::from_bits(0x0a00_0000 + number).to_string();
            counts[usize::from(bucket(b"a key of the tests", &client, 10))] += 1;
        }
        assert!(counts.iter().all(|count| (900..1_100).contains(count)), "{counts:?}");
    }
}
