//! What a guest may use.

use std::time::Duration;

/// Bytes of a page of memory (WebAssembly Core Specification 2.0, section 4.2.8).
pub(super) const PAGE_BYTES: u64 = 64 << 10;

/// What one decision may use: each site may have its own limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecisionLimits {
    /// How long it may take. Remembered decisions aside, the default guest takes 10 µs and one in
    /// Python 2 ms.
    pub deadline: Duration,
    /// The bytes that a guest's memories may have, together. A guest in Python starts with 18 MiB.
    pub memory_bytes: usize,
}

impl DecisionLimits {
    /// The larger one of each.
    pub fn max(self, other: DecisionLimits) -> DecisionLimits {
        DecisionLimits {
            deadline: self.deadline.max(other.deadline),
            memory_bytes: self.memory_bytes.max(other.memory_bytes),
        }
    }
}

impl Default for DecisionLimits {
    fn default() -> Self {
        DecisionLimits { deadline: Duration::from_millis(100), memory_bytes: 64 << 20 }
    }
}

/// What guests may use, and what is kept of their decisions.
#[derive(Clone, Copy, Debug)]
pub struct GuestLimits {
    /// What one decision may use at most, and does unless its site says less.
    pub decision: DecisionLimits,
    /// The bytes of native stack that wasm may use. Deep recursion ends here.
    pub stack_bytes: usize,
    /// Elements of one table. Toolchains make one of a few thousand.
    pub table_elements: usize,
    /// Core instances of one component, each with a table and a memory at most.
    /// A component with adapters has about five, and one that componentize-py makes 38.
    pub core_instances: u32,
    /// The host memory, in bytes, that reading a decision may take. It bounds a
    /// guest that returns the same megabyte a thousand times: 1 MiB of body,
    /// the largest decision that is allowed, and as much again for the rest.
    pub decision_bytes: usize,
    /// The bytes of each worker's cache of decisions, with the requests that
    /// they are for: some 15,000 decisions of the default guest. 0: none.
    pub decision_cache_bytes: u64,
    /// The time of a processor that the configuration of a guest by its data may take, once,
    /// before it serves. Its memory is that of a decision.
    pub configure_time: Duration,
}

impl GuestLimits {
    /// The bytes that one decision may use: the memories and tables of its instance, and the
    /// decision that is read from it.
    pub fn instance_bytes(&self) -> u64 {
        let tables =
            u64::from(self.core_instances) * (self.table_elements * size_of::<usize>()) as u64;
        (self.decision.memory_bytes + self.decision_bytes) as u64 + tables
    }
}

impl Default for GuestLimits {
    fn default() -> Self {
        GuestLimits {
            decision: DecisionLimits::default(),
            stack_bytes: 512 << 10,
            table_elements: 20_000,
            core_instances: 64,
            decision_bytes: 2 << 20,
            decision_cache_bytes: 4 << 20,
            configure_time: Duration::from_secs(1),
        }
    }
}
