//! Says what takes long, where it does.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// Who waits for longer wants to know what for.
const SOON: Duration = Duration::from_secs(1);

/// Says something, unless it is dropped soon.
pub(super) struct Notice(#[expect(dead_code, reason = "it is dropped")] Option<Sender<()>>);

impl Notice {
    /// Waits for a second, and says it. Where there can be no thread nothing is said.
    pub(super) fn unless_soon(say: impl FnOnce() + Send + 'static) -> Notice {
        let (sender, is_over) = channel::<()>();
        let wait = move || {
            if let Err(RecvTimeoutError::Timeout) = is_over.recv_timeout(SOON) {
                say();
            }
        };
        Notice(thread::Builder::new().name("notice".to_owned()).spawn(wait).ok().map(|_| sender))
    }
}
