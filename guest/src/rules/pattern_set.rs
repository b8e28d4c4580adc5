//! Many patterns at once: which of them match a path, in order, without a look at the others.
//!
//! Patterns without placeholders and wildcards are in a hash map. The others are in a trie of names: a
//! step of it is one look-up, for the name itself, and one for a placeholder. Patterns that share a
//! path form a chain, in their order. Those with a wildcard inside a name are told apart by the text
//! before it.

mod matches;
mod starts;

use super::index::{Index, number};
use super::problem::Problem;
use crate::pattern::{Name, Pattern, Tail};
use matches::Matches;
use starts::Starts;

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
        let mut matches = Matches::new(self, path);
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

#[cfg(test)]
mod tests;
