//! How a connection ends.

/// The end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It is closed, so that the client has time to read what was sent.
    Close,
    /// It is dropped, and reset if the client has not taken all that was sent: it does not take
    /// it, or is gone.
    Reset,
}
