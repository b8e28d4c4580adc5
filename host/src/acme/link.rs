//! The server's end: what it asks of the fetcher, and what it knows of it.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::net::SendFlags;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use super::clock::time;
use super::name::Name;
use super::options::Options;
use super::protocol::{Answer, Command, Event, NAMES, News, Sought, Status};
use super::socket::{hear, say};
use super::store::is_token;
use crate::clock::rfc3339_of;
use crate::helper::protocol::ProtocolError;
use crate::lock::lock;
use crate::supervise;

/// How long a client waits for a challenge: reading a file takes less, and authorities wait for ten
/// seconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// Challenges that are looked for at a time. An authority asks from some places at once.
const AT_A_TIME: usize = 32;

/// The fetcher, as the server sees it.
pub struct Link {
    socket: OwnedFd,
    options: Options,
    names: Mutex<Vec<Name>>,
    status: Mutex<BTreeMap<Name, Status>>,
    asked: Mutex<HashMap<u64, oneshot::Sender<Option<Answer>>>>,
    last: AtomicU64,
    places: Semaphore,
    counts: Counts,
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
        let link = Arc::new(Link {
            socket,
            options,
            names: Mutex::new(names),
            status: Mutex::default(),
            asked: Mutex::default(),
            last: AtomicU64::new(0),
            places: Semaphore::new(AT_A_TIME),
            counts: Counts::default(),
        });
        let listener = Arc::clone(&link);
        thread::Builder::new().name("acme".to_owned()).spawn(move || {
            supervise::thread("acme", || {
                listener.listen();
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
        let status = lock(&self.status);
        lock(&self.names).iter().filter_map(|name| status.get(name).cloned()).collect()
    }

    /// Certificates that were obtained, attempts that failed, and challenges that were answered.
    pub fn counts(&self) -> [u64; 3] {
        let Counts { obtained, failed, challenges } = &self.counts;
        [obtained, failed, challenges].map(|count| count.load(Ordering::Relaxed))
    }

    /// Has what failed be tried again now.
    pub fn retry(&self) {
        // Where that cannot be sent the fetcher is being started.
        let _ = say(&self.socket, &Command::Retry, SendFlags::DONTWAIT);
    }

    /// Takes other names in the place of those before.
    pub fn set_names(&self, names: Vec<Name>) {
        let is_other = {
            let mut now = lock(&self.names);
            let is_other = *now != names;
            *now = names;
            is_other
        };
        if is_other {
            self.begin();
        }
    }

    /// What a client gets that asks for this path of this host: the challenge of an authority.
    pub async fn http_challenge(&self, host: &str, token: &str) -> Option<String> {
        if !is_token(token) || !lock(&self.names).iter().any(|name| name.is_host(host)) {
            return None;
        }
        let answer = self.find(Sought::Token(token.to_owned())).await?;
        answer.name.is_host(host).then_some(answer.key_authorization)
    }

    /// What a client gets that makes a handshake for this name to see a challenge.
    pub async fn tls_challenge(&self, host: &str) -> Option<(String, String)> {
        let name = match super::arpa::address(host) {
            Some(address) => address.to_string().parse::<Name>().ok()?,
            None => host.parse::<Name>().ok()?,
        };
        if !lock(&self.names).contains(&name) {
            return None;
        }
        let answer = self.find(Sought::Name(name)).await?;
        Some((answer.name.to_string(), answer.key_authorization))
    }

    async fn find(&self, sought: Sought) -> Option<Answer> {
        let _place = self.places.try_acquire().ok()?;
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        lock(&self.asked).insert(number, sender);
        let sent = say(&self.socket, &Command::Find { number, sought }, SendFlags::DONTWAIT);
        let answer = match sent {
            Ok(()) => timeout(PATIENCE, receiver).await.ok().and_then(Result::ok).flatten(),
            Err(_) => None,
        };
        lock(&self.asked).remove(&number);
        if answer.is_some() {
            self.counts.challenges.fetch_add(1, Ordering::Relaxed);
        }
        answer
    }

    fn begin(&self) {
        let names = lock(&self.names).clone();
        let begin = Command::Begin { options: self.options.clone() };
        let mut sent = say(&self.socket, &begin, SendFlags::empty());
        for chunk in names.chunks(NAMES) {
            let names = Command::Names { names: chunk.to_vec(), is_last: false };
            sent = sent.and_then(|()| say(&self.socket, &names, SendFlags::empty()));
        }
        // There may be none.
        let end = Command::Names { names: Vec::new(), is_last: true };
        sent = sent.and_then(|()| say(&self.socket, &end, SendFlags::empty()));
        if let Err(error) = sent {
            tracing::error!(%error, "fetcher cannot be told what to order");
        }
    }

    fn listen(&self) {
        let mut is_first = true;
        loop {
            match hear::<News>(&self.socket) {
                Ok(News::Hello) => {
                    self.begin();
                    if !std::mem::replace(&mut is_first, false) {
                        tracing::info!("fetcher has started again");
                    }
                }
                Ok(News::Found { number, answer }) => {
                    let asked = lock(&self.asked).remove(&number);
                    if let Some(asked) = asked {
                        // The client may have gone.
                        let _ = asked.send(answer);
                    }
                }
                Ok(News::Status(status)) => {
                    lock(&self.status).insert(status.name.clone(), status);
                }
                Ok(News::Event(event)) => self.log(event),
                Err(ProtocolError::Closed | ProtocolError::Io(_)) => break,
                Err(error) => tracing::error!(%error, "fetcher makes no sense"),
            }
        }
        tracing::error!(
            "fetcher has ended, certificates are not renewed until a restart of the server"
        );
    }

    fn log(&self, event: Event) {
        match event {
            Event::Ordering { name, is_renewal, is_resumed } => {
                let directory = &self.options.directory;
                tracing::info!(%name, directory, is_renewal, is_resumed, "certificate is ordered");
            }
            Event::Obtained { name, expires } => {
                self.counts.obtained.fetch_add(1, Ordering::Relaxed);
                let expires = rfc3339_of(time(expires));
                tracing::info!(%name, expires, "certificate obtained");
            }
            Event::Failed { name, trouble, next_attempt, has_certificate } => {
                self.counts.failed.fetch_add(1, Ordering::Relaxed);
                let next_attempt = rfc3339_of(time(next_attempt));
                let (code, error, advice) = (trouble.code, trouble.words, trouble.advice);
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
            Event::Waiting { holder } => {
                tracing::info!(holder, "another server orders certificates in this folder");
            }
            Event::StateFails { error } => {
                tracing::error!(error, "no certificate is ordered, the state cannot be kept");
            }
        }
    }
}
