//! The process that starts the [fetcher](super::fetcher), and starts it again when it ends: the
//! server itself may run no program by then.

use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use super::confine::{self, Confinement};
use super::fetcher::{AGAIN, Places};
use super::role::{FETCHER, FETCHER_KEEPER};
use super::spawner;
use crate::text::one_line;

/// The pause before a fetcher that has ended is started again; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// One that has run for so long begins with the first pause again.
const LASTED: Duration = Duration::from_secs(600);

/// Bytes that are kept of what a fetcher says before it ends.
const LAST_WORDS: usize = 1 << 10;

/// Starts that process, and gives the server's end of the socket to the fetcher: messages that are
/// kept apart. To be called while this process may run programs, on its first thread.
pub fn start_fetcher(places: &Places, confinement: Confinement) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC;
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    spawner::command(FETCHER_KEEPER, confinement)
        .args(places.to_arguments())
        .stdin(Stdio::from(theirs))
        .stderr(Stdio::null())
        // What is typed at a terminal is for the server.
        .process_group(0)
        .spawn()?;
    Ok(ours)
}

/// Is that process, until the server is gone.
pub(super) fn run(socket: OwnedFd, report: impl Fn(&OwnedFd, &str)) -> io::Result<()> {
    let _ignored = spawner::ignore_signals()?;
    confine::end_with_parent()?;
    confine::name_process("fetchkeeper");
    let places = Places::of_this_process();
    places.confine_keeper()?;
    let mut pause = FIRST_PAUSE;
    loop {
        let started = Instant::now();
        let process = spawner::command(FETCHER, Confinement::of_this_process())
            .args(places.to_arguments())
            .stdin(Stdio::from(socket.as_fd().try_clone_to_owned()?))
            .stderr(Stdio::piped())
            .spawn();
        let ended = process.and_then(wait);
        let code = ended.as_ref().ok().and_then(|(status, _)| status.code());
        if code == Some(AGAIN.into()) {
            continue;
        }
        if code == Some(0) || is_gone(&socket, Duration::ZERO)? {
            return Ok(());
        }
        report(&socket, &reason(ended));
        if started.elapsed() >= LASTED {
            pause = FIRST_PAUSE;
        }
        if is_gone(&socket, pause)? {
            return Ok(());
        }
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
}

/// Waits for the end of a fetcher. Gives its last words.
fn wait(mut process: Child) -> io::Result<(ExitStatus, String)> {
    let mut said = Vec::new();
    if let Some(mut words) = process.stderr.take() {
        let mut bytes = [0; LAST_WORDS];
        // It is read to its end: one that says much must not wait for room.
        while let Ok(count @ 1..) = words.read(&mut bytes) {
            said.extend_from_slice(&bytes[..count]);
            said.drain(..said.len().saturating_sub(LAST_WORDS));
        }
    }
    let status = process.wait()?;
    Ok((status, one_line(&String::from_utf8_lossy(&said))))
}

/// Why it has ended.
fn reason(ended: io::Result<(ExitStatus, String)>) -> String {
    match ended {
        Ok((status, said)) if said.is_empty() => status.to_string(),
        Ok((status, said)) => format!("{status}: {said}"),
        Err(error) => format!("it cannot be started: {error}"),
    }
}

/// Whether the server's end is closed, now or within this time.
fn is_gone(socket: &OwnedFd, within: Duration) -> io::Result<bool> {
    let deadline = Instant::now() + within;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let wait = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        };
        // The end alone: what the server says meanwhile is for the fetcher.
        let mut awaited = [PollFd::new(socket, PollFlags::empty())];
        match poll(&mut awaited, Some(&wait)) {
            Err(rustix::io::Errno::INTR) => {}
            polled => {
                polled?;
                return Ok(awaited[0].revents().contains(PollFlags::HUP));
            }
        }
    }
}
