//! One pass over an object for all the paths that begin there: the names that several columns ask for are looked
//! for once, whoever asks.

use crate::json::{Kind, Node};

use super::program::Key;

/// The walks from one item, their common beginnings shared.
#[derive(Debug, Clone, Default)]
pub(crate) struct Harvest {
    root: Stem,
    leaves: usize,
    firsts: usize,
}

/// The names that are wanted of one object.
#[derive(Debug, Clone, Default)]
struct Stem {
    edges: Vec<Edge>,
}

#[derive(Debug, Clone)]
struct Edge {
    name: Box<str>,
    /// For a name behind which only the first item is wanted: its place among the marks of those found.
    first: Option<usize>,
    /// The leaves that end here.
    leaves: Vec<usize>,
    stem: Stem,
}

/// What a walk led to.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Found {
    /// The first item.
    pub(crate) node: u32,
    /// How many there are; two stands for any number above.
    pub(crate) count: u32,
}

/// Memory of a pass, used again.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    taken: Vec<bool>,
}

impl Harvest {
    /// Adds a walk and gives the index of what it will lead to.
    pub(crate) fn add<'k>(&mut self, keys: impl IntoIterator<Item = &'k Key>) -> usize {
        let leaf = self.leaves;
        let mut stem = &mut self.root;
        let mut keys = keys.into_iter().peekable();
        while let Some(key) = keys.next() {
            let known =
                stem.edges.iter().position(|edge| edge.name == key.name && edge.first.is_some() == key.first);
            let index = known.unwrap_or_else(|| {
                let first = key.first.then_some(self.firsts);
                self.firsts += usize::from(key.first);
                stem.edges.push(Edge {
                    name: key.name.clone(),
                    first,
                    leaves: Vec::new(),
                    stem: Stem::default(),
                });
                stem.edges.len() - 1
            });
            let Some(edge) = stem.edges.get_mut(index) else { break };
            if keys.peek().is_none() {
                edge.leaves.push(leaf);
                self.leaves += 1;
            }
            stem = &mut edge.stem;
        }
        leaf
    }

    /// Adds the walks of another harvest, in their order.
    pub(crate) fn add_all(&mut self, other: &Self) {
        let (leaves, firsts) = (self.leaves, &mut self.firsts);
        merge(&mut self.root, &other.root, leaves, firsts);
        self.leaves += other.leaves;
    }

    /// How many walks there are.
    pub(crate) const fn len(&self) -> usize {
        self.leaves
    }

    /// Appends what every walk leads to from `node`, in the order in which the walks were added.
    pub(crate) fn gather(&self, node: Node<'_>, found: &mut Vec<Found>, marks: &mut Marks) {
        let base = found.len();
        found.resize(base + self.leaves, Found::default());
        marks.taken.clear();
        marks.taken.resize(self.firsts, false);
        if let Some(found) = found.get_mut(base..) {
            pass(&self.root, node, found, &mut marks.taken);
        }
    }
}

impl Stem {
    /// The edge of that name, which is made if it is not there.
    fn edge(&mut self, name: &str, only_first: bool, firsts: &mut usize) -> Option<&mut Edge> {
        let known =
            self.edges.iter().position(|edge| *edge.name == *name && edge.first.is_some() == only_first);
        let index = known.unwrap_or_else(|| {
            let first = only_first.then_some(*firsts);
            *firsts += usize::from(only_first);
            self.edges.push(Edge { name: name.into(), first, leaves: Vec::new(), stem: Stem::default() });
            self.edges.len() - 1
        });
        self.edges.get_mut(index)
    }
}

fn merge(stem: &mut Stem, other: &Stem, leaves: usize, firsts: &mut usize) {
    for theirs in &other.edges {
        if let Some(edge) = stem.edge(&theirs.name, theirs.first.is_some(), firsts) {
            edge.leaves.extend(theirs.leaves.iter().map(|leaf| leaf + leaves));
            merge(&mut edge.stem, &theirs.stem, leaves, firsts);
        }
    }
}

fn pass(stem: &Stem, node: Node<'_>, found: &mut [Found], taken: &mut [bool]) {
    let mut missing = stem.edges.len();
    for (key, value) in node.members() {
        let Some(name) = key.plain_bytes() else {
            stem.edges
                .iter()
                .filter(|edge| key.is(&edge.name))
                .for_each(|edge| follow(edge, value, found, taken));
            continue;
        };
        for edge in &stem.edges {
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

fn follow(edge: &Edge, value: Node<'_>, found: &mut [Found], taken: &mut [bool]) {
    match value.kind() {
        Kind::Null => {}
        Kind::Array => {
            for item in value.items() {
                if !matches!(item.kind(), Kind::Null | Kind::Array) && !arrive(edge, item, found, taken) {
                    return;
                }
            }
        }
        _ => {
            arrive(edge, value, found, taken);
        }
    }
}

/// Notes an item; whether another one behind the same name is wanted as well.
fn arrive(edge: &Edge, node: Node<'_>, found: &mut [Found], taken: &mut [bool]) -> bool {
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
    if !edge.stem.edges.is_empty() && node.kind() == Kind::Object {
        pass(&edge.stem, node, found, taken);
    }
    edge.first.is_none()
}

#[cfg(test)]
mod tests {
    use super::{Found, Harvest, Marks};
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
        let mut harvest = Harvest::default();
        let leaves: Vec<usize> = cases.iter().map(|(path, ..)| harvest.add(&keys(path))).collect();
        assert_eq!(harvest.len(), cases.len());
        let mut tape = Tape::default();
        let document = tape.parse(text, Limits::default()).unwrap();
        let mut found = vec![Found::default()];
        harvest.gather(document.root(), &mut found, &mut Marks::default());
        for (leaf, (path, count, text)) in leaves.into_iter().zip(cases) {
            let Found { node, count: have } = found[1 + leaf];
            assert_eq!(have, count, "{path}");
            if count > 0 {
                assert_eq!(document.node(node).raw(), text, "{path}");
            }
        }
    }
}
