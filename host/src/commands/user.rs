//! The user that a server becomes once its addresses are bound, and what that user needs.

use std::fs::File;

use anyhow::{Context, anyhow};

use crate::cli::Settings;
use crate::unprivileged::{self, Account};

/// Makes the directories of the user that the settings name, and becomes it. To be called when all
/// is bound, and before any other file is opened: so what that user cannot open is told at the
/// start, and not when it changes. Tells the user, if there is one.
pub(super) fn assume(settings: &Settings) -> anyhow::Result<Option<&Account>> {
    let Some(account) = settings.account() else { return Ok(None) };
    if unprivileged::is_root() {
        make_directories(settings, account)?;
    }
    account.assume()?;
    let Account { name, user, group, .. } = account;
    tracing::info!(name, user, group, "server runs as this user");
    let config = settings.config.as_ref().filter(|_| !settings.sites.is_empty());
    if let Some(Err(error)) = config.map(File::open) {
        tracing::warn!(name, %error, "configuration cannot be read again by this user");
    }
    Ok(Some(account))
}

/// Warns of a server that stays root, unless that is meant.
pub(super) fn warn_of_root(settings: &Settings) {
    if unprivileged::is_root() && settings.user.is_none() {
        tracing::warn!(
            advice = "--user www-data, or another user that can read the site",
            "server runs as root"
        );
    }
}

/// As root: where they are made, users may not.
fn make_directories(settings: &Settings, account: &Account) -> anyhow::Result<()> {
    let state = settings.orders_certificates().then(|| settings.acme_directory()).flatten();
    if let Some(path) = state {
        let path = std::path::absolute(path)?;
        account.make_directory(&path).map_err(|error| anyhow!(error)).context("--acme-state")?;
    }
    if let Some(path) = settings.code_directory() {
        let made = account.make_directory(&std::path::absolute(path)?);
        // Without one that is set the server does not start, and it says so.
        if let (Err(error), Some(_)) = (made, &settings.cache.code) {
            return Err(anyhow!(error).context("--code-cache"));
        }
    }
    Ok(())
}

/// What an error is that such a user meets.
pub(super) fn as_user<T>(
    account: Option<&Account>,
    outcome: anyhow::Result<T>,
) -> anyhow::Result<T> {
    match account {
        Some(account) => outcome.with_context(|| format!("as the user {} (--user)", account.name)),
        None => outcome,
    }
}
