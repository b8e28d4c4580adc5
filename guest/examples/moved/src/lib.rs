//! A policy for a site whose pages have moved: paths in `redirects.txt` are redirected,
//! and for all others the default policy decides.
//!
//! [`table`] reads the file, which the build embeds in the guest. `build.rs` refuses a
//! malformed one.

use innkeeper_guest::path::escape;
use innkeeper_guest::{Decision, DefaultPolicy, Policy, Redirect, Request, Target};

pub mod table;

/// The table of redirects.
const TABLE: &str = include_str!("../redirects.txt");

/// The policy.
#[derive(Debug)]
pub struct Moved;

impl Policy for Moved {
    fn decide(request: &Request) -> Decision {
        let decision = DefaultPolicy::decide(request);
        let (Decision::Index(path) | Decision::File(path)) = &decision else { return decision };
        let query = match request.parse().map(|line| line.target) {
            Ok(Target::Origin { query, .. } | Target::Absolute { query, .. }) => query,
            _ => None,
        };
        let mut rules = table::rules(TABLE).flatten();
        let redirect = rules.find_map(|rule| {
            Some(Redirect::new(rule.status, rule.location(path, query, escape)?).into())
        });
        redirect.unwrap_or(decision)
    }
}

innkeeper_guest::export!(Moved);

#[cfg(test)]
mod tests {
    use super::{Moved, TABLE, table};
    use innkeeper_guest::testing::{check, check_cases};
    use innkeeper_guest::{Decision, Redirect};

    #[test]
    fn table_is_well_formed() {
        assert_eq!(table::check(TABLE), Ok(()));
    }

    #[test]
    fn every_spelling_of_an_old_path_is_redirected() {
        for target in
            ["/old.html", "/%6fld.html", "/a/../old.html", "//old.html", "http://h/old.html"]
        {
            let line = format!("GET {target} HTTP/1.1");
            check::<Moved>(&line, &[], Redirect::new(301, "/new.html"));
        }
    }

    #[test]
    fn path_of_a_client_chooses_no_other_host() {
        let line = "GET /shop//..%5c/ HTTP/1.1";
        check::<Moved>(line, &[], Decision::NotFound);
        let line = "GET /blog///evil.example/%23?%0d%0a HTTP/1.1";
        check::<Moved>(line, &[], Redirect::new(301, "/articles/evil.example/%23?%0d%0a"));
    }

    #[test]
    fn cases_pass() {
        check_cases::<Moved>(include_str!("../cases.toml"));
    }
}
