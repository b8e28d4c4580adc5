//! The process that starts helpers. It reads orders of the server, and nothing that
//! came from another process.

use std::io::{self, IoSlice, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags,
    SocketType, recv, sendmsg, socketpair,
};
use rustix::process::{Pid, setpriority_process};
use tokio::signal::unix::{SignalKind, signal};

use super::confine::{self, Confinement};
use super::protocol::{Ending, MESSAGE_BYTES, News, Order, message, understood};
use super::role::Role;
use crate::sandbox;

/// Helpers at a time. The server asks for one of each role.
const HELPERS: usize = 4;

/// After this time a helper gives way to everything else: what is short is over by then, and
/// what is not must not take a worker's core for long.
const SHORT: Duration = Duration::from_secs(1);

/// The last rank of all (sched(7)).
const LOWEST: i32 = 19;

/// Bytes that are kept of what a helper says when it dies.
const LAST_WORDS: usize = 4 << 10;

/// A helper that works.
struct Helper {
    job: u64,
    process: Child,
    /// Ends when the process does.
    words: ChildStderr,
    said: Vec<u8>,
    started: Instant,
    wall: Duration,
    is_lowered: bool,
    /// Why it was ended, if it was.
    ended_for: Option<Ending>,
}

/// Starts and ends helpers until the server is gone.
pub(super) fn run(control: OwnedFd) -> io::Result<()> {
    confine::name_process("spawner");
    let _ignored = ignore_signals()?;
    Confinement::of_this_process().enter(sandbox::Role::Spawner)?;
    let mut spawner = Spawner { control, helpers: Vec::new() };
    let outcome = spawner.work();
    for helper in &mut spawner.helpers {
        helper.end(Ending::Canceled);
        // It is gone in any case, and no caller is left.
        let _ = helper.process.wait();
    }
    outcome
}

/// Service managers send the signal that asks the server to stop to all of its processes. This
/// one ends when the server does: until then it may be needed.
pub(super) fn ignore_signals() -> io::Result<impl Sized> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let entered = runtime.enter();
    let ignored = [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
        SignalKind::user_defined1(),
        SignalKind::quit(),
    ]
    .map(signal);
    drop(entered);
    Ok((runtime, ignored))
}

struct Spawner {
    control: OwnedFd,
    helpers: Vec<Helper>,
}

impl Spawner {
    fn work(&mut self) -> io::Result<()> {
        loop {
            let wait = self.helpers.iter().map(Helper::next_look).min();
            let wait = wait.map(|wait| Timespec {
                tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: wait.subsec_nanos().into(),
            });
            let mut awaited = vec![PollFd::new(&self.control, PollFlags::IN)];
            awaited.extend(self.helpers.iter().map(|it| PollFd::new(&it.words, PollFlags::IN)));
            match poll(&mut awaited, wait.as_ref()) {
                Err(Errno::INTR) => continue,
                polled => polled?,
            };
            let is_ordered = !awaited[0].revents().is_empty();
            let speak: Vec<_> = awaited[1..].iter().map(|it| !it.revents().is_empty()).collect();
            let mut ended = Vec::new();
            for (index, (helper, speaks)) in self.helpers.iter_mut().zip(speak).enumerate() {
                helper.look();
                if speaks && helper.listen() {
                    ended.push(index);
                }
            }
            for index in ended.into_iter().rev() {
                let (job, ending) = self.helpers.swap_remove(index).ending();
                self.tell(&News::Ended { job, ending }, None)?;
            }
            if is_ordered && !self.obey()? {
                return Ok(());
            }
        }
    }

    /// Follows one order. Tells whether there may be another.
    fn obey(&mut self) -> io::Result<bool> {
        let mut bytes = [0; MESSAGE_BYTES];
        let (_, length) = match recv(&self.control, &mut bytes, RecvFlags::empty()) {
            Err(Errno::INTR) => return Ok(true),
            Err(Errno::CONNRESET) | Ok((_, 0)) => return Ok(false),
            received => received?,
        };
        match understood(&bytes[..length]).map_err(io::Error::other)? {
            Order::Start { job, role, wall_ms } => {
                let wall = Duration::from_millis(wall_ms);
                match self.start(job, role, wall) {
                    Ok(socket) => self.tell(&News::Started { job }, Some(socket))?,
                    Err(error) => {
                        self.tell(&News::NotStarted { job, why: error.to_string() }, None)?;
                    }
                }
            }
            Order::End { job } => {
                let mut helpers = self.helpers.iter_mut();
                if let Some(helper) = helpers.find(|helper| helper.job == job) {
                    helper.end(Ending::Canceled);
                }
            }
        }
        Ok(true)
    }

    /// Starts a helper, and gives the server's end of its socket.
    fn start(&mut self, job: u64, role: Role, wall: Duration) -> io::Result<OwnedFd> {
        if self.helpers.len() >= HELPERS {
            return Err(io::Error::other("too many helpers are at work"));
        }
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        let mut process = command(&role.executed_as(), Confinement::of_this_process())
            .stdin(Stdio::from(theirs))
            .stderr(Stdio::piped())
            .spawn()?;
        let words = process.stderr.take().ok_or(io::ErrorKind::BrokenPipe)?;
        rustix::io::ioctl_fionbio(&words, true)?;
        self.helpers.push(Helper {
            job,
            process,
            words,
            said: Vec::new(),
            started: Instant::now(),
            wall,
            is_lowered: false,
            ended_for: None,
        });
        Ok(ours)
    }

    /// Tells the server, with a socket for it if there is one.
    fn tell(&self, news: &News, socket: Option<OwnedFd>) -> io::Result<()> {
        let bytes = message(news).map_err(io::Error::other)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut with = SendAncillaryBuffer::new(&mut space);
        let sockets: Vec<_> = socket.iter().map(AsFd::as_fd).collect();
        if !sockets.is_empty() {
            with.push(SendAncillaryMessage::ScmRights(&sockets));
        }
        loop {
            let parts = [IoSlice::new(&bytes)];
            match sendmsg(&self.control, &parts, &mut with, SendFlags::NOSIGNAL) {
                Err(Errno::INTR) => {}
                sent => return sent.map(drop).map_err(Into::into),
            }
        }
    }
}

/// This program again, as something else. Of the environment it gets what the loader and the
/// allocator go by, and no secrets.
pub(super) fn command(executed_as: &str, confinement: Confinement) -> Command {
    let mut command = Command::new("/proc/self/exe");
    // Who started it, and whether it is to be confined.
    command.arg0(executed_as).arg(std::process::id().to_string()).args(confinement.to_tell());
    command.env_clear().stdout(Stdio::null());
    for name in ["LD_LIBRARY_PATH", "LD_PRELOAD", "GLIBC_TUNABLES"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

impl Helper {
    /// How long nothing has to be done about it.
    fn next_look(&self) -> Duration {
        let due = match (self.ended_for, self.is_lowered) {
            (Some(_), _) => return Duration::MAX,
            (None, false) => SHORT.min(self.wall),
            (None, true) => self.wall,
        };
        // Rounded up, so that it is due then.
        due.saturating_sub(self.started.elapsed()) + Duration::from_millis(1)
    }

    /// Does what is due.
    fn look(&mut self) {
        let elapsed = self.started.elapsed();
        if elapsed >= SHORT && !self.is_lowered {
            self.is_lowered = true;
            // Where that is refused it keeps the rank that it has.
            let _ = setpriority_process(Some(Pid::from_child(&self.process)), LOWEST);
        }
        if elapsed >= self.wall {
            self.end(Ending::Late);
        }
    }

    fn end(&mut self, why: Ending) {
        if self.ended_for.is_none() {
            self.ended_for = Some(why);
            // It may have ended by itself.
            let _ = self.process.kill();
        }
    }

    /// Reads what it says. Tells whether that was the last.
    fn listen(&mut self) -> bool {
        let mut bytes = [0; LAST_WORDS];
        match self.words.read(&mut bytes) {
            Ok(0) => true,
            Ok(count) => {
                let room = LAST_WORDS.saturating_sub(self.said.len()).min(count);
                self.said.extend_from_slice(&bytes[..room]);
                false
            }
            Err(error) => {
                !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
            }
        }
    }

    /// How it ended, once it has said its last.
    fn ending(mut self) -> (u64, Ending) {
        // One that only closed what it speaks with keeps no caller waiting.
        let _ = self.process.kill();
        let ending = match (self.ended_for, self.process.wait()) {
            (Some(why), _) => why,
            (None, Ok(status)) => ending(status, &self.said),
            (None, Err(_)) => Ending::Failed,
        };
        (self.job, ending)
    }
}

/// What became of a helper that was not ended.
fn ending(status: ExitStatus, said: &[u8]) -> Ending {
    let said = String::from_utf8_lossy(said);
    match (status.success(), status.signal()) {
        (true, _) => Ending::Done,
        (_, Some(libc::SIGXCPU)) => Ending::Processor,
        // What the standard library says before it aborts.
        (_, Some(libc::SIGABRT)) if said.contains("memory allocation of") => Ending::Memory,
        (_, Some(libc::SIGABRT | libc::SIGSEGV)) if said.contains("overflowed its stack") => {
            Ending::Stack
        }
        (_, Some(signal)) => Ending::Signal(signal),
        (_, None) => Ending::Failed,
    }
}
