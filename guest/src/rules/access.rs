//! Access by network and by `Referer`.

use std::net::IpAddr;

use super::ask::{Ask, MAX_FORMS, Vary};
use super::engine::Draft;
use super::explain::{Effect, Trace};
use super::index::{self, Index};
use super::pattern_set::PatternSet;
use super::problem::{Problem, RuleError};
use super::table::{AccessBy, Place, Table};
use crate::Reply;
use crate::network::{Network, Networks};
use crate::origin::{HostPattern, host_of};
use crate::pattern::Pattern;

/// All rules about who may come in.
#[derive(Clone, Debug, Default)]
pub(super) struct Access {
    by_client: Lists,
    by_referer: Lists,
}

/// Rules of one kind. One that refuses the client counts before all that let it in. Those that let
/// clients in are lists, one for each pattern: the client must be in each list whose pattern
/// matches.
#[derive(Clone, Debug, Default)]
struct Lists {
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

impl Access {
    pub(super) fn new(table: &Table) -> Result<Access, RuleError> {
        let mut all = Access::default();
        for rule in &table.access {
            let fail = |problem| RuleError { place: rule.place, problem };
            let pattern = Pattern::parse(&rule.pattern).map_err(|error| fail(error.into()))?;
            let (lists, by) = match &rule.by {
                AccessBy::All => (&mut all.by_client, By::All),
                AccessBy::Networks(texts) => {
                    (&mut all.by_client, By::Networks(networks(texts).map_err(fail)?))
                }
                AccessBy::Referers(texts) => {
                    let referers: Result<_, _> = texts.iter().map(|text| referer(text)).collect();
                    (&mut all.by_referer, By::Referers(referers.map_err(fail)?))
                }
            };
            lists.patterns.push_for(MAX_FORMS, None, &pattern).map_err(fail)?;
            let list = lists.list(&rule.pattern);
            lists.rules.push(Rule { place: rule.place, allow: rule.allow, list, by });
        }
        Ok(all)
    }

    /// Names of fields and facts that the rules read.
    pub(super) fn interests(&self, mut add: impl FnMut(&str)) {
        if self.by_client.rules.iter().any(|rule| matches!(rule.by, By::Networks(_))) {
            add(":client-address");
        }
        if !self.by_referer.rules.is_empty() {
            add("referer");
        }
    }

    /// Whether a rule is about some paths.
    pub(super) fn has_patterns(&self) -> bool {
        !self.by_client.patterns.is_empty() || !self.by_referer.patterns.is_empty()
    }

    /// 403, if an access rule refuses the client.
    pub(super) fn refuse<'t>(
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
}

impl Lists {
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

impl Ask<'_> {
    /// The address of the client, if a rule reads it.
    pub(super) fn client(&self) -> Option<IpAddr> {
        self.request.value(":client-address")?.parse().ok()
    }
}

/// All of these networks.
pub(super) fn networks(texts: &[String]) -> Result<Networks, Problem> {
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
    use crate::rules::table::{self, AccessBy, Table};
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
    fn rule_that_cannot_be_obeyed_is_refused() {
        let error = Rules::new(&access(&[("/*", false, networks(&["10.0.0.1/8"]))]));
        assert_eq!(error.expect_err("host bits").problem, Problem::Network);
        let error = Rules::new(&access(&[("/*", false, referers(&["a/b"]))]));
        assert_eq!(error.expect_err("no host").problem, Problem::Referer);
    }
}
