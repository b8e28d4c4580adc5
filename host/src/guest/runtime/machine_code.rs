//! Machine code of guests: the one door through which it comes into the process.

use wasmtime::Module;
use wasmtime::component::Component;

use super::job_error::CompileError;
use super::limits::GuestLimits;
use crate::guest::load_error::{LimitError, LoadError};
use crate::text;

/// Makes a module of machine code: that of a live guest.
#[expect(unsafe_code, reason = "compiled code cannot be verified, only trusted")]
pub(super) fn deserialize_module(
    engine: &wasmtime::Engine,
    bytes: &[u8],
) -> wasmtime::Result<Module> {
    // SAFETY: as of a component.
    unsafe { Module::deserialize(engine, bytes) }
}

/// Makes a component of machine code.
#[expect(unsafe_code, reason = "compiled code cannot be verified, only trusted")]
pub(super) fn deserialize(engine: &wasmtime::Engine, bytes: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: the bytes must be what wasmtime's compiler gave. Either they come from there
    // directly: `compile_job` made them here, or a helper did, which is this program and was
    // started by it, on a socket that no other process has. Or they are from a file that
    // `code_directory` renamed to its name after all of it was written, in a folder and with an owner
    // and a mode (`is_private`) that let only this user write it, who could run any code
    // anyway. wasmtime refuses those of another version, of other settings or for another
    // processor. What a compiler that a guest has taken over would give is code of that
    // guest's choice, as it would be if the compiler were part of this process.
    unsafe { Component::deserialize(engine, bytes) }
}

/// Why wasmtime does not load machine code. It compiles for any limits, and refuses here what
/// these do not allow.
pub(super) fn not_loaded(error: wasmtime::Error, limits: &GuestLimits) -> LoadError {
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
