//! Contained resources: their keys, their JSON Pointers, and what a `#` reference points to.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::json::Node;
use crate::reference::{is_id, is_type};

use super::pointer::{exact_pointer_at, exact_pointers};

/// Up to this many contained resources are searched one by one.
const FEW: usize = 16;

/// The contained resources of a resource.
#[derive(Debug)]
pub(super) struct ContainedResources<'a> {
    /// The outermost resource, which `#` references and pointers start from.
    resource: Node<'a>,
    /// The key of the outermost resource.
    key: &'a str,
    /// The keys that rows have already.
    used: BTreeSet<String>,
    /// Made when the first contained resource is looked for.
    index: Option<ContainedIndex<'a>>,
}

impl<'a> ContainedResources<'a> {
    pub(super) const fn new(resource: Node<'a>, key: &'a str) -> Self {
        Self { resource, key, used: BTreeSet::new(), index: None }
    }

    /// Returns the outermost resource.
    pub(super) const fn resource(&self) -> Node<'a> {
        self.resource
    }

    /// Returns the key of the outermost resource.
    pub(super) const fn resource_key(&self) -> &'a str {
        self.key
    }

    /// Returns the key for the row of a contained resource: by its id, or by its pointer where it has no id that could
    /// be in a key, or an earlier contained resource has the id.
    pub(super) fn assign_key(&mut self, contained: Node<'a>) -> String {
        let id = contained_id(contained).filter(|id| is_id(id)).map(|id| format!("{}#{id}", self.key));
        let key = id.filter(|key| self.used.insert(key.clone()));
        key.unwrap_or_else(|| self.pointer_key(contained))
    }

    /// Returns the type and the key of the contained resource with an id; of several, of the one whose key has the id.
    pub(super) fn target(&mut self, id: &str) -> Option<(Cow<'a, str>, String)> {
        let target = match self.index() {
            ContainedIndex::Few => {
                let is_named = |resource: &Node<'a>| contained_id(*resource).is_some_and(|name| name == id);
                all_contained(self.resource).into_iter().find(is_named)
            }
            ContainedIndex::Many { by_id, .. } => by_id.get(id).copied(),
        }?;
        let resource_type = target.get_text("resourceType").filter(|name| is_type(name))?;
        let key = if is_id(id) { format!("{}#{id}", self.key) } else { self.pointer_key(target) };
        Some((resource_type, key))
    }

    /// Returns the exact pointer of a contained resource.
    pub(super) fn pointer_of(&mut self, contained: Node<'a>) -> String {
        let start = contained.span().start;
        let known = match self.index() {
            ContainedIndex::Few => None,
            ContainedIndex::Many { pointers, .. } => pointers.get(&start).cloned(),
        };
        known.unwrap_or_else(|| exact_pointer_at(self.resource, start))
    }

    fn pointer_key(&mut self, contained: Node<'a>) -> String {
        let pointer = self.pointer_of(contained);
        format!("{}#{pointer}", self.key)
    }

    fn index(&mut self) -> &ContainedIndex<'a> {
        let (resource, index) = (self.resource, &mut self.index);
        index.get_or_insert_with(|| ContainedIndex::of(resource))
    }
}

/// Contained resources by what is looked for.
#[derive(Debug)]
enum ContainedIndex<'a> {
    /// They are searched one by one each time.
    Few,
    /// The work does not grow by the square of their number.
    Many {
        by_id: BTreeMap<Cow<'a, str>, Node<'a>>,
        /// By the byte at which they begin.
        pointers: BTreeMap<usize, String>,
    },
}

impl<'a> ContainedIndex<'a> {
    fn of(resource: Node<'a>) -> Self {
        let mut all = all_contained(resource);
        if all.len() <= FEW {
            return Self::Few;
        }
        let mut by_id = BTreeMap::new();
        for &contained in &all {
            if let Some(id) = contained_id(contained) {
                by_id.entry(id).or_insert(contained);
            }
        }
        all.sort_by_key(|contained| contained.span().start);
        let mut pointers = BTreeMap::new();
        exact_pointers(resource, &all, |pointer, contained| {
            pointers.insert(contained.span().start, pointer.to_owned());
        });
        Self::Many { by_id, pointers }
    }
}

/// Returns the id of a contained resource. Some senders write it as references do, with a `#` in front.
fn contained_id(contained: Node<'_>) -> Option<Cow<'_, str>> {
    let id = contained.get_text("id")?;
    match id {
        Cow::Borrowed(id) => Some(Cow::Borrowed(id.strip_prefix('#').unwrap_or(id))),
        Cow::Owned(id) => Some(Cow::Owned(id.strip_prefix('#').unwrap_or(&id).to_owned())),
    }
}

/// Returns contained resources in the order of their rows: those inside contained resources come last.
fn all_contained(resource: Node<'_>) -> Vec<Node<'_>> {
    let mut all = Vec::new();
    let mut level = vec![resource];
    while !level.is_empty() {
        let inside = level.iter().filter_map(|resource| resource.get("contained"));
        level = inside.flat_map(Node::one_or_more).collect();
        all.extend_from_slice(&level);
    }
    all
}
