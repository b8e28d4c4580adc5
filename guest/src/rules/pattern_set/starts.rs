//! Patterns by the text with which their first wildcard's name starts, `name-` of `/name-:id`: a trie
//! in which a path meets those alone that it starts with.
//!
//! Each node has a text of its own behind that of the node above it, so that there are at most two for
//! each pattern, however long the texts are.

use super::{Chain, NONE};
use crate::rules::index::{Index, number};

/// Tries, each with a root.
#[derive(Clone, Debug, Default)]
pub(super) struct Starts {
    nodes: Vec<Start>,
    /// Node and first character of its text: the node below.
    edges: Index,
    /// The texts of all nodes.
    text: String,
}

#[derive(Clone, Copy, Debug)]
struct Start {
    above: u32,
    /// Where its own text begins and ends.
    text: (u32, u32),
    /// The patterns that start with the texts from the root to here.
    chain: Chain,
    /// The passes over a path that these patterns need.
    passes: u32,
    /// The most passes that the patterns of one node below need, with those on the way to it.
    passes_below: u32,
}

impl Start {
    fn most_passes(&self) -> u32 {
        self.passes.saturating_add(self.passes_below)
    }
}

impl Starts {
    /// A new root.
    pub(super) fn add_root(&mut self) -> u32 {
        self.push(NONE, (0, 0))
    }

    fn push(&mut self, above: u32, text: (u32, u32)) -> u32 {
        let start = Start { above, text, chain: Chain::EMPTY, passes: 0, passes_below: 0 };
        self.nodes.push(start);
        number(self.nodes.len() - 1)
    }

    /// The node of this text below a root.
    pub(super) fn add(&mut self, root: u32, text: &str) -> u32 {
        let (mut at, mut rest) = (root, text);
        while let Some(first) = first(rest) {
            let Some(below) = self.edges.get(at, first) else {
                let begin = number(self.text.len());
                self.text.push_str(rest);
                let new = self.push(at, (begin, number(self.text.len())));
                self.edges.insert(at, first, new);
                return new;
            };
            let common = common(self.own_text(below), rest);
            at = self.split(below, common);
            rest = rest.get(common..).unwrap_or_default();
        }
        at
    }

    /// The node at which so many bytes of a node's own text end: the node itself, or a new one above
    /// it.
    fn split(&mut self, at: u32, bytes: usize) -> u32 {
        let Some(&old) = self.nodes.get(at as usize) else { return at };
        let (begin, end) = old.text;
        let middle = begin + number(bytes);
        if middle == end {
            return at;
        }
        let new = self.push(old.above, (begin, middle));
        if let Some(node) = self.nodes.get_mut(new as usize) {
            node.passes_below = old.most_passes();
        }
        if let Some(node) = self.nodes.get_mut(at as usize) {
            (node.above, node.text) = (new, (middle, end));
        }
        let upper = first(self.own_text(new)).unwrap_or_default().to_owned();
        let lower = first(self.own_text(at)).unwrap_or_default().to_owned();
        self.edges.set(old.above, &upper, new);
        self.edges.insert(new, &lower, at);
        new
    }

    /// The patterns of a node.
    pub(super) fn chain_mut(&mut self, at: u32) -> Option<&mut Chain> {
        self.nodes.get_mut(at as usize).map(|node| &mut node.chain)
    }

    /// Notes that a node's patterns need more passes. Returns the most that any path needs from the
    /// root on.
    pub(super) fn add_passes(&mut self, mut at: u32, passes: u32) -> u32 {
        if let Some(node) = self.nodes.get_mut(at as usize) {
            node.passes = node.passes.saturating_add(passes);
        }
        loop {
            let Some(&node) = self.nodes.get(at as usize) else { return 0 };
            let most = node.most_passes();
            let Some(above) = self.nodes.get_mut(node.above as usize) else { return most };
            above.passes_below = above.passes_below.max(most);
            at = node.above;
        }
    }

    /// The patterns of each node below a root with which this text starts.
    pub(super) fn of(&self, root: u32, text: &str, mut found: impl FnMut(Chain)) {
        let (mut at, mut rest) = (root, text);
        while let Some(below) = first(rest).and_then(|first| self.edges.get(at, first)) {
            let Some(behind) = rest.strip_prefix(self.own_text(below)) else { return };
            if let Some(node) = self.nodes.get(below as usize) {
                found(node.chain);
            }
            (at, rest) = (below, behind);
        }
    }

    fn own_text(&self, at: u32) -> &str {
        let text = self.nodes.get(at as usize).map(|node| node.text);
        let range = text.map(|(begin, end)| begin as usize..end as usize);
        range.and_then(|range| self.text.get(range)).unwrap_or_default()
    }
}

/// The first character of a text.
fn first(text: &str) -> Option<&str> {
    text.get(..text.chars().next()?.len_utf8())
}

/// Bytes of the characters with which both texts start.
fn common(one: &str, other: &str) -> usize {
    let same = one.chars().zip(other.chars()).take_while(|(one, other)| one == other);
    same.map(|(character, _)| character.len_utf8()).sum()
}

#[cfg(test)]
mod tests {
    use super::Starts;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn path_meets_the_texts_that_it_starts_with(
            texts in prop::collection::vec("[ab\u{e8}\u{e9}]{1,5}", 0..20),
            passes in prop::collection::vec(0..9_u32, 20),
            path in "[ab\u{e8}\u{e9}]{0,7}",
        ) {
            let mut starts = Starts::default();
            let root = starts.add_root();
            let mut most = 0;
            for (number, (text, passes)) in texts.iter().zip(&passes).enumerate() {
                let at = starts.add(root, text);
                let number = u32::try_from(number).expect("few");
                // The last one of each text.
                starts.chain_mut(at).expect("a node").first = number;
                most = starts.add_passes(at, *passes);
            }
            let mut found = Vec::new();
            starts.of(root, &path, |chain| found.push(chain.first as usize));
            found.retain(|&first| first != super::NONE as usize);
            let is_last = |at: usize| !texts[at + 1..].contains(&texts[at]);
            let mut expected: Vec<_> = (0..texts.len())
                .filter(|&at| path.starts_with(&texts[at]) && is_last(at))
                .collect();
            expected.sort_by_key(|&at| texts[at].len());
            prop_assert_eq!(found, expected);
            // The longest of the texts that start one another.
            let needed = |path: &String| {
                let all = texts.iter().zip(&passes);
                all.filter(|(text, _)| path.starts_with(*text)).map(|(_, passes)| passes).sum::<u32>()
            };
            prop_assert_eq!(most, texts.iter().map(needed).max().unwrap_or(0));
        }
    }
}
