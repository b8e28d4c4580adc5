//! The wasmtime engine: compiles guests, and bounds what a running one may use.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::Component;
use wasmtime::{Config, InstanceAllocationStrategy, PoolingAllocationConfig};

use super::clock::{Clock, Ticks};
use super::code_cache::CodeCache;
use super::functions::Functions;
use super::heap;
use super::lanes::Lanes;

/// How long a decision may keep a worker from its other connections. One that
/// takes longer is begun anew on a thread of its own, where it has the whole
/// deadline. The default guest takes 10 µs.
pub(super) const WORKER_DEADLINE: Duration = Duration::from_millis(2);

/// What one decision may use, and what is kept of decisions.
#[derive(Clone, Copy, Debug)]
pub struct GuestLimits {
    /// How long a decision may take. Remembered decisions aside, the default
    /// guest takes 10 µs and one in Python 2 ms.
    pub deadline: Duration,
    /// The bytes that a guest's memories may have, together. A guest in Python
    /// starts with 18 MiB.
    pub memory_bytes: usize,
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
    /// The bytes of decisions that each worker remembers, with the requests that
    /// they are for: some 15,000 decisions of the default guest. 0: none.
    pub remembered_bytes: u64,
}

impl Default for GuestLimits {
    fn default() -> Self {
        GuestLimits {
            deadline: Duration::from_millis(100),
            memory_bytes: 64 << 20,
            stack_bytes: 512 << 10,
            table_elements: 20_000,
            core_instances: 64,
            decision_bytes: 2 << 20,
            remembered_bytes: 4 << 20,
        }
    }
}

/// Compiles guests and gives them room to run.
pub struct Engine {
    wasm: wasmtime::Engine,
    limits: GuestLimits,
    workers: usize,
    counting: Counting,
    /// Where decisions are made that take too long for a worker.
    lanes: Lanes,
    clock: Clock,
    code_cache: Option<CodeCache>,
    /// What it compiled before, where that is kept.
    functions: Option<Arc<Functions>>,
}

impl Engine {
    /// An engine for a server of this many workers. There is room for one decision
    /// on each worker, for as many slow ones beside them, and for one that is
    /// made to try a guest.
    pub fn new(limits: GuestLimits, workers: u32) -> wasmtime::Result<Engine> {
        Engine::with(limits, workers, Counting::Off)
    }

    /// An engine that counts the instructions of what it runs, for measurements.
    pub fn counting(limits: GuestLimits) -> wasmtime::Result<Engine> {
        Engine::with(limits, 1, Counting::On)
    }

    fn with(limits: GuestLimits, workers: u32, counting: Counting) -> wasmtime::Result<Engine> {
        PreparedEngine::with(limits, workers, counting, None)?.start()
    }

    /// The engine, with a folder that it keeps compiled code in.
    pub fn keeping_code(self, cache: CodeCache) -> Engine {
        Engine { code_cache: Some(cache), ..self }
    }

    /// Where compiled code is kept, if anywhere.
    pub(super) fn code_cache(&self) -> Option<&CodeCache> {
        self.code_cache.as_ref()
    }

    /// Compiles a component, unless that was done before.
    pub(super) fn compile(&self, component: &[u8]) -> wasmtime::Result<Component> {
        match &self.code_cache {
            Some(cache) => cache.compiled(&self.wasm, component, self.functions.as_deref()),
            None => compile(&self.wasm, component),
        }
    }

    pub(super) fn wasm(&self) -> &wasmtime::Engine {
        &self.wasm
    }

    /// The limits it was made with.
    pub fn limits(&self) -> GuestLimits {
        self.limits
    }

    pub(super) fn is_counting(&self) -> bool {
        self.counting == Counting::On
    }

    /// The workers of the server it was made for.
    pub(super) fn workers(&self) -> usize {
        self.workers
    }

    /// The clock that interrupts what runs.
    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Where decisions are made that take too long for a worker.
    pub(super) fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    /// The deadline of a decision.
    pub(super) fn deadline(&self) -> Ticks {
        Ticks::at_least(self.limits.deadline)
    }

    /// The deadline of a decision that keeps a worker waiting.
    pub(super) fn worker_deadline(&self) -> Ticks {
        self.deadline().min(Ticks::at_least(WORKER_DEADLINE))
    }
}

/// Compiles a component.
pub(super) fn compile(engine: &wasmtime::Engine, component: &[u8]) -> wasmtime::Result<Component> {
    let compiled = Component::from_binary(engine, component);
    if component.len() >= LARGE {
        heap::give_back();
    }
    compiled
}

/// Bytes of a component that takes much memory to compile: some 15 for each of its own.
const LARGE: usize = 512 << 10;

/// An engine that has all that it needs of the system, and no thread yet: what a process
/// gives up then holds for each thread that it ever has.
pub struct PreparedEngine {
    wasm: wasmtime::Engine,
    limits: GuestLimits,
    workers: u32,
    counting: Counting,
    functions: Option<Arc<Functions>>,
}

impl PreparedEngine {
    /// An engine for a server of this many workers, as [`Engine::new`] makes it.
    pub fn new(limits: GuestLimits, workers: u32) -> wasmtime::Result<PreparedEngine> {
        PreparedEngine::with(limits, workers, Counting::Off, None)
    }

    /// The same, for who edits a guest: functions that it compiled before it does not compile
    /// again.
    pub fn for_edits(limits: GuestLimits, workers: u32) -> wasmtime::Result<PreparedEngine> {
        PreparedEngine::with(limits, workers, Counting::Off, Some(Arc::default()))
    }

    fn with(
        limits: GuestLimits,
        workers: u32,
        counting: Counting,
        functions: Option<Arc<Functions>>,
    ) -> wasmtime::Result<PreparedEngine> {
        // One on each worker, as many slow ones beside them, and one to try a guest.
        let mut config = config(limits, workers * 2 + 1);
        config.consume_fuel(counting == Counting::On);
        if let Some(functions) = functions.clone() {
            config.enable_incremental_compilation(functions)?;
        }
        let wasm = wasmtime::Engine::new(&config)?;
        Ok(PreparedEngine { wasm, limits, workers, counting, functions })
    }

    /// Starts the clock that interrupts guests, and the threads for slow decisions.
    pub fn start(self) -> wasmtime::Result<Engine> {
        let PreparedEngine { wasm, limits, workers, counting, functions } = self;
        let workers = usize::try_from(workers).unwrap_or(usize::MAX);
        let clock = Clock::start(wasm.weak())
            .map_err(|error| wasmtime::format_err!("cannot start the guests' clock: {error}"))?;
        let lanes = Lanes::start(workers).map_err(|error| {
            wasmtime::format_err!("cannot start threads for slow decisions: {error}")
        })?;
        let code_cache = None;
        Ok(Engine { wasm, limits, workers, counting, lanes, clock, code_cache, functions })
    }
}

/// Whether instructions are counted, which makes guests slower.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Counting {
    Off,
    On,
}

/// How guests are compiled and where their instances live.
fn config(limits: GuestLimits, concurrency: u32) -> Config {
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
        .max_memory_size(limits.memory_bytes)
        // The pages that a small guest touches stay, and are reset by copying
        // instead of by a system call and a page fault each.
        .linear_memory_keep_resident(256 << 10)
        .table_keep_resident(16 << 10)
        .pagemap_scan(wasmtime::Enabled::Auto);
    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .epoch_interruption(true)
        .max_wasm_stack(limits.stack_bytes)
        // Nothing of a decision is asynchronous.
        .concurrency_support(false)
        // Equal inputs give equal decisions, on every machine.
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true);
    config
}

/// Memories that one component may have: its own, and those of adapters. What componentize-qjs
/// makes with WASI stubbed has three.
const MEMORIES: u32 = 3;
