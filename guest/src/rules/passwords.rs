//! Paths that need a password (RFC 7617).

use super::ask::{Ask, MAX_FORMS};
use super::draft::Draft;
use super::explain::{Effect, Trace};
use super::pattern_set::PatternSet;
use super::problem::{Problem, RuleError};
use super::table::{self, Place, Table};
use crate::Reply;
use crate::basic_auth::users::{User, Users};
use crate::basic_auth::{Credentials, challenge};
use crate::pattern::Pattern;

/// All rules about passwords. The first that matches a path decides.
#[derive(Clone, Debug, Default)]
pub(super) struct Passwords {
    patterns: PatternSet,
    rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
struct Rule {
    place: Place,
    /// The value of `www-authenticate`.
    challenge: String,
    users: Users,
}

impl Passwords {
    pub(super) fn new(table: &Table) -> Result<Passwords, RuleError> {
        let mut passwords = Passwords::default();
        for rule in &table.passwords {
            passwords.add(rule).map_err(|problem| problem.at(rule.place))?;
        }
        Ok(passwords)
    }

    fn add(&mut self, rule: &table::Passwords) -> Result<(), Problem> {
        let pattern = Pattern::parse(&rule.pattern)?;
        if rule.realm.chars().any(char::is_control) {
            return Err(Problem::Realm);
        }
        let parse = |line: &String| User::parse(line).map_err(|_| Problem::User);
        let users = rule.users.iter().map(parse).collect::<Result<Users, _>>()?;
        self.patterns.push_for(MAX_FORMS, None, &pattern)?;
        self.rules.push(Rule { place: rule.place, challenge: challenge(&rule.realm), users });
        Ok(())
    }

    /// Whether there is a rule.
    pub(super) fn has_patterns(&self) -> bool {
        !self.patterns.is_empty()
    }

    /// Names of fields that the rules read.
    pub(super) fn interests(&self, mut add: impl FnMut(&str)) {
        if !self.rules.is_empty() {
            add("authorization");
        }
    }

    /// 401, unless the path needs no password or the client has given it. Forms in `known` are those
    /// of a path whose password it has given: the same rule is not asked again.
    pub(super) fn ask_for_password(
        &self,
        ask: &Ask<'_>,
        forms: &[String],
        known: &[String],
        trace: &mut impl Trace,
    ) -> Option<Draft> {
        // The patterns that match one form are found in their order.
        let first_of = |form: &String| self.patterns.matches(None, form).next().map(|(at, _)| at);
        let first = |forms: &[String]| forms.iter().filter_map(first_of).min();
        let at = first(forms)?;
        if first(known) == Some(at) {
            return None;
        }
        let rule = self.rules.get(at)?;
        let credentials = ask.request.value("authorization").and_then(Credentials::parse);
        if credentials.is_some_and(|credentials| rule.users.find(&credentials).is_some()) {
            trace.note(rule.place, Effect::AcceptsPassword);
            return None;
        }
        trace.note(rule.place, Effect::AsksForPassword);
        let reply = Reply::text(401, *b"a password is needed\n")
            .with("www-authenticate", rule.challenge.as_str());
        Some(Draft::Reply(reply))
    }
}

#[cfg(test)]
mod tests {
    use crate::basic_auth::users::User;
    use crate::rules::table::{Passwords, Responses, Table};
    use crate::rules::testing::{at, check, header, ready};
    use crate::rules::{Problem, Rules};

    fn passwords(pattern: &str, users: Vec<String>) -> Passwords {
        let realm = "a \"realm\"".to_owned();
        Passwords { place: at(1), pattern: pattern.to_owned(), realm, users }
    }

    #[test]
    fn path_needs_the_password_of_its_first_rule() {
        let ann = User::new("ann", b"secret", b"0123456789abcdef", 1_000).expect("a user").line();
        let passwords = vec![passwords("/in/*", vec![ann]), passwords("/in/b", Vec::new())];
        let rules = ready(&Table { passwords, ..Table::default() });
        let asked = r#"reply 401 "a password is needed\n" (www-authenticate: Basic realm="a \"realm\"", charset="UTF-8")"#;
        // ann:secret, ann:wrong, bob:secret
        let right = [("authorization", "Basic YW5uOnNlY3JldA==")];
        check(&rules, "/in/a", &right, r#"file "in/a""#);
        check(&rules, "/in/b", &right, r#"file "in/b""#);
        for field in ["Basic YW5uOndyb25n", "Basic Ym9iOnNlY3JldA==", "Bearer x", ""] {
            check(&rules, "/in/a", &[("authorization", field)], asked);
        }
        check(&rules, "/in", &[], asked);
        check(&rules, "/%69n/.a", &[], asked);
        check(&rules, "/a", &[], r#"file "a""#);
    }

    #[test]
    fn no_shared_cache_keeps_what_needed_a_password() {
        let ann = User::new("ann", b"secret", b"0123456789abcdef", 1_000).expect("a user").line();
        let lines = [
            "Cache-Control: Public, max-age=9, s-maxage=99, immutable",
            "CDN-Cache-Control: max-age=99",
        ];
        let headers = vec![header("/*", Responses::Files, &lines)];
        let passwords = vec![passwords("/in/*", vec![ann])];
        let rules = ready(&Table { passwords, headers, ..Table::default() });
        let right = [("authorization", "Basic YW5uOnNlY3JldA==")];
        check(&rules, "/in/a", &right, {
            r#"serve file "in/a" (Cache-Control: private, max-age=9, immutable)"#
        });
        check(&rules, "/a", &[], {
            r#"serve file "a" (Cache-Control: Public, max-age=9, s-maxage=99, immutable) (CDN-Cache-Control: max-age=99)"#
        });
    }

    #[test]
    fn line_that_is_no_user_is_refused() {
        let passwords = vec![passwords("/*", vec!["ann:secret".to_owned()])];
        let error = Rules::new(&Table { passwords, ..Table::default() }).expect_err("no user");
        assert_eq!(error.problem, Problem::User);
    }
}
