//! Bytes become valid modules and components (wasm-smith).

use arbitrary::{Arbitrary, Unstructured};
use wasm_smith::{Component, Config, Module};

/// A valid module with the exports of the given one, and any code.
pub fn module(bytes: &[u8], exports: Vec<u8>) -> Option<Vec<u8>> {
    let mut bytes = Unstructured::new(bytes);
    let mut config = config(&mut bytes).ok()?;
    config.exports = Some(exports);
    let module = Module::new(config, &mut bytes).ok()?;
    Some(module.to_bytes())
}

/// Any valid component.
pub fn component(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Unstructured::new(bytes);
    let config = config(&mut bytes).ok()?;
    Some(Component::new(config, &mut bytes).ok()?.to_bytes())
}

/// Any configuration, of what most guests use.
fn config(bytes: &mut Unstructured<'_>) -> arbitrary::Result<Config> {
    let mut config = Config::arbitrary(bytes)?;
    let is_wide = bool::arbitrary(bytes)?;
    config.max_instructions = 200;
    config.max_funcs = 20;
    config.min_funcs = 0;
    config.max_memory32_bytes = 8 << 20;
    if !is_wide {
        config.exceptions_enabled = false;
        config.gc_enabled = false;
        config.custom_descriptors_enabled = false;
        config.custom_page_sizes_enabled = false;
        config.memory64_enabled = false;
        config.shared_everything_threads_enabled = false;
        config.tail_call_enabled = false;
        config.threads_enabled = false;
        config.wide_arithmetic_enabled = false;
        config.max_imports = 0;
        config.min_imports = 0;
        config.max_memories = 1;
    }
    Ok(config)
}
