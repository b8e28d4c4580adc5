//! Enters the sandbox: files first, then system calls.

use super::calls::Refusals;
use super::error::SandboxError;
use super::outcome::{Enforced, Sandbox};
use super::role::{Needs, Role};
use super::{advice, allow_lists, paths};

/// Confines this thread, and each that it starts, for good. To be called before others are
/// started.
///
/// What the kernel does not support is no error; the result says so.
pub fn enter(role: Role<'_>, refusals: Refusals) -> Result<Sandbox, SandboxError> {
    let files = paths::confine(role)?;
    if matches!(role, Role::Server(_)) && files != Enforced::Not {
        advice::note_confined();
    }
    let allowed = match role {
        Role::Server(_) => allow_lists::server(),
        Role::Compiler => allow_lists::compiler(),
        Role::Spawner => allow_lists::spawner(),
        Role::Opener => allow_lists::opener(),
        Role::Fetcher(_) => allow_lists::fetcher(),
        Role::FetcherKeeper(_) => allow_lists::fetcher_keeper(),
    };
    let calls = match allowed.enforce(refusals) {
        Ok(()) => Enforced::Fully,
        Err(error) => {
            tracing::warn!(%error, "system calls are not filtered");
            Enforced::Not
        }
    };
    let needs = match role {
        Role::Server(needs) | Role::Fetcher(needs) | Role::FetcherKeeper(needs) => needs.clone(),
        Role::Compiler | Role::Spawner | Role::Opener => Needs::default(),
    };
    let Needs { read, mut write, remove, by_name } = needs;
    // Removing is a part of writing, for what is told of it.
    write.extend(remove);
    Ok(Sandbox { files, calls, reads: read, writes: write, by_name })
}
