//! Responses of each second, by class of their status, and bytes.

use crate::metrics::labels::{CLASSES, class};

/// Seconds of which each is told: long enough to see what a deployment did.
pub const SECONDS: usize = 120;

/// The place of a number in a ring of this length.
pub(super) fn place(number: u64, length: usize) -> usize {
    usize::try_from(number % length as u64).unwrap_or_default()
}

/// What was sent in one second.
#[derive(Clone, Copy, Debug, Default)]
pub struct Second {
    /// Responses of each of the [`CLASSES`].
    pub statuses: [u32; CLASSES.len()],
    /// Bytes of bodies that clients took.
    pub bytes: u64,
}

/// A slot for each second, and one for the second that is not over.
const SLOTS: usize = SECONDS + 1;

/// Memory of the ring.
pub(super) const BYTES: usize = SLOTS * size_of::<(u64, Second)>();

/// The last seconds: a ring.
pub(super) struct Seconds {
    slots: Box<[(u64, Second)]>,
    latest: usize,
}

impl Default for Seconds {
    fn default() -> Self {
        Seconds { slots: vec![(0, Second::default()); SLOTS].into(), latest: 0 }
    }
}

impl Seconds {
    /// Counts a response.
    pub(super) fn response(&mut self, second: u64, status: u16) {
        self.latest = place(second, SLOTS);
        let (of, slot) = &mut self.slots[self.latest];
        if *of != second {
            (*of, *slot) = (second, Second::default());
        }
        slot.statuses[class(status)] += 1;
    }

    /// Counts bytes, for the second of the latest response.
    pub(super) fn delivered(&mut self, bytes: u64) {
        self.slots[self.latest].1.bytes += bytes;
    }

    /// Adds the seconds before `now`, the last one at the end.
    pub(super) fn sum(&self, now: u64, sums: &mut [Second]) {
        for (ago, sum) in (1..).zip(sums.iter_mut().rev()) {
            let Some(second) = now.checked_sub(ago) else { return };
            let (of, slot) = &self.slots[place(second, SLOTS)];
            if *of == second {
                sum.bytes += slot.bytes;
                for (sum, count) in sum.statuses.iter_mut().zip(slot.statuses) {
                    *sum = sum.saturating_add(count);
                }
            }
        }
    }
}
