//! Which rules made a decision.
//!
//! The engine notes each rule that it obeys. In a guest the notes go nowhere, and the compiler
//! leaves them out: a decision is explained by the code that makes it.

use super::table::Place;

/// A rule that took part in a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Where the rule stands.
    pub place: Place,
    /// What it did.
    pub what: Effect,
}

/// What a rule did to a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// An access rule let the client in.
    LetsIn,
    /// An access rule refused the client.
    Refuses,
    /// The method is not allowed.
    RefusesMethod,
    /// The site is closed.
    Closes,
    /// The site is closed, and the client passes.
    LetsPass,
    /// The client has to give a password.
    AsksForPassword,
    /// The password is right.
    AcceptsPassword,
    /// It responds to a preflight request.
    RespondsToPreflight,
    /// The origin may read the response.
    SharesWithOrigin,
    /// The origin may not read the response.
    DoesNotShareWithOrigin,
    /// It redirects, whether there is a file or not.
    Redirects,
    /// It redirects if there is no file.
    RedirectsIfNoFile,
    /// It serves another page, whether there is a file or not.
    Rewrites,
    /// It serves another page if there is no file.
    RewritesIfNoFile,
    /// It keeps the path as it is, and no later one is looked at.
    KeepsPath,
    /// Its path matches, and its conditions do not hold.
    ConditionsFail,
    /// It leads to the URL of the request itself, and is passed over.
    LeadsToItself,
    /// Its target names no file for this request.
    NamesNothing,
    /// A page has a URL without an extension.
    CleansUrl,
    /// The page of the app is the fallback.
    FallsBackToApp,
    /// Response fields come from it.
    SetsFields,
}

impl Effect {
    /// What it did, in words that follow the rule's place.
    pub fn text(self) -> &'static str {
        match self {
            Effect::LetsIn => "lets the client in",
            Effect::Refuses => "refuses the client",
            Effect::RefusesMethod => "refuses the method",
            Effect::Closes => "closes the site for maintenance",
            Effect::LetsPass => "lets the client pass maintenance",
            Effect::AsksForPassword => "asks for a password",
            Effect::AcceptsPassword => "accepts the password",
            Effect::RespondsToPreflight => "responds to the preflight request",
            Effect::SharesWithOrigin => "shares the response with the origin",
            Effect::DoesNotShareWithOrigin => "does not share the response with the origin",
            Effect::Redirects => "redirects",
            Effect::RedirectsIfNoFile => "redirects if there is no file",
            Effect::Rewrites => "serves its page",
            Effect::RewritesIfNoFile => "serves its page if there is no file",
            Effect::KeepsPath => "keeps the path as it is",
            Effect::ConditionsFail => "is passed over: its conditions do not hold",
            Effect::LeadsToItself => "is passed over: it leads to the URL itself",
            Effect::NamesNothing => "is passed over: its target names no file",
            Effect::CleansUrl => "looks for a page without its extension",
            Effect::FallsBackToApp => "falls back to the page of the app",
            Effect::SetsFields => "sets fields of the response",
        }
    }
}

/// Where notes of applied rules go.
pub(super) trait Trace {
    /// Notes that a rule did something.
    fn note(&mut self, place: Place, what: Effect);

    /// Notes that a route, the one with this number, did something.
    #[inline(always)]
    fn note_route(&mut self, _number: usize, place: Place, what: Effect) {
        self.note(place, what);
    }
}

/// Nowhere.
pub(super) struct Untraced;

impl Trace for Untraced {
    #[inline(always)]
    fn note(&mut self, _: Place, _: Effect) {}
}

impl Trace for Vec<Applied> {
    fn note(&mut self, place: Place, what: Effect) {
        self.push(Applied { place, what });
    }
}
