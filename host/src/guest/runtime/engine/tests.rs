//! The engine that compiles and the one that runs.

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
