//! Configures a guest: its `configure` runs once, and the state that it leaves is made the
//! state that each decision starts from.
//!
//! The guest is compiled with accessors for its memories and globals (`wasmtime-wizer` calls
//! that instrumented), runs on an engine of its own, which compiles as that of the server does, and
//! becomes a new component whose data and globals are what they were then. Functions are in both as
//! they were, so that a [`FunctionCache`] saves compiling them twice.
//!
//! It runs where it is compiled, in a helper that can open nothing, and imports nothing there
//! either. Its time is that of a processor, as the helper may wait for one for long.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wasmtime::component::{Component, Instance};
use wasmtime::{Store, UpdateDeadline};
use wasmtime_wizer::{ComponentContext, Wizer};

use super::composition::Composition;
use super::configurable::INTERFACE;
use super::configuration_error::ConfigurationError;
use super::epoch::{EpochClock, Ticks};
use super::function_cache::FunctionCache;
use super::job_error::{CompileError, JobError};
use super::output;
use super::settings::{Settings, configuring};
use super::snapshot::State;
use super::usage::{FUEL, MEMORIES, Usage, failure};
use crate::clock::thread_cpu_time;
use crate::guest::failure::Failure;
use crate::text;

/// What a configuration may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ConfigureLimits {
    /// Bytes of memory, as for a decision.
    pub(super) memory_bytes: usize,
    /// Elements of each table.
    pub(super) table_elements: usize,
    /// Time of a processor.
    pub(super) time: Duration,
}

/// Bytes of address space that one memory reserves, and does not take: 4 GiB, and the pages
/// around them that trap.
const RESERVED_FOR_MEMORY: u64 = (4 << 30) + (128 << 20);

/// Bytes of address space that a configuration reserves, and does not take.
pub(super) const RESERVED_BYTES: u64 = MEMORIES as u64 * RESERVED_FOR_MEMORY;

/// Characters that are passed on of the sentence with which a guest refuses its data. Half of
/// them are shown.
const SENTENCE_CHARACTERS: usize = 2_000;

/// Gives the component that this one is after its configuration with this data.
pub(super) fn configure(
    settings: &Settings,
    limits: &ConfigureLimits,
    component: &[u8],
    data: Option<&[u8]>,
    functions: &Arc<FunctionCache>,
) -> Result<Vec<u8>, JobError> {
    let mut wizer = Wizer::new();
    // It would leave out an export of the name that it knows, which is none of ours.
    wizer.keep_init_func(true);
    let composition = Composition::of(component);
    let (context, instrumented) = guarded(|| wizer.instrument_component(composition.inner()))??;
    let engine = configuring(settings, Arc::clone(functions))
        .map_err(|error| JobError::NoCompiler(text::error_line(error)))?;
    let clock = EpochClock::start(engine.weak())
        .map_err(|error| JobError::NoCompiler(text::error_line(error)))?;
    let compiled = Component::new(&engine, &instrumented)
        .map_err(|error| JobError::Compile(CompileError::Invalid(text::error_line(error))))?;
    drop(instrumented);
    let _ticking = clock.ticking();
    let mut store = store(&engine, settings, limits)?;
    let instance = run(&mut store, &compiled, data, limits.time)?;
    Ok(composition.with(take_state(&wizer, &context, &mut store, instance)?))
}

/// A store for one configuration, whose clock runs.
fn store(
    engine: &wasmtime::Engine,
    settings: &Settings,
    limits: &ConfigureLimits,
) -> Result<Store<Usage>, JobError> {
    let usage = Usage::of_at_most(limits.memory_bytes).with_tables_of(limits.table_elements);
    let mut store = Store::new(engine, usage);
    store.limiter(|usage| usage);
    // What a guest returns is in its memory.
    store.set_hostcall_fuel(limits.memory_bytes);
    if settings.is_counting {
        store.set_fuel(FUEL).map_err(|error| JobError::NoCompiler(text::error_line(error)))?;
    }
    let (began, time) = (thread_cpu_time(), limits.time);
    store.set_epoch_deadline(Ticks::at_least(time).0);
    store.epoch_deadline_callback(move |_| {
        // Others had the processor for the rest of it.
        let rest = time.saturating_sub(thread_cpu_time().saturating_sub(began));
        Ok(match rest.is_zero() {
            true => UpdateDeadline::Interrupt,
            false => UpdateDeadline::Continue(Ticks::at_least(rest).0),
        })
    });
    Ok(store)
}

/// Makes an instance, and configures it.
fn run(
    store: &mut Store<Usage>,
    component: &Component,
    data: Option<&[u8]>,
    time: Duration,
) -> Result<Instance, ConfigurationError> {
    let failed = |error, usage: &Usage| match failure(error, usage) {
        Failure::Deadline => ConfigurationError::Deadline(time),
        Failure::Memory(what) => ConfigurationError::Memory(what),
        failure => ConfigurationError::Trap(failure.to_string()),
    };
    let linker = output::link(component).map_err(|error| failed(error, store.data()))?;
    let interface = component.get_export_index(None, INTERFACE);
    let function = interface
        .and_then(|interface| component.get_export_index(Some(&interface), "configure"))
        .ok_or_else(|| ConfigurationError::Type("it is not there".to_owned()))?;
    let instance = linker.instantiate(&mut *store, component);
    let instance = instance.map_err(|error| failed(error, store.data()))?;
    let configure = instance
        .get_typed_func::<(&[u8],), (Result<(), String>,)>(&mut *store, function)
        .map_err(|error| ConfigurationError::Type(text::error_line(error)))?;
    let (configured,) = configure
        .call(&mut *store, (data.unwrap_or_default(),))
        .map_err(|error| failed(error, store.data()))?;
    match configured {
        Ok(()) => Ok(instance),
        Err(sentence) => Err(ConfigurationError::Refused {
            sentence: sentence.chars().take(SENTENCE_CHARACTERS).collect(),
            has_data: data.is_some(),
        }),
    }
}

/// Makes a component of what it is and the state that the instance has.
fn take_state(
    wizer: &Wizer,
    context: &ComponentContext<'_>,
    store: &mut Store<Usage>,
    instance: Instance,
) -> Result<Vec<u8>, JobError> {
    // The accessors' pages are not the guest's.
    store.data_mut().lift();
    store.set_hostcall_fuel(usize::MAX);
    store.set_epoch_deadline(u64::MAX >> 1);
    let mut state = State::new(store, instance);
    let component = guarded(|| {
        let snapshot = wizer.snapshot_component(context, &mut state);
        futures_util::FutureExt::now_or_never(snapshot)
            .unwrap_or_else(|| Err(wasmtime::format_err!("it is not there at once")))
    });
    // Without this the component, or the panic, is of no use.
    if let Some(error) = state.failed() {
        return Err(unusable(error).into());
    }
    Ok(component??)
}

/// Does what may panic on a component that no toolchain makes.
fn guarded<R>(
    work: impl FnOnce() -> wasmtime::Result<R>,
) -> Result<Result<R, ConfigurationError>, ConfigurationError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => Ok(done.map_err(unusable)),
        Err(_) => Err(ConfigurationError::State(
            "it has a part that is neither exported nor fixed".to_owned(),
        )),
    }
}

fn unusable(error: wasmtime::Error) -> ConfigurationError {
    ConfigurationError::State(text::error_line(error))
}
