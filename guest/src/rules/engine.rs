//! A table of rules made ready, and the decision by it.

use super::access::Gates;
use super::ask::{Ask, Vary};
use super::cors::Sharing;
use super::explain::{Applied, Trace, Untraced};
use super::headers::{Added, Headers};
use super::pages::{self, Pages};
use super::passwords::Passwords;
use super::problem::RuleError;
use super::routes::{Routed, Routes};
use super::table::Table;
use crate::decision::{Field, Page};
use crate::{Candidate, Decision, Reply, Request, Serve};

/// A table of rules, made ready to decide by.
///
/// Rules are looked at in this order: access, preflight requests (which have no credentials),
/// methods, maintenance, passwords, hidden files, routes, and at last what the path serves by
/// itself. The first of them that decides ends it. Fields are added to what came out.
#[derive(Clone, Debug)]
pub struct Rules {
    gates: Gates,
    sharing: Sharing,
    passwords: Passwords,
    routes: Routes,
    pages: Pages,
    headers: Headers,
    interests: Vec<String>,
    reads_host: bool,
}

impl Rules {
    /// Makes a table ready. The error is its first rule that cannot be obeyed.
    pub fn new(table: &Table) -> Result<Rules, RuleError> {
        let mut rules = Rules {
            gates: Gates::new(table)?,
            sharing: Sharing::new(table)?,
            passwords: Passwords::new(table)?,
            routes: Routes::new(table)?,
            pages: Pages::new(table)?,
            headers: Headers::new(table)?,
            interests: Vec::new(),
            reads_host: false,
        };
        let mut interests: Vec<String> = Vec::new();
        let mut add = |name: &str| {
            if !interests.iter().any(|known| known == name) {
                interests.push(name.to_owned());
            }
        };
        rules.gates.interests(&mut add);
        rules.sharing.interests(&mut add);
        rules.passwords.interests(&mut add);
        rules.routes.interests(&mut add);
        rules.headers.interests(&mut add);
        rules.reads_host = interests.iter().any(|name| name == "host");
        rules.interests = interests;
        Ok(rules)
    }

    /// What the rules read besides the request line: names of fields in lower case, and facts.
    pub fn interests(&self) -> &[String] {
        &self.interests
    }

    /// Decides how to respond to one request.
    pub fn decide(&self, request: &Request) -> Decision {
        self.trace(request, &mut Untraced)
    }

    /// The same decision, and the rules that took part in it, in the order in which they were
    /// looked at.
    pub fn explain(&self, request: &Request) -> (Decision, Vec<Applied>) {
        let mut applied = Vec::new();
        (self.trace(request, &mut applied), applied)
    }

    fn trace(&self, request: &Request, trace: &mut impl Trace) -> Decision {
        let ask = match Ask::new(request, self.reads_host) {
            Ok(ask) => ask,
            Err(decision) => return decision,
        };
        let mut every = Vec::new();
        let mut vary = Vary::default();
        let draft = self
            .guard(&ask, &mut every, &mut vary, trace)
            .unwrap_or_else(|| Draft::Serve(self.page(&ask, &mut vary, trace)));
        let added = self.headers.add(&ask, trace);
        finish(draft, every, added, vary.value())
    }

    /// The response to a client that gets no page.
    fn guard<'t>(
        &'t self,
        ask: &Ask<'_>,
        every: &mut Vec<Field>,
        vary: &mut Vary<'t>,
        trace: &mut impl Trace,
    ) -> Option<Draft> {
        if let Some(refused) = self.gates.refuse_client(ask, vary, trace) {
            return Some(refused);
        }
        if let Some(preflight) = self.sharing.share(ask, every, vary, trace) {
            return Some(preflight);
        }
        if let Some(refused) = self.gates.refuse_method(ask, trace) {
            return Some(refused);
        }
        if let Some(closed) = self.gates.close(ask, vary, trace) {
            return Some(closed);
        }
        self.passwords.ask_for_password(ask, trace)
    }

    /// What there is for the path.
    fn page<'t>(&'t self, ask: &Ask<'_>, vary: &mut Vary<'t>, trace: &mut impl Trace) -> Serve {
        if ask.names_nothing || self.pages.is_hidden(&ask.path) {
            return Serve::nothing();
        }
        match self.routes.find(ask, vary, trace) {
            Routed::Redirect { to, force: true } => Serve::nothing().otherwise(to),
            Routed::Redirect { to, force: false } => {
                Serve::first_of(self.pages.own(ask, trace)).otherwise(to)
            }
            Routed::Page { path, status, force } => {
                let mut candidates = if force { Vec::new() } else { self.pages.own(ask, trace) };
                if !self.is_private(&path) {
                    candidates.extend(pages::of_target(&path, status));
                }
                Serve::first_of(candidates)
            }
            Routed::None => Serve::first_of(self.pages.own_or_app(ask, trace)),
        }
    }

    /// Whether a path to which a rewrite leads is never served.
    fn is_private(&self, path: &str) -> bool {
        let mut names = path.split('/').enumerate();
        let is_dot_file = |(at, name): (usize, &str)| {
            name.starts_with('.') && !(at == 0 && name == ".well-known")
        };
        names.any(is_dot_file) || self.pages.is_hidden(path)
    }
}

/// A decision before fields are added to it.
pub(super) enum Draft {
    Reply(Reply),
    Serve(Serve),
}

/// Adds the fields of rules to a decision.
fn finish(draft: Draft, shared: Vec<Field>, added: Added, vary: Option<String>) -> Decision {
    let Added { mut every, mut files } = added;
    // What the rules about origins say counts more than a block of fields.
    for field in shared {
        for fields in [&mut every, &mut files] {
            fields.retain(|other| !is_same_name(&field.name, &other.name));
            fields.push(field.clone());
        }
    }
    if let Some(vary) = vary {
        for fields in [&mut every, &mut files] {
            match fields.iter_mut().find(|field| is_same_name(&field.name, "vary")) {
                Some(field) => {
                    field.value.extend_from_slice(b", ");
                    field.value.extend_from_slice(vary.as_bytes());
                }
                None => fields.push(Field::new("vary", vary.as_str())),
            }
        }
    }
    match draft {
        Draft::Reply(mut reply) => {
            add_missing(&mut reply.fields, every);
            reply.into()
        }
        Draft::Serve(mut serve) => {
            files.retain(|field| !every.contains(field));
            if !files.is_empty() {
                let pages = serve.candidates.iter_mut().filter(|candidate| candidate.status == 200);
                for candidate in pages {
                    add_missing(&mut candidate.fields, files.iter().cloned());
                }
            }
            add_missing(&mut serve.fields, every);
            shorten(serve)
        }
    }
}

/// Adds fields of which the response has none of the same name.
fn add_missing(fields: &mut Vec<Field>, more: impl IntoIterator<Item = Field>) {
    let own = fields.len();
    for field in more {
        let is_own = fields.iter().take(own).any(|other| is_same_name(&field.name, &other.name));
        if !is_own {
            fields.push(field);
        }
    }
}

fn is_same_name(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

/// The shortest form of a decision.
fn shorten(mut serve: Serve) -> Decision {
    if serve.candidates.is_empty() {
        return match serve.otherwise.take() {
            Some(mut redirect) => {
                redirect.fields.append(&mut serve.fields);
                redirect.into()
            }
            None if serve.fields.is_empty() => Decision::NotFound,
            None => serve.into(),
        };
    }
    let is_plain = |candidate: &Candidate| candidate.status == 200 && candidate.fields.is_empty();
    if serve.otherwise.is_none()
        && serve.fields.is_empty()
        && serve.candidates.len() == 1
        && serve.candidates.iter().all(is_plain)
    {
        return match serve.candidates.pop().map(|candidate| candidate.page) {
            Some(Page::Index(path)) => Decision::Index(path),
            Some(Page::File(path)) => Decision::File(path),
            None => Decision::NotFound,
        };
    }
    serve.into()
}
