//! One instance of a guest: it is made for one call, and dropped after it.

use std::sync::Arc;

use wasmtime::{AsContextMut, Store};

use super::bindings::v0_1::{Exports, Functions};
use super::engine::Engine;
use super::epoch::{Ticking, Ticks};
use super::limits::DecisionLimits;
use super::source_lines::SourceLines;
use super::usage::{FUEL, Usage, classify, failure};
use crate::guest::decision::Decision;
use crate::guest::decision::request::Request;
use crate::guest::failure::Failure;

/// A guest with a memory of its own, in which nothing has happened yet.
pub(super) struct Instance {
    store: Store<Usage>,
    guest: Functions,
    /// Keeps the clock of its deadline going.
    _ticking: Ticking,
}

impl Instance {
    /// Makes an instance with these limits, and runs its start functions.
    pub(super) fn new(
        engine: &Engine,
        guest: &Exports<Usage>,
        source: Option<Arc<SourceLines>>,
        own: DecisionLimits,
    ) -> Result<Instance, Failure> {
        let limits = engine.limits();
        let usage = Usage::of_at_most(own.memory_bytes).with_seed(engine.has_seed());
        let usage = usage.with_source(source);
        let mut store = Store::new(engine.wasm(), usage);
        store.limiter(|usage| usage);
        let ticking = engine.clock().ticking();
        store.set_epoch_deadline(Ticks::at_least(own.deadline).0);
        store.set_hostcall_fuel(limits.decision_bytes);
        if engine.is_counting() {
            store.set_fuel(FUEL).map_err(classify)?;
        }
        let guest = guest.instantiate(&mut store);
        let guest = guest.map_err(|error| failure(error, store.data()))?;
        Ok(Instance { store, guest, _ticking: ticking })
    }

    /// Asks for a decision, and checks it.
    pub(super) fn decide(&mut self, request: &Request) -> Result<Decision, Failure> {
        let decision = self.guest.decide(self.store.as_context_mut(), request);
        let decision = decision.map_err(|error| failure(error, self.store.data()))?;
        Decision::check(decision).map_err(Failure::Refused)
    }

    /// Asks for the names of what the guest reads of a request.
    pub(super) fn interests(&mut self) -> Result<Vec<String>, Failure> {
        let interests = self.guest.interests(self.store.as_context_mut());
        interests.map_err(|error| failure(error, self.store.data()))
    }

    /// What it printed so far, or the last of it.
    pub(super) fn printed(&self) -> String {
        self.store.data().output.text()
    }

    /// Instructions that it ran so far, if its engine counts them.
    pub(super) fn instructions(&self) -> Option<u64> {
        self.store.get_fuel().ok().map(|left| FUEL - left)
    }

    /// Bytes of linear memory that the instance has.
    pub(super) fn memory_bytes(&self) -> usize {
        self.store.data().memory_bytes()
    }
}
