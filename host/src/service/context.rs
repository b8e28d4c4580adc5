//! What a decision is carried out with.

use std::sync::Arc;

use super::Service;
use crate::files::Files;
use crate::http::Request;
use crate::in_flight::Share;

/// One request, on its way to its response.
pub(super) struct Context<'a> {
    /// What all requests share.
    pub(super) service: &'a Service,
    /// The files of the generation that decided.
    pub(super) files: &'a Files,
    /// The part of its site in the memory of responses, where there are several.
    pub(super) share: Option<&'a Arc<Share>>,
    /// The request.
    pub(super) request: &'a Request<'a>,
}
