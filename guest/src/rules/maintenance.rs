//! Maintenance: the site is closed but for some clients.

use super::access::networks;
use super::ask::{Ask, Vary};
use super::draft::Draft;
use super::explain::{Effect, Trace};
use super::problem::{Problem, RuleError};
use super::table::{self, Table};
use super::target;
use crate::basic_auth::is_same_secret;
use crate::network::Networks;
use crate::{Candidate, Reply, Serve, cookie};

/// The rule that closes the site.
#[derive(Clone, Debug)]
pub(super) struct Maintenance {
    rule: table::Maintenance,
    page: Option<String>,
    /// The value of `retry-after`.
    retry_after: String,
    pass_networks: Networks,
}

/// The time that a window of maintenance goes by.
const TIME: &str = ":time/60";

impl Maintenance {
    /// The rule, if the table has one.
    pub(super) fn new(table: &Table) -> Result<Option<Maintenance>, RuleError> {
        let ready =
            |rule: &table::Maintenance| compile(rule).map_err(|problem| problem.at(rule.place));
        table.maintenance.as_ref().map(ready).transpose()
    }

    /// Names of fields and facts that the rule reads.
    pub(super) fn interests(&self, mut add: impl FnMut(&str)) {
        if !self.pass_networks.is_empty() {
            add(":client-address");
        }
        if self.rule.pass_cookie.is_some() {
            add("cookie");
        }
        if self.has_window() {
            add(TIME);
        }
    }

    fn has_window(&self) -> bool {
        self.rule.from_s.is_some() || self.rule.until_s.is_some()
    }

    /// 503, if the site is closed for this client.
    pub(super) fn close<'t>(
        &self,
        ask: &Ask<'_>,
        vary: &mut Vary<'t>,
        trace: &mut impl Trace,
    ) -> Option<Draft> {
        let Maintenance { rule, page, retry_after, pass_networks } = self;
        if self.has_window() {
            let now: u64 = ask.request.value(TIME)?.parse().ok()?;
            if rule.from_s.is_some_and(|from| now < from)
                || rule.until_s.is_some_and(|until| now >= until)
            {
                return None;
            }
        }
        if rule.pass_cookie.is_some() {
            vary.add("cookie");
        }
        let passes_by_cookie = rule.pass_cookie.as_ref().is_some_and(|(name, value)| {
            cookie::find(ask.request, name)
                .is_some_and(|given| is_same_secret(given.as_bytes(), value.as_bytes()))
        });
        if passes_by_cookie || ask.client().is_some_and(|client| pass_networks.contains(client)) {
            trace.note(rule.place, Effect::LetsPass);
            return None;
        }
        trace.note(rule.place, Effect::Closes);
        // The host responds to other methods as to a page that is there.
        let page = page.as_ref().filter(|_| matches!(ask.method, "GET" | "HEAD"));
        Some(match page {
            Some(page) => Draft::Serve(
                Serve::one(Candidate::file(page.as_str()).status(503))
                    .with("retry-after", retry_after.as_str())
                    .with("cache-control", "no-store"),
            ),
            None => Draft::Reply(
                Reply::text(503, *b"closed for maintenance\n")
                    .with("retry-after", retry_after.as_str())
                    .with("cache-control", "no-store"),
            ),
        })
    }
}

fn compile(rule: &table::Maintenance) -> Result<Maintenance, Problem> {
    let file = |page: &String| target::file(page).ok_or(Problem::Page);
    Ok(Maintenance {
        page: rule.page.as_ref().map(file).transpose()?,
        retry_after: super::text::decimal(u64::from(rule.retry_after_s)),
        pass_networks: networks(&rule.pass_networks)?,
        rule: rule.clone(),
    })
}

#[cfg(test)]
mod tests {
    use crate::rules::Effect;
    use crate::rules::table::{Maintenance, Table};
    use crate::rules::testing::{applied, at, check, ready};

    fn maintenance() -> Maintenance {
        Maintenance {
            place: at(7),
            page: None,
            retry_after_s: 3600,
            pass_networks: Vec::new(),
            pass_cookie: None,
            from_s: None,
            until_s: None,
        }
    }

    #[test]
    fn site_is_closed_but_for_some() {
        let rule = Maintenance {
            page: Some("closed.html".to_owned()),
            pass_networks: vec!["10.0.0.0/8".to_owned()],
            pass_cookie: Some(("pass".to_owned(), "s3cret".to_owned())),
            ..maintenance()
        };
        let rules = ready(&Table { maintenance: Some(rule), ..Table::default() });
        let outside = (":client-address", "192.0.2.1");
        let closed = r#"serve file "closed.html" with status 503, always (retry-after: 3600) (cache-control: no-store) (vary: cookie)"#;
        check(&rules, "/a", &[outside], closed);
        check(&rules, "/a", &[outside, ("cookie", "pass=S3cret")], closed);
        check(&rules, "HEAD /a", &[outside], closed);
        for line in ["POST /a", "OPTIONS /a"] {
            check(&rules, line, &[outside], {
                r#"reply 503 "closed for maintenance\n" (retry-after: 3600) (cache-control: no-store) (vary: cookie)"#
            });
        }
        check(&rules, "/a", &[outside, ("cookie", "pass=s3cre")], closed);
        let open = r#"serve file "a", always (vary: cookie)"#;
        check(&rules, "/a", &[outside, ("cookie", "a=b; pass=s3cret")], open);
        check(&rules, "/a", &[(":client-address", "10.0.0.1")], open);
        assert_eq!(applied(&rules, "/a", &[outside]), [(7, Effect::Closes)]);
    }

    #[test]
    fn site_is_closed_in_a_window_of_time() {
        let rule = Maintenance { from_s: Some(600), until_s: Some(1200), ..maintenance() };
        let rules = ready(&Table { maintenance: Some(rule), ..Table::default() });
        let closed =
            r#"reply 503 "closed for maintenance\n" (retry-after: 3600) (cache-control: no-store)"#;
        for (now, expected) in
            [("540", r#"file "a""#), ("600", closed), ("1140", closed), ("1200", r#"file "a""#)]
        {
            check(&rules, "/a", &[(":time/60", now)], expected);
        }
    }
}
