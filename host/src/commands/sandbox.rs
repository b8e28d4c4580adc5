//! What a server gives up before it serves, and what it needs for that.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};

use super::open::Opened;
use super::root_links::beneath_links;
use super::sites::open::OpenedSite;
use crate::cli::settings::request_log::AccessLog;
use crate::cli::{Settings, SiteSettings};
use crate::helper;
use crate::sandbox::opener::{How, Named};
use crate::sandbox::{self, Needs, Refusals, Role, Sandbox, SandboxError};
use crate::tls::certificates::Store;

/// The files that are opened again by their names: guests, their data and cases, and certificates with
/// their keys, which others replace, and logs, which are moved away.
fn named(settings: &Settings, opened: &Opened) -> Vec<Named> {
    // Those that are ordered are read in their folder.
    let options = opened.certificates.as_deref().map(Store::options);
    let certificates = options.iter().flat_map(|options| options.named_files());
    let of_sites = opened.sites.iter().flatten().flat_map(OpenedSite::by_name);
    // A broken site is tried again, and sites are read again.
    let several = (!settings.sites.is_empty()).then_some(settings);
    let config = several.and_then(|settings| settings.config.clone());
    let of_settings = several.into_iter().flat_map(|settings| &settings.sites);
    let of_settings = of_settings.flat_map(SiteSettings::files_by_name);
    let of_sites = of_sites.chain(of_settings);
    let read = of_sites.cloned().chain(config).chain(certificates.map(Path::to_owned));
    let mut sites = settings.sites();
    // What is for no site has a log of its own.
    sites.push(&settings.site);
    let append = sites.into_iter().filter(|site| site.log.access != AccessLog::Off);
    let append = append.filter_map(|site| site.log.access_file.clone());
    let read = read.map(|path| (path, How::Read));
    let all = read.chain(append.map(|path| (path, How::Append)));
    let mut seen = HashSet::new();
    all.filter(|file| seen.insert(file.clone())).collect()
}

/// Enters the sandbox: to be called when all is open, and before there are threads.
pub(super) fn enter(
    settings: &Settings,
    opened: &Opened,
    code_cache: Option<&Path>,
) -> anyhow::Result<Sandbox> {
    let files = named(settings, opened);
    let by_name = files.iter().map(|(path, _)| path.clone()).collect();
    if !files.is_empty() {
        helper::start_opener(files).context(
            "cannot start the process that opens files by their names: this program must be able \
             to run itself again, by /proc/self/exe (--no-sandbox needs none)",
        )?;
    }
    // One that is not there cannot be allowed: it comes to be below a folder of --allow-read.
    let sites = settings.sites().into_iter().zip(&opened.sites);
    let roots = sites.filter(|(_, opened)| opened.is_ok()).map(|(site, _)| site.root.clone());
    let mut roots: Vec<_> = roots.collect();
    let mut seen = HashSet::new();
    roots.retain(|root| seen.insert(root.clone()));
    let of_links = roots.iter().flat_map(|root| beneath_links(root)).collect::<Vec<_>>();
    let mut needs = Needs { read: roots, by_name, ..Needs::default() };
    let mut seen: HashSet<_> = needs.read.iter().cloned().collect();
    needs.read.extend(of_links.into_iter().filter(|folder| seen.insert(folder.clone())));
    needs.read.extend(settings.sandbox.allow_read.iter().cloned());
    needs.read.extend(opened.acme.iter().flat_map(|acme| acme.folder.readable(&acme.names)));
    needs.remove.extend(opened.admin_file.iter().map(|file| file.directory().to_owned()));
    needs.write.extend(code_cache.map(Path::to_owned));
    needs.remove.extend(opened.server.socket_directories().map(Path::to_owned));
    for folder in &needs.write {
        warn_of_others_in(folder);
    }
    let refusals = if settings.sandbox.report { Refusals::Reported } else { Refusals::Silent };
    let sandbox = sandbox::enter(Role::Server(&needs), refusals).map_err(|error| match error {
        SandboxError::Path(path, error) if settings.sandbox.allow_read.contains(&path) => {
            anyhow!(
                "cannot open {} (--allow-read): {error}; make that folder, or do not name it",
                path.display()
            )
        }
        error => {
            anyhow!("cannot enter the sandbox (--no-sandbox goes without): {error}")
        }
    })?;
    let shown = |paths: Vec<PathBuf>| {
        paths.into_iter().map(|path| std::path::absolute(&path).unwrap_or(path)).collect()
    };
    let Sandbox { files, calls, reads, writes, by_name } = sandbox;
    let (reads, writes, by_name) = (shown(reads), shown(writes), shown(by_name));
    Ok(Sandbox { files, calls, reads, writes, by_name })
}

/// Logs what the sandbox allows.
pub(super) fn report(sandbox: Option<&Sandbox>) {
    let Some(sandbox) = sandbox else { return tracing::info!("sandbox is off") };
    // As in PATH.
    let list = |paths: &[PathBuf]| {
        let paths: Vec<_> = paths.iter().map(|path| path.to_string_lossy()).collect();
        (!paths.is_empty()).then(|| paths.join(":"))
    };
    let (files, calls) = (sandbox.files.name(), sandbox.calls.name());
    let (read, write, by_name) =
        (list(&sandbox.reads), list(&sandbox.writes), list(&sandbox.by_name));
    if sandbox.is_whole() {
        tracing::info!(files, calls, read, write, by_name, "sandbox is on");
    } else {
        tracing::warn!(
            files,
            calls,
            read,
            write,
            by_name,
            "sandbox is on as far as this kernel knows how"
        );
    }
}

/// The server may read, change and remove all files in the directory of compiled guests, and
/// beneath: those of a home directory, say, or of `/`.
fn warn_of_others_in(folder: &Path) {
    let path = tracing::field::display(folder.display());
    match has_others(folder) {
        Ok(false) => {}
        Ok(true) => tracing::warn!(
            path,
            "code cache directory holds other files, which the server may change"
        ),
        Err(error) => tracing::warn!(path, %error, "cannot list code cache directory"),
    }
}

fn has_others(folder: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        if !is_ours(&name.to_string_lossy()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a file of this name is a compiled guest, or a certificate that the server made.
fn is_ours(name: &str) -> bool {
    name.contains(".cwasm") || name.starts_with("self-signed")
}
