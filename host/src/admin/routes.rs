//! What there is at the administration.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::{BodyExt, Either, Full};
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::mpsc;

use super::Admin;
use super::access::{Refusal, is_of_site, is_own};
use crate::dev::Dev;
use crate::guest::release::deploy::Purpose;
use crate::guest::runtime::component::MAX_GUEST_BYTES;
use crate::guest::validation::report::ValidationReport;
use crate::text::plain_json;

type Reply = Response<Either<Full<Bytes>, Events>>;

/// Events, as they come.
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

/// For a guest to arrive: 20 MiB, the largest that is known, at 3 Mbit/s.
const UPLOAD: Duration = Duration::from_secs(60);

/// How long an answer to a wrong token takes: guessing it takes a while longer then.
const PENALTY: Duration = Duration::from_millis(500);

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// What the page may load, and who may show it.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
    connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// Answers a request.
pub(super) async fn answer(admin: &Admin, request: Request<Incoming>) -> Reply {
    let is_head = request.method() == Method::HEAD;
    let method = if is_head { Method::GET } else { request.method().clone() };
    let path = request.uri().path().to_owned();
    // Asked for by pages of the site, which are none of ours.
    match (&admin.dev, path.as_str()) {
        (Some(dev), "/dev/events") => {
            return match is_of_site(request.headers(), &admin.subject.ports()) {
                Ok(origin) => events(dev, origin),
                Err(refusal) => refuse(refusal).await,
            };
        }
        (Some(_), "/dev/script.js") => {
            return asset("text/javascript; charset=utf-8", include_str!("../dev/script.js"));
        }
        _ => {}
    }
    let allowed = match path.as_str() {
        "/" | "/style.css" | "/script.js" | "/healthz" | "/readyz" | "/metrics" | "/status" => {
            Method::GET
        }
        "/guest" => Method::PUT,
        "/check" | "/rollback" => Method::POST,
        _ => {
            let told = "Here are /, /healthz, /readyz, /metrics, /status, PUT /guest, POST /check \
                and POST /rollback.\n";
            return text(StatusCode::NOT_FOUND, told);
        }
    };
    if method != allowed {
        let mut reply = text(StatusCode::METHOD_NOT_ALLOWED, format!("Use {allowed}.\n"));
        let value = HeaderValue::from_str(allowed.as_str()).expect("a method is a token");
        reply.headers_mut().insert(header::ALLOW, value);
        return reply;
    }
    // Probes and scrapers come by whatever name, and learn nothing that is secret.
    let is_probe = matches!(path.as_str(), "/healthz" | "/readyz" | "/metrics");
    if !is_probe && let Err(refusal) = is_own(request.headers()) {
        return refuse(refusal).await;
    }
    if allowed != Method::GET
        && let Err(refusal) = admin.access.may_change(request.headers())
    {
        return refuse(refusal).await;
    }
    let reply = match path.as_str() {
        "/" => asset("text/html; charset=utf-8", include_str!("page/index.html")),
        "/style.css" => asset("text/css; charset=utf-8", include_str!("page/style.css")),
        "/script.js" => asset("text/javascript; charset=utf-8", include_str!("page/script.js")),
        "/healthz" => told(admin.subject.health(), "ok\n"),
        "/readyz" => told(admin.subject.readiness(), "ready\n"),
        "/metrics" => reply(
            StatusCode::OK,
            "text/plain; version=0.0.4; charset=utf-8",
            admin.subject.metrics(),
        ),
        "/status" => reply(StatusCode::OK, JSON, admin.subject.status()),
        "/guest" => hand_over(admin, request, Purpose::Deploy).await,
        "/check" => hand_over(admin, request, Purpose::Check).await,
        _ => roll_back(admin),
    };
    // hyper leaves out the body of an answer to HEAD, and keeps its length.
    reply
}

/// What a probe is told.
fn told(state: Result<(), String>, well: &'static str) -> Reply {
    match state {
        Ok(()) => text(StatusCode::OK, well),
        Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

/// Takes a guest, tries it, and puts it in service if that is asked for.
async fn hand_over(admin: &Admin, request: Request<Incoming>, purpose: Purpose) -> Reply {
    let too_large = || {
        let told = format!("A guest may have {} MiB.\n", MAX_GUEST_BYTES >> 20);
        text(StatusCode::PAYLOAD_TOO_LARGE, told)
    };
    if request.body().size_hint().lower() > MAX_GUEST_BYTES {
        return too_large();
    }
    // It goes with the bytes, also where the client has left: as long as they are in memory no
    // others are.
    let place = Arc::clone(&admin.uploads).acquire_owned();
    let Ok(Ok(place)) = tokio::time::timeout(UPLOAD, place).await else {
        return text(StatusCode::SERVICE_UNAVAILABLE, "Another guest is being handed over.\n");
    };
    let bytes = match tokio::time::timeout(UPLOAD, receive(request.into_body())).await {
        Err(_) => {
            return text(
                StatusCode::REQUEST_TIMEOUT,
                "The guest did not arrive within a minute.\n",
            );
        }
        Ok(Err(NotReceived::TooLarge)) => return too_large(),
        Ok(Err(NotReceived::NoMemory)) => {
            let told = "There is no memory for a guest of this size now.\n";
            return text(StatusCode::SERVICE_UNAVAILABLE, told);
        }
        Ok(Err(NotReceived::Failed(error))) => {
            return text(StatusCode::BAD_REQUEST, format!("{error}\n"));
        }
        Ok(Ok(bytes)) => bytes,
    };
    match admin.deployer.upload(bytes, purpose, place).await {
        Ok(trial) => {
            let status = match purpose {
                _ if trial.is_hindered => StatusCode::SERVICE_UNAVAILABLE,
                Purpose::Deploy if !trial.fit => StatusCode::UNPROCESSABLE_ENTITY,
                _ => StatusCode::OK,
            };
            reply(status, JSON, report(&trial))
        }
        Err(problem) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{problem}\n")),
    }
}

/// Why there is no guest.
enum NotReceived {
    TooLarge,
    NoMemory,
    Failed(hyper::Error),
}

/// Receives a guest. Where there is no memory for it that is an error, and not the end of the
/// process, as it would be for what is small.
async fn receive(mut body: Incoming) -> Result<Vec<u8>, NotReceived> {
    let room = |bytes: &mut Vec<u8>, more: usize| {
        bytes.try_reserve(more).map_err(|_| NotReceived::NoMemory)
    };
    let mut bytes = Vec::new();
    let announced = body.size_hint().lower().min(MAX_GUEST_BYTES);
    room(&mut bytes, usize::try_from(announced).unwrap_or(usize::MAX))?;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(NotReceived::Failed)?;
        let Some(data) = frame.data_ref() else { continue };
        if (bytes.len() + data.len()) as u64 > MAX_GUEST_BYTES {
            return Err(NotReceived::TooLarge);
        }
        room(&mut bytes, data.len())?;
        bytes.extend_from_slice(data);
    }
    Ok(bytes)
}

fn report(trial: &ValidationReport) -> String {
    let report = serde_json::to_string_pretty(trial);
    let report = report.expect("names are texts, and numbers are finite");
    format!("{}\n", plain_json(&report))
}

fn roll_back(admin: &Admin) -> Reply {
    match admin.deployer.roll_back() {
        Ok(digest) => text(StatusCode::OK, format!("The guest {digest:#} serves again.\n")),
        Err(problem) => text(StatusCode::CONFLICT, format!("{problem}\n")),
    }
}

async fn refuse(refusal: Refusal) -> Reply {
    match refusal {
        Refusal::Token => {
            tokio::time::sleep(PENALTY).await;
            let told = "This needs the token: Authorization: Bearer TOKEN\n";
            let mut reply = text(StatusCode::UNAUTHORIZED, told);
            let scheme = HeaderValue::from_static("Bearer");
            reply.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
            reply
        }
        Refusal::NoToken => text(
            StatusCode::FORBIDDEN,
            "Nothing can be changed here: innkeeper was started without --admin-token-file FILE.\n",
        ),
        Refusal::Foreign => text(
            StatusCode::FORBIDDEN,
            "Ask by address or as localhost, and not from a page of another site.\n",
        ),
    }
}

fn events(dev: &Dev, origin: Option<HeaderValue>) -> Reply {
    let mut reply = reply(StatusCode::OK, "text/event-stream", "");
    *reply.body_mut() = Either::Right(Events(dev.events()));
    let fields = reply.headers_mut();
    fields.insert(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = origin {
        fields.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
    reply
}

fn asset(media_type: &'static str, content: &'static str) -> Reply {
    let mut answer = reply(StatusCode::OK, media_type, content);
    let policy = HeaderValue::from_static(POLICY);
    answer.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    answer
}

fn text(status: StatusCode, content: impl Into<Bytes>) -> Reply {
    reply(status, TEXT, content)
}

fn reply(status: StatusCode, media_type: &'static str, content: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Either::Left(Full::new(content.into())));
    *reply.status_mut() = status;
    let fields: [(HeaderName, &'static str); 4] = [
        (header::CONTENT_TYPE, media_type),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in fields {
        reply.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    reply
}
