//! The fetcher's own work: it waits for the time of each name, and orders one after the other.

use std::future::Future;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::SendFlags;
use tokio::io::Interest;
use tokio::net::UnixDatagram;

use super::account::{EabKeyError, read_eab_key};
use super::attempt::{Attempt, Outcome};
use super::client::{Client, ClientError};
use super::clock::seconds;
use super::lock::{self, Holder};
use super::name::Name;
use super::names::Names;
use super::options::Options;
use super::protocol::{Command, Event, LogEvent};
use super::record::OfAuthority;
use super::socket::{receive_now, send};
use super::state::{State, Task};
use super::state_failure::StateFailure;
use super::store::{Folder, Identity};
use crate::helper::fetcher::{AGAIN, Places, resolver_stamp};
use crate::helper::protocol::ProtocolError;
use crate::text::beginning;

/// The longest sleep: a clock may be set, and another server may have renewed.
const LOOK: Duration = Duration::from_secs(60);

/// The pause before a lock is tried again that another server has.
const LOCKED: Duration = Duration::from_secs(3);

/// A fetcher that is older starts again when it has nothing to do: authorities of the system and
/// name servers are others after some time.
const LIFE: Duration = Duration::from_secs(24 * 3600);

/// Characters of what a fetcher says at its end.
const REASON: usize = 2_000;

/// Is the fetcher, until the server is gone.
pub fn fetch(socket: OwnedFd, places: Places) -> ExitCode {
    match run(socket, &places) {
        Ok(End::Gone) => ExitCode::SUCCESS,
        Ok(End::Again) => ExitCode::from(AGAIN),
        // The process that has started it starts it again.
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

/// Tells the server why the fetcher has ended: for the process that starts it again.
pub fn report_end(socket: &OwnedFd, reason: &str) {
    let event = LogEvent::Ended { reason: beginning(reason, REASON) };
    // A server that takes nothing more has ended, or is told by the next start.
    let _ = send(socket, &Event::Log(event), SendFlags::DONTWAIT);
}

enum End {
    Gone,
    Again,
}

fn run(socket: OwnedFd, places: &Places) -> io::Result<End> {
    // What is read before the sandbox is entered.
    let holder = Holder::this_process();
    let client = Client::open(places.ca_file.as_deref()).map_err(Arc::new);
    let eab_key = places.eab_key_file.as_deref().map(read_eab_key).transpose();
    let eab_key = eab_key.map_err(Arc::new);
    let resolver = resolver_stamp();
    let folder = Folder::at(&places.state);
    let at_start = folder.identity();
    places.confine()?;
    folder.clear_unfinished();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // What it does with messages is the same for all kinds of sockets that keep them apart.
        let socket = std::os::unix::net::UnixDatagram::from(socket);
        socket.set_nonblocking(true)?;
        let socket = UnixDatagram::from_std(socket)?;
        let mut fetcher = Fetcher {
            client,
            eab_key,
            folder,
            at_start,
            holder,
            socket: Arc::new(socket),
            started: Instant::now(),
            resolver,
            settings: None,
            names: Names::default(),
            read: Instant::now(),
            held_until: None,
            is_waiting: false,
            state_failure: None,
            is_asked: false,
        };
        fetcher.work().await
    })
}

/// What certificates are ordered by.
struct Settings {
    options: Arc<Options>,
    authority: OfAuthority,
    /// Whether the server has just started.
    is_start: bool,
}

struct Fetcher {
    client: Result<Client, Arc<ClientError>>,
    eab_key: Result<Option<Vec<u8>>, Arc<EabKeyError>>,
    folder: Folder,
    /// Which folder that was at the start: the sandbox allows no other.
    at_start: Option<Identity>,
    holder: Holder,
    socket: Arc<UnixDatagram>,
    started: Instant,
    resolver: Option<(u64, u64, SystemTime)>,
    settings: Option<Settings>,
    names: Names,
    /// When the folder was read last.
    read: Instant,
    /// Another server has the lock, or it cannot be had, and is tried again then.
    held_until: Option<Instant>,
    /// Whether it was told that another server has the lock.
    is_waiting: bool,
    /// Why the state cannot be kept, while it cannot.
    state_failure: Option<StateFailure>,
    /// Whether a command wanted it to be tried: then the log has what came of it.
    is_asked: bool,
}

/// An attempt that runs, and the name that it is for.
type Running = (Name, Pin<Box<dyn Future<Output = Outcome>>>);

impl Fetcher {
    async fn work(&mut self) -> io::Result<End> {
        self.tell(&Event::Hello)?;
        let mut running: Option<Running> = None;
        loop {
            let wait = match running {
                Some(_) => LOOK,
                None => {
                    let (task, wait) = self.next();
                    match task.filter(|_| wait.is_zero()) {
                        Some(_) if self.has_other_resolver() => return Ok(End::Again),
                        Some((name, task)) => {
                            running = self.begin(name, task)?;
                            continue;
                        }
                        None if self.is_state_untried() => {
                            self.try_state()?;
                            continue;
                        }
                        None if self.started.elapsed() > LIFE => return Ok(End::Again),
                        None => wait,
                    }
                }
            };
            let ordering = running.as_ref().map(|(name, _)| name.clone());
            let socket = Arc::clone(&self.socket);
            tokio::select! {
                ready = socket.readable() => {
                    ready?;
                    let received = socket.try_io(Interest::READABLE, || {
                        receive_now::<Command>(&*socket)
                            .map_or_else(blocked, |command| Ok(Ok(command)))
                    });
                    match received.unwrap_or_else(|error| Err(error.into())) {
                        Ok(command) => self.handle(command, ordering.as_ref())?,
                        Err(ProtocolError::Closed) => return Ok(End::Gone),
                        Err(ProtocolError::Io(error))
                            if error.kind() == io::ErrorKind::WouldBlock =>
                        {}
                        Err(error) => return Err(io::Error::other(error)),
                    }
                }
                (name, outcome) = outcome_of(&mut running) => {
                    running = None;
                    self.end(name, outcome)?;
                }
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// What is due first, and in which time.
    fn next(&mut self) -> (Option<(Name, Task)>, Duration) {
        let Some(settings) = &self.settings else { return (None, LOOK) };
        let is_over = self.held_until.is_some_and(|until| until <= Instant::now());
        if is_over || self.read.elapsed() >= LOOK {
            // Another server may have done it.
            self.names.read_changed(&settings.authority);
            self.read = Instant::now();
        }
        if is_over {
            self.held_until = None;
        }
        if let Some(until) = self.held_until {
            return (None, until.saturating_duration_since(Instant::now()).min(LOOK));
        }
        let now = SystemTime::now();
        match self.names.first(now) {
            Some((time, task, name)) => {
                let wait = time.duration_since(now).unwrap_or_default();
                (Some((name, task)), wait.min(LOOK))
            }
            None => (None, LOOK),
        }
    }

    /// Begins what is due, under the lock.
    fn begin(&mut self, name: Name, task: Task) -> io::Result<Option<Running>> {
        let Some(Settings { options, authority, .. }) = &self.settings else { return Ok(None) };
        let (options, authority) = (Arc::clone(options), authority.clone());
        let lock = match lock::take(&self.folder, &self.holder) {
            Ok(lock::Taken::Lock(lock)) => lock,
            Ok(lock::Taken::Held(holder)) => {
                self.held_until = Some(Instant::now() + LOCKED);
                if !std::mem::replace(&mut self.is_waiting, true) {
                    self.tell(&Event::Log(LogEvent::Waiting { holder }))?;
                }
                return Ok(None);
            }
            Err(error) => return self.fail_state(&error).map(|()| None),
        };
        self.is_waiting = false;
        // Another server may have done so before it gave the lock back.
        self.names.read(&authority, &name);
        let now = SystemTime::now();
        if self.names.at(&name, task, now).is_none_or(|time| time > now) {
            self.tell_status(&name, false)?;
            return Ok(None);
        }
        let Some(state) = self.names.state(&name).cloned() else { return Ok(None) };
        let is_cut = self.names.is_cut(&name, task);
        self.names.note_begun(&name, task);
        match task {
            Task::PutBack => {
                return self.put_back(&authority, &name, &state).map(|()| None);
            }
            Task::Order => {
                let (is_renewal, is_resumed) =
                    (state.expires.is_some(), state.record.order.is_some());
                let event = LogEvent::Ordering { name: name.clone(), is_renewal, is_resumed };
                self.tell(&Event::Log(event))?;
                self.tell_status(&name, true)?;
            }
            Task::AskWindow => {}
        }
        let attempt = Attempt {
            name: name.clone(),
            options,
            authority,
            client: self.client.clone(),
            eab_key: self.eab_key.clone(),
            state,
            is_cut,
        };
        let holder = self.holder.clone();
        let attempt = async move {
            match task {
                Task::Order => attempt.order().await,
                _ => attempt.ask_window().await,
            }
        };
        let running = async move {
            tokio::select! {
                outcome = attempt => outcome,
                never = lock.renew(&holder) => match never {},
            }
        };
        Ok(Some((name, Box::pin(running))))
    }

    /// Has the certificate that is there serve.
    fn put_back(&mut self, authority: &OfAuthority, name: &Name, state: &State) -> io::Result<()> {
        let Some(certificate) = &state.certificate else { return Ok(()) };
        if let Err(error) = authority.serve(name, certificate) {
            return self.fail_state(&error);
        }
        self.names.read(authority, name);
        self.tell(&Event::Log(LogEvent::PutBack { name: name.clone() }))?;
        self.keep_state()?;
        self.tell_status(name, false)
    }

    /// Tells what became of an attempt.
    fn end(&mut self, name: Name, outcome: Outcome) -> io::Result<()> {
        if let Some(settings) = &self.settings {
            self.names.read(&settings.authority, &name);
        }
        let event = match outcome {
            Outcome::Asked => None,
            Outcome::Obtained(expires) => {
                Some(LogEvent::Obtained { name: name.clone(), expires: seconds(expires) })
            }
            Outcome::Failed { error, next_attempt, has_certificate } => {
                Some(LogEvent::Failed { name: name.clone(), error, next_attempt, has_certificate })
            }
            Outcome::NotKept(error) => {
                return self.fail_state(&error);
            }
        };
        self.keep_state()?;
        if let Some(event) = event {
            self.tell(&Event::Log(event))?;
        }
        self.tell_status(&name, false)
    }

    /// Notes that the state cannot be kept. Nothing is tried for some time, as each order would be one
    /// that nobody knows of.
    fn fail_state(&mut self, error: &io::Error) -> io::Result<()> {
        self.held_until = Some(Instant::now() + LOOK);
        let before = self.state_failure.take();
        let folder = (&self.folder, self.at_start);
        let failure = StateFailure::after(before.as_ref(), folder, error, LOOK);
        if failure.is_told(before.as_ref()) || std::mem::take(&mut self.is_asked) {
            let (error, next_attempt) = (failure.error.clone(), failure.next_attempt);
            self.tell(&Event::Log(LogEvent::StateFails { error, next_attempt }))?;
        }
        self.is_asked = false;
        self.state_failure = Some(failure);
        self.tell_all(None)
    }

    /// Whether it is to be found out if a state can be kept again: no name is due.
    fn is_state_untried(&self) -> bool {
        self.state_failure.is_some() && self.held_until.is_none()
    }

    fn try_state(&mut self) -> io::Result<()> {
        match self.folder.probe() {
            Ok(()) => self.keep_state(),
            Err(error) => self.fail_state(&error),
        }
    }

    /// Notes that the state can be kept.
    fn keep_state(&mut self) -> io::Result<()> {
        self.is_asked = false;
        if self.state_failure.take().is_none() {
            return Ok(());
        }
        self.tell(&Event::Log(LogEvent::StateKept))?;
        self.tell_all(None)
    }

    /// Does what the server wants, while this name is being ordered.
    fn handle(&mut self, command: Command, ordering: Option<&Name>) -> io::Result<()> {
        match command {
            Command::Begin { options, is_start } => {
                if self.settings.as_ref().is_none_or(|before| *before.options != options) {
                    self.names.begin();
                }
                let authority = OfAuthority::new(&self.folder, &options.directory);
                let options = Arc::new(options);
                self.settings = Some(Settings { options, authority, is_start });
            }
            Command::Names { names, is_last } => {
                let Some(settings) = &self.settings else { return Ok(()) };
                let Settings { authority, is_start, .. } = settings;
                self.names.take(authority, (names, is_last), *is_start);
                if is_last {
                    self.tell_all(ordering)?;
                }
            }
            Command::List { number } => {
                let challenges = self.folder.list_challenges();
                self.tell(&Event::Listed { number, challenges })?;
            }
            Command::Retry => {
                self.held_until = None;
                self.is_asked = true;
                if let Some(settings) = &self.settings {
                    self.names.read_changed(&settings.authority);
                }
                self.names.cut_pauses();
                self.tell_all(ordering)?;
            }
        }
        Ok(())
    }

    fn tell_all(&mut self, ordering: Option<&Name>) -> io::Result<()> {
        for name in self.names.list() {
            self.tell_status(&name, ordering == Some(&name))?;
        }
        Ok(())
    }

    /// Tells the state of a name, if it is another than before.
    fn tell_status(&mut self, name: &Name, is_ordering: bool) -> io::Result<()> {
        match self.names.untold(name, is_ordering, self.state_failure.as_ref()) {
            Some(status) => self.tell(&Event::Status(status)),
            None => Ok(()),
        }
    }

    /// Whether names may be resolved by another file than the one that this process may read.
    fn has_other_resolver(&self) -> bool {
        self.resolver != resolver_stamp() && self.started.elapsed() > Duration::from_secs(1)
    }

    fn tell(&self, event: &Event) -> io::Result<()> {
        let socket = rustix::fd::AsFd::as_fd(&*self.socket);
        loop {
            // The server reads without a pause: where there is no room it has stopped for a moment.
            match send(socket, event, SendFlags::DONTWAIT) {
                Err(ProtocolError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    let mut awaited = [PollFd::new(&socket, PollFlags::OUT)];
                    match poll(&mut awaited, None) {
                        Ok(_) | Err(rustix::io::Errno::INTR) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                // All texts in messages have bounds. One that is too long all the same is not told: the
                // names are to be renewed.
                Err(ProtocolError::Bounds | ProtocolError::Garbled(_)) => return Ok(()),
                sent => return sent.map_err(io::Error::other),
            }
        }
    }
}

/// Tells the runtime that there is nothing to read.
fn blocked(error: ProtocolError) -> io::Result<Result<Command, ProtocolError>> {
    match error {
        ProtocolError::Io(error) if error.kind() == io::ErrorKind::WouldBlock => Err(error),
        error => Ok(Err(error)),
    }
}

async fn outcome_of(running: &mut Option<Running>) -> (Name, Outcome) {
    match running {
        Some((name, running)) => (name.clone(), running.await),
        None => std::future::pending().await,
    }
}
