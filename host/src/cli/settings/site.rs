//! The settings that belong to a site: what it serves, what decides, its log and its certificates.
//!
//! They stand in a table `[[site]]` of the configuration file, in the same tables as outside it.
//! Outside, and as flags, they describe the one site of a server without such tables, and are the
//! defaults of the sites of one that has them. All others belong to the process.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Args;

use super::rules::RulesSettings;
use super::{cache, certificates, files, guest, https, limits, request_log};
use crate::cli::root::RootChoice;
use crate::http::HostPattern;
use crate::service::hosts::SiteHosts;

/// The settings of a site.
#[derive(Clone, Debug, Args)]
pub struct SiteSettings {
    /// The directory to serve [default: html, or else the current directory]
    ///
    /// Without one, / and your home directory are not served.
    #[arg(default_value = "html", hide_default_value = true)]
    pub root: PathBuf,

    /// How it was chosen.
    #[arg(skip)]
    pub root_choice: RootChoice,

    /// Whose site it is.
    #[arg(skip)]
    pub identity: SiteIdentity,

    /// `[files]`
    #[command(flatten)]
    pub files: files::FileSettings,

    /// `[guest]`
    #[command(flatten)]
    pub guest: guest::GuestSettings,

    /// `[rules]`
    #[command(flatten)]
    pub rules: RulesSettings,

    /// `[cache]`
    #[command(flatten)]
    pub cache: cache::SiteCacheSettings,

    /// `[limits]`
    #[command(flatten)]
    pub limits: limits::SiteLimitSettings,

    /// `[tls]`
    #[command(flatten)]
    pub tls: certificates::CertificateSettings,

    /// `[tls]`, too
    #[command(flatten)]
    pub https: https::HttpsSettings,

    /// `[log]`
    #[command(flatten)]
    pub log: request_log::RequestLogSettings,

    /// The reading of its table, if it was read from one.
    #[arg(skip)]
    pub reading: Reading,
}

/// A reading of a site's table: two sites of one reading say the same.
#[derive(Clone, Copy, Default)]
pub struct Reading(u64);

impl Reading {
    /// One that no other is.
    pub fn new() -> Reading {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Reading(LAST.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn is_same(self, other: Reading) -> bool {
        self.0 != 0 && self.0 == other.0
    }
}

impl fmt::Debug for Reading {
    /// Says nothing of the settings.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reading")
    }
}

/// Whose site it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SiteIdentity {
    /// Its name, for metrics, logs and the administration: up to 64 letters, digits, dots, dashes
    /// and underscores, and `*` at the beginning. Empty for the one site of a server that names
    /// none.
    pub name: String,
    /// Its hosts. Without any it is the default.
    pub hosts: Vec<HostPattern>,
    /// Whether it has the requests for hosts of no site.
    pub is_default: bool,
}

impl fmt::Display for SiteIdentity {
    /// As in `docs: docs.example.org, *.docs.example.org, the default`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts = self.hosts.iter().map(ToString::to_string);
        let default = self.is_default.then(|| "the default".to_owned());
        write!(f, "{}: {}", self.name, hosts.chain(default).collect::<Vec<_>>().join(", "))
    }
}

impl From<&SiteIdentity> for SiteHosts {
    fn from(identity: &SiteIdentity) -> SiteHosts {
        SiteHosts { patterns: identity.hosts.clone(), is_default: identity.is_default }
    }
}

impl SiteSettings {
    /// Whether a site with the other settings would be served in the same way, maybe at other hosts
    /// and to other numbers of requests.
    pub fn is_like(&self, other: &SiteSettings) -> bool {
        // Most sites of many are as they were.
        if self.reading.is_same(other.reading) {
            return true;
        }
        let text = |site: &SiteSettings| {
            let SiteSettings { tls, https, log, .. } = site;
            format!("{tls:?} {https:?} {log:?}")
        };
        self.has_content_of(other) && text(self) == text(other)
    }

    /// Whether a site with the other settings would serve the same content, by the same guest or rules:
    /// what else they say is told of it, or who gets it.
    pub fn has_content_of(&self, other: &SiteSettings) -> bool {
        // Where a rule stands does not count. All settings have their values in this text, here or
        // in `is_like`.
        let text = |site: &SiteSettings| {
            let SiteSettings { root, root_choice: _, identity: _, files, guest, .. } = site;
            let SiteSettings { rules, cache, tls: _, https: _, log: _, reading: _, .. } = site;
            let rules = RulesSettings { origins: Vec::new(), ..rules.clone() };
            format!("{root:?} {files:?} {guest:?} {rules:?} {cache:?}")
        };
        text(self) == text(other)
    }

    /// The files of its guest or rules, with passwords, and its certificates. Those that a file of rules
    /// names are not known before that is read.
    pub fn files_by_name(&self) -> impl Iterator<Item = &PathBuf> {
        let guest = self.guest.file.iter().chain(&self.guest.data).chain(&self.guest.cases);
        let tls = self.tls.certificates.iter().chain(&self.tls.keys);
        let passwords = self.rules.basic_auth.iter().flat_map(|part| &part.user_files);
        guest.chain(&self.rules.files).chain(passwords.map(|(_, file)| file)).chain(tls)
    }
}
