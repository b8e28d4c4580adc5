//! The server's end: what it asks of the fetcher, and what it knows of it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use arc_swap::ArcSwap;
use rustix::net::SendFlags;
use tokio::sync::oneshot;

use super::challenges::is_token;
use super::clock::time;
use super::lookup::Lookup;
use super::name::Name;
use super::options::Options;
use super::protocol::{Challenge, Command, Event, LogEvent, NAMES, OrderError, Status};
use super::socket::{receive, send};
use crate::clock::rfc3339_of;
use crate::helper::protocol::ProtocolError;
use crate::lock::lock;
use crate::supervise;

/// The fetcher, as the server sees it.
pub struct Link {
    socket: OwnedFd,
    options: Options,
    names: ArcSwap<HashSet<Name>>,
    /// To the thread that tells the fetcher: it alone may wait for room.
    orders: mpsc::Sender<Order>,
    status: Mutex<BTreeMap<Name, Status>>,
    lookup: Lookup,
    asked: Mutex<HashMap<u64, oneshot::Sender<Vec<Challenge>>>>,
    last: AtomicU64,
    has_ended: AtomicBool,
    counts: Counts,
}

/// What the fetcher is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// What it orders.
    Names,
    /// To try again what failed.
    Retry,
}

/// What was counted.
#[derive(Debug, Default)]
struct Counts {
    obtained: AtomicU64,
    failed: AtomicU64,
    challenges: AtomicU64,
}

impl Link {
    /// Begins to listen to the fetcher at the other end, which orders certificates for these names.
    pub fn start(socket: OwnedFd, options: Options, names: Vec<Name>) -> io::Result<Arc<Link>> {
        let (orders, received) = mpsc::channel();
        let link = Arc::new(Link {
            socket,
            options,
            names: ArcSwap::from_pointee(names.into_iter().collect()),
            orders,
            status: Mutex::default(),
            lookup: Lookup::default(),
            asked: Mutex::default(),
            last: AtomicU64::new(0),
            has_ended: AtomicBool::new(false),
            counts: Counts::default(),
        });
        let listener = Arc::clone(&link);
        thread::Builder::new().name("acme".to_owned()).spawn(move || {
            supervise::thread("acme", || {
                listener.listen();
                Ok(())
            });
        })?;
        let teller = Arc::clone(&link);
        thread::Builder::new().name("acme-names".to_owned()).spawn(move || {
            let is_start = AtomicBool::new(true);
            supervise::thread("acme-names", || {
                let mut last = None;
                while let Ok(order) = last.take().map_or_else(|| received.recv(), Ok) {
                    // Several are one: the names are those of now.
                    last = received.try_iter().find(|next| *next != order);
                    match order {
                        Order::Names => teller.tell_names(is_start.swap(false, Ordering::Relaxed)),
                        Order::Retry => teller.tell(&Command::Retry),
                    }
                }
                Ok(())
            });
        })?;
        Ok(link)
    }

    /// What certificates are ordered by.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The state of each name.
    pub fn status(&self) -> Vec<Status> {
        let names = self.names.load();
        let told = lock(&self.status);
        if self.has_ended() {
            return names.iter().map(|name| ended(name, told.get(name))).collect();
        }
        told.values().filter(|it| names.contains(&it.name)).cloned().collect()
    }

    /// Certificates that were obtained, attempts that failed, and challenges that were answered.
    pub fn counts(&self) -> [u64; 3] {
        let Counts { obtained, failed, challenges } = &self.counts;
        [obtained, failed, challenges].map(|count| count.load(Ordering::Relaxed))
    }

    /// Whether nothing is ordered any more until the server starts again: what keeps the fetcher has
    /// ended.
    pub fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Relaxed)
    }

    /// Has what failed be tried again now. It waits for nothing.
    pub fn retry(&self) {
        self.order(Order::Retry);
    }

    fn order(&self, order: Order) {
        // An error means that the thread is gone, and the process ends.
        let _ = self.orders.send(order);
    }

    /// Takes other names in the place of those before. It waits for nothing.
    pub fn set_names(&self, names: Vec<Name>) {
        let names = Arc::new(names.into_iter().collect());
        if *self.names.swap(Arc::clone(&names)) != *names {
            lock(&self.status).retain(|name, _| names.contains(name));
            self.order(Order::Names);
        }
    }

    /// What a client gets that asks for this path of this host: the challenge of an authority.
    pub async fn http_challenge(&self, host: &str, token: &str) -> Option<String> {
        if !is_token(token) {
            return None;
        }
        let name = host.parse::<Name>().ok().filter(|name| self.names.load().contains(name))?;
        let found = self.find(|it| it.token == token && it.name == name).await?;
        Some(found.key_authorization)
    }

    /// What a client gets that makes a handshake for this name to see a challenge.
    pub async fn tls_challenge(&self, host: &str) -> Option<(String, String)> {
        let name = match super::arpa::address(host) {
            Some(address) => address.to_string().parse::<Name>().ok()?,
            None => host.parse::<Name>().ok()?,
        };
        if !self.names.load().contains(&name) {
            return None;
        }
        let found = self.find(|it| it.name == name).await?;
        Some((found.name.to_string(), found.key_authorization))
    }

    async fn find(&self, is_wanted: impl Fn(&Challenge) -> bool) -> Option<Challenge> {
        let found = self.lookup.find(is_wanted, || self.list()).await;
        if found.is_some() {
            self.counts.challenges.fetch_add(1, Ordering::Relaxed);
        }
        found
    }

    /// Asks the fetcher for all challenges.
    async fn list(&self) -> Option<Vec<Challenge>> {
        /// Forgets a question whose client has gone, or that was not responded to.
        struct Asked<'a>(&'a Link, u64);

        impl Drop for Asked<'_> {
            fn drop(&mut self) {
                lock(&self.0.asked).remove(&self.1);
            }
        }

        let number = self.last.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        lock(&self.asked).insert(number, sender);
        let _asked = Asked(self, number);
        send(&self.socket, &Command::List { number }, SendFlags::DONTWAIT).ok()?;
        receiver.await.ok()
    }

    fn tell_names(&self, is_start: bool) {
        let names = self.names.load_full();
        let mut names: Vec<_> = names.iter().cloned().collect();
        names.sort_unstable();
        let begin = Command::Begin { options: self.options.clone(), is_start };
        self.tell(&begin);
        let chunks = names.chunks(NAMES).map(<[Name]>::to_vec);
        // Without names there is a message, too: they take the place of those before.
        let mut chunks: Vec<_> = chunks.collect();
        let last = chunks.pop().unwrap_or_default();
        let messages = chunks.into_iter().map(|names| Command::Names { names, is_last: false });
        for message in messages.chain([Command::Names { names: last, is_last: true }]) {
            self.tell(&message);
        }
    }

    /// Tells the fetcher, and waits until there is room for that.
    fn tell(&self, command: &Command) {
        // Its end is in the log.
        if let Err(error) = send(&self.socket, command, SendFlags::empty())
            && !self.has_ended()
        {
            tracing::error!(%error, "fetcher cannot be told what to order");
        }
    }

    fn listen(&self) {
        let mut is_first = true;
        loop {
            match receive::<Event>(&self.socket) {
                Ok(Event::Hello) => {
                    self.order(Order::Names);
                    // The fetcher before this one may have ended with these questions.
                    let asked: Vec<_> = lock(&self.asked).keys().copied().collect();
                    for number in asked {
                        // A client that is not responded to waits no longer than for any question.
                        let _ = send(&self.socket, &Command::List { number }, SendFlags::DONTWAIT);
                    }
                    if !std::mem::replace(&mut is_first, false) {
                        tracing::info!("fetcher has started again");
                    }
                }
                Ok(Event::Listed { number, challenges }) => {
                    let asked = lock(&self.asked).remove(&number);
                    if let Some(asked) = asked {
                        // The client may have gone.
                        let _ = asked.send(challenges);
                    }
                }
                Ok(Event::Status(status)) => {
                    lock(&self.status).insert(status.name.clone(), status);
                }
                Ok(Event::Log(event)) => self.log(event),
                Err(ProtocolError::Closed | ProtocolError::Io(_)) => break,
                Err(error) => tracing::error!(%error, "fetcher makes no sense"),
            }
        }
        self.has_ended.store(true, Ordering::Relaxed);
        tracing::error!(
            "fetcher has ended, certificates are not renewed until a restart of the server"
        );
    }

    fn log(&self, event: LogEvent) {
        match event {
            LogEvent::Ordering { name, is_renewal, is_resumed } => {
                let directory = &self.options.directory;
                tracing::info!(%name, directory, is_renewal, is_resumed, "certificate is ordered");
            }
            LogEvent::Obtained { name, expires } => {
                self.counts.obtained.fetch_add(1, Ordering::Relaxed);
                let expires = rfc3339_of(time(expires));
                tracing::info!(%name, expires, "certificate obtained");
            }
            LogEvent::Failed { name, error, next_attempt, has_certificate } => {
                self.counts.failed.fetch_add(1, Ordering::Relaxed);
                let next_attempt = rfc3339_of(time(next_attempt));
                let (code, error, advice) = (error.code, error.detail, error.advice);
                if has_certificate {
                    tracing::error!(
                        %name, code, error, advice, next_attempt,
                        "certificate not renewed, the one before serves on"
                    );
                } else {
                    tracing::error!(
                        %name, code, error, advice, next_attempt,
                        "certificate not obtained, TLS waits for it"
                    );
                }
            }
            LogEvent::PutBack { name } => {
                tracing::warn!(%name, "certificate that was not served is put back");
            }
            LogEvent::Waiting { holder } => {
                tracing::info!(holder, "another server orders certificates in this folder");
            }
            LogEvent::Ended { reason } => {
                tracing::warn!(reason, "fetcher has ended, it is started again");
            }
            LogEvent::StateFails { error, next_attempt } => {
                self.counts.failed.fetch_add(1, Ordering::Relaxed);
                let next_attempt = rfc3339_of(time(next_attempt));
                let (code, error, advice) = (error.code, error.detail, error.advice);
                tracing::error!(
                    code,
                    error,
                    advice,
                    next_attempt,
                    "no certificate is ordered, the state cannot be kept"
                );
            }
            LogEvent::StateKept => tracing::info!("state of certificates is kept again"),
        }
    }
}

/// The state of a name for which nothing is done any more, with what was told of it last.
fn ended(name: &Name, told: Option<&Status>) -> Status {
    let error = OrderError {
        code: "fetcher".to_owned(),
        detail: "the process that orders certificates has ended".to_owned(),
        advice: "restart the server".to_owned(),
    };
    Status {
        name: name.clone(),
        is_ordering: false,
        expires: told.and_then(|told| told.expires),
        next_attempt: 0,
        failures: told.map_or(0, |told| told.failures).max(1),
        error: Some(error),
    }
}
