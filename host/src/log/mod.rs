//! The access log: one line a request.
//!
//! - [`entry`]: a line, in one of three formats; `json`: as an object. `parts`: what it holds;
//!   [`fields`]: which of it.

pub mod entry;
pub mod fields;
mod json;
mod parts;

use std::io;
use std::time::Duration;

use crate::line_writer::{Bounds, LineWriter, Notice, Options, Output};
pub use entry::{Draft, Format};
pub use fields::LogFields;
pub use parts::Entry;

/// How long the end waits for the last lines to be written. A server that is stopped must stop
/// although its log is not read.
const LAST_WRITE: Duration = Duration::from_secs(2);

/// Bytes of lines that wait: a few thousand requests, or a tenth of a second at full speed. A
/// reader that is slower than that for longer loses lines.
pub const WAITING_BYTES: usize = 1 << 20;

/// How lines are written.
const OPTIONS: Options = Options {
    name: "access-log",
    bounds: Bounds {
        waiting_bytes: WAITING_BYTES,
        gather: Duration::from_millis(50),
        enough_bytes: 64 << 10,
    },
    notify: log,
};

/// Takes the lines of requests. Dropped, it [finishes](AccessLog::finish).
pub struct AccessLog {
    format: Format,
    writer: LineWriter,
}

impl AccessLog {
    /// Starts the thread that writes to `out`.
    pub fn to(out: impl Output + 'static, format: Format) -> io::Result<AccessLog> {
        Ok(AccessLog { format, writer: LineWriter::start(out, OPTIONS)? })
    }

    /// Whether its lines have parts of a request: its method, host, path and query.
    pub fn has_parts(&self) -> bool {
        self.format != Format::Combined
    }

    /// Writes what is known of a request before the client took its response. `room` is a draft
    /// that is not needed any more.
    pub fn draft(&self, room: Draft, entry: &Entry) -> Draft {
        self.format.draft(room, entry)
    }

    /// Logs it: the client took `body_bytes` of the response's body, and the response was aborted
    /// before its end if `is_aborted`.
    pub fn append(&self, draft: &Draft, body_bytes: u64, is_aborted: bool) {
        self.writer.append(draft.max_bytes(), |text| {
            self.format.finish(text, draft, body_bytes, is_aborted);
        });
    }

    /// Has the log's file reopened, after it was moved away.
    pub fn reopen(&self) {
        self.writer.reopen();
    }

    /// Waits until the lines so far are written, for two seconds at most.
    pub fn finish(&self) {
        if let Err(unwritten) = self.writer.flush(LAST_WRITE) {
            let lines = self.lost() + unwritten.lines;
            tracing::warn!(lines, "access log is not read, lines lost");
        }
    }

    /// The number of lines lost since the start: their reader was too slow, or they could not
    /// be written.
    pub fn lost(&self) -> u64 {
        self.writer.lost()
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.finish();
    }
}

fn log(notice: Notice) {
    match notice {
        Notice::Lost { lines } => tracing::warn!(lines, "access log lines lost"),
        Notice::Failed(error) => {
            tracing::error!(%error, "cannot write access log, lines are lost");
        }
        Notice::Recovered { lost_lines } => {
            tracing::warn!(lines = lost_lines, "access log is written again, lines were lost");
        }
        Notice::ReopenFailed(error) => {
            tracing::error!(%error, "cannot reopen access log, the old file is used");
        }
    }
}
