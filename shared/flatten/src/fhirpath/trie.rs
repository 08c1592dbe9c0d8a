//! A trie of the paths that begin at one object: all of them are found in one pass over the object.

use crate::json::{JsonKind, Node};

use super::item::PathMatch;
use super::program::Key;

/// The paths from one item, with their common beginnings shared.
#[derive(Debug, Clone, Default)]
pub(crate) struct PathTrie {
    root: TrieNode,
    leaves: usize,
    firsts: usize,
}

/// The names that are wanted of one object.
#[derive(Debug, Clone, Default)]
struct TrieNode {
    edges: Vec<TrieEdge>,
}

#[derive(Debug, Clone)]
struct TrieEdge {
    name: Box<str>,
    /// For a name behind which only the first item is wanted: its place among the marks of those found.
    first: Option<usize>,
    /// The leaves that end here.
    leaves: Vec<usize>,
    node: TrieNode,
}

/// The memory of a pass, which is used again.
#[derive(Debug, Default)]
pub(crate) struct TrieScratch {
    taken: Vec<bool>,
}

impl PathTrie {
    /// Adds a path and returns the index of its match.
    pub(crate) fn add<'k>(&mut self, keys: impl IntoIterator<Item = &'k Key>) -> usize {
        let leaf = self.leaves;
        let mut node = &mut self.root;
        let mut keys = keys.into_iter().peekable();
        while let Some(key) = keys.next() {
            let known =
                node.edges.iter().position(|edge| edge.name == key.name && edge.first.is_some() == key.first);
            let index = known.unwrap_or_else(|| {
                let first = key.first.then_some(self.firsts);
                self.firsts += usize::from(key.first);
                node.edges.push(TrieEdge {
                    name: key.name.clone(),
                    first,
                    leaves: Vec::new(),
                    node: TrieNode::default(),
                });
                node.edges.len() - 1
            });
            let Some(edge) = node.edges.get_mut(index) else { break };
            if keys.peek().is_none() {
                edge.leaves.push(leaf);
                self.leaves += 1;
            }
            node = &mut edge.node;
        }
        leaf
    }

    /// Adds the paths of another trie, in their order.
    pub(crate) fn add_all(&mut self, other: &Self) {
        let (leaves, firsts) = (self.leaves, &mut self.firsts);
        merge(&mut self.root, &other.root, leaves, firsts);
        self.leaves += other.leaves;
    }

    /// Returns the number of paths.
    pub(crate) const fn len(&self) -> usize {
        self.leaves
    }

    /// Appends the match of every path from `node`, in the order in which the paths were added.
    pub(crate) fn gather(&self, node: Node<'_>, found: &mut Vec<PathMatch>, marks: &mut TrieScratch) {
        let base = found.len();
        found.resize(base + self.leaves, PathMatch::default());
        marks.taken.clear();
        marks.taken.resize(self.firsts, false);
        if let Some(found) = found.get_mut(base..) {
            pass(&self.root, node, found, &mut marks.taken);
        }
    }
}

impl TrieNode {
    /// Returns the edge of that name, which is made if it is not there.
    fn edge(&mut self, name: &str, only_first: bool, firsts: &mut usize) -> Option<&mut TrieEdge> {
        let known =
            self.edges.iter().position(|edge| *edge.name == *name && edge.first.is_some() == only_first);
        let index = known.unwrap_or_else(|| {
            let first = only_first.then_some(*firsts);
            *firsts += usize::from(only_first);
            self.edges.push(TrieEdge {
                name: name.into(),
                first,
                leaves: Vec::new(),
                node: TrieNode::default(),
            });
            self.edges.len() - 1
        });
        self.edges.get_mut(index)
    }
}

fn merge(node: &mut TrieNode, other: &TrieNode, leaves: usize, firsts: &mut usize) {
    for theirs in &other.edges {
        if let Some(edge) = node.edge(&theirs.name, theirs.first.is_some(), firsts) {
            edge.leaves.extend(theirs.leaves.iter().map(|leaf| leaf + leaves));
            merge(&mut edge.node, &theirs.node, leaves, firsts);
        }
    }
}

fn pass(wanted: &TrieNode, object: Node<'_>, found: &mut [PathMatch], taken: &mut [bool]) {
    let mut missing = wanted.edges.len();
    for (key, value) in object.members() {
        let Some(name) = key.plain_bytes() else {
            wanted
                .edges
                .iter()
                .filter(|edge| key.is(&edge.name))
                .for_each(|edge| follow(edge, value, found, taken));
            continue;
        };
        for edge in &wanted.edges {
            if edge.name.as_bytes() == name {
                follow(edge, value, found, taken);
                missing -= 1;
            }
        }
        if missing == 0 {
            return;
        }
    }
}

fn follow(edge: &TrieEdge, value: Node<'_>, found: &mut [PathMatch], taken: &mut [bool]) {
    match value.kind() {
        JsonKind::Null => {}
        JsonKind::Array => {
            for item in value.items() {
                if !matches!(item.kind(), JsonKind::Null | JsonKind::Array)
                    && !arrive(edge, item, found, taken)
                {
                    return;
                }
            }
        }
        _ => {
            arrive(edge, value, found, taken);
        }
    }
}

/// Notes an item. Returns whether another one behind the same name is wanted as well.
fn arrive(edge: &TrieEdge, node: Node<'_>, found: &mut [PathMatch], taken: &mut [bool]) -> bool {
    if let Some(taken) = edge.first.and_then(|first| taken.get_mut(first))
        && std::mem::replace(taken, true)
    {
        return false;
    }
    for &leaf in &edge.leaves {
        if let Some(found) = found.get_mut(leaf) {
            if found.count == 0 {
                found.node = node.index();
            }
            found.count = (found.count + 1).min(2);
        }
    }
    if !edge.node.edges.is_empty() && node.kind() == JsonKind::Object {
        pass(&edge.node, node, found, taken);
    }
    edge.first.is_none()
}

#[cfg(test)]
mod tests {
    use super::{PathMatch, PathTrie, TrieScratch};
    use crate::fhirpath::program::Key;
    use crate::fhirpath::types::SetId;
    use crate::json::{Limits, Tape};

    fn keys(path: &str) -> Vec<Key> {
        let key = |part: &str| Key {
            name: part.trim_end_matches('!').into(),
            to: SetId(0),
            first: part.ends_with('!'),
        };
        path.split('.').map(key).collect()
    }

    #[test]
    fn finds_what_walks_find() {
        let text = br#"{"name":[{"given":["a",null,"b"],"use":"x"},{"given":["c"]}],"code":{"coding":[{"code":"1"},{"code":"2","\u0075":"u"}]},"n":null}"#;
        let cases = [
            ("name.given", 2, "a"),
            ("name.given!", 1, "a"),
            ("name!.given", 2, "a"),
            ("name.use", 1, "x"),
            ("code.coding!.code", 1, "1"),
            ("code.coding.code", 2, "1"),
            ("code.coding.u", 1, "u"),
            ("n", 0, ""),
            ("nothing.here", 0, ""),
            ("name.given.x", 0, ""),
        ];
        let mut trie = PathTrie::default();
        let leaves: Vec<usize> = cases.iter().map(|(path, ..)| trie.add(&keys(path))).collect();
        assert_eq!(trie.len(), cases.len());
        let mut tape = Tape::default();
        let document = tape.parse(text, Limits::default()).unwrap();
        let mut found = vec![PathMatch::default()];
        trie.gather(document.root(), &mut found, &mut TrieScratch::default());
        for (leaf, (path, count, text)) in leaves.into_iter().zip(cases) {
            let PathMatch { node, count: have } = found[1 + leaf];
            assert_eq!(have, count, "{path}");
            if count > 0 {
                assert_eq!(document.node(node).raw(), text, "{path}");
            }
        }
    }
}
