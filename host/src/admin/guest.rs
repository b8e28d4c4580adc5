//! The requests that check or replace the guest, or its data.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::{Request, StatusCode};

use super::api::{ReportBody, RollbackBody};
use super::changes;
use super::context::Admin;
use super::response::{Response, error, json};
use crate::guest::runtime::compile_job::MAX_DATA_BYTES;
use crate::guest::runtime::component::MAX_GUEST_BYTES;
use crate::guest::validation::error::ValidationError;
use crate::release::deploy::{Part, Purpose};

/// For a guest to arrive: 20 MiB, the largest that is known, at 3 Mbit/s.
const UPLOAD: Duration = Duration::from_secs(60);

/// Receives a guest or data, checks it, and deploys it if that is the purpose.
pub(super) async fn upload(
    admin: &Admin,
    request: Request<Incoming>,
    part: Part,
    purpose: Purpose,
) -> Response {
    let subject = match admin.subject.sites.changed(request.uri().query()) {
        Ok(subject) => subject,
        Err(problem) => return problem.response(),
    };
    let deployer = match subject.deployer() {
        Ok(deployer) => deployer,
        Err(problem) => return problem.response(),
    };
    let limit = limit(part);
    if request.body().size_hint().lower() > limit {
        return not_received(part, &ReceiveError::TooLarge);
    }
    // It goes with the bytes, also where the client has left: as long as they are in memory no
    // others are.
    let place = Arc::clone(&admin.uploads).acquire_owned();
    let Ok(Ok(place)) = tokio::time::timeout(UPLOAD, place).await else {
        return error(
            StatusCode::SERVICE_UNAVAILABLE,
            "upload-in-progress",
            "another guest, or data for one, is being uploaded",
        );
    };
    let received = tokio::time::timeout(UPLOAD, receive(request.into_body(), limit)).await;
    let bytes = match received.unwrap_or(Err(ReceiveError::TimedOut)) {
        Ok(bytes) => bytes,
        Err(problem) => return not_received(part, &problem),
    };
    match deployer.upload(bytes, part, purpose, place).await {
        Ok(report) => {
            let status = match purpose {
                _ if report.error.as_ref().is_some_and(ValidationError::is_transient) => {
                    StatusCode::SERVICE_UNAVAILABLE
                }
                Purpose::Deploy if !report.is_accepted() => StatusCode::UNPROCESSABLE_ENTITY,
                _ => StatusCode::OK,
            };
            let changes = changes::of(&admin.subject.service, &subject.site, &report).await;
            json(status, &ReportBody::new(report, changes))
        }
        Err(problem) => error(StatusCode::SERVICE_UNAVAILABLE, problem.code(), problem.to_string()),
    }
}

/// Puts the previous guest in service again.
pub(super) fn roll_back(admin: &Admin, query: Option<&str>) -> Response {
    let subject = match admin.subject.sites.changed(query) {
        Ok(subject) => subject,
        Err(problem) => return problem.response(),
    };
    let deployer = match subject.deployer() {
        Ok(deployer) => deployer,
        Err(problem) => return problem.response(),
    };
    match deployer.roll_back() {
        Ok(rolled_back) => json(StatusCode::OK, &RollbackBody::from(rolled_back)),
        Err(problem) => error(StatusCode::CONFLICT, problem.code(), problem.to_string()),
    }
}

/// The most bytes of an upload.
fn limit(part: Part) -> u64 {
    match part {
        Part::Guest => MAX_GUEST_BYTES,
        Part::Data => MAX_DATA_BYTES,
    }
}

/// Why an upload was not received.
enum ReceiveError {
    TooLarge,
    TimedOut,
    NoMemory,
    Failed(hyper::Error),
}

fn not_received(part: Part, problem: &ReceiveError) -> Response {
    let (code, what) = match part {
        Part::Guest => ("guest-too-large", "a guest"),
        Part::Data => ("data-too-large", "data of a guest"),
    };
    match problem {
        ReceiveError::TooLarge => error(
            StatusCode::PAYLOAD_TOO_LARGE,
            code,
            format!("{what} may have {} MiB", limit(part) >> 20),
        ),
        ReceiveError::TimedOut => error(
            StatusCode::REQUEST_TIMEOUT,
            "upload-timed-out",
            "the upload did not arrive within a minute",
        ),
        ReceiveError::NoMemory => error(
            StatusCode::SERVICE_UNAVAILABLE,
            "out-of-memory",
            "there is no memory for an upload of this size now",
        ),
        ReceiveError::Failed(cause) => {
            error(StatusCode::BAD_REQUEST, "upload-failed", cause.to_string())
        }
    }
}

/// Receives an upload of this many bytes at most. Where there is no memory for it that is an error, and not the end of the
/// process, as it would be for a small allocation.
async fn receive(mut body: Incoming, limit: u64) -> Result<Vec<u8>, ReceiveError> {
    let room = |bytes: &mut Vec<u8>, more: usize| {
        bytes.try_reserve(more).map_err(|_| ReceiveError::NoMemory)
    };
    let mut bytes = Vec::new();
    let announced = body.size_hint().lower().min(limit);
    room(&mut bytes, usize::try_from(announced).unwrap_or(usize::MAX))?;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(ReceiveError::Failed)?;
        let Some(data) = frame.data_ref() else { continue };
        if (bytes.len() + data.len()) as u64 > limit {
            return Err(ReceiveError::TooLarge);
        }
        room(&mut bytes, data.len())?;
        bytes.extend_from_slice(data);
    }
    Ok(bytes)
}
