//! The process that opens files for the server, by the names that it was started with.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::Stdio;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use super::confine::{self, Confinement};
use super::role::OPENER;
use super::spawner;
use crate::sandbox;
use crate::sandbox::opener::{self, Named};

/// Starts the process that [opens these files](opener) for this one, from now on. To be called
/// while this process may run programs.
pub fn start_opener(files: Vec<Named>) -> io::Result<()> {
    let flags = SocketFlags::CLOEXEC;
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    // It ends when no other process can ask it any more, and the one that asks finds out.
    spawner::command(OPENER, Confinement::Sandbox)
        .args(files.iter().map(opener::to_argument))
        .stdin(Stdio::from(theirs))
        .stderr(Stdio::null())
        // What is typed at a terminal is for the server.
        .process_group(0)
        .spawn()?;
    opener::ask_at(ours, files)
}

/// Is that process, until no other one can ask it any more.
pub(super) fn open_files(socket: OwnedFd) -> io::Result<()> {
    let _ignored = spawner::ignore_signals()?;
    confine::name_process("opener");
    let arguments = std::env::args_os().skip(1);
    let files = arguments.filter_map(|argument| opener::from_argument(&argument)).collect();
    Confinement::Sandbox.enter(sandbox::Role::Opener)?;
    opener::serve(socket, files)
}
