//! Methods that are allowed.

use super::ask::Ask;
use super::draft::Draft;
use super::explain::{Effect, Trace};
use super::problem::{Problem, RuleError};
use super::table::{self, Place, Table};
use crate::Reply;
use crate::contract::is_token;

/// The methods of requests that are allowed.
#[derive(Clone, Debug)]
pub(super) struct Methods {
    place: Place,
    allowed: Box<[String]>,
    /// The value of `allow`.
    text: String,
}

impl Methods {
    /// The rule, if the table has one.
    pub(super) fn new(table: &Table) -> Result<Option<Methods>, RuleError> {
        let ready = |rule: &table::Methods| compile(rule).map_err(|problem| problem.at(rule.place));
        table.methods.as_ref().map(ready).transpose()
    }

    /// 405, if the method is not allowed.
    pub(super) fn refuse(&self, ask: &Ask<'_>, trace: &mut impl Trace) -> Option<Draft> {
        if self.allowed.iter().any(|method| method == ask.method) {
            return None;
        }
        trace.note(self.place, Effect::RefusesMethod);
        let reply = Reply::text(405, *b"method not allowed\n").with("allow", self.text.as_str());
        Some(Draft::Reply(reply))
    }
}

fn compile(rule: &table::Methods) -> Result<Methods, Problem> {
    let mut allowed = rule.allowed.clone();
    if allowed.iter().any(|method| !is_token(method)) {
        return Err(Problem::Method);
    }
    // A server that has GET has HEAD (RFC 9110, section 9.1).
    let has = |name: &str| allowed.iter().any(|method| method == name);
    if has("GET") && !has("HEAD") {
        allowed.push("HEAD".to_owned());
    }
    let text = super::text::list(&allowed);
    Ok(Methods { place: rule.place, allowed: allowed.into(), text })
}

#[cfg(test)]
mod tests {
    use crate::rules::Effect;
    use crate::rules::table::{Methods, Table};
    use crate::rules::testing::{applied, at, check, ready};

    #[test]
    fn other_methods_are_refused() {
        let methods = Methods { place: at(4), allowed: vec!["GET".to_owned(), "PUT".to_owned()] };
        let rules = ready(&Table { methods: Some(methods), ..Table::default() });
        check(&rules, "GET /a", &[], r#"file "a""#);
        check(&rules, "HEAD /a", &[], r#"file "a""#);
        check(&rules, "DELETE /a", &[], {
            r#"reply 405 "method not allowed\n" (allow: GET, PUT, HEAD)"#
        });
        assert_eq!(applied(&rules, "DELETE /a", &[]), [(4, Effect::RefusesMethod)]);
    }
}
