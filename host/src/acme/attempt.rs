//! One attempt at a name: an order, or a question about the window of its renewal. What is begun
//! is on disk first, as a failure: whatever ends the process, the next attempt waits for it.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use instant_acme::{Account, CertificateIdentifier, Error};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::account::account;
use super::client::{Client, ClientError};
use super::clock::{chance, seconds};
use super::failure::Failure;
use super::name::Name;
use super::options::Options;
use super::order::Ordering;
use super::protocol::Trouble;
use super::schedule::{Window, after_failures};
use super::store::{Folder, Record};
use crate::secret_file::SecretFileError;

/// How often the authority is asked for the window, at most and at least: RFC 9773, section 4.3.2,
/// where the authority says when.
const ASK: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(24 * 3600));

/// The same where it says nothing, or cannot be asked.
const ASK_AGAIN: Duration = Duration::from_secs(6 * 3600);

/// A certificate is not renewed within this time, or a tenth of what is left of its own.
const FRESH: Duration = Duration::from_secs(24 * 3600);

/// The least of that, also where it is expired when it comes: one of the two clocks is wrong.
const LEAST: Duration = Duration::from_secs(3600);

/// What one attempt needs.
pub(super) struct Attempt {
    pub(super) name: Name,
    pub(super) options: Arc<Options>,
    pub(super) folder: Folder,
    pub(super) client: Result<Client, Arc<ClientError>>,
    pub(super) eab_key: Result<Option<Vec<u8>>, Arc<SecretFileError>>,
    pub(super) has_certificate: bool,
}

/// What became of it.
pub(super) enum Outcome {
    /// The authority was asked for the window.
    Asked(Name),
    /// There is a new certificate.
    Obtained {
        /// For this name.
        name: Name,
        /// When it expires.
        expires: SystemTime,
    },
    /// There is none.
    Failed {
        /// For this name.
        name: Name,
        /// Why.
        trouble: Trouble,
        /// When it is tried again, in seconds since 1970.
        next_attempt: u64,
        /// Whether there is one that serves meanwhile.
        has_certificate: bool,
    },
    /// It was not begun: what is begun cannot be kept.
    NotKept(io::Error),
}

impl Attempt {
    /// Runs it: an order, or the question.
    pub(super) async fn run(self, is_order: bool) -> Outcome {
        let mut record = self.folder.record(&self.name);
        if record.directory != self.options.directory {
            let issued_by = std::mem::take(&mut record.issued_by);
            let directory = self.options.directory.clone();
            record = Record { directory, issued_by, ..Record::default() };
        }
        match is_order {
            true => self.order(record).await,
            false => self.ask(record).await,
        }
    }

    async fn order(self, mut record: Record) -> Outcome {
        record.failures = record.failures.saturating_add(1);
        record.pause_until = after_failures(record.failures, SystemTime::now(), None);
        record.is_told = false;
        if let Err(error) = self.folder.keep_record(&self.name, &record) {
            return Outcome::NotKept(error);
        }
        let outcome = self.try_order(&mut record).await;
        let told = self.client.as_ref().ok().and_then(|client| {
            client.rest();
            client.take_retry_after()
        });
        match outcome {
            Ok(expires) => {
                // An authority whose window has passed for what it just signed does not get an order
                // after the other.
                let now = SystemTime::now();
                let left = expires.duration_since(now).unwrap_or_default();
                record = Record {
                    directory: record.directory.clone(),
                    issued_by: record.directory,
                    pause_until: seconds(now + FRESH.min(left / 10).max(LEAST)),
                    ..Record::default()
                };
                let name = self.name.clone();
                match self.folder.keep_record(&name, &record) {
                    Ok(()) => Outcome::Obtained { name, expires },
                    Err(error) => Outcome::NotKept(error),
                }
            }
            Err(failure) => {
                let told = failure.not_before.or(told);
                if failure.trouble.code == "accountDoesNotExist" {
                    // Without it another one is made.
                    let _ = self.folder.forget_account(&self.options.directory);
                }
                let now = SystemTime::now();
                record.pause_until = after_failures(record.failures, now, told);
                record.is_told = told.is_some_and(|told| told > now);
                record.error = Some(failure.trouble.clone());
                // The one that was kept before the attempt says nearly the same.
                let _ = self.folder.keep_record(&self.name, &record);
                Outcome::Failed {
                    name: self.name,
                    trouble: failure.trouble,
                    next_attempt: record.pause_until,
                    has_certificate: self.has_certificate,
                }
            }
        }
    }

    async fn try_order(&self, record: &mut Record) -> Result<SystemTime, Failure> {
        let account = self.account().await?;
        let replaces = self.identifier().filter(|_| record.issued_by == self.options.directory);
        let ordering = Ordering {
            account: &account,
            folder: &self.folder,
            options: &self.options,
            name: &self.name,
            replaces,
        };
        Ok(ordering.run(record).await?.leaf.not_after)
    }

    async fn account(&self) -> Result<Account, Failure> {
        let client = self.client.as_ref().map_err(|error| {
            let advice = "install ca-certificates, or name a file with --acme-ca-file";
            Failure::local("roots", error, advice)
        })?;
        let eab_key = self
            .eab_key
            .as_ref()
            .map_err(|error| Failure::local("eab-key", error, "see --acme-eab-key-file"))?;
        client.take_retry_after();
        account(client, &self.folder, &self.options, eab_key.as_deref()).await
    }

    /// The certificate that serves, as authorities call it (RFC 9773, section 4.1).
    fn identifier(&self) -> Option<CertificateIdentifier<'static>> {
        let chain = self.folder.chain(&self.name).ok()?;
        let leaf = CertificateDer::from_pem_slice(chain.as_bytes()).ok()?;
        Some(CertificateIdentifier::try_from(&leaf).ok()?.into_owned())
    }

    /// Asks for the window of the renewal.
    async fn ask(self, mut record: Record) -> Outcome {
        let again = match self.window(&mut record).await {
            Some(again) => again.clamp(ASK.0, ASK.1),
            None => ASK_AGAIN + Duration::from_secs(chance(600)),
        };
        record.ask_window_at = seconds(SystemTime::now() + again);
        if let Ok(client) = &self.client {
            client.rest();
        }
        match self.folder.keep_record(&self.name, &record) {
            Ok(()) => Outcome::Asked(self.name),
            Err(error) => Outcome::NotKept(error),
        }
    }

    async fn window(&self, record: &mut Record) -> Option<Duration> {
        let identifier = self.identifier()?;
        let account = self.account().await.ok()?;
        match account.renewal_info(&identifier).await {
            Ok((info, again)) => {
                let start = u64::try_from(info.suggested_window.start.unix_timestamp()).ok()?;
                let end = u64::try_from(info.suggested_window.end.unix_timestamp()).ok()?;
                let certificate = identifier.to_string();
                let before = record.window.take();
                record.window = Some(Window::choose(start, end, &certificate, before.as_ref()));
                Some(again)
            }
            // It has none.
            Err(Error::Unsupported(_)) => {
                record.window = None;
                Some(ASK.1)
            }
            Err(_) => None,
        }
    }
}
