//! The patterns of a set that match one path: found as they are asked for.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{Chain, NONE, Node, PatternSet};
use crate::pattern::Captures;

/// The patterns that match a path, in their order.
#[derive(Debug)]
pub(in crate::rules) struct Matches<'s, 'p> {
    set: &'s PatternSet,
    path: &'p str,
    /// The next pattern of each chain, and where the path goes on behind its names.
    heads: BinaryHeap<Reverse<(u32, usize)>>,
}

impl<'s, 'p> Matches<'s, 'p> {
    /// None yet.
    pub(super) fn new(set: &'s PatternSet, path: &'p str) -> Matches<'s, 'p> {
        Matches { set, path, heads: BinaryHeap::new() }
    }

    /// Adds those of the patterns below a root.
    pub(super) fn look_in(&mut self, root: u32) {
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
