//! The access logs of all sites: one for each file and format, however many sites write to it.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};

use crate::cli::SiteSettings;
use crate::cli::settings::request_log::AccessLog as Choice;
use crate::line_writer::{Output, file::LineFile};
use crate::log::{AccessLog, Format};

/// Which log it is: its file, or standard output, and its format.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::commands) struct LogKey {
    file: Option<PathBuf>,
    format: Format,
}

/// Those that are open.
#[derive(Default)]
pub(in crate::commands) struct Logs(HashMap<LogKey, Log>);

enum Log {
    /// It has no thread yet.
    Opened(Box<dyn Output>),
    Started(Arc<AccessLog>),
}

impl Logs {
    /// Opens the log of a site, if it has one and it is not open.
    pub(in crate::commands) fn open(
        &mut self,
        site: &SiteSettings,
    ) -> anyhow::Result<Option<LogKey>> {
        fields_are_written(site)?;
        let Some(format) = site.log.access_format() else { return Ok(None) };
        let key = LogKey { file: site.log.access_file.clone(), format };
        if !self.0.contains_key(&key) {
            let out: Box<dyn Output> = match &key.file {
                None => Box::new(io::stdout()),
                Some(path) => {
                    let file = LineFile::open(path);
                    let problem = || format!("cannot write the log {}", path.display());
                    Box::new(file.with_context(problem)?)
                }
            };
            self.0.insert(key.clone(), Log::Opened(out));
        }
        Ok(Some(key))
    }

    /// A log that is open, with a thread that writes it.
    pub(in crate::commands) fn start(&mut self, key: &LogKey) -> anyhow::Result<Arc<AccessLog>> {
        let (key, log) = self.0.remove_entry(key).context("it is not open")?;
        let log = match log {
            Log::Started(log) => log,
            Log::Opened(out) => {
                let log = AccessLog::to(out, key.format).context("cannot start the access log")?;
                Arc::new(log)
            }
        };
        self.0.insert(key, Log::Started(Arc::clone(&log)));
        Ok(log)
    }

    /// Forgets those that no site has any more.
    pub(in crate::commands) fn forget_unused(&mut self) {
        self.0.retain(|_, log| match log {
            Log::Opened(_) => false,
            Log::Started(log) => Arc::strong_count(log) > 1,
        });
    }
}

/// Refuses a choice of fields that no line has.
pub(in crate::commands) fn fields_are_written(site: &SiteSettings) -> anyhow::Result<()> {
    if !site.log.access_fields.is_empty() && site.log.access != Choice::Json {
        bail!("--access-log-fields is for the log in JSON; set --access-log json, or leave it out");
    }
    Ok(())
}
