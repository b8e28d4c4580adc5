//! Who may come in: access by network and by `Referer`, methods, and maintenance.

use std::net::IpAddr;

use super::ask::{Ask, Vary};
use super::engine::Draft;
use super::explain::{Effect, Trace};
use super::pattern_set::PatternSet;
use super::problem::{Problem, RuleError};
use super::table::{self, AccessBy, Place, Table};
use crate::network::{Network, Networks};
use crate::origin::{HostPattern, host_of};
use crate::pattern::Pattern;
use crate::{Candidate, Reply, Serve, cookie};

/// All that may refuse a client, but passwords.
#[derive(Clone, Debug, Default)]
pub(super) struct Gates {
    by_client: Access,
    by_referer: Access,
    methods: Option<Methods>,
    maintenance: Option<Maintenance>,
}

/// Access rules in their order: the first that matches decides.
#[derive(Clone, Debug, Default)]
struct Access {
    patterns: PatternSet,
    rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
struct Rule {
    place: Place,
    allow: bool,
    by: By,
}

#[derive(Clone, Debug)]
enum By {
    All,
    Networks(Networks),
    Referers(Box<[Referer]>),
}

#[derive(Clone, Debug)]
enum Referer {
    /// No field.
    None,
    /// Any host.
    Any,
    Host(HostPattern),
}

#[derive(Clone, Debug)]
struct Methods {
    place: Place,
    allowed: Box<[String]>,
    /// The value of `allow`.
    text: String,
}

#[derive(Clone, Debug)]
struct Maintenance {
    rule: table::Maintenance,
    page: Option<String>,
    pass_networks: Networks,
}

impl Gates {
    pub(super) fn new(table: &Table) -> Result<Gates, RuleError> {
        let mut gates = Gates::default();
        for rule in &table.access {
            let fail = |problem| RuleError { place: rule.place, problem };
            let pattern = Pattern::parse(&rule.pattern).map_err(|error| fail(error.into()))?;
            let (access, by) = match &rule.by {
                AccessBy::All => (&mut gates.by_client, By::All),
                AccessBy::Networks(texts) => {
                    (&mut gates.by_client, By::Networks(networks(texts).map_err(fail)?))
                }
                AccessBy::Referers(texts) => {
                    let referers: Result<_, _> = texts.iter().map(|text| referer(text)).collect();
                    (&mut gates.by_referer, By::Referers(referers.map_err(fail)?))
                }
            };
            access.patterns.push(None, &pattern);
            access.rules.push(Rule { place: rule.place, allow: rule.allow, by });
        }
        if let Some(methods) = &table.methods {
            let mut allowed = methods.allowed.clone();
            if allowed.iter().any(|method| !super::headers::is_token(method)) {
                return Err(RuleError { place: methods.place, problem: Problem::Method });
            }
            // A server that has GET has HEAD (RFC 9110, section 9.1).
            if allowed.iter().any(|method| method == "GET")
                && !allowed.iter().any(|method| method == "HEAD")
            {
                allowed.push("HEAD".to_owned());
            }
            let text = super::headers::list(&allowed);
            gates.methods = Some(Methods { place: methods.place, allowed: allowed.into(), text });
        }
        if let Some(rule) = &table.maintenance {
            let fail = |problem| RuleError { place: rule.place, problem };
            let page = match &rule.page {
                Some(page) => match super::target::resolve(page) {
                    Some(page) if !page.is_empty() && !page.ends_with('/') => Some(page),
                    _ => return Err(fail(Problem::Page)),
                },
                None => None,
            };
            let pass_networks = networks(&rule.pass_networks).map_err(fail)?;
            gates.maintenance = Some(Maintenance { rule: rule.clone(), page, pass_networks });
        }
        Ok(gates)
    }

    /// Names of fields and facts that the gates read.
    pub(super) fn interests(&self, mut add: impl FnMut(&str)) {
        if self.by_client.rules.iter().any(|rule| matches!(rule.by, By::Networks(_))) {
            add(":client-address");
        }
        if !self.by_referer.rules.is_empty() {
            add("referer");
        }
        if let Some(maintenance) = &self.maintenance {
            if !maintenance.pass_networks.is_empty() {
                add(":client-address");
            }
            if maintenance.rule.pass_cookie.is_some() {
                add("cookie");
            }
            if maintenance.rule.from_s.is_some() || maintenance.rule.until_s.is_some() {
                add(TIME);
            }
        }
    }

    /// 403, if an access rule refuses the client.
    pub(super) fn refuse_client<'t>(
        &self,
        ask: &Ask<'_>,
        vary: &mut Vary<'t>,
        trace: &mut impl Trace,
    ) -> Option<Draft> {
        if self.by_referer.patterns.matches(None, &ask.path).next().is_some() {
            vary.add("referer");
        }
        let is_let_in = self.by_client.lets_in(ask, trace) && self.by_referer.lets_in(ask, trace);
        (!is_let_in).then(|| Draft::Reply(Reply::text(403, *b"forbidden\n")))
    }

    /// 405, if the method is not allowed.
    pub(super) fn refuse_method(&self, ask: &Ask<'_>, trace: &mut impl Trace) -> Option<Draft> {
        let methods = self.methods.as_ref()?;
        if methods.allowed.iter().any(|method| method == ask.method) {
            return None;
        }
        trace.note(methods.place, Effect::RefusesMethod);
        let reply = Reply::text(405, *b"method not allowed\n").with("allow", methods.text.as_str());
        Some(Draft::Reply(reply))
    }

    /// 503, if the site is closed for this client.
    pub(super) fn close<'t>(
        &self,
        ask: &Ask<'_>,
        vary: &mut Vary<'t>,
        trace: &mut impl Trace,
    ) -> Option<Draft> {
        let Maintenance { rule, page, pass_networks } = self.maintenance.as_ref()?;
        if rule.from_s.is_some() || rule.until_s.is_some() {
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
        let retry_after = super::headers::decimal(u64::from(rule.retry_after_s));
        Some(match page {
            Some(page) => Draft::Serve(
                Serve::one(Candidate::file(page.as_str()).status(503))
                    .with("retry-after", retry_after)
                    .with("cache-control", "no-store"),
            ),
            None => Draft::Reply(
                Reply::text(503, *b"closed for maintenance\n")
                    .with("retry-after", retry_after)
                    .with("cache-control", "no-store"),
            ),
        })
    }
}

impl Access {
    fn lets_in(&self, ask: &Ask<'_>, trace: &mut impl Trace) -> bool {
        for (at, _) in self.patterns.matches(None, &ask.path) {
            let Some(rule) = self.rules.get(at) else { break };
            let is_meant = match &rule.by {
                By::All => true,
                By::Networks(networks) => {
                    ask.client().is_some_and(|client| networks.contains(client))
                }
                By::Referers(referers) => {
                    let given = ask.request.values("referer").next();
                    let host =
                        given.and_then(|value| std::str::from_utf8(value).ok()).and_then(host_of);
                    referers.iter().any(|referer| match referer {
                        Referer::None => given.is_none_or(<[u8]>::is_empty),
                        Referer::Any => true,
                        Referer::Host(pattern) => host.is_some_and(|host| pattern.matches(host)),
                    })
                }
            };
            if is_meant {
                trace.note(rule.place, if rule.allow { Effect::LetsIn } else { Effect::Refuses });
                return rule.allow;
            }
        }
        true
    }
}

/// The time that a window of maintenance goes by.
const TIME: &str = ":time/60";

impl Ask<'_> {
    /// The address of the client, if a rule reads it.
    fn client(&self) -> Option<IpAddr> {
        self.request.value(":client-address")?.parse().ok()
    }
}

/// Compares in a time that does not tell how much is the same.
fn is_same_secret(given: &[u8], expected: &[u8]) -> bool {
    let differences = given.iter().zip(expected).fold(0, |all, (a, b)| all | (a ^ b));
    given.len() == expected.len() && std::hint::black_box(differences) == 0
}

fn networks(texts: &[String]) -> Result<Networks, Problem> {
    let parse = |text: &String| Network::parse(text).map_err(|_| Problem::Network);
    texts.iter().map(parse).collect()
}

fn referer(text: &str) -> Result<Referer, Problem> {
    match text {
        "" => Ok(Referer::None),
        "*" => Ok(Referer::Any),
        host => HostPattern::parse(host).map(Referer::Host).map_err(|_| Problem::Referer),
    }
}
