//! The guest that a command names with its data, or the built-in one.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{anyhow, bail};
use bytesize::ByteSize;
use innkeeper_guest::rules::Table;

use super::open_root::open_root;
use super::{progress, rules};
use crate::cli::command::RuleArguments;
use crate::cli::settings::rules::RulesSettings;
use crate::cli::{Settings, SiteSettings};
use crate::files::{CacheSizes, Files, Options};
use crate::guest::offer::Offer;
use crate::guest::origin::Origin;
use crate::guest::{Engine, LoadedGuest};
use crate::release::guest_files::{self, GuestFiles};
use crate::release::source::Source;
use crate::rules::RulesSource;
use crate::text::escaped;

/// Where the guests of a site come from: the guest that is named, or rules.
pub(super) struct GuestSource {
    /// Whichever it is.
    pub(super) source: Arc<dyn Source>,
    /// The rules, if it is that.
    pub(super) rules: Option<Arc<RulesSource>>,
    /// The files that are opened by their names.
    pub(super) by_name: Vec<PathBuf>,
}

/// Where the guests of a site come from. Its root is open.
pub(super) fn source(site: &SiteSettings, files: &Files) -> anyhow::Result<GuestSource> {
    source_with(site, Some(files), &site.guest.cases)
}

/// Where they come from, with these cases, as far as that is known without a root.
pub(super) fn source_with(
    site: &SiteSettings,
    files: Option<&Files>,
    cases: &[PathBuf],
) -> anyhow::Result<GuestSource> {
    let guest = &site.guest;
    rules::excludes_guest(guest.file.as_deref(), guest.data.as_deref(), &site.rules)?;
    if guest.file.is_some() || guest.data.is_some() {
        let source = named(guest.file.as_deref(), guest.data.as_deref(), cases)?;
        let by_name = source.paths();
        return Ok(GuestSource { source: Arc::new(source), rules: None, by_name });
    }
    let root = files.map(|files| (site.root.as_path(), files));
    let files = rules::files(&site.rules, root);
    let source = Arc::new(RulesSource::new(files, cases.to_vec()).logging());
    let by_name = source.by_name();
    Ok(GuestSource { source: Arc::clone(&source) as _, rules: Some(source), by_name })
}

/// Whether a server with these settings may compile another guest than the plain built-in one. A
/// site may get rules while it is served.
pub(super) fn may_compile(settings: &Settings) -> bool {
    settings.admin.listen.is_some() || settings.sites().into_iter().any(may_have_other)
}

/// Whether this site may get another guest than the plain built-in one.
pub(super) fn may_have_other(site: &SiteSettings) -> bool {
    let rules = &site.rules;
    site.guest.file.is_some() || !rules.no_site_rules || rules.stated().next().is_some()
}

/// What a command works on: the guest that it names, or rules, or the built-in guest.
pub(super) struct Named {
    /// Its name for messages.
    pub(super) name: String,
    /// The guest with its data and cases.
    pub(super) offer: Offer,
    /// The rules, if they decide.
    pub(super) table: Option<Table>,
    /// What may be wrong with the rules, each as one line with its place.
    pub(super) warnings: Vec<String>,
    /// The files that it is made of.
    pub(super) files: Vec<PathBuf>,
}

impl Named {
    /// Whether it is compiled by a helper.
    pub(super) fn needs_helpers(&self) -> bool {
        self.offer.origin != Origin::BuiltIn
    }
}

/// Reads what a command names.
pub(super) fn read(
    guest: Option<&Path>,
    data: Option<&Path>,
    cases: &[PathBuf],
    rules: &RuleArguments,
) -> anyhow::Result<Named> {
    let root = rules.root.as_deref();
    let files = root
        .map(|root| open_root(root, Options::default(), CacheSizes::default(), NonZeroUsize::MIN));
    let files = files.transpose()?.map(|(_, files)| files);
    read_in(guest, data, cases, &rules.rules, root.zip(files.as_deref()))
}

/// The same with a root that is open.
pub(super) fn read_in(
    guest: Option<&Path>,
    data: Option<&Path>,
    cases: &[PathBuf],
    settings: &RulesSettings,
    root: Option<(&Path, &Files)>,
) -> anyhow::Result<Named> {
    rules::excludes_guest(guest, data, settings)?;
    if guest.is_some() || data.is_some() {
        let source = named(guest, data, cases)?;
        let (offer, files) = (source.read()?, source.paths());
        let (table, warnings) = (None, Vec::new());
        return Ok(Named { name: name(&source, &offer), offer, table, warnings, files });
    }
    let source = RulesSource::new(rules::files(settings, root), cases.to_vec());
    let (offer, gathered) = source.read_rules()?;
    let (warnings, files) = (gathered.warnings(), source.paths());
    let table = (offer.origin == Origin::Rules).then_some(gathered.table);
    Ok(Named { name: name(&source, &offer), offer, table, warnings, files })
}

/// The name of what a source offers, for messages.
pub(super) fn name(source: &dyn Source, offer: &Offer) -> String {
    let Some(name) = source.name().filter(|_| offer.origin != Origin::BuiltIn) else {
        return "the built-in guest".to_owned();
    };
    let data = offer.data_path().map(|path| path.display().to_string());
    guest_files::shown(&name, data.as_deref()).into_owned()
}

/// The files of a guest.
fn named(
    guest: Option<&Path>,
    data: Option<&Path>,
    cases: &[PathBuf],
) -> anyhow::Result<GuestFiles> {
    if let (Some(data), None) = (data, guest) {
        bail!(
            "the data in {} (--data) is for a guest that reads it: name the guest, or leave out \
             the data",
            data.display()
        );
    }
    Ok(GuestFiles {
        guest: guest.map(Path::to_owned),
        data: data.map(Path::to_owned),
        cases: cases.to_vec(),
    })
}

/// What compiling it is, in words: how large it is says how long that takes.
pub(super) fn compiling(name: &str, offer: &Offer) -> String {
    format!("compiling {} ({})", escaped(name), ByteSize(offer.guest.len() as u64).display().iec())
}

/// Loads a guest to try it, on an engine of its own.
pub(super) fn load(name: &str, offer: &Offer, engine: Engine) -> anyhow::Result<LoadedGuest> {
    let engine = Arc::new(engine);
    let load = || LoadedGuest::load_with(&engine, &offer.guest, offer.data_bytes());
    progress::during(compiling(name, offer), load)
        .map_err(|error| anyhow!("cannot load {name}: {error}"))
}
