//! Tries the guests that somebody hands over, one after the other.

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::activate::Succession;
use super::history::Outcome;
use super::rejected::Unfit;
use super::source::{Source, read_cases};
use crate::guest::digest::Digest;
use crate::guest::origin::Origin;
use crate::guest::runtime::compile::LoadError;
use crate::guest::runtime::engine::Engine;
use crate::guest::validation::report::ValidationReport;
use crate::guest::validation::validate::{tried, validate_beside};
use crate::helper::GiveUp;

/// What a guest is handed over for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be tried, and no more.
    Check,
    /// To serve, if it is fit.
    Deploy,
}

/// A guest that somebody hands over.
pub(in crate::guest) struct HandedOver {
    pub(in crate::guest) bytes: Vec<u8>,
    pub(in crate::guest) purpose: Purpose,
    pub(in crate::guest) answer: oneshot::Sender<ValidationReport>,
    /// Whoever handed it over has gone.
    pub(in crate::guest) give_up: GiveUp,
    /// Its place among those that may be in memory, which it has as long as its bytes are.
    pub(in crate::guest) _place: OwnedSemaphorePermit,
}

/// Who tries them.
pub(in crate::guest) struct Tester {
    pub(in crate::guest) engine: Arc<Engine>,
    pub(in crate::guest) source: Source,
    pub(in crate::guest) succession: Succession,
}

impl Tester {
    /// Works until there can be no more of them.
    pub(in crate::guest) fn work(&self, handed_over: &Receiver<HandedOver>) {
        for handed in handed_over {
            let Some(trial) = self.validate_beside(&handed) else {
                tracing::info!(
                    "the guest {} that was handed over is given up: nobody waits for the answer",
                    Digest::of(&handed.bytes)
                );
                continue;
            };
            // Who asked may have gone meanwhile.
            let _ = handed.answer.send(trial);
        }
    }

    /// Tries one, and puts it in service if that is wanted and it is fit. `None` if it was given
    /// up.
    fn validate_beside(&self, handed: &HandedOver) -> Option<ValidationReport> {
        let HandedOver { bytes, purpose, give_up, .. } = handed;
        if give_up.is_wanted() {
            return None;
        }
        let began = Instant::now();
        let digest = Digest::of(bytes);
        let serving = self.succession.serving();
        let old = serving.current();
        let cases =
            read_cases(&self.source.cases).map_err(|error| LoadError::Hindered(error.to_string()));
        let outcome = cases.and_then(|cases| {
            Ok((validate_beside(&self.engine, Origin::Uploaded, bytes, &cases, give_up)?, cases))
        });
        let (mut trial, validated) = match outcome {
            Err(LoadError::GivenUp) => return None,
            Err(problem) => (ValidationReport::unfit(format!("{digest:#}"), &problem), None),
            Ok(((validated, verdict), cases)) => {
                let verdict = verdict.map_err(|problem| problem.to_string());
                let mut trial = ValidationReport::of(&validated, verdict, &cases, &old, give_up);
                // Asked last: it may have served by its file meanwhile, and failed.
                if let Some(why @ Unfit::Failed(_)) = serving.unfit(digest, tried(digest, &cases)) {
                    trial.refuse(why.to_string());
                }
                (trial, Some(validated))
            }
        };
        if give_up.is_wanted() {
            return None;
        }
        if *purpose == Purpose::Check {
            return Some(trial);
        }
        if let Some(problem) = &trial.problem {
            tracing::error!(
                "the guest {digest} that was handed over is not fit to serve: {problem}; the guest \
                 {} goes on serving",
                old.digest()
            );
            let told = format!("handed over: {problem}");
            serving.history().note(Outcome::Refused, Some(digest), told);
            return Some(trial);
        }
        drop(old);
        // The same may have come to serve by the guest's file meanwhile.
        let is_new = digest != serving.current().digest();
        trial.serves = true;
        if let Some(validated) = validated.filter(|_| is_new) {
            self.succession.publish(validated, "that was handed over", began, "digested");
        }
        Some(trial)
    }
}
