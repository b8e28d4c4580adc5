//! Redirects, rewrites and error pages: whether a request reaches them, and redirects that lead in a
//! circle.

use std::collections::HashSet;

use super::budget::Budget;
use super::finding::{CircleEnds, Finding, Lint};
use super::sample::{self, Requests, Sample};
use crate::rules::Rules;
use crate::rules::explain::{Effect, Trace};
use crate::rules::table::{Place, Table};
use crate::{Decision, Redirect};

/// Redirects that a client follows: browsers give up after 20.
const HOPS: usize = 20;

/// Redirects, rewrites and error pages, and the engine for these alone.
pub(super) struct Routes<'t, 'w> {
    table: &'t Table,
    rules: Rules,
    asks_scheme: bool,
    /// Hosts that rules are about: they are this server's.
    hosts: HashSet<&'t str>,
    budget: Budget<'w>,
}

/// What becomes of a request.
struct Outcome {
    /// The route that decides.
    by: Option<usize>,
    /// All that took part.
    applied: Vec<(usize, Effect)>,
    /// Where the client is sent.
    location: Option<String>,
    /// Where it is sent by the path's own page, if that is there.
    moved: Option<String>,
}

impl<'t, 'w> Routes<'t, 'w> {
    pub(super) fn new(table: &'t Table, rules: Rules, budget: Budget<'w>) -> Routes<'t, 'w> {
        let asks_scheme = table.routes.iter().any(|route| route.scheme.is_some());
        let hosts = table.routes.iter().filter_map(|route| route.host.as_deref()).collect();
        Routes { table, rules: rules.routes_alone(), asks_scheme, hosts, budget }
    }

    pub(super) fn lint(&mut self, findings: &mut Vec<Finding>) {
        let mut in_circle = vec![false; self.table.routes.len()];
        for (at, route) in self.table.routes.iter().enumerate() {
            let Some(requests) = Requests::new(self.table, route, self.asks_scheme) else {
                let lint = Lint::NoCountryField;
                findings.push(Finding { place: route.place, lint });
                continue;
            };
            match self.reached(at, &requests) {
                Reached::Never(lint) => findings.push(Finding { place: route.place, lint }),
                Reached::By(sample, outcome) => {
                    self.circle(at, sample, outcome, &mut in_circle, findings);
                }
                Reached::Unknown => {}
            }
            if self.budget.is_spent() {
                let rest = self.table.routes.len() - at;
                findings.push(Finding { place: route.place, lint: Lint::NotCompared(rest) });
                return;
            }
        }
        self.app(findings);
    }

    /// Whether one of the requests made for a route is decided by it.
    fn reached(&mut self, at: usize, requests: &Requests<'_>) -> Reached {
        let (mut by, mut itself, mut nothing, mut seen) = (None, 0, 0, 0);
        let mut samples = 0;
        for sample in requests.samples() {
            if self.budget.is_spent() {
                return Reached::Unknown;
            }
            samples += 1;
            let outcome = self.ask(&sample);
            if outcome.by == Some(at) {
                return Reached::By(sample, outcome);
            }
            let own = outcome.applied.iter().find(|(route, _)| *route == at);
            match own.map(|(_, what)| *what) {
                Some(Effect::LeadsToItself) => itself += 1,
                Some(Effect::NamesNothing) => nothing += 1,
                // The request is not what the rule's conditions want: nothing is known.
                Some(_) => return Reached::Unknown,
                None => {}
            }
            seen += usize::from(outcome.by.is_some());
            by = by.or(outcome.by);
        }
        let route = |at: usize| self.table.routes.get(at).map(|route| route.place);
        match (samples, by.and_then(route)) {
            (0, _) => Reached::Never(Lint::NeverMatches),
            (all, _) if itself == all => Reached::Never(Lint::LeadsToItself),
            (all, _) if nothing == all => Reached::Never(Lint::NamesNothing),
            (all, Some(by)) if seen == all => Reached::Never(Lint::Shadowed(by)),
            (_, None) if itself + nothing == 0 => Reached::Never(Lint::NeverMatches),
            _ => Reached::Unknown,
        }
    }

    /// Follows redirects from a request that a route decides.
    fn circle(
        &mut self,
        at: usize,
        mut sample: Sample,
        mut outcome: Outcome,
        in_circle: &mut [bool],
        findings: &mut Vec<Finding>,
    ) {
        // Requests so far, each with the route that decided it; without one it was the page.
        let mut way: Vec<(Sample, Option<usize>)> = Vec::new();
        let start = loop {
            let (by, location) = match (outcome.by, outcome.location, outcome.moved) {
                (Some(by), Some(location), _) => (Some(by), location),
                (None, _, Some(location)) => (None, location),
                _ => return,
            };
            let is_ours = |host: &str| self.hosts.contains(host);
            let Some(next) = sample.follow(&location, is_ours) else { return };
            way.push((std::mem::replace(&mut sample, next), by));
            if let Some(start) = way.iter().position(|(before, _)| *before == sample) {
                break start;
            }
            if way.len() == HOPS {
                // It gets longer with each redirect.
                break 0;
            }
            if self.budget.is_spent() {
                return;
            }
            outcome = self.ask(&sample);
        };
        let mut circle: Vec<usize> = Vec::new();
        let has_page = way.iter().skip(start).any(|(_, by)| by.is_none());
        for by in way.iter().skip(start).filter_map(|&(_, by)| by) {
            if !circle.contains(&by) {
                circle.push(by);
            }
        }
        // It is told once, at the first of its rules.
        let is_known = circle.iter().any(|&by| in_circle.get(by).is_some_and(|is| *is));
        if is_known || !circle.contains(&at) {
            return;
        }
        for &by in &circle {
            if let Some(is_in) = in_circle.get_mut(by) {
                *is_in = true;
            }
        }
        let routes: Vec<_> = circle.iter().filter_map(|&by| self.table.routes.get(by)).collect();
        let is_forced = routes.iter().all(|route| route.force);
        let ends = match (has_page, &self.table.clean_urls) {
            (false, _) if is_forced => CircleEnds::Never,
            (false, _) => CircleEnds::AtFile,
            // Without `!` the page is served before the redirect.
            (true, _) if !is_forced => return,
            (true, Some(rule)) => CircleEnds::WithoutPage(rule.place),
            (true, None) => CircleEnds::WithoutFolder,
        };
        let through = routes.iter().skip(1).map(|route| route.place).collect();
        let Some(place) = routes.first().map(|route| route.place) else { return };
        findings.push(Finding { place, lint: Lint::Circle { through, ends } });
    }

    /// The page of an app that no request reaches.
    fn app(&mut self, findings: &mut Vec<Finding>) {
        let Some(app) = &self.table.spa else { return };
        let samples = sample::of_path(&app.pattern);
        let outcomes: Vec<_> = samples.iter().map(|sample| self.ask(sample).by).collect();
        let by = outcomes.first().copied().flatten();
        if outcomes.iter().all(Option::is_some)
            && let Some(by) = by.and_then(|by| self.table.routes.get(by))
        {
            findings.push(Finding { place: app.place, lint: Lint::Shadowed(by.place) });
        }
    }

    fn ask(&mut self, sample: &Sample) -> Outcome {
        let mut notes = Notes::default();
        let decision = self.rules.trace(&sample.request(), &mut notes);
        let applied = notes.0;
        self.budget.spend(1 + applied.len());
        let decides = |effect: Effect| {
            matches!(
                effect,
                Effect::Redirects
                    | Effect::RedirectsIfNoFile
                    | Effect::Rewrites
                    | Effect::RewritesIfNoFile
                    | Effect::KeepsPath
            )
        };
        let by = applied.iter().find(|(_, what)| decides(*what)).map(|(route, _)| *route);
        let (location, moved) = match decision {
            Decision::Redirect(Redirect { location, .. }) => (Some(location), None),
            Decision::Serve(mut serve) => {
                let moved = serve.candidates.iter_mut().find_map(|page| page.location.take());
                (serve.otherwise.map(|redirect| redirect.location), moved)
            }
            // A folder of this name has a `/` at its end.
            Decision::File(_) if self.table.clean_urls.is_none() => {
                (None, Some(sample.with_slash()))
            }
            _ => (None, None),
        };
        Outcome { by, applied, location, moved }
    }
}

/// What the requests made for a route show.
enum Reached {
    /// This one is decided by it.
    By(Sample, Outcome),
    /// None is.
    Never(Lint),
    /// They do not tell.
    Unknown,
}

/// What routes did, each by its number.
#[derive(Default)]
struct Notes(Vec<(usize, Effect)>);

impl Trace for Notes {
    fn note(&mut self, _: Place, _: Effect) {}

    fn note_route(&mut self, number: usize, _: Place, what: Effect) {
        self.0.push((number, what));
    }
}
