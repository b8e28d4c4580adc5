//! A file of rules, `rules.toml`, and single rules in its form: flags and the table `[rules]`.
//!
//! Each key is a flag's name. Its value is the flag's text, or a table, or a list of them:
//!
//! ```toml
//! spa = true
//! header = ["/assets/*: Cache-Control: public, max-age=31536000, immutable"]
//!
//! [[redirect]]
//! from = "/old/*"
//! to = "/new/:splat"
//! status = 301
//! ```
//!
//! `[[case]]` is as in a file of cases.
//!
//! - `entries`: values that are tables.
//! - `texts`: values that are texts, as flags have them.
//! - `fields`: parts of both.

mod entries;
mod fields;
mod texts;

pub use fields::network;

use std::borrow::Cow;

use innkeeper_cases::Case;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::key::Key;
use super::part::Part;
use super::problem::Problem;
use crate::text::one_line;

/// Problems of a file that are told: the first ones lead to the others.
const TOLD: usize = 20;

/// Parses a file. Gives its rules and its cases, or all that is wrong with it.
pub fn parse(text: &str) -> Result<(Part, Vec<Case>), Vec<Problem>> {
    let lines = Lines::of(text);
    let table = DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| lines.number(span.start));
        vec![Problem::at(line, format!("not valid TOML: {}", one_line(error.message())))]
    })?;
    let (mut part, mut problems, mut has_cases) = (Part::default(), Vec::new(), false);
    for (name, value) in table.into_inner() {
        let line = lines.number(name.span().start);
        let key = match Key::from_name(name.get_ref()) {
            Some(key) => key,
            None if name.get_ref() == "case" => {
                has_cases = true;
                continue;
            }
            None => {
                problems.push(Problem::at(line, unknown(name.get_ref())));
                continue;
            }
        };
        // A table of its own begins with its header, and the key is what names it there.
        for (value, line) in values(key, value, line, &lines) {
            match one(key, value, &lines) {
                Ok(rules) => part.append(rules.at(line)),
                Err(problem) => problems.push(problem.or_at(line)),
            }
        }
    }
    let cases = if has_cases { cases(text) } else { Ok(Vec::new()) };
    match cases {
        Ok(cases) if problems.is_empty() => return Ok((part, cases)),
        Ok(_) => {}
        Err(problem) => problems.push(problem),
    }
    problems.sort_by_key(|problem| problem.line);
    problems.truncate(TOLD);
    Err(problems)
}

/// Parses the text of a flag. A text that begins with `{` is a table in TOML.
pub fn parse_flag(key: Key, text: &str) -> Result<Part, Problem> {
    if !text.starts_with('{') {
        return texts::parse(key, text);
    }
    let not_toml = |error: toml::de::Error| {
        Problem::new(format!("not valid TOML: {}", one_line(error.message())))
    };
    let value = DeValue::parse(text).map_err(not_toml)?;
    // Places in one value of a flag tell nothing.
    one(key, value, &Lines::default()).map_err(|problem| Problem::new(problem.message))
}

/// The single values of a key, each with its line.
fn values<'i>(
    key: Key,
    value: Spanned<DeValue<'i>>,
    line: u32,
    lines: &Lines,
) -> Vec<(Spanned<DeValue<'i>>, u32)> {
    let span = value.span();
    match value.into_inner() {
        // What is one list for all.
        DeValue::Array(values) if key != Key::SecurityHeaders => {
            let numbered = values.into_iter().map(|value| {
                let line = lines.number(value.span().start);
                (value, line)
            });
            numbered.collect()
        }
        value => vec![(Spanned::new(span, value), line)],
    }
}

/// The rules of one value.
fn one(key: Key, value: Spanned<DeValue>, lines: &Lines) -> Result<Part, Problem> {
    let line = lines.number(value.span().start);
    match value.get_ref() {
        DeValue::String(text) => texts::parse(key, text).map_err(|problem| problem.or_at(line)),
        DeValue::Boolean(truth) => {
            texts::parse(key, if *truth { "true" } else { "false" }).map_err(|p| p.or_at(line))
        }
        _ => entries::parse(key, value).map_err(|error| {
            let line = error.span().map_or(line, |span| lines.number(span.start));
            Problem::at(line, format!("{}: {}", key.name(), one_line(error.message())))
        })?,
    }
}

fn cases(text: &str) -> Result<Vec<Case>, Problem> {
    innkeeper_cases::table::parse_among_others(text).map_err(|error| {
        let line = error.line.and_then(|line| u32::try_from(line).ok());
        Problem::at(line.unwrap_or_default(), error.problem.to_string())
    })
}

fn unknown(name: &str) -> String {
    let nearest = Key::ALL
        .map(|key| (strsim::jaro_winkler(key.name(), name), key.name()))
        .into_iter()
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .filter(|(likeness, _)| *likeness > 0.7);
    let advice: Cow<str> = match nearest {
        Some((_, nearest)) => format!("did you mean `{nearest}`?").into(),
        None => format!("the keys are {}, case", Key::ALL.map(Key::name).join(", ")).into(),
    };
    format!("there is no rule `{}`; {advice}", crate::text::escaped(name))
}

/// Where the lines of a text end.
#[derive(Default)]
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Lines {
        Lines(memchr::memchr_iter(b'\n', text.as_bytes()).collect())
    }

    /// The number of the line at this offset, from 1.
    fn number(&self, offset: usize) -> u32 {
        let before = self.0.partition_point(|&end| end < offset);
        u32::try_from(before + 1).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests;
