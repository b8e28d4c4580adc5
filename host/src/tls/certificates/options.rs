//! Which certificates a server has, and what it does where none fits.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::error::FileRole;

/// The files of one certificate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PairFiles {
    /// The certificate, followed by its intermediate certificates: PEM.
    pub certificate: PathBuf,
    /// Its private key: PEM. Without one the key is in the file of the certificate.
    pub key: Option<PathBuf>,
}

impl PairFiles {
    /// What the file of the certificate is for.
    pub(super) fn certificate_role(&self) -> FileRole {
        match self.key {
            Some(_) => FileRole::Certificate,
            None => FileRole::Combined,
        }
    }
}

/// What a client gets that asks for a name which no certificate has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum UnknownName {
    /// The first certificate
    #[default]
    Default,
    /// The alert unrecognized_name, which ends the connection
    //
    // RFC 6066, section 3.
    Refuse,
}

/// Whether a client must have a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientPolicy {
    /// It is asked for one, and may have none.
    Wanted,
    /// Without one the handshake fails.
    Required,
}

/// Who may issue certificates of clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAuthorities {
    /// Their certificates: PEM.
    pub file: PathBuf,
    /// Whether a client must have a certificate of one of them.
    pub policy: ClientPolicy,
}

/// The certificates of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The first is for clients that ask for no name.
    pub pairs: Vec<PairFiles>,
    /// Those that may come later: the server starts without them. They stand behind the others.
    pub awaited: Vec<PairFiles>,
    /// For clients that ask for a name which none of them has.
    pub unknown_name: UnknownName,
    /// Without them clients are not asked for certificates.
    pub client_authorities: Option<ClientAuthorities>,
}

impl Options {
    /// All certificates, in the order of the settings: those that may come later are the last.
    pub fn all(&self) -> impl Iterator<Item = &PairFiles> {
        self.pairs.iter().chain(&self.awaited)
    }

    /// All files, each once: what is read while the server serves.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let mut files: Vec<&Path> = self.named_files().collect();
        for pair in &self.awaited {
            files.push(&pair.certificate);
            files.extend(pair.key.as_deref());
        }
        files.into_iter()
    }

    /// The same without those that may come later.
    pub fn named_files(&self) -> impl Iterator<Item = &Path> {
        let mut files: Vec<&Path> = Vec::new();
        for pair in &self.pairs {
            files.push(&pair.certificate);
            files.extend(pair.key.as_deref());
        }
        files
            .extend(self.client_authorities.as_ref().map(|authorities| authorities.file.as_path()));
        let mut seen = HashSet::new();
        files.retain(|file| seen.insert(*file));
        files.into_iter()
    }
}
