//! Decisions of policies that run in this process, as the host checks those of guests.
//!
//! `innkeeper explain` asks the policy of rules natively which of them made a decision, and compares
//! that decision with the guest's.

use innkeeper_guest as native;

use super::Decision;
use super::rules::Refusal;
use super::unchecked::{Unchecked, UncheckedCandidate, UncheckedPage, UncheckedRedirect};
use crate::http::Field;

impl Decision {
    /// What the host makes of a decision that a policy made in this process.
    pub fn of_native(decision: native::Decision) -> Result<Decision, Refusal> {
        Decision::check(match decision {
            native::Decision::Index(path) => Unchecked::Index(path),
            native::Decision::File(path) => Unchecked::File(path),
            native::Decision::Serve(serve) => Unchecked::Serve {
                candidates: serve.candidates.into_iter().map(candidate).collect(),
                otherwise: serve.otherwise.map(redirect),
                fields: fields(serve.fields),
            },
            native::Decision::NotFound => Unchecked::NotFound,
            native::Decision::Redirect(elsewhere) => Unchecked::Redirect(redirect(elsewhere)),
            native::Decision::Reply(reply) => Unchecked::Reply {
                status: reply.status,
                fields: fields(reply.fields),
                body: reply.body,
            },
        })
    }
}

fn candidate(candidate: native::Candidate) -> UncheckedCandidate {
    UncheckedCandidate {
        page: match candidate.page {
            native::decision::Page::Index(path) => UncheckedPage::Index(path),
            native::decision::Page::File(path) => UncheckedPage::File(path),
        },
        status: candidate.status,
        location: candidate.location,
        fields: fields(candidate.fields),
    }
}

fn redirect(redirect: native::Redirect) -> UncheckedRedirect {
    UncheckedRedirect {
        status: redirect.status,
        location: redirect.location,
        fields: fields(redirect.fields),
    }
}

fn fields(fields: Vec<native::Field>) -> Vec<Field> {
    let fields = fields.into_iter();
    fields.map(|field| Field { name: field.name.into(), value: field.value.into() }).collect()
}
