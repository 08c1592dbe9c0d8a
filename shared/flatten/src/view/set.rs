//! Sets of views: all views of one resource type are run in one pass over a resource.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::dictionary::{Dictionary, ScopeId, Tally};
use crate::fhirpath::PathTrie;
use crate::row::Names;

use super::plan::{NamedPlan, Plan};

/// Compiled views by the resource type that they are for, with the names of their tables and columns.
#[derive(Debug, Default)]
pub struct ViewSet {
    groups: BTreeMap<String, ViewGroup>,
}

/// The views of one resource type.
#[derive(Debug, Default)]
pub(super) struct ViewGroup {
    pub(super) views: Vec<GroupedView>,
    pub(super) trie: PathTrie,
}

/// A view of a group.
#[derive(Debug)]
pub(super) struct GroupedView {
    pub(super) view: NamedPlan,
    /// The index of the plan's first path in the group's trie.
    pub(super) first_path: usize,
}

impl ViewSet {
    /// Puts plans together and names their tables and columns.
    pub fn new(plans: impl IntoIterator<Item = Arc<Plan>>, names: &mut Names) -> Self {
        let mut set = Self::default();
        for plan in plans {
            let group = set.groups.entry(plan.resource_type().to_owned()).or_default();
            let first_path = group.trie.len();
            group.trie.add_all(&plan.root.trie);
            group.views.push(GroupedView { view: NamedPlan::new(plan, names), first_path });
        }
        set
    }

    /// Returns the plans for a resource type.
    pub fn plans(&self, resource_type: &str) -> impl Iterator<Item = &Arc<Plan>> {
        self.group(resource_type)
            .into_iter()
            .flat_map(|group| group.views.iter().map(|grouped| &grouped.view.plan))
    }

    /// Writes what was counted in the views' tables into the dictionary, and takes those tables out.
    pub(crate) fn describe(
        &self,
        tally: &Tally,
        tables: &mut BTreeMap<&str, ScopeId>,
        dictionary: &mut Dictionary,
    ) {
        for GroupedView { view, .. } in self.groups.values().flat_map(|group| &group.views) {
            if let Some(scope) = tables.remove(view.plan.name()) {
                view.describe(tally, scope, dictionary);
            }
        }
    }

    /// Returns the views for a resource type, with the names of their columns.
    pub(crate) fn of_type(&self, resource_type: &str) -> impl Iterator<Item = &NamedPlan> {
        self.group(resource_type)
            .into_iter()
            .flat_map(|group| group.views.iter().map(|grouped| &grouped.view))
    }

    pub(super) fn group(&self, resource_type: &str) -> Option<&ViewGroup> {
        self.groups.get(resource_type)
    }
}
