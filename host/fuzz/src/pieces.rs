//! How bytes are split over time: at random, and always the same for the same bytes.

/// Numbers that look random (xorshift, Marsaglia 2003).
#[derive(Clone, Debug)]
pub struct Numbers(u64);

impl Numbers {
    /// Beginning with this one.
    pub fn from(seed: u64) -> Numbers {
        Numbers(seed | 1)
    }

    /// Beginning with what these bytes come to (FNV-1a).
    pub fn of(bytes: &[u8]) -> Numbers {
        let hash = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        Numbers::from(bytes.iter().fold(0xcbf2_9ce4_8422_2325, hash))
    }

    /// The next one below the limit, which is not 0.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let limit = u64::try_from(limit).expect("64 bits are enough");
        usize::try_from((self.0 >> 16) % limit).expect("it is below the limit")
    }
}

/// The bytes in pieces of at most this many, which come to all of them.
pub fn split<'a>(bytes: &'a [u8], largest: usize, numbers: &mut Numbers) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at((1 + numbers.below(largest)).min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces
}
