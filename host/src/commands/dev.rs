//! `innkeeper dev`: serves while a guest is edited.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;

use super::serve::serve;
use crate::cli::{Configuration, DevArguments};
use crate::dev::Dev;
use crate::dev::sources::Sources;

/// Builds the guest, and serves until a signal says to stop: also if the build fails.
pub fn run(configuration: &Configuration, arguments: &DevArguments) -> anyhow::Result<ExitCode> {
    let effective = &configuration.effective;
    if let Some(first) = arguments.serve.sites.first() {
        bail!(
            "innkeeper dev serves one site, and the configuration has several: serve one of them, as in: \
             innkeeper dev {}",
            first.root.display()
        );
    }
    let mut paths = arguments.source.clone();
    if paths.is_empty() && Path::new("src").is_dir() {
        paths.push(PathBuf::from("src"));
    }
    if paths.is_empty() && arguments.build.is_some() {
        tracing::warn!("no source is watched, name one with --source");
    }
    let settings = &arguments.serve;
    let build = arguments.build.clone();
    let sources = Sources { root: settings.site.root.clone(), paths, build };
    let dev = Dev::new(sources.build_first());
    serve(settings, effective, Some((sources, dev)))
}
