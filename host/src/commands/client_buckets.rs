//! The key by which clients fall into buckets (`--client-bucket-key`).

use std::path::Path;

use anyhow::Context;

use crate::guest::ClientBuckets;
use crate::{random, secret_file};

/// Reads the key, or takes a random one, which other servers and later runs do not have.
pub(super) fn open(file: Option<&Path>) -> anyhow::Result<ClientBuckets> {
    let Some(path) = file else {
        let key: [u8; 32] = random::bytes().context("the system gives no random bytes")?;
        return Ok(ClientBuckets::new(&key));
    };
    let key = secret_file::read("key", path).context("--client-bucket-key")?;
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
        let error = format!("{:#}", open(Some(&folder.path().join("none"))).expect_err("none"));
        assert!(error.starts_with("--client-bucket-key: cannot read the key in "), "{error}");
    }
}
