//! Rules as a source of guests: the built-in guest that decides by rules, with the table as its
//! data; and the plain built-in guest where there are no rules.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use super::gather::{Count, Gathered, RuleFiles};
use super::missing::MissingPage;
use crate::files::Files;
use crate::guest::digest::Digest;
use crate::guest::offer::{Data, Offer};
use crate::guest::origin::Origin;
use crate::guest::validation::cases::{CaseFile, CaseFileError, read_cases};
use crate::guest::{DEFAULT_GUEST, RULES_GUEST};
use crate::lock::lock;
use crate::release::source::{Source, SourceError};

/// Warnings about rules that are logged: a file that was made by a program may have thousands.
const WARNINGS: usize = 20;

/// Tables that are remembered: the one that serves is among them, unless so many were rejected
/// since.
const SUMMARIES: usize = 64;

/// What one table of rules consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// How many rules each source has, in order of precedence.
    pub counts: Vec<Count>,
    /// How many of its rules may be mistakes.
    pub warnings: usize,
}

/// Rules, and the cases that each guest must pass.
pub struct RulesSource {
    files: RuleFiles,
    cases: Vec<PathBuf>,
    logs: bool,
    last: Mutex<Last>,
}

/// What was read last.
#[derive(Default)]
struct Last {
    /// Files of passwords that files of rules name.
    users: Vec<PathBuf>,
    /// What was read, the latest last. Another table may serve than the latest.
    read: VecDeque<(Digest, Summary)>,
    /// The rules that were logged.
    logged: Option<Digest>,
}

impl RulesSource {
    /// Looks for the files that files of rules name: later there is no right to open them. What is
    /// wrong with rules is told when they are read to serve.
    pub fn new(files: RuleFiles, cases: Vec<PathBuf>) -> RulesSource {
        let last = Last { users: files.named_users(), ..Last::default() };
        files.hide(&last.users);
        RulesSource { files, cases, logs: false, last: Mutex::new(last) }
    }

    /// The files that are opened by their names. Those in the root are opened beneath it.
    pub fn by_name(&self) -> Vec<PathBuf> {
        self.files.by_name().into_iter().chain(self.others()).collect()
    }

    /// Files of passwords that files of rules name, and of cases.
    fn others(&self) -> Vec<PathBuf> {
        lock(&self.last).users.iter().chain(&self.cases).cloned().collect()
    }

    /// What was read of the table with this digest, if that was not long ago.
    pub fn summary(&self, data: Digest) -> Option<Summary> {
        let last = lock(&self.last);
        let known = last.read.iter().rev().find(|(digest, _)| *digest == data);
        known.map(|(_, summary)| summary.clone())
    }

    /// Reads all rules, and offers the guest that decides by them: the plain one where there are
    /// none.
    pub fn read_rules(&self) -> Result<(Offer, Gathered), SourceError> {
        let mut gathered = self.gather()?;
        let mut cases = std::mem::take(&mut gathered.cases);
        cases.extend(self.cases()?);
        let (guest, origin, data) = match gathered.is_stated {
            false => (DEFAULT_GUEST, Origin::BuiltIn, None),
            true => {
                let data = Data { bytes: gathered.table.to_data(), path: None };
                let digest = Digest::of(&data.bytes);
                self.note(&gathered, digest);
                self.log(&gathered, digest);
                (&RULES_GUEST[..], Origin::Rules, Some(data))
            }
        };
        Ok((Offer { guest: Cow::Borrowed(guest), origin, data, cases }, gathered))
    }

    fn gather(&self) -> Result<Gathered, SourceError> {
        let gathered = self.files.read_noting(&mut |users| lock(&self.last).users = users);
        gathered.map_err(|error| SourceError::Rejected(Box::new(error)))
    }

    /// Notes what was read, for the status.
    fn note(&self, gathered: &Gathered, digest: Digest) {
        let warnings = gathered.findings.len() + gathered.missing.len();
        let summary = Summary { counts: gathered.counts.clone(), warnings };
        let read = &mut lock(&self.last).read;
        read.retain(|(known, _)| *known != digest);
        if read.len() == SUMMARIES {
            read.pop_front();
        }
        read.push_back((digest, summary));
    }

    /// The same, for a server: it logs what it reads.
    pub fn logging(self) -> RulesSource {
        RulesSource { logs: true, ..self }
    }

    /// Logs what was read, once, for a server.
    fn log(&self, gathered: &Gathered, digest: Digest) {
        if !self.logs || lock(&self.last).logged.replace(digest) == Some(digest) {
            return;
        }
        for Count { source, redirects, headers, others } in &gathered.counts {
            tracing::info!(path = source, redirects, headers, others, "rules read");
        }
        for finding in gathered.findings.iter().take(WARNINGS) {
            let rule = finding.shown(&gathered.table.sources);
            tracing::warn!(error = %rule, "rule may be a mistake");
        }
        if let Some(more) = gathered.findings.len().checked_sub(WARNINGS + 1) {
            let error = format!("and {} more", more + 1);
            tracing::warn!(error, "rule may be a mistake");
        }
        for MissingPage { rule, page } in gathered.missing.iter().take(WARNINGS) {
            tracing::warn!(rule, page, "page of a rule is not there");
        }
    }
}

impl Source for RulesSource {
    fn name(&self) -> Option<String> {
        let names = self.files.sources();
        // Without any it is looked whether the site gets some.
        let names = if names.is_empty() { self.files.of_site_shown() } else { names };
        (!names.is_empty()).then(|| names.join(", "))
    }

    fn paths(&self) -> Vec<PathBuf> {
        let mut paths = self.by_name();
        paths.extend(self.files.of_site());
        let mut seen = std::collections::HashSet::new();
        paths.retain(|path| seen.insert(path.clone()));
        paths
    }

    fn depends_on_root(&self) -> bool {
        true
    }

    fn set_root(&self, files: &Files) {
        self.files.set_root(files);
    }

    fn read(&self) -> Result<Offer, SourceError> {
        self.read_rules().map(|(offer, _)| offer)
    }

    fn cases(&self) -> Result<Vec<CaseFile>, CaseFileError> {
        read_cases(&self.cases)
    }

    fn due_in(&self) -> Option<Duration> {
        self.files.due_in()
    }

    fn forget_missing(&self) {
        self.files.forget_missing();
    }
}

#[cfg(test)]
mod tests {
    use super::{RuleFiles, RulesSource, Source};
    use crate::rules::gather::KeptFiles;
    use crate::rules::part::Passing;
    use std::fs;
    use std::path::Path;

    /// The rules of this file.
    fn source(rules: &Path) -> RulesSource {
        let files = RuleFiles {
            given: Vec::new(),
            passing: Passing::default(),
            files: vec![rules.to_owned()],
            root: None,
            kept: KeptFiles::default(),
        };
        RulesSource::new(files, Vec::new())
    }

    #[test]
    fn equal_rules_of_other_files_and_lines_are_one_guest() {
        let folder = tempfile::tempdir().expect("a folder");
        let digest = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).expect("a file");
            let (offer, gathered) = source(&path).read_rules().expect("rules");
            (offer.identity().digest(), gathered.warnings().pop().expect("a warning"))
        };
        let rules = "redirect = ['/a /b', '/a /c']\n";
        let (one, told) = digest("one.toml", rules);
        assert!(told.contains("one.toml:1"), "{told}");
        let (same, told) = digest("other.toml", &format!("# The same.\n\n{rules}"));
        assert!(told.contains("other.toml:3"), "{told}");
        assert_eq!(one, same);
        assert_ne!(one, digest("third.toml", "redirect = ['/a /c', '/a /b']\n").0);
    }

    #[test]
    fn password_file_that_is_missing_is_looked_at() {
        let folder = tempfile::tempdir().expect("a folder");
        let (rules, users) = (folder.path().join("rules.toml"), folder.path().join("pw"));
        fs::write(&rules, "spa = true\n").expect("a file");
        let source = source(&rules);
        assert!(source.read().is_ok());
        fs::write(&rules, "basic-auth = ['/a/*=pw']\n").expect("a file");
        let error = source.read().expect_err("no file of passwords").to_string();
        assert!(error.contains("cannot read"), "{error}");
        assert!(source.paths().contains(&users), "{:?}", source.paths());
        fs::write(&users, "").expect("a file");
        assert!(source.stamps().iter().all(Option::is_some));
    }
}
