//! TLS on one connection (RFC 8446, RFC 5246), after its handshake: content becomes records, and
//! records content. It has no socket: bytes go into it and come out of it.
//!
//! What a client may do that is of no use is bounded by `rustls`: four alerts that warn, one
//! request to renegotiate, which is refused, 32 empty records in a row and 32 updates of keys.

use std::io::{self, BufRead, IoSlice, Write};

use rustls::ServerConnection;

use super::ledger::Ledger;

/// Content that becomes records at a time, at most: four of them, in one system call. The kernel
/// may take none of it, so each connection that sends holds as much.
pub(crate) const SEALED_BYTES: usize = 64 << 10;

/// Room for what comes beside content: tickets, alerts, updates of keys.
const OTHER_BYTES: usize = 8 << 10;

/// Content that is held back for more, at most: heads of responses and of their parts.
const HELD_BYTES: usize = 8 << 10;

/// Records that wait to be sent, of one connection.
pub(crate) const BUFFER_BYTES: usize = HELD_BYTES + SEALED_BYTES + OTHER_BYTES;

/// The TLS of one connection.
pub(crate) struct Session {
    connection: ServerConnection,
    /// Content that waits for more of it, to share a record.
    held: Vec<u8>,
    /// Content that was given to be sent.
    handed: u64,
    ledger: Ledger,
    /// Whether records of content were made and not all handed to the kernel.
    has_content: bool,
    /// Whether the content that is sent next is the last.
    is_last: bool,
    /// Whether the client was told that nothing more is sent.
    is_closed: bool,
    /// Whether the client said that it sends no more (`close_notify`).
    has_ended: bool,
    /// Whether what it sent is no TLS. It was sent an alert.
    has_failed: bool,
}

impl Session {
    /// On a connection whose handshake is complete.
    pub(crate) fn new(mut connection: ServerConnection) -> Session {
        connection.set_buffer_limit(Some(BUFFER_BYTES));
        Session {
            connection,
            held: Vec::new(),
            handed: 0,
            ledger: Ledger::default(),
            has_content: false,
            is_last: false,
            is_closed: false,
            has_ended: false,
            has_failed: false,
        }
    }

    /// Whether the client said that it sends no more.
    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Whether the client broke the protocol. Nothing that it sends is of any use.
    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed
    }

    /// Takes bytes of records, in any pieces, and appends their content to `content`.
    pub(crate) fn open(&mut self, mut received: &[u8], content: &mut Vec<u8>) {
        loop {
            self.take_content(content);
            // What follows the client's end is not even looked at (RFC 8446, section 6.1).
            if received.is_empty() || self.has_ended || self.has_failed {
                return;
            }
            // What is longer than a record has no room.
            let is_read = self.connection.read_tls(&mut received).is_ok_and(|read| read > 0);
            match self.connection.process_new_packets() {
                Ok(state) => {
                    self.has_ended = state.peer_has_closed();
                    self.has_failed = !is_read;
                }
                Err(error) => {
                    tracing::debug!(%error, "TLS of a client is broken");
                    self.has_failed = true;
                }
            }
        }
    }

    fn take_content(&mut self, content: &mut Vec<u8>) {
        let mut reader = self.connection.reader();
        // An error tells that there is none, and why.
        while let Ok(chunk) = reader.fill_buf() {
            let length = chunk.len();
            if length == 0 {
                return;
            }
            content.extend_from_slice(chunk);
            reader.consume(length);
        }
    }

    /// Holds content back until more of it is sent, to share a record. False if that is too much:
    /// then it is to be sent.
    pub(crate) fn hold(&mut self, content: &[u8]) -> bool {
        if self.held.len() + content.len() > HELD_BYTES {
            return false;
        }
        self.held.extend_from_slice(content);
        self.handed += content.len() as u64;
        true
    }

    /// Makes records of what is held back and of two pieces, [`SEALED_BYTES`] of them or `most`
    /// at most. Returns how much of the pieces it was.
    pub(crate) fn seal(&mut self, first: &[u8], second: &[u8], most: usize) -> io::Result<usize> {
        let first_and_second = first.len() + second.len();
        let most = most.min(SEALED_BYTES);
        let first = &first[..first.len().min(most)];
        let second = &second[..second.len().min(most - first.len())];
        if first.is_empty() && second.is_empty() && self.held.is_empty() {
            return Ok(0);
        }
        let mut held = std::mem::take(&mut self.held);
        let all = [IoSlice::new(&held), IoSlice::new(first), IoSlice::new(second)];
        let sealed = match (held.is_empty(), second.is_empty()) {
            (true, true) => self.connection.writer().write(first)?,
            _ => self.connection.writer().write_vectored(&all)?,
        };
        if sealed == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.has_content |= sealed > 0;
        let of_pieces = sealed.saturating_sub(held.len());
        self.handed += of_pieces as u64;
        // A record may take less before the keys are updated.
        held.drain(..sealed.min(held.len()));
        self.held = held;
        if self.is_last && of_pieces == first_and_second && self.held.is_empty() {
            self.close();
        }
        Ok(of_pieces)
    }

    /// Whether something is to be sent: records, or what is held back.
    pub(crate) fn is_unsent(&self) -> bool {
        self.connection.wants_write() || !self.held.is_empty()
    }

    /// Whether records of content are to be sent, and not only what comes beside it.
    pub(crate) fn has_content(&self) -> bool {
        self.has_content
    }

    /// Has the client be told that nothing more is sent with the content that is sent next, in
    /// the same system call (`close_notify`).
    pub(crate) fn end_with_next(&mut self) {
        self.is_last = true;
    }

    /// Whether there are records to be sent.
    pub(crate) fn has_records(&self) -> bool {
        self.connection.wants_write()
    }

    /// Writes records to `out`, as many as it takes. Returns their bytes.
    pub(crate) fn write_records(&mut self, out: &mut dyn Write) -> io::Result<usize> {
        self.connection.write_tls(out)
    }

    /// Notes that all records were handed to the kernel, as bytes of the wire up to there.
    pub(crate) fn note_sent(&mut self, wire: u64) {
        self.has_content = false;
        self.ledger.note(wire, self.handed - self.held.len() as u64);
    }

    /// The client acknowledged the bytes of the wire up to there.
    pub(crate) fn acknowledge(&mut self, wire: u64) {
        self.ledger.acknowledge(wire);
    }

    /// Says that nothing more is sent (`close_notify`).
    pub(crate) fn close(&mut self) {
        self.connection.send_close_notify();
        self.is_closed = true;
    }

    /// Whether nothing follows what is to be sent but the end of the connection.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Content that was given to be sent.
    pub(crate) fn handed(&self) -> u64 {
        self.handed
    }

    /// Content that the client took.
    pub(crate) fn taken(&self) -> u64 {
        self.ledger.taken()
    }
}

#[cfg(test)]
mod tests;
