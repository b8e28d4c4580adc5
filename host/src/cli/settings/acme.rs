//! `[acme]`: certificates that the server orders of an authority, and renews.

use std::borrow::Cow;
use std::path::PathBuf;

use clap::Args;

use crate::acme::{self, ChallengeKind, KeyType, Name};
use crate::cli::idn::to_ascii;

/// The directory of Let's Encrypt.
const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// That of Let's Encrypt for trying.
const STAGING: &str = "https://acme-staging-v02.api.letsencrypt.org/directory";

/// Certificates that the server orders of an authority, and renews.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "ACME")]
pub struct AcmeSettings {
    /// A name or an address to order a certificate for [default: none]
    ///
    /// May be given several times, or with commas. Each has a certificate of its own, which is
    /// renewed by itself. The authority asks this server by the name, at port 80 (a plain listener) or 443
    /// (one for TLS). Begin with --acme-staging. Needs --acme-accept-terms.
    #[arg(id = "acme", long = "acme", value_name = "NAME", value_delimiter = ',', value_parser = name)]
    pub names: Vec<Name>,

    /// Accept the terms of the authority
    ///
    /// Those of Let's Encrypt: `https://letsencrypt.org/repository/`
    #[arg(id = "acme_accept_terms", long = "acme-accept-terms")]
    pub accept_terms: bool,

    /// Order of Let's Encrypt's authority for trying
    ///
    /// The place to begin: its limits are wide, and browsers do not trust it. Without this,
    /// five failures are all that a name may have in an hour.
    #[arg(id = "acme_staging", long = "acme-staging")]
    pub staging: bool,

    /// The directory of the authority [default: Let's Encrypt's]
    #[arg(id = "acme_directory", long = "acme-directory", value_name = "URL", value_parser = directory, conflicts_with = "acme_staging")]
    pub directory: Option<String>,

    /// Where the authority writes to about the account [default: none]
    #[arg(id = "acme_email", long = "acme-email", value_name = "ADDRESS", value_parser = email)]
    pub email: Option<String>,

    /// How names are proved [default: by each way that there is a listener for]
    ///
    /// May be given twice: the second is tried where the first fails. Behind a proxy that ends
    /// TLS only http-01 works.
    #[arg(
        id = "acme_challenge",
        long = "acme-challenge",
        value_name = "KIND",
        value_enum,
        hide_short_help = true
    )]
    pub challenges: Vec<ChallengeKind>,

    /// The profile of certificates, of those that the authority has [default: its own]
    ///
    /// As in shortlived, which Let's Encrypt has for addresses, for six days.
    #[arg(id = "acme_profile", long = "acme-profile", value_name = "NAME", hide_short_help = true)]
    pub profile: Option<String>,

    /// The kind of the certificates' keys
    #[arg(id = "acme_key_type", long = "acme-key-type", value_name = "KIND", value_enum, default_value_t = KeyType::EcdsaP256, hide_short_help = true)]
    pub key_type: KeyType,

    /// The directory that the account and the certificates are kept in
    ///
    /// By default acme in the directory that systemd keeps (StateDirectory=), or else
    /// innkeeper/acme in ~/.local/state. Servers that share it order each certificate once.
    #[arg(id = "acme_state", long = "acme-state", value_name = "DIR", hide_short_help = true)]
    pub state: Option<PathBuf>,

    /// The authorities that may sign the certificate of the directory's server: PEM
    ///
    /// For an authority of your own. By default those of the system.
    #[arg(id = "acme_ca_file", long = "acme-ca-file", value_name = "FILE", hide_short_help = true)]
    pub ca_file: Option<PathBuf>,

    /// The name of an account that the authority knows already
    ///
    /// Needs --acme-eab-key-file. External account binding, for authorities that want it.
    #[arg(
        id = "acme_eab_kid",
        long = "acme-eab-kid",
        value_name = "KID",
        requires = "acme_eab_key_file",
        hide_short_help = true
    )]
    pub eab_kid: Option<String>,

    /// The file with that account's key, in base64url
    #[arg(
        id = "acme_eab_key_file",
        long = "acme-eab-key-file",
        value_name = "FILE",
        requires = "acme_eab_kid",
        hide_short_help = true
    )]
    pub eab_key_file: Option<PathBuf>,
}

impl AcmeSettings {
    /// The URL of the directory.
    pub fn directory(&self) -> &str {
        match (&self.directory, self.staging) {
            (Some(directory), _) => directory,
            (None, true) => STAGING,
            (None, false) => LETS_ENCRYPT,
        }
    }

    /// What all orders have in common, where these challenges can be answered.
    pub fn options(&self, challenges: Vec<ChallengeKind>) -> acme::Options {
        acme::Options {
            directory: self.directory().to_owned(),
            email: self.email.clone(),
            eab_kid: self.eab_kid.clone(),
            profile: self.profile.clone(),
            key_type: self.key_type,
            challenges,
        }
    }

    /// The directory of the state.
    pub fn state_directory(&self) -> Option<PathBuf> {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let of_systemd = || {
            // Several are separated by colons (systemd.exec(5)).
            let all = variable("STATE_DIRECTORY")?;
            std::env::split_paths(&all).next().map(|first| first.join("acme"))
        };
        let of_user = || {
            let home = || variable("HOME").map(|home| PathBuf::from(home).join(".local/state"));
            let state = variable("XDG_STATE_HOME").map(PathBuf::from).or_else(home)?;
            Some(state.join("innkeeper/acme"))
        };
        self.state.clone().or_else(of_systemd).or_else(of_user)
    }
}

fn name(text: &str) -> Result<Name, String> {
    let text = text.trim();
    let ascii = to_ascii(text).unwrap_or(Cow::Borrowed(text));
    ascii.parse::<Name>().map_err(|error| error.to_string())
}

fn directory(text: &str) -> Result<String, String> {
    let is_url = text.strip_prefix("https://").is_some_and(|rest| !rest.is_empty())
        && text.parse::<::http::Uri>().is_ok();
    match is_url {
        true => Ok(text.to_owned()),
        false => Err("write the URL of an ACME directory, which begins with https://".to_owned()),
    }
}

fn email(text: &str) -> Result<String, String> {
    let text = text.strip_prefix("mailto:").unwrap_or(text);
    let is_address = text.split_once('@').is_some_and(|(user, host)| {
        !user.is_empty() && !host.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
    });
    match is_address {
        true => Ok(text.to_owned()),
        false => Err("write an address, as in admin@example.org".to_owned()),
    }
}
