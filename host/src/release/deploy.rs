//! The entrance for whatever deploys another guest: reloads, uploads and roll-backs.
//!
//! Each way has a thread of its own, so that none waits for another: one looks after the
//! source, one checks uploads, one frees replaced guests. A roll-back needs none: a pointer is
//! replaced, whatever the others do.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::activate::Activator;
use super::active::{Active, Returned};
use super::generation::Generation;
use super::root::Root;
use super::source::{Source, Watching};
use super::source_deployer::{Command, Known, SourceDeployer};
use super::upload::{Upload, UploadDeployer};
use crate::file_watch::{Stamps, Watch};
use crate::files::RootPath;
use crate::guest::runtime::engine::Engine;
use crate::guest::validation::report::ValidationReport;
use crate::helper::CancelToken;
use crate::supervise;

pub use super::activate::log_first;
pub use super::part_file::Part;
pub use super::upload::Purpose;

/// The threads that deploy guests. Dropping this ends them, after their present work; nothing
/// waits for that.
pub struct Deployer {
    activator: Activator,
    commands: mpsc::Sender<Command>,
    uploads: mpsc::Sender<Upload>,
}

/// A generation that was rolled back.
#[derive(Clone)]
pub struct RolledBack {
    /// The one that serves again.
    pub restored: Arc<Generation>,
    /// The one that served.
    pub replaced: Arc<Generation>,
}

/// Why there is no result of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeployError {
    /// Nothing served before, or it is not kept.
    NoPrevious,
    /// The server is about to stop, or the thread panicked.
    Canceled,
}

impl DeployError {
    /// Its code in the JSON of the administration.
    pub fn code(self) -> &'static str {
        match self {
            DeployError::NoPrevious => "no-previous-guest",
            DeployError::Canceled => "canceled",
        }
    }
}

impl fmt::Display for DeployError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DeployError::NoPrevious => "no previous guest and root are kept",
            DeployError::Canceled => {
                "canceled: the server is about to stop, or the log has a panic"
            }
        })
    }
}

impl std::error::Error for DeployError {}

impl Deployer {
    /// Starts to look after what serves: files of this root, and the guest that this source offered
    /// when its files were as in `seen`.
    pub fn start(
        engine: Arc<Engine>,
        active: Arc<Active>,
        root: RootPath,
        source: Arc<dyn Source>,
        seen: Stamps,
        watching: Watching,
    ) -> io::Result<Deployer> {
        let (commands, receiver) = mpsc::channel();
        let watch = match watching {
            Watching::Off => None,
            Watching::On => watch(&*source, root.path(), commands.clone()),
        };
        let activator = Activator::start(Arc::clone(&active))?;
        let current = active.current();
        let offered = |_| Known { guest: current.guest.digest(), rejected: None };
        let mut source_deployer = SourceDeployer {
            engine: Arc::clone(&engine),
            activator: activator.clone(),
            root: Root::new(root, Arc::clone(&current.files)),
            watching,
            watch,
            seen,
            is_changing: false,
            known: source.name().map(offered),
            later: VecDeque::new(),
            source: Arc::clone(&source),
        };
        thread::Builder::new().name("deploy-file".to_owned()).spawn(move || {
            supervise::thread("deploy-file", || {
                source_deployer.work(&receiver);
                Ok(())
            });
        })?;
        let (uploads, receiver) = mpsc::channel();
        let upload_deployer = UploadDeployer { engine, source, activator: activator.clone() };
        thread::Builder::new().name("deploy-upload".to_owned()).spawn(move || {
            supervise::thread("deploy-upload", || {
                upload_deployer.work(&receiver);
                Ok(())
            });
        })?;
        Ok(Deployer { activator, commands, uploads })
    }

    /// Has the source read again, also if it was rejected before, and waits until the guest serves
    /// or is rejected.
    pub async fn reload(&self) {
        let (done, is_done) = oneshot::channel();
        self.send(Command::Reload { done });
        // An error means that it was canceled: the server is about to stop, or reading the file
        // panicked, which is logged.
        let _ = is_done.await;
    }

    /// Checks an uploaded guest or data, and deploys it if that is its purpose. Canceled when this is
    /// dropped. The place is that of its bytes in memory.
    pub async fn upload(
        &self,
        bytes: Vec<u8>,
        part: Part,
        purpose: Purpose,
        place: OwnedSemaphorePermit,
    ) -> Result<ValidationReport, DeployError> {
        let (report, reported) = oneshot::channel();
        let canceled_on_drop = CancelOnDrop(CancelToken::default());
        let cancel = canceled_on_drop.0.clone();
        let upload = Upload { bytes, part, purpose, report, cancel, _place: place };
        // The thread ends only when nothing can be uploaded any more.
        let _ = self.uploads.send(upload);
        reported.await.map_err(|_| DeployError::Canceled)
    }

    /// Puts the previous generation in service again: its guest, and its files. This waits for
    /// nothing.
    pub fn roll_back(&self) -> Result<RolledBack, DeployError> {
        let returned = self.activator.active().roll_back().ok_or(DeployError::NoPrevious)?;
        let Returned { restored, replaced, gone } = returned;
        let is_other_root = restored.files.id() != replaced.files.id();
        let root =
            |of: &Generation| is_other_root.then(|| of.files.directory().display().to_string());
        tracing::warn!(
            guest = %restored.guest.digest(),
            previous = %replaced.guest.digest(),
            root = root(&restored),
            previous_root = root(&replaced),
            "guest rolled back on request"
        );
        self.activator.retire(gone);
        Ok(RolledBack { restored, replaced })
    }

    fn send(&self, command: Command) {
        // The thread ends only on command.
        let _ = self.commands.send(command);
    }
}

/// Watches the files of a source, and the way to the root.
fn watch(source: &dyn Source, root: &Path, commands: mpsc::Sender<Command>) -> Option<Watch> {
    let on_change = move |change| {
        // If the receiver is gone, so is the server.
        let _ = commands.send(Command::Change(change));
    };
    let paths = source.paths();
    match Watch::new(paths.iter().map(PathBuf::as_path).chain([root]), on_change) {
        Ok(watch) => Some(watch),
        Err(error) => {
            let path = source.name().unwrap_or_else(|| root.display().to_string());
            tracing::warn!(path, %error, "guest file not watched; it is looked at every 2 s");
            None
        }
    }
}

impl Drop for Deployer {
    fn drop(&mut self) {
        self.send(Command::Stop);
    }
}

/// A client that waits for a report.
struct CancelOnDrop(CancelToken);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::{Command, Deployer, Part, Purpose, Watching};
    use crate::guest::{DEFAULT_GUEST, Engine, GuestLimits, LoadedGuest};
    use crate::release::Active;
    use crate::release::active::FailurePolicy;
    use crate::release::generation::Generation;
    use crate::release::generation::tests::root;
    use crate::release::guest_files::GuestFiles;
    use std::sync::Arc;
    use tokio::sync::Semaphore;

    #[test]
    fn deployment_that_panics_is_canceled_and_the_next_one_is_made() {
        let engine = Arc::new(Engine::new(GuestLimits::default(), 1).expect("an engine"));
        let first = LoadedGuest::load(&engine, DEFAULT_GUEST).expect("the default guest");
        let (root, files) = root();
        let first = Generation { guest: Arc::new(first), files };
        let active = Arc::new(Active::new(first, FailurePolicy::default()));
        let (source, seen) = (Arc::new(GuestFiles::default()), Vec::new());
        let deployer = Deployer::start(engine, active, root, source, seen, Watching::On);
        let deployer = deployer.expect("a thread");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        deployer.send(Command::Panic);
        runtime.block_on(deployer.reload());
        let places = Arc::new(Semaphore::new(1));
        let place = places.clone().try_acquire_owned().expect("a place");
        let uploaded = deployer.upload(b"garbage".to_vec(), Part::Guest, Purpose::Check, place);
        assert!(!runtime.block_on(uploaded).expect("a report").is_accepted());
        assert_eq!(deployer.roll_back().err(), Some(super::DeployError::NoPrevious));
    }
}
