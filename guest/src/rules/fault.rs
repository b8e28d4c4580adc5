//! What is wrong with rules as they were written, and what to write instead.

use std::fmt;

use super::lines::{FILE_BYTES, LINE_BYTES, RULES};
use super::table::Place;
use crate::contract::{MAX_FIELD_BYTES, MAX_FIELDS, MAX_LOCATION_BYTES};
use crate::pattern::PatternError;

/// Characters of a text that are shown.
const SHOWN: usize = 80;

/// Faults of one file that are told; of the others only the number.
const TOLD: usize = 20;

/// A rule that cannot be taken, or a warning about one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where it stands.
    pub place: Place,
    /// What is wrong.
    pub mistake: Mistake,
}

/// What is wrong with a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// A file of more than [`FILE_BYTES`].
    FileTooLarge,
    /// More than [`RULES`].
    TooManyRules,
    /// A line of more than [`LINE_BYTES`].
    LineTooLong,
    /// Bytes that are no UTF-8.
    NotUtf8,
    /// A control character.
    Control(char),
    /// A redirect without a target.
    NoTarget,
    /// What stands before the target is no `name=value`.
    Query(String),
    /// What stands behind the target is no status and no condition.
    Option(String),
    /// A status that no rule can have.
    Status(String),
    /// A pattern that cannot be matched against URLs.
    Pattern(String, PatternFault),
    /// A target that cannot be used.
    Target(String, TargetFault),
    /// A country that is no code of two letters.
    Country(String),
    /// A language that is no tag.
    Language(String),
    /// A cookie's name that no cookie can have.
    Cookie(String),
    /// A condition with no value.
    EmptyCondition(String),
    /// It would be fetched from another server.
    Proxy(String),
    /// It goes by the role in a token.
    Role,
    /// It signs requests of a proxy.
    Signed,
    /// It leads to a function of the hosting service.
    Function(String),
    /// A field stands before the first path.
    NoPath(String),
    /// A line that is no `Name: value`.
    NoColon(String),
    /// A name that is no name of a field.
    FieldName(String),
    /// A field without a value.
    EmptyField(String),
    /// A value that no field can have.
    FieldValue(String),
    /// A field that the server alone writes.
    HostField(String),
    /// `Location`, which only a redirect writes.
    Location,
    /// `Basic-Auth` of Netlify.
    BasicAuth,
    /// More or longer fields than one response may have.
    TooManyFields,
    /// A placeholder that the pattern does not have.
    UnknownPlaceholder(String),
}

/// All that is wrong with one file. The first faults are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    first: Vec<Fault>,
    count: usize,
}

impl Faults {
    /// Adds a fault.
    pub(super) fn add(&mut self, fault: Fault) {
        self.count += 1;
        if self.first.len() < TOLD {
            self.first.push(fault);
        }
    }

    /// The first faults, in order.
    pub fn first(&self) -> &[Fault] {
        &self.first
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// How many there are beyond the first.
    pub fn more(&self) -> usize {
        self.count - self.first.len()
    }
}

/// Why a pattern cannot be matched against URLs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternFault {
    /// It begins neither with `/` nor with `http://` or `https://`.
    Begin,
    /// It has a query.
    Query,
    /// The path is no pattern.
    Path(PatternError),
    /// A host that is none, or has a port or a user.
    Host,
}

/// Why a target cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetFault {
    /// It begins neither with `/` nor with `http://` or `https://`.
    Begin,
    /// Too long.
    TooLong,
    /// White space, or a control character.
    Character,
    /// A `%` without two hexadecimal digits.
    Escape,
    /// A rewrite to a path that names no file.
    Path,
    /// The host is not written out.
    Host,
    /// A host without a path of its own at the begin: `//host`.
    TwoSlashes,
}

/// Text of a rule between backquotes, its start, with unprintable characters escaped.
struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`")?;
        for (at, character) in self.0.chars().enumerate() {
            match character {
                _ if at == SHOWN => return f.write_str("…`"),
                ' '..='~' => write!(f, "{character}")?,
                _ => write!(f, "{}", character.escape_debug())?,
            }
        }
        f.write_str("`")
    }
}

impl Fault {
    /// The fault as one line: `_redirects:12: …`, with the names of the table's sources.
    pub fn shown<'a, S: AsRef<str>>(&'a self, sources: &'a [S]) -> impl fmt::Display + 'a {
        fmt::from_fn(move |f| write!(f, "{}: {}", self.place.shown(sources), self.mistake))
    }
}

impl fmt::Display for Mistake {
    #[expect(clippy::too_many_lines, reason = "one line for each problem")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mistake::FileTooLarge => write!(
                f,
                "the file is larger than {} MiB; use `*` and placeholders in place of single \
                 rules",
                FILE_BYTES >> 20
            ),
            Mistake::TooManyRules => write!(
                f,
                "more than {RULES} rules; use `*` and placeholders in place of single rules"
            ),
            Mistake::LineTooLong => write!(f, "the line is longer than {LINE_BYTES} bytes"),
            Mistake::NotUtf8 => f.write_str("the line is not UTF-8; save the file as UTF-8"),
            Mistake::Control(character) => {
                write!(f, "the line has the control character {}", character.escape_unicode())
            }
            Mistake::NoTarget => f.write_str(
                "the rule has no target; write a path or a URL behind the path that it is about",
            ),
            Mistake::Query(part) => write!(
                f,
                "{} is neither a parameter, `name=value` or `name=:placeholder`, nor a target, \
                 which begins with `/`, `http://` or `https://`",
                Shown(part)
            ),
            Mistake::Option(part) => write!(
                f,
                "{} is neither a status nor a condition; behind the target stand a status, as \
                 in `301` or `200!`, and `Language=`, `Country=` or `Cookie=`",
                Shown(part)
            ),
            Mistake::Status(status) => write!(
                f,
                "{} is not a status of a rule; write 301, 302, 303, 307 or 308 to redirect, 200 \
                 to rewrite, or 400 to 599, but not 412 or 416, for the page of an error",
                Shown(status)
            ),
            Mistake::Pattern(pattern, fault) => write!(f, "{}: {fault}", Shown(pattern)),
            Mistake::Target(target, fault) => write!(f, "{}: {fault}", Shown(target)),
            Mistake::Country(country) => write!(
                f,
                "{} is not a country; write codes of two letters, as in `Country=at,de`",
                Shown(country)
            ),
            Mistake::Language(language) => write!(
                f,
                "{} is not a language; write tags, as in `Language=en,de-at`",
                Shown(language)
            ),
            Mistake::Cookie(cookie) => {
                write!(f, "{} is not the name of a cookie; write names alone", Shown(cookie))
            }
            Mistake::EmptyCondition(name) => write!(f, "{} has no value", Shown(name)),
            Mistake::Proxy(target) => write!(
                f,
                "{} is on another host, and this server fetches nothing from others; redirect \
                 there (301 or 302), or have a proxy in front of both",
                Shown(target)
            ),
            Mistake::Role => f.write_str(
                "rules by `Role` need tokens of Netlify Identity; protect the path by \
                 [[basic-auth]], or write a guest that checks the token",
            ),
            Mistake::Signed => f.write_str(
                "`Signed` signs requests to another server, and this server makes none; leave it \
                 out, or have a proxy in front",
            ),
            Mistake::Function(path) => write!(
                f,
                "{} is a function of the hosting service, which this server does not run; leave \
                 the rule out, or have a proxy in front",
                Shown(path)
            ),
            Mistake::NoPath(line) => write!(
                f,
                "{} stands before the first path; write the path that it is about, which begins \
                 with `/`, on a line before it",
                Shown(line)
            ),
            Mistake::NoColon(line) => write!(
                f,
                "{} is neither a path, which begins with `/`, nor a field, `Name: value`",
                Shown(line)
            ),
            Mistake::FieldName(name) => {
                write!(f, "{} is not the name of a field", Shown(name))
            }
            Mistake::EmptyField(name) => write!(f, "{} has no value", Shown(name)),
            Mistake::FieldValue(name) => write!(
                f,
                "the value of {} has a control character, which no field may have",
                Shown(name)
            ),
            Mistake::HostField(name) => write!(
                f,
                "{} is written by the server alone, by what it sends; leave it out",
                Shown(name)
            ),
            Mistake::Location => f.write_str(
                "`Location` belongs to a redirect; write the redirect into `_redirects` or \
                 [[redirect]]",
            ),
            Mistake::BasicAuth => f.write_str(
                "`Basic-Auth` has passwords in plain text; make lines by `innkeeper password`, \
                 and protect the path by `--basic-auth FILE` or [[basic-auth]]",
            ),
            Mistake::TooManyFields => write!(
                f,
                "more than {MAX_FIELDS} fields or {} KiB of them, which is what one response \
                 may have",
                MAX_FIELD_BYTES >> 10
            ),
            Mistake::UnknownPlaceholder(name) => write!(
                f,
                "{} stands for nothing: the pattern has no placeholder of this name",
                Shown(name)
            ),
        }
    }
}

impl fmt::Display for PatternFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            PatternFault::Begin => "a pattern begins with `/`, `http://` or `https://`",
            PatternFault::Query => {
                "a pattern has no query; write parameters behind it, as in `/a id=:id /b/:id`"
            }
            PatternFault::Path(error) => error.text(),
            PatternFault::Host => {
                "its host is none; write one as in example.org, `*.example.org` or `:name.example.org`, \
                 without a port"
            }
        };
        f.write_str(what)
    }
}

impl fmt::Display for TargetFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            TargetFault::Begin => "a target begins with `/`, `http://` or `https://`",
            TargetFault::TooLong => {
                return write!(f, "a target has at most {MAX_LOCATION_BYTES} bytes");
            }
            TargetFault::Character => {
                "a target has no white space or control characters; write `%20` for a space"
            }
            TargetFault::Escape => "`%` has no two hexadecimal digits behind it; write `%25`",
            TargetFault::Path => {
                "a rewrite leads to a file below the root: no `..`, no escaped `/` or control \
                 character"
            }
            TargetFault::Host => {
                "the host of a target ends in a name that is written out, and `:splat` is no \
                 part of it, or links could lead anywhere"
            }
            TargetFault::TwoSlashes => "write `https://` before the host, or one `/`",
        };
        f.write_str(what)
    }
}
