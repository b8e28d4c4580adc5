//! The built-in guest that decides by rules: its data is a table of them.
//!
//! The host made the table, and checked it by the same code: what is refused here is data of
//! another version.

use std::sync::OnceLock;

use innkeeper_guest::rules::{Rules, Table};
use innkeeper_guest::{Configure, Decision, Policy, Request};

/// Decides by the rules of its data, and without data as the default guest.
#[derive(Clone, Copy, Debug)]
pub struct RulesPolicy;

static RULES: OnceLock<Rules> = OnceLock::new();

impl Configure for RulesPolicy {
    fn configure(data: &[u8]) -> Result<(), String> {
        if data.is_empty() {
            return Ok(());
        }
        let table = Table::from_data(data).map_err(|_| "the data is no table of rules")?;
        let rules = Rules::new(&table).map_err(|error| error.problem.text())?;
        // It is called once.
        let _ = RULES.set(rules);
        Ok(())
    }
}

impl Policy for RulesPolicy {
    fn interests() -> Vec<String> {
        RULES.get().map_or_else(Vec::new, |rules| rules.interests().to_vec())
    }

    fn decide(request: &Request) -> Decision {
        match RULES.get() {
            Some(rules) => rules.decide(request),
            None => innkeeper_guest::decide::decide(request.line()),
        }
    }
}

innkeeper_guest::export!(RulesPolicy, configurable);
