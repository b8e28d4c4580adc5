//! What has a descriptor, and is watched by the runtime once that is asked for.

use std::io;
use std::net::TcpStream;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Owns one descriptor.
///
/// # Safety
///
/// It stays the same, and open, as long as its owner lives, and as it is not given away.
#[expect(unsafe_code, reason = "that the descriptor outlives its watch is a promise")]
pub(super) unsafe trait Owner: AsFd {}

// SAFETY: it has an `OwnedFd`, which it closes when it is dropped, and nothing replaces.
#[expect(unsafe_code, reason = "see the trait")]
unsafe impl Owner for TcpStream {}
// SAFETY: it has a `TcpStream`.
#[expect(unsafe_code, reason = "see the trait")]
unsafe impl Owner for socket2::Socket {}

/// An owner, and what the runtime knows of its descriptor.
pub(super) struct Watched<T> {
    /// Before the owner: the runtime forgets the descriptor before it is closed.
    watch: Option<AsyncFd<Number>>,
    owner: T,
}

/// The number of a descriptor that something else owns.
pub(super) struct Number(RawFd);

impl AsRawFd for Number {
    fn as_raw_fd(&self) -> RawFd {
        self.0
    }
}

impl<T: Owner> Watched<T> {
    /// One that is not watched yet.
    pub(super) fn new(owner: T) -> Watched<T> {
        Watched { watch: None, owner }
    }

    /// What has the descriptor. It cannot be changed for another.
    pub(super) fn owner(&self) -> &T {
        &self.owner
    }

    /// What the runtime knows of it, if it is watched.
    pub(super) fn watch(&self) -> Option<&AsyncFd<Number>> {
        self.watch.as_ref()
    }

    /// Has the runtime that this is called in watch it, if it does not yet.
    #[expect(unsafe_code, reason = "that the descriptor outlives its watch is a promise")]
    pub(super) fn begin(&mut self, interest: Interest) -> io::Result<&AsyncFd<Number>> {
        if self.watch.is_none() {
            let number = Number(self.owner.as_fd().as_raw_fd());
            // SAFETY: the descriptor is the owner's, which keeps it open and does not change it
            // (`Owner`). The owner is not given away, and is dropped after the watch; should
            // this be forgotten, both are. `Number` gives the same number each time.
            let watch = unsafe { AsyncFd::register_with_interest(number, interest) };
            self.watch = Some(watch.map_err(|error| error.into_parts().1)?);
        }
        self.watch.as_ref().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}
