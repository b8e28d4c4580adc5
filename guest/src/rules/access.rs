//! Access by network and by `Referer`.
//!
//! Rules about one pattern become one list, in which an address or a host is found by a search and not
//! by a look at each rule. A rule that refuses the client counts before all that let it in; where a
//! list has rules that let clients in, the client must be in one of them.

mod members;

use super::ask::{Ask, MAX_FORMS, Vary};
use super::draft::Draft;
use super::explain::{Effect, Trace};
use super::index::{Index, number};
use super::pattern_set::PatternSet;
use super::problem::{Problem, RuleError};
use super::table::{self, AccessBy, Place, Table};
use crate::Reply;
use crate::network::{Network, Networks};
use crate::origin::HostPattern;
use crate::pattern::Pattern;
use members::{Clients, Members, Referer, Referers};

/// All rules about who may come in.
#[derive(Clone, Debug, Default)]
pub(super) struct Access {
    patterns: PatternSet,
    /// The list of each pattern.
    lists: Vec<List>,
    /// Where each rule stands, by its number.
    places: Vec<Place>,
}

/// The rules about one pattern. Networks and referers are two kinds: the client must be let in by
/// both.
#[derive(Clone, Debug, Default)]
struct List {
    by_client: Kind<Clients>,
    by_referer: Kind<Referers>,
}

/// The rules of one kind.
#[derive(Clone, Debug, Default)]
struct Kind<M> {
    refused: M,
    let_in: M,
    /// The first rule that lets clients in. Without one all come in that are not refused.
    first: Option<u32>,
}

impl<M: Members> Kind<M> {
    fn add(&mut self, rule: u32, allow: bool, members: impl IntoIterator<Item = M::Member>) {
        let of = if allow { &mut self.let_in } else { &mut self.refused };
        members.into_iter().for_each(|member| of.add(member, rule));
        if allow {
            self.first.get_or_insert(rule);
        }
    }

    fn is_empty(&self) -> bool {
        self.first.is_none() && self.refused.is_empty()
    }
}

impl Access {
    pub(super) fn new(table: &Table) -> Result<Access, RuleError> {
        let mut access = Access::default();
        let mut lists = Index::default();
        for rule in &table.access {
            access.add(rule, &mut lists).map_err(|problem| problem.at(rule.place))?;
        }
        for list in &mut access.lists {
            list.by_client.refused.sort();
            list.by_client.let_in.sort();
        }
        Ok(access)
    }

    /// Adds a rule to the list of its pattern, whose number is looked up.
    fn add(&mut self, rule: &table::Access, lists: &mut Index) -> Result<(), Problem> {
        let at = match lists.get(0, &rule.pattern) {
            Some(at) => at,
            None => {
                self.patterns.push_for(MAX_FORMS, None, &Pattern::parse(&rule.pattern)?)?;
                self.lists.push(List::default());
                let at = number(self.lists.len() - 1);
                lists.insert(0, &rule.pattern, at);
                at
            }
        };
        let number = number(self.places.len());
        self.places.push(rule.place);
        let Some(list) = self.lists.get_mut(at as usize) else { return Ok(()) };
        match &rule.by {
            AccessBy::All => list.by_client.add(number, rule.allow, [None]),
            AccessBy::Networks(texts) => {
                let networks = texts.iter().map(|text| network(text));
                let networks = networks.collect::<Result<Vec<_>, _>>()?;
                list.by_client.add(number, rule.allow, networks.into_iter().map(Some));
            }
            AccessBy::Referers(texts) => {
                let referers = texts.iter().map(|text| referer(text));
                let referers = referers.collect::<Result<Vec<_>, _>>()?;
                list.by_referer.add(number, rule.allow, referers);
            }
        }
        Ok(())
    }

    /// Names of fields and facts that the rules read.
    pub(super) fn interests(&self, mut add: impl FnMut(&str)) {
        let has_networks = |list: &List| {
            [&list.by_client.refused, &list.by_client.let_in].iter().any(|all| all.has_networks())
        };
        if self.lists.iter().any(has_networks) {
            add(":client-address");
        }
        if self.lists.iter().any(|list| !list.by_referer.is_empty()) {
            add("referer");
        }
    }

    /// Whether a rule is about some paths.
    pub(super) fn has_patterns(&self) -> bool {
        !self.patterns.is_empty()
    }

    /// 403, if an access rule refuses the client.
    pub(super) fn refuse<'t>(
        &self,
        ask: &Ask<'_>,
        forms: &[String],
        vary: &mut Vary<'t>,
        trace: &mut impl Trace,
    ) -> Option<Draft> {
        let matched = self.patterns.match_any(forms);
        let lists = matched.iter().filter_map(|&at| self.lists.get(at));
        let by_client = lists.clone().map(|list| &list.by_client);
        let by_referer = lists.map(|list| &list.by_referer).filter(|kind| !kind.is_empty());
        if by_referer.clone().next().is_some() {
            vary.add("referer");
        }
        let is_let_in = self.lets_in(by_client, ask, trace) && self.lets_in(by_referer, ask, trace);
        (!is_let_in).then(|| Draft::Reply(Reply::text(403, *b"forbidden\n")))
    }

    /// Whether the rules of one kind, those of each pattern that matches, let the client in.
    fn lets_in<'l, M: Members + 'l>(
        &self,
        kinds: impl Iterator<Item = &'l Kind<M>> + Clone,
        ask: &Ask<'_>,
        trace: &mut impl Trace,
    ) -> bool {
        let place = |rule: u32| self.places.get(rule as usize).copied().unwrap_or_default();
        let refusing = kinds.clone().filter_map(|kind| kind.refused.first_with(ask)).min();
        if let Some(rule) = refusing {
            trace.note(place(rule), Effect::Refuses);
            return false;
        }
        kinds.filter_map(|kind| Some((kind, kind.first?))).all(|(kind, first)| {
            let with = kind.let_in.first_with(ask);
            let effect = if with.is_some() { Effect::LetsIn } else { Effect::Refuses };
            trace.note(place(with.unwrap_or(first)), effect);
            with.is_some()
        })
    }
}

fn network(text: &str) -> Result<Network, Problem> {
    Network::parse(text).map_err(|_| Problem::Network)
}

/// All of these networks.
pub(super) fn networks(texts: &[String]) -> Result<Networks, Problem> {
    texts.iter().map(|text| network(text)).collect()
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
    use crate::network::Network;
    use crate::origin::{HostPattern, host_of};
    use crate::pattern::Pattern;
    use crate::rules::table::{self, AccessBy, Table};
    use crate::rules::testing::{applied, at, check, ready};
    use crate::rules::{Effect, Problem, Rules};
    use crate::{Decision, Field, Request};
    use proptest::prelude::*;

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

    /// The rules one after the other: whether they let a client in.
    fn naive(table: &Table, path: &str, client: &str, referer: Option<&str>) -> bool {
        let forms = crate::rules::ask::forms(path, false);
        let address = client.parse().expect("an address");
        let means = |by: &AccessBy| match by {
            AccessBy::All => true,
            AccessBy::Networks(texts) => {
                texts.iter().any(|text| Network::parse(text).expect("a network").contains(address))
            }
            AccessBy::Referers(texts) => texts.iter().any(|text| match text.as_str() {
                "" => referer.is_none_or(str::is_empty),
                "*" => true,
                host => {
                    let pattern = HostPattern::parse(host).expect("a pattern");
                    referer.and_then(host_of).is_some_and(|host| pattern.matches(host))
                }
            }),
        };
        let matches = |rule: &&table::Access| {
            let pattern = Pattern::parse(&rule.pattern).expect("a pattern");
            forms.iter().any(|form| pattern.matches(form).is_some())
        };
        let rules: Vec<_> = table.access.iter().filter(matches).collect();
        let is_same_list = |one: &table::Access, other: &table::Access| {
            let is_by_referer = |by: &AccessBy| matches!(by, AccessBy::Referers(_));
            one.pattern == other.pattern && is_by_referer(&one.by) == is_by_referer(&other.by)
        };
        rules.iter().all(|rule| {
            if !rule.allow {
                return !means(&rule.by);
            }
            let mut list = rules.iter().filter(|other| other.allow && is_same_list(rule, other));
            list.any(|other| means(&other.by))
        })
    }

    proptest! {
        #[test]
        fn lists_decide_as_one_rule_after_the_other(
            rules in prop::collection::vec(
                (
                    prop::sample::select(vec!["/*", "/a/*", "/a/b", "/:x/b"]),
                    prop::bool::weighted(0.8),
                    prop_oneof![
                        prop::collection::vec("(10|11)\\.[01]\\.0\\.0/16|10\\.0\\.0\\.0/8|0\\.0\\.0\\.0/[01]|a::/16", 1..3)
                            .prop_map(AccessBy::Networks),
                        prop::collection::vec("|\\*|a\\.b|\\*\\.b|\\*\\.a\\.b", 1..3)
                            .prop_map(AccessBy::Referers),
                        Just(AccessBy::All),
                    ],
                ),
                0..7,
            ),
            path in "(a/)?(b|c)",
            client in "(10|11|12)\\.[01]\\.0\\.1|a::1",
            referer in prop_oneof![
                Just(None),
                "|x|https://(a\\.)?(a\\.)?(A|a)?\\.?b/".prop_map(Some),
            ],
        ) {
            let table = access(&rules);
            let mut fields = vec![Field::new(":client-address", client.as_str())];
            fields.extend(referer.as_deref().map(|value| Field::new("referer", value)));
            let request = Request::new(format!("GET /{path} HTTP/1.1"), fields);
            let (decision, applied) = ready(&table).explain(&request);
            let is_let_in = !matches!(&decision, Decision::Reply(reply) if reply.status == 403);
            let expected = naive(&table, &path, &client, referer.as_deref());
            prop_assert_eq!(is_let_in, expected, "{:?}", table.access);
            let refuses = applied.iter().any(|applied| applied.what == Effect::Refuses);
            prop_assert_eq!(refuses, !expected);
        }
    }

    #[test]
    fn ten_thousand_rules_of_a_pattern_are_one_list() {
        let network = |number: u32| format!("10.{}.{}.0/24", number / 250, number % 250);
        let rules: Vec<_> =
            (0..10_000).map(|number| ("/*/in/*", true, networks(&[&network(number)]))).collect();
        let rules = ready(&access(&rules));
        let client = |address| [(":client-address", address)];
        check(&rules, "/a/in/b", &client("10.39.249.7"), r#"file "a/in/b""#);
        check(&rules, "/a/in/b", &client("10.40.0.1"), r#"reply 403 "forbidden\n""#);
        assert_eq!(applied(&rules, "/a/in/b", &client("10.0.2.1")), [(3, Effect::LetsIn)]);
    }

    #[test]
    fn rule_that_cannot_be_obeyed_is_refused() {
        let error = Rules::new(&access(&[("/*", false, networks(&["10.0.0.1/8"]))]));
        assert_eq!(error.expect_err("host bits").problem, Problem::Network);
        let error = Rules::new(&access(&[("/*", false, referers(&["a/b"]))]));
        assert_eq!(error.expect_err("no host").problem, Problem::Referer);
    }
}
