//! The paths of the administration, and what a request needs to be let in.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, StatusCode};
use serde::Serialize;

use super::access::{Refusal, is_of_site, is_own};
use super::context::{Admin, PageEvents};
use super::guest::{roll_back, upload};
use super::reload::reload;
use super::response::{Response, TEXT, asset, error, events, json, response};
use super::sites::{SiteError, SiteSubject, named};
use super::status::Unhealthy;
use crate::release::deploy::{Part, Purpose};

/// How long the response to a wrong token takes: guessing it takes a while longer then.
const PENALTY: Duration = Duration::from_millis(500);

const PATHS: &str = "/, /healthz, /readyz, /metrics, /status, /sites, /traffic, /requests, PUT /guest, PUT /guest/data, POST \
    /check, POST /check/data, POST /rollback and POST /reload";

/// Responds to a request. hyper leaves out the body of a response to HEAD, and keeps its length.
pub(super) async fn respond(admin: &Admin, request: Request<Incoming>) -> Response {
    let is_head = request.method() == Method::HEAD;
    let method = if is_head { Method::GET } else { request.method().clone() };
    let path = request.uri().path().to_owned();
    // For pages of the site, which are none of ours.
    if let Some(events) = &admin.page_events
        && let Some(response) = page_events(admin, events, &request).await
    {
        return response;
    }
    let allowed = match path.as_str() {
        "/" | "/style.css" | "/script.js" | "/healthz" | "/readyz" | "/metrics" | "/status"
        | "/sites" | "/traffic" | "/requests" => Method::GET,
        "/guest" | "/guest/data" => Method::PUT,
        "/check" | "/check/data" | "/rollback" | "/reload" => Method::POST,
        _ => {
            let message = format!("the paths here are {PATHS}");
            return error(StatusCode::NOT_FOUND, "not-found", message);
        }
    };
    if method != allowed {
        let message = format!("use {allowed}");
        let status = StatusCode::METHOD_NOT_ALLOWED;
        let mut response = error(status, "method-not-allowed", message);
        let value = HeaderValue::from_str(allowed.as_str()).expect("a method is a token");
        response.headers_mut().insert(header::ALLOW, value);
        return response;
    }
    // Probes and scrapers come by whatever name, and learn nothing that is secret.
    let is_probe = matches!(path.as_str(), "/healthz" | "/readyz" | "/metrics");
    if !is_probe && let Err(refusal) = is_own(request.headers()) {
        return refuse(refusal).await;
    }
    // What was asked for is as secret as what can be changed.
    if (allowed != Method::GET || path == "/requests")
        && let Err(refusal) = admin.access.may_change(request.headers())
    {
        return refuse(refusal).await;
    }
    let uri = request.uri().clone();
    let query = uri.query();
    match path.as_str() {
        "/" => asset("text/html; charset=utf-8", include_str!("page/index.html")),
        "/style.css" => asset("text/css; charset=utf-8", STYLE),
        "/script.js" => asset(SCRIPT, include_str!("page/script.js")),
        "/healthz" => probe(admin.subject.health().map(|()| "ok\n".to_owned())),
        "/readyz" => match site(admin, query) {
            Ok(site) => probe(admin.subject.readiness(site.as_deref())),
            Err(problem) => problem.response(),
        },
        "/metrics" => response(
            StatusCode::OK,
            "text/plain; version=0.0.4; charset=utf-8",
            admin.subject.metrics(),
        ),
        "/status" => {
            told(admin.subject.sites.told(query).map(|of| admin.subject.status(&of, query)))
        }
        "/sites" => json(StatusCode::OK, &admin.subject.list()),
        "/traffic" => told(admin.subject.traffic(query)),
        "/requests" => told(admin.subject.requests(query)),
        "/guest" => upload(admin, request, Part::Guest, Purpose::Deploy).await,
        "/guest/data" => upload(admin, request, Part::Data, Purpose::Deploy).await,
        "/check" => upload(admin, request, Part::Guest, Purpose::Check).await,
        "/check/data" => upload(admin, request, Part::Data, Purpose::Check).await,
        "/reload" => reload(&admin.reload).await,
        _ => roll_back(admin, query),
    }
}

const STYLE: &str = concat!(include_str!("../palette.css"), include_str!("page/style.css"));

const SCRIPT: &str = "text/javascript; charset=utf-8";

async fn page_events(
    admin: &Admin,
    page: &PageEvents,
    request: &Request<Incoming>,
) -> Option<Response> {
    match request.uri().path() {
        "/dev/events" => Some(match is_of_site(request.headers(), &admin.subject.ports()) {
            Ok(origin) => events((page.subscribe)(), origin),
            Err(refusal) => refuse(refusal).await,
        }),
        "/dev/script.js" => Some(asset(SCRIPT, page.script)),
        _ => None,
    }
}

/// The site that a query names, if it names one.
fn site(admin: &Admin, query: Option<&str>) -> Result<Option<Arc<SiteSubject>>, SiteError> {
    named(query).map(|_| admin.subject.sites.told(query)).transpose()
}

/// What is told of a site.
fn told(body: Result<impl Serialize, SiteError>) -> Response {
    match body {
        Ok(body) => json(StatusCode::OK, &body),
        Err(problem) => problem.response(),
    }
}

/// The response to a probe.
fn probe(state: Result<String, Unhealthy>) -> Response {
    match state {
        Ok(text) => response(StatusCode::OK, TEXT, text),
        Err(why) => response(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{why}\n")),
    }
}

async fn refuse(refusal: Refusal) -> Response {
    match refusal {
        Refusal::Token => {
            tokio::time::sleep(PENALTY).await;
            let mut response = error(
                StatusCode::UNAUTHORIZED,
                "token-required",
                "this needs the token: Authorization: Bearer TOKEN",
            );
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
            response
        }
        Refusal::NoToken => error(
            StatusCode::FORBIDDEN,
            "read-only",
            "nothing can be changed here: innkeeper was started without --admin-token-file FILE",
        ),
        Refusal::Foreign => error(
            StatusCode::FORBIDDEN,
            "foreign-origin",
            "send requests by address or as localhost, and not from a page of another site",
        ),
    }
}
