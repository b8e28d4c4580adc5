//! What this program does when it is executed as a helper, as the spawner or as the opener.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use super::fetcher::Places;
use super::opener::open_files;
use super::role::{FETCHER, FETCHER_KEEPER, OPENER, Role, SPAWNER};
use super::{confine, fetcher_keeper, spawner};

/// Runs the spawner or a helper, if that is what this process was started as: to be asked
/// before anything else is done. `work` does the job of a helper, and `fetch` that of the fetcher, whose
/// end `report` tells to the server.
pub fn run(
    work: impl FnOnce(Role, UnixStream) -> io::Result<()>,
    fetch: impl FnOnce(OwnedFd, Places) -> ExitCode,
    report: impl Fn(&OwnedFd, &str),
) -> Option<ExitCode> {
    let executed_as = std::env::args_os().next()?;
    let outcome = if executed_as == SPAWNER {
        confine::close_what_was_inherited();
        inherited().and_then(spawner::run)
    } else if executed_as == OPENER {
        confine::close_what_was_inherited();
        inherited().and_then(open_files)
    } else if executed_as == FETCHER_KEEPER {
        confine::close_what_was_inherited();
        inherited().and_then(|socket| fetcher_keeper::run(socket, report))
    } else if executed_as == FETCHER {
        confine::close_what_was_inherited();
        let ready = inherited().and_then(|socket| {
            confine::end_with_parent()?;
            confine::name_process("fetcher");
            Ok((socket, spawner::ignore_signals()?))
        });
        match ready {
            Ok((socket, _ignored)) => return Some(fetch(socket, Places::of_this_process())),
            Err(error) => Err(error),
        }
    } else {
        let role = Role::ALL.into_iter().find(|role| executed_as == role.executed_as().as_str())?;
        confine::close_what_was_inherited();
        inherited().and_then(|socket| {
            confine::end_with_parent()?;
            confine::name_process(role.name());
            work(role, socket.into())
        })
    };
    // The caller sees the socket's end, and the exit code.
    Some(if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The socket that was handed over as standard input.
fn inherited() -> io::Result<OwnedFd> {
    io::stdin().as_fd().try_clone_to_owned()
}
