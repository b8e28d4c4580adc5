//! Response fields: the blocks of `_headers`.

use super::ask::Ask;
use super::explain::{Effect, Trace};
use super::host::Scope;
use super::pattern_set::PatternSet;
use super::problem::{Problem, RuleError};
use super::table::{self, FieldChange, Place, Table};
use super::template::{Source, Template, Values};
use crate::contract::{is_host_field, is_token};
use crate::decision::Field;
use crate::pattern::Pattern;

/// All rules about fields, in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Headers {
    patterns: PatternSet,
    rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
struct Rule {
    place: Place,
    always: bool,
    scope: Scope,
    changes: Box<[Change]>,
}

#[derive(Clone, Debug)]
enum Change {
    Add {
        name: Box<str>,
        value: Template,
    },
    /// Where the same rule adds the name again, it is replaced, and only where the rule's own fields are.
    Remove {
        name: Box<str>,
        is_replaced: bool,
    },
}

/// The fields of one response.
#[derive(Debug, Default)]
pub(super) struct Added {
    /// Of every response.
    pub(super) every: Vec<Field>,
    /// Of a response that has a file: those of `every` too, but for those that the host adds to them.
    pub(super) files: Vec<Field>,
}

/// Bytes of a value with placeholders. A longer one, which a client made, is left out: the fields of a
/// response have 16 KiB together.
const MAX_VALUE_BYTES: usize = 1 << 10;

impl Headers {
    pub(super) fn new(table: &Table) -> Result<Headers, RuleError> {
        let mut headers = Headers::default();
        for rule in &table.headers {
            let (pattern, compiled) =
                compile(rule).map_err(|problem| RuleError { place: rule.place, problem })?;
            let host = compiled.scope.exact(rule.host.as_deref());
            headers
                .patterns
                .push(host, &pattern)
                .map_err(|problem| RuleError { place: rule.place, problem })?;
            headers.rules.push(compiled);
        }
        Ok(headers)
    }

    /// Names of fields and facts that the rules read.
    pub(super) fn interests(&self, mut add: impl FnMut(&str)) {
        if self.patterns.has_hosts() {
            add("host");
        }
        for rule in &self.rules {
            rule.scope.interests(&mut add);
        }
    }

    /// The fields that the rules add to the response to this request.
    pub(super) fn add(&self, ask: &Ask<'_>, trace: &mut impl Trace) -> Added {
        let mut every = Vec::new();
        let mut files = Vec::new();
        let host = ask.host.as_deref().unwrap_or_default();
        for (at, captures) in self.patterns.matches(ask.host.as_deref(), &ask.path) {
            let Some(rule) = self.rules.get(at) else { break };
            if !rule.scope.means(ask) {
                continue;
            }
            trace.note(rule.place, Effect::SetsFields);
            let values = Values { path: &captures, query: &[], host };
            for item in &rule.changes {
                // What is taken away is in no response to this request.
                let (in_every, in_files) = match item {
                    Change::Add { name, .. } => (rule.always, !rule.always || !adds_up(name)),
                    Change::Remove { is_replaced, .. } => (rule.always || !is_replaced, true),
                };
                if in_files {
                    change(&mut files, item, values);
                }
                if in_every {
                    change(&mut every, item, values);
                }
            }
        }
        Added { every, files }
    }
}

/// Obeys one change of the fields of a response.
fn change(fields: &mut Vec<Field>, change: &Change, values: Values<'_>) {
    let (name, value) = match change {
        Change::Remove { name, .. } => {
            fields.retain(|field| !field.name.eq_ignore_ascii_case(name));
            return;
        }
        Change::Add { name, value } => (name, value),
    };
    let rendered = match value.text() {
        Some(text) => text.to_owned(),
        None => value.render_escaped(values),
    };
    if value.text().is_none() && rendered.len() > MAX_VALUE_BYTES {
        return;
    }
    match fields.iter_mut().find(|field| field.name.eq_ignore_ascii_case(name)) {
        Some(field) if is_single(name) => field.value = rendered.into_bytes(),
        Some(field) if !name.eq_ignore_ascii_case("set-cookie") => {
            field.value.extend_from_slice(b", ");
            field.value.extend_from_slice(rendered.as_bytes());
        }
        _ => fields.push(Field::new(&**name, rendered)),
    }
}

/// Whether the host sends the field of a page beside that of the whole response, and not in its place
/// (`wit/policy.wit`).
fn adds_up(name: &str) -> bool {
    ["link", "set-cookie", "vary"].iter().any(|other| name.eq_ignore_ascii_case(other))
}

/// Whether a field has one value and is no list: a later value takes the place of an earlier one.
fn is_single(name: &str) -> bool {
    name.eq_ignore_ascii_case("content-type")
}

/// One rule made ready.
fn compile(rule: &table::Header) -> Result<(Pattern, Rule), Problem> {
    let pattern = Pattern::parse(&rule.pattern)?;
    let scope = Scope::new(rule.scheme.as_deref(), rule.host.as_deref());
    let known = |name: &str| pattern.capture(name).map(Source::Path).or_else(|| scope.source(name));
    let change = |(at, change): (usize, &FieldChange)| {
        let (name, value) = match change {
            FieldChange::Add { name, value } => (name, value),
            FieldChange::Remove { name } => {
                check_name(name)?;
                let is_replaced = !adds_up(name)
                    && rule.changes.iter().skip(at).any(|later| {
                        matches!(later, FieldChange::Add { name: other, .. }
                            if other.eq_ignore_ascii_case(name))
                    });
                return Ok(Change::Remove { name: name.as_str().into(), is_replaced });
            }
        };
        check_name(name)?;
        if value.bytes().any(|byte| byte != b'\t' && byte.is_ascii_control()) {
            return Err(Problem::FieldValue);
        }
        let value = Template::parse(value.trim(), known, |text| Ok::<_, Problem>(text.to_owned()))?;
        Ok(Change::Add { name: name.as_str().into(), value })
    };
    let changes = rule.changes.iter().enumerate().map(change).collect::<Result<_, Problem>>()?;
    Ok((pattern, Rule { place: rule.place, always: rule.always, scope, changes }))
}

fn check_name(name: &str) -> Result<(), Problem> {
    if !is_token(name) {
        return Err(Problem::FieldName);
    }
    if is_host_field(name) || name.eq_ignore_ascii_case("location") {
        return Err(Problem::HostsField);
    }
    Ok(())
}

/// A list with commas.
pub(super) fn list<T: AsRef<str>>(elements: &[T]) -> String {
    let mut list = String::new();
    for element in elements {
        if !list.is_empty() {
            list.push_str(", ");
        }
        list.push_str(element.as_ref());
    }
    list
}

/// A number in decimal. The formatting of the standard library is 10 kB of the module.
pub(super) fn decimal(mut number: u64) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(b'0' + u8::try_from(number % 10).unwrap_or(0));
        number /= 10;
        if number == 0 {
            break;
        }
    }
    digits.reverse();
    String::from_utf8(digits).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use crate::rules::table::Table;
    use crate::rules::testing::{check, header, ready, routes, spa};
    use crate::rules::{Problem, Rules};

    fn headers(rules: &[(&str, bool, &[&str])]) -> Table {
        let headers = rules.iter().map(|(pattern, always, lines)| header(pattern, *always, lines));
        Table { headers: headers.collect(), ..Table::default() }
    }

    #[test]
    fn fields_of_files_are_on_files_alone() {
        let mut table = headers(&[("/a/*", false, &["X-A: 1"])]);
        table.routes = routes(&["/a/r /x 301", "/a/e /e.html 404!"]).routes;
        let rules = ready(&table);
        check(&rules, "/a/b", &[], r#"serve file "a/b" (X-A: 1)"#);
        check(&rules, "/a/r", &[], r#"serve file "a/r" (X-A: 1), otherwise redirect 301 to "/x""#);
        check(&rules, "/b", &[], r#"file "b""#);
        check(&rules, "/a/.b", &[], "not-found");
        let error = r#"serve file "e.html" with status 404, file "e.html.html" with status 404, index "e.html" with status 404"#;
        check(&rules, "/a/e", &[], error);
    }

    #[test]
    fn fields_for_always_are_on_every_response() {
        let mut table = headers(&[("/*", true, &["X-A: 1"]), ("/b", false, &["X-A: 2"])]);
        table.routes = routes(&["/r /x 301!"]).routes;
        let rules = ready(&table);
        check(&rules, "/a", &[], r#"serve file "a", always (X-A: 1)"#);
        check(&rules, "/b", &[], r#"serve file "b" (X-A: 1, 2), always (X-A: 1)"#);
        check(&rules, "/r", &[], r#"redirect 301 to "/x" (X-A: 1)"#);
        check(&rules, "/.git", &[], "serve nothing, always (X-A: 1)");
        check(&rules, "/%00", &[], "serve nothing, always (X-A: 1)");
    }

    #[test]
    fn values_of_one_name_add_up_and_are_taken_away() {
        let rules = ready(&headers(&[
            ("/*", false, &["X-A: 1", "Set-Cookie: a=1", "Content-Type: text/a", "X-B: 1"]),
            ("/b", false, &["x-a: 2", "set-cookie: b=2", "content-type: text/b", "! x-b"]),
        ]));
        check(&rules, "/b", &[], {
            r#"serve file "b" (X-A: 1, 2) (Set-Cookie: a=1) (Content-Type: text/b) (set-cookie: b=2)"#
        });
    }

    #[test]
    fn field_of_always_is_taken_away() {
        let rules = ready(&headers(&[
            ("/*", true, &["X-A: 1", "X-B: 1", "Link: <a>"]),
            ("/b/*", false, &["! x-a", "Link: <b>"]),
            ("/c", false, &["! X-A", "X-A: 2"]),
        ]));
        check(&rules, "/a", &[], r#"serve file "a", always (X-A: 1) (X-B: 1) (Link: <a>)"#);
        check(&rules, "/b/c", &[], {
            r#"serve file "b/c" (Link: <b>), always (X-B: 1) (Link: <a>)"#
        });
        // What is replaced is so where the rule's fields are.
        check(&rules, "/c", &[], {
            r#"serve file "c" (X-A: 2), always (X-A: 1) (X-B: 1) (Link: <a>)"#
        });
    }

    #[test]
    fn values_have_placeholders() {
        let rules = ready(&headers(&[("/:a/*", false, &["X-A: :a :splat https://h:80/:b"])]));
        check(&rules, "/x%20y/z", &[], r#"serve file "x y/z" (X-A: x%20y z https://h:80/:b)"#);
        let long = "a".repeat(1_100);
        check(&rules, &format!("/{long}/z"), &[], format!(r#"file "{long}/z""#));
    }

    #[test]
    fn fallback_keeps_its_own_cache_control() {
        let mut table = headers(&[("/*", false, &["Cache-Control: max-age=60", "X-A: 1"])]);
        table.spa = spa("i.html");
        check(&ready(&table), "/", &[], {
            r#"serve index "" (Cache-Control: max-age=60) (X-A: 1), file "i.html" (cache-control: no-cache) (X-A: 1)"#
        });
    }

    #[test]
    fn field_that_no_response_may_have_is_refused() {
        for (line, problem) in [
            ("Content-Length: 1", Problem::HostsField),
            ("location: /a", Problem::HostsField),
            ("a b: 1", Problem::FieldName),
            ("a: \u{1}", Problem::FieldValue),
            ("! ETag", Problem::HostsField),
        ] {
            let error = Rules::new(&headers(&[("/*", false, &[line])])).expect_err(line);
            assert_eq!(error.problem, problem, "{line}");
        }
    }
}
