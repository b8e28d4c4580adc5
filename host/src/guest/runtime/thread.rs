//! What a thread needs of the system before it runs guests.

use std::io;
use std::panic::catch_unwind;

use crate::priority;

/// Takes what this thread needs to run guests: a stack on which the end of its stack is
/// noticed. Otherwise it is taken when the first one runs, which panics where no memory is
/// left; and each request after that one did.
pub fn prepare_thread() -> io::Result<()> {
    catch_unwind(wasmtime::Engine::tls_eager_initialize).map_err(|_| {
        let message = "there is no memory for what a thread needs to run guests";
        io::Error::new(io::ErrorKind::OutOfMemory, message)
    })
}

/// The same for a thread that has time: workers come first.
pub(super) fn prepare_background_thread() {
    if let Err(error) = priority::set(priority::BACKGROUND) {
        tracing::debug!(%error, "cannot lower the priority of a background thread");
    }
    // If there is no memory for it, each decision tries again.
    let _ = prepare_thread();
}
