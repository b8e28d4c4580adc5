//! The entrance for whatever deploys another guest: reloads, uploads and roll-backs.
//!
//! Each way has threads of its own in the crew, so that none waits for another: some look after
//! sources, one checks uploads, one frees what was replaced. A roll-back needs none: a pointer is
//! replaced, whatever the others do.

use std::fmt;
use std::io;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::activate::Activator;
use super::active::{Active, Returned};
use super::crew::Crew;
use super::generation::Generation;
use super::root::Root;
use super::source::{Source, Watching};
use super::source_deployer::{Known, SourceDeployer};
use super::upload::{Upload, UploadDeployer};
use crate::diagnostics::context::for_site;
use crate::file_watch::{Key, Stamps};
use crate::files::RootPath;
use crate::guest::validation::report::ValidationReport;
use crate::helper::CancelToken;

pub use super::activate::FirstGuest;
pub use super::part_file::Part;
pub use super::upload::Purpose;

/// What deploys the guests of one site. Dropping this ends it, after the present work; nothing waits
/// for that.
pub struct Deployer {
    crew: Arc<Crew>,
    key: Key,
    /// The site, where there are several.
    site: Option<Arc<str>>,
    activator: Activator,
    uploads: Arc<UploadDeployer>,
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
    /// The directory that served before was removed.
    PreviousRemoved,
    /// The server is about to stop, or the thread panicked.
    Canceled,
}

impl DeployError {
    /// Its code in the JSON of the administration.
    pub fn code(self) -> &'static str {
        match self {
            DeployError::NoPrevious => "no-previous-guest",
            DeployError::PreviousRemoved => "previous-root-removed",
            DeployError::Canceled => "canceled",
        }
    }
}

impl fmt::Display for DeployError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DeployError::NoPrevious => "no previous guest and root are kept",
            DeployError::PreviousRemoved => {
                "the previous root was removed: put another in its place, or lead the root's path to it"
            }
            DeployError::Canceled => {
                "canceled: the server is about to stop, or the log has a panic"
            }
        })
    }
}

impl std::error::Error for DeployError {}

impl Deployer {
    /// Starts to look after what serves: files of this root, and the guest that this source offered
    /// when its files were as in `seen`. `site` is the name where there are several.
    pub fn start(
        crew: &Arc<Crew>,
        site: Option<Arc<str>>,
        active: Arc<Active>,
        root: RootPath,
        source: Arc<dyn Source>,
        seen: Stamps,
        watching: Watching,
    ) -> io::Result<Deployer> {
        let (crew, key) = (Arc::clone(crew), crew.key());
        let engine = Arc::clone(crew.engine());
        let current = active.current();
        let offered = |_| Known { guest: current.guest.digest(), rejected: None };
        let watches = crew.watches().filter(|_| watching == Watching::On).cloned();
        let activator = Activator::new(active, crew.retired().clone());
        activator.frees_for_workers();
        let mut source_deployer = SourceDeployer {
            engine: Arc::clone(&engine),
            site: site.clone(),
            activator: activator.clone(),
            root: Root::new(root, &current.files),
            watching,
            watches: watches.map(|watches| (watches, key)),
            seen,
            is_changing: false,
            known: source.name().map(offered),
            refusal: None,
            source: Arc::clone(&source),
        };
        if let Err(error) = source_deployer.watch() {
            source_deployer.watches = None;
            let path = source.name();
            tracing::warn!(path, %error, "guest file not watched; it is looked at every 2 s");
        }
        let of = site.clone();
        let uploads = UploadDeployer { engine, site: of, source, activator: activator.clone() };
        let deployer = Deployer { crew, key, site, activator, uploads: Arc::new(uploads) };
        deployer.crew.add(key, source_deployer)?;
        Ok(deployer)
    }

    /// Has the source read again, also if it was rejected before, and waits until the guest serves
    /// or is rejected. Returns why, if the guest or the root was not put in service.
    pub async fn reload(&self) -> Option<String> {
        let (done, is_done) = oneshot::channel();
        self.crew.reload(self.key, done);
        // An error means that it was canceled: the server is about to stop, or reading the file
        // panicked, which is logged.
        is_done.await.ok().flatten()
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
        let by = Arc::clone(&self.uploads);
        let upload = Upload { by, bytes, part, purpose, report, cancel, _place: place };
        // The thread ends only when nothing can be uploaded any more.
        let _ = self.crew.uploads().send(upload);
        reported.await.map_err(|_| DeployError::Canceled)
    }

    /// Puts the previous generation in service again: its guest, and its files. This waits for
    /// nothing.
    pub fn roll_back(&self) -> Result<RolledBack, DeployError> {
        let active = self.activator.active();
        if active.previous().is_some_and(|previous| previous.files.is_removed()) {
            return Err(DeployError::PreviousRemoved);
        }
        let returned = active.roll_back().ok_or(DeployError::NoPrevious)?;
        let Returned { restored, replaced, gone } = returned;
        let is_other_root = restored.files.id() != replaced.files.id();
        let root =
            |of: &Generation| is_other_root.then(|| of.files.directory().display().to_string());
        for_site(self.site.clone(), || {
            tracing::warn!(
                guest = %restored.guest.digest(),
                previous = %replaced.guest.digest(),
                root = root(&restored),
                previous_root = root(&replaced),
                "guest rolled back on request"
            );
        });
        self.activator.retire(gone);
        Ok(RolledBack { restored, replaced })
    }
}

impl Drop for Deployer {
    fn drop(&mut self) {
        self.crew.remove(self.key);
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
    use super::{Deployer, Part, Purpose, Watching};
    use crate::guest::offer::Offer;
    use crate::guest::validation::cases::{CaseFile, CaseFileError};
    use crate::guest::{DEFAULT_GUEST, Engine, GuestLimits, LoadedGuest};
    use crate::lock::lock;
    use crate::release::Active;
    use crate::release::Crew;
    use crate::release::active::FailurePolicy;
    use crate::release::generation::Generation;
    use crate::release::generation::tests::root;
    use crate::release::guest_files::GuestFiles;
    use crate::release::source::{Source, SourceError};
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex, mpsc};
    use std::task::Poll;
    use tokio::sync::Semaphore;

    /// A source that does this when it is read on request.
    struct Doing<F>(F);

    impl<F: Fn() + Send + Sync> Source for Doing<F> {
        fn name(&self) -> Option<String> {
            None
        }

        fn paths(&self) -> Vec<PathBuf> {
            Vec::new()
        }

        fn forget_missing(&self) {
            (self.0)();
        }

        fn read(&self) -> Result<Offer, SourceError> {
            GuestFiles::default().read()
        }

        fn cases(&self) -> Result<Vec<CaseFile>, CaseFileError> {
            GuestFiles::default().cases()
        }
    }

    fn crew() -> Arc<Crew> {
        let engine = Engine::new(GuestLimits::default(), 1).expect("an engine");
        Crew::start(Arc::new(engine)).expect("threads")
    }

    /// A site that does this on request.
    fn site(crew: &Arc<Crew>, on_request: impl Fn() + Send + Sync + 'static) -> Deployer {
        let first = LoadedGuest::load(crew.engine(), DEFAULT_GUEST).expect("the default guest");
        let (root, files) = root();
        let first = Generation { guest: Arc::new(first), files };
        let active = Arc::new(Active::new(first, FailurePolicy::default()));
        let source = Arc::new(Doing(on_request));
        Deployer::start(crew, None, active, root, source, Vec::new(), Watching::On)
            .expect("threads")
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime")
    }

    #[test]
    fn deployment_that_panics_is_canceled_and_the_next_one_is_made() {
        let requests = Arc::new(AtomicUsize::new(0));
        let on_request = {
            let requests = Arc::clone(&requests);
            move || assert!(requests.fetch_add(1, Ordering::Relaxed) > 0, "on purpose")
        };
        let deployer = site(&crew(), on_request);
        let runtime = runtime();
        runtime.block_on(deployer.reload());
        runtime.block_on(deployer.reload());
        assert_eq!(requests.load(Ordering::Relaxed), 2);
        let places = Arc::new(Semaphore::new(1));
        let place = places.clone().try_acquire_owned().expect("a place");
        let uploaded = deployer.upload(b"garbage".to_vec(), Part::Guest, Purpose::Check, place);
        assert!(!runtime.block_on(uploaded).expect("a report").is_accepted());
        assert_eq!(deployer.roll_back().err(), Some(super::DeployError::NoPrevious));
    }

    #[test]
    fn site_that_takes_long_holds_up_no_other() {
        let crew = crew();
        let (go_on, wait) = mpsc::channel::<()>();
        let wait = Mutex::new(wait);
        let begun = Arc::new(AtomicUsize::new(0));
        let slow = {
            let begun = Arc::clone(&begun);
            site(&crew, move || {
                begun.fetch_add(1, Ordering::Relaxed);
                // Until the test ends.
                let _ = lock(&wait).recv();
            })
        };
        let others: Vec<_> = (0..8).map(|_| site(&crew, || {})).collect();
        assert_eq!(crew.workers(), 3);
        let runtime = runtime();
        runtime.block_on(async {
            let is_reloaded = slow.reload();
            tokio::pin!(is_reloaded);
            std::future::poll_fn(|context| {
                assert!(is_reloaded.as_mut().poll(context).is_pending());
                Poll::Ready(())
            })
            .await;
            while begun.load(Ordering::Relaxed) == 0 {
                std::thread::yield_now();
            }
            for other in &others {
                other.reload().await;
            }
            drop(go_on);
            is_reloaded.await;
        });
        // Also one that was removed while it is worked on is gone.
        drop((slow, others));
    }
}
