//! How guests are compiled: the same in the helper that compiles them and in the server that
//! runs the machine code.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wasmtime::Config;

use super::function_cache::FunctionCache;

/// What machine code depends on. The compiler and the server that runs the code use the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Settings {
    pub(super) stack_bytes: usize,
    /// Whether instructions are counted, which makes guests slower.
    pub(super) is_counting: bool,
}

/// The most bytes of state that are one image, however many of them are zero. An image is mapped
/// for a decision, and what is none is copied.
const MAX_IMAGE_BYTES: usize = 64 << 20;

/// An engine that compiles and runs nothing. It goes by these functions and adds others, if
/// they are to be kept. `state_bytes` are those that the state of a configured guest may have.
pub(super) fn compiling(
    settings: &Settings,
    functions: Option<Arc<FunctionCache>>,
    state_bytes: Option<usize>,
) -> wasmtime::Result<wasmtime::Engine> {
    let mut config = config(settings);
    if let Some(bytes) = state_bytes {
        config.memory_guaranteed_dense_image_size(bytes.min(MAX_IMAGE_BYTES) as u64);
    }
    if let Some(functions) = functions {
        config.enable_incremental_compilation(functions)?;
    }
    wasmtime::Engine::new(&config)
}

/// An engine that compiles as the others do, and runs what it compiled, one configuration at a
/// time.
pub(super) fn configuring(
    settings: &Settings,
    functions: Arc<FunctionCache>,
) -> wasmtime::Result<wasmtime::Engine> {
    let mut config = config(settings);
    config
        .enable_incremental_compilation(functions)?
        // Of memory that is used once nothing is copied on write; and a helper may not make the
        // file that would be copied from.
        .memory_init_cow(false);
    wasmtime::Engine::new(&config)
}

/// How guests are compiled, wherever that is done.
pub(super) fn config(settings: &Settings) -> Config {
    let mut config = Config::new();
    config
        .consume_fuel(settings.is_counting)
        .epoch_interruption(true)
        .max_wasm_stack(settings.stack_bytes)
        // Nothing of a decision is asynchronous.
        .concurrency_support(false)
        // Equal inputs give equal decisions, on every machine.
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true);
    config
}
