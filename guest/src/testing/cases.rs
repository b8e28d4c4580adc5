//! Runs a table of cases, the one of `innkeeper test`, against a policy natively.
//!
//! What a case does not state of a decision is not compared, except that a status
//! not stated is 200.

use toml::{Table, Value};

use super::{decide, words};
use crate::{Candidate, Decision, Field, Policy, Redirect, Reply, Serve};

/// Panics unless the policy decides as each case of this table says, and tells all
/// that do not hold. Gives the number of cases.
///
/// The table is the text of a TOML file, as `guest/cases.toml` is one.
#[track_caller]
pub fn check_cases<P: Policy>(table: &str) -> usize {
    let cases = parse(table).unwrap_or_else(|error| panic!("{error}"));
    let failures: Vec<_> = cases.iter().filter_map(Case::failure::<P>).collect();
    assert!(
        failures.is_empty(),
        "{} of {} cases do not hold\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n")
    );
    cases.len()
}

struct Case {
    line: Vec<u8>,
    fields: Vec<(String, String)>,
    expected: Expected,
}

/// What must be decided.
struct Expected {
    /// The decision, with the short forms written out.
    decision: Decision,
    /// Whether the body of a reply is stated.
    states_body: bool,
}

impl Case {
    /// What does not hold, if anything.
    fn failure<P: Policy>(&self) -> Option<String> {
        let fields: Vec<_> =
            self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let decision = decide::<P>(&self.line, &fields);
        (!self.expected.holds(&decision)).then(|| {
            format!(
                "{} {fields:?}\n  expected {}\n  got      {}",
                self.line.escape_ascii(),
                words::of(&self.expected.decision),
                words::of(&decision)
            )
        })
    }
}

impl Expected {
    fn holds(&self, decision: &Decision) -> bool {
        match (&self.decision, written_out(decision.clone())) {
            (Decision::Serve(expected), Decision::Serve(serve)) => {
                expected.status == serve.status
                    && expected.candidates == serve.candidates
                    && are_there(&expected.fields, &serve.fields)
            }
            (Decision::NotFound, Decision::NotFound) => true,
            (Decision::Redirect(expected), Decision::Redirect(redirect)) => {
                expected.status == redirect.status
                    && expected.location == redirect.location
                    && are_there(&expected.fields, &redirect.fields)
            }
            (Decision::Reply(expected), Decision::Reply(reply)) => {
                expected.status == reply.status
                    && (!self.states_body || expected.body == reply.body)
                    && are_there(&expected.fields, &reply.fields)
            }
            _ => false,
        }
    }
}

/// The same decision without short forms, and without a `/` at the end of an index
/// page's path.
fn written_out(decision: Decision) -> Decision {
    let mut serve = match decision {
        Decision::Index(path) => Serve::one(Candidate::Index(path)),
        Decision::File(path) => Serve::one(Candidate::File(path)),
        Decision::Serve(serve) => serve,
        other => return other,
    };
    for candidate in &mut serve.candidates {
        if let Candidate::Index(path) = candidate
            && path.ends_with('/')
        {
            path.pop();
        }
    }
    serve.into()
}

/// Whether each expected field is among those of a decision.
fn are_there(expected: &[Field], fields: &[Field]) -> bool {
    expected.iter().all(|expected| {
        let is_it = |field: &Field| {
            field.name.eq_ignore_ascii_case(&expected.name) && field.value == expected.value
        };
        fields.iter().any(is_it)
    })
}

/// Reads a table. The error names the case.
fn parse(text: &str) -> Result<Vec<Case>, String> {
    let mut table = Keys(text.parse::<Table>().map_err(|error| error.to_string())?);
    let Some(Value::Array(rows)) = table.0.remove("case") else {
        return Err("there is no `case`; write case = [ { line = …, decision = … } ]".to_owned());
    };
    table.no_others()?;
    if rows.is_empty() {
        return Err("there are no cases".to_owned());
    }
    let numbered = rows.into_iter().enumerate();
    numbered
        .map(|(index, row)| case(row).map_err(|error| format!("case {}: {error}", index + 1)))
        .collect()
}

fn case(row: Value) -> Result<Case, String> {
    let mut row = Keys::of(row)?;
    row.text("name")?;
    let line = match (row.text("line")?, row.text("escaped-line")?) {
        (Some(line), None) => line.into_bytes(),
        (None, Some(escaped)) => unescape(&escaped)?,
        _ => return Err("it has either `line` or `escaped-line`".to_owned()),
    };
    let mut fields = Vec::new();
    for (name, values) in row.table("fields")? {
        let values = match values {
            Value::Array(values) => values,
            value => vec![value],
        };
        for value in values {
            fields.push((name.clone(), string(&name, value)?));
        }
    }
    let expected = expected(row.0.remove("decision").ok_or("it has no `decision`")?)?;
    row.no_others()?;
    Ok(Case { line, fields, expected })
}

fn expected(decision: Value) -> Result<Expected, String> {
    if decision.as_str() == Some("not-found") {
        return Ok(Expected { decision: Decision::NotFound, states_body: false });
    }
    let (kind, value) = only_entry(decision)?;
    let mut states_body = false;
    let decision = match kind.as_str() {
        "index" => Decision::Index(string("index", value)?),
        "file" => Decision::File(string("file", value)?),
        "serve" => {
            let mut serve = Keys::of(value)?;
            let Some(Value::Array(candidates)) = serve.0.remove("candidates") else {
                return Err("`serve` has no `candidates`".to_owned());
            };
            let decision = Serve {
                candidates: candidates.into_iter().map(candidate).collect::<Result<_, _>>()?,
                status: serve.status()?.unwrap_or(200),
                fields: serve.fields()?,
            };
            serve.no_others()?;
            decision.into()
        }
        "redirect" => {
            let mut redirect = Keys::of(value)?;
            let decision = Redirect {
                status: redirect.status()?.ok_or("`redirect` has no `status`")?,
                location: redirect.text("location")?.ok_or("`redirect` has no `location`")?,
                fields: redirect.fields()?,
            };
            redirect.no_others()?;
            decision.into()
        }
        "reply" => {
            let mut reply = Keys::of(value)?;
            let body = reply.text("body")?;
            states_body = body.is_some();
            let decision = Reply {
                status: reply.status()?.unwrap_or(200),
                fields: reply.fields()?,
                body: body.unwrap_or_default().into_bytes(),
            };
            reply.no_others()?;
            decision.into()
        }
        _ => return Err(format!("{kind:?} is no kind of decision")),
    };
    Ok(Expected { decision: written_out(decision), states_body })
}

fn candidate(value: Value) -> Result<Candidate, String> {
    let (kind, path) = only_entry(value)?;
    match kind.as_str() {
        "index" => Ok(Candidate::Index(string("index", path)?)),
        "file" => Ok(Candidate::File(string("file", path)?)),
        _ => Err(format!("{kind:?} is no kind of candidate")),
    }
}

/// The key and the value of a table with one entry.
fn only_entry(value: Value) -> Result<(String, Value), String> {
    let mut entries = Keys::of(value)?.0.into_iter();
    match (entries.next(), entries.next()) {
        (Some(entry), None) => Ok(entry),
        _ => Err("what is expected is one kind of decision or candidate".to_owned()),
    }
}

/// The entries of a table. What is read is taken out, so that what is left was
/// misspelt.
struct Keys(Table);

impl Keys {
    fn of(value: Value) -> Result<Keys, String> {
        match value {
            Value::Table(table) => Ok(Keys(table)),
            other => Err(format!("a table is expected, and here is a {}", other.type_str())),
        }
    }

    fn text(&mut self, key: &str) -> Result<Option<String>, String> {
        self.0.remove(key).map(|value| string(key, value)).transpose()
    }

    fn table(&mut self, key: &str) -> Result<Table, String> {
        self.0.remove(key).map_or_else(|| Ok(Table::new()), |value| Ok(Keys::of(value)?.0))
    }

    fn status(&mut self) -> Result<Option<u16>, String> {
        let Some(value) = self.0.remove("status") else { return Ok(None) };
        let status = value.as_integer().and_then(|status| u16::try_from(status).ok());
        status.map(Some).ok_or_else(|| format!("{value:?} is no status"))
    }

    /// The fields that a decision must have.
    fn fields(&mut self) -> Result<Vec<Field>, String> {
        let fields = self.table("fields")?;
        let field = |(name, value): (String, Value)| {
            let value = string(&name, value)?;
            Ok(Field::new(name, value))
        };
        fields.into_iter().map(field).collect()
    }

    fn no_others(self) -> Result<(), String> {
        self.0.keys().next().map_or(Ok(()), |key| Err(format!("{key:?} means nothing here")))
    }
}

fn string(key: &str, value: Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(format!("`{key}` is no text but a {}", other.type_str())),
    }
}

/// Bytes from text with `\xHH` and `\\`.
fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut parts = text.split('\\');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    while let Some(part) = parts.next() {
        let escape = part.strip_prefix('x').and_then(|hex| hex.split_at_checked(2));
        if let Some((hex, rest)) = escape
            && let Ok(byte) = u8::from_str_radix(hex, 16)
        {
            bytes.push(byte);
            bytes.extend_from_slice(rest.as_bytes());
        } else if let ("", Some(rest)) = (part, parts.next()) {
            bytes.push(b'\\');
            bytes.extend_from_slice(rest.as_bytes());
        } else {
            return Err(r"in `escaped-line` a backslash begins \xHH or \\".to_owned());
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::{check_cases, parse};
    use crate::{Candidate, Decision, DefaultPolicy, Redirect, Reply, Serve};

    /// Whether the case expects this decision.
    fn holds(expected: &str, decision: &Decision) -> bool {
        let text = format!("case = [{{ line = 'GET / HTTP/1.1', decision = {expected} }}]");
        let cases = parse(&text).unwrap_or_else(|error| panic!("{expected}: {error}"));
        cases[0].expected.holds(decision)
    }

    #[test]
    fn what_is_stated_is_compared() {
        let page = Serve::one(Candidate::index("d/")).with("X-A", "1").into();
        for (expected, same) in [
            ("{ index = 'd' }", true),
            ("{ index = 'd/' }", true),
            ("{ index = 'e' }", false),
            ("{ file = 'd' }", false),
            ("'not-found'", false),
            ("{ serve = { candidates = [{ index = 'd' }] } }", true),
            ("{ serve = { candidates = [{ index = 'd' }], status = 404 } }", false),
            ("{ serve = { candidates = [{ index = 'd' }], fields = { x-a = '1' } } }", true),
            ("{ serve = { candidates = [{ index = 'd' }], fields = { x-a = '2' } } }", false),
            ("{ serve = { candidates = [{ index = 'd' }], fields = { x-b = '1' } } }", false),
            ("{ serve = { candidates = [{ index = 'd' }, { file = 'f' }] } }", false),
        ] {
            assert_eq!(holds(expected, &page), same, "{expected}");
        }
        assert!(holds("{ index = '' }", &Decision::index("")));
        assert!(holds("{ file = 'a' }", &Decision::file("a")));
        assert!(holds("'not-found'", &Decision::NotFound));
        let reply = Reply::text(400, "no\n").into();
        assert!(holds("{ reply = { status = 400 } }", &reply));
        assert!(holds("{ reply = { status = 400, body = \"no\\n\" } }", &reply));
        assert!(!holds("{ reply = { status = 400, body = '' } }", &reply));
        assert!(!holds("{ reply = {} }", &reply));
        let away = Redirect::new(308, "/a").into();
        assert!(holds("{ redirect = { status = 308, location = '/a' } }", &away));
        assert!(!holds("{ redirect = { status = 301, location = '/a' } }", &away));
    }

    #[test]
    fn requests_are_read_as_they_are_meant() {
        let cases = parse(
            r"case = [{ name = 'a', escaped-line = 'a\xff\\x41\x41', decision = 'not-found',
                        fields = { b = ['x', 'y'], a = 'z' } }]",
        )
        .expect("a case");
        assert_eq!(cases[0].line, b"a\xff\\x41A");
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(cases[0].fields, [field("a", "z"), field("b", "x"), field("b", "y")]);
    }

    #[test]
    #[should_panic(
        expected = "1 of 2 cases do not hold\nGET /a HTTP/1.1 []\n  expected serve file \"b\" with \
                    status 200\n  got      file \"a\""
    )]
    fn what_does_not_hold_is_shown() {
        check_cases::<DefaultPolicy>(
            "case = [{ line = 'GET / HTTP/1.1', decision = { index = '' } },
                     { line = 'GET /a HTTP/1.1', decision = { file = 'b' } }]",
        );
    }

    #[test]
    fn a_mistake_is_told() {
        for (text, part) in [
            ("", "no `case`"),
            ("case = []", "no cases"),
            ("case = ['a']", "a table is expected"),
            ("case = [{ line = 'a' }]", "case 1: it has no `decision`"),
            ("case = [{ decision = 'not-found' }]", "either `line` or `escaped-line`"),
            ("case = [{ line = 'a', decision = 'found' }]", "a table is expected"),
            ("case = [{ line = 'a', decision = { page = '' } }]", "no kind of decision"),
            ("case = [{ line = 'a', decision = { file = 1 } }]", "`file` is no text"),
            ("case = [{ line = 'a', decision = { reply = { state = 1 } } }]", "\"state\" means"),
            ("case = [{ line = 'a', decision = { reply = { status = -1 } } }]", "no status"),
            ("case = [{ lines = 'a', decision = 'not-found' }]", "either `line`"),
            ("case = [{ line = 'a', field = 1, decision = 'not-found' }]", "\"field\" means"),
            (r"case = [{ escaped-line = '\q', decision = 'not-found' }]", "backslash"),
            (r"case = [{ escaped-line = '\xé', decision = 'not-found' }]", "backslash"),
        ] {
            let error = parse(text).err().unwrap_or_else(|| panic!("{text} is read"));
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
