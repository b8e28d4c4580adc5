//! Tells what a command works on where that takes longer than a second: on standard error, as
//! results are printed on standard output.
//!
//! On a terminal it is one line that moves, and is gone in the end. Elsewhere it is a line once it
//! takes long, and another from time to time.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// What is over by then is not told.
const SHORT: Duration = Duration::from_secs(1);

/// From one picture of the moving line to the next.
const FRAME: Duration = Duration::from_millis(100);

/// From one line to the next where nothing moves: a log has three of a guest in Python.
const REMINDER: Duration = Duration::from_secs(10);

/// The pictures.
const FRAMES: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

/// Does some work, and tells what it is if that takes long, as in "compiling policy.wasm".
pub(super) fn during<R>(what: impl fmt::Display, work: impl FnOnce() -> R) -> R {
    let is_terminal = io::stderr().is_terminal()
        && std::env::var_os("TERM").is_none_or(|terminal| terminal != "dumb");
    let display = if is_terminal { Display::Moving } else { Display::Lines };
    let _progress = Progress::begin(what.to_string(), display, SHORT, io::stderr());
    work()
}

/// How it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Display {
    Moving,
    Lines,
}

/// Tells until it is dropped.
struct Progress {
    end: Option<Sender<()>>,
    /// `None` if there is no thread to be had, and nothing is told.
    teller: Option<JoinHandle<()>>,
}

impl Progress {
    fn begin(
        what: String,
        display: Display,
        short: Duration,
        mut out: impl Write + Send + 'static,
    ) -> Progress {
        let (end, ended) = mpsc::channel();
        let began = Instant::now();
        let wait = move |time| ended.recv_timeout(time) == Err(RecvTimeoutError::Timeout);
        let tell = move || {
            if !wait(short) {
                return;
            }
            // Where it cannot be told, the work goes on.
            let _ = match display {
                Display::Moving => turn(&what, began, wait, &mut out),
                Display::Lines => remind(&what, began, wait, &mut out),
            };
        };
        let teller = thread::Builder::new().name("progress".to_owned()).spawn(tell).ok();
        Progress { end: Some(end), teller }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        drop(self.end.take());
        // The line is gone before others are written.
        if let Some(teller) = self.teller.take() {
            let _ = teller.join();
        }
    }
}

fn turn(
    what: &str,
    began: Instant,
    wait: impl Fn(Duration) -> bool,
    out: &mut impl Write,
) -> io::Result<()> {
    for picture in FRAMES.iter().cycle() {
        write!(out, "\r{picture} {what}: {} s\x1b[K", began.elapsed().as_secs())?;
        out.flush()?;
        if !wait(FRAME) {
            break;
        }
    }
    write!(out, "\r\x1b[K")?;
    out.flush()
}

fn remind(
    what: &str,
    began: Instant,
    wait: impl Fn(Duration) -> bool,
    out: &mut impl Write,
) -> io::Result<()> {
    writeln!(out, "{what} …")?;
    while wait(REMINDER) {
        writeln!(out, "{what}: {} s so far", began.elapsed().as_secs())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::mpsc::{self, Sender};
    use std::time::Duration;

    use super::{Display, Progress};

    /// Sends what is written.
    struct Told(Sender<Vec<u8>>);

    impl Write for Told {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(|_| io::ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn begin(display: Display, short: Duration) -> (Progress, mpsc::Receiver<Vec<u8>>) {
        let (sender, told) = mpsc::channel();
        (Progress::begin("compiling a.wasm".to_owned(), display, short, Told(sender)), told)
    }

    fn end(progress: Progress, told: &mpsc::Receiver<Vec<u8>>) -> String {
        drop(progress);
        String::from_utf8(told.iter().flatten().collect()).expect("text")
    }

    #[test]
    fn short_work_is_not_told() {
        for display in [Display::Moving, Display::Lines] {
            let (progress, told) = begin(display, Duration::from_secs(600));
            assert_eq!(end(progress, &told), "");
        }
    }

    #[test]
    fn long_work_is_told_in_a_line() {
        let (progress, told) = begin(Display::Lines, Duration::ZERO);
        let first = told.recv().expect("it is told");
        assert_eq!(
            String::from_utf8(first).expect("text") + &end(progress, &told),
            "compiling a.wasm …\n"
        );
    }

    #[test]
    fn moving_line_is_gone_in_the_end() {
        let (progress, told) = begin(Display::Moving, Duration::ZERO);
        let first = told.recv().expect("it is told");
        let text = String::from_utf8(first).expect("text") + &end(progress, &told);
        assert!(text.starts_with("\r⠋ compiling a.wasm: 0 s\x1b[K"), "{text:?}");
        assert!(text.ends_with("\r\x1b[K"), "{text:?}");
    }
}
