//! `innkeeper --check`: what one site names. Its root is opened, its guest is compiled and validated with its
//! cases, and its log could be written.

use std::sync::Arc;

use anyhow::{Context, anyhow};

use super::check_tls::check_pairs;
use super::engine::{self, Compilation};
use super::findings::Findings;
use super::guest::{GuestSource, name, source_with};
use super::open_root::open_root;
use super::root::is_meant;
use super::sites::logs;
use crate::cli::{Settings, SiteSettings};
use crate::files::Files;
use crate::guest::origin::Origin;
use crate::guest::validation::cases::CaseFile;
use crate::guest::validation::validate::{Validated, validate};
use crate::guest::{DecisionLimits, Engine};
use crate::named_file;

/// Checks one of several sites.
pub(super) fn check_site(
    settings: &Settings,
    site: &SiteSettings,
    trial: &mut Trial<'_>,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    findings.begin(&site.identity.name, &site.identity.to_string())?;
    let root = check_root(settings, site, findings)?;
    check_pairs(settings, site, findings)?;
    trial.check_guest(site, root.as_deref(), findings)?;
    findings.note("access log", check_access_log(site))
}

/// Gives the root of a site if it can be opened.
pub(super) fn check_root(
    settings: &Settings,
    site: &SiteSettings,
    findings: &mut Findings,
) -> anyhow::Result<Option<Arc<Files>>> {
    let open = || {
        is_meant(site)?;
        let (options, sizes) = (settings.file_options(site), settings.cache.sizes());
        open_root(&site.root, options, sizes, settings.worker_count())
    };
    let (found, root) = match open() {
        Ok((_, files)) => {
            let path = std::path::absolute(&site.root).unwrap_or_else(|_| site.root.clone());
            let directory = files.directory();
            let leads_to = match directory == path {
                true => String::new(),
                false => format!(", which is {} now", directory.display()),
            };
            (Ok(format!("{}{leads_to}", path.display())), Some(files))
        }
        Err(problem) => (Err(problem), None),
    };
    findings.note("root", found)?;
    Ok(root)
}

/// Where the log of a site goes.
pub(super) fn check_access_log(site: &SiteSettings) -> anyhow::Result<String> {
    logs::fields_are_written(site)?;
    match (site.log.access_format(), &site.log.access_file) {
        (None, _) => Ok("off".to_owned()),
        (Some(_), None) => Ok("standard output".to_owned()),
        (Some(_), Some(path)) => {
            let shown = path.display();
            named_file::can_append(path)
                .with_context(|| format!("cannot write the log {shown}"))?;
            Ok(shown.to_string())
        }
    }
}

/// Tries the guests of sites. Nothing that was compiled or validated before is used, and nothing of
/// it is kept.
pub(super) struct Trial<'s> {
    settings: &'s Settings,
    /// Engines that compile here, and in helpers, made when they are needed.
    here: Option<Arc<Engine>>,
    in_helpers: Option<Arc<Engine>>,
    /// What became of the built-in guest with these limits, which most sites have.
    built_in: Option<(DecisionLimits, String)>,
}

impl<'s> Trial<'s> {
    /// One for the sites of these settings.
    pub(super) fn new(settings: &'s Settings) -> Trial<'s> {
        Trial { settings, here: None, in_helpers: None, built_in: None }
    }

    /// Tries the guest of a site with its cases. Without the root, which could not be opened, the
    /// site has no rules of its own.
    pub(super) fn check_guest(
        &mut self,
        site: &SiteSettings,
        root: Option<&Files>,
        findings: &mut Findings,
    ) -> anyhow::Result<()> {
        let mut cases = Vec::new();
        for path in &site.guest.cases {
            match CaseFile::read(path) {
                Ok(_) => cases.push(path.clone()),
                Err(error) => findings.note("cases", Err(error.into()))?,
            }
        }
        let read = || {
            let GuestSource { source, .. } = source_with(site, root, &cases)?;
            let offer = source.read()?;
            Ok((name(&*source, &offer), offer))
        };
        let (name, offer) = match read() {
            Ok(read) => read,
            Err(problem) => return findings.note("guest", Err(problem)),
        };
        let is_built_in = offer.origin == Origin::BuiltIn && cases.is_empty();
        let limits = site.guest.limits.limits();
        if let Some((_, told)) = self.built_in.as_ref().filter(|it| is_built_in && it.0 == limits) {
            return findings.note("guest", Ok(told.clone()));
        }
        let engine = self.engine(offer.origin != Origin::BuiltIn)?;
        let tried = validate(&engine, &offer, limits)
            .map(|Validated { guest, report, compile, check }| {
                format!(
                    "{name} ({}), compiled in {compile:.1?}, validated on {} request lines and {} \
                     cases in {check:.1?}",
                    guest.digest(),
                    report.lines,
                    report.cases
                )
            })
            .map_err(|error| anyhow!("{name} is rejected: {error}"));
        if let (Ok(told), true) = (&tried, is_built_in) {
            self.built_in = Some((limits, told.clone()));
        }
        findings.note("guest", tried)
    }

    fn engine(&mut self, needs_helpers: bool) -> anyhow::Result<Arc<Engine>> {
        let kept = if needs_helpers { &mut self.in_helpers } else { &mut self.here };
        if let Some(engine) = kept {
            return Ok(Arc::clone(engine));
        }
        let settings = self.settings;
        let workers = settings.worker_count();
        let prepared = engine::prepare(settings.guest_limits(), workers, Compilation::Whole)?;
        let helpers = engine::start_helpers(needs_helpers)?;
        let engine = engine::start(prepared)?;
        let limits = settings.guest.limits.compile_limits();
        let engine = Arc::new(engine::with_helpers(engine, limits, helpers));
        *kept = Some(Arc::clone(&engine));
        Ok(engine)
    }
}
