//! The settings of one root.

use std::time::Duration;

use super::cache_control::Rule;
use super::own_types::OwnType;
use super::ranges::MAX_RANGES;

/// Entries of a list, where no other number is set. A directory with more is for programs that
/// know its names; people do not read on.
pub(super) const LISTING_ENTRIES: usize = 10_000;

/// How the files beneath a root are served.
#[derive(Clone, Debug)]
pub struct Options {
    /// How paths are resolved.
    pub resolver: Resolver,
    /// Whether symbolic links inside the root are followed. None ever leads outside.
    pub links: Links,
    /// Whether text without a ready-made sibling is compressed on the fly.
    pub compress: bool,
    /// Whether a directory without an index page is listed.
    pub list: bool,
    /// `Cache-Control` by pattern: the first rule that matches counts.
    pub cache_control: Vec<Rule>,
    /// Media types of the operator's.
    pub media_types: Vec<OwnType>,
    /// Entries of a list; further ones are left out, and it says so.
    pub listing_entries: usize,
    /// Ranges of one request; with more the whole file is sent.
    pub ranges: usize,
    /// How long a busy worker may use a lookup before it looks again.
    pub cache_valid: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            resolver: Resolver::Kernel,
            links: Links::Followed,
            compress: true,
            list: false,
            cache_control: Vec::new(),
            media_types: Vec::new(),
            listing_entries: LISTING_ENTRIES,
            ranges: MAX_RANGES,
            cache_valid: Duration::from_secs(1),
        }
    }
}

/// How a path is resolved beneath the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolver {
    /// By `openat2` where the kernel has it, else as `Portable`.
    Kernel,
    /// Name by name, by cap-std.
    Portable,
}

/// What a symbolic link leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// Its target, if that is beneath the root.
    Followed,
    /// Nothing.
    Refused,
}
