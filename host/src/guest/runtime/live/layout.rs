//! What is where in a live instance: its exports, and in its second memory marks, then the request.

use serde::{Deserialize, Serialize};

use crate::guest::runtime::limits::PAGE_BYTES;

/// The export that is the guest's memory.
pub(super) const MEMORY: &str = "memory";
/// The export that is called after a decision was read.
pub(super) const POST_RETURN: &str = "post-return";
/// The export that is the second memory.
pub(super) const MARKS: &str = "marks";
/// The export that decides.
pub(super) const CALL: &str = "call";
/// The exports that are the mutable globals, each with a number.
pub(super) const GLOBAL: &str = "global-";

/// The index of the second memory.
pub(super) const SECOND: u32 = 1;

/// A granule is what one mark is for: 1 KiB. Of 256 to 1,024 bytes none was faster than another.
pub(super) const GRANULE_SHIFT: i32 = 10;

/// The most bytes that a store touches beyond the granule that it begins in: one of 16 bytes.
const OVERHANG: usize = 15;

/// Bytes of a request that is lowered, with its table of lengths. A longer one is decided on a
/// fresh instance.
pub(super) const REQUEST_BYTES: usize = 64 << 10;

/// Bytes of an entry of the table of lengths: those of the name and of the value of a field, 32 bits
/// each.
pub(super) const ENTRY_BYTES: usize = 8;

/// What is compiled into a live form, and what its host has to agree with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Constants {
    granule_shift: i32,
    request_bytes: usize,
    entry_bytes: usize,
    /// Bytes of memory that it may have.
    pub(super) memory_bytes: usize,
}

impl Constants {
    /// Those of this host, whose guests may have this many bytes of memory.
    pub(super) fn of(memory_bytes: usize) -> Constants {
        Constants {
            granule_shift: GRANULE_SHIFT,
            request_bytes: REQUEST_BYTES,
            entry_bytes: ENTRY_BYTES,
            memory_bytes,
        }
    }
}

/// The places in the second memory of a guest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    marks: u64,
    /// What is put back beyond a granule.
    pub(super) overhang: usize,
}

impl Layout {
    /// That of a guest whose memory may have this many bytes.
    pub(super) fn of(memory_bytes: usize) -> Layout {
        let granules = u64::try_from(memory_bytes.div_ceil(1 << GRANULE_SHIFT)).unwrap_or(u64::MAX);
        let marks = granules.next_multiple_of(PAGE_BYTES).max(PAGE_BYTES);
        Layout { marks, overhang: OVERHANG }
    }

    /// Where the request begins: the table of lengths of its fields, then its bytes.
    pub(super) fn request(self) -> u32 {
        // A memory has 4 GiB at most, and a mark for each KiB of it.
        u32::try_from(self.marks).unwrap_or(u32::MAX)
    }

    /// All of it.
    pub(super) fn bytes(self) -> u64 {
        self.marks + REQUEST_BYTES as u64
    }
}
