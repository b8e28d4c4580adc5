//! Responses of the administration.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body_util::{Either, Full};
use hyper::StatusCode;
use hyper::body::{Body, Bytes, Frame};
use hyper::header::{self, HeaderName, HeaderValue};
use serde::Serialize;
use tokio::sync::mpsc;

use super::api::{ErrorBody, ErrorObject, to_json};

pub(super) type Response = hyper::Response<Either<Full<Bytes>, Events>>;

/// The media type of text.
pub(super) const TEXT: &str = "text/plain; charset=utf-8";

/// What the page may load, and which pages may frame it.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
    connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// Server-sent events, as they come.
pub(super) struct Events(mpsc::Receiver<Bytes>);

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|event| event.map(|event| Ok(Frame::data(event))))
    }
}

/// A response with this content.
pub(super) fn response(
    status: StatusCode,
    media_type: &'static str,
    content: impl Into<Bytes>,
) -> Response {
    let mut response = Response::new(Either::Left(Full::new(content.into())));
    *response.status_mut() = status;
    let fields: [(HeaderName, &'static str); 4] = [
        (header::CONTENT_TYPE, media_type),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in fields {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// A part of the page.
pub(super) fn asset(media_type: &'static str, content: &'static str) -> Response {
    let mut response = response(StatusCode::OK, media_type, content);
    let policy = HeaderValue::from_static(POLICY);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

/// A response in JSON.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    response(status, "application/json", to_json(body))
}

/// A response that says what went wrong.
pub(super) fn error(
    status: StatusCode,
    code: &'static str,
    message: impl Into<String>,
) -> Response {
    json(status, &ErrorBody { error: ErrorObject { code, message: message.into() } })
}

/// A response that has no end: events, for pages of this origin.
pub(super) fn events(events: mpsc::Receiver<Bytes>, origin: Option<HeaderValue>) -> Response {
    let mut response = response(StatusCode::OK, "text/event-stream", "");
    *response.body_mut() = Either::Right(Events(events));
    let fields = response.headers_mut();
    fields.insert(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = origin {
        fields.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
    response
}
