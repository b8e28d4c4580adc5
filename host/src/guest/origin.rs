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
    /// Whether it may be made of files of the root, and serves with these alone.
    pub fn depends_on_root(self) -> bool {
        match self {
            // Without rules it is the built-in one.
            Origin::BuiltIn | Origin::Rules => true,
            Origin::File | Origin::Uploaded => false,
        }
    }

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
