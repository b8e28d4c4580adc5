//! How the bytes of a request arrive.

/// How a request is cut into pieces.
#[derive(Clone, Copy, Debug)]
pub enum Cut {
    Whole,
    Bytes,
    /// By this seed.
    Random(u64),
}

/// A longer request is cut into single bytes at its ends alone.
const MOST_SINGLE: usize = 4 << 10;

/// How many bytes of it are, at either end.
const ENDS: usize = 1 << 10;

impl Cut {
    pub fn pieces(self, raw: &[u8]) -> Vec<&[u8]> {
        match self {
            Cut::Whole => vec![raw],
            Cut::Bytes if raw.len() <= MOST_SINGLE => raw.chunks(1).collect(),
            Cut::Bytes => {
                let (start, rest) = raw.split_at(ENDS);
                let (middle, end) = rest.split_at(rest.len() - ENDS);
                start.chunks(1).chain([middle]).chain(end.chunks(1)).collect()
            }
            Cut::Random(seed) => {
                // xorshift64; the seed must not be 0.
                let mut state = seed | 1;
                let mut pieces = Vec::new();
                let mut rest = raw;
                while !rest.is_empty() {
                    for (shift, left) in [(13, true), (7, false), (17, true)] {
                        state ^= if left { state << shift } else { state >> shift };
                    }
                    // Few pieces, whatever the length.
                    let most = (raw.len() as u64 / 4).max(3);
                    let length = usize::try_from(1 + state % most).unwrap().min(rest.len());
                    let (piece, behind) = rest.split_at(length);
                    pieces.push(piece);
                    rest = behind;
                }
                pieces
            }
        }
    }
}
