//! Bytes become valid core modules with a memory, whose functions can be called (wasm-smith).

use arbitrary::{Arbitrary, Unstructured};
use wasm_smith::{Config, Module};

/// Loops and calls that a module may make, so that few meet a deadline.
const FUEL: u32 = 1_000;

/// A module of what guests use. All that it has is exported.
pub fn module(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Unstructured::new(bytes);
    let mut config = Config::arbitrary(&mut bytes).ok()?;
    config.export_everything = true;
    config.allow_invalid_funcs = false;
    config.max_instructions = 300;
    (config.min_types, config.max_types) = (3, 12);
    (config.min_funcs, config.max_funcs) = (3, 12);
    (config.min_imports, config.max_imports) = (0, 0);
    (config.min_memories, config.max_memories) = (1, 1);
    config.max_memory32_bytes = 4 << 16;
    config.memory_max_size_required = false;
    config.memory64_enabled = false;
    config.exceptions_enabled = false;
    config.gc_enabled = false;
    config.threads_enabled = false;
    config.shared_everything_threads_enabled = false;
    config.custom_page_sizes_enabled = false;
    config.custom_descriptors_enabled = false;
    config.wide_arithmetic_enabled = false;
    config.disallow_traps = bool::arbitrary(&mut bytes).ok()?;
    let mut module = Module::new(config, &mut bytes).ok()?;
    module.ensure_termination(FUEL).ok()?;
    Some(module.to_bytes())
}
