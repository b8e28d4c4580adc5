//! The fetcher's own work: it waits for the time of each name, and orders one after the other.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::SendFlags;
use tokio::io::Interest;
use tokio::net::UnixDatagram;

use super::attempt::{Attempt, Outcome};
use super::client::{Client, ClientError};
use super::clock::seconds;
use super::lock::Who;
use super::name::Name;
use super::options::Options;
use super::protocol::{Command, Event, News, Status};
use super::socket::{hear_now, say};
use super::state::State;
use super::store::Folder;
use super::{account, lock};
use crate::helper::fetcher::{AGAIN, Places, resolver_stamp};
use crate::helper::protocol::ProtocolError;
use crate::secret_file::SecretFileError;

/// The longest sleep: a clock may be set, and another server may have renewed.
const LOOK: Duration = Duration::from_secs(60);

/// The pause before a lock is tried again that another server has.
const LOCKED: Duration = Duration::from_secs(3);

/// A fetcher that is older starts again when it has nothing to do: authorities of the system and
/// name servers are others after some time.
const LIFE: Duration = Duration::from_secs(24 * 3600);

/// Is the fetcher, until the server is gone.
pub fn fetch(socket: OwnedFd, places: Places) -> ExitCode {
    match run(socket, &places) {
        Ok(End::Gone) => ExitCode::SUCCESS,
        Ok(End::Again) => ExitCode::from(AGAIN),
        // The process that has started it starts it again.
        Err(_) => ExitCode::FAILURE,
    }
}

enum End {
    Gone,
    Again,
}

fn run(socket: OwnedFd, places: &Places) -> io::Result<End> {
    // What is read before the sandbox is entered.
    let who = Who::this_process();
    let client = Client::open(places.ca_file.as_deref()).map_err(Arc::new);
    let eab_key = places.eab_key_file.as_deref().map(account::read_eab_key).transpose();
    let eab_key = eab_key.map_err(Arc::new);
    let resolver = resolver_stamp();
    let folder = Folder::at(&places.state);
    places.confine()?;
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
            who,
            socket: Arc::new(socket),
            started: Instant::now(),
            resolver,
            options: None,
            names: BTreeMap::new(),
            coming: Vec::new(),
            read: Instant::now(),
            locked_until: None,
            is_waiting: false,
        };
        fetcher.work().await
    })
}

/// What is known of a name.
struct Known {
    state: State,
    /// What was told last.
    told: Option<Status>,
}

struct Fetcher {
    client: Result<Client, Arc<ClientError>>,
    eab_key: Result<Option<Vec<u8>>, Arc<SecretFileError>>,
    folder: Folder,
    who: Who,
    socket: Arc<UnixDatagram>,
    started: Instant,
    resolver: Option<(u64, u64, SystemTime)>,
    options: Option<Arc<Options>>,
    names: BTreeMap<Name, Known>,
    /// Names of a list that is not whole yet.
    coming: Vec<Name>,
    /// When the folder was read last.
    read: Instant,
    /// Another server has the lock, and is asked again then.
    locked_until: Option<Instant>,
    is_waiting: bool,
}

type Running = Pin<Box<dyn Future<Output = Outcome>>>;

impl Fetcher {
    async fn work(&mut self) -> io::Result<End> {
        self.say(&News::Hello)?;
        let mut running: Option<Running> = None;
        loop {
            let wait = match running {
                Some(_) => LOOK,
                None => {
                    let (name, wait) = self.next();
                    match name.filter(|_| wait.is_zero()) {
                        Some(_) if self.is_worn() => return Ok(End::Again),
                        Some((name, is_order)) => {
                            running = self.begin(name, is_order)?;
                            continue;
                        }
                        None if self.is_old() => return Ok(End::Again),
                        None => wait,
                    }
                }
            };
            let socket = Arc::clone(&self.socket);
            tokio::select! {
                ready = socket.readable() => {
                    ready?;
                    let heard = socket.try_io(Interest::READABLE, || {
                        hear_now::<Command>(&*socket).map_or_else(blocked, |command| Ok(Ok(command)))
                    });
                    match heard.unwrap_or_else(|error| Err(error.into())) {
                        Ok(command) => self.obey(command)?,
                        Err(ProtocolError::Closed) => return Ok(End::Gone),
                        Err(ProtocolError::Io(error))
                            if error.kind() == io::ErrorKind::WouldBlock =>
                        {}
                        Err(error) => return Err(io::Error::other(error)),
                    }
                }
                outcome = of(&mut running) => {
                    running = None;
                    self.end(outcome)?;
                }
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// What is due first, and in which time: an order, or else a question about a window.
    fn next(&mut self) -> (Option<(Name, bool)>, Duration) {
        if self.read.elapsed() >= LOOK {
            self.read_all();
        }
        if let Some(until) = self.locked_until {
            let left = until.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                return (None, left.min(LOOK));
            }
            self.locked_until = None;
            // Another server may have done it.
            self.read_all();
        }
        let now = SystemTime::now();
        let mut first: Option<(SystemTime, bool, Name)> = None;
        for (name, Known { state, .. }) in &self.names {
            for (time, is_order) in [(Some(state.next), true), (state.ask_at, false)] {
                let Some(time) = time else { continue };
                let is_sooner = first.as_ref().is_none_or(|(at, was, _)| {
                    // Of two that are due the order goes first.
                    (time > now, time, !is_order) < (*at > now, *at, !was)
                });
                if is_sooner {
                    first = Some((time, is_order, name.clone()));
                }
            }
        }
        match first {
            Some((time, is_order, name)) => {
                let wait = time.duration_since(now).unwrap_or_default();
                (Some((name, is_order)), wait.min(LOOK))
            }
            None => (None, LOOK),
        }
    }

    /// Begins what is due, under the lock.
    fn begin(&mut self, name: Name, is_order: bool) -> io::Result<Option<Running>> {
        let Some(options) = self.options.clone() else { return Ok(None) };
        let lock = match lock::take(self.folder.path(), &self.who) {
            Ok(lock::Taken::Lock(lock)) => lock,
            Ok(lock::Taken::By(holder)) => {
                self.locked_until = Some(Instant::now() + LOCKED);
                if !std::mem::replace(&mut self.is_waiting, true) {
                    self.say(&News::Event(Event::Waiting { holder }))?;
                }
                return Ok(None);
            }
            Err(error) => {
                self.locked_until = Some(Instant::now() + LOOK);
                self.say(&News::Event(Event::StateFails { error: error.to_string() }))?;
                return Ok(None);
            }
        };
        self.is_waiting = false;
        // Another server may have done so before it gave the lock back.
        let state = State::read(&self.folder, &name, &options);
        let now = SystemTime::now();
        let is_due = if is_order { Some(state.next) } else { state.ask_at };
        if is_due.is_none_or(|time| time > now) {
            self.tell(&name, false)?;
            return Ok(None);
        }
        if let Some(known) = self.names.get_mut(&name) {
            known.state = state.clone();
        }
        if is_order {
            let (is_renewal, is_resumed) = (state.lifetime.is_some(), state.record.order.is_some());
            let name = name.clone();
            self.say(&News::Event(Event::Ordering { name, is_renewal, is_resumed }))?;
            self.tell_state(&state.name, true)?;
        }
        let attempt = Attempt {
            name,
            options,
            folder: self.folder.clone(),
            client: self.client.clone(),
            eab_key: self.eab_key.clone(),
            has_certificate: state.lifetime.is_some(),
        };
        let who = self.who.clone();
        Ok(Some(Box::pin(async move {
            tokio::select! {
                outcome = attempt.run(is_order) => outcome,
                () = lock.beat(&who) => unreachable_while_held().await,
            }
        })))
    }

    /// Tells what became of it.
    fn end(&mut self, outcome: Outcome) -> io::Result<()> {
        match outcome {
            Outcome::Asked(name) => self.tell(&name, false),
            Outcome::Obtained { name, expires } => {
                let event = Event::Obtained { name: name.clone(), expires: seconds(expires) };
                self.say(&News::Event(event))?;
                self.tell(&name, false)
            }
            Outcome::Failed { name, trouble, next_attempt, has_certificate } => {
                let event =
                    Event::Failed { name: name.clone(), trouble, next_attempt, has_certificate };
                self.say(&News::Event(event))?;
                self.tell(&name, false)
            }
            Outcome::NotKept(error) => {
                // It is not tried again and again: each would be an order.
                self.locked_until = Some(Instant::now() + LOOK);
                self.say(&News::Event(Event::StateFails { error: error.to_string() }))
            }
        }
    }

    fn obey(&mut self, command: Command) -> io::Result<()> {
        match command {
            Command::Begin { options } => {
                self.options = Some(Arc::new(options));
                self.coming.clear();
            }
            Command::Names { names, is_last } => {
                self.coming.extend(names);
                if is_last {
                    let names = std::mem::take(&mut self.coming).into_iter();
                    let Some(options) = self.options.clone() else { return Ok(()) };
                    let known = |name: &Name| {
                        let state = State::read(&self.folder, name, &options);
                        Known { state, told: None }
                    };
                    self.names = names.map(|name| (name.clone(), known(&name))).collect();
                    self.tell_all()?;
                }
            }
            Command::Find { number, sought } => {
                let answer = self.folder.find_challenge(&sought);
                self.say(&News::Found { number, answer })?;
            }
            Command::Retry => {
                self.locked_until = None;
                for name in self.names.keys().cloned().collect::<Vec<_>>() {
                    let mut record = self.folder.record(&name);
                    // What the authority said counts on.
                    if record.pause_until > 0 && !record.is_told {
                        record.pause_until = 0;
                        // Where that cannot be kept the pause goes on.
                        let _ = self.folder.keep_record(&name, &record);
                    }
                    record.ask_window_at = 0;
                    let _ = self.folder.keep_record(&name, &record);
                }
                self.tell_all()?;
            }
        }
        Ok(())
    }

    /// Reads what the folder says of all names.
    fn read_all(&mut self) {
        let Some(options) = self.options.clone() else { return };
        for (name, known) in &mut self.names {
            known.state = State::read(&self.folder, name, &options);
        }
        self.read = Instant::now();
    }

    fn tell_all(&mut self) -> io::Result<()> {
        for name in self.names.keys().cloned().collect::<Vec<_>>() {
            self.tell(&name, false)?;
        }
        Ok(())
    }

    /// Tells the state of a name, if it is another than before.
    fn tell(&mut self, name: &Name, is_ordering: bool) -> io::Result<()> {
        if let (Some(options), Some(known)) = (self.options.clone(), self.names.get_mut(name)) {
            known.state = State::read(&self.folder, name, &options);
        }
        self.tell_state(name, is_ordering)
    }

    fn tell_state(&mut self, name: &Name, is_ordering: bool) -> io::Result<()> {
        let Some(known) = self.names.get_mut(name) else { return Ok(()) };
        let state = &known.state;
        let status = Status {
            name: state.name.clone(),
            is_ordering,
            expires: state.lifetime.map(|lifetime| seconds(lifetime.not_after)),
            next_attempt: seconds(state.next),
            failures: state.record.failures,
            error: state.record.error.clone(),
        };
        if known.told.as_ref() == Some(&status) {
            return Ok(());
        }
        known.told = Some(status.clone());
        self.say(&News::Status(status))
    }

    /// Whether names may be resolved by another file than the one that this process may read.
    fn is_worn(&self) -> bool {
        self.resolver != resolver_stamp() && self.started.elapsed() > Duration::from_secs(1)
    }

    fn is_old(&self) -> bool {
        self.started.elapsed() > LIFE
    }

    fn say(&self, news: &News) -> io::Result<()> {
        let socket = rustix::fd::AsFd::as_fd(&*self.socket);
        loop {
            // The server reads without a pause: where there is no room it has stopped for a moment.
            match say(socket, news, SendFlags::DONTWAIT) {
                Err(ProtocolError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    let mut awaited = [PollFd::new(&socket, PollFlags::OUT)];
                    match poll(&mut awaited, None) {
                        Ok(_) | Err(rustix::io::Errno::INTR) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                said => return said.map_err(io::Error::other),
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

async fn of(running: &mut Option<Running>) -> Outcome {
    match running {
        Some(running) => running.await,
        None => std::future::pending().await,
    }
}

/// The beat of a lock ends with the lock alone.
async fn unreachable_while_held() -> Outcome {
    std::future::pending().await
}
