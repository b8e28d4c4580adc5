//! What is wrong with a build or a guest, as pages show it.

use serde::Serialize;

use crate::guest::Failure;
use crate::guest::validation::error::ValidationError;
use crate::release::history::{Event, Outcome};
use crate::release::source::SourceError;
use crate::text::Bytes;

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The build.
    Build,
    /// The guest was not accepted: it cannot be read or loaded, or is no function.
    Guest,
    /// Rules were not accepted.
    Rules,
    /// The guest failed on a request: of its check, or of a client.
    Trap,
    /// A case, or several.
    Case,
}

/// What is wrong, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What went wrong.
    pub kind: Kind,
    /// One line.
    pub title: &'static str,
    /// The details, in lines.
    pub text: String,
}

/// A guest that fails on a request.
const TRAP: (Kind, &str) = (Kind::Trap, "The guest fails on a request");

const RULES: (Kind, &str) = (Kind::Rules, "The rules are not accepted");

impl Problem {
    /// A build that failed, and what it said.
    pub fn of_build(command: &str, output: &str) -> Problem {
        let text = format!("$ {command}\n{output}");
        Problem { kind: Kind::Build, title: "The build failed", text }
    }

    /// A build that could not be run.
    pub fn of_shell(error: String) -> Problem {
        Problem { kind: Kind::Build, title: "The build cannot be run", text: error }
    }

    /// A guest that was not accepted later.
    pub fn of(event: &Event) -> Problem {
        if event.digest.is_none() && event.outcome == Outcome::Rejected {
            return Problem::new(RULES, &event.message, &event.lines);
        }
        Problem::with_code(event.code.unwrap_or_default(), &event.message, &event.lines)
    }

    /// The guest that there is at the start, which is not accepted.
    pub fn of_first(error: &anyhow::Error) -> Problem {
        if let Some(SourceError::Rejected(_)) = error.downcast_ref() {
            return Problem::new(RULES, &format!("{error:#}"), &[]);
        }
        let validation = error.downcast_ref::<ValidationError>();
        let lines = validation.map(ValidationError::lines).unwrap_or_default();
        let code = validation.map_or("", ValidationError::code);
        Problem::with_code(code, &format!("{error:#}"), &lines)
    }

    /// A request that the guest failed on while it serves.
    pub fn of_request(line: &[u8], failure: &Failure) -> Problem {
        let message = format!("the guest fails on {}: {failure}", Bytes(line));
        Problem::new(TRAP, &message, &failure.lines())
    }

    fn with_code(code: &str, message: &str, lines: &[String]) -> Problem {
        let headline = match code {
            "case-failed" => (Kind::Case, "A case fails"),
            "decision-failed" => TRAP,
            _ => (Kind::Guest, "The guest is not accepted"),
        };
        Problem::new(headline, message, lines)
    }

    fn new((kind, title): (Kind, &'static str), message: &str, lines: &[String]) -> Problem {
        let separator = if lines.is_empty() { "" } else { "\n\n" };
        Problem { kind, title, text: [message, separator, &lines.join("\n")].concat() }
    }
}
