//! Response fields: the blocks of `_headers`.

use super::ask::Ask;
use super::explain::{Effect, Trace};
use super::host::Scope;
use super::pattern_set::PatternSet;
use super::problem::{Problem, RuleError};
use super::table::{self, FieldChange, Place, Responses, Table};
use super::template::{Source, Template, Values};
use crate::contract::{adds_up, is_field_value, is_host_field, is_token};
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
    scope: Scope,
    changes: Box<[Change]>,
}

#[derive(Clone, Debug)]
struct Change {
    name: Box<str>,
    /// The responses that it is for.
    responses: Responses,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Add(Template),
    /// Where the same rule adds the name again, it is replaced, and only where the rule's own fields are.
    Remove {
        is_replaced: bool,
    },
}

/// The fields of the responses that one decision may lead to.
#[derive(Debug, Default)]
pub(super) struct Added {
    /// Of each of them.
    pub(super) every: Vec<Field>,
    /// Of one with a file: those of `every` too, but for those that the host adds to them.
    pub(super) files: Vec<Field>,
}

/// Bytes of a value with placeholders. A longer one, which a client made, is left out: the fields of a
/// response have 16 KiB together.
const MAX_VALUE_BYTES: usize = 1 << 10;

impl Headers {
    pub(super) fn new(table: &Table) -> Result<Headers, RuleError> {
        let mut headers = Headers::default();
        for rule in &table.headers {
            headers.add_rule(rule).map_err(|problem| problem.at(rule.place))?;
        }
        Ok(headers)
    }

    fn add_rule(&mut self, rule: &table::Header) -> Result<(), Problem> {
        let (pattern, compiled) = compile(rule)?;
        self.patterns.push(compiled.scope.exact(rule.host.as_deref()), &pattern)?;
        self.rules.push(compiled);
        Ok(())
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

    /// The fields that the rules add to the response to this request, which is one of these, whatever
    /// becomes of the decision: fields for them, or for more, are in each, and others where there is a
    /// file.
    pub(super) fn add(&self, ask: &Ask<'_>, each: Responses, trace: &mut impl Trace) -> Added {
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
                let is_each = item.responses >= each;
                let (in_every, in_files) = match item.what {
                    What::Add(_) => (is_each, !is_each || !adds_up(&item.name)),
                    What::Remove { is_replaced } => (is_each || !is_replaced, true),
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

impl Added {
    /// For a response to a client that has given a password: fields for a site without one would
    /// have caches give it to others too (RFC 9111, section 3.5).
    pub(super) fn keep_from_shared_caches(&mut self) {
        for fields in [&mut self.every, &mut self.files] {
            fields.retain(|field| !is_for_shared_caches(&field.name));
            for field in fields.iter_mut() {
                if field.name.eq_ignore_ascii_case("cache-control") {
                    field.value = private(&field.value);
                }
            }
        }
    }
}

/// Whether a field is about caches that serve several clients (RFC 9213, and what was before it).
fn is_for_shared_caches(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.ends_with("cdn-cache-control") || name == "surrogate-control"
}

/// The directives of `cache-control` that hold for a client's own cache.
fn private(value: &[u8]) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = vec![b"private"];
    kept.extend(value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|directive| {
        let name = directive.split(|byte| *byte == b'=').next().unwrap_or_default();
        let dropped: [&[u8]; 3] = [b"public", b"private", b"s-maxage"];
        !name.is_empty() && !dropped.iter().any(|dropped| name.eq_ignore_ascii_case(dropped))
    }));
    kept.join(&b", "[..])
}

/// Obeys one change of the fields of a response.
fn change(fields: &mut Vec<Field>, change: &Change, values: Values<'_>) {
    let name = &change.name;
    let value = match &change.what {
        What::Remove { .. } => {
            fields.retain(|field| !field.name.eq_ignore_ascii_case(name));
            return;
        }
        What::Add(value) => value,
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
        let (FieldChange::Add { name, .. } | FieldChange::Remove { name }) = change;
        check_name(name)?;
        let what = match change {
            FieldChange::Add { value, .. } => {
                if !is_field_value(value.as_bytes()) {
                    return Err(Problem::FieldValue);
                }
                let literal = |text: &str| Ok::<_, Problem>(text.to_owned());
                What::Add(Template::parse(value.trim(), known, literal)?)
            }
            FieldChange::Remove { .. } => {
                let is_replaced = !adds_up(name) && rule.adds_behind(at, name);
                What::Remove { is_replaced }
            }
        };
        let responses = match rule.responses {
            Responses::Pages if is_about_file(name) => Responses::Files,
            responses => responses,
        };
        Ok(Change { name: name.as_str().into(), responses, what })
    };
    let changes = rule.changes.iter().enumerate().map(change).collect::<Result<_, Problem>>()?;
    Ok((pattern, Rule { place: rule.place, scope, changes }))
}

/// Whether a field is about one file, its type for example, or about how long it may be kept: the page
/// of an error has another type, and a file that is missing now is there after the next upload.
fn is_about_file(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.ends_with("cache-control")
        || name.starts_with("content-") && !name.starts_with("content-security-policy")
        || matches!(&*name, "expires" | "surrogate-control")
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

#[cfg(test)]
mod tests {
    use crate::rules::table::Responses::{self, Every, Files, Pages};
    use crate::rules::table::{Access, AccessBy, Table};
    use crate::rules::testing::{at, check, header, ready, routes, spa};
    use crate::rules::{Problem, Rules};

    fn headers(rules: &[(&str, Responses, &[&str])]) -> Table {
        let headers = rules.iter().map(|(pattern, on, lines)| header(pattern, *on, lines));
        Table { headers: headers.collect(), ..Table::default() }
    }

    #[test]
    fn fields_of_files_are_on_files_alone() {
        let mut table = headers(&[("/a/*", Files, &["X-A: 1"])]);
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
        let mut table = headers(&[("/*", Every, &["X-A: 1"]), ("/b", Files, &["X-A: 2"])]);
        table.routes = routes(&["/r /x 301!"]).routes;
        let rules = ready(&table);
        check(&rules, "/a", &[], r#"serve file "a", always (X-A: 1)"#);
        check(&rules, "/b", &[], r#"serve file "b" (X-A: 1, 2), always (X-A: 1)"#);
        check(&rules, "/r", &[], r#"redirect 301 to "/x" (X-A: 1)"#);
        check(&rules, "/.git", &[], "serve nothing, always (X-A: 1)");
        check(&rules, "/%00", &[], "serve nothing, always (X-A: 1)");
    }

    #[test]
    fn fields_of_pages_are_on_files_and_errors() {
        let mut table = headers(&[(
            "/*",
            Pages,
            &[
                "X-A: 1",
                "Cache-Control: max-age=9",
                "Content-Type: a/b",
                "Content-Security-Policy: c",
            ],
        )]);
        table.routes =
            routes(&["/r /x 301!", "/s /x 301", "/e /e.html 404!", "/p/* /x 200"]).routes;
        table.access.push(Access {
            place: at(1),
            pattern: "/in/*".to_owned(),
            allow: false,
            by: AccessBy::All,
        });
        let rules = ready(&table);
        let (page, file) = (
            "always (X-A: 1) (Content-Security-Policy: c)",
            "(Cache-Control: max-age=9) (Content-Type: a/b)",
        );
        check(&rules, "/a", &[], format!(r#"serve file "a" {file}, {page}"#));
        check(&rules, "/.git", &[], format!("serve nothing, {page}"));
        check(&rules, "/%00", &[], format!("serve nothing, {page}"));
        check(&rules, "/e", &[], {
            format!(
                r#"serve file "e.html" with status 404, file "e.html.html" with status 404, index "e.html" with status 404, {page}"#
            )
        });
        // Neither where a rule sends the client elsewhere nor where it is refused.
        check(&rules, "/r", &[], r#"redirect 301 to "/x""#);
        check(&rules, "/s", &[], {
            r#"serve file "s" (X-A: 1) (Cache-Control: max-age=9) (Content-Type: a/b) (Content-Security-Policy: c), otherwise redirect 301 to "/x""#
        });
        check(&rules, "/in/a", &[], r#"reply 403 "forbidden\n""#);
    }

    #[test]
    fn values_of_one_name_add_up_and_are_taken_away() {
        let rules = ready(&headers(&[
            ("/*", Files, &["X-A: 1", "Set-Cookie: a=1", "Content-Type: text/a", "X-B: 1"]),
            ("/b", Files, &["x-a: 2", "set-cookie: b=2", "content-type: text/b", "! x-b"]),
        ]));
        check(&rules, "/b", &[], {
            r#"serve file "b" (X-A: 1, 2) (Set-Cookie: a=1) (Content-Type: text/b) (set-cookie: b=2)"#
        });
    }

    #[test]
    fn field_of_always_is_taken_away() {
        let rules = ready(&headers(&[
            ("/*", Every, &["X-A: 1", "X-B: 1", "Link: <a>"]),
            ("/b/*", Files, &["! x-a", "Link: <b>"]),
            ("/c", Files, &["! X-A", "X-A: 2"]),
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
        let rules = ready(&headers(&[("/:a/*", Files, &["X-A: :a :splat https://h:80/:b"])]));
        check(&rules, "/x%20y/z", &[], r#"serve file "x y/z" (X-A: x%20y z https://h:80/:b)"#);
        let long = "a".repeat(1_100);
        check(&rules, &format!("/{long}/z"), &[], format!(r#"file "{long}/z""#));
    }

    #[test]
    fn fallback_keeps_its_own_cache_control() {
        let mut table = headers(&[("/*", Files, &["Cache-Control: max-age=60", "X-A: 1"])]);
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
            let error = Rules::new(&headers(&[("/*", Files, &[line])])).expect_err(line);
            assert_eq!(error.problem, problem, "{line}");
        }
    }
}
