//! A guest whose instances stay.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use wasmtime::{InstancePre, Linker, Module, Store};

use super::code::LiveCode;
use super::ineligible::Ineligible;
use super::instance::{LiveInstance, NotDecided, Parts, Reset, Snapshot};
use super::instances::{AllInstances, Decider};
use super::layout::{Constants, Layout};
use super::rewrite::LiveForm;
use super::source::Source;
use crate::clock::thread_cpu_time;
use crate::guest::decision::Decision;
use crate::guest::decision::request::Request;
use crate::guest::decision::unchecked::Unchecked;
use crate::guest::digest::Digest;
use crate::guest::failure::Failure;
use crate::guest::load_error::LoadError;
use crate::guest::runtime::engine::Engine;
use crate::guest::runtime::epoch::Ticks;
use crate::guest::runtime::limits::{DecisionLimits, PAGE_BYTES};
use crate::guest::runtime::machine_code;
use crate::guest::runtime::usage::Usage;
use crate::text;

/// What start functions may take, and a new instance with them: half of what a decision may on a worker.
const MOST_START: Duration =
    Duration::from_micros(if cfg!(debug_assertions) { 10_000 } else { 1_000 });

/// What failures and decisions count where it is found out whether live decisions are worth trying: four of
/// five have to be made.
const FAILURE: u32 = 4;

/// From this on they are not, and one of so many is tried all the same.
pub(super) const HOPELESS: u32 = 64;
pub(super) const TRIED: u32 = 64;

/// A decision of a worker in so many has all of the instance compared.
pub(super) const COMPARED: u64 = 4_096;

/// A guest whose instances stay.
pub(in crate::guest) struct LiveGuest {
    pub(super) number: u64,
    digest: Digest,
    pre: InstancePre<Usage>,
    pub(super) form: LiveForm,
    snapshot: OnceLock<Snapshot>,
    /// Where threads keep instances.
    pub(super) instances: Arc<AllInstances>,
    /// How far failures outnumber decisions, up to what is hopeless.
    failures: AtomicU32,
    /// Whether something was not as it should be: no more decisions are live.
    is_off: AtomicBool,
}

impl LiveGuest {
    /// Compiles and loads the live form of a guest. It comes with what is kept of it.
    pub(in crate::guest) fn compile(
        engine: &Engine,
        source: &Source<'_>,
        has_spare: bool,
        is_wanted: &dyn Fn() -> bool,
    ) -> Result<(Result<LiveGuest, Ineligible>, Vec<u8>), LoadError> {
        let without = |why: String| {
            let ineligible = Ineligible::NotCompiled(why);
            let product = LiveCode::without(ineligible.clone()).write();
            // It is a text.
            (Err(ineligible), product.unwrap_or_default())
        };
        let product = match engine.compile_live(source, has_spare, is_wanted) {
            Err(LoadError::Compile(error)) => {
                let why = text::error_line(error);
                let why = why.strip_prefix("the guest does not compile: ").unwrap_or(&why);
                return Ok(without(why.to_owned()));
            }
            product => product?,
        };
        Ok(match LiveGuest::load(engine, source.digest, &product) {
            Ok(live) => (live, product),
            Err(error) => without(text::error_line(error)),
        })
    }

    /// Loads what a compiler made of the guest with this digest, or what was kept of that. An error if
    /// it is of no use to this engine.
    pub(in crate::guest) fn load(
        engine: &Engine,
        digest: Digest,
        product: &[u8],
    ) -> wasmtime::Result<Result<LiveGuest, Ineligible>> {
        let unknown = || wasmtime::format_err!("it is of another version, or damaged");
        let LiveCode { form, code } = LiveCode::read(product).ok_or_else(unknown)?;
        let form = match form {
            Ok(form) => form,
            Err(ineligible) => return Ok(Err(ineligible.bounded())),
        };
        if form.constants != Constants::of(engine.limits().decision.memory_bytes) {
            return Err(unknown());
        }
        let module = machine_code::deserialize_module(engine.wasm(), &code)?;
        let live = LiveGuest::link(engine, digest, &module, form)?;
        // What all instances begin with is taken now, and not while a client waits.
        let deadline = engine.limits().decision.deadline;
        live.make(engine, deadline)?;
        if live.form.has_start {
            // It is made again after each trap, on a worker.
            let began = thread_cpu_time();
            live.make(engine, deadline)?;
            let took = thread_cpu_time().saturating_sub(began);
            if took > MOST_START {
                let what =
                    format!("a start function of {took:.1?}, and {MOST_START:?} are the most");
                return Ok(Err(Ineligible::part(&what)));
            }
        }
        Ok(Ok(live))
    }

    /// Links a module that was rewritten and compiled.
    pub(super) fn link(
        engine: &Engine,
        digest: Digest,
        module: &Module,
        form: LiveForm,
    ) -> wasmtime::Result<LiveGuest> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        Ok(LiveGuest {
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            digest,
            pre: Linker::new(engine.wasm()).instantiate_pre(module)?,
            form,
            snapshot: OnceLock::new(),
            instances: Arc::clone(engine.live_instances()),
            failures: AtomicU32::new(0),
            is_off: AtomicBool::new(false),
        })
    }

    /// Whether decisions are live: until one was found that is not as it should be.
    pub(in crate::guest) fn is_on(&self) -> bool {
        !self.is_off.load(Ordering::Relaxed)
    }

    /// Ends live decisions of this guest, here and after the next start.
    fn turn_off(&self, engine: &Engine) {
        if self.is_off.swap(true, Ordering::Relaxed) {
            return;
        }
        engine.note_live_difference();
        tracing::error!(guest = %self.digest, "live guest was not put back");
        self.forget_instances();
        // A file is written here, on a worker: that happens once, if ever.
        if let Ok(product) = LiveCode::without(Ineligible::NotPutBack).write() {
            engine.keep_live(self.digest, &product);
        }
    }

    /// Decides; `None` if it has to be decided on a fresh instance.
    pub(in crate::guest::runtime) fn decide(
        &self,
        engine: &Engine,
        decider: Decider,
        request: &Request,
        limits: DecisionLimits,
    ) -> Option<Result<Decision, Failure>> {
        let failures = self.failures.load(Ordering::Relaxed);
        let is_hopeless = failures >= HOPELESS;
        if is_hopeless {
            let since = self.failures.fetch_add(1, Ordering::Relaxed);
            if !since.is_multiple_of(TRIED) {
                return None;
            }
        }
        let decision = self.try_to_decide(engine, decider, request, limits);
        match (&decision, is_hopeless) {
            (Some((_, Instance::Kept)), true) => {
                self.failures.store(HOPELESS - 1, Ordering::Relaxed)
            }
            (Some((_, Instance::Kept)), false) => {
                // Nothing is written where all goes well. Two workers at a time may count one.
                if failures > 0 {
                    self.failures.store(failures - 1, Ordering::Relaxed);
                }
            }
            (Some((_, Instance::Gone)) | None, false) => {
                self.failures.fetch_add(FAILURE, Ordering::Relaxed);
            }
            (Some((_, Instance::Gone)) | None, true) => {}
        }
        let (decision, _) = decision?;
        Some(Decision::check(decision).map_err(Failure::Refused))
    }

    fn try_to_decide(
        &self,
        engine: &Engine,
        decider: Decider,
        request: &Request,
        limits: DecisionLimits,
    ) -> Option<(Unchecked, Instance)> {
        if !self.is_on() {
            return None;
        }
        let instances = self.instances.of(decider);
        // Out of its place meanwhile: whatever ends this, a panic too, ends the instance.
        let mut instance = match instances.take(self.number) {
            Some(instance) => instance,
            None => {
                let instance = self.make(engine, limits.deadline).ok()?;
                instances.made.fetch_add(1, Ordering::Relaxed);
                instance
            }
        };
        let decision = self.decide_with(&mut instance, engine, request, limits).ok()?;
        let reset = instance.reset();
        let resets = instances.resets.fetch_add(1, Ordering::Relaxed);
        let is_compared = resets % COMPARED == COMPARED - 1;
        let of_it = match reset {
            // The decision is as good, and the next one needs another instance.
            Reset::Grown => Instance::Gone,
            Reset::Done | Reset::Strayed if is_compared && !instance.is_as_made() => {
                self.turn_off(engine);
                return None;
            }
            Reset::Failed => {
                self.turn_off(engine);
                return None;
            }
            Reset::Strayed => {
                instances.put(self.number, instance);
                return None;
            }
            Reset::Done => {
                instances.put(self.number, instance);
                Instance::Kept
            }
        };
        instances.decisions.fetch_add(1, Ordering::Relaxed);
        Some((decision, of_it))
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
        let _ticking = engine.clock().ticking();
        instance.decide(request, limits, engine.limits().decision_bytes)
    }

    /// Makes an instance. Start functions have this time.
    pub(super) fn make(
        &self,
        engine: &Engine,
        deadline: Duration,
    ) -> wasmtime::Result<LiveInstance> {
        // Of the second memory nothing counts as the guest's.
        let memory_bytes = self.form.constants.memory_bytes;
        let layout = Layout::of(memory_bytes);
        let second = usize::try_from(layout.bytes().next_multiple_of(PAGE_BYTES))?;
        let limit = memory_bytes.saturating_add(second);
        let mut store = Store::new(engine.wasm(), Usage::of_at_most(limit));
        store.limiter(|usage| usage);
        store.set_epoch_deadline(Ticks::at_least(deadline).0);
        let parts = Parts {
            pre: &self.pre,
            has_post_return: self.form.has_post_return,
            has_start: self.form.has_start,
            globals: self.form.globals,
            has_size: self.form.has_size,
            layout,
            snapshot: &self.snapshot,
        };
        let _ticking = engine.clock().ticking();
        LiveInstance::new(store, &parts)
    }

    /// Instances keep its code, and a place in the pool.
    fn forget_instances(&self) {
        for instances in self.instances.each() {
            instances.forget(self.number);
        }
    }
}

/// What became of the instance that decided.
enum Instance {
    Kept,
    Gone,
}

/// Decides beside the workers, on one instance of a live guest as long as that is put back.
#[derive(Default)]
pub(in crate::guest) struct LiveTrial {
    instance: Option<LiveInstance>,
    /// Whether its memory grew, so that it had to be made again.
    pub(in crate::guest) has_grown: bool,
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
            None => live.make(engine, engine.limits().decision.deadline).ok()?,
        };
        let limits = engine.limits().decision;
        let decision = live.decide_with(&mut instance, engine, request, limits).ok()?;
        match instance.reset() {
            Reset::Done | Reset::Failed => self.instance = Some(instance),
            Reset::Grown => self.has_grown = true,
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
    fn drop(&mut self) {
        self.forget_instances();
    }
}
