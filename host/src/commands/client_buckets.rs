//! The key by which clients fall into buckets (`--client-bucket-key`).

use std::path::Path;

use anyhow::{Context, bail};

use crate::guest::ClientBuckets;
use crate::{named_file, random};

/// The fewest characters of a key, as of a token.
const SHORTEST_KEY: usize = 16;

/// Bytes of the file that a key is in.
const KEY_FILE_BYTES: u64 = 64 << 10;

/// Reads the key, or takes a random one, which other servers and later runs do not have.
pub(super) fn open(file: Option<&Path>) -> anyhow::Result<ClientBuckets> {
    let Some(path) = file else {
        let key: [u8; 32] = random::bytes().context("the system gives no random bytes")?;
        return Ok(ClientBuckets::new(&key));
    };
    let shown = path.display();
    let text = named_file::read_text(path, KEY_FILE_BYTES)
        .with_context(|| format!("cannot read the key in {shown} (--client-bucket-key)"))?;
    // As of a token: the line end of an editor is no part of it.
    let key = text.trim();
    if key.len() < SHORTEST_KEY || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        bail!(
            "{shown} holds no key (--client-bucket-key): it must be {SHORTEST_KEY} characters or \
             more, without blanks; make one with: openssl rand -hex 32 > {shown}"
        );
    }
    Ok(ClientBuckets::new(key.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::open;
    use crate::guest::ClientBuckets;
    use std::num::NonZeroU16;

    #[test]
    fn key_is_the_line_of_its_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("key");
        let of = |buckets: &ClientBuckets| {
            let thousand = NonZeroU16::new(1_000).expect("is not zero");
            [1, 2, 3].map(|last| buckets.bucket([192, 0, 2, last].into(), thousand))
        };
        std::fs::write(&file, "0123456789abcdef\r\n").expect("a file");
        let key = open(Some(&file)).expect("a key");
        assert_eq!(of(&key), of(&ClientBuckets::new(b"0123456789abcdef")));
        assert_ne!(of(&open(None).expect("a key")), of(&open(None).expect("a key")));
        for text in ["", "short", "0123456789 abcdef", "0123456789abcd\u{e4}f"] {
            std::fs::write(&file, text).expect("a file");
            let error = format!("{:#}", open(Some(&file)).expect_err(text));
            assert!(error.contains("holds no key (--client-bucket-key)"), "{error}");
        }
        let error = format!("{:#}", open(Some(&folder.path().join("none"))).expect_err("none"));
        assert!(error.starts_with("cannot read the key in "), "{error}");
    }
}
