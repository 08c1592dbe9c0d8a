//! Sets of views: what several views of one resource type look for, they look for in one pass.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::dictionary::{Dictionary, ScopeId, Tally};
use crate::fhirpath::Harvest;
use crate::row::Names;

use super::plan::{Plan, ViewNames};

/// Compiled views by the resource type that they are for, with the names of their tables and columns.
#[derive(Debug, Default)]
pub struct ViewSet {
    groups: BTreeMap<String, Group>,
}

/// The views of one resource type.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) members: Vec<Member>,
    pub(super) harvest: Harvest,
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) plan: Arc<Plan>,
    pub(super) names: ViewNames,
    /// The first of the plan's leaves in the group's harvest.
    pub(super) leaf: usize,
}

impl ViewSet {
    /// Puts plans together and names their tables and columns.
    pub fn new(plans: impl IntoIterator<Item = Arc<Plan>>, names: &mut Names) -> Self {
        let mut set = Self::default();
        for plan in plans {
            let group = set.groups.entry(plan.resource_type().to_owned()).or_default();
            let leaf = group.harvest.len();
            group.harvest.add_all(&plan.root.harvest);
            group.members.push(Member { names: ViewNames::new(&plan, names), plan, leaf });
        }
        set
    }

    /// The plans for a resource type.
    pub fn plans(&self, resource_type: &str) -> impl Iterator<Item = &Arc<Plan>> {
        self.group(resource_type)
            .into_iter()
            .flat_map(|group| group.members.iter().map(|member| &member.plan))
    }

    /// Writes what was counted in the views' tables into the dictionary, and takes those tables out.
    pub(crate) fn describe(
        &self,
        tally: &Tally,
        tables: &mut BTreeMap<&str, ScopeId>,
        dictionary: &mut Dictionary,
    ) {
        for member in self.groups.values().flat_map(|group| &group.members) {
            if let Some(scope) = tables.remove(member.plan.name()) {
                member.names.describe(&member.plan, tally, scope, dictionary);
            }
        }
    }

    pub(super) fn group(&self, resource_type: &str) -> Option<&Group> {
        self.groups.get(resource_type)
    }
}
