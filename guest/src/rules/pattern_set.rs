//! Many patterns at once: which of them match a path, in order, without a look at the others.
//!
//! Patterns without placeholders and wildcards are in a hash map. The others are in a trie of names: a
//! step of it is one look-up, for the name itself, and one for a placeholder. Patterns that share a
//! path form a chain, in their order.

use super::index::{Index, number};
use crate::pattern::{Captures, Name, Pattern, Tail, rest_of};

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
    /// For each pattern, the next one that has the same end.
    links: Vec<Link>,
}

/// What comes after some names.
#[derive(Clone, Copy, Debug)]
struct Node {
    /// The node behind a placeholder, or `NONE`.
    placeholder: u32,
    /// The chain of patterns that end here.
    ends: Chain,
    /// The chain of patterns of which a tail follows.
    tails: Chain,
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
    /// Names before the tail.
    names: u32,
    tail: Option<Tail>,
    /// The last of its chain, in the first of it: of chains that start in `exact`.
    last: u32,
}

/// No node and no pattern.
const NONE: u32 = u32::MAX;

const EMPTY: Node = Node {
    placeholder: NONE,
    ends: Chain { first: NONE, last: NONE },
    tails: Chain { first: NONE, last: NONE },
};

impl Default for PatternSet {
    fn default() -> PatternSet {
        PatternSet {
            edges: Index::default(),
            exact: Index::default(),
            hosts: Index::default(),
            nodes: vec![EMPTY],
            links: Vec::new(),
        }
    }
}

impl PatternSet {
    /// Adds a pattern behind the others, for this host alone if there is one, in lower case.
    pub(super) fn push(&mut self, host: Option<&str>, pattern: &Pattern) {
        let at = number(self.links.len());
        let tail = pattern.tail().cloned();
        self.links.push(Link { next: NONE, names: number(pattern.names().len()), tail, last: at });
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
            return;
        }
        let mut node = root;
        for name in pattern.names() {
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
        let Some(node) = self.nodes.get_mut(node as usize) else { return };
        let chain = if pattern.tail().is_some() { &mut node.tails } else { &mut node.ends };
        if chain.first == NONE {
            chain.first = at;
        } else if let Some(link) = self.links.get_mut(chain.last as usize) {
            link.next = at;
        }
        chain.last = at;
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
        let mut matches = Matches { set: self, path, heads: Vec::new() };
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
    /// The next pattern of each chain. They are few: one for each end of a way through the trie.
    heads: Vec<u32>,
}

impl Matches<'_, '_> {
    fn look_in(&mut self, root: u32) {
        let path = self.path.strip_suffix('/').unwrap_or(self.path);
        if let Some(first) = self.set.exact.get(root, path) {
            self.heads.push(first);
        }
        let mut nodes = vec![root];
        let mut next = Vec::new();
        // Without a split for the root, which has no names.
        for name in path.split('/').filter(|name| !name.is_empty()) {
            for &at in &nodes {
                let node = self.set.node(at);
                self.start(node.tails);
                next.extend(self.set.edges.get(at, name));
                if node.placeholder != NONE {
                    next.push(node.placeholder);
                }
            }
            nodes.clear();
            std::mem::swap(&mut nodes, &mut next);
            if nodes.is_empty() {
                return;
            }
        }
        for at in nodes {
            let node = self.set.node(at);
            self.start(node.tails);
            self.start(node.ends);
        }
    }

    fn start(&mut self, chain: Chain) {
        if chain.first != NONE {
            self.heads.push(chain.first);
        }
    }
}

impl<'p> Iterator for Matches<'_, 'p> {
    type Item = (usize, Captures<'p>);

    fn next(&mut self) -> Option<(usize, Captures<'p>)> {
        loop {
            let head = self.heads.iter_mut().min_by_key(|head| **head)?;
            let at = *head;
            let link = self.set.links.get(at as usize)?;
            // Behind all others when its chain is over.
            *head = link.next;
            let path = self.path;
            let wildcards = match &link.tail {
                None => Some(Vec::new()),
                Some(tail) => {
                    rest_of(path, link.names as usize).and_then(|rest| tail.matches(rest))
                }
            };
            if let Some(wildcards) = wildcards {
                return Some((at as usize, Captures { path, wildcards }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::PatternSet;
    use crate::pattern::Pattern;
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
                (0..3_usize, r"(/(a|b|ab|:x|:y)){0,4}(/|/\*|\*|/\*b|/a\*b\*|/a:z|/\*/:z)?"), 0..30),
            paths in prop::collection::vec(r"((a|b|ab|ba)/){0,4}(a|b|aab)?", 1..20),
        ) {
            let hosts = [None, Some("h"), Some("i")];
            let mut set = PatternSet::default();
            let mut patterns = Vec::new();
            for (host, text) in &texts {
                if let Ok(pattern) = Pattern::parse(text) {
                    set.push(hosts[*host], &pattern);
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
            set.push(None, &Pattern::parse(&text).expect("a pattern"));
        }
        let matched: Vec<_> = set.matches(None, "old/7777/x").map(|(at, _)| at).collect();
        assert_eq!(matched, [7777]);
    }
}
