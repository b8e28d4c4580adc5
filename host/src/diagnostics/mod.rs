//! Diagnostics: the events that innkeeper logs on standard error.
//!
//! While it serves, a thread writes them: a reader of standard error that stalls stops no
//! worker, and neither does a client that causes event after event. Before that, each thread
//! writes its own.
//!
//! - `line`: the form of an event, for people or as JSON.
//! - [`context`]: the connection and the request that an event belongs to.
//! - `layer`: makes lines of the events of `tracing`.

pub mod context;
mod layer;
mod line;

use std::fmt::{self, Display};
use std::io::{self, IsTerminal, Write};
use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::Duration;

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

use crate::line_writer::{Bounds, LineWriter, Notice, Options};
use crate::text::{Client, Escaping, escape_bytes};
pub use line::Form;
use line::{Line, Style, Value};

/// How long the end waits for the last lines to be written. A server that is stopped must stop
/// although its lines are not read.
const LAST_WRITE: Duration = Duration::from_secs(1);

/// Bytes of lines that wait: more than a thousand lines.
pub const WAITING_BYTES: usize = 256 << 10;

/// How lines are written.
const OPTIONS: Options = Options {
    name: "diagnostics",
    bounds: Bounds {
        waiting_bytes: WAITING_BYTES,
        // They are few, and whoever reads them waits for them.
        gather: Duration::ZERO,
        enough_bytes: 1,
    },
    notify: log,
};

/// The form of lines. There is one for a process, as there is one standard error.
static STYLE: OnceLock<Style> = OnceLock::new();

/// The thread that writes lines, once it is started.
static WRITER: OnceLock<LineWriter> = OnceLock::new();

/// Logs the events of these levels from now on. Each thread writes its own.
pub fn start(levels: Targets, form: Form) {
    let style = *STYLE.get_or_init(|| Style { form, is_coloured: io::stderr().is_terminal() });
    tracing_subscriber::registry().with(layer::Lines { style, write }.with_filter(levels)).init();
}

/// Has a thread write the lines from now on. It has what the calling thread has not given up.
pub fn start_writer() -> io::Result<()> {
    let writer = LineWriter::start(io::stderr(), OPTIONS)?;
    // There is one already if it is called twice; that one goes on.
    let _ = WRITER.set(writer);
    Ok(())
}

/// Tells what the server does, whatever the levels are. As text the values follow the message:
/// `listening on http://127.0.0.1:8080`.
pub fn info(message: &'static str, fields: &[(&'static str, &dyn Display)]) {
    tell(Level::INFO, message, fields, |text| {
        text.push_str(message);
        for (_, value) in fields {
            text.push(' ');
            // Writing to memory does not fail.
            let _ = fmt::write(&mut Escaping(&mut *text), format_args!("{value}"));
        }
    });
}

/// Tells why the program ends, whatever the levels are.
pub fn error(error: &dyn Display) {
    tell(Level::ERROR, "failed", &[("error", error)], |text| {
        text.push_str("innkeeper: ");
        // Writing to memory does not fail.
        let _ = fmt::write(&mut Escaping(&mut *text), format_args!("{error}"));
    });
}

/// Shows what another program wrote, whatever the levels are.
pub fn show_output(output: &str) {
    tell(Level::INFO, "output", &[("output", &output)], |text| {
        let mut separator = "";
        for line in output.lines() {
            text.push_str(separator);
            separator = "\n";
            // Writing to memory does not fail.
            let _ = fmt::Write::write_str(&mut Escaping(&mut *text), &line.replace('\t', "    "));
        }
    });
}

/// Shows the head of a request as it arrived. No line of it looks like one of another
/// client's; bytes other than printable ASCII are escaped.
pub fn show_head(client: IpAddr, head: &[u8]) {
    let mut lines = Vec::new();
    for line in head.trim_ascii_end().split(|&byte| byte == b'\n') {
        lines.extend_from_slice(b"\n> ");
        escape_bytes(&mut lines, line.strip_suffix(b"\r").unwrap_or(line));
    }
    let (client, head) = (Client(client), String::from_utf8_lossy(head));
    tell(Level::INFO, "request head", &[("client", &client), ("head", &head)], |text| {
        text.push_str("--- from ");
        text.push_str(&client.to_string());
        text.push_str(&String::from_utf8_lossy(&lines));
    });
}

/// Writes a line that has a form of its own as text.
fn tell(
    level: Level,
    message: &'static str,
    fields: &[(&'static str, &dyn Display)],
    as_text: impl FnOnce(&mut String),
) {
    let mut text = String::new();
    match STYLE.get() {
        Some(style @ Style { form: Form::Json, .. }) => {
            let mut line = Line::begin(&mut text, *style, level);
            line.message(format_args!("{message}"));
            for (name, value) in fields {
                line.field(name, Value::Text(format_args!("{value}")));
            }
            line.end();
        }
        _ => {
            as_text(&mut text);
            text.push('\n');
        }
    }
    write(&text);
}

/// Writes a line, or has it written. Where that fails, as on a full disk, there is no place to
/// tell so, and the server goes on; `eprintln` would panic.
fn write(line: &str) {
    // Near the end of memory the thread may never run; the line is written all the same.
    match WRITER.get().filter(|writer| writer.is_running()) {
        Some(writer) => writer.append(line.len(), |text| text.extend_from_slice(line.as_bytes())),
        None => {
            let _ = io::stderr().write_all(line.as_bytes());
        }
    }
}

/// Lines lost since the start: their reader was too slow, or they could not be written.
pub fn lost() -> u64 {
    WRITER.get().map_or(0, LineWriter::lost)
}

/// Calls [`finish`] when it is dropped, also by a panic.
pub struct Finish;

impl Drop for Finish {
    fn drop(&mut self) {
        finish();
    }
}

/// Waits until the lines so far are written, for a second at most. It must be called before the
/// process ends.
pub fn finish() {
    if let Some(writer) = WRITER.get().filter(|writer| writer.is_running()) {
        // What is not read by now is lost.
        let _ = writer.flush(LAST_WRITE);
    }
}

fn log(notice: Notice) {
    match notice {
        Notice::Lost { lines } | Notice::Recovered { lost_lines: lines } => {
            tracing::warn!(lines, "standard error was not read, lines lost");
        }
        // There is no other place to tell it.
        Notice::Failed(_) | Notice::ReopenFailed(_) => {}
    }
}

/// The lines of the events of `work`.
#[cfg(test)]
pub(crate) fn captured(form: Form, work: impl FnOnce()) -> String {
    use std::sync::{Arc, Mutex};
    let lines = Arc::new(Mutex::new(String::new()));
    let write = {
        let lines = Arc::clone(&lines);
        move |line: &str| lines.lock().expect("no writer panics").push_str(line)
    };
    let style = Style { form, is_coloured: false };
    let subscriber = tracing_subscriber::registry().with(layer::Lines { style, write });
    tracing::subscriber::with_default(subscriber, work);
    let lines = lines.lock().expect("no writer panics");
    lines.clone()
}

#[cfg(test)]
mod tests {
    use super::{Form, captured};

    #[test]
    fn event_is_one_line_with_its_fields() {
        let work = || {
            let suppressed: Option<u64> = None;
            let error = std::io::Error::from(std::io::ErrorKind::NotFound);
            tracing::warn!(client = %"::1", worker = 1, is_late = true, suppressed, %error, "it");
        };
        let text = captured(Form::Text, work);
        let expected = "  WARN it client=::1 worker=1 is_late=true error=\"entity not found\"\n";
        assert!(text.ends_with(expected), "{text}");
        let json = captured(Form::Json, work);
        let expected = "\"level\":\"WARN\",\"message\":\"it\",\"client\":\"::1\",\"worker\":1,\
                        \"is_late\":true,\"error\":\"entity not found\"}\n";
        assert!(json.ends_with(expected), "{json}");
    }
}
