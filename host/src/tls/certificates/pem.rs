//! Finds certificates and private keys in a file, and says what else is there.

use rustls::pki_types::pem::{self, PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::error::{Binary, Problem};

/// Names of sections that an error shows.
const SHOWN: usize = 5;

/// The characters of each.
const SHOWN_CHARACTERS: usize = 40;

/// What a file of PEM holds.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) certificates: Vec<CertificateDer<'static>>,
    pub(super) keys: Vec<PrivateKeyDer<'static>>,
    /// The names of all sections.
    sections: Vec<String>,
    has_encrypted_key: bool,
}

impl Contents {
    /// Reads all sections of a file.
    pub(super) fn parse(bytes: &[u8]) -> Result<Contents, Problem> {
        // Some editors begin with a byte order mark.
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(Problem::Empty);
        }
        let sections = sections(bytes);
        if sections.is_empty() {
            let is_text = bytes.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t'..=b'\r'));
            return Err(if is_text { Problem::NoPem } else { Problem::Binary(binary(bytes)) });
        }
        // PKCS#8 has sections of their own for it, the older forms a line in front.
        let has_encrypted_key = sections.iter().any(|name| name == "ENCRYPTED PRIVATE KEY")
            || memchr::memmem::find(bytes, b"\nProc-Type: 4,ENCRYPTED").is_some();
        let mut contents = Contents { sections, has_encrypted_key, ..Contents::default() };
        if has_encrypted_key {
            // Whatever else: this must be mended first.
            return Ok(contents);
        }
        for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(bytes) {
            let (kind, der) = section.map_err(|error| Problem::MalformedPem(explain(&error)))?;
            if kind == SectionKind::Certificate {
                contents.certificates.push(der.into());
            } else if let Some(key) = PrivateKeyDer::from_pem(kind, der) {
                contents.keys.push(key);
            }
        }
        Ok(contents)
    }

    /// The certificates, if there is one.
    pub(super) fn certificates(&self) -> Result<&[CertificateDer<'static>], Problem> {
        match &self.certificates[..] {
            [] if self.has_encrypted_key
                && self.sections.iter().any(|name| name == "CERTIFICATE") =>
            {
                Err(Problem::EncryptedKey)
            }
            [] => Err(self.only_sections()),
            certificates => Ok(certificates),
        }
    }

    /// The one private key.
    pub(super) fn key(&self) -> Result<PrivateKeyDer<'static>, Problem> {
        if self.has_encrypted_key {
            return Err(Problem::EncryptedKey);
        }
        match &self.keys[..] {
            [] => Err(self.only_sections()),
            [key] => Ok(key.clone_key()),
            keys => Err(Problem::SeveralKeys(keys.len())),
        }
    }

    fn only_sections(&self) -> Problem {
        let mut names = self.sections.clone();
        names.dedup();
        names.truncate(SHOWN);
        Problem::OnlySections(names)
    }
}

/// The names of the sections that begin in it.
fn sections(bytes: &[u8]) -> Vec<String> {
    let lines = bytes.split(|byte| matches!(byte, b'\n' | b'\r'));
    let names = lines.filter_map(|line| {
        let name = line.strip_prefix(b"-----BEGIN ")?.trim_ascii_end();
        let name = String::from_utf8_lossy(name.strip_suffix(b"-----").unwrap_or(name));
        Some(name.chars().take(SHOWN_CHARACTERS).collect())
    });
    names.collect()
}

/// For an operator: what an editor or an interrupted copy does to a file.
fn explain(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { end_marker } => format!(
            "the end of section {} is missing; is the file truncated?",
            String::from_utf8_lossy(end_marker)
        ),
        pem::Error::IllegalSectionStart { line } => {
            format!("the line {} is incomplete", String::from_utf8_lossy(line))
        }
        pem::Error::Base64Decode(_) => "a section is not base64; is the file damaged?".to_owned(),
        other => other.to_string(),
    }
}

/// What a file holds that is not text.
fn binary(bytes: &[u8]) -> Binary {
    if X509Certificate::from_der(bytes).is_ok() {
        return Binary::Certificate;
    }
    // SEQUENCE, its length, and the version as an INTEGER: 3 in PKCS#12 (RFC 7292), 0 or 1 in
    // private keys (RFC 5958, RFC 8017, RFC 5915).
    let body = match bytes {
        [0x30, 0x81, _, body @ ..]
        | [0x30, 0x82, _, _, body @ ..]
        | [0x30, 0x83, _, _, _, body @ ..]
        | [0x30, 0..=0x80, body @ ..] => body,
        _ => return Binary::Unknown,
    };
    match body {
        [0x02, 0x01, 0x03, ..] => Binary::Pkcs12,
        [0x02, 0x01, 0x00 | 0x01, ..] => Binary::Key,
        _ => Binary::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::Contents;
    use rcgen::{CertificateParams, KeyPair};

    fn problem(bytes: &[u8]) -> String {
        let contents = match Contents::parse(bytes) {
            Ok(contents) => contents,
            Err(problem) => return problem.code().to_owned(),
        };
        match (contents.certificates().map(<[_]>::len), contents.key()) {
            (Ok(count), Ok(_)) => format!("{count} and a key"),
            (Ok(count), Err(key)) => format!("{count}, key {}", key.code()),
            (Err(certificates), Ok(_)) => format!("{}, a key", certificates.code()),
            (Err(certificates), Err(key)) => format!("{}, key {}", certificates.code(), key.code()),
        }
    }

    #[test]
    fn every_form_of_file_is_told_apart() {
        let key = KeyPair::generate().expect("a key");
        let certificate = CertificateParams::new(["a.example".to_owned()])
            .and_then(|params| params.self_signed(&key))
            .expect("a certificate");
        let (pem, key_pem) = (certificate.pem(), key.serialize_pem());
        let both = format!("{pem}{key_pem}");
        let truncated = &pem[..pem.len() / 2];
        let encrypted =
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        let legacy = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: x\n\nAA\n-----END RSA PRIVATE KEY-----\n";
        for (bytes, expected) in [
            (&b""[..], "empty"),
            (b" \r\n", "empty"),
            (b"hello\n", "not-pem"),
            (b"\x00\x01", "not-pem"),
            (certificate.der(), "not-pem"),
            (pem.as_bytes(), "1, key missing-section"),
            (key_pem.as_bytes(), "missing-section, a key"),
            (both.as_bytes(), "1 and a key"),
            (both.replace('\n', "\r\n").as_bytes(), "1 and a key"),
            (format!("\u{feff}{both}").as_bytes(), "1 and a key"),
            (format!("Bag Attributes\n  friendlyName: x\n{both}").as_bytes(), "1 and a key"),
            (format!("{both}{key_pem}").as_bytes(), "1, key several-keys"),
            (truncated.as_bytes(), "malformed-pem"),
            (pem.replacen('M', "!", 1).as_bytes(), "malformed-pem"),
            (encrypted.as_bytes(), "missing-section, key encrypted-key"),
            (legacy.as_bytes(), "missing-section, key encrypted-key"),
            (format!("{pem}{encrypted}").as_bytes(), "encrypted-key, key encrypted-key"),
            (
                b"-----BEGIN PKCS7-----\nAA==\n-----END PKCS7-----\n",
                "missing-section, key missing-section",
            ),
        ] {
            assert_eq!(problem(bytes), expected, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn binary_files_are_told_apart() {
        use super::{Binary, binary};
        let key = KeyPair::generate().expect("a key");
        assert_eq!(binary(&key.serialize_der()), Binary::Key);
        assert_eq!(binary(b"\x30\x82\x01\x02\x02\x01\x03\x30"), Binary::Pkcs12);
        assert_eq!(binary(b"\x7fELF"), Binary::Unknown);
    }
}
