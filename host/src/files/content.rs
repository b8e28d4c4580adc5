//! Where the content of a file is.

use std::sync::Arc;

use crate::disk::OpenFile;
use crate::http;
use crate::in_flight::SharedBytes;

/// The content of a file that was found: in the file, or in memory that responses share.
pub type Content = http::Content<Arc<OpenFile>, SharedBytes>;
