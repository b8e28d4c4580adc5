//! Machine code of guests: the one door through which it comes into the process.

use wasmtime::component::Component;

/// Makes a component of machine code: the one door through which code gets in that runs.
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
