//! One request, answered with its reasons.

use std::sync::Arc;

use super::answer::carry_out;
use super::body::Discard;
use super::connection::Service;
use super::fault::Fault;
use super::head::Head;
use super::scan::Scanner;
use crate::files::encodings::{Accepted, CODINGS};
use crate::files::{Lookup, Recency, SystemError};
use crate::guest::{Candidate, Decision, Facts, Failure};
use crate::http::Peer;
use crate::reply::{Persistence, Reply};

/// How a request is answered, and why.
#[derive(Debug)]
pub enum Explanation {
    /// The host refuses the request's head.
    Refused {
        /// What is wrong with it.
        why: String,
        /// The answer.
        reply: Reply,
    },
    /// The guest gives no decision.
    Failed {
        /// Why not.
        failure: Failure,
        /// The answer.
        reply: Reply,
    },
    /// The guest decides.
    Decided {
        /// What.
        decision: Arc<Decision>,
        /// The candidates that were tried, with what came of each.
        tried: Vec<(Candidate, String)>,
        /// The answer.
        reply: Reply,
    },
}

impl Explanation {
    /// The answer.
    pub fn reply(&self) -> &Reply {
        match self {
            Explanation::Refused { reply, .. }
            | Explanation::Failed { reply, .. }
            | Explanation::Decided { reply, .. } => reply,
        }
    }
}

/// Answers the request with this head as a connection would, and says why; and what becomes
/// of the connection then. Of the request's body there is what its head says.
pub async fn explain(service: &Service, head: &[u8], peer: Peer) -> (Explanation, Persistence) {
    let refused = |status, why: String| {
        let reply = Reply::text(status, &why);
        (Explanation::Refused { why, reply }, Persistence::Close)
    };
    let head = match parse(service, head) {
        Ok(head) => head,
        Err(fault) => return refused(fault.status(), fault.to_string()),
    };
    let persistence = match Discard::new(head.framing, service.limits.body_bytes) {
        Err(fault) => return refused(fault.status(), fault.why().to_owned()),
        // Whether the body comes all the same cannot be known.
        Ok(body) if head.expects_continue && !body.is_done() => Persistence::Close,
        Ok(_) => head.after.persistence(),
    };
    let facts = Facts { client: peer.address };
    let decided = service.guest.decide(peer.worker, head.line, head.shown_fields(), facts).await;
    let explanation = match decided.decision {
        Err(failure) => Explanation::Failed { reply: super::answer::failed(&failure), failure },
        Ok(decision) => {
            let mut tried = Vec::new();
            let mut note = |candidate: &Candidate, lookup: &Lookup| {
                tried.push((candidate.clone(), describe(lookup)));
            };
            let reply = carry_out(&decision, service, &head, peer.worker, &mut note).await;
            if let Some((candidate, came_of_it)) = tried.last_mut() {
                came_of_it.push_str(&for_others(service, candidate, peer.worker, &reply).await);
            }
            Explanation::Decided { decision, tried, reply }
        }
    };
    (explanation, persistence)
}

fn parse<'a>(service: &Service, head: &'a [u8]) -> Result<Head<'a>, Fault> {
    let limits = &service.limits;
    let extent = Scanner::default().scan(head, limits)?.ok_or(Fault::Line)?;
    if extent.end < head.len() {
        // An empty line within what was meant to be one head.
        return Err(Fault::Line);
    }
    Head::parse(&head[extent.start..extent.end], limits)
}

/// Which ready-made form another client gets where this one gets the file.
async fn for_others(
    service: &Service,
    candidate: &Candidate,
    worker: usize,
    reply: &Reply,
) -> String {
    let is_coded = reply.fields.iter().any(|field| field.name == "Content-Encoding");
    let any = Accepted { codings: CODINGS.into(), ready_made: true };
    let found = match candidate {
        Candidate::File(path) => service.files.find(worker, path, &any, Recency::Now).await,
        Candidate::Index(directory) => {
            service.files.find_index(worker, directory, &any, Recency::Now).await
        }
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
        Lookup::Error(SystemError::Unanswered(why)) => format!("cannot be opened now: {why}"),
    }
}
