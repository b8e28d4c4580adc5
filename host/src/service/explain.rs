//! A request, answered with its reasons: what was decided, and what came of each candidate.

use std::sync::Arc;

use super::Response;
use super::Service;
use crate::files::encodings::{Accepted, CODINGS};
use crate::files::{Files, Lookup, Recency, SystemError};
use crate::guest::{Candidate, Decision, Failure, Page};
use crate::http::Request;
use crate::release::Generation;

/// How a request is answered, and why.
#[derive(Debug)]
pub struct Explanation {
    /// The decision, or why there is none.
    pub decision: Result<Arc<Decision>, Failure>,
    /// The candidates that were tried, with what came of each.
    pub tried: Vec<(Candidate, String)>,
    /// What became of the request when none of them was chosen.
    pub then: Option<&'static str>,
    /// The response.
    pub response: Response,
}

/// The candidates that were tried for one request, with what came of each, and of all of them.
#[derive(Default)]
pub(super) struct Trace {
    tried: Vec<(Candidate, String)>,
    then: Option<&'static str>,
    /// The path of the file that was chosen.
    file: Option<String>,
    /// What was active when it was decided.
    generation: Option<Arc<Generation>>,
}

impl Trace {
    /// Notes which generation decides.
    pub(super) fn set_generation(&mut self, generation: &Arc<Generation>) {
        self.generation = Some(Arc::clone(generation));
    }

    /// Notes what came of a candidate.
    pub(super) fn note(&mut self, candidate: &Candidate, lookup: &Lookup) {
        if let (None, Lookup::File(_)) = (candidate.location(), lookup) {
            self.file = Some(candidate.path().to_owned());
        }
        let came_of_it = match (candidate.location(), lookup) {
            (Some(_), Lookup::File(_)) => "it is there, so the client is redirected".to_owned(),
            _ => describe(lookup),
        };
        self.tried.push((candidate.clone(), came_of_it));
    }

    /// The path of the file that was chosen, if one was.
    pub(super) fn into_file(self) -> Option<String> {
        self.file
    }

    /// Notes what became of the request when no candidate was chosen.
    pub(super) fn end(&mut self, then: &'static str) {
        self.then = Some(then);
    }
}

impl Service {
    /// Responds to a request, and says why. `None` if the guest is not asked, as the client
    /// asks too often.
    pub async fn explain(&self, request: &Request<'_>) -> Option<Explanation> {
        let mut record = self.begin(request);
        record.keep_trace();
        let response = self.respond(request, &mut record).await;
        let decision = record.decided()?.decision.clone();
        let Trace { mut tried, then, generation, .. } = *record.into_trace().unwrap_or_default();
        if let Some((candidate, came_of_it)) = tried.last_mut()
            && candidate.location().is_none()
            && let Some(generation) = generation
        {
            let (files, worker) = (&generation.files, request.peer.worker);
            came_of_it.push_str(&for_others(files, candidate, worker, &response).await);
        }
        Some(Explanation { decision, tried, then, response })
    }
}

/// Which ready-made form another client gets where this one gets the file.
async fn for_others(
    files: &Files,
    candidate: &Candidate,
    worker: usize,
    response: &Response,
) -> String {
    let is_coded = response.fields.iter().any(|field| field.name == "Content-Encoding");
    let any = Accepted { codings: CODINGS.into(), ready_made: true };
    let found = match &candidate.page {
        Page::File(path) => files.find(worker, path, &any, Recency::Now).await,
        Page::Index(directory) => files.find_index(worker, directory, &any, Recency::Now).await,
    };
    match found {
        Lookup::File(file) if !is_coded => file.coding.map_or_else(String::new, |coding| {
            let (extension, name) = (coding.extension(), coding.name());
            format!("; its sibling {extension} is for clients that accept {name}")
        }),
        _ => String::new(),
    }
}

fn describe(lookup: &Lookup) -> String {
    match lookup {
        Lookup::File(file) => {
            let form = match file.coding {
                Some(coding) if file.is_made_now => {
                    format!(", compressed on the fly ({})", coding.name())
                }
                Some(coding) => format!(", ready-made in {}", coding.name()),
                None => String::new(),
            };
            let passed_over = file.passed_over.iter().map(|(coding, why)| {
                format!("; its sibling {} is passed over: {why}", coding.extension())
            });
            format!("taken, {} bytes{form}{}", file.length, passed_over.collect::<String>())
        }
        Lookup::Directory => "it is a directory".to_owned(),
        Lookup::Missing => "there is nothing that may be served".to_owned(),
        Lookup::Forbidden => "this process may not read it".to_owned(),
        Lookup::Error(SystemError::Exhausted(error)) => format!("cannot be opened now: {error}"),
        Lookup::Error(SystemError::Failed(error)) => format!("cannot be opened: {error}"),
        Lookup::Error(SystemError::NoResponse(why)) => format!("cannot be opened now: {why}"),
    }
}
