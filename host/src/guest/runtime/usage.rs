//! What an instance uses, and what it may: growth beyond a limit is an error with its cause.

use std::fmt;

use std::sync::Arc;

use rustc_demangle::demangle;
use wasmtime::{FrameInfo, ResourceLimiter, Trap, WasmBacktrace};

use super::printed::Output;
use super::source_lines::SourceLines;
use crate::guest::failure::Failure;
use crate::guest::trapped::{Place, Trapped};
use crate::text;

/// Memories that one component may have: its own, and those of adapters. What componentize-qjs
/// makes with WASI stubbed has three.
pub(super) const MEMORIES: u32 = 3;

/// More instructions than fit into any deadline, where they are counted.
pub(super) const FUEL: u64 = u64::MAX / 2;

/// What a running instance has of what it may have.
pub(super) struct Usage {
    memory_bytes: usize,
    limit: usize,
    /// Elements of one table, where no pool limits them.
    table_elements: Option<usize>,
    /// What it printed.
    pub(super) output: Output,
    /// Whether it gets zeros for a seed: where it runs for its author, and serves nobody.
    pub(super) has_seed: bool,
    /// What its code comes from, for its author.
    source: Option<Arc<SourceLines>>,
}

impl Usage {
    /// Nothing of this many bytes of memory.
    pub(super) fn of_at_most(memory_bytes: usize) -> Usage {
        Usage {
            memory_bytes: 0,
            limit: memory_bytes,
            table_elements: None,
            output: Output::default(),
            has_seed: false,
            source: None,
        }
    }

    /// The same, perhaps with a seed.
    pub(super) fn with_seed(self, has_seed: bool) -> Usage {
        Usage { has_seed, ..self }
    }

    /// The same, of code from this source.
    pub(super) fn with_source(self, source: Option<Arc<SourceLines>>) -> Usage {
        Usage { source, ..self }
    }

    /// The same, outside of a pool.
    pub(super) fn with_tables_of(self, elements: usize) -> Usage {
        Usage { table_elements: Some(elements), ..self }
    }

    /// Bytes of linear memory that there are.
    pub(super) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// Lifts the limit: the guest does not run any more.
    pub(super) fn lift(&mut self) {
        self.limit = usize::MAX;
    }
}

/// Growth beyond the limit traps, so that the log has the cause: a guest whose growth fails only
/// aborts.
impl ResourceLimiter for Usage {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let growth = desired - current;
        if growth > self.limit - self.memory_bytes {
            return Err(OverLimit(format!("it asks for {desired} bytes of memory")).into());
        }
        self.memory_bytes += growth;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(OverLimit(format!("its memory cannot grow: {error}")).into())
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // The pool's tables have a fixed size; beyond it the next call is made.
        match self.table_elements {
            Some(limit) if desired > limit => {
                Err(OverLimit(format!("it asks for a table of {desired} elements")).into())
            }
            _ => Ok(true),
        }
    }

    fn memories(&self) -> usize {
        MEMORIES as usize
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(OverLimit(format!("its table cannot grow: {error}")).into())
    }
}

/// A limit on what a guest may have was met.
#[derive(Debug)]
struct OverLimit(String);

impl fmt::Display for OverLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for OverLimit {}

/// Functions that are told of a trap: the innermost ones. An interpreter has more.
const FUNCTIONS: usize = 20;

/// Why a call of an instance failed, and what it printed before.
pub(super) fn failure(error: wasmtime::Error, usage: &Usage) -> Failure {
    let frames = frames(&error);
    let mut failure = classify(error);
    if let Failure::Trap(trapped) = &mut failure {
        trapped.printed = usage.output.text();
        trapped.places = match &usage.source {
            Some(source) => source.places(&frames),
            None => {
                frames.into_iter().filter_map(|(_, name)| name).map(Place::of_function).collect()
            }
        };
    }
    failure
}

/// Why a call failed.
pub(super) fn classify(error: wasmtime::Error) -> Failure {
    if error.is::<wasmtime::PoolConcurrencyLimitError>() {
        return Failure::Busy;
    }
    if let Some(OverLimit(what)) = error.downcast_ref() {
        return Failure::Memory(what.clone());
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => Failure::Deadline,
        trap => {
            let cause = match trap {
                Some(trap) => trap.to_string(),
                None => called_import(&text::error_line(words(&error))),
            };
            Failure::Trap(Box::new(Trapped::new(cause)))
        }
    }
}

/// An error with its causes, but for the backtrace that is among them.
fn words(error: &wasmtime::Error) -> String {
    let causes = error.chain().map(ToString::to_string);
    let causes =
        causes.filter(|cause| !cause.starts_with("error while executing at wasm backtrace"));
    causes.collect::<Vec<_>>().join(": ")
}

/// Of a call of an import, which it is: wasmtime says that it is unknown.
fn called_import(error: &str) -> String {
    let import = error.strip_prefix("unknown import: `").and_then(|rest| rest.split_once('`'));
    match import {
        Some((name, _)) => format!("it calls the import {name}, and a guest has none"),
        None => error.to_owned(),
    }
}

/// Where a guest was, the innermost function first: the offset into the component, and the name, as
/// far as its modules have names.
fn frames(error: &wasmtime::Error) -> Vec<(Option<usize>, Option<String>)> {
    let frames = error.downcast_ref().map_or(&[][..], WasmBacktrace::frames);
    let name = |frame: &FrameInfo| Some(format!("{:#}", demangle(frame.func_name()?)));
    frames.iter().take(FUNCTIONS).map(|frame| (frame.module_offset(), name(frame))).collect()
}
