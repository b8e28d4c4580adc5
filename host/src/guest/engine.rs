//! The wasmtime engine: compiles guests, and bounds what a running one may use.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use wasmtime::{Config, InstanceAllocationStrategy, PoolingAllocationConfig};

/// How often the clock that interrupts guests ticks. A deadline is kept to
/// within one tick; a tick costs a wake-up of a few microseconds.
const TICK: Duration = Duration::from_millis(10);

/// What one decision may use.
#[derive(Clone, Copy, Debug)]
pub struct GuestLimits {
    /// How long a decision may take. Remembered decisions aside, the default
    /// guest takes 20 µs and one in Python 2 ms; a worker's other connections
    /// wait meanwhile.
    pub deadline: Duration,
    /// The bytes that a guest's memories may have, together. A guest in Python
    /// starts with 18 MiB.
    pub memory_bytes: usize,
    /// The bytes of native stack that wasm may use. Deep recursion ends here.
    pub stack_bytes: usize,
    /// Elements of one table. Toolchains make one of a few thousand.
    pub table_elements: usize,
    /// Core instances of one component, each with a table and a memory at most.
    /// A component with adapters has about five.
    pub core_instances: u32,
    /// The host memory, in bytes, that reading a decision may take. It bounds a
    /// guest that returns the same megabyte a thousand times: 1 MiB of body,
    /// the largest decision that is allowed, and as much again for the rest.
    pub decision_bytes: usize,
}

impl Default for GuestLimits {
    fn default() -> Self {
        GuestLimits {
            deadline: Duration::from_millis(100),
            memory_bytes: 64 << 20,
            stack_bytes: 512 << 10,
            table_elements: 20_000,
            core_instances: 20,
            decision_bytes: 2 << 20,
        }
    }
}

/// Compiles guests and gives them room to run.
///
/// Dropping it ends the thread that ticks.
pub struct Engine {
    wasm: wasmtime::Engine,
    limits: GuestLimits,
    /// Closed by the drop, which ends the ticking thread.
    _ticking: mpsc::Sender<()>,
}

impl Engine {
    /// An engine with room for this many decisions at a time: one for each
    /// thread that asks for decisions.
    pub fn new(limits: GuestLimits, concurrency: u32) -> wasmtime::Result<Engine> {
        let wasm = wasmtime::Engine::new(&config(limits, concurrency))?;
        let (ticking, stopped) = mpsc::channel();
        let clock = wasm.weak();
        thread::Builder::new()
            .name("guest-clock".to_owned())
            .spawn(move || {
                while stopped.recv_timeout(TICK) == Err(mpsc::RecvTimeoutError::Timeout) {
                    match clock.upgrade() {
                        Some(engine) => engine.increment_epoch(),
                        None => break,
                    }
                }
            })
            .map_err(|error| wasmtime::format_err!("cannot start the guests' clock: {error}"))?;
        Ok(Engine { wasm, limits, _ticking: ticking })
    }

    pub(super) fn wasm(&self) -> &wasmtime::Engine {
        &self.wasm
    }

    /// The limits it was made with.
    pub fn limits(&self) -> GuestLimits {
        self.limits
    }

    /// The deadline in ticks from now, rounded up: at least what was asked for,
    /// and at most two ticks more.
    pub(super) fn deadline_ticks(&self) -> u64 {
        let ticks = self.limits.deadline.as_nanos().div_ceil(TICK.as_nanos());
        u64::try_from(ticks).unwrap_or(u64::MAX - 1).saturating_add(1)
    }
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

/// Memories that one component may have: its own, and one of an adapter.
const MEMORIES: u32 = 2;
