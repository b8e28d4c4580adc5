//! A request as a guest sees it, made from a case or from a command line.

use innkeeper_cases::Case;

use crate::guest::decision::Decision;
use crate::guest::decision::request::{Request, StatedFacts};
use crate::guest::failure::Failure;
use crate::guest::loaded_guest::LoadedGuest;

/// A request, as far as a guest may see it.
#[derive(Clone, Debug)]
pub struct GuestRequest<'a> {
    /// The request line.
    pub line: &'a [u8],
    /// The header fields.
    pub fields: &'a [(String, String)],
    /// What is known of the request besides its head.
    pub facts: StatedFacts,
}

impl<'a> From<&'a Case> for GuestRequest<'a> {
    fn from(case: &'a Case) -> GuestRequest<'a> {
        GuestRequest { line: &case.line, fields: &case.fields, facts: (&case.facts).into() }
    }
}

impl GuestRequest<'_> {
    /// The request as the guest is shown it.
    pub(in crate::guest) fn shown_to(&self, guest: &LoadedGuest) -> Request {
        guest.request(self.line, self.lines(), self.facts.lend())
    }

    /// Has the guest decide, as [`LoadedGuest::listen`] does.
    pub fn listen(&self, guest: &LoadedGuest) -> (Result<Decision, Failure>, Vec<String>) {
        guest.listen(self.line, self.lines(), self.facts.lend())
    }

    fn lines(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.fields.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))
    }

    /// Has the guest decide, as [`LoadedGuest::decide_uncached`] does.
    pub fn decide(&self, guest: &LoadedGuest) -> Result<Decision, Failure> {
        guest.decide_uncached(self.line, self.lines(), self.facts.lend())
    }
}
