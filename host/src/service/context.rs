//! What a decision is carried out with.

use super::Service;
use crate::files::Files;
use crate::http::Request;

/// One request, on its way to its response.
pub(super) struct Context<'a> {
    /// What all requests share.
    pub(super) service: &'a Service,
    /// The files of the generation that decided.
    pub(super) files: &'a Files,
    /// The request.
    pub(super) request: &'a Request<'a>,
}
