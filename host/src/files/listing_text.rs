//! A listing as a page for people, or as JSON for programs.

use std::cmp::Reverse;
use std::fmt::Write;

use super::listing::{Kind, Listing};

/// The form of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// A page for people.
    Html,
    /// JSON for programs.
    Json,
}

/// The listing in this form, directories first, in the order of their names, for the directory with
/// this path; `""` is the root.
pub(super) fn text(listing: &mut Listing, directory: &str, form: Form) -> String {
    listing.entries.sort_by(|a, b| {
        (Reverse(a.kind), a.name.as_str()).cmp(&(Reverse(b.kind), b.name.as_str()))
    });
    match form {
        Form::Html => to_html(listing, directory),
        Form::Json => to_json(listing),
    }
}

/// A list of objects with `name`, `type` (`file` or `directory`), `mtime` and,
/// of files, `size` in bytes: as nginx writes it. And with `url`, the escaped name as a
/// reference relative to the listing.
fn to_json(listing: &Listing) -> String {
    serde_json::to_string(&listing.entries).expect("texts and numbers are always JSON")
}

/// A page. `directory` is the path that it shows, with the ways up from it. All
/// links are relative, so that they hold wherever the guest puts the directory.
fn to_html(listing: &Listing, directory: &str) -> String {
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
    for entry in &listing.entries {
        let slash = if entry.kind == Kind::Directory { "/" } else { "" };
        let name = format!("<a href=\"{}\">{}{slash}</a>", entry.url, escape(&entry.name));
        let size = entry.size.map_or_else(String::new, shown_size);
        // Without the day of the week, the seconds and the zone.
        let date = entry.mtime.get(5..22).unwrap_or_default();
        add(&mut rows, format_args!("<tr><td>{name}</td><td>{size}</td><td>{date}</td></tr>\n"));
    }
    let cut = match listing.is_cut {
        true => {
            let shown = listing.entries.len();
            format!("<p>The directory has more entries than the {shown} that are shown.</p>\n")
        }
        false => String::new(),
    };
    let unnameable = match listing.unnameable {
        0 => String::new(),
        1 => "<p>One entry is not shown: its name does not fit into a URL.</p>\n".to_owned(),
        count => {
            format!("<p>{count} entries are not shown: their names do not fit into a URL.</p>\n")
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
    use super::{Listing, escape, shown_size, to_html, to_json};
    use crate::files::listing::{Entry, Kind};

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
        let page = to_html(&listing(vec![entry(name, Kind::File)]), "a");
        assert!(!page.contains("<script"), "{page}");
        assert!(page.contains("&quot;&gt;&lt;script&gt;alert(&#39;&amp;&#39;)"), "{page}");
        assert!(page.contains("href=\"./%22%3E%3Cscript%3E"), "{page}");
        let page = to_html(&listing(Vec::new()), "a/<b>");
        assert!(!page.contains("<b>"), "{page}");
    }

    #[test]
    fn links_are_relative_and_escaped() {
        let names = ["a b?#%.txt", "javascript:x", "caf\u{e9}"];
        let entries = names.iter().map(|name| entry(name, Kind::File)).collect();
        let page = to_html(&listing(entries), "");
        for href in ["./a%20b%3F%23%25.txt", "./javascript%3Ax", "./caf%C3%A9"] {
            assert!(page.contains(&format!("href=\"{href}\"")), "{href} in {page}");
        }
        let page = to_html(&listing(vec![entry("sub", Kind::Directory)]), "a/b");
        for href in ["../../", "../", "./", "./sub/"] {
            assert!(page.contains(&format!("href=\"{href}\"")), "{href} in {page}");
        }
    }

    #[test]
    fn names_left_out_of_listing_are_counted() {
        let page = |unnameable| to_html(&Listing { unnameable, ..listing(Vec::new()) }, "");
        assert!(!page(0).contains("not shown"));
        assert!(page(1).contains("One entry is not shown"));
        assert!(page(2).contains("2 entries are not shown"));
    }

    #[test]
    fn control_character_of_unicode_is_shown_as_an_escape() {
        let page = to_html(&listing(vec![entry("a\u{85}b", Kind::File)]), "");
        assert!(page.contains("<a href=\"./a%C2%85b\">a\\u{85}b</a>"), "{page}");
    }

    #[test]
    fn json_is_json() {
        let json =
            to_json(&listing(vec![entry("\"a\" é", Kind::File), entry("b", Kind::Directory)]));
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
