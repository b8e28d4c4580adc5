//! Secrets in files of their own: a token, a key. The line end of an editor is no part of them.

use std::path::{Path, PathBuf};
use std::{error, fmt};

use crate::named_file::{self, NamedFileError};

/// The fewest characters of a secret. With 62 to choose from that is 95 bits.
const SHORTEST: usize = 16;

/// Bytes of the file that a secret is in.
const FILE_BYTES: u64 = 64 << 10;

/// A file without a secret.
#[derive(Debug)]
pub struct SecretFileError {
    /// What it was to hold, as in `token`.
    pub what: &'static str,
    /// Its path.
    pub path: PathBuf,
    /// Why it cannot be read; `None` if it holds too few characters, or others than visible ASCII.
    pub problem: Option<NamedFileError>,
}

/// Reads a secret: `what` is its name in messages.
pub fn read(what: &'static str, path: &Path) -> Result<String, SecretFileError> {
    let error = |problem| SecretFileError { what, path: path.to_owned(), problem };
    let text = named_file::read_text(path, FILE_BYTES).map_err(|cause| error(Some(cause)))?;
    let secret = text.trim();
    match secret.len() >= SHORTEST && secret.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(secret.to_owned()),
        false => Err(error(None)),
    }
}

impl fmt::Display for SecretFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, path) = (self.what, self.path.display());
        match &self.problem {
            Some(error) => write!(f, "cannot read the {what} in {path}: {error}"),
            None => write!(
                f,
                "{path} holds no {what}: it must be {SHORTEST} characters or more, without \
                 blanks; make one with: openssl rand -hex 24 > {path}"
            ),
        }
    }
}

impl error::Error for SecretFileError {}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn secret_is_the_line_of_its_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("key");
        std::fs::write(&file, "0123456789abcdef\r\n").expect("a file");
        assert_eq!(read("key", &file).expect("a key"), "0123456789abcdef");
        for text in ["", "short", "0123456789 abcdef", "0123456789abcd\u{e4}f"] {
            std::fs::write(&file, text).expect("a file");
            let error = read("key", &file).expect_err(text).to_string();
            assert!(error.contains("holds no key: it must be 16 characters"), "{error}");
        }
        let error = read("key", &folder.path().join("none")).expect_err("none").to_string();
        assert!(error.starts_with("cannot read the key in "), "{error}");
    }
}
