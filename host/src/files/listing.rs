//! The content of a directory, as a page for people or as JSON for programs.

use std::cmp::Reverse;
use std::ffi::CStr;
use std::fmt::Write;
use std::time::{Duration, UNIX_EPOCH};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rustix::fs::{AtFlags, Dir, FileType, StatxFlags, statat, statx};
use rustix::io::Errno;
use serde::Serialize;

use super::beneath::{Found, Root};
use crate::clock;
use crate::disk::{OpenFile, Place};

/// Entries of one listing. A directory with more is for programs that know its
/// names; people do not read on.
const MAX_ENTRIES: usize = 10_000;

/// Bytes of all their names. Ten thousand long ones would make a page of ten megabytes.
const MAX_NAME_BYTES: usize = 512 << 10;

/// The form of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// A page for people.
    Html,
    /// JSON for programs.
    Json,
}

/// The entries of a directory: regular files and directories whose names do not begin with a dot
/// and [fit into a URL](url_name), directories first, in the order of their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    entries: Vec<Entry>,
    /// How many are left out for their names.
    unnameable: usize,
    /// Whether there is more than is listed.
    is_cut: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Entry {
    name: String,
    /// Its URL, relative to the listing.
    url: String,
    #[serde(rename = "type")]
    kind: Kind,
    /// As in `Last-Modified`.
    mtime: String,
    /// Bytes, of a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
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

impl Entry {
    fn new(name: &str, kind: Kind, mtime: String, size: u64) -> Entry {
        let slash = if kind == Kind::Directory { "/" } else { "" };
        // With a dot before it: what precedes a colon would be a scheme.
        let url = format!("./{}{slash}", utf8_percent_encode(name, ESCAPED));
        let size = (kind == Kind::File).then_some(size);
        Entry { name: name.to_owned(), url, kind, mtime, size }
    }
}

impl Listing {
    /// Reads this directory, which has this path; `"."` is the root. Waits for its device, and calls
    /// `on_step` after each step.
    ///
    /// A symbolic link is listed as its target, if that is beneath the root. The names of links to
    /// another file system, which may wait, are returned, to be [added](Self::add_link).
    pub(super) fn read(
        root: &Root,
        directory: &Found,
        path: &str,
        on_step: impl Fn(),
    ) -> Result<(Listing, Vec<String>), Errno> {
        let mut listing = Listing { entries: Vec::new(), unnameable: 0, is_cut: false };
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
            let count = listing.entries.len() + elsewhere.len() + listing.unnameable;
            if count == MAX_ENTRIES || name_bytes > MAX_NAME_BYTES {
                listing.is_cut = true;
                break;
            }
            let Some(text) = url_name(name) else {
                listing.unnameable += 1;
                continue;
            };
            // An entry may be gone by now; then it is not listed.
            let Ok(metadata) = describe(&directory.file, name, here) else {
                continue;
            };
            if metadata.kind != FileType::Symlink {
                listing.add(text, metadata);
                continue;
            }
            let path = format!("{path}/{text}");
            match root.look_from(here, &path) {
                Ok(Some(target)) => listing.add_link(text, &target),
                Ok(None) => elsewhere.push(text.to_owned()),
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
        let mtime = clock::format_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
        let mtime = String::from_utf8_lossy(&mtime).into_owned();
        self.entries.push(Entry::new(name, kind, mtime, metadata.size));
    }

    /// The listing in this form, for the directory with this path; `""` is the root.
    pub(super) fn text(&mut self, directory: &str, form: Form) -> String {
        self.entries.sort_by(|a, b| {
            (Reverse(a.kind), a.name.as_str()).cmp(&(Reverse(b.kind), b.name.as_str()))
        });
        match form {
            Form::Html => self.to_html(directory),
            Form::Json => self.to_json(),
        }
    }

    /// A list of objects with `name`, `type` (`file` or `directory`), `mtime` and,
    /// of files, `size` in bytes: as nginx writes it. And with `url`, the escaped name as a
    /// reference relative to the listing.
    pub fn to_json(&self) -> String {
        serde_json::to_string(&self.entries).expect("texts and numbers are always JSON")
    }

    /// A page. `directory` is the path that it shows, with the ways up from it. All
    /// links are relative, so that they hold wherever the guest puts the directory.
    pub fn to_html(&self, directory: &str) -> String {
        let names: Vec<&str> = directory.split('/').filter(|name| !name.is_empty()).collect();
        let mut crumbs = String::new();
        for (depth, name) in ["home"].into_iter().chain(names.iter().copied()).enumerate() {
            let up = match names.len() - depth {
                0 => "./".to_owned(),
                levels => "../".repeat(levels),
            };
            add(&mut crumbs, format_args!("<a href=\"{up}\">{}</a> / ", escape(name)));
        }
        let mut rows = String::new();
        for entry in &self.entries {
            let slash = if entry.kind == Kind::Directory { "/" } else { "" };
            let name = format!("<a href=\"{}\">{}{slash}</a>", entry.url, escape(&entry.name));
            let size = entry.size.map_or_else(String::new, shown_size);
            // Without the day of the week, the seconds and the zone.
            let date = entry.mtime.get(5..22).unwrap_or_default();
            add(
                &mut rows,
                format_args!("<tr><td>{name}</td><td>{size}</td><td>{date}</td></tr>\n"),
            );
        }
        let cut = match self.is_cut {
            true => {
                let shown = self.entries.len();
                format!("<p>Only the first {shown} entries found are shown.</p>\n")
            }
            false => String::new(),
        };
        let unnameable = match self.unnameable {
            0 => String::new(),
            1 => "<p>One entry is not shown: its name does not fit into a URL.</p>\n".to_owned(),
            count => {
                format!(
                    "<p>{count} entries are not shown: their names do not fit into a URL.</p>\n"
                )
            }
        };
        let title = escape(names.last().unwrap_or(&"home"));
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{title}</title>\n<style>{STYLE}</style>\n<h1>{crumbs}</h1>\n\
             <table>\n<tr><th>Name</th><th>Size</th><th>Modified (UTC)</th></tr>\n{rows}</table>\n\
             {cut}{unnameable}</html>\n"
        )
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

/// The style sheet of a listing. It is part of the page, which needs no other file.
const STYLE: &str = "\
    :root{color-scheme:light dark}\
    body{margin:2rem auto;max-width:60rem;padding:0 1rem;font:1rem/1.6 system-ui,sans-serif}\
    h1{font-size:1.2rem;overflow-wrap:anywhere}\
    table{width:100%;border-collapse:collapse}\
    th,td{padding:.3rem .6rem .3rem 0;text-align:left;border-bottom:1px solid #8884}\
    td:first-child{overflow-wrap:anywhere;white-space:pre-wrap}\
    td:not(:first-child),th:not(:first-child){text-align:right;white-space:nowrap}\
    @media(max-width:35rem){td:last-child,th:last-child{display:none}}";

/// Characters that a link holds unescaped (RFC 3986, section 2.3).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn add(text: &mut String, part: std::fmt::Arguments) {
    text.write_fmt(part).expect("writing to memory cannot fail");
}

/// Text without markup. Control characters, which would show as nothing or as a line end, are shown
/// as escapes.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ if character.is_control() => escaped.extend(character.escape_default()),
            _ => escaped.push(character),
        }
    }
    escaped
}

/// A size with a unit, to three digits.
fn shown_size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut unit = 0;
    // In tenths, so that integers do.
    let mut tenths = u128::from(bytes) * 10 / 1024;
    while tenths >= 10_240 {
        tenths /= 1024;
        unit += 1;
    }
    match tenths {
        ..100 => format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit]),
        _ => format!("{} {}", tenths / 10, UNITS[unit]),
    }
}

#[cfg(test)]
mod tests {
    use super::{Entry, Kind, Listing, escape, shown_size};

    fn entry(name: &str, kind: Kind) -> Entry {
        let mtime = "Sun, 06 Nov 1994 08:49:37 GMT".to_owned();
        Entry::new(name, kind, mtime, 1536)
    }

    fn listing(entries: Vec<Entry>) -> Listing {
        Listing { entries, unnameable: 0, is_cut: false }
    }

    #[test]
    fn names_in_listing_are_escaped_as_html() {
        let name = "\"><script>alert('&')</script>";
        let page = listing(vec![entry(name, Kind::File)]).to_html("a");
        assert!(!page.contains("<script"), "{page}");
        assert!(page.contains("&quot;&gt;&lt;script&gt;alert(&#39;&amp;&#39;)"), "{page}");
        assert!(page.contains("href=\"./%22%3E%3Cscript%3E"), "{page}");
        let page = listing(Vec::new()).to_html("a/<b>");
        assert!(!page.contains("<b>"), "{page}");
    }

    #[test]
    fn links_are_relative_and_escaped() {
        let names = ["a b?#%.txt", "javascript:x", "caf\u{e9}"];
        let entries = names.iter().map(|name| entry(name, Kind::File)).collect();
        let page = listing(entries).to_html("");
        for href in ["./a%20b%3F%23%25.txt", "./javascript%3Ax", "./caf%C3%A9"] {
            assert!(page.contains(&format!("href=\"{href}\"")), "{href} in {page}");
        }
        let page = listing(vec![entry("sub", Kind::Directory)]).to_html("a/b");
        for href in ["../../", "../", "./", "./sub/"] {
            assert!(page.contains(&format!("href=\"{href}\"")), "{href} in {page}");
        }
    }

    #[test]
    fn names_left_out_of_listing_are_counted() {
        let page =
            |unnameable| Listing { entries: Vec::new(), unnameable, is_cut: false }.to_html("");
        assert!(!page(0).contains("not shown"));
        assert!(page(1).contains("One entry is not shown"));
        assert!(page(2).contains("2 entries are not shown"));
    }

    #[test]
    fn control_character_of_unicode_is_shown_as_an_escape() {
        let page = listing(vec![entry("a\u{85}b", Kind::File)]).to_html("");
        assert!(page.contains("<a href=\"./a%C2%85b\">a\\u{85}b</a>"), "{page}");
    }

    #[test]
    fn json_is_json() {
        let json =
            listing(vec![entry("\"a\" é", Kind::File), entry("b", Kind::Directory)]).to_json();
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(
            json,
            format!(
                r#"[{{"name":"\"a\" é","url":"./%22a%22%20%C3%A9","type":"file","mtime":"{date}","size":1536}},{{"name":"b","url":"./b/","type":"directory","mtime":"{date}"}}]"#
            )
        );
    }

    #[test]
    fn sizes() {
        for (bytes, shown) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (10_239, "9.9 KiB"),
            (10_240, "10 KiB"),
            (1 << 20, "1.0 MiB"),
            (5 << 30, "5.0 GiB"),
            (u64::MAX, "15 EiB"),
        ] {
            assert_eq!(shown_size(bytes), shown, "{bytes}");
        }
    }

    #[test]
    fn escapes() {
        assert_eq!(escape("a<b>&\"'\u{7}"), "a&lt;b&gt;&amp;&quot;&#39;\\u{7}");
    }
}
