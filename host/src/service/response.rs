//! What a response of the service is made of: open files, and memory that is counted while it is
//! sent.

use std::sync::Arc;

use crate::disk::OpenFile;
use crate::http;
use crate::in_flight::Sending;

/// A response of the service.
pub type Response = http::Response<Arc<OpenFile>, Sending>;

/// Its body.
pub type Body = http::Body<Arc<OpenFile>, Sending>;

/// Content in a body.
pub type Content = http::Content<Arc<OpenFile>, Sending>;
