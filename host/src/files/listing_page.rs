//! The page of a listing. It needs no script, except for its filter, and no other file, except for
//! the pictures that it shows.
//!
//! Sorting and the picture view are buttons of forms, which ask for the page with a query: programs
//! that follow links (`wget -r`, crawlers) do not get each directory several times. Links to folders
//! have such a query where the page itself was asked for with one.

use std::fmt::{Arguments, Write};
use std::sync::LazyLock;
use std::time::{Duration, UNIX_EPOCH};

use super::MediaType;
use super::arrangement::{Arrangement, Sort};
use super::listing::{Entry, Kind, Listing};
use crate::clock;
use crate::html::{compact, escaped, source_hash};

/// The style sheet and the script of the page.
static STYLE: LazyLock<String> = LazyLock::new(|| {
    compact(concat!(include_str!("../palette.css"), include_str!("listing_page/style.css")))
});
static SCRIPT: LazyLock<String> = LazyLock::new(|| compact(include_str!("listing_page/script.js")));

/// What a browser may do with the page. Anyone may have chosen the names on it.
pub static CONTENT_SECURITY_POLICY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "default-src 'none'; style-src {}; script-src {}; img-src 'self' data:; \
         form-action 'self'; base-uri 'none'",
        source_hash(&STYLE),
        source_hash(&SCRIPT)
    )
});

/// The page for the directory with this path. All links are relative, so that they hold wherever
/// the guest puts the directory.
pub(super) fn page(listing: &Listing, directory: &str, arrangement: Arrangement) -> String {
    let names: Vec<&str> = directory.split('/').filter(|name| !name.is_empty()).collect();
    let title = escaped(names.last().unwrap_or(&"home"));
    let mut page = String::with_capacity(8192 + 128 * listing.entries.len());
    add(
        &mut page,
        format_args!(
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{title}</title>\n<style>{}</style>\n<h1>",
            *STYLE
        ),
    );
    let query = query(arrangement);
    let last = names.len();
    for (depth, name) in ["home"].into_iter().chain(names.iter().copied()).enumerate() {
        let name = escaped(name);
        let _ = match last - depth {
            0 => write!(page, "<a href=\"./{query}\" aria-current=\"page\">{name}</a>"),
            levels => {
                let up = "../".repeat(levels);
                write!(page, "<a href=\"{up}{query}\">{name}</a><span>/</span>")
            }
        };
    }
    page.push_str("</h1>\n");
    bar(&mut page, listing, arrangement);
    let is_empty = listing.entries.is_empty() && listing.unnameable.is_empty();
    let has_parent = !names.is_empty();
    if has_parent && (is_empty || arrangement.has_pictures) {
        add(&mut page, format_args!("<p><a href=\"../{query}\">Parent folder</a></p>\n"));
    }
    if is_empty {
        page.push_str("<p class=\"none\">This folder is empty.</p>\n");
    } else if arrangement.has_pictures {
        pictures(&mut page, listing, &query);
    } else {
        table(&mut page, listing, arrangement, &query, has_parent);
    }
    notes(&mut page, listing);
    if !is_empty {
        add(&mut page, format_args!("<script>{}</script>\n", *SCRIPT));
    }
    page.push_str("</html>\n");
    page
}

/// How much there is, the filter, and the way to the other view.
fn bar(page: &mut String, listing: &Listing, arrangement: Arrangement) {
    let counts = counts(listing);
    add(page, format_args!("<div id=\"bar\"><p id=\"count\" aria-live=\"polite\">{counts}</p>\n"));
    let has_pictures = arrangement.has_pictures;
    if has_pictures || listing.entries.iter().any(is_picture) {
        let sort = match (arrangement.sort, arrangement.is_descending) {
            (Sort::Name, false) => String::new(),
            (sort, is_descending) => {
                let value = value(sort, is_descending);
                format!("<input type=\"hidden\" name=\"sort\" value=\"{value}\">")
            }
        };
        let view = |name, of_pictures| {
            let field = if of_pictures { " name=\"view\" value=\"pictures\"" } else { "" };
            let is_on = of_pictures == has_pictures;
            format!("<button{field} aria-pressed=\"{is_on}\">{name}</button>")
        };
        let (list, pictures) = (view("List", false), view("Pictures", true));
        add(page, format_args!("<form action=\"./\">{sort}{list}{pictures}</form>\n"));
    }
    page.push_str(
        "<input id=\"filter\" type=\"search\" placeholder=\"Filter\" aria-label=\"Filter names\" \
         autocomplete=\"off\" spellcheck=\"false\" hidden></div>\n",
    );
}

/// The rows, and above them the columns to sort by.
fn table(
    page: &mut String,
    listing: &Listing,
    arrangement: Arrangement,
    query: &str,
    has_parent: bool,
) {
    page.push_str("<form id=\"sort\" action=\"./\"></form>\n<table>\n<thead><tr>");
    for sort in Sort::ALL {
        let is_by_it = sort == arrangement.sort;
        let is_descending = arrangement.is_descending;
        let sorted = match (is_by_it, is_descending) {
            (false, _) => "",
            (true, false) => " aria-sort=\"ascending\"",
            (true, true) => " aria-sort=\"descending\"",
        };
        // First the largest and the newest; then the other way round.
        let next = if is_by_it { !is_descending } else { sort != Sort::Name };
        let label = match sort {
            Sort::Name => "Name",
            Sort::Size => "Size",
            Sort::Time => "Modified (UTC)",
        };
        let value = value(sort, next);
        add(
            page,
            format_args!(
                "<th{sorted}><button form=\"sort\" name=\"sort\" value=\"{value}\">{label}</button></th>"
            ),
        );
    }
    page.push_str("</tr></thead>\n");
    if has_parent {
        add(
            page,
            format_args!(
                "<tbody><tr class=\"u\"><td><a href=\"../{query}\">Parent folder</a></td><td></td>\
                 <td></td></tr></tbody>\n"
            ),
        );
    }
    // End tags of cells and rows may be left out (HTML, section 13.1.2.4). Of ten thousand rows
    // they would be a quarter of a megabyte.
    page.push_str("<tbody id=\"entries\">\n");
    for entry in &listing.entries {
        page.push_str("<tr");
        class(page, entry);
        page.push_str("><td><a href=\"");
        page.push_str(&entry.url);
        page.push_str(query_of(entry, query));
        add(page, format_args!("\">{}{}</a><td>", escaped(&entry.name), slash(entry)));
        if let Some(size) = entry.size {
            page.push_str(&shown_size(size));
        }
        page.push_str("<td>");
        page.push_str(&shown_time(entry.seconds));
        page.push('\n');
    }
    for name in &listing.unnameable {
        add(page, format_args!("<tr><td><span>{}</span><td><td>\n", escaped(name)));
    }
    page.push_str("</table>\n");
}

/// The entries as tiles, pictures as such. The browser gets those that come into sight.
fn pictures(page: &mut String, listing: &Listing, query: &str) {
    page.push_str("<ul id=\"entries\">\n");
    for entry in &listing.entries {
        page.push_str("<li");
        class(page, entry);
        add(page, format_args!("><a href=\"{}{}\">", entry.url, query_of(entry, query)));
        match is_picture(entry) {
            true => add(
                page,
                format_args!(
                    "<img src=\"{}\" alt=\"\" loading=\"lazy\" decoding=\"async\">",
                    entry.url
                ),
            ),
            false => page.push_str("<i></i>"),
        }
        add(page, format_args!("<span>{}{}</span></a>\n", escaped(&entry.name), slash(entry)));
    }
    for name in &listing.unnameable {
        add(page, format_args!("<li><div><i></i><span>{}</span></div>\n", escaped(name)));
    }
    page.push_str("</ul>\n");
}

/// What the page does not have, and why.
fn notes(page: &mut String, listing: &Listing) {
    match listing.unnameable.len() {
        0 => {}
        1 => page.push_str(
            "<p class=\"note\">One entry has no link: its name does not fit into a URL.</p>\n",
        ),
        count => add(
            page,
            format_args!(
                "<p class=\"note\">{count} entries have no link: their names do not fit into a URL.</p>\n"
            ),
        ),
    }
    if listing.is_cut {
        let shown = listing.entries.len() + listing.unnameable.len();
        add(
            page,
            format_args!(
                "<p class=\"note\">The directory has more entries than the {shown} that are shown.</p>\n"
            ),
        );
    }
}

/// `3 folders, 1,200 files, 48 MiB`. There are never millions.
fn counts(listing: &Listing) -> String {
    let files = listing.entries.iter().filter_map(|entry| entry.size);
    let (files, bytes) =
        files.fold((0, 0_u64), |(files, bytes), size| (files + 1, bytes.saturating_add(size)));
    let folders = listing.entries.len() - files;
    let several = |count: usize, one: &str| match count {
        1 => format!("1 {one}"),
        1000.. => format!("{},{:03} {one}s", count / 1000, count % 1000),
        _ => format!("{count} {one}s"),
    };
    match (folders, files) {
        (0, 0) => String::new(),
        (_, 0) => several(folders, "folder"),
        (0, _) => format!("{}, {}", several(files, "file"), shown_size(bytes)),
        _ => format!(
            "{}, {}, {}",
            several(folders, "folder"),
            several(files, "file"),
            shown_size(bytes)
        ),
    }
}

/// A value of `sort` in a query.
fn value(sort: Sort, is_descending: bool) -> String {
    format!("{}{}", if is_descending { "-" } else { "" }, sort.name())
}

/// What links to folders end with, so that they show what is in them as this page does.
fn query(arrangement: Arrangement) -> String {
    let Arrangement { sort, is_descending, has_pictures, .. } = arrangement;
    let is_usual = (sort, is_descending) == (Sort::Name, false);
    let sort = (!is_usual).then(|| format!("sort={}", value(sort, is_descending)));
    let view = has_pictures.then(|| "view=pictures".to_owned());
    let parts: Vec<_> = sort.into_iter().chain(view).collect();
    if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&amp;")) }
}

/// That, if the entry is a folder.
fn query_of<'a>(entry: &Entry, query: &'a str) -> &'a str {
    if entry.kind == Kind::Directory { query } else { "" }
}

fn slash(entry: &Entry) -> &'static str {
    if entry.kind == Kind::Directory { "/" } else { "" }
}

/// Adds the kind of an entry, which its icon goes by, if it has one of its own.
fn class(page: &mut String, entry: &Entry) {
    let class = match entry.kind {
        Kind::Directory => 'd',
        Kind::File => {
            let name = MediaType::of(&entry.name).essence();
            let (kind, subtype) = name.split_once('/').unwrap_or_default();
            match (kind, subtype) {
                ("image", _) => 'i',
                ("video", _) => 'v',
                ("audio", _) => 'a',
                ("text", _) | ("application", "pdf" | "json" | "xml" | "rtf") => 't',
                ("application", subtype) if ARCHIVES.contains(&subtype) => 'z',
                _ => return,
            }
        }
    };
    add(page, format_args!(" class={class}"));
}

/// Subtypes of `application` that hold other files.
const ARCHIVES: [&str; 11] = [
    "gzip",
    "java-archive",
    "x-debian-package",
    "vnd.rar",
    "x-7z-compressed",
    "x-bzip2",
    "x-iso9660-image",
    "x-tar",
    "x-xz",
    "zip",
    "zstd",
];

/// Whether browsers show it as a picture.
fn is_picture(entry: &Entry) -> bool {
    const PICTURES: [&str; 8] = [
        "image/apng",
        "image/avif",
        "image/bmp",
        "image/gif",
        "image/jpeg",
        "image/png",
        "image/svg+xml",
        "image/webp",
    ];
    entry.kind == Kind::File && PICTURES.contains(&MediaType::of(&entry.name).essence())
}

fn add(text: &mut String, part: Arguments<'_>) {
    text.write_fmt(part).expect("writing to memory cannot fail");
}

/// `1994-11-06 08:49`.
fn shown_time(seconds: u64) -> String {
    let time = clock::rfc3339_of(UNIX_EPOCH + Duration::from_secs(seconds));
    // Without the seconds and the zone.
    time.get(..16).unwrap_or_default().replace('T', " ")
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
mod tests;
