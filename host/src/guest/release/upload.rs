//! Checks uploaded guests, one after the other, and deploys them.

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::activate::Activator;
use super::history::Outcome;
use super::rejected::Rejection;
use super::source::{Offer, Source};
use crate::guest::digest::Digest;
use crate::guest::origin::Origin;
use crate::guest::runtime::engine::Engine;
use crate::guest::validation::cases::CaseFile;
use crate::guest::validation::error::ValidationError;
use crate::guest::validation::report::ValidationReport;
use crate::guest::validation::validate::{Checked, check_beside, digest_with_cases};
use crate::helper::CancelToken;

/// The purpose of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The guest is checked.
    Check,
    /// It is checked, and serves if it is accepted.
    Deploy,
}

/// An uploaded guest.
pub(super) struct Upload {
    pub(super) bytes: Vec<u8>,
    pub(super) purpose: Purpose,
    pub(super) report: oneshot::Sender<ValidationReport>,
    /// Wanted when the client has gone.
    pub(super) cancel: CancelToken,
    /// Its place among the uploads that may be in memory, which it has as long as its bytes are.
    pub(super) _place: OwnedSemaphorePermit,
}

/// Works on uploads.
pub(super) struct UploadDeployer {
    pub(super) engine: Arc<Engine>,
    pub(super) source: Arc<dyn Source>,
    pub(super) activator: Activator,
}

impl UploadDeployer {
    /// Works until there can be no more of them.
    pub(super) fn work(&self, uploads: &Receiver<Upload>) {
        for upload in uploads {
            let Some(report) = self.process(&upload) else {
                let digest = Digest::of(&upload.bytes);
                tracing::info!(guest = %digest, "upload canceled: the client has gone");
                continue;
            };
            // The client may have gone meanwhile.
            let _ = upload.report.send(report);
        }
    }

    /// Checks one, and deploys it if that is its purpose and it is accepted. `None` if it was
    /// canceled.
    fn process(&self, upload: &Upload) -> Option<ValidationReport> {
        let Upload { bytes, purpose, cancel, .. } = upload;
        if cancel.is_canceled() {
            return None;
        }
        let began = Instant::now();
        let digest = Digest::of(bytes);
        let active = self.activator.active();
        let old = active.current();
        let (mut report, checked) = match self.check(bytes, cancel) {
            Err(ValidationError::Canceled) => return None,
            Err(error) => (ValidationReport::not_loaded(digest, error), None),
            Ok((checked, cases)) => {
                let mut report = ValidationReport::of(&checked, &cases, &old, cancel);
                // Asked last: it may have served by its file meanwhile, and failed.
                let with_cases = digest_with_cases(digest, &cases);
                if let Some(Rejection::Failed(count)) = active.rejection(digest, with_cases) {
                    report.reject(ValidationError::FailedInService(count));
                }
                (report, Some(checked))
            }
        };
        if cancel.is_canceled() {
            return None;
        }
        if *purpose == Purpose::Check {
            return Some(report);
        }
        if let Some(error) = &report.error {
            tracing::error!(
                guest = %digest,
                current = %old.digest(),
                code = error.code(),
                %error,
                "guest rejected"
            );
            let message = format!("upload: {error}");
            active.history().add(Outcome::Rejected, Some(digest), message);
            return Some(report);
        }
        drop(old);
        // The same may have come to serve by the guest's file meanwhile.
        let is_new = digest != active.current().digest();
        report.is_active = true;
        let validated = checked.and_then(|checked| checked.validated().ok());
        if let Some(validated) = validated.filter(|_| is_new) {
            self.activator.activate(validated, None, began);
        }
        Some(report)
    }

    fn check(
        &self,
        bytes: &[u8],
        cancel: &CancelToken,
    ) -> Result<(Checked, Vec<CaseFile>), ValidationError> {
        let cases = (self.source.cases())
            .map_err(|error| ValidationError::CasesUnreadable(error.to_string()))?;
        let guest = bytes.to_vec().into();
        let offer = Offer { guest, origin: Origin::Uploaded, data: None, cases };
        let checked = check_beside(&self.engine, &offer, cancel)?;
        Ok((checked, offer.cases))
    }
}
