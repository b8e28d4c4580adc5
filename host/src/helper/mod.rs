//! Helpers: processes that do for the server what it must not do itself.
//!
//! The server gives up running programs before it serves. So it starts one process
//! before that, the *spawner*, which starts the helpers when they are needed:
//!
//! ```text
//! server ──orders──▶ spawner ──starts, ends──▶ helper (one for each job)
//!    └───────────────── the job's own socket ─────┘
//! ```
//!
//! - [`protocol`]: what is said on these sockets.
//! - `spawner`: the process that starts helpers. It never sees what they work on.
//! - [`job`]: the server's end: helpers are asked for, and their death is noticed.
//! - `confine`: what each of them gives up before it reads its first byte; [`sandbox`] has
//!   what each role may do.
//!
//! A helper works on one job and ends. One that takes too long is ended by the spawner, one
//! that ends by itself is told of, and the next job has another one: nothing of a job is
//! left for the next. When the server ends, the spawner does, and takes the helpers with it.
//!
//! [`sandbox`]: crate::sandbox
//!
//! All of them are the program that runs, executed again: `/proc/self/exe` leads to it also
//! when its file has been replaced. What they are is told by the name that they are given.

mod confine;
pub mod job;
pub mod protocol;
mod spawner;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{ExitCode, Stdio};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use serde::{Deserialize, Serialize};

use crate::sandbox;
use crate::sandbox::opener::{self, Named};
pub use confine::{Bounds, Confinement};
pub use job::{Ended, GiveUp, Helpers, Job, Spawner};

/// What a helper does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// It compiles guests: no files, no network, bounded in memory and time.
    Compiler,
}

impl Role {
    /// All of them.
    const ALL: [Role; 1] = [Role::Compiler];

    /// Its name among processes, and in messages.
    pub fn name(self) -> &'static str {
        match self {
            Role::Compiler => "compiler",
        }
    }

    /// What it is executed as: the first of its arguments.
    fn executed_as(self) -> String {
        format!("innkeeper: {}", self.name())
    }
}

/// What the spawner is executed as.
const SPAWNER: &str = "innkeeper: spawner";

/// What the process that opens files is executed as.
const OPENER: &str = "innkeeper: opener";

/// Starts the process that [opens these files](opener) for this one, from now on. To be called
/// while this process may run programs.
pub fn start_opener(files: Vec<Named>) -> io::Result<()> {
    let flags = SocketFlags::CLOEXEC;
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    // It ends when nobody can ask it any more, and whoever asks finds out that it has.
    spawner::command(OPENER, Confinement::Sandbox)
        .args(files.iter().map(opener::to_argument))
        .stdin(Stdio::from(theirs))
        .stderr(Stdio::null())
        // What is typed at a terminal is for the server.
        .process_group(0)
        .spawn()?;
    opener::ask_at(ours, files)
}

/// Is that process, until nobody can ask it any more.
fn open_files(socket: OwnedFd) -> io::Result<()> {
    let _ignored = spawner::ignore_signals()?;
    confine::name_process("opener");
    let arguments = std::env::args_os().skip(1);
    let files = arguments.filter_map(|argument| opener::from_argument(&argument)).collect();
    Confinement::Sandbox.enter(sandbox::Role::Opener)?;
    opener::serve(socket, files)
}

/// Runs the spawner or a helper, if that is what this process was started as: to be asked
/// before anything else is done. `work` does the job of a helper.
pub fn run(work: impl FnOnce(Role, UnixStream) -> io::Result<()>) -> Option<ExitCode> {
    let executed_as = std::env::args_os().next()?;
    let outcome = if executed_as == SPAWNER {
        confine::close_what_was_inherited();
        inherited().and_then(spawner::run)
    } else if executed_as == OPENER {
        confine::close_what_was_inherited();
        inherited().and_then(open_files)
    } else {
        let role = Role::ALL.into_iter().find(|role| executed_as == role.executed_as().as_str())?;
        confine::close_what_was_inherited();
        inherited().and_then(|socket| {
            confine::end_with_parent()?;
            confine::name_process(role.name());
            work(role, socket.into())
        })
    };
    // There is nobody to tell: who waits sees the socket's end, and the exit code.
    Some(if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The socket that was handed over as standard input.
fn inherited() -> io::Result<OwnedFd> {
    io::stdin().as_fd().try_clone_to_owned()
}
