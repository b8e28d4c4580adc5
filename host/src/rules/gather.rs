//! Reads all rules of a site, from flags to `_headers`, and makes one table of them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use innkeeper_guest::rules::lint::Finding;
use innkeeper_guest::rules::{Place, Rules, Table};

use super::error::{RulesError, WrongRule};
use super::kept::Kept;
use super::lint::lint;
use super::missing::{self, MissingPage};
use super::part::{Named, Part, Passing, merge};
use super::problem::Problem;
use super::site::FILE_BYTES;
use super::site_root::SiteRoot;
use super::{file, site, users};
use crate::files::Files;
use crate::foreign_pattern;
use crate::guest::digest::Digest;
use crate::guest::validation::cases::CaseFile;
use crate::lock::lock;
use crate::named_file;

/// Where rules come from.
pub struct RuleFiles {
    /// Rules of flags and settings.
    pub given: Vec<Named>,
    /// Who passes maintenance.
    pub passing: Passing,
    /// Files of rules.
    pub files: Vec<PathBuf>,
    /// The root, if it is known: files of rules beneath it are not served.
    pub root: Option<SiteRoot>,
    /// What files of rules were, if they are emptied.
    pub kept: KeptFiles,
}

/// What files of rules were a moment ago.
#[derive(Default)]
pub struct KeptFiles(Mutex<HashMap<PathBuf, Kept<String>>>);

impl KeptFiles {
    /// The text of a file of rules: what it was before, if it was emptied a moment ago.
    fn text(&self, path: &Path) -> Result<String, RulesError> {
        let mut all = lock(&self.0);
        let kept = all.entry(path.to_owned()).or_default();
        match named_file::read_text(path, FILE_BYTES) {
            Ok(text) => Ok(kept.update(Some(text)).cloned().unwrap_or_default()),
            Err(error) => {
                kept.unreadable();
                Err(RulesError::File(path.to_owned(), error))
            }
        }
    }
}

/// Rules that were read.
#[derive(Debug, Default)]
pub struct Gathered {
    /// All of them.
    pub table: Table,
    /// The cases of files of rules.
    pub cases: Vec<CaseFile>,
    /// What may be wrong with rules, although they can be obeyed.
    pub findings: Vec<Finding>,
    /// Pages of rules that the root does not have.
    pub missing: Vec<MissingPage>,
    /// How many rules each source has, in order of precedence.
    pub counts: Vec<Count>,
    /// Whether there is any source of rules, although it may be empty.
    pub is_stated: bool,
}

/// How many rules a source has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// The source.
    pub source: String,
    /// Redirects, rewrites and error pages.
    pub redirects: usize,
    /// Rules for response fields.
    pub headers: usize,
    /// Other rules.
    pub others: usize,
}

impl Gathered {
    /// All that may be wrong with the rules, each as one line with its place.
    pub fn warnings(&self) -> Vec<String> {
        let findings = self.findings.iter();
        let findings = findings.map(|finding| finding.shown(&self.table.sources).to_string());
        findings.chain(self.missing.iter().map(MissingPage::text)).collect()
    }
}

impl RuleFiles {
    /// The files that are opened by their names, as far as they are known without reading any.
    pub(super) fn by_name(&self) -> Vec<PathBuf> {
        let users = self.given.iter().flat_map(|named| &named.part.user_files);
        self.files.iter().chain(users.map(|(_, file)| file)).cloned().collect()
    }

    /// The files of the site, whether or not they are there.
    pub(super) fn of_site(&self) -> Vec<PathBuf> {
        let site = self.root.iter().filter(|root| root.is_obeyed());
        site.flat_map(|root| site::NAMES.map(|name| root.file(name))).collect()
    }

    /// The same as messages name them.
    pub(super) fn of_site_shown(&self) -> Vec<String> {
        self.of_site().iter().map(|path| path.display().to_string()).collect()
    }

    /// Has the path of the root lead to these files from now on.
    pub(super) fn set_root(&self, files: &Files) {
        if let Some(root) = &self.root {
            root.replace(files.reader());
        }
    }

    /// The sources that are there now, in order of precedence.
    pub(super) fn sources(&self) -> Vec<String> {
        let given = self.given.iter().map(|named| named.source.clone());
        let files = self.files.iter().map(|path| path.display().to_string());
        let of_site = self.of_site().into_iter().filter(|path| path.symlink_metadata().is_ok());
        let of_site = of_site.map(|path| path.display().to_string());
        let mut all: Vec<_> = given.chain(files).chain(of_site).collect();
        all.dedup();
        all
    }

    /// The files of passwords that files of rules name.
    pub(super) fn named_users(&self) -> Vec<PathBuf> {
        let read = |path: &PathBuf| parse_file(path, &self.kept.text(path).ok()?).ok();
        let parts = self.files.iter().filter_map(read);
        parts.flat_map(|(part, _)| part.user_files).map(|(_, file)| file).collect()
    }

    /// How long until rules of a file that is missing or empty end, with a reading.
    pub(super) fn due_in(&self) -> Option<Duration> {
        let site = self.root.as_ref().and_then(SiteRoot::due_in);
        lock(&self.kept.0).values().filter_map(Kept::due_in).chain(site).min()
    }

    /// Forgets what files were a moment ago.
    pub(super) fn forget_missing(&self) {
        lock(&self.kept.0).clear();
        if let Some(root) = &self.root {
            root.forget_missing();
        }
    }

    /// Reads all of them. The error tells all that is wrong in all files.
    pub fn read(&self) -> Result<Gathered, RulesError> {
        self.read_noting(&mut |_| {})
    }

    /// The same. Files of passwords that rules name are noted before they are read: they have to be
    /// looked at also while they are missing or wrong.
    pub(super) fn read_noting(
        &self,
        note_users: &mut dyn FnMut(Vec<PathBuf>),
    ) -> Result<Gathered, RulesError> {
        let mut all = self.given.clone();
        let mut gathered = Gathered { is_stated: !all.is_empty(), ..Gathered::default() };
        let mut wrong = Vec::new();
        // First, whatever other files are like: that one is missing ends its rules some day.
        let of_site = self.root.as_ref().map(SiteRoot::read).unwrap_or_default();
        let texts: Vec<_> = self.files.iter().map(|path| (path, self.kept.text(path))).collect();
        for (path, text) in texts {
            gathered.is_stated = true;
            match text.and_then(|text| parse_file(path, &text)) {
                Ok((part, cases)) => {
                    gathered.cases.extend(cases);
                    all.push(Named { source: path.display().to_string(), part });
                }
                Err(RulesError::Rules(more)) => wrong.extend(more),
                Err(error) => return Err(error),
            }
        }
        for file in of_site {
            let (source, parsed) = file?;
            gathered.is_stated = true;
            match parsed {
                Ok(part) => all.push(Named { source, part }),
                Err(problems) => wrong.extend(WrongRule::of(&source, problems)),
            }
        }
        let users = all.iter().flat_map(|named| &named.part.user_files);
        let users: Vec<_> = users.map(|(_, file)| file.clone()).collect();
        let hidden = self.hide(&users);
        note_users(users);
        for Named { source, part } in &mut all {
            for (index, path) in std::mem::take(&mut part.user_files) {
                let rule = &mut part.table.passwords[index];
                match users::read(&path) {
                    Ok(users) => rule.users.extend(users),
                    Err(RulesError::Rules(more)) => wrong.extend(more),
                    Err(RulesError::File(path, error) | RulesError::SiteFile(path, error)) => {
                        let message = format!("cannot read {}: {error}", path.display());
                        let problem = Problem::at(rule.place.line, message);
                        wrong.push(WrongRule { source: source.clone(), problem });
                    }
                }
            }
        }
        if !wrong.is_empty() {
            return Err(RulesError::Rules(wrong));
        }
        gathered.counts = count(&all);
        let merged = merge(all, &self.passing);
        let mut table = merged.map_err(|problem| RulesError::of("rules", vec![problem]))?.table;
        table.hidden.extend(hidden);
        gathered.findings = check(&table)?;
        let missing = self.root.as_ref().map(|root| missing::missing(&table, root));
        gathered.missing = missing.unwrap_or_default();
        gathered.table = table;
        Ok(gathered)
    }

    /// Has the host never serve files that are not for clients, these of passwords among them,
    /// whichever guest decides. Gives their paths below the root.
    pub(super) fn hide(&self, users: &[PathBuf]) -> Vec<String> {
        let Some(root) = &self.root else { return Vec::new() };
        let hidden = root.hidden(self.files.iter().chain(users).map(PathBuf::as_path));
        // Those that settings name are hidden with the server's own, beneath all roots.
        let given = self.given.iter().flat_map(|named| &named.part.user_files);
        let given: Vec<_> = given.map(|(_, file)| file).collect();
        let named: Vec<_> = users.iter().filter(|file| !given.contains(file)).cloned().collect();
        root.hide(&hidden, &named);
        hidden
    }
}

/// Reads the text of a file of rules, with its cases.
fn parse_file(path: &Path, text: &str) -> Result<(Part, Option<CaseFile>), RulesError> {
    let source = path.display().to_string();
    let parsed = file::parse(text).map_err(|problems| RulesError::of(&source, problems))?;
    let (mut part, cases) = parsed;
    // As paths in it are meant: beside it.
    let folder = path.parent().unwrap_or(Path::new(""));
    for (_, users) in &mut part.user_files {
        *users = folder.join(&*users);
    }
    let digest = Digest::of(text.as_bytes());
    let cases = (!cases.is_empty()).then(|| CaseFile { path: path.to_owned(), digest, cases });
    Ok((part, cases))
}

/// Makes the rules ready as the guest does, and looks for rules that do nothing: what cannot be
/// obeyed, and redirects without end, are told with their places.
fn check(table: &Table) -> Result<Vec<Finding>, RulesError> {
    let wrong = |place: Place, message: &str| {
        let source = table.sources.get(usize::from(place.source));
        let source = source.map_or("rules", String::as_str).to_owned();
        WrongRule { source, problem: Problem::at(place.line, message) }
    };
    let foreign: Vec<_> = patterns(table)
        .filter_map(|(place, pattern)| {
            let instead = foreign_pattern::instead(pattern, "/assets/*")?;
            Some(wrong(place, &format!("`{pattern}` matches no path: {instead}")))
        })
        .collect();
    if !foreign.is_empty() {
        return Err(RulesError::Rules(foreign));
    }
    let rules = Rules::new(table)
        .map_err(|error| RulesError::Rules(vec![wrong(error.place, error.problem.text())]))?;
    let (errors, warnings): (Vec<_>, Vec<_>) =
        lint(table, rules).into_iter().partition(Finding::is_error);
    let errors = errors.iter().map(|error| wrong(error.place, &error.text(&table.sources)));
    let errors: Vec<_> = errors.collect();
    if errors.is_empty() { Ok(warnings) } else { Err(RulesError::Rules(errors)) }
}

/// All patterns of paths, with the places of their rules.
fn patterns(table: &Table) -> impl Iterator<Item = (Place, &str)> {
    let access = table.access.iter().map(|rule| (rule.place, &*rule.pattern));
    let passwords = table.passwords.iter().map(|rule| (rule.place, &*rule.pattern));
    let cors = table.cors.iter().map(|rule| (rule.place, &*rule.pattern));
    let routes = table.routes.iter().map(|rule| (rule.place, &*rule.from));
    let headers = table.headers.iter().map(|rule| (rule.place, &*rule.pattern));
    access.chain(passwords).chain(cors).chain(routes).chain(headers)
}

fn count(all: &[Named]) -> Vec<Count> {
    let mut counts: Vec<Count> = Vec::new();
    for Named { source, part } in all {
        let (redirects, headers) = (part.table.routes.len(), part.table.headers.len());
        let others = part.rules() - redirects - headers;
        match counts.iter_mut().find(|count| count.source == *source) {
            Some(count) => {
                count.redirects += redirects;
                count.headers += headers;
                count.others += others;
            }
            None => counts.push(Count { source: source.clone(), redirects, headers, others }),
        }
    }
    counts
}
