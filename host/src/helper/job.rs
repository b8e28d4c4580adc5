//! The server's end: helpers are requested and canceled, and their death is noticed.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, SocketFlags,
    SocketType, recvmsg, send, socketpair,
};

use super::confine::Confinement;
use super::protocol::{Ending, MESSAGE_BYTES, News, Order, ProtocolError, message, understood};
use super::role::{Role, SPAWNER};
use super::spawner;
use crate::lock::lock;

/// How long the spawner has to start a helper, or to tell how one ended. It takes milliseconds,
/// unless it is stopped (SIGSTOP).
const PATIENCE: Duration = Duration::from_secs(30);

/// How often it is looked meanwhile whether the caller still waits.
const LOOK: Duration = Duration::from_millis(100);

/// The spawner, before there is a thread that listens to it.
pub struct Spawner {
    control: OwnedFd,
    process: Child,
}

impl Spawner {
    /// Starts it. To be called while this process may run programs, and after what it
    /// inherited has been taken.
    pub fn start(confinement: Confinement) -> io::Result<Spawner> {
        let flags = SocketFlags::CLOEXEC;
        let (control, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        let process = spawner::command(SPAWNER, confinement)
            .stdin(Stdio::from(theirs))
            .stderr(Stdio::null())
            // What is typed at a terminal is for the server.
            .process_group(0)
            .spawn()?;
        Ok(Spawner { control, process })
    }

    /// Starts to listen to it, on a thread that has given up what this one has.
    pub fn attend(self) -> io::Result<Helpers> {
        let Spawner { control, process } = self;
        let helpers = Helpers(Arc::new(Shared { control, jobs: Mutex::default() }));
        let shared = Arc::clone(&helpers.0);
        thread::Builder::new().name("helpers".to_owned()).spawn(move || shared.listen(process))?;
        Ok(helpers)
    }
}

/// Gives helpers.
#[derive(Clone)]
pub struct Helpers(Arc<Shared>);

struct Shared {
    control: OwnedFd,
    jobs: Mutex<Jobs>,
}

#[derive(Default)]
struct Jobs {
    last: u64,
    waiting: HashMap<u64, Sender<Event>>,
    is_gone: bool,
}

/// What happens to a job.
enum Event {
    Started(OwnedFd),
    NotStarted(String),
    Ended(Ending),
}

/// Why there is no helper.
#[derive(Debug)]
pub enum NoHelper {
    /// The spawner has ended.
    Gone,
    /// It could not start one.
    NotStarted(String),
    /// The caller no longer waits for the job.
    Canceled,
}

impl fmt::Display for NoHelper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoHelper::Gone => f.write_str(
                "the process that starts helpers has ended; restart the server to have it again",
            ),
            NoHelper::NotStarted(why) => write!(f, "no helper can be started: {why}"),
            NoHelper::Canceled => f.write_str("the work is canceled"),
        }
    }
}

impl std::error::Error for NoHelper {}

impl Helpers {
    /// Whether helpers can be had: their spawner has not ended.
    pub fn are_at_hand(&self) -> bool {
        !self.0.jobs().is_gone
    }

    /// Asks for a helper, which is ended after `wall`, or when `cancel` is canceled.
    pub fn begin(&self, role: Role, wall: Duration, cancel: &CancelToken) -> Result<Job, NoHelper> {
        if cancel.is_canceled() {
            return Err(NoHelper::Canceled);
        }
        let (sender, events) = mpsc::channel();
        let number = {
            let mut jobs = self.0.jobs();
            if jobs.is_gone {
                return Err(NoHelper::Gone);
            }
            jobs.last += 1;
            let number = jobs.last;
            jobs.waiting.insert(number, sender);
            number
        };
        let wall_ms = u64::try_from(wall.as_millis()).unwrap_or(u64::MAX);
        // Where that cannot be sent the spawner is gone, which its thread notices, or it has
        // been silent for long.
        let _ = self.0.order(&Order::Start { job: number, role, wall_ms });
        let socket = match self.0.first_of(&events, cancel) {
            Ok(Event::Started(socket)) => socket,
            Ok(Event::NotStarted(why)) => return Err(NoHelper::NotStarted(why)),
            Ok(Event::Ended(_)) => return Err(NoHelper::Gone),
            Err(problem) => {
                // If it is started after all, its socket is closed, and it ends.
                self.0.jobs().waiting.remove(&number);
                return Err(problem);
            }
        };
        let job = Job {
            number,
            socket: socket.into(),
            events,
            helpers: self.clone(),
            cancel: cancel.clone(),
            over: None,
        };
        if cancel.watches(&job.socket) { Ok(job) } else { Err(NoHelper::Canceled) }
    }
}

impl Shared {
    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        // Each change of it is one step, also after a panic.
        lock(&self.jobs)
    }

    /// The first event of an ordered job.
    fn first_of(&self, events: &Receiver<Event>, cancel: &CancelToken) -> Result<Event, NoHelper> {
        let began = Instant::now();
        loop {
            match events.recv_timeout(LOOK) {
                Ok(event) => return Ok(event),
                Err(RecvTimeoutError::Disconnected) => return Err(NoHelper::Gone),
                Err(RecvTimeoutError::Timeout) if cancel.is_canceled() => {
                    return Err(NoHelper::Canceled);
                }
                Err(RecvTimeoutError::Timeout) if began.elapsed() >= PATIENCE => {
                    let why = format!(
                        "the process that starts them (inn-spawner) does not respond within \
                         {PATIENCE:?}; have it go on (kill -CONT), or restart the server"
                    );
                    return Err(NoHelper::NotStarted(why));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Does not wait: one that does not read is not waited for.
    fn order(&self, order: &Order) -> Result<(), ProtocolError> {
        let bytes = message(order)?;
        loop {
            match send(&self.control, &bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                Err(Errno::INTR) => {}
                sent => return sent.map(drop).map_err(|error| ProtocolError::Io(error.into())),
            }
        }
    }

    /// Passes on what the spawner tells, until it ends.
    fn listen(&self, mut process: Child) {
        let problem = loop {
            match self.hear() {
                Ok((news, socket)) => self.pass_on(news, socket),
                Err(problem) => break problem,
            }
        };
        let status = match process.wait() {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        tracing::error!(
            status,
            error = %problem,
            "helper spawner has ended, no guest can be compiled until a restart"
        );
        let mut jobs = self.jobs();
        jobs.is_gone = true;
        // Dropping the senders tells the callers that wait.
        jobs.waiting.clear();
    }

    fn hear(&self) -> Result<(News, Option<OwnedFd>), ProtocolError> {
        let mut bytes = vec![0; MESSAGE_BYTES];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut with = RecvAncillaryBuffer::new(&mut space);
        let length = loop {
            let parts = &mut [IoSliceMut::new(&mut bytes)];
            match recvmsg(&self.control, parts, &mut with, RecvFlags::CMSG_CLOEXEC) {
                Err(Errno::INTR) => {}
                received => break received.map_err(io::Error::from)?.bytes,
            }
        };
        let socket = with.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut sockets) => sockets.next(),
            _ => None,
        });
        Ok((understood(&bytes[..length])?, socket))
    }

    fn pass_on(&self, news: News, socket: Option<OwnedFd>) {
        let (job, event) = match (news, socket) {
            (News::Started { job }, Some(socket)) => (job, Event::Started(socket)),
            (News::Started { job }, None) => {
                (job, Event::NotStarted("it came without a socket".to_owned()))
            }
            (News::NotStarted { job, why }, _) => (job, Event::NotStarted(why)),
            (News::Ended { job, ending }, _) => (job, Event::Ended(ending)),
        };
        let mut jobs = self.jobs();
        let is_last = !matches!(event, Event::Started(_));
        // Who asked may not wait any more.
        if let Some(waits) = jobs.waiting.get(&job) {
            let _ = waits.send(event);
        }
        if is_last {
            jobs.waiting.remove(&job);
        }
    }
}

/// A helper at work. Dropping this ends it.
pub struct Job {
    number: u64,
    /// Leads to the helper.
    pub socket: UnixStream,
    events: Receiver<Event>,
    helpers: Helpers,
    cancel: CancelToken,
    over: Option<Ended>,
}

/// What ended a job that gave no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The helper did.
    Helper(Ending),
    /// The spawner did, and the helper with it.
    Spawner,
}

impl Job {
    /// Waits for the helper's end, which its socket has announced already.
    pub fn ended(&mut self) -> Ended {
        if let Some(over) = self.over {
            return over;
        }
        let over = loop {
            match self.events.recv_timeout(PATIENCE) {
                Ok(Event::Ended(ending)) => break Ended::Helper(ending),
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => break Ended::Spawner,
                // How it ended is not known.
                Err(RecvTimeoutError::Timeout) => break Ended::Helper(Ending::Failed),
            }
        };
        self.over = Some(over);
        over
    }

    /// Has the helper ended, whatever it is at.
    pub fn end(&self) {
        // Where that cannot be sent the spawner is gone, and the helper with it.
        let _ = self.helpers.0.order(&Order::End { job: self.number });
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        *self.cancel.socket() = None;
        if self.over.is_none() {
            self.end();
        }
    }
}

/// Cancels work that no caller waits for any more.
#[derive(Clone, Default)]
pub struct CancelToken(Arc<Canceling>);

#[derive(Default)]
struct Canceling {
    is_canceled: AtomicBool,
    /// The socket that a caller waits for meanwhile.
    socket: Mutex<Option<UnixStream>>,
}

impl CancelToken {
    /// Whether the work is canceled.
    pub fn is_canceled(&self) -> bool {
        self.0.is_canceled.load(Ordering::Acquire)
    }

    /// Cancels the work: what waits for a helper stops waiting.
    pub fn cancel(&self) {
        self.0.is_canceled.store(true, Ordering::Release);
        if let Some(socket) = &*self.socket() {
            // An error means that it is closed already.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    /// Shuts this socket down when the work is canceled; `false` if it already is.
    fn watches(&self, socket: &UnixStream) -> bool {
        // Without another descriptor the work ends later: when the helper is done.
        *self.socket() = socket.try_clone().ok();
        !self.is_canceled()
    }

    fn socket(&self) -> MutexGuard<'_, Option<UnixStream>> {
        lock(&self.0.socket)
    }
}
