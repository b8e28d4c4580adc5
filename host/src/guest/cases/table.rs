//! A file of cases as TOML has it becomes cases.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use serde::Deserialize;
use toml::Spanned;

use super::Case;
use super::expected::Expected;
use crate::guest::decision::interests::{CLIENT_ADDRESS, SCHEME};

/// The file, as TOML has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    case: Option<Vec<Spanned<Row>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Row {
    name: Option<String>,
    line: Option<String>,
    /// The line with `\xHH` for bytes that are no text.
    escaped_line: Option<String>,
    #[serde(default)]
    fields: BTreeMap<String, OneOrMany>,
    decision: Expected,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// Reads cases. The error names the place.
pub(super) fn parse(text: &str) -> Result<Vec<Case>, String> {
    // Counted once: to count for each case anew takes the square of their number.
    let ends: Vec<usize> = text.match_indices('\n').map(|(at, _)| at).collect();
    let line_number = |offset: usize| ends.partition_point(|&end| end < offset) + 1;
    let table: Table = toml::from_str(text).map_err(|error| {
        // On one line, for the log.
        let place = error.span().map_or(1, |span| line_number(span.start));
        let message = error.message().replace('\n', ", ");
        let advice = match message.contains("newtype variant") {
            true => "; write what it names as in { file = \"a.html\" }",
            false => "",
        };
        format!("line {place}: {message}{advice}")
    })?;
    let advice = "write case = [ { line = …, decision = … } ]";
    let rows = table.case.ok_or_else(|| format!("it has no `case`; {advice}"))?;
    if rows.is_empty() {
        return Err(format!("`case` is empty; {advice}"));
    }
    rows.into_iter()
        .map(|row| {
            let line_number = line_number(row.span().start);
            row.into_inner()
                .into_case(line_number)
                .map_err(|error| format!("line {line_number}: {error}"))
        })
        .collect()
}

impl Row {
    fn into_case(self, line_number: usize) -> Result<Case, String> {
        let line = match (self.line, self.escaped_line) {
            (Some(line), None) => line.into_bytes(),
            (None, Some(escaped)) => unescape(&escaped)?,
            _ => return Err("a case has either `line` or `escaped-line`".to_owned()),
        };
        self.decision.check()?;
        let mut case = Case {
            line_number,
            name: self.name,
            line,
            fields: Vec::new(),
            client: IpAddr::V4(Ipv4Addr::LOCALHOST),
            expected: self.decision,
        };
        for (name, values) in self.fields {
            let values = match values {
                OneOrMany::One(value) => vec![value],
                OneOrMany::Many(values) => values,
            };
            match (name.as_str(), values.as_slice()) {
                (CLIENT_ADDRESS, [address]) => {
                    case.client = address
                        .parse()
                        .map_err(|_| format!("`{CLIENT_ADDRESS}` is no address: {address:?}"))?;
                }
                (SCHEME, [scheme]) if scheme == "http" => {}
                (_, []) => {
                    return Err(format!(
                        "the values of the field {name:?} are empty; leave it out"
                    ));
                }
                _ if name.starts_with(':') => {
                    return Err(format!("{name:?} cannot have this value, or is no fact"));
                }
                _ => case.fields.extend(values.into_iter().map(|value| (name.clone(), value))),
            }
        }
        Ok(case)
    }
}

/// Bytes from text with `\xHH` and `\\`.
fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        let hex = after.strip_prefix('x').and_then(|after| after.get(..2));
        if let Some(after) = after.strip_prefix('\\') {
            bytes.push(b'\\');
            rest = after;
        } else if let Some(byte) = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            bytes.push(byte);
            rest = &after[3..];
        } else {
            return Err(r"in `escaped-line` a backslash begins \xHH or \\".to_owned());
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::guest::runtime::decision_cost::cpu_time;

    /// The lines before each case were counted anew.
    #[test]
    fn time_of_reading_grows_as_the_number_of_cases() {
        let case = "[[case]]\nline = 'GET /a/b/c HTTP/1.1'\n\ndecision = 'not-found'\n\n";
        let taken = |count: usize| {
            let text = case.repeat(count);
            let before = cpu_time();
            let cases = parse(&text).expect("cases");
            assert_eq!(cases[count - 1].line_number, 5 * count - 4);
            cpu_time() - before
        };
        let (few, many) = (taken(2_000), taken(16_000));
        assert!(many < few * 20, "{few:?} for 2,000 and {many:?} for 16,000");
    }

    #[test]
    fn requests_are_read_as_they_are_meant() {
        let cases = parse(
            "# two cases\n[[case]]\nname = 'a'\nescaped-line = 'a\\xff\\\\'\n\
             fields = { accept = ['x', 'y'], ':client-address' = '192.0.2.1' }\n\
             decision = 'not-found'\n\n[[case]]\nline = 'é'\ndecision = 'not-found'\n",
        )
        .expect("two cases");
        assert_eq!((cases[0].line_number, cases[1].line_number), (2, 8));
        assert_eq!(cases[0].line, b"a\xff\\");
        assert_eq!(cases[1].line, "é".as_bytes());
        let field = |value: &str| ("accept".to_owned(), value.to_owned());
        assert_eq!(cases[0].fields, [field("x"), field("y")]);
        assert_eq!(cases[0].client.to_string(), "192.0.2.1");
    }

    #[test]
    fn a_mistake_is_told_with_its_place() {
        for (text, part) in [
            ("", "no `case`"),
            ("case = []", "`case` is empty"),
            ("case = [{ line = 'a', decision = { serve = { candidates = [] } } }]", "is empty"),
            ("case = [{ line = 'a', fields = { b = [] }, decision = 'not-found' }]", "are empty"),
            ("case = [{ line = 'a' }]", "missing field `decision`"),
            ("case = [{ decision = 'not-found' }]", "either `line` or `escaped-line`"),
            ("\n\ncase = [{ line = 'a', decision = 'found' }]", "line 3"),
            ("case = [{ line = 'a', decision = 'found' }]", "not-found"),
            ("case = [{ line = 'a', decision = { page = '' } }]", "unknown variant `page`"),
            ("case = [{ lines = 'a', decision = 'not-found' }]", "unknown field `lines`"),
            ("case = [{ escaped-line = '\\q', decision = 'not-found' }]", "backslash"),
            ("case = [{ escaped-line = '\\xé', decision = 'not-found' }]", "backslash"),
            ("case = [{ line = '', fields = { ':x' = '' }, decision = 'not-found' }]", "no fact"),
            (
                "case = [{ line = '', fields = { ':client-address' = 'x' }, decision = 'not-found' }]",
                "is no address",
            ),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
