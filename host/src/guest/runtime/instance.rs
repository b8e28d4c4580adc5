//! One instance of a guest: it is made for one call, and dropped after it.

use std::fmt;

use wasmtime::{AsContextMut, ResourceLimiter, Store, Trap};

use super::bindings::v0_1::{Exports, Functions};
use super::engine::{Engine, MEMORIES};
use super::epoch::{Ticking, Ticks};
use crate::guest::decision::Decision;
use crate::guest::decision::request::Request;
use crate::guest::failure::Failure;
use crate::text;

/// A guest with a memory of its own, in which nothing has happened yet.
pub(super) struct Instance {
    store: Store<Usage>,
    guest: Functions,
    /// Keeps the clock of its deadline going.
    _ticking: Ticking,
}

impl Instance {
    /// Makes an instance, and runs its start functions.
    pub(super) fn new(
        engine: &Engine,
        guest: &Exports<Usage>,
        deadline: Ticks,
    ) -> Result<Instance, Failure> {
        let limits = engine.limits();
        let mut store = Store::new(engine.wasm(), Usage::of_at_most(limits.memory_bytes));
        store.limiter(|usage| usage);
        let ticking = engine.clock().ticking();
        store.set_epoch_deadline(deadline.0);
        store.set_hostcall_fuel(limits.decision_bytes);
        if engine.is_counting() {
            store.set_fuel(FUEL).map_err(classify)?;
        }
        let guest = guest.instantiate(&mut store).map_err(classify)?;
        Ok(Instance { store, guest, _ticking: ticking })
    }

    /// Asks for a decision, and checks it.
    pub(super) fn decide(&mut self, request: &Request) -> Result<Decision, Failure> {
        let store = self.store.as_context_mut();
        let decision = self.guest.decide(store, request).map_err(classify)?;
        Decision::check(decision).map_err(Failure::Refused)
    }

    /// Asks for the names of what the guest reads of a request.
    pub(super) fn interests(&mut self) -> Result<Vec<String>, Failure> {
        self.guest.interests(self.store.as_context_mut()).map_err(classify)
    }

    /// Instructions that it ran so far, if its engine counts them.
    pub(super) fn instructions(&self) -> Option<u64> {
        self.store.get_fuel().ok().map(|left| FUEL - left)
    }

    /// Bytes of linear memory that the instance has.
    pub(super) fn memory_bytes(&self) -> usize {
        self.store.data().memory_bytes
    }
}

/// More instructions than fit into any deadline, where they are counted.
pub(super) const FUEL: u64 = u64::MAX / 2;

/// What a running instance has of what it may have.
pub(super) struct Usage {
    memory_bytes: usize,
    limit: usize,
    /// Elements of one table, where no pool limits them.
    table_elements: Option<usize>,
}

impl Usage {
    /// Nothing of this many bytes of memory.
    pub(super) fn of_at_most(memory_bytes: usize) -> Usage {
        Usage { memory_bytes: 0, limit: memory_bytes, table_elements: None }
    }

    /// The same, outside of a pool.
    pub(super) fn with_tables_of(self, elements: usize) -> Usage {
        Usage { table_elements: Some(elements), ..self }
    }

    /// Lifts the limit: the guest does not run any more.
    pub(super) fn lift(&mut self) {
        self.limit = usize::MAX;
    }
}

/// Growth beyond the limit traps, so that the log has the cause: a guest whose growth fails only
/// aborts.
impl ResourceLimiter for Usage {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let growth = desired - current;
        if growth > self.limit - self.memory_bytes {
            return Err(OverLimit(format!("it asks for {desired} bytes of memory")).into());
        }
        self.memory_bytes += growth;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(OverLimit(format!("its memory cannot grow: {error}")).into())
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // The pool's tables have a fixed size; beyond it the next call is made.
        match self.table_elements {
            Some(limit) if desired > limit => {
                Err(OverLimit(format!("it asks for a table of {desired} elements")).into())
            }
            _ => Ok(true),
        }
    }

    fn memories(&self) -> usize {
        MEMORIES as usize
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(OverLimit(format!("its table cannot grow: {error}")).into())
    }
}

/// A limit on what a guest may have was met.
#[derive(Debug)]
struct OverLimit(String);

impl fmt::Display for OverLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for OverLimit {}

/// Why a call failed.
pub(super) fn classify(error: wasmtime::Error) -> Failure {
    if error.is::<wasmtime::PoolConcurrencyLimitError>() {
        return Failure::Busy;
    }
    if let Some(OverLimit(what)) = error.downcast_ref() {
        return Failure::Memory(what.clone());
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => Failure::Deadline,
        Some(trap) => Failure::Trap(trap.to_string()),
        None => Failure::Trap(text::error_line(error)),
    }
}
