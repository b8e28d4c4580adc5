//! A table of cases, parsed.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use crate::case::Case;
use crate::error::{Problem, TableError};
use crate::expected::Expected;
use crate::facts::{Fact, Facts};
use crate::toml_1_0;

/// The file, as TOML has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    case: Option<Vec<Spanned<Row>>>,
}

#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    rename_all = "kebab-case",
    expecting = "a case, as { line = …, decision = … }"
)]
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
#[serde(untagged, expecting = "a field has a string as its value, or a list of strings")]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// The same where the file has other keys too.
#[derive(Deserialize)]
struct Among {
    case: Option<Vec<Spanned<Row>>>,
}

/// Parses the text of a table into its cases, in their order. There is at least one.
pub fn parse(text: &str) -> Result<Vec<Case>, TableError> {
    read(text, |text| toml::from_str(text).map(|table: Table| table.case))
}

/// Parses the cases of a file whose other keys are for others.
pub fn parse_among_others(text: &str) -> Result<Vec<Case>, TableError> {
    read(text, |text| toml::from_str(text).map(|table: Among| table.case))
}

fn read(
    text: &str,
    rows: impl Fn(&str) -> Result<Option<Vec<Spanned<Row>>>, toml::de::Error>,
) -> Result<Vec<Case>, TableError> {
    // Counted once: to count again for each case takes the square of their number.
    let ends: Vec<usize> = text.match_indices('\n').map(|(at, _)| at).collect();
    let line_number = |offset: usize| ends.partition_point(|&end| end < offset) + 1;
    let rows = rows(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_number(span.start));
        TableError { line: Some(line), problem: Problem::Toml(explain(text, &error)) }
    })?;
    toml_1_0::check(text).map_err(|(at, newer)| TableError {
        line: Some(line_number(at)),
        problem: Problem::Newer(newer),
    })?;
    let rows = rows.ok_or(TableError { line: None, problem: Problem::NoCase })?;
    if rows.is_empty() {
        return Err(TableError { line: None, problem: Problem::EmptyCase });
    }
    rows.into_iter()
        .map(|row| {
            let line_number = line_number(row.span().start);
            row.into_inner()
                .into_case(line_number)
                .map_err(|problem| TableError { line: Some(line_number), problem })
        })
        .collect()
}

/// The message of `toml`, on one line and with the key of the value. Terms of Rust become terms
/// of tables.
fn explain(text: &str, error: &toml::de::Error) -> String {
    let message = error.message().replace('\n', ", ").replace("expected u16", "expected a status");
    let key = error.span().and_then(|span| key_of_value(text, span.start));
    let key = key.map_or(String::new(), |key| format!("`{key}`: "));
    if message.contains("newtype variant") {
        return format!("{key}a name alone; write what it names, as {{ file = \"a.html\" }}");
    }
    key + &message
}

/// The key of the value that begins here, if it stands on the same line.
fn key_of_value(text: &str, start: usize) -> Option<&str> {
    let before = text.get(..start)?.trim_end_matches([' ', '\t']).strip_suffix('=')?;
    let key = before.trim_end_matches([' ', '\t']).rsplit([' ', '\t', '\n', '{', ',']).next()?;
    (!key.is_empty()).then_some(key)
}

impl Row {
    fn into_case(self, line_number: usize) -> Result<Case, Problem> {
        let line = match (self.line, self.escaped_line) {
            (Some(line), None) => line.into_bytes(),
            (None, Some(escaped)) => unescape(&escaped).ok_or(Problem::Escape)?,
            _ => return Err(Problem::NotOneLine),
        };
        let mut case = Case {
            line_number,
            name: self.name,
            line,
            fields: Vec::new(),
            facts: Facts::default(),
            expected: self.decision,
        };
        for (name, values) in self.fields {
            let values = match values {
                OneOrMany::One(value) => vec![value],
                OneOrMany::Many(values) => values,
            };
            match (Fact::from_name(&name), values.as_slice()) {
                (_, []) => return Err(Problem::NoValues(name)),
                (Ok(fact), [value]) => {
                    case.facts.state(fact, value).map_err(Problem::FactValue)?;
                }
                (Ok(fact), _) => return Err(Problem::ManyValues(fact)),
                (Err(error), _) if name.starts_with(':') => {
                    return Err(Problem::Fact(name, error));
                }
                _ => case.fields.extend(values.into_iter().map(|value| (name.clone(), value))),
            }
        }
        Ok(case)
    }
}

/// Bytes from text with `\xHH` and `\\`; `None` if a backslash begins something else.
fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        if let Some(after) = after.strip_prefix('\\') {
            bytes.push(b'\\');
            rest = after;
        } else {
            let (hex, after) = after.strip_prefix('x')?.split_at_checked(2)?;
            // `from_str_radix` takes a sign, too.
            let digits = hex.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(hex)?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = after;
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn requests_are_read_as_bytes_fields_and_client() {
        let cases = parse(
            "# two cases\n[[case]]\nname = 'a'\nescaped-line = 'a\\xff\\\\x41\\x41'\n\
             fields = { b = ['x', 'y'], a = 'z', ':client-address' = '192.0.2.1' }\n\
             decision = 'not-found'\n\n[[case]]\nline = 'é'\ndecision = 'not-found'\n",
        )
        .expect("two cases");
        assert_eq!((cases[0].line_number, cases[1].line_number), (2, 8));
        assert_eq!((cases[0].name.as_deref(), &cases[1].name), (Some("a"), &None));
        assert_eq!(cases[0].line, b"a\xff\\x41A");
        assert_eq!(cases[1].line, "é".as_bytes());
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(cases[0].fields, [field("a", "z"), field("b", "x"), field("b", "y")]);
        assert_eq!(cases[0].facts.client().to_string(), "192.0.2.1");
        assert_eq!(cases[1].facts.client().to_string(), "127.0.0.1");
        let shown = r"a\xff\\x41A (:client-address: 192.0.2.1) (a: z) (b: x) (b: y)";
        assert_eq!(cases[0].to_string(), shown);
    }

    /// One case with these entries.
    fn case(entries: &str) -> String {
        format!("case = [{{ {entries} }}]")
    }

    #[test]
    fn error_names_the_line_and_what_to_write() {
        for (table, error) in [
            ("", "it has no `case`; write case = ["),
            ("case = []", "`case` is empty; write case = ["),
            (
                "case = ['a']",
                "line 1: invalid type: string \"a\", expected a case, as { line = …, decision = … }",
            ),
            (
                "\n\ncase = [{ line = 'a', decision = 'found' }]",
                "line 3: `decision`: unknown variant `found`",
            ),
            ("case = [\n{ line = 'a',\ndecision = 'not-found' }]", "line 2: TOML 1.0 has { … } on"),
            ("case = [\n{ line = 'a', decision = 'not-found', }]", "line 2: TOML 1.0 has no comma"),
            (
                "case = [\n{ line = \"\\e\", decision = 'not-found' }]",
                "line 2: TOML 1.0 has no escapes",
            ),
            ("case = [\n", "line 1: unclosed array"),
        ] {
            let got = parse(table).expect_err(table).to_string();
            assert!(got.starts_with(error), "{table}: {got}");
        }
        for (entries, error) in [
            ("line = 'a'", "missing field `decision`"),
            ("decision = 'not-found'", "either `line` or `escaped-line`"),
            ("line = 'a', escaped-line = 'a', decision = 'not-found'", "either `line` or"),
            ("line = 'a', decision = 'found'", "`not-found`"),
            ("line = 'a', decision = 1", "`decision`: wanted string or table"),
            (
                "line = 'a', decision = { file = 'a', index = '' }",
                "`decision`: wanted exactly 1 element",
            ),
            (
                "line = 'a', decision = { serve = 'a' }",
                "expected a table with `candidates` or `otherwise`",
            ),
            (
                "line = 'a', decision = { serve = { candidates = ['a'] } }",
                "invalid type: string \"a\", expected a candidate, as { file =",
            ),
            (
                "line = 'a', decision = { serve = { candidates = [{ status = 404 }] } }",
                "a candidate has either `index` or `file`",
            ),
            (
                "line = 'a', decision = { serve = { candidates = [{ file = 'a', index = 'a' }] } }",
                "a candidate has either `index` or `file`",
            ),
            (
                "line = 'a', decision = { serve = { candidates = [{ path = 'a' }] } }",
                "unknown field `path`, expected one of `index`",
            ),
            (
                "line = 'a', decision = { serve = { candidates = [{ file = 'a' }], status = 404 } }",
                "unknown field `status`, expected one of `candidates`",
            ),
            (
                "line = 'a', decision = 'file'",
                "`decision`: a name alone; write what it names, as { file =",
            ),
            (
                "line = 'a', decision = { page = '' }",
                "unknown variant `page`, expected one of `index`",
            ),
            (
                "line = 'a', decision = { file = 1 }",
                "`file`: invalid type: integer `1`, expected a string",
            ),
            ("line = 'a', decision = { reply = { state = 1 } }", "unknown field `state`, expected"),
            (
                "line = 'a', decision = { reply = { status = -1 } }",
                "`status`: invalid value: integer `-1`, expected a status",
            ),
            ("line = 'a', decision = { redirect = { status = 301 } }", "missing field `location`"),
            (
                "lines = 'a', decision = 'not-found'",
                "unknown field `lines`, expected one of `name`",
            ),
            (r"escaped-line = '\q', decision = 'not-found'", "a backslash begins"),
            (r"escaped-line = '\xé', decision = 'not-found'", "a backslash begins"),
            (r"escaped-line = '\x+f', decision = 'not-found'", "a backslash begins"),
            (r"escaped-line = '\', decision = 'not-found'", "a backslash begins"),
            ("line = '', fields = { b = [] }, decision = 'not-found'", "\"b\" has an empty list"),
            (
                "line = '', fields = { b = 1 }, decision = 'not-found'",
                "a string as its value, or a list",
            ),
            ("line = '', fields = { ':x' = '' }, decision = 'not-found'", "\":x\" is not a fact"),
            (
                "line = '', fields = { ':time/0' = '' }, decision = 'not-found'",
                "\":time/0\" is not a fact; write `:time/N` with a number of seconds from 1 to",
            ),
            (
                "line = '', fields = { ':time/60' = '61' }, decision = 'not-found'",
                "`:time/60` is \"61\"; write Unix seconds, a multiple of 60, as \"1735689600\"",
            ),
            (
                "line = '', fields = { ':time/60' = '60', ':time/1' = '0' }, decision = 'not-found'",
                "`:time/1` and `:time/60` state two times; one of them is enough",
            ),
            (
                "line = '', fields = { ':scheme' = 'ftp' }, decision = 'not-found'",
                "`:scheme` is \"ftp\"; write \"http\" or \"https\"",
            ),
            (
                "line = '', fields = { ':protocol' = ['h2', 'h2'] }, decision = 'not-found'",
                "`:protocol` has several values",
            ),
            (
                "line = '', fields = { ':client-address' = 'x' }, decision = 'not-found'",
                "`:client-address` is \"x\"; write an address",
            ),
        ] {
            let got = parse(&case(entries)).expect_err(entries).to_string();
            assert!(got.starts_with("line 1: ") && got.contains(error), "{entries}: {got}");
        }
    }
}
