//! One attempt at a name: an order, or a question about the window of its renewal. What is begun
//! is on disk first, as a failure: whatever ends the process, the next attempt waits for it.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use instant_acme::{Account, CertificateIdentifier};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::time::timeout;

use super::account::{EabKeyError, account};
use super::ari;
use super::client::{Client, ClientError};
use super::clock::{chance, seconds};
use super::failure::Failure;
use super::name::Name;
use super::options::Options;
use super::order::OrderRun;
use super::protocol::OrderError;
use super::record::{OfAuthority, Record};
use super::schedule::{Window, after_failures};
use super::state::State;

/// How often an attempt goes on after a request that was refused for its nonce, three times each.
const NONCES: usize = 6;

/// How long one attempt may take: all servers of the folder wait for it. A proof may take three
/// minutes, and so may a signature.
const LONGEST: Duration = Duration::from_secs(10 * 60);

/// How long a question may take.
const LONGEST_QUESTION: Duration = Duration::from_secs(2 * 60);

/// How often the authority is asked for the window, at most and at least: RFC 9773, section 4.3.2,
/// where the authority says when.
const ASK: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(24 * 3600));

/// The same where it says nothing, or cannot be asked.
const ASK_AGAIN: Duration = Duration::from_secs(6 * 3600);

/// An order that fails goes on at the next attempt, and after each of as many failures another is made.
/// The pauses between them take days.
const FAILURES: u32 = 8;

/// What one attempt needs.
pub(super) struct Attempt {
    pub(super) name: Name,
    pub(super) options: Arc<Options>,
    pub(super) authority: OfAuthority,
    pub(super) client: Result<Client, Arc<ClientError>>,
    pub(super) eab_key: Result<Option<Vec<u8>>, Arc<EabKeyError>>,
    /// What the folder says, read under the lock.
    pub(super) state: State,
    /// Whether a command wants it at once.
    pub(super) is_cut: bool,
}

/// What became of it.
pub(super) enum Outcome {
    /// The authority was asked for the window.
    Asked,
    /// There is a new certificate, which expires then.
    Obtained(SystemTime),
    /// There is none.
    Failed {
        /// Why.
        error: OrderError,
        /// When it is tried again, in seconds since 1970.
        next_attempt: u64,
        /// Whether there is one that serves meanwhile.
        has_certificate: bool,
    },
    /// It was not begun: what is begun cannot be kept.
    NotKept(io::Error),
}

impl Attempt {
    /// Orders a certificate.
    pub(super) async fn order(mut self) -> Outcome {
        let now = SystemTime::now();
        let is_early = self.state.is_early(now);
        let mut record = std::mem::take(&mut self.state.record);
        if self.is_cut {
            State::note_cut(&mut record, now);
        }
        record.failures = record.failures.saturating_add(1);
        record.pause_until = after_failures(record.failures, now, None);
        record.is_retry_after = false;
        if let Err(error) = self.authority.keep_record(&self.name, &record) {
            return Outcome::NotKept(error);
        }
        let ordered = timeout(LONGEST, self.order_at_once(&mut record)).await;
        let ordered = ordered.unwrap_or_else(|_| {
            let detail = "the authority has not finished within ten minutes";
            let advice = "the order goes on at the next attempt; see the authority's status page";
            Err(Failure::local("slow", detail, advice))
        });
        let told = self.client.as_ref().ok().and_then(|client| {
            client.rest();
            client.take_retry_after()
        });
        let now = SystemTime::now();
        match ordered {
            Ok(expires) => {
                let replaced_early_at =
                    if is_early { seconds(now) } else { record.replaced_early_at };
                let obtained = Record {
                    directory: record.directory,
                    obtained_at: seconds(now),
                    replaced_early_at,
                    ..Record::default()
                };
                match self.authority.keep_record(&self.name, &obtained) {
                    Ok(()) => {
                        self.authority.forget_order_key(&self.name);
                        Outcome::Obtained(expires)
                    }
                    Err(error) => Outcome::NotKept(error),
                }
            }
            Err(failure) => self.fail(record, &failure, failure.not_before.or(told)),
        }
    }

    fn fail(
        self,
        mut record: Record,
        failure: &Failure,
        retry_after: Option<SystemTime>,
    ) -> Outcome {
        if failure.error.code == "accountDoesNotExist" {
            // Without it another one is made.
            let _ = self.authority.forget_account();
        }
        let now = SystemTime::now();
        record.pause_until = after_failures(record.failures, now, retry_after);
        record.is_retry_after = retry_after.is_some_and(|at| at > now);
        record.error = Some(failure.error.clone());
        if record.failures.is_multiple_of(FAILURES) {
            record.order = None;
        }
        // The record that was kept before the attempt says nearly the same.
        if self.authority.keep_record(&self.name, &record).is_ok() && record.order.is_none() {
            self.authority.forget_order_key(&self.name);
        }
        Outcome::Failed {
            error: failure.error.clone(),
            next_attempt: record.pause_until,
            has_certificate: self.state.expires.is_some(),
        }
    }

    /// Orders, and goes on with the order where requests were refused for their nonces alone: an
    /// authority may do that as often as it likes (RFC 8555, section 6.5).
    async fn order_at_once(&self, record: &mut Record) -> Result<SystemTime, Failure> {
        for _ in 1..NONCES {
            match self.try_order(record).await {
                Err(failure) if failure.error.code == "badNonce" => {}
                ordered => return ordered,
            }
        }
        self.try_order(record).await
    }

    async fn try_order(&self, record: &mut Record) -> Result<SystemTime, Failure> {
        let account = self.account().await?;
        let run = OrderRun {
            account: &account,
            authority: &self.authority,
            options: &self.options,
            name: &self.name,
            replaces: self.replaces(),
        };
        run.run(record).await
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
        account(client, &self.authority, &self.options, eab_key.as_deref()).await
    }

    /// The certificate of this authority that serves.
    fn replaces(&self) -> Option<CertificateIdentifier<'static>> {
        self.state.certificate.as_ref().filter(|_| self.state.is_served)?;
        let files = self.authority.folder.files(&self.name);
        let leaf = CertificateDer::from_pem_file(files.certificate).ok()?;
        Some(CertificateIdentifier::try_from(&leaf).ok()?.into_owned())
    }

    /// Asks for the window of the renewal.
    pub(super) async fn ask_window(self) -> Outcome {
        let mut record = self.state.record.clone();
        let asked = timeout(LONGEST_QUESTION, self.window(&mut record)).await;
        let now = SystemTime::now();
        let told = self.client.as_ref().ok().and_then(|client| {
            client.rest();
            client.take_retry_after()?.duration_since(now).ok()
        });
        let again = match asked.ok().flatten().or(told) {
            Some(again) => again.clamp(ASK.0, ASK.1),
            None => ASK_AGAIN + Duration::from_secs(chance(600)),
        };
        record.window_asked_at = seconds(now);
        record.ask_window_at = seconds(now + again);
        match self.authority.keep_record(&self.name, &record) {
            Ok(()) => Outcome::Asked,
            Err(error) => Outcome::NotKept(error),
        }
    }

    async fn window(&self, record: &mut Record) -> Option<Duration> {
        let identifier = self.state.certificate.as_ref()?.identifier.clone()?;
        let client = self.client.as_ref().ok()?;
        let suggestion = ari::ask(client, &self.options.directory, &identifier).await.ok()?;
        let before = record.window.take();
        record.window = suggestion
            .window
            .map(|(start, end)| Window::choose(start, end, &identifier, before.as_ref()));
        Some(suggestion.again.unwrap_or(ASK_AGAIN))
    }
}
