//! How a file is opened by its name.

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum How {
    /// To read it.
    Read,
    /// To append to it. It is made if it is not there.
    Append,
}
