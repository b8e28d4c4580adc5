//! Checks uploaded guests and data, one after the other, and deploys them.

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::activate::Activator;
use super::part_file::Part;
use super::rejected::Rejection;
use super::source::Source;
use crate::diagnostics::context::for_site;
use crate::guest::digest::{Digest, Identity};
use crate::guest::load_error::LoadError;
use crate::guest::loaded_guest::LoadedGuest;
use crate::guest::offer::{Data, Offer};
use crate::guest::origin::Origin;
use crate::guest::runtime::configuration_error::ConfigurationError;
use crate::guest::runtime::engine::Engine;
use crate::guest::validation::error::ValidationError;
use crate::guest::validation::report::ValidationReport;
use crate::guest::validation::validate::{Checked, Validated, check_beside, digest_with_cases};
use crate::helper::CancelToken;

/// How often data is checked under the guest that serves, if another one comes to serve meanwhile.
const ATTEMPTS: u32 = 3;

/// The purpose of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// It is checked.
    Check,
    /// It is checked, and serves if it is accepted.
    Deploy,
}

/// An upload.
pub(super) struct Upload {
    /// What works on it: that of its site.
    pub(super) by: Arc<UploadDeployer>,
    pub(super) bytes: Vec<u8>,
    /// What is uploaded. A guest is configured with the data that serves, if it takes some; data is
    /// for the guest that serves.
    pub(super) part: Part,
    pub(super) purpose: Purpose,
    pub(super) report: oneshot::Sender<ValidationReport>,
    /// Wanted when the client has gone.
    pub(super) cancel: CancelToken,
    /// Its place among the uploads that may be in memory, which it has as long as its bytes are.
    pub(super) _place: OwnedSemaphorePermit,
}

/// Works on uploads for one site.
pub(super) struct UploadDeployer {
    pub(super) engine: Arc<Engine>,
    /// Whose it is, where there are several sites.
    pub(super) site: Option<Arc<str>>,
    pub(super) source: Arc<dyn Source>,
    pub(super) activator: Activator,
}

/// Works on uploads until there can be no more of them.
pub(super) fn work(uploads: &Receiver<Upload>) {
    for mut upload in uploads {
        let by = Arc::clone(&upload.by);
        for_site(by.site.clone(), || {
            let digest = Digest::of(&upload.bytes);
            let Some(report) = by.process(&mut upload) else {
                tracing::info!(guest = %digest, "upload canceled: the client has gone");
                return;
            };
            // The client may have gone meanwhile.
            let _ = upload.report.send(report);
        });
    }
}

impl UploadDeployer {
    /// Checks one, and deploys it if that is its purpose and it is accepted. `None` if it was
    /// canceled.
    fn process(&self, upload: &mut Upload) -> Option<ValidationReport> {
        let began = Instant::now();
        let active = self.activator.active();
        let mut attempt = 1;
        loop {
            let old = Arc::clone(&active.current().guest);
            let (mut report, accepted) = self.check(upload, &old)?;
            if upload.purpose == Purpose::Check {
                return Some(report);
            }
            let Some((mut validated, offer)) = accepted else {
                return Some(self.rejected(report, &old));
            };
            // Another guest may have come to serve meanwhile than the one that has this data now.
            let is_overtaken = upload.part == Part::Data
                && active.current().guest.identity().guest != old.identity().guest;
            if is_overtaken && attempt == ATTEMPTS {
                report.reject(ValidationError::Overtaken);
                return Some(self.rejected(report, &old));
            }
            if is_overtaken {
                attempt += 1;
                upload.bytes = offer.data.map(|data| data.bytes).unwrap_or_default();
                continue;
            }
            drop(old);
            // The same may have come to serve by the guest's file meanwhile.
            let is_new = report.identity.digest() != active.current().guest.digest();
            report.is_active = true;
            if is_new {
                validated.keep(offer);
                self.activator.activate(validated, None, None, began);
            }
            return Some(report);
        }
    }

    /// Checks an upload beside the guest that serves. Gives the guest, if it is accepted. `None`
    /// if it was canceled.
    fn check(
        &self,
        upload: &mut Upload,
        current: &LoadedGuest,
    ) -> Option<(ValidationReport, Option<(Validated, Offer)>)> {
        let cancel = upload.cancel.clone();
        if cancel.is_canceled() {
            return None;
        }
        let identity = match upload.part {
            Part::Guest => Identity::of(&upload.bytes, None),
            Part::Data => current.identity().with(&upload.bytes),
        };
        let not_loaded = |identity, error| match error {
            ValidationError::Canceled => None,
            error => Some((ValidationReport::not_loaded(identity, error), None)),
        };
        let mut offer = match self.offer(upload, current) {
            Ok(offer) => offer,
            Err(error) => return not_loaded(identity, error),
        };
        let checked = self.load(upload.part, &mut offer, current, &cancel);
        let identity = offer.identity();
        let checked = match checked {
            Ok(checked) => checked,
            Err(error) => return not_loaded(identity, error.into()),
        };
        let mut report = ValidationReport::of(&checked, &offer.cases, current, &cancel);
        // Asked last: it may have served by its file meanwhile, and failed.
        let digest = identity.digest();
        let with_cases = digest_with_cases(digest, &offer.cases);
        let rejection = self.activator.active().rejection(digest, with_cases);
        if let Some(Rejection::Failed(count)) = rejection {
            report.reject(ValidationError::FailedInService(count));
        }
        if cancel.is_canceled() {
            return None;
        }
        let validated = checked.validated().ok().filter(|_| report.is_accepted());
        Some((report, validated.map(|validated| (validated, offer))))
    }

    /// Compiles and checks what is offered. An uploaded guest need not take the data.
    fn load(
        &self,
        part: Part,
        offer: &mut Offer,
        current: &LoadedGuest,
        cancel: &CancelToken,
    ) -> Result<Checked, LoadError> {
        match check_beside(&self.engine, offer, current, cancel) {
            Err(LoadError::Configuration(
                ConfigurationError::NotTaken | ConfigurationError::AlreadyConfigured,
            )) if part == Part::Guest && offer.data.is_some() => {
                offer.data = None;
                check_beside(&self.engine, offer, current, cancel)
            }
            result => result,
        }
    }

    /// What an upload and the guest that serves make together. The upload's bytes go with it.
    fn offer(&self, upload: &mut Upload, current: &LoadedGuest) -> Result<Offer, ValidationError> {
        let cases = (self.source.cases())
            .map_err(|error| ValidationError::CasesUnreadable(error.to_string()))?;
        let made_of = current.made_of();
        let not_taken = LoadError::Configuration(ConfigurationError::NotTaken);
        let is_by_rules = current.origin() == Origin::Rules;
        let (guest, data) = match upload.part {
            Part::Data if is_by_rules => return Err(ValidationError::ConfiguredByRules),
            Part::Data => {
                let guest = made_of.ok_or(not_taken)?.guest.clone();
                (guest, Some(std::mem::take(&mut upload.bytes)))
            }
            Part::Guest => {
                let kept = made_of.filter(|_| !is_by_rules).and_then(|it| it.data.clone());
                let data = match kept {
                    Some(data) => Some(data),
                    None => self.data_of_source()?,
                };
                (std::mem::take(&mut upload.bytes).into(), data)
            }
        };
        let data = data.map(|bytes| Data { bytes, path: None });
        Ok(Offer { guest, origin: Origin::Uploaded, data, cases })
    }

    fn data_of_source(&self) -> Result<Option<Vec<u8>>, ValidationError> {
        match self.source.data_for_uploads() {
            Ok(data) => Ok(data.map(|data| data.bytes)),
            Err(error) => Err(ValidationError::DataUnreadable(error.to_string())),
        }
    }

    /// Logs that an upload is rejected, and notes it.
    fn rejected(&self, report: ValidationReport, current: &LoadedGuest) -> ValidationReport {
        if let Some(error) = &report.error {
            let digest = report.identity.digest();
            tracing::error!(
                guest = %digest,
                current = %current.digest(),
                code = error.code(),
                %error,
                "guest rejected"
            );
            let message = format!("upload: {error}");
            self.activator.active().history().add_rejected(digest, message, error);
        }
        report
    }
}
