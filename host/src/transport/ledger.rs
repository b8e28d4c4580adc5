//! Which bytes of a connection's content are in which bytes of its wire, under TLS.
//!
//! The kernel tells how many bytes of records the client acknowledged. Responses, the log and
//! the metrics count what is in the records.

use std::collections::VecDeque;

/// The most content of a record (RFC 8446, section 5.1).
pub(crate) const RECORD_BYTES: u64 = 16 << 10;

/// What a record is longer than its content, at least: its header and the tag. Where it is more,
/// content counts as taken some bytes late.
const OVERHEAD_BYTES: u64 = 21;

/// Ends of records that are kept. For a client that is behind by more of them every second one is
/// forgotten, and what it took is known less exactly.
const MOST_ENDS: usize = 64;

/// Where records that the client has not acknowledged end.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// The ends of records: in the bytes of the wire, and in the content.
    ends: VecDeque<(u64, u64)>,
    /// Content that was noted.
    noted: u64,
    /// Content of it that the client took.
    taken: u64,
}

impl Ledger {
    /// Notes that the content up to there is in the bytes of the wire up to there, and that
    /// these were handed to the kernel.
    pub(crate) fn note(&mut self, wire: u64, content: u64) {
        while self.noted < content {
            self.noted = content.min(self.noted + RECORD_BYTES);
            let behind = content - self.noted;
            let overhead = behind.div_ceil(RECORD_BYTES) * OVERHEAD_BYTES;
            if self.ends.len() == MOST_ENDS {
                let mut keeps = false;
                self.ends.retain(|_| {
                    keeps = !keeps;
                    !keeps
                });
            }
            self.ends.push_back((wire.saturating_sub(behind + overhead), self.noted));
        }
    }

    /// The client acknowledged the bytes of the wire up to there.
    pub(crate) fn acknowledge(&mut self, wire: u64) {
        while let Some((_, content)) = self.ends.pop_front_if(|&mut (end, _)| end <= wire) {
            self.taken = content;
        }
        if self.ends.is_empty() {
            // An idle connection keeps no room for them.
            self.ends = VecDeque::new();
        }
    }

    /// Content that the client took.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }
}

#[cfg(test)]
mod tests {
    use super::{Ledger, MOST_ENDS, RECORD_BYTES};

    #[test]
    fn content_is_taken_with_the_end_of_its_record() {
        let mut ledger = Ledger::default();
        ledger.note(500 + 122, 100);
        for (wire, taken) in [(0, 0), (621, 0), (622, 100), (700, 100)] {
            ledger.acknowledge(wire);
            assert_eq!(ledger.taken(), taken, "{wire}");
        }
        assert_eq!(ledger.ends.capacity(), 0);
    }

    #[test]
    fn records_that_are_sent_at_once_are_taken_one_by_one() {
        let mut ledger = Ledger::default();
        let content = 2 * RECORD_BYTES + 1000;
        ledger.note(content + 3 * 22, content);
        ledger.acknowledge(RECORD_BYTES + 21);
        assert_eq!(ledger.taken(), 0, "the record is longer by 22 bytes");
        ledger.acknowledge(RECORD_BYTES + 24);
        assert_eq!(ledger.taken(), RECORD_BYTES);
        ledger.acknowledge(2 * (RECORD_BYTES + 23));
        assert_eq!(ledger.taken(), 2 * RECORD_BYTES);
        ledger.acknowledge(content + 65);
        assert_eq!(ledger.taken(), 2 * RECORD_BYTES);
        ledger.acknowledge(content + 66);
        assert_eq!(ledger.taken(), content);
    }

    #[test]
    fn ledger_of_a_client_that_takes_nothing_is_bounded_and_never_ahead() {
        let mut ledger = Ledger::default();
        for record in 1..=10_000 {
            ledger.note(record * 122, record * 100);
            assert!(ledger.ends.len() <= MOST_ENDS);
        }
        for wire in (0..=1_220_000).step_by(1000) {
            ledger.acknowledge(wire);
            assert!(ledger.taken() <= wire / 122 * 100, "{} at {wire}", ledger.taken());
        }
        ledger.acknowledge(1_220_000);
        assert_eq!(ledger.taken(), 1_000_000);
    }
}
