//! `[files]`: which files of the root are served, and how.

use std::num::NonZeroU32;

use clap::Args;

use crate::cli::values::at_least_one;
use crate::files::cache_control::Rule;
use crate::files::{Links, Options, OwnType};

/// Which files of a root are served, and how.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Files")]
pub struct FileSettings {
    /// List directories that have no index page
    ///
    /// The list is HTML, or JSON if the client prefers it (Accept). JSON omits names that no URL
    /// can express.
    #[arg(long)]
    pub listing: bool,

    /// Entries of a list
    ///
    /// The list of a larger directory says that it is cut: sorting and sending a million names
    /// takes seconds.
    #[arg(long, value_name = "COUNT", default_value = "10000", value_parser = at_least_one, hide_short_help = true)]
    pub max_listing_entries: NonZeroU32,

    /// Ranges of one request
    ///
    /// With more, the whole file is sent (RFC 9110, section 14.2). Players and document readers
    /// ask for a few.
    #[arg(long, value_name = "COUNT", default_value = "32", value_parser = at_least_one, hide_short_help = true)]
    pub max_ranges: NonZeroU32,

    /// The Cache-Control of files that match a pattern
    ///
    /// The first match counts: 'assets/**=public, max-age=31536000, immutable'. A pattern with a
    /// `/` matches the path below the root, any other the file's name in any directory. `*`
    /// stands for anything but `/`, `**` for any directories, `?` for one character, `[ab]` for
    /// one of these.
    #[arg(long, value_name = "PATTERN=VALUE", value_parser = Rule::parse)]
    pub cache_control: Vec<Rule>,

    /// The media type of files with an extension, as in webmanifest=application/manifest+json
    ///
    /// May be given several times. It counts before the types that the server knows.
    #[arg(long, value_name = "EXT=TYPE", value_parser = OwnType::parse)]
    pub mime: Vec<OwnType>,

    /// Do not follow symbolic links
    ///
    /// By default links inside the root are followed. An absolute link is one of them if it
    /// begins with the path of the root, as given or with all links resolved.
    #[arg(long)]
    pub no_symlinks: bool,

    /// Do not compress text on the fly
    ///
    /// Ready-made .br, .zst and .gz siblings of a file are still sent.
    #[arg(long)]
    pub no_compress: bool,
}

impl FileSettings {
    /// How files are served.
    pub fn options(&self) -> Options {
        Options {
            links: if self.no_symlinks { Links::Refused } else { Links::Followed },
            compress: !self.no_compress,
            list: self.listing,
            cache_control: self.cache_control.clone(),
            media_types: self.mime.clone(),
            listing_entries: self.max_listing_entries.get() as usize,
            ranges: self.max_ranges.get() as usize,
            ..Options::default()
        }
    }
}
