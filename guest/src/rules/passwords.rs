//! Paths that need a password (RFC 7617).

use super::ask::Ask;
use super::engine::Draft;
use super::explain::{Effect, Trace};
use super::pattern_set::PatternSet;
use super::problem::{Problem, RuleError};
use super::table::{Place, Table};
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
            let fail = |problem| RuleError { place: rule.place, problem };
            let pattern = Pattern::parse(&rule.pattern).map_err(|error| fail(error.into()))?;
            if rule.realm.chars().any(char::is_control) {
                return Err(fail(Problem::Realm));
            }
            let parse = |line: &String| User::parse(line).map_err(|_| fail(Problem::User));
            let users = rule.users.iter().map(parse).collect::<Result<Users, _>>()?;
            let challenge = challenge(&rule.realm);
            passwords.patterns.push(None, &pattern);
            passwords.rules.push(Rule { place: rule.place, challenge, users });
        }
        Ok(passwords)
    }

    /// Names of fields that the rules read.
    pub(super) fn interests(&self, mut add: impl FnMut(&str)) {
        if !self.rules.is_empty() {
            add("authorization");
        }
    }

    /// 401, unless the path needs no password or the client has given it.
    pub(super) fn ask_for_password(&self, ask: &Ask<'_>, trace: &mut impl Trace) -> Option<Draft> {
        let (at, _) = self.patterns.matches(None, &ask.path).next()?;
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
