//! A compiled guest that can run: each decision on a live instance or a fresh one, and once more if the
//! deadline passed while others had the core.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use wasmtime::component::Component;

use super::bindings::v0_1::Exports;
use super::configurable::is_configuration;
use super::contract::{self, ContractError};
use super::decision_cost::{DecisionCosts, Stopwatch};
use super::engine::{Engine, WORKER_DEADLINE};
use super::instance::Instance;
use super::limits::{DecisionLimits, PAGE_BYTES};
use super::live::guest::LiveGuest;
use super::live::ineligible::Ineligible;
use super::live::instances::Decider;
use super::output;
use super::slow_pool::Asker;
use super::source_lines::SourceLines;
use super::usage::Usage;
use crate::diagnostics;
use crate::guest::decision::Decision;
use crate::guest::decision::request::Request;
use crate::guest::failure::Failure;
use crate::guest::load_error::LimitError;
use crate::text;

/// How often a decision is begun on a worker that does not get to run it.
const WORKER_ATTEMPTS: usize = 10;

/// How often a decision may miss its deadline where nothing waits for the thread.
const ATTEMPTS: usize = 3;

/// A compiled guest, with its imports stubbed and its exports found.
pub(in crate::guest) struct Program {
    engine: Arc<Engine>,
    exports: Exports<Usage>,
    /// Escaped, as the guest may name them as it likes.
    imports: Vec<String>,
    is_configurable: bool,
    /// Bytes that its largest memory begins with.
    first_memory: u64,
    costs: DecisionCosts,
    /// Those of its live form.
    live_costs: DecisionCosts,
    /// Its live form, or why it has none, once that is known.
    live: OnceLock<Result<LiveGuest, Ineligible>>,
    /// What its code comes from, for its author.
    source: Option<Arc<SourceLines>>,
}

/// What one decision on a fresh instance took.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Making the instance.
    pub instantiate: Duration,
    /// The call, with the check of its result.
    pub decide: Duration,
    /// Dropping the instance.
    pub drop: Duration,
    /// Bytes of linear memory that the instance had in the end. How many of them it touched is
    /// not known.
    pub memory_bytes: usize,
    /// Instructions of WebAssembly, where the engine counts them.
    pub instructions: Option<u64>,
}

impl Program {
    /// Links the component that this guest was compiled to. What it prints is kept; each other import
    /// traps when it is called.
    pub(in crate::guest) fn link(
        engine: &Arc<Engine>,
        guest: &[u8],
        component: &Component,
    ) -> Result<Program, ContractError> {
        let component_type = component.component_type();
        let is_configurable =
            component_type.exports(engine.wasm()).any(|(name, _)| is_configuration(name));
        let imports =
            component_type.imports(engine.wasm()).map(|(name, _)| text::short_name(name)).collect();
        let linker = output::link(component)
            .map_err(|error| ContractError::Import(text::error_line(error)))?;
        let exports = linker
            .instantiate_pre(component)
            .and_then(Exports::of)
            .map_err(|error| contract::mismatch(component, engine.wasm(), error))?;
        let resources = component.resources_required();
        let pages = resources.and_then(|it| it.max_initial_memory_size).unwrap_or(0);
        let first_memory = pages.saturating_mul(PAGE_BYTES);
        let (engine, costs) = (Arc::clone(engine), DecisionCosts::default());
        let source = engine.is_for_author().then(|| SourceLines::of(guest)).flatten().map(Arc::new);
        let (live, live_costs) = (OnceLock::new(), DecisionCosts::default());
        Ok(Program {
            engine,
            exports,
            imports,
            is_configurable,
            first_memory,
            costs,
            live_costs,
            live,
            source,
        })
    }

    /// What it runs on.
    pub(in crate::guest) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Whether it takes data.
    pub(in crate::guest) fn is_configurable(&self) -> bool {
        self.is_configurable
    }

    /// Whether an instance with these limits can begin.
    pub(in crate::guest) fn fits(&self, limits: DecisionLimits) -> Result<(), LimitError> {
        match self.first_memory > limits.memory_bytes as u64 {
            true => {
                Err(LimitError::Memory { needed: self.first_memory, limit: limits.memory_bytes })
            }
            false => Ok(()),
        }
    }

    /// The names of its imports, escaped.
    pub(in crate::guest) fn imports(&self) -> &[String] {
        &self.imports
    }

    /// Whether what runs is seen by its author alone.
    pub(in crate::guest) fn is_for_author(&self) -> bool {
        self.engine.is_for_author()
    }

    /// How long its decisions take.
    pub(in crate::guest) fn costs(&self) -> &DecisionCosts {
        &self.costs
    }

    /// Does slow work for a site and its client in the slow pool, when there is room for it.
    pub(in crate::guest) async fn in_slow_pool(
        &self,
        asker: Asker,
        decide: impl FnOnce() -> Result<Decision, Failure> + Send + 'static,
    ) -> Result<Decision, Failure> {
        self.engine.slow_pool().run(asker, decide).await
    }

    /// Asks for the names of what the guest reads of a request.
    pub(in crate::guest) fn interests(
        &self,
        limits: DecisionLimits,
    ) -> Result<Vec<String>, Failure> {
        with_retries(|| self.instance(limits)?.interests())
    }

    /// Decides once, on this thread.
    pub(in crate::guest) fn run(
        &self,
        request: &Request,
        limits: DecisionLimits,
    ) -> Result<Decision, Failure> {
        self.instance(limits)?.decide(request)
    }

    /// Decides as `run_with_retries` does, and gives what the guest printed.
    pub(in crate::guest) fn run_and_listen(
        &self,
        request: &Request,
        limits: DecisionLimits,
    ) -> (Result<Decision, Failure>, String) {
        let mut printed = String::new();
        let decision = with_retries(|| {
            let mut instance = self.instance(limits)?;
            let decision = instance.decide(request);
            printed = instance.printed();
            decision
        });
        (decision, printed)
    }

    /// Decides on this thread, again if the deadline passed: on a busy machine that happens for
    /// want of a core. A guest that loops misses it each time.
    pub(in crate::guest) fn run_with_retries(
        &self,
        request: &Request,
        limits: DecisionLimits,
    ) -> Result<Decision, Failure> {
        with_retries(|| self.run(request, limits))
    }

    /// Decides on a worker, unless that takes long: a decision depends on nothing but its
    /// request, so that one that was interrupted may be begun again elsewhere. `None` if it has
    /// to be made in the slow pool.
    pub(in crate::guest) fn run_on_worker(
        &self,
        worker: usize,
        request: &Request,
        limits: DecisionLimits,
    ) -> Option<Result<Decision, Failure>> {
        let on_worker = DecisionLimits { deadline: limits.deadline.min(WORKER_DEADLINE), ..limits };
        let cost = self.costs.of(request);
        // A fresh instance is no quicker than a live one.
        let is_slow = match self.is_live() {
            true => self.live_costs.of(request).is_slow(),
            false => cost.is_slow(),
        };
        if is_slow {
            return None;
        }
        match self.run_live(Decider::Worker(worker), request, on_worker) {
            Live::Decided(decision) => return Some(decision),
            Live::NotInTime => return None,
            Live::Undecided => {}
        }
        let mut attempts = if cost.is_slow() { 0 } else { WORKER_ATTEMPTS };
        while attempts > 0 {
            let stopwatch = cost.start();
            match self.run_once(request, on_worker) {
                Err(Failure::Busy) => return None,
                Err(Failure::Deadline) if on_worker.deadline < limits.deadline => {}
                decision => {
                    self.note(&decision, stopwatch);
                    return Some(decision);
                }
            }
            // On a busy machine this thread may have lost its core meanwhile.
            attempts = if stopwatch.lacked_a_core(WORKER_DEADLINE) { attempts - 1 } else { 0 };
        }
        None
    }

    /// Decides on a thread of the slow pool, again if the deadline passed while others had the
    /// core: these threads are the last to get one.
    pub(in crate::guest) fn run_in_pool(
        &self,
        request: &Request,
        limits: DecisionLimits,
    ) -> Result<Decision, Failure> {
        let mut attempts = ATTEMPTS;
        // Where live decisions are quick, this one was tried on a worker.
        if self.live_costs.of(request).is_slow() {
            match self.run_live(Decider::SlowPool, request, limits) {
                Live::Decided(decision) => return decision,
                Live::NotInTime => attempts -= 1,
                Live::Undecided => {}
            }
        }
        loop {
            let stopwatch = self.costs.of(request).start_measured();
            let decision = self.run_once(request, limits);
            attempts -= 1;
            let is_missed = matches!(decision, Err(Failure::Deadline));
            if !is_missed || attempts == 0 || !stopwatch.lacked_a_core(limits.deadline) {
                self.note(&decision, stopwatch);
                return decision;
            }
        }
    }

    /// Whether decisions are made on live instances.
    fn is_live(&self) -> bool {
        matches!(self.live.get(), Some(Ok(live)) if live.is_on())
    }

    /// Decides on a live instance, where there are some.
    fn run_live(&self, decider: Decider, request: &Request, limits: DecisionLimits) -> Live {
        let Some(Ok(live)) = self.live.get() else { return Live::Undecided };
        let stopwatch = self.live_costs.of(request).start();
        match live.decide(&self.engine, decider, request, limits) {
            Some(decision) => {
                stopwatch.stop();
                Live::Decided(decision)
            }
            None if stopwatch.elapsed() >= limits.deadline => Live::NotInTime,
            None => Live::Undecided,
        }
    }

    /// Decides once, and measures it.
    pub(in crate::guest) fn measure(
        &self,
        request: &Request,
        limits: DecisionLimits,
    ) -> Result<Cost, Failure> {
        let began = Instant::now();
        let mut instance = self.instance(limits)?;
        let instantiated = Instant::now();
        drop(instance.decide(request)?);
        let decided = Instant::now();
        let memory_bytes = instance.memory_bytes();
        let instructions = instance.instructions();
        let measured = Instant::now();
        drop(instance);
        Ok(Cost {
            instantiate: instantiated - began,
            decide: decided - instantiated,
            drop: measured.elapsed(),
            memory_bytes,
            instructions,
        })
    }

    fn instance(&self, limits: DecisionLimits) -> Result<Instance, Failure> {
        Instance::new(&self.engine, &self.exports, self.source.clone(), limits)
    }

    /// Takes note of a decision for a client, on a fresh instance. Of its time not where it failed: a client
    /// that makes a guest fail does not make the decisions of others wait for the slow pool.
    fn note(&self, decision: &Result<Decision, Failure>, stopwatch: Stopwatch<'_>) {
        self.engine.note_fresh_decision();
        if decision.is_ok() {
            stopwatch.stop();
        }
    }

    /// Its live form, or why it has none, once that is known.
    pub(in crate::guest) fn live(&self) -> Option<&Result<LiveGuest, Ineligible>> {
        self.live.get()
    }

    /// Has decisions made live from now on, or keeps why not.
    pub(in crate::guest) fn set_live(&self, live: Result<LiveGuest, Ineligible>) {
        // The first stays: both are of the same guest.
        let _ = self.live.set(live);
    }

    /// Decides for a client, on a fresh instance.
    fn run_once(&self, request: &Request, limits: DecisionLimits) -> Result<Decision, Failure> {
        let mut instance = self.instance(limits)?;
        let decision = instance.decide(request);
        if self.engine.is_for_edits() {
            show(&instance.printed());
        }
        decision
    }
}

/// Shows the author of a guest what it printed.
fn show(printed: &str) {
    if !printed.is_empty() {
        tracing::info!("guest printed");
        diagnostics::show_output(printed.trim_end());
    }
}

fn with_retries<R>(mut attempt: impl FnMut() -> Result<R, Failure>) -> Result<R, Failure> {
    for _ in 1..ATTEMPTS {
        match attempt() {
            Err(Failure::Deadline) => {}
            result => return result,
        }
    }
    attempt()
}

/// What came of a decision on a live instance.
enum Live {
    Decided(Result<Decision, Failure>),
    /// Nothing: one on a fresh instance counts.
    Undecided,
    /// Nothing, and the time for it is over.
    NotInTime,
}
