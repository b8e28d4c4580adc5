//! What a client may send too much of.

/// What a client sent too much of. The connection ends with `ENHANCE_YOUR_CALM`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flood {
    /// Frames that are no request, and bring none.
    Frames,
    /// Resets of streams, and no response was finished meanwhile (CVE-2023-44487).
    Resets,
}

impl Flood {
    /// For the log.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Flood::Frames => "control frames",
            Flood::Resets => "resets of streams",
        }
    }
}
