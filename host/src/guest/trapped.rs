//! How a guest trapped: the cause, what it said before, and where it was.

use std::fmt;

use crate::text;

/// Characters of a message that are told on one line.
const HEADLINE_CHARACTERS: usize = 500;

/// Lines of a guest that are shown, the last ones, and characters of each.
const SHOWN_LINES: usize = 40;
const LINE_CHARACTERS: usize = 500;

/// What is said where a guest says nothing.
const HINT: &str = "it says nothing of that; a build for development does: see \"Why a guest fails\" in the manual";

/// Functions that are shown.
const FUNCTIONS: usize = 8;

/// Names of functions that make a trap of a panic, or print what it says: not where it happened.
const MACHINERY: [&str; 8] = [
    "abort",
    "__rust",
    "rust_",
    "core::panicking",
    "std::",
    "core::option::",
    "core::result::",
    "alloc::",
];

/// Where the sources of Rust's own libraries are, as its compiler says.
const RUST_SOURCES: &str = "/rustc/";

/// How a guest trapped. Its texts are the guest's, and not escaped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trapped {
    /// Why: the trap of WebAssembly, or what the host refused to do for it.
    pub cause: String,
    /// Where it was, as far as its file tells, the innermost function first.
    pub places: Vec<Place>,
    /// The last of what it printed.
    pub printed: String,
}

/// A place in a guest. Its texts are the guest's, and not escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The function.
    pub function: String,
    /// `src/lib.rs:26`, if the guest has debug information.
    pub line: Option<String>,
}

impl Place {
    /// One of which the function alone is known.
    pub fn of_function(function: String) -> Place {
        Place { function, line: None }
    }

    fn is_machinery(&self) -> bool {
        let is_of_rust = self.line.as_ref().is_some_and(|line| line.starts_with(RUST_SOURCES));
        is_of_rust || MACHINERY.iter().any(|other| self.function.starts_with(other))
    }
}

/// `policy::decide, at src/lib.rs:26`, escaped.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::short_name(&self.function))?;
        match &self.line {
            Some(line) => write!(f, ", at {}", text::short_name(line)),
            None => Ok(()),
        }
    }
}

impl Trapped {
    /// One that printed nothing, somewhere.
    pub fn new(cause: impl Into<String>) -> Trapped {
        Trapped { cause: cause.into(), ..Trapped::default() }
    }

    /// What it said and where it was, in lines for people: escaped and bounded.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = printed_lines(&self.printed);
        let places = self.places.iter().skip_while(|place| place.is_machinery()).take(FUNCTIONS);
        lines.extend(places.map(|place| format!("in {place}")));
        if self.printed.is_empty() && self.cause.contains("unreachable") {
            lines.push(HINT.to_owned());
        }
        lines
    }
}

/// The cause with what the guest said of it, or with the function that it was in, on one line.
impl fmt::Display for Trapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(said) = headline(&self.printed) {
            return write!(f, "{said} ({})", self.cause);
        }
        f.write_str(&self.cause)?;
        match self.places.iter().find(|place| !place.is_machinery()) {
            Some(place) => write!(f, " (in {place})"),
            None => Ok(()),
        }
    }
}

/// Lines that a guest printed, for people: escaped, and of many the last ones.
pub(super) fn printed_lines(printed: &str) -> Vec<String> {
    let all: Vec<_> = printed.trim_matches('\n').trim_end().lines().collect();
    let skipped = all.len().saturating_sub(SHOWN_LINES);
    let more = (skipped > 0).then(|| format!("({skipped} lines before)"));
    let shown = all[skipped..].iter().map(|line| {
        let line = text::beginning(line.trim_end(), LINE_CHARACTERS).replace('\t', "    ");
        text::escaped(&line).into_owned()
    });
    more.into_iter().chain(shown).collect()
}

/// The line that says what happened, of what a guest printed: of a stack trace or a panic the
/// message.
fn headline(printed: &str) -> Option<String> {
    let lines: Vec<_> = printed.lines().filter(|line| !line.trim().is_empty()).collect();
    // Go prints the state of its goroutines after it.
    let of_go = |line: &&&str| line.starts_with("panic: ") || line.starts_with("fatal error: ");
    // Python and JavaScript indent the places; Rust has a note for developers.
    let is_message = |line: &str| !line.starts_with([' ', '\t']) && !line.starts_with("note: ");
    // componentize-py panics after it printed the exception.
    let traceback = lines.iter().rposition(|line| line.starts_with("Traceback (most recent"));
    let of_python = traceback.and_then(|begin| {
        let rest = lines[begin + 1..].iter().position(|line| is_message(line));
        rest.map(|rest| begin + 1 + rest)
    });
    let at = of_python.or_else(|| lines.iter().position(|line| of_go(&line)));
    let at = at.or_else(|| lines.iter().rposition(|line| is_message(line)))?;
    if let Some(exception) = quickjs_exception(lines[at]) {
        return Some(text::beginning(&text::one_line(&exception), HEADLINE_CHARACTERS));
    }
    // A panic of Rust has its place on the line before.
    let place = at.checked_sub(1).map(|before| lines[before]);
    let place = place.filter(|line| line.contains("panicked at ") && line.ends_with(':'));
    let all = [place.unwrap_or_default(), lines[at]].join(" ");
    Some(text::beginning(&text::one_line(&all), HEADLINE_CHARACTERS))
}

/// What a policy in JavaScript throws, as componentize-qjs prints it: the message, and the innermost
/// place.
fn quickjs_exception(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("Exception { message: Some(\"")?;
    let (message, rest) = rest.split_once("\"), stack: ")?;
    let place = rest.split_once("Some(\"").map(|(_, stack)| stack.split("\\n").next());
    Some([message, place.flatten().unwrap_or_default()].join(" "))
}

#[cfg(test)]
mod tests {
    use super::{Place, Trapped, headline, printed_lines};

    #[test]
    fn headline_is_the_message() {
        for (printed, expected) in [
            ("hello\nError: boom\n    at inner (policy.js:1)\n", "Error: boom"),
            (
                "Traceback (most recent call last):\n  File \"/0/app.py\", line 10, in decide\n    \
                 fail()\nValueError: boom x\n\nthread '<unnamed>' (1) panicked at runtime/src/lib.rs:1280:25:\n\
                 Python function threw an unexpected exception\n",
                "ValueError: boom x",
            ),
            ("panicked at src/lib.rs:3:5:\nboom\n", "panicked at src/lib.rs:3:5: boom"),
            (
                "\nthread 'main' panicked at src/lib.rs:3:5:\nboom\nnote: run with \
                 `RUST_BACKTRACE=1`\n",
                "thread 'main' panicked at src/lib.rs:3:5: boom",
            ),
            ("panic: boom\n\ngoroutine 1 [running]:\nmain.decide()\n\t/a.go:3\n", "panic: boom"),
            (
                "\nthread '<unnamed>' (1) panicked at crates/runtime/src/interpreter.rs:51:31:\nFailed to \
                 call 'decide': Exception(Exception { message: Some(\"boom\"), stack: Some(\"    at inner \
                 (/policy.js:1:64)\\n    at decide (/policy.js:6:11)\\n\") })\nnote: run with\n",
                "boom at inner (/policy.js:1:64)",
            ),
            ("a\x1b[31m\u{202e}b", "a\\u{1b}[31m\\u{202e}b"),
        ] {
            assert_eq!(headline(printed).as_deref(), Some(expected));
        }
        assert_eq!(headline("\n \n"), None);
        assert!(headline(&"x".repeat(10_000)).is_some_and(|line| line.len() < 600));
    }

    #[test]
    fn trap_tells_the_function_where_the_guest_says_nothing() {
        let functions = ["rust_panic", "core::panicking::panic_fmt", "policy::decide"];
        let places = functions.map(|name| Place::of_function(name.to_owned())).to_vec();
        let mut trapped = Trapped { places, ..Trapped::new("wasm trap") };
        assert_eq!(trapped.to_string(), "wasm trap (in policy::decide)");
        assert_eq!(trapped.lines(), ["in policy::decide"]);
        trapped.places[2].line = Some("src/lib.rs:26".to_owned());
        assert_eq!(trapped.lines(), ["in policy::decide, at src/lib.rs:26"]);
        let trapped = Trapped { printed: "boom\n".to_owned(), ..trapped };
        assert_eq!(trapped.to_string(), "boom (wasm trap)");
    }

    #[test]
    fn lines_are_escaped_and_the_last_ones() {
        let printed: String = (0..100).map(|number| format!("line {number}\x07\n")).collect();
        let lines = printed_lines(&printed);
        assert_eq!(lines.len(), 41);
        assert_eq!((&*lines[0], &*lines[40]), ("(60 lines before)", "line 99\\u{7}"));
        assert_eq!(printed_lines(""), Vec::<String>::new());
    }
}
