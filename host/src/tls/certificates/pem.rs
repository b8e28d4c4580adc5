//! Finds certificates and private keys in a file, and says what else is there.

use rustls::pki_types::pem::{self, PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::error::{Binary, Problem};

/// Names of sections that an error shows.
const SHOWN: usize = 5;

/// Characters of the longest name of a section. Those that are in use have fewer.
const MAX_NAME: usize = 40;

/// What the first line of a section begins with, and ends with (RFC 7468, section 2).
const BEGIN: &[u8] = b"-----BEGIN ";
const DASHES: &[u8] = b"-----";

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
            let (kind, der) =
                section.map_err(|error| Problem::MalformedPem(explain(&error, bytes)))?;
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
    let rests = lines.filter_map(|line| line.strip_prefix(BEGIN));
    rests.map(|rest| name(rest).unwrap_or("a section with a malformed name").to_owned()).collect()
}

/// The name of a section (RFC 7468, section 2) that this is the rest of the first line of. Where
/// line ends are lost the key follows, and that is shown to no one: not even a part of what only
/// looks like a name.
fn name(rest: &[u8]) -> Option<&str> {
    let name = &rest[..memchr::memmem::find(rest, DASHES)?];
    let is_of_a_name = |byte: &u8| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b' ');
    let is_name = name.len() <= MAX_NAME && name.iter().all(is_of_a_name);
    is_name.then(|| str::from_utf8(name).ok()).flatten()
}

/// For an operator: what an editor or an interrupted copy does to a file. No byte of a section's
/// content is in it, which may be a key.
fn explain(error: &pem::Error, bytes: &[u8]) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } | pem::Error::IllegalSectionStart { .. } => {
            unfinished(bytes)
        }
        pem::Error::Base64Decode(_) => "a section is not base64; is the file damaged?".to_owned(),
        pem::Error::SectionTooLarge => "a section is too large".to_owned(),
        _ => "it cannot be read".to_owned(),
    }
}

/// Says which section does not begin or end as it should.
fn unfinished(bytes: &[u8]) -> String {
    let lines: Vec<_> = bytes.split(|byte| matches!(byte, b'\n' | b'\r')).collect();
    let begins = lines.iter().enumerate();
    let begins = begins.filter_map(|(at, line)| Some((at, line.strip_prefix(BEGIN)?)));
    let begins: Vec<_> = begins.collect();
    for (number, &(at, rest)) in begins.iter().enumerate() {
        let Some(name) = name(rest) else {
            return format!("line {} of it, a BEGIN line, is malformed", at + 1);
        };
        if !rest[name.len() + DASHES.len()..].trim_ascii().is_empty() {
            return format!(
                "more follows in the line of BEGIN {name}; were line ends lost, or written as \\n?"
            );
        }
        let next = begins.get(number + 1).map_or(lines.len(), |(next, _)| *next);
        let end = format!("-----END {name}-----");
        if !lines[at..next].iter().any(|line| line.starts_with(end.as_bytes())) {
            return format!("the end of section {name} is missing; is the file truncated?");
        }
    }
    "a section has no end; is the file truncated?".to_owned()
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
    use super::super::error::{CertificateError, FileRole};
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
    fn no_byte_of_a_key_is_in_a_message() {
        let pem = KeyPair::generate().expect("a key").serialize_pem();
        let content: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let lost = pem.replace('\n', "");
        let shapes = [
            (lost.clone(), "more follows in the line of BEGIN PRIVATE KEY; were line ends lost"),
            (pem.replace('\n', "\\n"), "more follows in the line of BEGIN PRIVATE KEY"),
            (pem.replace('\n', "\\r\\n"), "more follows in the line of BEGIN PRIVATE KEY"),
            (pem.replace('\n', " "), "more follows in the line of BEGIN PRIVATE KEY"),
            (lost.replace("-----END PRIVATE KEY-----", ""), "more follows in the line of BEGIN"),
            (lost.replace("KEY-----M", "KEY M"), "line 1 of it, a BEGIN line, is malformed"),
            (lost.replace("KEY-----M", "KEY----M"), "line 1 of it, a BEGIN line, is malformed"),
            (lost.replace("PRIVATE KEY-----", ""), "line 1 of it, a BEGIN line, is malformed"),
            (format!("-----BEGIN {content}-----\n"), "line 1 of it, a BEGIN line, is malformed"),
            (pem.replace("KEY-----\n", "KEY--\n"), "line 1 of it, a BEGIN line, is malformed"),
            (pem.replace("-----END", "-----and"), "the end of section PRIVATE KEY is missing"),
            (pem[..pem.len() / 2].to_owned(), "the end of section PRIVATE KEY is missing"),
            (pem.replacen("\nM", "\n!", 1), "a section is not base64"),
            (lost.replace("PRIVATE", "ENCRYPTED PRIVATE"), "its key is encrypted"),
            // None of these begins a section.
            (format!(" {lost}"), "it is not PEM"),
            (content.clone(), "it is not PEM"),
            (format!("key: {lost}"), "it is not PEM"),
            // It is not looked into, as one is encrypted.
            (
                format!("{lost}\n-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n"),
                "its key is encrypted",
            ),
        ];
        for (text, expected) in shapes {
            for role in [FileRole::Key, FileRole::Combined, FileRole::ClientAuthorities] {
                let read = Contents::parse(text.as_bytes()).and_then(|contents| match role {
                    FileRole::Key => contents.key().map(|_| ()),
                    _ => contents.certificates().map(|_| ()),
                });
                let problem = read.expect_err("no key and no certificate");
                let error = CertificateError { role, path: "k".into(), problem };
                let message = format!("{error:?} {error}");
                // Not even four of its characters: names are in upper case and have no such.
                let shown = content.as_bytes().windows(4).filter(|part| {
                    part.iter().any(u8::is_ascii_lowercase)
                        && part.iter().any(u8::is_ascii_uppercase)
                        && memchr::memmem::find(message.as_bytes(), part).is_some()
                });
                assert_eq!(shown.count(), 0, "{message}");
                if role == FileRole::Key {
                    assert!(message.contains(expected), "{message}, not {expected}");
                }
            }
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
