//! The last of what an instance printed.

use std::collections::VecDeque;

/// Bytes that are kept of what an instance prints: the last ones, which say why it failed.
pub(super) const MAX_BYTES: usize = 16 << 10;

/// How often an instance may ask for a stream: the host keeps a handle for each.
const MAX_STREAMS: usize = 1_000;

/// The last of what an instance printed.
#[derive(Debug, Default)]
pub(super) struct Output {
    bytes: VecDeque<u8>,
    streams: usize,
}

impl Output {
    /// Notes that a stream is opened, if that may be.
    pub(super) fn may_open(&mut self) -> bool {
        self.streams += 1;
        self.streams <= MAX_STREAMS
    }

    /// Adds bytes at the end.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        let last = &bytes[bytes.len().saturating_sub(MAX_BYTES)..];
        let over = (self.bytes.len() + last.len()).saturating_sub(MAX_BYTES);
        self.bytes.drain(..over);
        self.bytes.extend(last);
    }

    /// As text: what is no UTF-8 is replaced. It may have control characters.
    pub(super) fn text(&self) -> String {
        let (one, other) = self.bytes.as_slices();
        String::from_utf8_lossy(&[one, other].concat()).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_BYTES, Output};

    #[test]
    fn last_bytes_are_kept() {
        let mut output = Output::default();
        output.write(b"first ");
        output.write(&vec![b'x'; MAX_BYTES - 3]);
        output.write(b"\xffend");
        let text = output.text();
        assert!(text.starts_with('x') && text.ends_with("x\u{fffd}end"), "{text}");
        output.write(&vec![b'y'; 3 * MAX_BYTES]);
        assert_eq!(output.text(), "y".repeat(MAX_BYTES));
    }
}
