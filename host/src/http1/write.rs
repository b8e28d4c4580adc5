//! Writes a response: its head, and its body from memory or from a file.

use super::connection::{Connection, Next};
use super::delivery::Delivery;
use super::response_head::{self, Persistence};
use crate::http::ByteRange;
use crate::service::{Body, Content, Record, Response};
use crate::throttle::Throttle;
use crate::transport::send_scheduler::UNSCHEDULED_BYTES;
use crate::transport::stream::{More, SendError};
use crate::transport::transfer::Transfer;

/// As many as there are requests for the file.
static TRUNCATED: Throttle = Throttle::new();
static UNREADABLE: Throttle = Throttle::new();

/// Room for a usual response that is sent in one piece.
const HEAD_BYTES: usize = 512;

/// Up to this many bytes of a body are copied behind the head: that costs less than
/// having the kernel gather two pieces.
const COPIED_BYTES: usize = 2 << 10;

impl<'a> Connection<'_, 'a> {
    /// Writes a response, finishes its record and tells what becomes of the connection. If the
    /// method `is_head` the response has no body.
    pub(super) async fn write(
        &mut self,
        response: &Response,
        is_head: bool,
        persistence: Persistence,
        record: &mut Record<'a, '_>,
    ) -> Next {
        let persistence = if response.close { Persistence::Close } else { persistence };
        let body = if is_head { &Body::Empty } else { &response.body };
        let begins_at = self.accepted.stream.handed();
        let mut writing = Writing { connection: self, record, status: response.status, begins_at };
        let written = writing.write(response, body, persistence).await;
        writing.finish(written.is_ok());
        drop(writing);
        let Err(error) = written else {
            return match persistence {
                Persistence::Close => Next::Close,
                Persistence::KeepAlive | Persistence::KeepAliveSaid => Next::Request,
            };
        };
        match error {
            SendError::TimedOut => {
                self.log_stall();
                Next::Reset
            }
            SendError::Disconnected(error) => {
                tracing::debug!(%error, "client disconnected");
                Next::Reset
            }
            // The client is to have what was sent, and to see that it is not all.
            SendError::FileTruncated => {
                TRUNCATED.log(|suppressed| {
                    tracing::warn!(
                        suppressed,
                        "file was truncated while it was sent, connection closed"
                    );
                });
                Next::Close
            }
            SendError::FileFailed(error) => {
                UNREADABLE.log(|suppressed| {
                    tracing::error!(
                        %error,
                        suppressed,
                        "cannot read file to its end, connection closed"
                    );
                });
                Next::Close
            }
        }
    }
}

/// A response while it is written. Its record is finished however that ends: a server that stops
/// drops what takes too long.
struct Writing<'w, 'c, 'a, 'r> {
    connection: &'w mut Connection<'c, 'a>,
    record: &'w mut Record<'a, 'r>,
    status: u16,
    /// Where its body begins in what is sent on the connection.
    begins_at: u64,
}

impl Writing<'_, '_, '_, '_> {
    async fn write(
        &mut self,
        response: &Response,
        body: &Body,
        persistence: Persistence,
    ) -> Result<(), SendError> {
        let in_memory = match body {
            Body::Bytes(bytes) => &bytes[..],
            Body::Content { content: Content::Memory(content), range } => range.of(content),
            Body::Empty | Body::Content { .. } | Body::Parts { .. } => &[],
        };
        let copied = if in_memory.len() <= COPIED_BYTES { in_memory } else { &[] };
        let mut out = Vec::with_capacity(HEAD_BYTES + copied.len());
        response_head::write(response, persistence, &mut out);
        self.begins_at += out.len() as u64;
        let stream = &mut self.connection.accepted.stream;
        match body {
            Body::Content { content: Content::File(file), range } if range.length > 0 => {
                stream.send(&out, More::Yes).await?;
                self.record.first_byte();
                // Boxed, as the idle connection would have room for it; so are the parts.
                Box::pin(stream.send_file(Transfer::new(file, *range))).await
            }
            Body::Parts { content, parts, tail } => {
                Box::pin(self.write_parts(out, body.length(), content, parts, tail)).await
            }
            Body::Empty | Body::Bytes(_) | Body::Content { .. } => {
                out.extend_from_slice(copied);
                if persistence == Persistence::Close {
                    stream.end_with_next();
                }
                stream.send_both(&out, &in_memory[copied.len()..]).await
            }
        }
    }

    /// Writes parts of content behind a head and texts of their own.
    async fn write_parts(
        &mut self,
        mut out: Vec<u8>,
        mut left: u64,
        content: &Content,
        parts: &[(Vec<u8>, ByteRange)],
        tail: &[u8],
    ) -> Result<(), SendError> {
        let stream = &mut self.connection.accepted.stream;
        // Small pieces of what is large as a whole wait for slots as a large one does.
        let mut since_slot = UNSCHEDULED_BYTES;
        for (text, range) in parts {
            if left > UNSCHEDULED_BYTES && since_slot >= UNSCHEDULED_BYTES {
                stream.slot_to_send().await;
                since_slot = 0;
            }
            let length = text.len() as u64 + range.length;
            left -= length;
            since_slot += length;
            out.extend_from_slice(text);
            match content {
                Content::File(file) => {
                    stream.send(&out, More::Yes).await?;
                    self.record.first_byte();
                    stream.send_file(Transfer::new(file, *range)).await?;
                }
                Content::Memory(content) => {
                    stream.send_both(&out, range.of(content)).await?;
                    self.record.first_byte();
                }
            }
            out.clear();
        }
        stream.send(tail, More::No).await
    }

    /// Finishes its record, as far as it was sent.
    fn finish(&mut self, is_whole: bool) {
        let connection = &mut *self.connection;
        let to = connection.accepted.stream.handed();
        if let Some(finished) = self.record.finish(self.status, &mut connection.room) {
            // A response that ended within its head has no body.
            let body = self.begins_at.min(to)..to;
            let delivery = Delivery { finished, body, is_whole };
            connection.unlogged_bytes += delivery.memory_bytes();
            connection.deliveries.push_back(delivery);
        }
        if !connection.deliveries.is_empty()
            && connection.accepted.stream.progress().unseen() > UNSCHEDULED_BYTES
        {
            connection.look();
        }
    }
}

impl Drop for Writing<'_, '_, '_, '_> {
    fn drop(&mut self) {
        self.finish(false);
    }
}
