//! The response that a decision would lead to, without a client: for reports on another guest.

use super::Service;
use super::context::Context;
use super::explain::Trace;
use super::response::Response;
use crate::files::Files;
use crate::guest::{Decision, Failure};
use crate::http::{Method, Request};
use crate::service::error_page;

/// A response, as far as a report tells it.
#[derive(Debug)]
pub struct Preview {
    /// The file that is sent, beneath the root: a directory if it is the index page of that.
    pub file: Option<String>,
    /// The response. Its body is not to be sent.
    pub response: Response,
}

impl Service {
    /// The response to a request if this is decided about it, with these files. Nothing is counted
    /// or logged as a request, and no file is read.
    pub async fn preview(
        &self,
        files: &Files,
        mut request: Request<'_>,
        decision: &Result<Decision, Failure>,
    ) -> Preview {
        // The fields are those of GET, and nobody needs the content.
        if request.method == Method::Get {
            request.method = Method::Head;
        }
        let context = Context { service: self, files, share: None, request: &request };
        let mut trace = Trace::default();
        let response = match decision {
            Ok(decision) => Box::pin(context.carry_out(decision, Some(&mut trace))).await,
            Err(failure) => error_page::no_decision(failure),
        };
        Preview { file: trace.into_file(), response }
    }
}
