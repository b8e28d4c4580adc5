//! Many patterns at once: which of them match a path, in order, without a look at the others.
//!
//! Patterns without placeholders and wildcards are in a hash map. The others are in a trie of names: a
//! step of it is one look-up, for the name itself, and one for a placeholder. Patterns that share a
//! path form a chain, in their order. Those with a wildcard inside a name are told apart by the text
//! before it.

mod starts;

use super::index::{Index, number};
use super::problem::Problem;
use crate::pattern::{Captures, Name, Pattern, Tail};
use starts::Starts;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Patterns, each with a number: that of its place in the order.
#[derive(Clone, Debug)]
pub(super) struct PatternSet {
    /// Node and name: the next node. Node 0 is the root of patterns for all hosts.
    edges: Index,
    /// Root and path: the first pattern that is just this path.
    exact: Index,
    /// The host's name: its root.
    hosts: Index,
    nodes: Vec<Node>,
    /// The patterns of which a tail follows that begins with a text.
    starts: Starts,
    /// For each pattern, the next one that has the same end.
    links: Vec<Link>,
    /// The most passes that the patterns of one host need.
    host_passes: u32,
}

/// What comes after some names.
#[derive(Clone, Copy, Debug)]
struct Node {
    /// The node behind a placeholder, or `NONE`.
    placeholder: u32,
    /// The chain of patterns that end here.
    ends: Chain,
    /// The chain of patterns of which a tail follows that begins with a wildcard.
    tails: Chain,
    /// The passes over a path that the patterns with these tails need.
    passes: u32,
    /// The root of the patterns whose tail begins with a text, or `NONE`.
    starts: u32,
    /// The most passes that those of them need that match one path.
    start_passes: u32,
    /// The most passes that the patterns behind one of the literal names need.
    literal_passes: u32,
}

/// Patterns in their order.
#[derive(Clone, Copy, Debug)]
struct Chain {
    first: u32,
    last: u32,
}

#[derive(Clone, Debug)]
struct Link {
    next: u32,
    tail: Option<Tail>,
    /// The last of its chain, in the first of it: of chains that start in `exact`.
    last: u32,
}

/// No node and no pattern.
const NONE: u32 = u32::MAX;

impl Chain {
    const EMPTY: Chain = Chain { first: NONE, last: NONE };
}

const EMPTY: Node = Node {
    placeholder: NONE,
    ends: Chain::EMPTY,
    tails: Chain::EMPTY,
    passes: 0,
    starts: NONE,
    start_passes: 0,
    literal_passes: 0,
};

/// Passes over one path, of at most 8 KiB, that all patterns together may need. Such a pass takes up
/// to 35 µs in a guest. A pattern needs one for wildcards inside, and one for each of its parts if
/// placeholders stand before a `*`; one with its only `*` at an end needs none.
pub(super) const MAX_PASSES: u32 = 500;

impl Default for PatternSet {
    fn default() -> PatternSet {
        PatternSet {
            edges: Index::default(),
            exact: Index::default(),
            hosts: Index::default(),
            nodes: vec![EMPTY],
            starts: Starts::default(),
            links: Vec::new(),
            host_passes: 0,
        }
    }
}

impl PatternSet {
    /// Adds a pattern behind the others, for this host alone if there is one, in lower case. It is
    /// refused if a path could then need more than [`MAX_PASSES`].
    pub(super) fn push(&mut self, host: Option<&str>, pattern: &Pattern) -> Result<(), Problem> {
        self.push_for(1, host, pattern)
    }

    /// The same, if so many paths are matched for one request.
    pub(super) fn push_for(
        &mut self,
        paths: u32,
        host: Option<&str>,
        pattern: &Pattern,
    ) -> Result<(), Problem> {
        let at = number(self.links.len());
        let tail = pattern.tail().cloned();
        let passes = tail.as_ref().map_or(0, Tail::passes).saturating_mul(paths);
        self.links.push(Link { next: NONE, tail, last: at });
        let root = match host {
            Some(host) => self.hosts.get(0, host).unwrap_or_else(|| {
                let root = self.add_node();
                self.hosts.insert(0, host, root);
                root
            }),
            None => 0,
        };
        if pattern.is_exact() {
            self.push_exact(root, pattern, at);
            return Ok(());
        }
        let mut node = root;
        let mut way = Vec::new();
        for name in pattern.names() {
            way.push((node, matches!(name, Name::Literal(_))));
            node = match name {
                Name::Literal(name) => self.edges.get(node, name).unwrap_or_else(|| {
                    let next = self.add_node();
                    self.edges.insert(node, name, next);
                    next
                }),
                Name::Any => match self.node(node).placeholder {
                    NONE => {
                        let next = self.add_node();
                        if let Some(node) = self.nodes.get_mut(node as usize) {
                            node.placeholder = next;
                        }
                        next
                    }
                    next => next,
                },
            };
        }
        let end = node;
        let Some(node) = self.nodes.get_mut(node as usize) else { return Ok(()) };
        let chain = match pattern.tail().map(Tail::start) {
            None => &mut node.ends,
            Some(None) => {
                node.passes = node.passes.saturating_add(passes);
                &mut node.tails
            }
            Some(Some(text)) => {
                if node.starts == NONE {
                    node.starts = self.starts.add_root();
                }
                let start = self.starts.add(node.starts, text);
                node.start_passes = self.starts.add_passes(start, passes);
                let Some(chain) = self.starts.chain_mut(start) else { return Ok(()) };
                chain
            }
        };
        if chain.first == NONE {
            chain.first = at;
        } else if let Some(link) = self.links.get_mut(chain.last as usize) {
            link.next = at;
        }
        chain.last = at;
        if passes > 0 { self.bound(root, &way, end) } else { Ok(()) }
    }

    /// Notes what a node's passes add to each node on the way to it. The way begins at the root; of
    /// each node it tells whether a literal name follows.
    fn bound(&mut self, root: u32, way: &[(u32, bool)], end: u32) -> Result<(), Problem> {
        let mut passes = self.passes(end);
        for &(at, is_literal) in way.iter().rev() {
            if is_literal && let Some(node) = self.nodes.get_mut(at as usize) {
                node.literal_passes = node.literal_passes.max(passes);
            }
            passes = self.passes(at);
        }
        if root != 0 {
            self.host_passes = self.host_passes.max(passes);
        }
        let all = self.passes(0).saturating_add(self.host_passes);
        if all > MAX_PASSES { Err(Problem::Slow) } else { Ok(()) }
    }

    /// The most passes that a path needs from this node on: it goes on behind one literal name, and
    /// behind the placeholders.
    fn passes(&self, mut at: u32) -> u32 {
        let mut passes = 0_u32;
        // Of several placeholders in a row, the literal names behind each count.
        while at != NONE {
            let node = self.node(at);
            for more in [node.passes, node.start_passes, node.literal_passes] {
                passes = passes.saturating_add(more);
            }
            at = node.placeholder;
        }
        passes
    }

    fn push_exact(&mut self, root: u32, pattern: &Pattern, at: u32) {
        let mut path = String::new();
        for name in pattern.names() {
            if let Name::Literal(name) = name {
                if !path.is_empty() {
                    path.push('/');
                }
                path.push_str(name);
            }
        }
        let Some(first) = self.exact.get(root, &path) else {
            self.exact.insert(root, &path, at);
            return;
        };
        let last = match self.links.get_mut(first as usize) {
            Some(link) => std::mem::replace(&mut link.last, at),
            None => return,
        };
        if let Some(link) = self.links.get_mut(last as usize) {
            link.next = at;
        }
    }

    fn add_node(&mut self) -> u32 {
        self.nodes.push(EMPTY);
        number(self.nodes.len() - 1)
    }

    fn node(&self, node: u32) -> Node {
        self.nodes.get(node as usize).copied().unwrap_or(EMPTY)
    }

    /// Whether a pattern is for one host alone.
    pub(super) fn has_hosts(&self) -> bool {
        // The first root is that of all hosts.
        !self.hosts.is_empty()
    }

    /// The patterns that match one of these paths at least, in their order.
    pub(super) fn match_any(&self, paths: &[String]) -> Vec<usize> {
        let mut matched = Vec::new();
        for (at, _) in paths.iter().flat_map(|path| self.matches(None, path)) {
            if let Err(place) = matched.binary_search(&at) {
                matched.insert(place, at);
            }
        }
        matched
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// The patterns that match this path, in their order. The path is one below the root, decoded
    /// and without a `/` before it; the host in lower case.
    pub(super) fn matches<'s, 'p>(&'s self, host: Option<&str>, path: &'p str) -> Matches<'s, 'p> {
        let mut matches = Matches { set: self, path, heads: BinaryHeap::new() };
        if self.links.is_empty() {
            return matches;
        }
        matches.look_in(0);
        if let Some(host) = host
            && let Some(root) = self.hosts.get(0, host)
        {
            matches.look_in(root);
        }
        matches
    }
}

/// The patterns that match a path, in their order.
#[derive(Debug)]
pub(super) struct Matches<'s, 'p> {
    set: &'s PatternSet,
    path: &'p str,
    /// The next pattern of each chain, and where the path goes on behind its names.
    heads: BinaryHeap<Reverse<(u32, usize)>>,
}

impl Matches<'_, '_> {
    fn look_in(&mut self, root: u32) {
        let path = self.path.strip_suffix('/').unwrap_or(self.path);
        if let Some(first) = self.set.exact.get(root, path) {
            self.heads.push(Reverse((first, 0)));
        }
        let mut rest = 0;
        let mut nodes = vec![root];
        let mut next = Vec::new();
        // Without a split for the root, which has no names.
        for name in path.split('/').filter(|name| !name.is_empty()) {
            for &at in &nodes {
                let node = self.set.node(at);
                self.start_tails(node, rest);
                next.extend(self.set.edges.get(at, name));
                if node.placeholder != NONE {
                    next.push(node.placeholder);
                }
            }
            rest += name.len() + 1;
            nodes.clear();
            std::mem::swap(&mut nodes, &mut next);
            if nodes.is_empty() {
                return;
            }
        }
        for at in nodes {
            let node = self.set.node(at);
            self.start_tails(node, rest);
            self.start(node.ends, rest);
        }
    }

    /// Starts the patterns of a node of which a tail may match the rest of the path.
    fn start_tails(&mut self, node: Node, rest: usize) {
        self.start(node.tails, rest);
        if node.starts != NONE {
            let text = self.path.get(rest..).unwrap_or_default();
            self.set.starts.of(node.starts, text, |chain| self.start(chain, rest));
        }
    }

    fn start(&mut self, chain: Chain, rest: usize) {
        if chain.first != NONE {
            self.heads.push(Reverse((chain.first, rest)));
        }
    }
}

impl<'p> Iterator for Matches<'_, 'p> {
    type Item = (usize, Captures<'p>);

    fn next(&mut self) -> Option<(usize, Captures<'p>)> {
        loop {
            let Reverse((at, rest)) = self.heads.pop()?;
            let link = self.set.links.get(at as usize)?;
            if link.next != NONE {
                self.heads.push(Reverse((link.next, rest)));
            }
            let path = self.path;
            let wildcards = match &link.tail {
                None => Some(Vec::new()),
                Some(tail) => tail.matches(path.get(rest..).unwrap_or_default()),
            };
            if let Some(wildcards) = wildcards {
                return Some((at as usize, Captures { path, wildcards }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_PASSES, PatternSet};
    use crate::pattern::{Pattern, steps};
    use crate::rules::Problem;
    use proptest::prelude::*;

    /// The slow, obvious way: each pattern by itself.
    fn all(patterns: &[(Option<&str>, Pattern)], host: Option<&str>, path: &str) -> Vec<usize> {
        let matches = |(expected, pattern): &(Option<&str>, Pattern)| {
            expected.is_none_or(|expected| Some(expected) == host)
                && pattern.matches(path).is_some()
        };
        (0..patterns.len()).filter(|&at| matches(&patterns[at])).collect()
    }

    proptest! {
        #[test]
        fn set_matches_what_each_pattern_matches(
            texts in prop::collection::vec(
                (0..3_usize, r"(/(a|b|ab|:x|:y)){0,4}(/|/\*|\*|/\*b|/a\*b\*|/a:z|/ab:z|/aba\*|/b\*a|/\*/:z)?"), 0..30),
            paths in prop::collection::vec(r"((a|b|ab|ba)/){0,4}(a|b|aab)?", 1..20),
        ) {
            let hosts = [None, Some("h"), Some("i")];
            let mut set = PatternSet::default();
            let mut patterns = Vec::new();
            for (host, text) in &texts {
                if let Ok(pattern) = Pattern::parse(text) {
                    set.push(hosts[*host], &pattern).expect("few patterns");
                    patterns.push((hosts[*host], pattern));
                }
            }
            for path in &paths {
                for host in [None, Some("h"), Some("j")] {
                    let matched: Vec<_> = set.matches(host, path).map(|(at, _)| at).collect();
                    prop_assert_eq!(matched, all(&patterns, host, path), "{:?} {}", patterns, path);
                    for (at, captures) in set.matches(host, path) {
                        prop_assert_eq!(Some(captures), patterns[at].1.matches(path));
                    }
                }
            }
        }
    }

    #[test]
    fn ten_thousand_patterns_are_not_looked_at_for_each_path() {
        let mut set = PatternSet::default();
        for number in 0..10_000 {
            let text = format!("/old/{number}/:name");
            set.push(None, &Pattern::parse(&text).expect("a pattern")).expect("no limit");
        }
        let matched: Vec<_> = set.matches(None, "old/7777/x").map(|(at, _)| at).collect();
        assert_eq!(matched, [7777]);
    }

    /// The patterns until one is refused, and their number.
    fn fill(patterns: impl Fn(usize) -> String) -> (PatternSet, usize) {
        let mut set = PatternSet::default();
        for number in 0..50_000 {
            let pattern = Pattern::parse(&patterns(number)).expect("a pattern");
            if let Err(problem) = set.push(None, &pattern) {
                assert_eq!(problem, Problem::Slow);
                return (set, number);
            }
        }
        (set, 50_000)
    }

    /// Placeholders as whole names, each behind the other text.
    fn placeholders(before: &str, number: usize) -> String {
        (0..number).map(|at| format!("{before}/:n{at}")).collect()
    }

    #[test]
    fn hostile_tables_end_where_a_path_would_need_too_many_passes() {
        const PATH: usize = 8 << 10;
        let paths = ["a/", "ab", "x/x1/", "a-b", "-b/b", "\u{e9}-", "a"]
            .map(|piece| piece.repeat(PATH / piece.len()));
        for (pattern, least) in [
            (&(|_| "/*/*/*/*/*/*/*/*".to_owned()) as &dyn Fn(usize) -> String, 500),
            (&|at| format!("/:x/:a-:b-b:c-b:d-b:e-{at}z"), 500),
            (&|at| format!("/*/x{at}/*"), 500),
            (&|at| format!("/*b{at}"), 50_000),
            (&|_| "/:a-*b:c-*".to_owned(), 25),
            (&|_| "/:a-:b-:c-:d-:e-:f-:g-*".to_owned(), 25),
            (&|at| format!("/f{at}/*/x/*"), 50_000),
            (&|at| format!("/f{at}-:id"), 50_000),
            (&|at| format!("/:x/f{at}-*/x/*"), 50_000),
            // Each starts with those before it.
            (&|at| format!("/{}*b*", "a".repeat(at + 1)), 500),
            (&|at| format!("/f{at}/*/x/*/:a-:b-*"), 50_000),
            (&|at| placeholders("", at % 16) + "/*b*", 500),
            (&|at| placeholders("/a", at % 8) + "/*b*", 500),
        ] {
            let (set, number) = fill(pattern);
            assert!(number >= least, "{number} of {}", pattern(0));
            for path in &paths {
                steps();
                let _ = set.matches(None, path).count();
                let steps = steps();
                // The last one, which was refused, is in the set.
                let most = (MAX_PASSES as usize + 20) * (PATH + 1);
                assert!(steps <= most, "{steps} for {}", pattern(0));
            }
        }
    }
}
