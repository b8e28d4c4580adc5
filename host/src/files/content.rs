//! Where the content of a file is: in the file, or in memory.

use std::sync::Arc;

use crate::disk::OpenFile;
use crate::in_flight::SharedBytes;

/// The content of a file.
#[derive(Clone, Debug)]
pub enum Content {
    /// In the file with this handle.
    File(Arc<OpenFile>),
    /// In memory: it was compressed, or is small and read.
    Memory(SharedBytes),
}
