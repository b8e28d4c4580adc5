//! A table of rules made ready, and the decision by it.

use super::explain::{Applied, Trace, Untraced};
use super::problem::RuleError;
use super::table::Table;
use crate::{Decision, Request};

/// A table of rules, made ready to decide by.
#[derive(Clone, Debug)]
pub struct Rules {
    interests: Vec<String>,
}

impl Rules {
    /// Makes a table ready. The error is its first rule that cannot be obeyed.
    pub fn new(_table: &Table) -> Result<Rules, RuleError> {
        Ok(Rules { interests: Vec::new() })
    }

    /// What the rules read besides the request line: names of fields in lower case, and facts.
    pub fn interests(&self) -> &[String] {
        &self.interests
    }

    /// Decides how to respond to one request.
    pub fn decide(&self, request: &Request) -> Decision {
        self.trace(request, &mut Untraced)
    }

    /// The same decision, and the rules that made it, in the order in which they were looked at.
    pub fn explain(&self, request: &Request) -> (Decision, Vec<Applied>) {
        let mut applied = Vec::new();
        (self.trace(request, &mut applied), applied)
    }

    fn trace(&self, request: &Request, _trace: &mut impl Trace) -> Decision {
        crate::decide::decide(request.line())
    }
}
