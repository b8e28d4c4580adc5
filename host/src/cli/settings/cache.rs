//! `[cache]`: decisions, files and compiled guests that are kept for the next request or start.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};

use crate::cli::values::{size, time};
use crate::files::CacheSizes;

/// Decisions, files and compiled guests that are kept for the next request or start.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Cache")]
pub struct CacheSettings {
    /// Memory for decisions of each worker; 0: none is kept
    ///
    /// All guests share it. 4 MiB hold some 15,000 decisions of the built-in guest.
    #[arg(id = "decision_cache_size", long = "decision-cache-size", value_name = "SIZE", default_value = "4MiB", value_parser = size::<0, { 1 << 30 }>, hide_short_help = true)]
    pub decision_size: ByteSize,

    /// Memory for files that were found, with the content of small ones, of all workers
    #[arg(id = "file_cache_size", long = "file-cache-size", value_name = "SIZE", default_value = "32MiB", value_parser = size::<{ 1 << 20 }, { 1 << 40 }>, hide_short_help = true)]
    pub file_size: ByteSize,

    /// Memory for files that were compressed on the fly
    ///
    /// 32 MiB hold the text of a large site.
    #[arg(id = "compressed_cache_size", long = "compressed-cache-size", value_name = "SIZE", default_value = "32MiB", value_parser = size::<{ 1 << 20 }, { 1 << 40 }>, hide_short_help = true)]
    pub compressed_size: ByteSize,

    /// Memory for listings
    #[arg(id = "listing_cache_size", long = "listing-cache-size", value_name = "SIZE", default_value = "16MiB", value_parser = size::<{ 1 << 20 }, { 1 << 40 }>, hide_short_help = true)]
    pub listing_size: ByteSize,

    /// Directory of compiled guests; off: none is kept [default: ~/.cache/innkeeper]
    ///
    /// A guest that is kept is not compiled at the next start. No other user may be able to
    /// write there. XDG_CACHE_HOME and systemd's CACHE_DIRECTORY change the default.
    #[arg(id = "code_cache", long = "code-cache", value_name = "DIR|off", value_parser = OsStringValueParser::new().map(CodeCache::from), hide_short_help = true)]
    pub code: Option<CodeCache>,
}

/// How long what is kept of a site's files is used.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Cache")]
pub struct SiteCacheSettings {
    /// Time for which a busy worker sends a file without checking it for changes
    ///
    /// Up to 1s; 0s: it checks on each request, for about twice the CPU time. A worker with more
    /// than 500 requests a second is busy. Content that clients may keep for more than a minute
    /// is always checked.
    #[arg(id = "file_cache_valid", long = "file-cache-valid", value_name = "TIME", default_value = "1s", value_parser = time::<0, 1_000>, hide_short_help = true)]
    pub file_valid: Duration,
}

impl CacheSettings {
    /// The sizes of the caches of files.
    pub fn sizes(&self) -> CacheSizes {
        CacheSizes {
            files: self.file_size.as_u64(),
            compressed: self.compressed_size.as_u64(),
            listings: self.listing_size.as_u64(),
        }
    }

    /// The directory that compiled guests are kept in.
    pub fn code_directory(&self) -> Option<PathBuf> {
        CodeCache::directory(self.code.as_ref())
    }
}

/// Where compiled guests are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodeCache {
    /// Nowhere.
    Off,
    /// In this directory.
    In(PathBuf),
}

impl CodeCache {
    /// The directory: the one that is set, the one that systemd made (`CacheDirectory=`), or
    /// the user's (XDG Base Directory Specification 0.8).
    pub fn directory(set: Option<&CodeCache>) -> Option<PathBuf> {
        // An empty value is how a variable is switched off that cannot be unset.
        let set = set.filter(|set| **set != CodeCache::In(PathBuf::new()));
        match set {
            Some(CodeCache::Off) => None,
            Some(CodeCache::In(directory)) => Some(directory.clone()),
            None => {
                let variable = |name| std::env::var_os(name).map(PathBuf::from);
                let directory = |name| variable(name).filter(|path| path.is_absolute());
                let caches = || {
                    directory("XDG_CACHE_HOME")
                        .or_else(|| directory("HOME").map(|home| home.join(".cache")))
                };
                directory("CACHE_DIRECTORY")
                    .or_else(|| caches().map(|caches| caches.join("innkeeper")))
            }
        }
    }
}

impl From<OsString> for CodeCache {
    fn from(value: OsString) -> CodeCache {
        if value == "off" { CodeCache::Off } else { CodeCache::In(value.into()) }
    }
}
