//! Runs guests: the only code that knows wasmtime.
//!
//! - [`engine`] and `epoch`: the engine, and the clock that interrupts what runs.
//! - [`limits`]: what a guest may use; `settings`: how guests are compiled.
//! - [`component`]: bytes in one of three forms become a component.
//! - [`contract`]: the versions of the contract that are known; `bindings`: their types.
//! - [`compile`]: compiles guests, in helper processes; [`compile_job`]: one compilation;
//!   `turns`: which is next; [`job_error`]: why there is no result.
//! - `composition`: the guest in a component that is made of others.
//! - `configurable`: what a component tells of its configuration; `configure`: it is configured, and
//!   a `snapshot` of its state taken; [`configuration_error`]: why not.
//! - [`code_cache`]: compiled guests on disk, in a [`code_directory`]; `function_cache`: parts of
//!   one that is edited; `machine_code`: the door for it.
//! - `malloc_trim`: gives back the memory that compiling took.
//! - [`program`]: a compiled guest that can run; `instance`: one instance of it, for one call;
//!   `usage`: what it uses, and may use; `output`: it prints;
//!   `printed`: the last of that; `source_lines`: the lines of source that its code comes from.
//! - [`isolation`]: how decisions are kept apart; [`live`]: instances that are put back to what they were in place of being made anew.
//! - `known`: what guests of the same content share.
//! - `decision_cost`: the time of a decision; `slow_pool`: threads for slow ones.
//! - [`swap`]: whether the memory of guests may be swapped out.
//! - `background`: a thread for what may be done later.
//! - `thread`: what a thread needs before it runs guests.

pub(in crate::guest) mod background;
mod bindings;
pub mod code_cache;
pub mod code_directory;
pub mod compile;
pub mod compile_job;
pub mod component;
mod composition;
pub mod configurable;
pub mod configuration_error;
mod configure;
pub mod contract;
pub(in crate::guest) mod decision_cost;
pub mod engine;
mod epoch;
mod function_cache;
mod instance;
pub mod isolation;
pub mod job_error;
mod known;
pub mod limits;
pub mod live;
mod machine_code;
mod malloc_trim;
pub(in crate::guest) mod output;
mod printed;
pub mod program;
mod sections;
mod settings;
pub(super) mod slow_pool;
mod snapshot;
mod source_lines;
pub mod swap;
pub mod thread;
mod turns;
mod usage;
