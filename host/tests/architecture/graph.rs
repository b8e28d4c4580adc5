//! Which file, and which module, uses which; and circles of files.

use std::collections::{BTreeMap, BTreeSet};

use super::source::Source;

/// For each node, the nodes that it uses.
#[derive(Clone, Default)]
pub struct Graph(BTreeMap<String, BTreeSet<String>>);

impl Graph {
    pub fn add(&mut self, from: &str, to: &str) {
        if from != to {
            self.0.entry(from.to_owned()).or_default().insert(to.to_owned());
        }
    }

    pub fn remove(&mut self, from: &str, to: &str) {
        if let Some(used) = self.0.get_mut(from) {
            used.remove(to);
        }
    }

    pub fn edges(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().flat_map(|(from, used)| used.iter().map(|to| (from.as_str(), to.as_str())))
    }

    /// All that one uses, directly or through others.
    pub fn reach(&self, from: &str) -> BTreeSet<&str> {
        let mut reached = BTreeSet::new();
        let mut next = vec![from];
        while let Some(one) = next.pop() {
            for used in self.0.get(one).into_iter().flatten() {
                if reached.insert(used.as_str()) {
                    next.push(used);
                }
            }
        }
        reached
    }

    /// The edges that are part of a circle.
    pub fn circular(&self) -> Vec<(&str, &str)> {
        let reach: BTreeMap<&str, BTreeSet<&str>> =
            self.0.keys().map(|one| (one.as_str(), self.reach(one))).collect();
        let returns = |&(from, to): &(&str, &str)| reach.get(to).is_some_and(|r| r.contains(from));
        self.edges().filter(returns).collect()
    }
}

/// Which file uses which.
pub fn of_files(source: &Source) -> Graph {
    let mut graph = Graph::default();
    for (path, file) in &source.files {
        // What is only passed on is not used here.
        let used = file.passed_on.iter().filter(|(_, names)| {
            names.last().is_some_and(|name| file.words.iter().any(|word| word == name))
        });
        for (module, written) in file.paths.iter().chain(used) {
            let absolute = source.paths.absolute(module, written);
            if let Some(other) = absolute.and_then(|absolute| source.paths.file(&absolute)) {
                graph.add(path, other);
            }
        }
    }
    graph
}

/// Which module below the root uses which, and files in which it does.
pub fn of_modules(source: &Source) -> (Graph, BTreeMap<(String, String), BTreeSet<String>>) {
    let (mut graph, mut files) = (Graph::default(), BTreeMap::<_, BTreeSet<_>>::new());
    for (path, file) in &source.files {
        for (module, written) in file.paths.iter().chain(&file.passed_on) {
            let Some(absolute) = source.paths.absolute(module, written) else { continue };
            if let (Some(from), Some(to)) = (module.first(), absolute.first()) {
                graph.add(from, to);
                files.entry((from.to_owned(), to.to_owned())).or_default().insert(path.clone());
            }
        }
    }
    (graph, files)
}
