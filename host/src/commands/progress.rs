//! Tells what a command works on where that takes longer than a second: on standard error, as
//! results are printed on standard output.
//!
//! On a terminal it is one line that moves, and is gone in the end. Elsewhere it is a line once it
//! takes long, and another from time to time.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
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
    let what = what.to_string();
    let still = what.clone();
    telling(what, move |wait| remind(&still, wait, &mut io::stderr()), work)
}

/// The same where standard error is a log unless it is a terminal: `log` writes to it.
pub(super) fn during_or_log<R>(
    what: impl fmt::Display,
    log: impl FnOnce() + Send + 'static,
    work: impl FnOnce() -> R,
) -> R {
    let log = move |_: &Wait| {
        log();
        Ok(())
    };
    telling(what.to_string(), log, work)
}

/// `elsewhere` tells where no line can move.
fn telling<R>(
    what: String,
    elsewhere: impl FnOnce(&Wait) -> io::Result<()> + Send + 'static,
    work: impl FnOnce() -> R,
) -> R {
    let _progress = match has_moving_line() {
        true => Progress::begin(SHORT, move |wait| turn(&what, wait, &mut io::stderr())),
        false => Progress::begin(SHORT, elsewhere),
    };
    work()
}

fn has_moving_line() -> bool {
    let is_dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
    io::stderr().is_terminal() && !is_dumb
}

/// Tells until it is dropped.
struct Progress {
    end: Option<Sender<()>>,
    /// `None` if there is no thread to be had, and nothing is told.
    teller: Option<JoinHandle<()>>,
}

/// Since when the work is done, and when it ends.
struct Wait {
    began: Instant,
    ended: Receiver<()>,
}

impl Wait {
    /// Waits. Whether the work goes on.
    fn goes_on(&self, time: Duration) -> bool {
        self.ended.recv_timeout(time) == Err(RecvTimeoutError::Timeout)
    }

    fn seconds(&self) -> u64 {
        self.began.elapsed().as_secs()
    }
}

impl Progress {
    fn begin(
        short: Duration,
        tell: impl FnOnce(&Wait) -> io::Result<()> + Send + 'static,
    ) -> Progress {
        let (end, ended) = mpsc::channel();
        let wait = Wait { began: Instant::now(), ended };
        let tell = move || {
            if wait.goes_on(short) {
                // Where it cannot be told, the work goes on.
                let _ = tell(&wait);
            }
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

fn turn(what: &str, wait: &Wait, out: &mut impl Write) -> io::Result<()> {
    for picture in FRAMES.iter().cycle() {
        write!(out, "\r{picture} {what}: {} s\x1b[K", wait.seconds())?;
        out.flush()?;
        if !wait.goes_on(FRAME) {
            break;
        }
    }
    write!(out, "\r\x1b[K")?;
    out.flush()
}

fn remind(what: &str, wait: &Wait, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{what} …")?;
    while wait.goes_on(REMINDER) {
        writeln!(out, "{what}: {} s so far", wait.seconds())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::mpsc::{self, Sender};
    use std::time::Duration;

    use super::{Progress, remind, turn};

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

    fn begin(moves: bool, short: Duration) -> (Progress, mpsc::Receiver<Vec<u8>>) {
        let (sender, told) = mpsc::channel();
        let mut out = Told(sender);
        let what = "compiling a.wasm";
        let progress = Progress::begin(short, move |wait| match moves {
            true => turn(what, wait, &mut out),
            false => remind(what, wait, &mut out),
        });
        (progress, told)
    }

    fn end(progress: Progress, told: &mpsc::Receiver<Vec<u8>>) -> String {
        drop(progress);
        String::from_utf8(told.iter().flatten().collect()).expect("text")
    }

    #[test]
    fn short_work_is_not_told() {
        for moves in [true, false] {
            let (progress, told) = begin(moves, Duration::from_secs(600));
            assert_eq!(end(progress, &told), "");
        }
    }

    #[test]
    fn long_work_is_told_in_a_line() {
        let (progress, told) = begin(false, Duration::ZERO);
        let first = told.recv().expect("it is told");
        assert_eq!(
            String::from_utf8(first).expect("text") + &end(progress, &told),
            "compiling a.wasm …\n"
        );
    }

    #[test]
    fn moving_line_is_gone_in_the_end() {
        let (progress, told) = begin(true, Duration::ZERO);
        let first = told.recv().expect("it is told");
        let text = String::from_utf8(first).expect("text") + &end(progress, &told);
        assert!(text.starts_with("\r⠋ compiling a.wasm: 0 s\x1b[K"), "{text:?}");
        assert!(text.ends_with("\r\x1b[K"), "{text:?}");
    }
}
