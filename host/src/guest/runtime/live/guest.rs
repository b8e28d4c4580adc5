//! A guest whose instances stay.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use wasmtime::{InstancePre, Linker, Module, Store};

use super::code::LiveCode;
use super::ineligible::Ineligible;
use super::instance::{LiveInstance, NotDecided, Parts, Reset, Snapshot};
use super::instances::{AllInstances, Decider};
use super::layout::Layout;
use super::rewrite::LiveForm;
use crate::guest::decision::Decision;
use crate::guest::decision::request::Request;
use crate::guest::decision::unchecked::Unchecked;
use crate::guest::failure::Failure;
use crate::guest::runtime::engine::Engine;
use crate::guest::runtime::epoch::Ticks;
use crate::guest::runtime::limits::DecisionLimits;
use crate::guest::runtime::machine_code;
use crate::guest::runtime::usage::Usage;

/// A guest whose instances stay.
pub(in crate::guest) struct LiveGuest {
    pub(super) number: u64,
    pre: InstancePre<Usage>,
    pub(super) form: LiveForm,
    snapshot: OnceLock<Snapshot>,
    /// Where threads keep instances.
    pub(super) instances: Arc<AllInstances>,
    /// Whether something was not as it should be: no more decisions are live.
    is_off: AtomicBool,
}

impl LiveGuest {
    /// Loads what a compiler made, or what was kept of that; `None` if it is of no use to this engine.
    pub(in crate::guest) fn load(
        engine: &Engine,
        product: &[u8],
    ) -> Option<Result<LiveGuest, Ineligible>> {
        let LiveCode { form, code } = LiveCode::read(product)?;
        match form {
            Ok(form) => {
                let module = machine_code::deserialize_module(engine.wasm(), &code).ok()?;
                LiveGuest::link(engine, &module, form).ok().map(Ok)
            }
            Err(ineligible) => Some(Err(ineligible)),
        }
    }

    /// Links a module that was rewritten and compiled.
    pub(super) fn link(
        engine: &Engine,
        module: &Module,
        form: LiveForm,
    ) -> wasmtime::Result<LiveGuest> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        Ok(LiveGuest {
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            pre: Linker::new(engine.wasm()).instantiate_pre(module)?,
            form,
            snapshot: OnceLock::new(),
            instances: Arc::clone(engine.live_instances()),
            is_off: AtomicBool::new(false),
        })
    }

    /// Whether decisions are live: until one was found that is not as it should be.
    pub(in crate::guest) fn is_on(&self) -> bool {
        !self.is_off.load(Ordering::Relaxed)
    }

    /// Ends live decisions of this guest.
    pub(in crate::guest) fn turn_off(&self) {
        self.is_off.store(true, Ordering::Relaxed);
    }

    /// Decides; `None` if it has to be decided on a fresh instance.
    pub(in crate::guest::runtime) fn decide(
        &self,
        engine: &Engine,
        decider: Decider,
        request: &Request,
        limits: DecisionLimits,
    ) -> Option<Result<Decision, Failure>> {
        let instances = self.instances.of(decider);
        if !self.is_on() {
            return None;
        }
        // Out of its place meanwhile: whatever ends this, a panic too, ends the instance.
        let mut instance = match instances.take(self.number) {
            Some(instance) => instance,
            None => {
                instances.made.fetch_add(1, Ordering::Relaxed);
                self.make(engine).ok()?
            }
        };
        let _ticking = engine.clock().ticking();
        let decision = self.decide_with(&mut instance, engine, request, limits);
        let decision = decision.ok()?;
        match instance.reset() {
            Reset::Done => instances.put(self.number, instance),
            Reset::Grown => {}
            Reset::Strayed => {
                instances.put(self.number, instance);
                return None;
            }
            Reset::Differs => {
                self.turn_off();
                engine.note_live_difference();
                tracing::error!(
                    "live guest was not put back, each decision is on a fresh instance"
                );
                return None;
            }
        }
        instances.decisions.fetch_add(1, Ordering::Relaxed);
        Some(Decision::check(decision).map_err(Failure::Refused))
    }

    /// Whether it has memory that it has not asked for.
    pub(in crate::guest) fn has_spare_memory(&self) -> bool {
        self.form.has_size
    }

    fn decide_with(
        &self,
        instance: &mut LiveInstance,
        engine: &Engine,
        request: &Request,
        limits: DecisionLimits,
    ) -> Result<Unchecked, NotDecided> {
        instance.decide(request, limits, engine.limits().decision_bytes)
    }

    pub(super) fn make(&self, engine: &Engine) -> wasmtime::Result<LiveInstance> {
        // Of the second memory nothing counts as the guest's.
        let layout = Layout::of(self.form.memory_bytes);
        let second = usize::try_from(layout.bytes()).unwrap_or(usize::MAX);
        let limit = self.form.memory_bytes.saturating_add(second.next_multiple_of(1 << 16));
        let mut store = Store::new(engine.wasm(), Usage::of_at_most(limit));
        store.limiter(|usage| usage);
        // Start functions have what a decision has.
        store.set_epoch_deadline(Ticks::at_least(engine.limits().decision.deadline).0);
        let parts = Parts {
            pre: &self.pre,
            has_post_return: self.form.has_post_return,
            globals: self.form.globals,
            has_size: self.form.has_size,
            layout,
        };
        let instance = LiveInstance::new(store, &parts, self.snapshot.get().cloned())?;
        self.snapshot.get_or_init(|| instance.snapshot());
        Ok(instance)
    }
}

/// Decides beside the workers, on one instance of a live guest as long as that is put back.
#[derive(Default)]
pub(in crate::guest) struct LiveTrial {
    instance: Option<LiveInstance>,
}

impl LiveTrial {
    /// Decides; `None` if a fresh instance has to.
    pub(in crate::guest) fn decide(
        &mut self,
        live: &LiveGuest,
        engine: &Engine,
        request: &Request,
    ) -> Option<Result<Decision, Failure>> {
        let mut instance = match self.instance.take() {
            Some(instance) => instance,
            None => live.make(engine).ok()?,
        };
        let _ticking = engine.clock().ticking();
        let limits = engine.limits().decision;
        let decision = live.decide_with(&mut instance, engine, request, limits).ok()?;
        match instance.reset() {
            Reset::Done | Reset::Differs => self.instance = Some(instance),
            Reset::Grown => {}
            Reset::Strayed => return None,
        }
        Some(Decision::check(decision).map_err(Failure::Refused))
    }

    /// Whether all of the instance is as it was made, after a decision.
    pub(in crate::guest) fn is_as_made(&mut self) -> bool {
        self.instance.as_mut().is_none_or(LiveInstance::is_as_made)
    }
}

impl Drop for LiveGuest {
    /// Its instances keep its code, and a place in the pool.
    fn drop(&mut self) {
        for instances in self.instances.each() {
            instances.forget(self.number);
        }
    }
}
