//! The bytes of a certificate's files, and whether they are those that were read before.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::error::{CertificateError, FileRole, Problem};
use super::options::PairFiles;
use crate::named_file;

/// Bytes of a file. A chain has some 6 KiB, all public authorities together 230.
const MAX_BYTES: u64 = 1 << 20;

/// What the files of a pair hold.
pub(super) struct Content {
    /// The file of the certificate.
    pub(super) certificate: Vec<u8>,
    /// The file of the key, if there is one.
    pub(super) key: Option<Vec<u8>>,
    /// SHA-256 of both.
    pub(super) digest: [u8; 32],
}

impl Content {
    /// Reads the files, one after the other.
    pub(super) fn read(files: &PairFiles) -> Result<Content, CertificateError> {
        let certificate = read(files.certificate_role(), &files.certificate)?;
        let key = files.key.as_ref().map(|path| read(FileRole::Key, path)).transpose()?;
        let mut digest = Sha256::new();
        // With the length of the first, so that no other two files are the same together.
        digest.update((certificate.len() as u64).to_le_bytes());
        digest.update(&certificate);
        digest.update(key.as_deref().unwrap_or_default());
        Ok(Content { certificate, key, digest: digest.finalize().into() })
    }
}

/// Reads a file that may be replaced meanwhile.
pub(super) fn read(role: FileRole, path: &Path) -> Result<Vec<u8>, CertificateError> {
    named_file::read_whole(path, MAX_BYTES).map_err(|error| CertificateError {
        role,
        path: path.to_owned(),
        problem: Problem::File(error),
    })
}
