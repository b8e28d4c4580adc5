//! HTTP/2 on a live connection: whatever frames a client sends, what comes back is frames, the
//! connection ends when the client's half does, and the next client is served.
//!
//! The input is what a client sends behind the preface and its SETTINGS.

use super::connection::{SECRET, WORLD, World};
use super::pieces::{Numbers, split};

/// The preface and SETTINGS: no table for the fields that come back (RFC 9113, section 3.4).
const BEGINNING: &[u8] =
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00";

/// GET /hello.txt, by the static table and literals.
const HONEST: &[u8] = b"\x00\x00\x14\x01\x05\x00\x00\x00\x01\x82\x86\x04\x0a/hello.txt\x01\x04test";

/// The largest frame where nothing else was agreed on (RFC 9113, section 4.2).
const LARGEST: usize = 16_384;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;

/// Runs the target.
pub fn run(input: &[u8]) {
    WORLD.with(|world| {
        let mut numbers = Numbers::of(input);
        let sent = [BEGINNING, input].concat();
        for largest in [sent.len(), sent.len() / 3 + 1, sent.len().div_ceil(32)] {
            let pieces = split(&sent, largest, &mut numbers);
            check(&world.talk(&world.others, &pieces));
            check_next(world);
        }
    });
}

/// Whether an honest client gets its response.
fn check_next(world: &World) {
    let received = world.talk(&world.others, &[&[BEGINNING, HONEST].concat()]);
    let content = check(&received);
    assert_eq!(content, b"hello\n", "{}", received.escape_ascii());
}

/// Takes what came apart, which is frames to its end. Gives the content of all responses.
fn check(mut received: &[u8]) -> Vec<u8> {
    let shown = received.escape_ascii().to_string();
    assert!(!received.windows(SECRET.len()).any(|window| window == SECRET), "the secret is out");
    let (mut content, mut block) = (Vec::new(), None);
    while !received.is_empty() {
        let (head, rest) = received.split_at_checked(9).expect("a frame");
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let (kind, flags) = (head[3], head[4]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        assert!(length <= LARGEST && kind <= CONTINUATION, "{shown}");
        // Nothing comes between the parts of a block of fields.
        assert!(block.is_none_or(|open| (kind, stream) == (CONTINUATION, open)), "{shown}");
        let (payload, behind) = rest.split_at_checked(length).expect("all of the frame");
        received = behind;
        match kind {
            DATA => content.extend_from_slice(payload),
            HEADERS | CONTINUATION => block = (flags & 4 == 0).then_some(stream),
            _ => {}
        }
    }
    content
}
