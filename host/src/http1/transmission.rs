//! Puts an answer on the wire: its head, and its body from memory or from a file.

use super::account::Account;
use super::stream::{Broken, More, Stream};
use super::turns::SMALL_BYTES;
use crate::reply::body::Transfer;
use crate::reply::{Body, Persistence, Reply, Source, head as reply_head};

/// Room for a usual answer that is sent in one piece.
const HEAD_BYTES: usize = 512;

/// Up to so many bytes of a body are copied behind the head: that costs less than
/// having the kernel gather two pieces.
const COPIED_BYTES: usize = 2 << 10;

/// Sends the head of an answer and a body, which is the answer's own unless it is to have
/// none. The account notes where the body begins in what is sent.
pub(super) async fn transmit(
    stream: &mut Stream<'_>,
    reply: &Reply,
    body: &Body,
    persistence: Persistence,
    mut account: Option<&mut Account<'_>>,
) -> Result<(), Broken> {
    let in_memory = match body {
        Body::Bytes(bytes) => &bytes[..],
        Body::Shared { content, extent } => extent.of(content),
        Body::Empty | Body::File { .. } | Body::Parts { .. } => &[],
    };
    let copied = if in_memory.len() <= COPIED_BYTES { in_memory } else { &[] };
    let mut out = Vec::with_capacity(HEAD_BYTES + copied.len());
    reply_head::write(reply, persistence, &mut out);
    if let Some(account) = &mut account {
        account.body_begins(stream.progress().handed() + out.len() as u64);
    }
    let mut first_byte = || {
        if let Some(account) = &mut account {
            account.first_byte();
        }
    };
    match body {
        Body::File { file, extent } if extent.length > 0 => {
            stream.send(&out, More::Yes).await?;
            first_byte();
            let transfer = Transfer::new(file, *extent);
            stream.send_file(transfer).await
        }
        Body::Parts { source, parts, tail } => {
            // Small pieces of what is large as a whole wait for turns as a large one does.
            let mut left = body.length();
            let mut since_turn = SMALL_BYTES;
            for (text, extent) in parts {
                if left > SMALL_BYTES && since_turn >= SMALL_BYTES {
                    stream.turn_to_send().await;
                    since_turn = 0;
                }
                let length = text.len() as u64 + extent.length;
                left -= length;
                since_turn += length;
                out.extend_from_slice(text);
                match source {
                    Source::File(file) => {
                        stream.send(&out, More::Yes).await?;
                        first_byte();
                        let transfer = Transfer::new(file, *extent);
                        stream.send_file(transfer).await?;
                    }
                    Source::Memory(content) => {
                        stream.send_both(&out, extent.of(content)).await?;
                        first_byte();
                    }
                }
                out.clear();
            }
            stream.send(tail, More::No).await
        }
        Body::Empty | Body::Bytes(_) | Body::Shared { .. } | Body::File { .. } => {
            out.extend_from_slice(copied);
            stream.send_both(&out, &in_memory[copied.len()..]).await
        }
    }
}
