//! What is known of the Bundle at hand, and of those whose end is being worked on.

use super::deletions::{Deletions, HeldDeletions};
use super::held::{Held, HeldResources};
use super::identity::EntryServers;
use super::order::BundleFacts;
use super::references::{Join, References};

/// A Bundle that is being read.
#[derive(Debug, Default)]
pub(super) struct OpenBundle {
    /// Which of the object's Bundles that stream by it is.
    pub(super) number: Option<u64>,
    pub(super) facts: BundleFacts,
    /// Whether it may say more of itself behind its entries.
    pub(super) goes_on: bool,
    pub(super) references: References,
    pub(super) servers: EntryServers,
    pub(super) deletions: Deletions,
    pub(super) held: Held,
}

/// What is left of a Bundle whose entries were all read.
#[derive(Debug)]
pub(super) struct EndedBundle {
    pub(super) facts: BundleFacts,
    pub(super) deletions: Option<HeldDeletions>,
    pub(super) held: Option<HeldResources>,
    pub(super) join: Join,
}

impl OpenBundle {
    /// Returns whether the disk has failed.
    pub(super) fn is_broken(&self) -> bool {
        self.references.is_broken() || self.deletions.is_broken() || self.held.is_broken()
    }
}
