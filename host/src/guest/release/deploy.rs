//! Whoever wants another guest to serve is heard here.
//!
//! Each way has a thread of its own, so that none waits for another: one looks after the
//! guest's file, one tries what somebody hands over, one frees what was replaced. The way back
//! to the guest that served before needs none: a pointer is replaced, whatever the others are
//! at.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::activate::Succession;
use super::active::ActiveGuest;
use super::file_deployer::{FileDeployer, Known, Occasion};
use super::source::{Source, Watching};
use super::upload::{HandedOver, Tester};
use super::watch::Watch;
use crate::guest::digest::Digest;
use crate::guest::runtime::engine::Engine;
use crate::guest::validation::report::ValidationReport;
use crate::helper::GiveUp;
use crate::supervise;

pub use super::activate::warn_of_imports;
pub use super::upload::Purpose;

/// The threads that swap. Dropping this ends them, after what they are at; nobody waits for
/// that.
pub struct Deployer {
    succession: Succession,
    occasions: mpsc::Sender<Occasion>,
    handed_over: mpsc::Sender<HandedOver>,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeployError {
    /// No guest served before this one, or none is kept.
    NoPrevious,
    /// It was given up.
    Canceled,
}

impl std::fmt::Display for DeployError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            DeployError::NoPrevious => "no guest served before this one",
            DeployError::Canceled => {
                "it was given up: the server is about to stop, or the log tells of a panic"
            }
        })
    }
}

impl std::error::Error for DeployError {}

impl Deployer {
    /// Starts to look after the guest that serves.
    pub fn start(
        engine: Arc<Engine>,
        serving: Arc<ActiveGuest>,
        source: Source,
        watching: Watching,
    ) -> io::Result<Deployer> {
        let (occasions, receiver) = mpsc::channel();
        let tell = {
            let occasions = occasions.clone();
            move |change| {
                // If the receiver is gone, so is who would want to know.
                let _ = occasions.send(Occasion::Change(change));
            }
        };
        let watch = match watching {
            Watching::Off => None,
            Watching::On => source.guest.as_deref().and_then(|guest| {
                Watch::new(guest, tell).inspect_err(|problem| tracing::warn!("{problem}")).ok()
            }),
        };
        let succession = Succession::start(Arc::clone(&serving))?;
        let in_file = |_| Known { guest: serving.current().digest(), refused: None };
        let mut file_deployer = FileDeployer {
            engine: Arc::clone(&engine),
            succession: succession.clone(),
            watching: if source.guest.is_some() { watching } else { Watching::Off },
            watch,
            seen: source.at_first.clone(),
            known: source.guest.as_ref().map(in_file),
            later: VecDeque::new(),
            source: source.clone(),
        };
        thread::Builder::new().name("swap".to_owned()).spawn(move || {
            supervise::thread("swap", || {
                file_deployer.work(&receiver);
                Ok(())
            });
        })?;
        let (handed_over, receiver) = mpsc::channel();
        let tester = Tester { engine, source, succession: succession.clone() };
        thread::Builder::new().name("try".to_owned()).spawn(move || {
            supervise::thread("validate", || {
                tester.work(&receiver);
                Ok(())
            });
        })?;
        Ok(Deployer { succession, occasions, handed_over })
    }

    /// Has the file read again, also if it was found unfit before, and waits until it
    /// serves or is refused.
    pub async fn reload(&self) {
        let (done, is_done) = oneshot::channel();
        self.tell(Occasion::Reload { done });
        // An error means that it was given up: the server is about to stop, or reading the
        // file panicked, which is logged.
        let _ = is_done.await;
    }

    /// Hands over a guest, and waits for what comes of it. If nobody waits any more it is given
    /// up. The place is that of its bytes in memory.
    pub async fn upload(
        &self,
        bytes: Vec<u8>,
        purpose: Purpose,
        place: OwnedSemaphorePermit,
    ) -> Result<ValidationReport, DeployError> {
        let (answer, outcome) = oneshot::channel();
        let waits = Waits(GiveUp::default());
        let give_up = waits.0.clone();
        let handed = HandedOver { bytes, purpose, answer, give_up, _place: place };
        // The thread ends only when nobody can hand over any more.
        let _ = self.handed_over.send(handed);
        outcome.await.map_err(|_| DeployError::Canceled)
    }

    /// Puts the guest in service that served before, and gives its digest. This waits for
    /// nothing.
    pub fn roll_back(&self) -> Result<Digest, DeployError> {
        let rolled_back = self.succession.serving().roll_back();
        let (digest, old) = rolled_back.ok_or(DeployError::NoPrevious)?;
        tracing::warn!(
            "the guest {digest} serves again in place of {}, as was asked for",
            old.digest()
        );
        self.succession.retire(Some(old));
        Ok(digest)
    }

    fn tell(&self, occasion: Occasion) {
        // The thread ends only when it is told to.
        let _ = self.occasions.send(occasion);
    }
}

impl Drop for Deployer {
    fn drop(&mut self) {
        self.tell(Occasion::Stop);
    }
}

/// A caller that waits for a guest. When it is dropped, the guest is given up.
struct Waits(GiveUp);

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.now();
    }
}

#[cfg(test)]
mod tests {
    use super::{Deployer, Occasion, Purpose, Watching};
    use crate::guest::release::active::FailurePolicy;
    use crate::guest::release::source::Source;
    use crate::guest::{ActiveGuest, DEFAULT_GUEST, Engine, GuestLimits, LoadedGuest};
    use std::sync::Arc;
    use tokio::sync::Semaphore;

    #[test]
    fn a_swap_that_panics_is_given_up_and_the_next_one_is_made() {
        let engine = Arc::new(Engine::new(GuestLimits::default(), 1).expect("an engine"));
        let first = LoadedGuest::load(&engine, DEFAULT_GUEST).expect("the default guest");
        let serving = Arc::new(ActiveGuest::new(Arc::new(first), FailurePolicy::default()));
        let source = Source::new(None, Vec::new());
        let deployer = Deployer::start(engine, serving, source, Watching::On).expect("a thread");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        deployer.tell(Occasion::Panic);
        runtime.block_on(deployer.reload());
        let places = Arc::new(Semaphore::new(1));
        let place = places.clone().try_acquire_owned().expect("a place");
        let handed = deployer.upload(b"garbage".to_vec(), Purpose::Check, place);
        assert!(!runtime.block_on(handed).expect("an answer").fit);
        assert_eq!(deployer.roll_back(), Err(super::DeployError::NoPrevious));
    }
}
