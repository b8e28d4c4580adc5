//! One stream: a request becomes a response.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use tokio::time::timeout;

use super::body::{BodyError, Sender};
use super::drain::{DrainError, drain};
use super::piece::{Piece, Tally};
use super::priority::Priority;
use super::request::{Head, Refusal};
use super::response;
use super::settle::Delivery;
use super::shared::Shared;
use crate::diagnostics;
use crate::http::fault::read_expectation;
use crate::http::{Method, Version};
use crate::lock::lock;
use crate::service::record::Received;
use crate::service::{Body, Record, Response};
use crate::throttle::Throttle;
use crate::tls::{MISDIRECTED, Misdirection};

/// As many as there are requests for the file.
static TRUNCATED: Throttle = Throttle::new();
static UNREADABLE: Throttle = Throttle::new();

const MALFORMED: &str = "the request is malformed";

/// Responds to the request of a stream.
pub(super) async fn exchange<'s>(
    shared: &'s Shared<'_, '_>,
    request: ::http::Request<RecvStream>,
    stream: SendResponse<Piece<'s>>,
) {
    let (parts, mut body) = request.into_parts();
    let mut out = Out { shared, stream };
    respond(&Head::new(parts), &mut body, &mut out).await;
    if !body.is_end_stream() {
        // Boxed, as other streams would have room for it.
        Box::pin(linger(&mut body, shared.limits.linger)).await;
    }
}

/// Lets the client read a response that came before the end of its request: then the stream is
/// dropped, and with it goes RST_STREAM (RFC 9113, section 8.1). curl 7.88 sees no response where
/// both arrive at once. What it sends meanwhile, its window at most, is thrown away.
async fn linger(body: &mut RecvStream, time: Duration) {
    let _ = timeout(time, async { while let Some(Ok(_)) = body.data().await {} }).await;
}

/// Responds, without waiting for the rest of the request.
async fn respond<'s>(head: &Head, body: &mut RecvStream, out: &mut Out<'s, '_, '_>) {
    let shared = out.shared;
    let Shared { service, http2, peer, limits, .. } = *shared;
    let body_bytes = http2.limits.request.body_bytes;
    if http2.print_heads {
        diagnostics::show_head(peer.address, &head.shown());
    }
    if shared.is_refused {
        lock(&shared.wire).meter.accepted();
        let received = Received { version: Version::Http2, ..Received::default() };
        let mut record = service.begin_unread(peer, received);
        let response = service.too_many_connections();
        return out.send(response, head.is_head(), Priority::UNKNOWN, &mut record).await;
    }
    let checked = head.request(&http2.limits, peer, shared.tls);
    let checked = checked.and_then(|request| Ok((read_expectation(&request)?, request)));
    if !matches!(checked, Err(Refusal::Malformed)) {
        lock(&shared.wire).meter.accepted();
    }
    let (expects_continue, request) = match checked {
        Ok(checked) => checked,
        Err(Refusal::Malformed) => {
            let mut record = service.begin_malformed(peer, head.received());
            return out.reset(&mut record);
        }
        Err(Refusal::Response(fault)) => {
            let mut record = service.begin_malformed(peer, head.received());
            let response = service.refuse(fault.status(), fault.why(), &record);
            return out.send(response, head.is_head(), Priority::UNKNOWN, &mut record).await;
        }
    };
    let mut record = service.begin(&request);
    // What follows the head of a CONNECT would be of another protocol, for which no tunnel is
    // opened here.
    let stream = out.stream.stream_id().as_u32();
    let has_trailers = |fields| lock(&shared.wire).meter.had_trailers(stream, fields);
    let fields = head.fields();
    let drained = match head.is_connect() {
        true => Ok(()),
        false => {
            let time = limits.body;
            drain(body, fields, expects_continue, body_bytes, time, has_trailers).await
        }
    };
    let misdirection = shared.hosts.and_then(|hosts| hosts.misdirection(&request));
    let response = match (drained, misdirection) {
        (Ok(()), None) => service.respond(&request, &mut record).await,
        (Ok(()), Some(why)) => Response {
            // Clients that do not try again elsewhere would get nothing else by it.
            close: why == Misdirection::Authorities,
            ..service.refuse(421, MISDIRECTED, &record)
        },
        (Err(DrainError::Refused(fault)), _) => {
            service.refuse(fault.status(), fault.why(), &record)
        }
        (Err(DrainError::Malformed), _) => {
            lock(&shared.wire).meter.malformed();
            return out.reset(&mut record);
        }
        (Err(DrainError::Reset), _) => return,
    };
    let is_head = request.method == Method::Head;
    out.send(response, is_head, Priority::of(&request), &mut record).await;
}

/// The way out of a response.
struct Out<'s, 'c, 'a> {
    shared: &'s Shared<'c, 'a>,
    stream: SendResponse<Piece<'s>>,
}

impl<'a> Out<'_, '_, 'a> {
    /// Resets the stream of a malformed request (RFC 9113, section 8.1.1), and finishes its record:
    /// with the status that a response would have, and as aborted.
    fn reset(&mut self, record: &mut Record<'a, '_>) {
        let status = self.shared.service.refuse(400, MALFORMED, record).status;
        Giving { shared: self.shared, record, status, tally: None, length: 0 }.finish(false);
        self.stream.send_reset(Reason::PROTOCOL_ERROR);
    }

    /// Sends a response, and finishes its record. If the method `is_head` the response has no
    /// body.
    async fn send(
        &mut self,
        mut response: Response,
        is_head: bool,
        priority: Priority,
        record: &mut Record<'a, '_>,
    ) {
        if response.close {
            self.shared.closes.store(true, Ordering::Relaxed);
        }
        let head = response::head(&response);
        let body =
            if is_head { Body::Empty } else { std::mem::replace(&mut response.body, Body::Empty) };
        let length = body.length();
        let tally = (length > 0 && record.is_wanted()).then(Arc::default);
        let status = response.status;
        let mut giving = Giving { shared: self.shared, record, status, tally, length };
        let Ok(mut stream) = self.stream.send_response(head, length == 0) else { return };
        let sent = match length {
            0 => Ok(()),
            length => {
                let mut sender =
                    Sender::new(self.shared, &mut stream, giving.tally.clone(), priority, length);
                match sender.send_at_once(body) {
                    Ok(None) => Ok(()),
                    Ok(Some(body)) => {
                        giving.record.first_byte();
                        // Boxed, as other streams would have room for it.
                        Box::pin(sender.send(&body)).await
                    }
                    Err(error) => Err(error),
                }
            }
        };
        giving.finish(sent.is_ok());
        if sent.is_ok() {
            lock(&self.shared.wire).meter.finished();
        }
        drop(giving);
        match sent {
            Ok(()) | Err(BodyError::Reset) => {}
            Err(BodyError::Stalled) => {
                tracing::debug!("client takes no response");
                stream.send_reset(Reason::CANCEL);
            }
            // The client is to see that it is not all.
            Err(BodyError::FileTruncated) => {
                TRUNCATED.log(|suppressed| {
                    tracing::warn!(
                        suppressed,
                        "file was truncated while it was sent, stream reset"
                    );
                });
                stream.send_reset(Reason::INTERNAL_ERROR);
            }
            Err(BodyError::FileFailed(error)) => {
                UNREADABLE.log(|suppressed| {
                    tracing::error!(
                        %error,
                        suppressed,
                        "cannot read file to its end, stream reset"
                    );
                });
                stream.send_reset(Reason::INTERNAL_ERROR);
            }
        }
    }
}

/// A response while it is given to `h2`. Its record is finished however that ends: a server that
/// stops drops what takes too long.
struct Giving<'w, 'c, 'a, 'r> {
    shared: &'w Shared<'c, 'a>,
    record: &'w mut Record<'a, 'r>,
    status: u16,
    tally: Option<Arc<Tally>>,
    length: u64,
}

impl Giving<'_, '_, '_, '_> {
    fn finish(&mut self, is_whole: bool) {
        let mut deliveries = lock(&self.shared.deliveries);
        if let Some(finished) = self.record.finish(self.status, &mut deliveries.room) {
            let (tally, length) = (self.tally.take(), self.length);
            deliveries.push(Delivery { finished, tally, length, is_whole });
        }
    }
}

impl Drop for Giving<'_, '_, '_, '_> {
    fn drop(&mut self) {
        self.finish(false);
    }
}
