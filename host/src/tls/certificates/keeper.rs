//! Replaces certificates when their files change, while they serve.
//!
//! Certificate and key are read together and held against each other. While they do not fit, as
//! between the writing of one and the other, they are read again for [some seconds](PATIENCE); if
//! they still do not, what is active goes on serving, and the log and `/status` say why. Each
//! further change of the files is another attempt.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Instant, SystemTime};

use tokio::sync::oneshot;

use super::client::ClientAuth;
use super::content::Content;
use super::error::{CertificateError, FileRole, Problem};
use super::expiry::Expiry;
use super::options::PairFiles;
use super::pair::{PATIENCE, PAUSE, Pair};
use super::store::Store;
use crate::clock;
use crate::file_watch::{Change, LOOK, Stamps, Watch};
use crate::supervise;

/// A command to the thread.
enum Command {
    /// Something happened to a file.
    Change(Change),
    /// Read the files, and tell the caller which are not used.
    Reload { done: oneshot::Sender<Vec<CertificateError>> },
    /// Have these pairs serve, and those that may come later, and notify the caller when they do.
    Reconfigure { pairs: Vec<PairFiles>, awaited: Vec<PairFiles>, done: oneshot::Sender<()> },
    /// The server is about to stop.
    Stop,
}

impl Command {
    fn as_change(&self) -> Option<Change> {
        if let Command::Change(change) = self { Some(*change) } else { None }
    }
}

/// Other certificates that are to serve.
pub struct Reconfigured(oneshot::Receiver<()>);

impl Reconfigured {
    /// Waits until they do. Not to be called in a runtime.
    pub fn wait(self) {
        // An error means that the server is about to stop.
        let _ = self.0.blocking_recv();
    }
}

/// The thread that replaces certificates. Dropping this ends it; nothing waits for that.
pub struct Keeper {
    commands: mpsc::Sender<Command>,
}

impl Keeper {
    /// Starts to look after the certificates that serve, and logs what is wrong with them now.
    pub fn start(store: Arc<Store>) -> io::Result<Keeper> {
        let (commands, receiver) = mpsc::channel();
        let watch = watch(&store, commands.clone());
        let pairs = store.pairs();
        pairs.iter().for_each(|pair| log_problems(pair));
        let mut work = Work {
            watch,
            commands: commands.clone(),
            seen: store.first_seen.clone(),
            failures: vec![None; store.slots().len() + 1],
            retry_at: None,
            expiry: Expiry::default(),
            store,
        };
        work.expiry.look(&pairs, SystemTime::now());
        thread::Builder::new().name("certificates".to_owned()).spawn(move || {
            supervise::thread("certificates", || {
                work.work(&receiver);
                Ok(())
            });
        })?;
        Ok(Keeper { commands })
    }

    /// Has other certificates serve, and waits until they do: sites came and went. One that cannot be
    /// used is awaited.
    pub fn reconfigure(&self, pairs: Vec<PairFiles>, awaited: Vec<PairFiles>) -> Reconfigured {
        let (done, is_done) = oneshot::channel();
        let _ = self.commands.send(Command::Reconfigure { pairs, awaited, done });
        Reconfigured(is_done)
    }

    /// Has all files read again, and waits until they serve or are rejected. Gives those that are.
    pub async fn reload(&self) -> Vec<CertificateError> {
        let (done, is_done) = oneshot::channel();
        // The thread ends only on command.
        let _ = self.commands.send(Command::Reload { done });
        // An error means that it was canceled: the server is about to stop, or reading the files
        // panicked, which is logged.
        is_done.await.unwrap_or_default()
    }
}

/// Watches the files of all certificates.
fn watch(store: &Store, commands: mpsc::Sender<Command>) -> Option<Watch> {
    let on_change = move |change| {
        // If the receiver is gone, so is the server.
        let _ = commands.send(Command::Change(change));
    };
    match Watch::new(store.options().files(), on_change) {
        Ok(watch) => Some(watch),
        Err(error) => {
            log_unwatched(&error);
            None
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let _ = self.commands.send(Command::Stop);
    }
}

struct Work {
    store: Arc<Store>,
    /// For what is watched.
    commands: mpsc::Sender<Command>,
    watch: Option<Watch>,
    /// What the files were like when they were read last.
    seen: Stamps,
    /// The last failure of each certificate that is in the log, and that of the authorities.
    failures: Vec<Option<String>>,
    /// When a certificate that is not valid yet will be.
    retry_at: Option<SystemTime>,
    expiry: Expiry,
}

impl Work {
    /// Works until it has to stop.
    fn work(&mut self, commands: &mpsc::Receiver<Command>) {
        loop {
            let command = match commands.recv_timeout(LOOK) {
                Ok(Command::Change(change)) => change.settle(commands, Command::as_change),
                Ok(command) => Some(command),
                Err(RecvTimeoutError::Timeout) => {
                    self.look();
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            };
            match command {
                Some(Command::Stop) => return,
                Some(Command::Reload { done }) => {
                    let rejected = self.reload(true);
                    // The caller may have gone meanwhile.
                    let _ = done.send(rejected);
                }
                Some(Command::Reconfigure { pairs, awaited, done }) => {
                    self.store.reconfigure(pairs, awaited);
                    // They serve. To watch those of a thousand sites takes a while.
                    let _ = done.send(());
                    self.reconfigured();
                }
                Some(Command::Change(_)) | None => {
                    self.reload(false);
                }
            }
        }
    }

    fn reconfigured(&mut self) {
        self.seen = self.store.stamps();
        self.failures = vec![None; self.store.slots().len() + 1];
        match &mut self.watch {
            Some(watch) => {
                if let Err(error) = watch.set(self.store.options().files()) {
                    log_unwatched(&error);
                }
            }
            None => self.watch = watch(&self.store, self.commands.clone()),
        }
        self.expiry.look(&self.store.pairs(), SystemTime::now());
    }

    /// What happens without a notification.
    fn look(&mut self) {
        let is_time = self.retry_at.is_some_and(|at| SystemTime::now() >= at);
        if is_time || self.store.stamps() != self.seen {
            self.reload(false);
        }
        self.expiry.look(&self.store.pairs(), SystemTime::now());
    }

    /// Reads all files until they fit, and replaces what is new in one step. Gives what never fitted.
    fn reload(&mut self, is_command: bool) -> Vec<CertificateError> {
        if let Some(watch) = &mut self.watch
            && let Err(error) = watch.renew()
        {
            log_unwatched(&error);
        }
        self.retry_at = None;
        let began = Instant::now();
        let mut numbers: Vec<usize> = (0..self.failures.len()).collect();
        let rejected = loop {
            self.seen = self.store.stamps();
            // Also on a busy machine there is an attempt after all of that time.
            let is_last = began.elapsed() >= PATIENCE;
            let errors = self.attempt(&numbers, is_command);
            if errors.is_empty() || is_last {
                for (number, error) in &errors {
                    self.reject(*number, error, is_command);
                }
                break errors.into_iter().map(|(_, error)| error).collect();
            }
            numbers = errors.into_iter().map(|(number, _)| number).collect();
            thread::sleep(PAUSE);
        };
        self.expiry.look(&self.store.pairs(), SystemTime::now());
        rejected
    }

    /// Reads these files once, and replaces what is new and fits. Gives what does not.
    fn attempt(&mut self, numbers: &[usize], is_command: bool) -> Vec<(usize, CertificateError)> {
        let before = self.store.slots();
        let mut pairs = before.clone();
        let (mut errors, mut replaced) = (Vec::new(), Vec::new());
        for &number in numbers {
            let Some(active) = before.get(number) else {
                errors.extend(self.reload_authorities(is_command).err().map(|e| (number, e)));
                continue;
            };
            let loaded = match active {
                Some(active) => load(active),
                None => load_awaited(&self.files(number)),
            };
            match loaded {
                Ok(None) => self.settled(number, is_command),
                Ok(Some(pair)) => {
                    pairs[number] = Some(Arc::new(pair));
                    replaced.push(number);
                }
                Err(error) => errors.push((number, error)),
            }
        }
        if !replaced.is_empty() {
            self.store.replace(pairs.clone());
        }
        for number in replaced {
            self.failures[number] = None;
            self.store.reloads.replaced(number);
            if let Some(pair) = &pairs[number] {
                log_replaced(before[number].as_deref(), pair);
            }
        }
        errors
    }

    /// The files have the content that is active.
    fn settled(&mut self, number: usize, is_command: bool) {
        if self.store.slots()[number].is_none() {
            return;
        }
        let path = self.files(number).certificate;
        let path = path.display();
        if self.failures[number].take().is_some() {
            tracing::info!(%path, "certificate files are those of the active certificate again");
        } else if is_command {
            tracing::info!(%path, "certificate unchanged");
        }
        self.store.reloads.settled(number);
    }

    fn files(&self, number: usize) -> PairFiles {
        let options = self.store.options();
        options.all().nth(number).expect("has a number of the settings").clone()
    }

    fn reload_authorities(&mut self, is_command: bool) -> Result<(), CertificateError> {
        let Some(authorities) = self.store.options().client_authorities.clone() else {
            return Ok(());
        };
        let number = self.failures.len() - 1;
        let path = authorities.file.display();
        let loaded = ClientAuth::load(&authorities)?;
        self.failures[number] = None;
        if loaded.content == self.store.client_auth().content {
            if is_command {
                tracing::info!(%path, "client authorities unchanged");
            }
            self.store.reloads.settled(number);
            return Ok(());
        }
        let authorities = loaded.authorities;
        self.store.client_auth.store(Arc::new(loaded));
        self.store.reloads.replaced(number);
        tracing::info!(%path, authorities, "client authorities replaced");
        Ok(())
    }

    fn reject(&mut self, number: usize, error: &CertificateError, is_command: bool) {
        if let Problem::NotYetValid(at) = error.problem {
            self.retry_at = Some(self.retry_at.map_or(at, |before| before.min(at)));
        }
        let text = error.to_string();
        if self.failures[number].as_ref() == Some(&text) && !is_command {
            return;
        }
        self.failures[number] = Some(text);
        self.store.reloads.rejected(number, error);
        let (path, code) = (error.path.display(), error.problem.code());
        if error.role == FileRole::ClientAuthorities {
            tracing::error!(%path, code, %error, "client authorities not replaced, those before stay");
        } else {
            tracing::error!(%path, code, %error, "certificate not replaced, the one before serves on");
        }
    }
}

/// The pair in the files of an active one, if it is another and fits. It takes the place of a
/// valid one only if it is valid itself.
fn load(active: &Pair) -> Result<Option<Pair>, CertificateError> {
    let content = Content::read(&active.files)?;
    if content.digest == active.content {
        return Ok(None);
    }
    let pair = Pair::parse(&active.files, &content)?;
    let now = SystemTime::now();
    if pair.leaf.is_valid(now) || !active.leaf.is_valid(now) {
        return Ok(Some(pair));
    }
    let problem = match now < pair.leaf.not_before {
        true => Problem::NotYetValid(pair.leaf.not_before),
        false => Problem::Expired(pair.leaf.not_after),
    };
    let (role, path) = (active.files.certificate_role(), active.files.certificate.clone());
    Err(CertificateError { role, path, problem })
}

/// One that was awaited, if it is there.
fn load_awaited(files: &PairFiles) -> Result<Option<Pair>, CertificateError> {
    match Pair::load(files) {
        Err(error) if error.problem.is_missing_file() => Ok(None),
        loaded => loaded.map(Some),
    }
}

fn log_unwatched(error: &notify::Error) {
    tracing::warn!(%error, "certificates cannot be watched; they are looked at every 2 s");
}

fn log_replaced(before: Option<&Pair>, pair: &Pair) {
    let (path, names) = (pair.files.certificate.display(), pair.names());
    let expires = clock::rfc3339_of(pair.leaf.not_after);
    let Some(before) = before else {
        tracing::info!(%path, names, expires, "certificate that was awaited serves");
        return log_problems(pair);
    };
    tracing::info!(%path, names, expires, "certificate replaced");
    let lost = before.leaf.names.iter().filter(|name| !pair.leaf.names.contains(name));
    let lost: Vec<_> = lost.map(ToString::to_string).collect();
    if !lost.is_empty() {
        let names = lost.join(", ");
        tracing::warn!(%path, names, "certificate lacks names that the one before had");
    }
    log_problems(pair);
}

fn log_problems(pair: &Pair) {
    let path = pair.files.certificate.display();
    for problem in &pair.problems {
        tracing::warn!(%path, reason = %problem, "certificate has a problem");
    }
}
