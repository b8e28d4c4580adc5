//! Where a guest came from.

/// Where a guest came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From this program.
    BuiltIn,
    /// From the file that was named.
    File,
    /// From this program, configured by rules.
    Rules,
    /// From an upload to the administration.
    Uploaded,
}

impl Origin {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Origin::BuiltIn => "built-in",
            Origin::File => "file",
            Origin::Rules => "rules",
            Origin::Uploaded => "upload",
        }
    }
}
