//! The body of a request, read to be discarded: a server of files has no use for one.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use ::http::HeaderMap;
use ::http::header::CONTENT_LENGTH;
use h2::RecvStream;
use tokio::time::timeout;

use crate::http::fault::Fault;

/// Why a request's body was not read to its end.
#[derive(Debug)]
pub(super) enum DrainError {
    /// The request gets a response with an error.
    Refused(Fault),
    /// The client reset the stream, or the connection ended.
    Reset,
    /// The body has not the length that was declared, or the trailers have fields that they may not
    /// have: the stream is reset.
    Malformed,
}

impl DrainError {
    fn of(error: &h2::Error) -> DrainError {
        // `h2` resets the stream of a body that is malformed by itself.
        match error.is_reset() && error.is_library() {
            true => DrainError::Malformed,
            false => DrainError::Reset,
        }
    }
}

/// Reads the body and throws it away.
///
/// A client that waits for `100 Continue` gets its final response instead, and keeps its body: no
/// response here depends on one (RFC 9110, section 10.1.1). Trailers that do not have as many fields
/// as came (`has_trailers`) had pseudo-fields, which `h2` drops.
pub(super) async fn drain(
    body: &mut RecvStream,
    head: &HeaderMap,
    expects_continue: bool,
    allowance: u64,
    time: Duration,
    has_trailers: impl Fn(usize) -> bool,
) -> Result<(), DrainError> {
    if body.is_end_stream() {
        return Ok(());
    }
    // `h2` has read it, and holds the body against it.
    let declared = head.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length: u64| length > allowance) {
        return Err(DrainError::Refused(Fault::LargeBody));
    }
    // Boxed, as other streams would have room for it.
    let read = Box::pin(read_to_end(body, expects_continue, allowance, has_trailers));
    timeout(time, read).await.unwrap_or(Err(DrainError::Refused(Fault::LateBody)))
}

async fn read_to_end(
    body: &mut RecvStream,
    expects_continue: bool,
    mut allowance: u64,
    has_trailers: impl Fn(usize) -> bool,
) -> Result<(), DrainError> {
    let mut may_wait = !expects_continue;
    loop {
        let next = poll_fn(|context| match body.poll_data(context) {
            Poll::Ready(data) => Poll::Ready(Some(data)),
            Poll::Pending if may_wait => Poll::Pending,
            Poll::Pending => Poll::Ready(None),
        });
        match next.await {
            // The client keeps it back.
            None => return Ok(()),
            Some(Some(Ok(data))) => {
                may_wait = true;
                // It is counted as given back at the end of the stream, if not here.
                let _ = body.flow_control().release_capacity(data.len());
                allowance = allowance
                    .checked_sub(data.len() as u64)
                    .ok_or(DrainError::Refused(Fault::LargeBody))?;
            }
            Some(Some(Err(error))) => return Err(DrainError::of(&error)),
            Some(None) => break,
        }
    }
    match body.trailers().await {
        Ok(trailers) => match has_trailers(trailers.map_or(0, |fields| fields.len())) {
            true => Ok(()),
            false => Err(DrainError::Malformed),
        },
        Err(error) => Err(DrainError::of(&error)),
    }
}
