//! Responses where there is no file: the site's own page for it, or one line of text.

use super::context::Context;
use super::{Response, file, policy_fields, selection};
use crate::disk::{self, JobError};
use crate::files::{Lookup, Recency, SystemError};
use crate::guest::{Candidate, Failure};
use crate::http::{Field, Fields};
use crate::throttle::Throttle;

/// A site's page for what is not found. The nearest one up the tree is sent.
const NOT_FOUND_PAGE: &str = "404.html";

/// Directories of a path that are searched for that page: those nearest to the root.
const NOT_FOUND_DEPTH: usize = 16;

/// The response without a decision. The log says why; the client does not learn it.
pub(super) fn no_decision(failure: &Failure) -> Response {
    match failure {
        Failure::Busy => unavailable(),
        _ => Response::plain(500),
    }
}

/// The page for what is not found that is nearest to this path, or one line where
/// there is none, with these fields of the guest.
pub(super) async fn not_found(context: &Context<'_>, path: &str, fields: &Fields) -> Response {
    let &Context { files, request, .. } = context;
    let accepted = selection::accepted(request, false);
    // From the path's own directory up to the root.
    let above = path.rmatch_indices('/').map(|(end, _)| &path[..=end]).chain([""]);
    let depth = path.matches('/').count() + 1;
    for directory in above.skip(depth.saturating_sub(NOT_FOUND_DEPTH)) {
        let page = [directory, NOT_FOUND_PAGE].concat();
        let worker = request.peer.worker;
        let found = files.find(worker, &page, &accepted, Recency::Lately).await;
        if let Lookup::File(page) = found {
            let fields = policy_fields::without_type(fields);
            return file::respond(context, &page, 404, &fields).await;
        }
    }
    policy_fields::add_to_own(Response::plain(404), fields)
}

/// The response where the page that explains an error is not there: one line with its status, and
/// with these fields of the whole decision. `None` if the page explains none, or one that a site has
/// a page for.
pub(super) fn without_page(candidate: &Candidate, fields: &Fields) -> Option<Response> {
    match candidate.status {
        404 => None,
        status @ 400.. => Some(policy_fields::add_to_own(Response::plain(status), fields)),
        _ => None,
    }
}

/// The response where the system cannot do this. The client learns whether to come again, the
/// log says why.
pub(super) fn cannot(operation: &str, candidate: &Candidate, error: SystemError) -> Response {
    /// As many as there are requests, while the machine is short of something.
    static SHORT: Throttle = Throttle::new();
    let path = candidate.path();
    match error {
        SystemError::Exhausted(error) => {
            SHORT.log(|suppressed| {
                tracing::error!(operation, path, %error, suppressed, "cannot serve file now");
            });
            unavailable()
        }
        SystemError::Failed(error) => {
            tracing::error!(operation, path, %error, "cannot serve file");
            Response::plain(500)
        }
        SystemError::NoResponse(error) => {
            // A device that does not respond is logged once, and not for each request.
            match error {
                JobError::TimedOut(after) if after < disk::PATIENCE => {
                    tracing::debug!(operation, path, %error, "cannot serve file now");
                }
                _ => SHORT.log(|suppressed| {
                    tracing::error!(operation, path, %error, suppressed, "cannot serve file now");
                }),
            }
            let seconds = disk::PATIENCE.as_secs().to_string();
            Response::plain(503).with(Field::new("Retry-After", seconds))
        }
    }
}

/// The response while the machine is short of something that it will have again.
pub(super) fn unavailable() -> Response {
    Response::plain(503).with(Field::fixed("Retry-After", "1"))
}
