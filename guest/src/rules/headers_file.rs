//! `_headers`, as Netlify and Cloudflare Pages have it.
//!
//! A line with a path begins a block, and the lines behind it name the fields of its responses. `!`
//! before a name takes away what earlier blocks added. `#` begins a line that is a comment.
//!
//! ```text
//! /movies/:title
//!   X-Movie: You watch ":title"
//! https://:project.pages.dev/*
//!   X-Robots-Tag: noindex
//! /*.jpg
//!   ! Content-Security-Policy
//! ```
//!
//! The scheme of a URL means nothing, as with Cloudflare; Netlify has paths alone. The fields are for
//! files and for pages of errors.

use super::checks::{self, From, is_space, is_target};
use super::fault::{Faults, Mistake};
use super::lines::Reader;
use super::table::{FieldChange, Header, Responses};

/// Reads a file into its rules, whose places are of this source; or all that is wrong with it.
pub fn parse(file: &[u8], source: u16) -> Result<Vec<Header>, Faults> {
    let mut reader = Reader::new(file, source);
    let mut headers = Vec::new();
    let mut block: Option<Header> = None;
    // The fields of a block that is not understood are of no other block.
    let mut is_skipped = false;
    while let Some(line) = reader.next() {
        if is_target(line) {
            if let Some(block) = block.take() {
                reader.push(&mut headers, block);
            }
            match From::parse(line) {
                Ok(From { host, path, .. }) => {
                    block = Some(Header {
                        place: reader.place(),
                        scheme: None,
                        host,
                        pattern: path,
                        changes: Vec::new(),
                        responses: Responses::Pages,
                    });
                }
                Err(mistake) => {
                    is_skipped = true;
                    reader.fault(mistake);
                }
            }
            continue;
        }
        let change = parse_change(line);
        match (&mut block, change) {
            (_, Err(mistake)) => reader.fault(mistake),
            (Some(block), Ok(change)) => {
                block.changes.push(change);
                if let Err(mistake) = checks::changes(&block.changes) {
                    block.changes.clear();
                    reader.fault(mistake);
                }
            }
            (None, Ok(_)) if is_skipped => {}
            (None, Ok(_)) => reader.fault(Mistake::NoPath(line.to_owned())),
        }
    }
    if let Some(block) = block {
        reader.push(&mut headers, block);
    }
    reader.finish(headers)
}

/// Reads a line about a field.
fn parse_change(line: &str) -> Result<FieldChange, Mistake> {
    if let Some(name) = line.strip_prefix('!') {
        let name = name.trim_matches(is_space);
        let name = name.strip_suffix(':').unwrap_or(name);
        checks::field_name(name)?;
        return Ok(FieldChange::Remove { name: name.to_owned() });
    }
    let (name, value) = line.split_once(':').ok_or_else(|| Mistake::NoColon(line.to_owned()))?;
    let (name, value) = (name.trim_matches(is_space), value.trim_matches(is_space));
    checks::field(name, value)?;
    Ok(FieldChange::Add { name: name.to_owned(), value: value.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::rules::table::{FieldChange, Header, Responses};

    fn shown(header: &Header) -> String {
        let mut shown = format!("{}{}", header.host.as_deref().unwrap_or_default(), header.pattern);
        for change in &header.changes {
            shown += &match change {
                FieldChange::Add { name, value } => format!(" | {name}: {value}"),
                FieldChange::Remove { name } => format!(" | ! {name}"),
            };
        }
        shown
    }

    #[track_caller]
    fn check(file: &str, expected: &[&str]) {
        let headers = parse(file.as_bytes(), 0).unwrap_or_else(|faults| panic!("{faults:?}"));
        assert_eq!(headers.iter().map(shown).collect::<Vec<_>>(), expected, "{file}");
        let is_for_pages = |header: &Header| header.responses == Responses::Pages;
        assert!(headers.iter().all(|header| is_for_pages(header) && header.scheme.is_none()));
    }

    #[track_caller]
    fn check_fault(file: &[u8], expected: &str) {
        let faults = parse(file, 0).expect_err(expected);
        let first = faults.first()[0].shown(&["_headers"]).to_string();
        assert!(first.starts_with(expected), "{first}\n{expected}");
        assert!(!first.chars().any(char::is_control) && first.len() < 500, "{first}");
    }

    #[test]
    fn documented_files_are_read() {
        let netlify = "# a path:\n/templates/index.html\n  # headers for that path:\n  \
                       X-Frame-Options: DENY\n# another path:\n/templates/index2.html\n  # headers \
                       for that path:\n  X-Frame-Options: SAMEORIGIN\n/*\n  cache-control: \
                       max-age=0\n  cache-control: no-cache\n";
        let expected = [
            "/templates/index.html | X-Frame-Options: DENY",
            "/templates/index2.html | X-Frame-Options: SAMEORIGIN",
            "/* | cache-control: max-age=0 | cache-control: no-cache",
        ];
        check(netlify, &expected);
        let cloudflare = "/secure/page\n  X-Frame-Options: DENY\n\nhttps://:project.pages.dev/*\n\t\
                          Access-Control-Allow-Origin: https://staging.:project.pages.dev/\n\
                          /*.jpg\r\n  ! Content-Security-Policy\r\n/movies/:title\n  x-movie-name: \
                          You are watching \":title\"\n";
        let expected = [
            "/secure/page | X-Frame-Options: DENY",
            ":project.pages.dev/* | Access-Control-Allow-Origin: https://staging.:project.pages.dev/",
            "/*.jpg | ! Content-Security-Policy",
            "/movies/:title | x-movie-name: You are watching \":title\"",
        ];
        check(cloudflare, &expected);
        check("\u{feff}/a\nA:b:c\n!B\n", &["/a | A: b:c | ! B"]);
        check("", &[]);
    }

    #[test]
    fn fault_names_the_line_and_what_to_write() {
        for (file, expected) in [
            ("A: b", "_headers:1: `A: b` stands before the first path"),
            ("/a\n  b", "_headers:2: `b` is neither a path"),
            ("/a\n  : b", "_headers:2: `` is not the name of a field"),
            ("/a\n  A:", "_headers:2: `A` has no value"),
            ("/a\n  A b: c", "_headers:2: `A b` is not the name of a field"),
            ("/a\n  Content-Length: 1", "_headers:2: `Content-Length` is written by the server"),
            ("/a\n  ! etag", "_headers:2: `etag` is written by the server"),
            ("/a\n  Location: /b", "_headers:2: `Location` belongs to a redirect"),
            ("/a\n  Basic-Auth: u:p", "_headers:2: `Basic-Auth` has passwords"),
            ("/a\n  A: b\rC: d", "_headers:2: the line has the control character \\u{d}"),
            ("/a\n  A: b\0", "_headers:2: the line has the control character \\u{0}"),
            ("/a/../b\n  A: b", "_headers:1: `/a/../b`: the pattern has a name that no"),
            ("https://a:8080/*\n  A: b", "_headers:1: `https://a:8080/*`: its host is none"),
            (
                "/*a*b*c*d*e*f*g*h*i\n  A: b",
                "_headers:1: `/*a*b*c*d*e*f*g*h*i`: the pattern has more",
            ),
        ] {
            check_fault(file.as_bytes(), expected);
        }
        check_fault(b"/a\n  A: \xff", "_headers:2: the line is not UTF-8");
        let long = format!("/a\n  A: {}\n  B: {}\n", "a".repeat(10_000), "b".repeat(10_000));
        check_fault(long.as_bytes(), "_headers:3: more than 64 fields or 16 KiB");
        let many = format!("/a\n{}", "A: b\n".repeat(65));
        check_fault(many.as_bytes(), "_headers:66: more than 64 fields");
        let faults = parse(b"/a?b\n  A: b\n", 0).expect_err("a fault");
        assert_eq!(faults.count(), 1, "{faults:?}");
    }
}
