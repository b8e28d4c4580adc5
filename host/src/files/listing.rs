//! The entries of a directory, as far as a listing has them.

use std::ffi::CStr;
use std::time::{Duration, UNIX_EPOCH};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rustix::fs::{AtFlags, Dir, FileType, StatxFlags, statat, statx};
use rustix::io::Errno;
use serde::{Serialize, Serializer};

use super::beneath::{Found, Root};
use super::hidden::Hidden;
use crate::disk::{OpenFile, Place};
use crate::{clock, text};

/// Bytes of all their names. Ten thousand long ones would make a page of ten megabytes.
const MAX_NAME_BYTES: usize = 512 << 10;

/// The entries of a directory: regular files and directories whose names do not begin with a dot,
/// in the order of the file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listing {
    /// Those whose names [fit into a URL](url_name).
    pub(super) entries: Vec<Entry>,
    /// The names of the others, escaped.
    pub(super) unnameable: Vec<String>,
    /// Whether there is more than is listed.
    pub(super) is_cut: bool,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Entry {
    pub(super) name: String,
    /// Its URL, relative to the listing.
    pub(super) url: String,
    #[serde(rename = "type")]
    pub(super) kind: Kind,
    /// The time of modification, in Unix seconds; in JSON as in `Last-Modified`.
    #[serde(rename = "mtime", serialize_with = "serialize_date")]
    pub(super) seconds: u64,
    /// Bytes, of a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) size: Option<u64>,
}

/// The kind of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    File,
    Directory,
}

/// The name, if it fits into a URL: it is UTF-8, without control characters of ASCII, which forge
/// lines, and without a backslash, which is a `/` to browsers and other systems. The built-in
/// guest holds names to the same rule (`guest/src/path.rs`); a guest that serves more names has to
/// list them itself.
fn url_name(name: &CStr) -> Option<&str> {
    let is_safe = |byte: &u8| *byte != b'\\' && !byte.is_ascii_control();
    name.to_str().ok().filter(|name| name.as_bytes().iter().all(is_safe))
}

/// A name that does not fit into a URL, for people.
fn shown(name: &CStr) -> String {
    match name.to_str() {
        Ok(name) => text::escaped(name).into_owned(),
        Err(_) => name.to_bytes().escape_ascii().to_string(),
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "Serde gives a reference")]
fn serialize_date<S: Serializer>(seconds: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    let date = clock::format_http_date(UNIX_EPOCH + Duration::from_secs(*seconds));
    serializer.serialize_str(&String::from_utf8_lossy(&date))
}

impl Entry {
    pub(super) fn new(name: &str, kind: Kind, seconds: u64, size: u64) -> Entry {
        let slash = if kind == Kind::Directory { "/" } else { "" };
        // With a dot before it: what precedes a colon would be a scheme.
        let url = format!("./{}{slash}", utf8_percent_encode(name, ESCAPED));
        let size = (kind == Kind::File).then_some(size);
        Entry { name: name.to_owned(), url, kind, seconds, size }
    }
}

impl Listing {
    /// Reads this directory, which has this path; `"."` is the root. Waits for its device, and calls
    /// `on_step` after each step.
    ///
    /// A symbolic link is listed as its target, if that is beneath the root. The names of links to
    /// another file system, which may wait, are returned, to be [added](Self::add_link).
    pub(super) fn read(
        (root, hidden): (&Root, &Hidden),
        directory: &Found,
        path: &str,
        most: usize,
        on_step: impl Fn(),
    ) -> Result<(Listing, Vec<String>), Errno> {
        let mut listing = Listing { entries: Vec::new(), unnameable: Vec::new(), is_cut: false };
        let mut elsewhere = Vec::new();
        let mut name_bytes = 0;
        let here = directory.file.place();
        for entry in Dir::read_from(&*directory.file)? {
            on_step();
            let entry = entry?;
            let name = entry.file_name();
            if name.to_bytes().starts_with(b".") {
                continue;
            }
            name_bytes += name.to_bytes().len();
            let count = listing.entries.len() + elsewhere.len() + listing.unnameable.len();
            if count == most || name_bytes > MAX_NAME_BYTES {
                listing.is_cut = true;
                break;
            }
            let inside = format!("{path}/{}", name.to_string_lossy());
            if hidden.has(inside.strip_prefix("./").unwrap_or(&inside)) {
                continue;
            }
            let Some(listed) = url_name(name) else {
                listing.unnameable.push(shown(name));
                continue;
            };
            // An entry may be gone by now; then it is not listed.
            let Ok(metadata) = describe(&directory.file, name, here) else {
                continue;
            };
            if metadata.kind != FileType::Symlink {
                listing.add(listed, metadata);
                continue;
            }
            match root.look_from(here, &inside) {
                Ok(Some(target)) => listing.add_link(listed, &target),
                Ok(None) => elsewhere.push(listed.to_owned()),
                Err(_) => {}
            }
        }
        Ok((listing, elsewhere))
    }

    /// Adds a symbolic link with this name that leads to this.
    pub(super) fn add_link(&mut self, name: &str, target: &Found) {
        let metadata = Metadata {
            kind: target.kind,
            size: target.version.length,
            seconds: i64::try_from(target.version.modified_ns / 1_000_000_000).unwrap_or(0),
        };
        self.add(name, metadata);
    }

    fn add(&mut self, name: &str, metadata: Metadata) {
        let kind = match metadata.kind {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Directory,
            _ => return,
        };
        let seconds = u64::try_from(metadata.seconds).unwrap_or(0);
        self.entries.push(Entry::new(name, kind, seconds, metadata.size));
    }
}

/// The metadata of an entry.
#[derive(Clone, Copy)]
struct Metadata {
    kind: FileType,
    size: u64,
    seconds: i64,
}

/// The metadata of a directory's entry. A mount that is an entry of a local directory is not asked:
/// it might not respond, and the kernel knows enough of it.
fn describe(directory: &OpenFile, name: &CStr, here: Place) -> Result<Metadata, Errno> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    let sync = if here.is_local() { AtFlags::STATX_DONT_SYNC } else { AtFlags::empty() };
    match statx(directory, name, flags | sync, StatxFlags::BASIC_STATS) {
        Ok(stat) => Ok(Metadata {
            kind: FileType::from_raw_mode(stat.stx_mode.into()),
            size: stat.stx_size,
            seconds: stat.stx_mtime.tv_sec,
        }),
        // Before Linux 4.11, and in sandboxes that do not know the call.
        Err(Errno::NOSYS | Errno::PERM) => statat(directory, name, flags).map(|stat| Metadata {
            kind: FileType::from_raw_mode(stat.st_mode),
            size: u64::try_from(stat.st_size).unwrap_or(0),
            seconds: stat.st_mtime,
        }),
        Err(errno) => Err(errno),
    }
}

/// Characters that a link holds unescaped (RFC 3986, section 2.3).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
