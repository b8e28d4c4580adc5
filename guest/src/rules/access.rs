//! Who may come in: access by network and by `Referer`, methods, and maintenance.

use std::net::IpAddr;

use super::ask::{Ask, MAX_FORMS, Vary};
use super::engine::Draft;
use super::explain::{Effect, Trace};
use super::index::{self, Index};
use super::pattern_set::PatternSet;
use super::problem::{Problem, RuleError};
use super::table::{self, AccessBy, Place, Table};
use crate::contract::is_token;
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

/// Access rules. One that refuses the client counts before all that let it in. Those that let
/// clients in are lists, one for each pattern: the client must be in each list whose pattern
/// matches.
#[derive(Clone, Debug, Default)]
struct Access {
    patterns: PatternSet,
    rules: Vec<Rule>,
    /// The number of each pattern's list.
    lists: Index,
}

#[derive(Clone, Debug)]
struct Rule {
    place: Place,
    allow: bool,
    list: u32,
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
            access.patterns.push_for(MAX_FORMS, None, &pattern).map_err(fail)?;
            let list = access.list(&rule.pattern);
            access.rules.push(Rule { place: rule.place, allow: rule.allow, list, by });
        }
        if let Some(methods) = &table.methods {
            let mut allowed = methods.allowed.clone();
            if allowed.iter().any(|method| !is_token(method)) {
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

    /// Whether a rule is about some paths.
    pub(super) fn has_patterns(&self) -> bool {
        !self.by_client.patterns.is_empty() || !self.by_referer.patterns.is_empty()
    }

    /// 403, if an access rule refuses the client.
    pub(super) fn refuse_client<'t>(
        &self,
        ask: &Ask<'_>,
        forms: &[String],
        vary: &mut Vary<'t>,
        trace: &mut impl Trace,
    ) -> Option<Draft> {
        let by_referer = self.by_referer.patterns.match_any(forms);
        if !by_referer.is_empty() {
            vary.add("referer");
        }
        let by_client = self.by_client.patterns.match_any(forms);
        let is_let_in = self.by_client.lets_in(ask, &by_client, trace)
            && self.by_referer.lets_in(ask, &by_referer, trace);
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
        // The host responds to other methods as to a page that is there.
        let page = page.as_ref().filter(|_| matches!(ask.method, "GET" | "HEAD"));
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
    /// The number of a pattern's list.
    fn list(&mut self, pattern: &str) -> u32 {
        self.lists.get(0, pattern).unwrap_or_else(|| {
            let list = index::number(self.rules.len());
            self.lists.insert(0, pattern, list);
            list
        })
    }

    /// Whether the rules that match the path, by their numbers in order, let the client in.
    fn lets_in(&self, ask: &Ask<'_>, matched: &[usize], trace: &mut impl Trace) -> bool {
        // Each list that is about the path: its number, a rule of it, and whether the client is in.
        let mut lists: Vec<(u32, Place, bool)> = Vec::new();
        for rule in matched.iter().filter_map(|&at| self.rules.get(at)) {
            let is_meant = rule.by.means(ask);
            if !rule.allow {
                if is_meant {
                    trace.note(rule.place, Effect::Refuses);
                    return false;
                }
                continue;
            }
            match lists.iter_mut().find(|(list, ..)| *list == rule.list) {
                Some((_, place, is_in)) if is_meant && !*is_in => {
                    (*place, *is_in) = (rule.place, true);
                }
                Some(_) => {}
                None => lists.push((rule.list, rule.place, is_meant)),
            }
        }
        lists.into_iter().all(|(_, place, is_in)| {
            trace.note(place, if is_in { Effect::LetsIn } else { Effect::Refuses });
            is_in
        })
    }
}

impl By {
    /// Whether the request is one of those that a rule is about.
    fn means(&self, ask: &Ask<'_>) -> bool {
        match self {
            By::All => true,
            By::Networks(networks) => ask.client().is_some_and(|client| networks.contains(client)),
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
        }
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

#[cfg(test)]
mod tests {
    use crate::rules::table::{self, AccessBy, Maintenance, Methods, Table};
    use crate::rules::testing::{applied, at, check, ready};
    use crate::rules::{Effect, Problem, Rules};

    fn access(rules: &[(&str, bool, AccessBy)]) -> Table {
        let rule = |(line, (pattern, allow, by)): (u32, &(&str, bool, AccessBy))| table::Access {
            place: at(line),
            pattern: (*pattern).to_owned(),
            allow: *allow,
            by: by.clone(),
        };
        Table { access: (1..).zip(rules).map(rule).collect(), ..Table::default() }
    }

    fn networks(texts: &[&str]) -> AccessBy {
        AccessBy::Networks(texts.iter().map(|&text| text.to_owned()).collect())
    }

    fn referers(texts: &[&str]) -> AccessBy {
        AccessBy::Referers(texts.iter().map(|&text| text.to_owned()).collect())
    }

    #[test]
    fn clients_in_no_list_of_the_path_are_refused() {
        let rules = ready(&access(&[
            ("/in/*", true, networks(&["10.0.0.0/8", "2001:db8::/32"])),
            ("/*", false, networks(&["192.0.2.66"])),
        ]));
        let client = |address| [(":client-address", address)];
        check(&rules, "/in/a", &client("10.1.2.3"), r#"file "in/a""#);
        check(&rules, "/in/a", &client("2001:db8::1"), r#"file "in/a""#);
        check(&rules, "/in/a", &client("192.0.2.1"), r#"reply 403 "forbidden\n""#);
        check(&rules, "/in", &client("192.0.2.1"), r#"reply 403 "forbidden\n""#);
        check(&rules, "/a", &client("192.0.2.1"), r#"file "a""#);
        check(&rules, "/%2e%2e/a%00", &client("192.0.2.66"), r#"reply 403 "forbidden\n""#);
        assert_eq!(applied(&rules, "/in/a", &client("192.0.2.1")), [(1, Effect::Refuses)]);
        assert_eq!(applied(&rules, "/in/a", &client("10.0.0.1")), [(1, Effect::LetsIn)]);
    }

    #[test]
    fn client_must_be_in_the_list_of_each_pattern() {
        let mut all = [
            ("/*", true, networks(&["10.0.0.0/8"])),
            ("/in/*", true, networks(&["10.1.0.0/16"])),
            ("/*", true, networks(&["192.0.2.1"])),
            ("/*", false, networks(&["10.1.6.6"])),
        ];
        // Their order means nothing.
        for _ in 0..all.len() {
            all.rotate_left(1);
            let rules = ready(&access(&all));
            for (line, address, is_in) in [
                ("/in/a", "10.1.0.1", true),
                ("/in/a", "10.2.0.1", false),
                ("/in/a", "192.0.2.1", false),
                ("/in/a", "10.1.6.6", false),
                ("/a", "10.2.0.1", true),
                ("/a", "192.0.2.1", true),
                ("/a", "192.0.2.2", false),
                ("/a", "10.1.6.6", false),
            ] {
                let refused = r#"reply 403 "forbidden\n""#.to_owned();
                let expected = if is_in { format!(r#"file "{}""#, &line[1..]) } else { refused };
                check(&rules, line, &[(":client-address", address)], expected);
            }
        }
    }

    #[test]
    fn pages_of_other_hosts_embed_no_images() {
        let rules =
            ready(&access(&[("/img/*", true, referers(&["", "example.org", "*.example.org"]))]));
        let vary = "always (vary: referer)";
        let served = format!(r#"serve file "img/a.png", {vary}"#);
        check(&rules, "/img/a.png", &[], &served);
        check(&rules, "/img/a.png", &[("referer", "https://www.example.org/x")], &served);
        for referer in ["https://evil.example/", "https://example.org.evil.example/", "x"] {
            check(&rules, "/img/a.png", &[("referer", referer)], {
                r#"reply 403 "forbidden\n" (vary: referer)"#
            });
        }
        check(&rules, "/a", &[("referer", "https://evil.example/")], r#"file "a""#);
    }

    #[test]
    fn client_and_referer_must_both_be_let_in() {
        let rules = ready(&access(&[
            ("/*", true, networks(&["10.0.0.0/8"])),
            ("/*", true, referers(&["a.example"])),
        ]));
        let refused = r#"reply 403 "forbidden\n" (vary: referer)"#;
        let inside = (":client-address", "10.0.0.1");
        check(&rules, "/a", &[inside, ("referer", "https://b.example/")], refused);
        check(&rules, "/a", &[inside, ("referer", "https://a.example/")], {
            r#"serve file "a", always (vary: referer)"#
        });
    }

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

    #[test]
    fn rule_that_cannot_be_obeyed_is_refused() {
        let error = Rules::new(&access(&[("/*", false, networks(&["10.0.0.1/8"]))]));
        assert_eq!(error.expect_err("host bits").problem, Problem::Network);
        let error = Rules::new(&access(&[("/*", false, referers(&["a/b"]))]));
        assert_eq!(error.expect_err("no host").problem, Problem::Referer);
    }
}
