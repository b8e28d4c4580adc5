//! The wasmtime engine: compiles guests, and bounds what a running one may use.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use wasmtime::component::Component;
use wasmtime::{Enabled, InstanceAllocationStrategy, PoolingAllocationConfig};

use super::background::Background;
use super::code_cache::CodeCache;
use super::compile::{CompileLimits, Compiler, Urgency};
use super::compile_job::{Product, Task};
use super::component::{self, Form};
use super::configure::ConfigureLimits;
use super::epoch::EpochClock;
use super::isolation::{DecisionCounts, Isolation};
use super::known::Known;
use super::limits::GuestLimits;
use super::live::instances::{AllInstances, Instances};
use super::live::source::Source;
use super::machine_code;
use super::settings::{Settings, config};
use super::slow_pool::SlowPool;
use super::swap::Swap;
use super::usage::MEMORIES;
use crate::guest::cache_budget::CacheBudget;
use crate::guest::digest::Digest;
use crate::guest::load_error::LoadError;
use crate::helper::{CancelToken, Helpers};
use crate::lock::lock;

/// How long a decision may keep a worker from its other connections. One that
/// takes longer is begun again in the slow pool, where it has the whole
/// deadline. The default guest takes 10 µs.
pub(super) const WORKER_DEADLINE: Duration = Duration::from_millis(2);

/// Guests that are remembered to have passed their check: more than a server has.
const PASSED: usize = 10_000;

/// Compiles guests and gives them room to run.
pub struct Engine {
    wasm: wasmtime::Engine,
    limits: GuestLimits,
    is_counting: bool,
    /// Where decisions are made that take too long for a worker.
    slow_pool: SlowPool,
    /// For the decision caches of each worker.
    cache_budgets: Box<[Arc<CacheBudget>]>,
    /// Instances that stay.
    live_instances: Arc<AllInstances>,
    /// Decisions on fresh instances, for clients.
    fresh_decisions: AtomicU64,
    /// Guests that are not live any more, as they were not put back or decided differently.
    live_differences: AtomicU64,
    /// Whether decisions are made on instances that stay, where a guest is eligible.
    isolation: Isolation,
    background: Background,
    /// What guests of the same content share.
    known: Known,
    /// How long decisions of guests take that were validated by this process.
    passed: Mutex<HashMap<Digest, Duration>>,
    clock: EpochClock,
    compiler: Compiler,
    code_cache: Option<CodeCache>,
    is_for_author: bool,
    /// Whether a guest gets no seed for its tables, although it runs for its author.
    refuses_seed: bool,
    swap: Arc<Swap>,
}

impl Engine {
    /// An engine for a server of this many workers. There is room for one decision
    /// on each worker, for as many slow ones beside them, and for one that is
    /// made to try a guest.
    pub fn new(limits: GuestLimits, workers: u32) -> wasmtime::Result<Engine> {
        PreparedEngine::new(limits, workers)?.start()
    }

    /// An engine that counts the instructions of what it runs, for measurements.
    pub fn counting(limits: GuestLimits) -> wasmtime::Result<Engine> {
        PreparedEngine::with(limits, 1, true, false)?.start()
    }

    /// The engine, compiling in helpers what others wrote. The built-in guest is ours.
    pub fn compiling_in(self, helpers: Helpers, limits: CompileLimits) -> Engine {
        Engine { compiler: self.compiler.in_helpers(helpers, limits), ..self }
    }

    /// The engine, with a folder that it keeps compiled code in.
    pub fn keeping_code(self, cache: CodeCache) -> Engine {
        Engine { code_cache: Some(cache), ..self }
    }

    /// Gives the component that a guest is, or that it describes, once it is configured with its
    /// data, if it can be. It is compiled, unless that was done before: `digest` is that of
    /// guest and data.
    pub(in crate::guest) fn compile(
        &self,
        guest: &[u8],
        data: Option<&[u8]>,
        digest: Digest,
        urgency: Urgency,
        cancel: &CancelToken,
    ) -> Result<Code, LoadError> {
        let form = component::form(guest)?;
        let (wasm, cache) = (&self.wasm, self.code_cache.as_ref());
        let is_edited = self.compiler.keeps_functions();
        if let Some(component) = cache.and_then(|cache| cache.recall(wasm, digest, is_edited)) {
            return Ok(Code { form, component, is_kept: true });
        }
        let code = self.compiler.run(
            Task { guest, data, product: Product::Code },
            urgency,
            cancel,
            |of| cache?.functions(wasm, of),
            |of, functions| {
                if let Some(cache) = cache {
                    cache.keep_functions(wasm, of, functions);
                }
            },
        )?;
        let component = machine_code::deserialize(wasm, &code)
            .map_err(|error| machine_code::not_loaded(error, &self.limits))?;
        if let Some(cache) = cache {
            cache.keep_code(wasm, digest, is_edited, &code);
        }
        Ok(Code { form, component, is_kept: false })
    }

    /// Compiles the live form of a guest that was compiled, for [`LiveGuest::load`], when there is
    /// nothing else to compile. [`LoadError::Canceled`] if it is not wanted any more.
    ///
    /// [`LiveGuest::load`]: super::live::guest::LiveGuest::load
    pub(in crate::guest) fn compile_live(
        &self,
        source: &Source<'_>,
        has_spare: bool,
        is_wanted: &dyn Fn() -> bool,
    ) -> Result<Vec<u8>, LoadError> {
        self.compiler.run_live(source.guest, source.data, has_spare, is_wanted)
    }

    /// Keeps the live form of the guest with this digest, which has proved itself.
    pub(in crate::guest) fn keep_live(&self, digest: Digest, product: &[u8]) {
        if let Some(cache) = &self.code_cache {
            cache.keep_live(&self.wasm, digest, product);
        }
    }

    /// What was kept of the live form of the guest with this digest.
    pub(in crate::guest) fn kept_live(&self, digest: Digest) -> Option<Vec<u8>> {
        self.code_cache.as_ref()?.recall_live(&self.wasm, digest)
    }

    /// Whether decisions of guests may be live: not where instructions are counted, which the live
    /// form has more of, nor where a guest's author listens to each instance.
    pub(in crate::guest) fn is_live(&self) -> bool {
        self.isolation == Isolation::Live && !self.is_counting && !self.is_for_author()
    }

    /// The engine, with this isolation of decisions from each other.
    pub fn isolating(self, isolation: Isolation) -> Engine {
        Engine { isolation, ..self }
    }

    /// How decisions were made for clients so far.
    pub fn decided(&self) -> DecisionCounts {
        let sum = |count: fn(&Instances) -> &AtomicU64| {
            self.live_instances.each().map(|of| count(of).load(Ordering::Relaxed)).sum()
        };
        DecisionCounts {
            live: sum(|of| &of.decisions),
            fresh: self.fresh_decisions.load(Ordering::Relaxed),
            instances: sum(|of| &of.made),
            differences: self.live_differences.load(Ordering::Relaxed),
        }
    }

    pub(super) fn note_fresh_decision(&self) {
        self.fresh_decisions.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a guest that is not live any more.
    pub(in crate::guest) fn note_live_difference(&self) {
        self.live_differences.fetch_add(1, Ordering::Relaxed);
    }

    /// The thread for what may be done later, beside what serves.
    pub(in crate::guest) fn background(&self) -> &Background {
        &self.background
    }

    /// Where threads keep instances.
    pub(super) fn live_instances(&self) -> &Arc<AllInstances> {
        &self.live_instances
    }

    /// Makes one guest of a guest and its data: a component that is configured, and takes no
    /// other data.
    pub fn bake(&self, guest: &[u8], data: Option<&[u8]>) -> Result<Vec<u8>, LoadError> {
        component::form(guest)?;
        let task = Task { guest, data, product: Product::Component };
        self.compiler.run(task, Urgency::First, &CancelToken::default(), |_| None, |_, _| {})
    }

    pub(in crate::guest) fn wasm(&self) -> &wasmtime::Engine {
        &self.wasm
    }

    /// Whether the memory of guests may be swapped out.
    pub fn swap(&self) -> Arc<Swap> {
        Arc::clone(&self.swap)
    }

    /// The limits that it was made with: no guest has more.
    pub fn limits(&self) -> GuestLimits {
        self.limits
    }

    pub(super) fn is_counting(&self) -> bool {
        self.is_counting
    }

    /// The same as a server's in what a guest may do.
    pub fn without_seed(self) -> Engine {
        Engine { refuses_seed: true, ..self }
    }

    /// The engine, for the author of a guest: it serves nobody.
    pub fn for_author(self) -> Engine {
        Engine { is_for_author: true, ..self }
    }

    /// Whether a guest gets zeros for a seed.
    pub(super) fn has_seed(&self) -> bool {
        self.is_for_author() && !self.refuses_seed
    }

    /// Whether what runs is seen by its author alone.
    pub(super) fn is_for_author(&self) -> bool {
        self.is_for_author || self.is_for_edits()
    }

    /// Whether it is that of `innkeeper dev`.
    pub(super) fn is_for_edits(&self) -> bool {
        self.compiler.keeps_functions()
    }

    /// The clock that interrupts what runs.
    pub(super) fn clock(&self) -> &EpochClock {
        &self.clock
    }

    /// The bytes of each worker that guests cache decisions in.
    pub(in crate::guest) fn cache_budgets(&self) -> &[Arc<CacheBudget>] {
        &self.cache_budgets
    }

    /// What guests of the same content share.
    pub(in crate::guest) fn known(&self) -> &Known {
        &self.known
    }

    /// How long a decision takes on average of the guest that passed the check with this key: in
    /// this process, or in an earlier one that has kept it.
    pub(in crate::guest) fn passed(&self, key: Digest) -> Option<Duration> {
        let kept = || self.code_cache.as_ref().and_then(|cache| cache.passed(key));
        let known = lock(&self.passed).get(&key).copied();
        known.or_else(|| kept().inspect(|average| self.remember(key, *average)))
    }

    /// Notes that the guest with this key passed its check.
    pub(in crate::guest) fn note_passed(&self, key: Digest, average: Duration) {
        self.remember(key, average);
        if let Some(cache) = &self.code_cache {
            cache.note_passed(key, average);
        }
    }

    fn remember(&self, key: Digest, average: Duration) {
        let mut passed = lock(&self.passed);
        if passed.len() >= PASSED {
            passed.clear();
        }
        passed.insert(key, average);
    }

    /// Where decisions are made that take too long for a worker.
    pub(super) fn slow_pool(&self) -> &SlowPool {
        &self.slow_pool
    }
}

/// The code of a guest.
pub(in crate::guest) struct Code {
    /// What its file holds.
    pub(in crate::guest) form: Form,
    /// The guest, compiled and configured.
    pub(in crate::guest) component: Component,
    /// Whether it was compiled at an earlier start.
    pub(in crate::guest) is_kept: bool,
}

/// Instances at a time of a server with this many workers: one on each, as many slow ones beside
/// them, one to try a guest, and one that the live form of another is compared with.
pub const fn instances(workers: u32) -> u32 {
    workers * 2 + 2
}

/// An engine that has all that it needs of the system, and no thread yet: what a process
/// gives up then holds for each thread that it ever has.
pub struct PreparedEngine {
    wasm: wasmtime::Engine,
    limits: GuestLimits,
    workers: u32,
    settings: Settings,
    keeps_functions: bool,
    swap: Arc<Swap>,
}

impl PreparedEngine {
    /// An engine for a server of this many workers, as [`Engine::new`] makes it.
    pub fn new(limits: GuestLimits, workers: u32) -> wasmtime::Result<PreparedEngine> {
        PreparedEngine::with(limits, workers, false, false)
    }

    /// An engine for `innkeeper dev`: it does not compile functions again that it compiled before.
    pub fn for_edits(limits: GuestLimits, workers: u32) -> wasmtime::Result<PreparedEngine> {
        PreparedEngine::with(limits, workers, false, true)
    }

    fn with(
        limits: GuestLimits,
        workers: u32,
        is_counting: bool,
        keeps_functions: bool,
    ) -> wasmtime::Result<PreparedEngine> {
        let settings = Settings { stack_bytes: limits.stack_bytes, is_counting };
        let mut config = config(&settings);
        let swap = Arc::new(Swap::open());
        let live = AllInstances::most(workers);
        config.allocation_strategy(pool(limits, instances(workers), live, swap.was_on()));
        let wasm = wasmtime::Engine::new(&config)?;
        Ok(PreparedEngine { wasm, limits, workers, settings, keeps_functions, swap })
    }

    /// Starts the clock that interrupts guests, and the threads for slow decisions.
    pub fn start(self) -> wasmtime::Result<Engine> {
        let PreparedEngine { wasm, limits, workers, settings, keeps_functions, swap } = self;
        let workers = usize::try_from(workers).unwrap_or(usize::MAX);
        let clock = EpochClock::start(wasm.weak())
            .map_err(|error| wasmtime::format_err!("cannot start the guests' clock: {error}"))?;
        let slow_pool = SlowPool::start(workers).map_err(|error| {
            wasmtime::format_err!("cannot start threads for slow decisions: {error}")
        })?;
        let background = Background::start().map_err(|error| {
            wasmtime::format_err!("cannot start the guests' background thread: {error}")
        })?;
        let (is_counting, code_cache) = (settings.is_counting, None);
        let configuration = ConfigureLimits {
            memory_bytes: limits.decision.memory_bytes,
            table_elements: limits.table_elements,
            time: limits.configure_time,
        };
        let compiler = Compiler::new(settings, configuration, keeps_functions);
        let (is_for_author, refuses_seed) = (false, false);
        Ok(Engine {
            wasm,
            limits,
            is_counting,
            slow_pool,
            cache_budgets: (0..workers)
                .map(|_| CacheBudget::new(limits.decision_cache_bytes))
                .collect(),
            live_instances: Arc::new(AllInstances::new(workers)),
            fresh_decisions: AtomicU64::new(0),
            live_differences: AtomicU64::new(0),
            isolation: Isolation::default(),
            background,
            known: Known::default(),
            passed: Mutex::default(),
            clock,
            compiler,
            code_cache,
            is_for_author,
            refuses_seed,
            swap,
        })
    }
}

/// Tables that a live guest has at most. Of toolchains' one is for calls, and one for adapters.
const MERGED_TABLES: u32 = 4;

/// Where instances live. What may be swapped out is reset without `PAGEMAP_SCAN`: see [`Swap`].
/// Beside fresh instances there are live ones.
fn pool(
    limits: GuestLimits,
    concurrency: u32,
    live: u32,
    may_swap: bool,
) -> InstanceAllocationStrategy {
    // A component may have several memories and tables; one for each of its
    // core instances is what toolchains produce at most.
    let per_component = limits.core_instances;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(concurrency)
        .total_core_instances(concurrency * per_component + live)
        .total_memories(concurrency * MEMORIES + 2 * live)
        .total_tables(concurrency * per_component + MERGED_TABLES * live)
        .max_core_instances_per_component(per_component)
        .max_memories_per_component(MEMORIES)
        // A live guest has its marks in a second one, and the tables of all of its modules.
        .max_memories_per_module(2)
        .max_tables_per_module(MERGED_TABLES)
        .max_tables_per_component(per_component)
        .max_component_instance_size(1 << 20)
        .max_core_instance_size(1 << 20)
        .table_elements(limits.table_elements)
        .max_memory_size(limits.decision.memory_bytes)
        // The pages that a small guest touches stay, and are reset by copying
        // instead of by a system call and a page fault each.
        .linear_memory_keep_resident(256 << 10)
        .table_keep_resident(16 << 10)
        .pagemap_scan(if may_swap { Enabled::No } else { Enabled::Auto });
    InstanceAllocationStrategy::Pooling(pool)
}

#[cfg(test)]
mod tests;
