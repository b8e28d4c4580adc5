//! What a helper gives up before it reads its first byte of a job.

use std::ffi::CString;
use std::io;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, Signal, getppid, setrlimit};
use serde::{Deserialize, Serialize};

use crate::sandbox::{self, Refusals, Role};

/// Whether helpers are put in a sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confinement {
    /// They are, as far as the kernel knows how.
    Sandbox,
    /// They are not: `--no-sandbox`.
    None,
}

/// The argument of a process that does not enter a sandbox.
const UNCONFINED: &str = "unconfined";

impl Confinement {
    /// The confinement that this process was started with.
    pub(super) fn of_this_process() -> Confinement {
        match std::env::args_os().nth(2).is_some_and(|argument| argument == UNCONFINED) {
            true => Confinement::None,
            false => Confinement::Sandbox,
        }
    }

    /// What another one is told, if there is something to tell.
    pub(super) fn to_tell(self) -> Option<&'static str> {
        (self == Confinement::None).then_some(UNCONFINED)
    }

    /// Puts this process in the sandbox of its role.
    pub(super) fn enter(self, role: Role<'_>) -> io::Result<()> {
        match self {
            Confinement::None => Ok(()),
            Confinement::Sandbox => {
                sandbox::enter(role, Refusals::Silent).map(drop).map_err(io::Error::other)
            }
        }
    }
}

/// What one job may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// Bytes of memory: all that it may write to.
    pub memory_bytes: u64,
    /// Bytes of address space that it may reserve beyond that, and not use.
    pub reserved_bytes: u64,
    /// Seconds of a processor.
    pub processor_s: u64,
    /// How the scheduler ranks it, beside workers with 0.
    pub niceness: i32,
}

impl Bounds {
    /// Binds this process, for good: no files, no connections, no programs, and this much of
    /// the machine. What the kernel does not know is done without.
    pub fn enter(self) -> io::Result<()> {
        // What has been lowered is not raised again without a privilege.
        let _ = rustix::process::setpriority_process(None, self.niceness);
        for (resource, limit, beyond) in [
            // The second bounds memory that is written to, and counts none that is reserved. Before
            // Linux 4.7 the first alone does (getrlimit(2)).
            (Resource::As, self.memory_bytes.saturating_add(self.reserved_bytes), 0),
            (Resource::Data, self.memory_bytes, 0),
            // At the first it gets a signal that tells the cause, at the second it is killed.
            (Resource::Cpu, self.processor_s, 5),
            (Resource::Core, 0, 0),
            (Resource::Fsize, 0, 0),
        ] {
            limit_to(resource, limit, limit.saturating_add(beyond))?;
        }
        Confinement::of_this_process().enter(Role::Compiler)
    }
}

/// Lowers a limit. One that is lower already cannot be raised, and is met by halving: to
/// read it first needs a call that may be refused.
fn limit_to(resource: Resource, mut current: u64, mut maximum: u64) -> io::Result<()> {
    loop {
        let new = Rlimit { current: Some(current), maximum: Some(maximum) };
        match setrlimit(resource, new) {
            Err(Errno::PERM) if maximum > 0 => {
                maximum /= 2;
                current = current.min(maximum);
            }
            set => return set.map_err(Into::into),
        }
    }
}

/// Has the kernel end this process when the one that started it ends.
pub(super) fn end_with_parent() -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have ended before that, and left this process to another one.
    let started_by = std::env::args().nth(1);
    let parent = getppid().map(|parent| parent.as_raw_pid().to_string());
    if started_by == parent { Ok(()) } else { Err(io::ErrorKind::NotConnected.into()) }
}

/// Names this process for `ps` and `top` (`comm` in proc(5)); otherwise it would be `exe`.
pub(super) fn name_process(name: &str) {
    if let Ok(name) = CString::new(format!("inn-{name}")) {
        // It works without one.
        let _ = rustix::thread::set_name(&name);
    }
}

/// Closes what the parent process has left open: no helper may have it.
#[expect(unsafe_code, reason = "descriptors without an owner can only be closed by number")]
pub(super) fn close_what_was_inherited() {
    // SAFETY: nothing was opened yet in this process, so no value owns a descriptor beyond
    // the standard ones. The call has no pointers. Before Linux 5.9 it does nothing
    // (close_range(2)).
    unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
}
