//! A thread for what may be done later, beside workers that serve already.

use std::io;
use std::sync::mpsc::{self, Sender};
use std::thread;

use super::thread::prepare_thread;
use crate::priority;
use crate::supervise;

type Work = Box<dyn FnOnce() + Send>;

/// The thread. It ends when this is dropped and it has done what it has begun.
pub(super) struct Background(Sender<Work>);

impl Background {
    /// Starts the thread.
    pub(super) fn start() -> io::Result<Background> {
        let (sender, receiver) = mpsc::channel::<Work>();
        thread::Builder::new().name("guest-background".to_owned()).spawn(move || {
            if let Err(error) = priority::set(priority::BACKGROUND) {
                tracing::debug!(%error, "cannot lower the priority of a background thread");
            }
            // If there is no memory for it, each decision tries again.
            let _ = prepare_thread();
            supervise::thread("guest-background", || {
                while let Ok(work) = receiver.recv() {
                    work();
                }
                Ok(())
            });
        })?;
        Ok(Background(sender))
    }

    /// Does this when all that was asked for before is done.
    pub(super) fn run(&self, work: impl FnOnce() + Send + 'static) {
        // The thread is there as long as this is.
        let _ = self.0.send(Box::new(work));
    }
}
