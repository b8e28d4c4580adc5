//! What the default policy may decide: the cases of `decision` in
//! `wit/policy.wit` that it uses, with the same meaning.

/// How to answer a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Serve the index page of this directory: `""` is the root, any other
    /// path ends in `/`.
    Index(String),
    /// Serve the file with this path below the root.
    File(String),
    /// There is nothing here.
    NotFound,
    /// Answer with this.
    Reply(Reply),
}

/// A small answer in plain text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status, 400 to 599.
    pub status: u16,
    /// The body, sent as `text/plain; charset=utf-8`.
    pub body: String,
}
