//! `innkeeper --check`: whether a server would start with this configuration.
//!
//! What it names is opened, the guest is compiled and validated with its cases, and each address
//! is bound for a moment. Nothing is served, and no file is made or changed. All problems are
//! reported, and not the first alone.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, anyhow};

use super::acme;
use super::check_site::{Trial, check_access_log, check_root, check_site};
use super::check_tls;
use super::client_buckets;
use super::findings::Findings;
use super::listeners::{Listeners, overlap};
use super::open::{read_access, token_has_an_address};
use super::own_files::{self, code_cache_is_elsewhere};
use super::root_links::beneath_links;
use super::stdout::print;
use super::worst_case;
use crate::admin::access::Access;
use crate::cli::Settings;
use crate::guest::runtime::code_cache::CodeCache;
use crate::server::{self, Address, Reserved};
use crate::transport::ListenAddress;
use crate::transport::endpoint::Bound;
use crate::transport::listener::{explain, try_bind};
use crate::unprivileged::Account;

/// Checks everything. Succeeds if a server would start.
pub fn run(settings: &Settings) -> anyhow::Result<ExitCode> {
    let mut findings = Findings::default();
    // As at the start: addresses first, and the rest as the user that the server becomes.
    let bound = settings.account().map(|account| become_user(settings, account, &mut findings));
    let bound = bound.transpose()?;
    let mut trial = Trial::new(settings);
    // The one site is among the rest, several come behind it.
    let one = settings.sites.is_empty().then_some(&settings.site);
    let root = one.map(|site| check_root(settings, site, &mut findings)).transpose()?;
    for line in own_files::described(settings) {
        findings.note("beneath", Ok(line))?;
    }
    let (addresses, paths) = match bound {
        Some(bound) => bound,
        None => check_listeners(settings, &mut findings)?,
    };
    check_tls::check(settings, &addresses, &mut findings)?;
    match acme::check(settings, &addresses) {
        Ok(lines) => lines.into_iter().try_for_each(|line| findings.note("acme", Ok(line)))?,
        Err(problem) => findings.note("acme", Err(problem))?,
    }
    if let Some(site) = one {
        check_tls::check_pairs(settings, site, &mut findings)?;
    }
    check_tls::check_client_authorities(settings, &mut findings)?;
    let connections = possible_connections(settings, addresses.len() + paths.len());
    let all = settings.limits.max_connections.get();
    let possible = connections.as_ref().copied().unwrap_or(all);
    findings.note("connections", connections.map(|_| describe_connections(possible, all)))?;
    check_bucket_key(settings, &mut findings)?;
    if let (Some(site), Some(root)) = (one, root) {
        trial.check_guest(site, root.as_deref(), &mut findings)?;
    }
    findings.note("code cache", check_code_cache(settings))?;
    if let Some(site) = one {
        findings.note("access log", check_access_log(site))?;
    }
    if settings.account().is_none() {
        check_admin(settings, (&addresses, &paths), &mut findings)?;
    }
    check_sandbox(settings, &mut findings)?;
    for site in &settings.sites {
        check_site(settings, site, &mut trial, &mut findings)?;
    }
    findings.end_of_sites();
    print(format_args!(
        "\nmemory, at most:\n{}\n",
        worst_case::describe(&worst_case::parts(settings, &addresses, possible))
    ))?;
    match findings.problems {
        0 => findings.note("verdict", Ok("a server would start".to_owned()))?,
        1 => findings.note("verdict", Ok("1 problem".to_owned()))?,
        count => findings.note("verdict", Ok(format!("{count} problems")))?,
    }
    Ok(if findings.problems == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Checks what takes privileges, and gives them up. Gives the addresses and paths that count.
fn become_user(
    settings: &Settings,
    account: &Account,
    findings: &mut Findings,
) -> anyhow::Result<(Vec<Address>, Vec<PathBuf>)> {
    let (addresses, paths) = check_listeners(settings, findings)?;
    check_admin(settings, (&addresses, &paths), findings)?;
    let state = settings.orders_certificates().then(|| settings.acme_directory()).flatten();
    let owned = state.map_or(Ok(()), |state| account.owns(&state).context("--acme-state"));
    let outcome = owned.and_then(|()| Ok(account.assume()?));
    findings.note("user", outcome.map(|()| account.name.clone()))?;
    Ok((addresses, paths))
}

fn check_bucket_key(settings: &Settings, findings: &mut Findings) -> anyhow::Result<()> {
    let Some(key) = &settings.guest.client_bucket_key else { return Ok(()) };
    let found = client_buckets::open(Some(key)).map(|_| key.display().to_string());
    findings.note("bucket key", found)
}

/// Gives the addresses and paths that count.
fn check_listeners(
    settings: &Settings,
    findings: &mut Findings,
) -> anyhow::Result<(Vec<Address>, Vec<PathBuf>)> {
    let listeners = match Listeners::find(settings) {
        Ok(listeners) => listeners,
        Err(error) => {
            findings.note("listen", Err(error))?;
            return Ok((Vec::new(), Vec::new()));
        }
    };
    let (addresses, paths) = (listeners.addresses(), listeners.paths());
    match &listeners {
        Listeners::Set(..) => {
            for &address in &addresses {
                findings.note("listen", check_address(address, &addresses))?;
            }
            for path in &paths {
                let address = ListenAddress::Unix(path.clone());
                findings.note("listen", check_path(&address))?;
            }
        }
        Listeners::Passed(_) => {
            let paths = paths.iter().map(|path| format!("unix:{}", path.display()));
            for address in addresses.iter().map(ToString::to_string).chain(paths) {
                let passed = format!("{address}, which the service manager passes");
                findings.note("listen", Ok(passed))?;
            }
        }
    }
    for problem in listeners.problems(settings) {
        findings.note("listen", Err(problem))?;
    }
    Ok((addresses, paths))
}

/// An address that is in use is no problem: maybe the server that this one is to replace has it.
/// nginx -t does the same. Nor is one of IPv6 that the server would do without.
fn check_address(address: Address, all: &[Address]) -> anyhow::Result<String> {
    match try_bind(address.socket) {
        Ok(()) => Ok(address.to_string()),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            Ok(format!("{address}, which is in use: its server must stop before this one starts"))
        }
        Err(error) if server::lacks_ipv6(address.socket, &error, all) => {
            Ok(format!("{address}, which is left out: the machine has no IPv6"))
        }
        Err(error) => Err(explain(address.socket, error)),
    }
}

fn check_path(address: &ListenAddress) -> anyhow::Result<String> {
    match Bound::check(address).context("--listen")? {
        true => Ok(address.to_string()),
        false => {
            Ok(format!("{address}, which is in use: its server must stop before this one starts"))
        }
    }
}

fn possible_connections(settings: &Settings, listeners: usize) -> anyhow::Result<usize> {
    let wanted = settings.limits.max_connections;
    let reserved = Reserved { listeners, sites: settings.sites().len() };
    server::possible_connections(wanted, settings.worker_count(), reserved)
}

fn describe_connections(possible: usize, wanted: usize) -> String {
    match possible < wanted {
        true => format!(
            "{possible} at a time: for {wanted} the process needs to open more files (ulimit -n)"
        ),
        false => format!("{possible} at a time"),
    }
}

/// Without a setting the server does without the directory where it is not usable.
fn check_code_cache(settings: &Settings) -> anyhow::Result<String> {
    let Some(directory) = settings.code_directory() else { return Ok("none".to_owned()) };
    code_cache_is_elsewhere(settings)?;
    // Where the user is changed root makes it.
    if settings.account().is_some() && !directory.exists() {
        return Ok(directory.display().to_string());
    }
    match CodeCache::check(&directory) {
        Ok(()) => Ok(directory.display().to_string()),
        Err(problem) if settings.cache.code.is_some() => Err(anyhow!(problem)),
        Err(problem) => Ok(format!("none: {problem}")),
    }
}

fn check_admin(
    settings: &Settings,
    (addresses, paths): (&[Address], &[PathBuf]),
    findings: &mut Findings,
) -> anyhow::Result<()> {
    let Some(address) = &settings.admin.listen else {
        return findings.note("admin", token_has_an_address(settings).map(|()| "none".to_owned()));
    };
    let access = read_access(settings, address).map(|access| match access {
        Access::Open => "a client that can open the socket may change the guest",
        Access::Token(_) => "a change of the guest requires the token",
        Access::ReadOnly => "the guest cannot be changed",
    });
    findings.note("admin", access.map(|access| format!("{address}: {access}")))?;
    let same = match address {
        // It is told among the addresses.
        ListenAddress::Tcp(admin) if addresses.iter().any(|a| overlap(a.socket, *admin)) => {
            return Ok(());
        }
        ListenAddress::Tcp(_) => None,
        ListenAddress::Unix(admin) => {
            paths.contains(admin).then(|| (address.to_string(), "--listen", address.to_string()))
        }
    };
    if let Some((admin, flag, other)) = same {
        let problem = anyhow!("--admin {admin} is the address of {flag} {other}; choose another");
        return findings.note("admin", Err(problem));
    }
    match Bound::check(address) {
        Ok(true) => Ok(()),
        Ok(false) => findings.note(
            "admin",
            Ok(format!("{address} is in use: its server must stop before this one starts")),
        ),
        Err(error) => findings.note("admin", Err(anyhow!(error).context("--admin"))),
    }
}

fn check_sandbox(settings: &Settings, findings: &mut Findings) -> anyhow::Result<()> {
    if settings.sandbox.disabled {
        return findings.note("sandbox", Ok("off".to_owned()));
    }
    for path in &settings.sandbox.allow_read {
        if let Err(error) = fs::metadata(path) {
            let problem = anyhow!(
                "cannot open {} (--allow-read): {error}; make that folder, or do not name it",
                path.display()
            );
            findings.note("sandbox", Err(problem))?;
        }
    }
    let links = settings.sites().into_iter().flat_map(|site| beneath_links(&site.root));
    let links: Vec<_> = links.map(|folder| folder.display().to_string()).collect();
    let more = match links.is_empty() {
        true => String::new(),
        false => format!("; the root is a link, so it may read {}", links.join(", ")),
    };
    findings.note("sandbox", Ok(format!("on once everything is open{more}")))
}
