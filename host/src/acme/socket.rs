//! The socket between a server and its fetcher: messages that are kept apart, each whole.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::helper::protocol::{MESSAGE_BYTES, ProtocolError, message, understood};

/// Waits for a message.
pub(super) fn receive<T: DeserializeOwned>(socket: &OwnedFd) -> Result<T, ProtocolError> {
    receive_with(socket, RecvFlags::empty())
}

/// A message that is there already; `WouldBlock` if there is none.
pub(super) fn receive_now<T: DeserializeOwned>(socket: impl AsFd) -> Result<T, ProtocolError> {
    receive_with(socket, RecvFlags::DONTWAIT)
}

fn receive_with<T: DeserializeOwned>(
    socket: impl AsFd,
    flags: RecvFlags,
) -> Result<T, ProtocolError> {
    let mut bytes = vec![0; MESSAGE_BYTES];
    let length = loop {
        match recv(&socket, &mut bytes, flags) {
            Err(Errno::INTR) => {}
            received => break received.map_err(io::Error::from)?.1,
        }
    };
    understood(&bytes[..length])
}

/// Sends a message. Without `DONTWAIT` it waits for room.
pub(super) fn send(
    socket: impl AsFd,
    what: &impl Serialize,
    flags: SendFlags,
) -> Result<(), ProtocolError> {
    let bytes = message(what)?;
    loop {
        match rustix::net::send(&socket, &bytes, flags | SendFlags::NOSIGNAL) {
            Err(Errno::INTR) => {}
            sent => return sent.map(drop).map_err(|error| ProtocolError::Io(error.into())),
        }
    }
}
