//! A table of rules made ready, and the decision by it.

use super::access::Access;
use super::ask::{self, Ask, Vary};
use super::cors::Cors;
use super::draft::{Draft, finish};
use super::explain::{Applied, Trace, Untraced};
use super::headers::Headers;
use super::maintenance::Maintenance;
use super::methods::Methods;
use super::pages::{self, Pages};
use super::passwords::Passwords;
use super::problem::RuleError;
use super::routes::{Routed, Routes};
use super::table::Table;
use crate::decision::Field;
use crate::path::has_dot_file_but;
use crate::{Candidate, Decision, Request, Serve};

/// A table of rules, made ready to decide by.
///
/// Rules are looked at in this order: access, preflight requests (which have no credentials),
/// methods, maintenance, passwords, hidden files, routes, and at last what the path serves by
/// itself. The first of them that decides ends it. Fields are added to what came out.
#[derive(Clone, Debug)]
pub struct Rules {
    access: Access,
    cors: Cors,
    methods: Option<Methods>,
    maintenance: Option<Maintenance>,
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
            access: Access::new(table)?,
            cors: Cors::new(table)?,
            methods: Methods::new(table)?,
            maintenance: Maintenance::new(table)?,
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
        rules.access.interests(&mut add);
        rules.cors.interests(&mut add);
        if let Some(maintenance) = &rules.maintenance {
            maintenance.interests(&mut add);
        }
        rules.passwords.interests(&mut add);
        rules.routes.interests(&mut add);
        rules.headers.interests(&mut add);
        rules.reads_host = interests.iter().any(|name| name == "host");
        rules.interests = interests;
        Ok(rules)
    }

    /// The same with routes and clean URLs alone.
    pub(super) fn routes_alone(self) -> Rules {
        Rules {
            access: Access::default(),
            cors: Cors::default(),
            methods: None,
            maintenance: None,
            passwords: Passwords::default(),
            pages: self.pages.without_app(),
            headers: Headers::default(),
            ..self
        }
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

    /// The decision, with notes of the rules that took part in it.
    pub(super) fn trace(&self, request: &Request, trace: &mut impl Trace) -> Decision {
        let ask = match Ask::new(request, self.reads_host) {
            Ok(ask) => ask,
            Err(decision) => return decision,
        };
        let mut every = Vec::new();
        let mut vary = Vary::default();
        let forms = self.guarded_forms(&ask);
        let draft = self
            .guard(&ask, &forms, &mut every, &mut vary, trace)
            .unwrap_or_else(|| self.page(&ask, &forms, &mut vary, trace));
        let mut added = self.headers.add(&ask, draft.responses(), trace);
        if self.passwords.has_patterns() && request.value("authorization").is_some() {
            added.keep_from_shared_caches();
        }
        finish(draft, every, added, vary.value())
    }

    /// The response to a client that gets no page.
    fn guard<'t>(
        &'t self,
        ask: &Ask<'_>,
        forms: &[String],
        every: &mut Vec<Field>,
        vary: &mut Vary<'t>,
        trace: &mut impl Trace,
    ) -> Option<Draft> {
        if let Some(refused) = self.access.refuse(ask, forms, vary, trace) {
            return Some(refused);
        }
        if let Some(preflight) = self.cors.share(ask, every, vary, trace) {
            return Some(preflight);
        }
        if let Some(methods) = &self.methods
            && let Some(refused) = methods.refuse(ask, trace)
        {
            return Some(refused);
        }
        if let Some(maintenance) = &self.maintenance
            && let Some(closed) = maintenance.close(ask, vary, trace)
        {
            return Some(closed);
        }
        self.passwords.ask_for_password(ask, forms, &[], trace)
    }

    /// All forms of the path, if a guard looks at them.
    fn guarded_forms(&self, ask: &Ask<'_>) -> Vec<String> {
        if self.has_guards() {
            ask::forms(&ask.path, self.pages.has_clean_urls())
        } else {
            Vec::new()
        }
    }

    fn has_guards(&self) -> bool {
        self.access.has_patterns() || self.passwords.has_patterns()
    }

    /// The response to a client that may not have the pages of another path, to which a rule leads.
    /// Forms in `known` are those of the path that was asked for.
    fn guard_pages<'t>(
        &'t self,
        ask: &Ask<'_>,
        known: &[String],
        candidates: &[Candidate],
        vary: &mut Vary<'t>,
        trace: &mut impl Trace,
    ) -> Option<Draft> {
        if !self.has_guards() {
            return None;
        }
        let forms = forms_of_pages(candidates);
        self.access
            .refuse(ask, &forms, vary, trace)
            .or_else(|| self.passwords.ask_for_password(ask, &forms, known, trace))
    }

    /// What there is for the path.
    fn page<'t>(
        &'t self,
        ask: &Ask<'_>,
        forms: &[String],
        vary: &mut Vary<'t>,
        trace: &mut impl Trace,
    ) -> Draft {
        if ask.names_nothing || self.pages.is_hidden(&ask.path) {
            return Draft::Serve(Serve::nothing());
        }
        let (mut candidates, own);
        match self.routes.find(ask, vary, trace) {
            Routed::Redirect { to, force: true } => {
                return Draft::Serve(Serve::nothing().otherwise(to));
            }
            Routed::Redirect { to, force: false } => {
                return Draft::Serve(Serve::first_of(self.pages.own(ask, trace)).otherwise(to));
            }
            Routed::Page { path, status, force } => {
                candidates = if force { Vec::new() } else { self.pages.own(ask, trace) };
                own = candidates.len();
                if !self.is_private(&path) {
                    candidates.extend(pages::of_target(&path, status));
                }
            }
            Routed::None => {
                candidates = self.pages.own(ask, trace);
                own = candidates.len();
                self.pages.add_app(ask, &mut candidates, trace);
            }
        }
        // A page of another path: what guards that path guards the page too.
        let others = candidates.get(own..).unwrap_or_default();
        self.guard_pages(ask, forms, others, vary, trace)
            .unwrap_or_else(|| Draft::Serve(Serve::first_of(candidates)))
    }

    /// Whether a path to which a rewrite leads is never served.
    fn is_private(&self, path: &str) -> bool {
        has_dot_file_but(path, ".well-known") || self.pages.is_hidden(path)
    }
}

/// All forms of the pages that may be served, each once: most of them share some.
fn forms_of_pages(candidates: &[Candidate]) -> Vec<String> {
    let mut forms = Vec::new();
    for candidate in candidates.iter().filter(|candidate| candidate.location.is_none()) {
        ask::add_forms(&mut forms, candidate.page.path(), true);
    }
    forms
}

#[cfg(test)]
mod tests;
