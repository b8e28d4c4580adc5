//! The wasmtime engine: compiles guests, and bounds what a running one may use.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use wasmtime::component::Component;
use wasmtime::{Enabled, InstanceAllocationStrategy, PoolingAllocationConfig};

use super::code_cache::CodeCache;
use super::compile::{CompileLimits, Compiler, Urgency};
use super::compile_job::{Product, Task};
use super::component::{self, Form};
use super::configure::ConfigureLimits;
use super::epoch::EpochClock;
use super::job_error::CompileError;
use super::known::Known;
use super::limits::GuestLimits;
use super::machine_code;
use super::settings::{Settings, config};
use super::slow_pool::SlowPool;
use super::swap::Swap;
use super::usage::MEMORIES;
use crate::guest::cache_budget::CacheBudget;
use crate::guest::digest::Digest;
use crate::guest::load_error::{LimitError, LoadError};
use crate::helper::{CancelToken, Helpers};
use crate::lock::lock;
use crate::text;

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
            .map_err(|error| not_loaded(error, &self.limits))?;
        if let Some(cache) = cache {
            cache.keep_code(wasm, digest, is_edited, &code);
        }
        Ok(Code { form, component, is_kept: false })
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
/// them, and one to try a guest.
pub const fn instances(workers: u32) -> u32 {
    workers * 2 + 1
}

/// Why wasmtime does not load machine code. It compiles for any limits, and refuses here what
/// these do not allow.
fn not_loaded(error: wasmtime::Error, limits: &GuestLimits) -> LoadError {
    const FIRST_MEMORY: &str = "memory has a minimum byte size of ";
    if error.is::<std::io::Error>() || error.is::<rustix::io::Errno>() {
        return LoadError::Unavailable(text::error_line(error));
    }
    let error = text::error_line(error);
    let first_memory = error
        .split_once(FIRST_MEMORY)
        .and_then(|(_, rest)| rest.split(' ').next()?.parse::<u64>().ok());
    match first_memory {
        Some(needed) => {
            LoadError::Limit(LimitError::Memory { needed, limit: limits.decision.memory_bytes })
        }
        None if error.contains("pooling allocator") => LoadError::Limit(LimitError::Other(error)),
        None => LoadError::Compile(CompileError::Invalid(error)),
    }
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
        config.allocation_strategy(pool(limits, instances(workers), swap.was_on()));
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

/// Where instances live. What may be swapped out is reset without `PAGEMAP_SCAN`: see [`Swap`].
fn pool(limits: GuestLimits, concurrency: u32, may_swap: bool) -> InstanceAllocationStrategy {
    // A component may have several memories and tables; one for each of its
    // core instances is what toolchains produce at most.
    let per_component = limits.core_instances;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(concurrency)
        .total_core_instances(concurrency * per_component)
        .total_memories(concurrency * MEMORIES)
        .total_tables(concurrency * per_component)
        .max_core_instances_per_component(per_component)
        .max_memories_per_component(MEMORIES)
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
mod tests {
    use std::hash::{DefaultHasher, Hash, Hasher};

    use super::{GuestLimits, PreparedEngine};
    use crate::guest::runtime::limits::DecisionLimits;
    use crate::guest::runtime::settings::{Settings, compiling};

    /// Otherwise what the one compiled would be refused by the other.
    #[test]
    fn compiling_and_running_engine_are_compatible() {
        let hash = |engine: &wasmtime::Engine| {
            let mut hasher = DefaultHasher::new();
            engine.precompile_compatibility_hash().hash(&mut hasher);
            hasher.finish()
        };
        let mut seen = Vec::new();
        for (is_counting, stack_bytes) in [(false, 512 << 10), (true, 64 << 10)] {
            let decision = DecisionLimits { memory_bytes: 1 << 20, ..Default::default() };
            let limits = GuestLimits { decision, stack_bytes, ..Default::default() };
            let runs = PreparedEngine::with(limits, 1, is_counting, false).expect("an engine");
            let settings = Settings { stack_bytes, is_counting };
            for functions in [None, Some(Default::default())] {
                for state_bytes in [None, Some(64 << 20)] {
                    let compiles = compiling(&settings, functions.clone(), state_bytes);
                    assert_eq!(hash(&runs.wasm), hash(&compiles.expect("an engine")));
                }
            }
            seen.push(hash(&runs.wasm));
        }
        assert_ne!(seen[0], seen[1]);
    }
}
