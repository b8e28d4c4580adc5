//! The form of a line: for people, or a JSON object.
//!
//! Both are one line whatever is in the values, and nothing in them means anything to a
//! terminal.

use std::fmt::{self, Write};

use tracing::Level;

use crate::clock;
use crate::text::{Escaping, JsonEscaping};

/// The form of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    // `TIME LEVEL message name=value`.
    /// A line for people, in colour on a terminal
    Text,
    // `timestamp`, `level`, `message`, and the fields of the event beside them.
    /// A JSON object on each line
    Json,
}

/// How lines look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub(super) form: Form,
    /// Whether text is coloured, for a terminal.
    pub(super) is_coloured: bool,
}

/// What a field holds.
pub(super) enum Value<'a> {
    /// A number or a truth value.
    Literal(fmt::Arguments<'a>),
    /// Anything else.
    Text(fmt::Arguments<'a>),
}

/// A line that is being written. Writing to memory does not fail, so what `write!` gives is
/// dropped.
pub(super) struct Line<'a> {
    text: &'a mut String,
    style: Style,
    has_message: bool,
}

impl<'a> Line<'a> {
    /// Begins a line of this level, now.
    pub(super) fn begin(text: &'a mut String, style: Style, level: Level) -> Line<'a> {
        let mut time = Vec::with_capacity(24);
        clock::write_rfc3339(&mut time);
        let time = String::from_utf8_lossy(&time);
        let _ = match style {
            Style { form: Form::Json, .. } => {
                write!(text, "{{\"timestamp\":\"{time}\",\"level\":\"{level}\"")
            }
            Style { is_coloured: false, .. } => write!(text, "{time} {:>5}", level.as_str()),
            Style { is_coloured: true, .. } => {
                let colour = colour(level);
                write!(text, "\x1b[2m{time}\x1b[0m \x1b[{colour}m{:>5}\x1b[0m", level.as_str())
            }
        };
        Line { text, style, has_message: false }
    }

    /// Writes the message.
    pub(super) fn message(&mut self, message: fmt::Arguments<'_>) {
        self.has_message = true;
        match self.style.form {
            Form::Json => self.json("message", &Value::Text(message)),
            Form::Text => {
                self.text.push(' ');
                let _ = fmt::write(&mut Escaping(&mut *self.text), message);
            }
        }
    }

    /// Writes a field.
    pub(super) fn field(&mut self, name: &str, value: Value<'_>) {
        match self.style.form {
            Form::Json => self.json(name, &value),
            Form::Text => {
                let _ = write!(self.text, " {name}=");
                let begins = self.text.len();
                let (Value::Literal(value) | Value::Text(value)) = value;
                let _ = fmt::write(&mut Escaping(&mut *self.text), value);
                self.quote(begins);
            }
        }
    }

    /// Ends the line. An event of a library may have no message.
    pub(super) fn end(mut self) {
        if !self.has_message {
            self.message(format_args!(""));
        }
        self.text.push_str(match self.style.form {
            Form::Json => "}\n",
            Form::Text => "\n",
        });
    }

    fn json(&mut self, name: &str, value: &Value<'_>) {
        let _ = write!(self.text, ",\"{name}\":");
        let _ = match value {
            Value::Literal(value) => fmt::write(&mut *self.text, *value),
            Value::Text(value) => {
                self.text.push('"');
                let written = fmt::write(&mut JsonEscaping(&mut *self.text), *value);
                self.text.push('"');
                written
            }
        };
    }

    /// Puts a value that begins here into quotes, if it would not be read as one.
    fn quote(&mut self, begins: usize) {
        let value = &self.text[begins..];
        if !value.is_empty() && !value.contains([' ', '"', '=']) {
            return;
        }
        let quoted = format!("\"{}\"", value.replace('"', "\\\""));
        self.text.truncate(begins);
        self.text.push_str(&quoted);
    }
}

/// The usual colours, by their numbers in ECMA-48.
fn colour(level: Level) -> u8 {
    match level {
        Level::ERROR => 31,
        Level::WARN => 33,
        Level::INFO => 32,
        Level::DEBUG => 34,
        Level::TRACE => 35,
    }
}

#[cfg(test)]
mod tests {
    use super::{Form, Line, Style, Value};
    use tracing::Level;

    fn written(style: Style, values: &[&str]) -> String {
        let mut text = String::new();
        let mut line = Line::begin(&mut text, style, Level::WARN);
        line.message(format_args!("guest timed out"));
        for (number, value) in values.iter().enumerate() {
            line.field(["guest", "request", "path"][number], Value::Text(format_args!("{value}")));
        }
        line.field("deadline_ms", Value::Literal(format_args!("{}", 100)));
        line.end();
        text
    }

    const TEXT: Style = Style { form: Form::Text, is_coloured: false };
    const JSON: Style = Style { form: Form::Json, is_coloured: false };

    #[test]
    fn text_quotes_values_that_need_it() {
        let text = written(TEXT, &["1f6d", "GET /x HTTP/1.1", ""]);
        let (time, rest) = text.split_at("2026-01-02T03:04:05.678Z".len());
        assert!(time.ends_with('Z'), "{text}");
        let fields = "guest=1f6d request=\"GET /x HTTP/1.1\" path=\"\" deadline_ms=100";
        assert_eq!(rest, format!("  WARN guest timed out {fields}\n"));
        let text = written(TEXT, &["a\"b", "a=b", "a\\b"]);
        assert!(text.contains(r#"guest="a\"b" request="a=b" path=a\b "#), "{text}");
    }

    #[test]
    fn json_is_one_flat_object() {
        let json = written(JSON, &["1f6d", "GET /\"x\\ HTTP/1.1", "a\nb\u{1b}\u{202e}\u{e9}"]);
        let read: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(read["level"], "WARN");
        assert_eq!(read["message"], "guest timed out");
        assert_eq!(read["guest"], "1f6d");
        assert_eq!(read["request"], "GET /\"x\\ HTTP/1.1");
        assert_eq!(read["path"], "a\nb\u{1b}\u{202e}\u{e9}");
        assert_eq!(read["deadline_ms"], 100);
        assert!(json.starts_with("{\"timestamp\":\"20") && json.ends_with("}\n"), "{json}");
        assert!(!json.contains(['\x1b', '\u{202e}']) && json.lines().count() == 1, "{json}");
    }

    #[test]
    fn no_value_can_forge_a_line() {
        let text = written(TEXT, &["a\nforged", "\x1b[2J", "\u{202e}\u{2028}"]);
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(!text.contains(['\x1b', '\u{202e}', '\u{2028}']), "{text}");
    }

    #[test]
    fn level_is_coloured_on_a_terminal() {
        let text = written(Style { is_coloured: true, ..TEXT }, &[]);
        assert!(text.contains("\x1b[33m WARN\x1b[0m guest timed out"), "{text:?}");
    }
}
