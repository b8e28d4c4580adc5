//! `innkeeper --check`: the certificates of a server, and what is wrong with them.

use std::time::SystemTime;

use anyhow::anyhow;

use super::findings::Findings;
use super::tls::{client_authorities, pairs, self_signed};
use crate::cli::{Settings, SiteSettings};
use crate::http::Scheme;
use crate::tls::certificates::leaf::Lifetime;
use crate::tls::certificates::{ClientAuth, ClientAuthorities, ClientPolicy, Pair};
use crate::transport::Address;

/// Tells of the certificate that the server makes, if it does.
pub(super) fn check(
    settings: &Settings,
    addresses: &[Address],
    findings: &mut Findings,
) -> anyhow::Result<()> {
    let is_used = addresses.iter().any(|address| address.scheme == Scheme::Https);
    // Beside another one it is a mistake, which is told with that.
    let is_alone = settings.sites().into_iter().all(|site| pairs(settings, site).is_ok());
    match settings.tls.self_signed && is_used && is_alone {
        true => findings.note("certificate", check_self_signed(settings, addresses)),
        false => Ok(()),
    }
}

/// Tells of each certificate of a site whether it can be used, its names, its expiry, and what
/// clients may refuse in it: that is no problem of the start.
pub(super) fn check_pairs(
    settings: &Settings,
    site: &SiteSettings,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    let pairs = match pairs(settings, site) {
        Ok(pairs) => pairs,
        Err(problem) => return findings.note("certificate", Err(problem)),
    };
    for files in &pairs {
        let pair = match Pair::load(files) {
            Ok(pair) => pair,
            Err(problem) => {
                findings.note("certificate", Err(anyhow!(problem)))?;
                continue;
            }
        };
        let (path, now) = (files.certificate.display(), SystemTime::now());
        findings.note("certificate", Ok(format!("{path}: {}", pair.summary(now))))?;
        let lifetime = match pair.leaf.lifetime(now) {
            Lifetime::Early => Some("it is not valid yet: clients refuse it"),
            Lifetime::Valid(_) => None,
            Lifetime::Due(_) => Some("less than a third of its lifetime is left: renew it"),
            Lifetime::Expired(_) => Some("it has expired: clients refuse it"),
        };
        let lifetime = lifetime.map(str::to_owned);
        let problems = pair.problems.iter().map(ToString::to_string);
        for warning in lifetime.into_iter().chain(problems) {
            findings.note("", Ok(format!("warning: {path}: {warning}")))?;
        }
    }
    Ok(())
}

/// Tells of the authorities of certificates of clients.
pub(super) fn check_client_authorities(
    settings: &Settings,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    match client_authorities(settings) {
        Ok(Some(authorities)) => findings.note("client CA", check_authorities(&authorities)),
        Ok(None) => Ok(()),
        Err(problem) => findings.note("client CA", Err(problem)),
    }
}

fn check_self_signed(settings: &Settings, addresses: &[Address]) -> anyhow::Result<String> {
    let directory = settings.code_directory();
    let made = self_signed(addresses, directory.as_deref())?;
    Ok(match made.kept() {
        Some(pair) => {
            let (path, summary) =
                (pair.files.certificate.display(), pair.summary(SystemTime::now()));
            format!("{path}, self-signed: {summary}")
        }
        None => format!("self-signed, to be made at the start: {}", made.names().join(", ")),
    })
}

fn check_authorities(authorities: &ClientAuthorities) -> anyhow::Result<String> {
    let count = ClientAuth::load(authorities)?.authorities;
    let policy = match authorities.policy {
        ClientPolicy::Wanted => "a client may have a certificate of one",
        ClientPolicy::Required => "a client must have a certificate of one",
    };
    let plural = if count == 1 { "y" } else { "ies" };
    Ok(format!("{}: {count} authorit{plural}, {policy}", authorities.file.display()))
}
