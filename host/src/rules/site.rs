//! `_redirects` and `_headers`, as other hosts read them from the root of a site.

use innkeeper_guest::rules::table::{FieldChange, Header, Place, Route, Table};

use super::part::Part;
use super::problem::Problem;

/// Reads the text of `_redirects`.
pub(super) fn redirects(bytes: &[u8]) -> Result<Part, Vec<Problem>> {
    let text = std::str::from_utf8(bytes).map_err(|_| vec![Problem::at(1, "not UTF-8")])?;
    let mut routes = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        let mut words = text.split_ascii_whitespace().take_while(|word| !word.starts_with('#'));
        let (Some(from), Some(to)) = (words.next(), words.next()) else { continue };
        let status = words.next().unwrap_or("301");
        let force = status.ends_with('!');
        let status = status.trim_end_matches('!').parse();
        let status = status.map_err(|_| vec![Problem::at(line, "no status")])?;
        routes.push(Route {
            place: Place { source: 0, line },
            scheme: None,
            host: None,
            from: from.to_owned(),
            query: Vec::new(),
            conditions: Vec::new(),
            to: to.to_owned(),
            status,
            force,
        });
    }
    Ok(Table { routes, ..Table::default() }.into())
}

/// Reads the text of `_headers`.
pub(super) fn headers(bytes: &[u8]) -> Result<Part, Vec<Problem>> {
    let text = std::str::from_utf8(bytes).map_err(|_| vec![Problem::at(1, "not UTF-8")])?;
    let mut headers: Vec<Header> = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        match (text.split_once(": "), headers.last_mut()) {
            (Some((name, value)), Some(header)) if text.starts_with(' ') => {
                let (name, value) = (name.trim().to_owned(), value.to_owned());
                header.changes.push(FieldChange::Add { name, value });
            }
            _ => headers.push(Header {
                place: Place { source: 0, line },
                scheme: None,
                host: None,
                pattern: text.to_owned(),
                changes: Vec::new(),
                always: false,
            }),
        }
    }
    Ok(Table { headers, ..Table::default() }.into())
}
