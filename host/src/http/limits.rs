//! What a request may hold, in every version of HTTP.

/// The sizes of one request. The defaults serve every browser and tool that we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request line, or of what a guest gets as one. nginx and Apache httpd take 8 KiB too; browsers
    /// and caches send up to that.
    pub line_bytes: usize,
    /// Bytes of a head, with its line. Four times the line, as in nginx: room
    /// for large cookies.
    pub head_bytes: usize,
    /// Field lines of a head. Browsers send about 15, a proxy adds some more.
    pub fields: usize,
    /// Bytes of a request's body. It is read only to be discarded, so that the
    /// connection can go on; beyond this, closing it is cheaper for everyone.
    pub body_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { line_bytes: 8 << 10, head_bytes: 32 << 10, fields: 100, body_bytes: 1 << 20 }
    }
}
