//! Asks at the terminal, also for what must not be seen there.

use std::io::{self, BufRead, Write};

use anyhow::{Context, bail};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// Bytes that may be typed.
const LINE_BYTES: usize = 4 << 10;

/// Whether what is typed is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Echo {
    On,
    Off,
}

/// Asks with this prompt, and gives the line that is typed, without its end.
pub(super) fn ask(prompt: &str, echo: Echo) -> anyhow::Result<String> {
    // What is printed on standard output is the result.
    let mut out = io::stderr();
    write!(out, "{prompt}").and_then(|()| out.flush()).context("cannot write to the terminal")?;
    let line = match echo {
        Echo::On => {
            let mut line = String::new();
            io::stdin().read_line(&mut line).context("cannot read from the terminal")?;
            line.trim_end_matches(['\n', '\r']).to_owned()
        }
        Echo::Off => {
            let hidden = Hidden::begin().context("cannot switch off the echo of the terminal")?;
            let line = read_keys(io::stdin().lock());
            drop(hidden);
            writeln!(out).context("cannot write to the terminal")?;
            line?
        }
    };
    Ok(line)
}

/// A terminal that shows nothing of what is typed. Dropping it puts the terminal back.
struct Hidden(Termios);

impl Hidden {
    fn begin() -> io::Result<Hidden> {
        let before = tcgetattr(io::stdin())?;
        let mut hidden = before.clone();
        // Keys arrive one by one, those that would stop the program among them: it puts the
        // terminal back first.
        hidden.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        tcsetattr(io::stdin(), OptionalActions::Flush, &hidden)?;
        Ok(Hidden(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // There is nothing else to try.
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}

/// The line that these keys make.
fn read_keys(keys: impl BufRead) -> anyhow::Result<String> {
    const INTERRUPT: u8 = 0x03;
    const END: u8 = 0x04;
    const BACKSPACE: u8 = 0x08;
    const KILL: u8 = 0x15;
    const DELETE: u8 = 0x7f;
    let mut line = Vec::new();
    for key in keys.bytes() {
        match key.context("cannot read from the terminal")? {
            b'\r' | b'\n' => {
                return String::from_utf8(line).ok().context("what was typed is not text in UTF-8");
            }
            INTERRUPT => bail!("canceled"),
            END if line.is_empty() => bail!("nothing was typed"),
            END => {}
            BACKSPACE | DELETE => {
                // A character of UTF-8 begins with a byte that is no continuation.
                while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
            }
            KILL => line.clear(),
            _ if line.len() == LINE_BYTES => bail!("more than {LINE_BYTES} bytes were typed"),
            byte => line.push(byte),
        }
    }
    bail!("the terminal was closed")
}

#[cfg(test)]
mod tests {
    use super::read_keys;

    #[test]
    fn keys_make_a_line() {
        for (keys, line) in [
            (&b"open sesame\r"[..], "open sesame"),
            (b"ab\x7fc\n", "ac"),
            ("a\u{e4}\u{1f600}\x7f\x7fb\r".as_bytes(), "ab"),
            (b"\x7f\x08a\r", "a"),
            (b"wrong\x15right\r", "right"),
            (b"a\x04b\r", "ab"),
            (b"\r", ""),
        ] {
            assert_eq!(read_keys(keys).expect("a line"), line, "{keys:?}");
        }
        for (keys, error) in [
            (&b"ab\x03\r"[..], "canceled"),
            (b"\x04", "nothing was typed"),
            (b"ab", "the terminal was closed"),
            (b"\xff\r", "not text"),
            (&[b'a'; 5_000], "more than 4096 bytes"),
        ] {
            assert!(read_keys(keys).expect_err("no line").to_string().contains(error));
        }
    }
}
