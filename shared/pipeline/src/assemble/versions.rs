//! The versions of records: their time, as they or their Bundle state it, and their position.

use flatten::check::StructuralCheck;
use flatten::json::Node;

use crate::version::{Position, Version};

use super::Assembler;
use super::order::last_updated;

impl Assembler {
    /// Returns the version of a resource that stands at this ordinal, and counts it where its time is not believed.
    pub(super) fn version_of(&mut self, resource: Node<'_>, ordinal: u64) -> Version {
        let stated = last_updated(resource).or(self.current.entry.last_modified());
        let position = self.position(ordinal);
        self.version_at(stated, position)
    }

    /// Returns the version of a record that states this time, and counts it where that is not believed.
    pub(super) fn version_at(&mut self, stated: Option<i128>, position: Position) -> Version {
        let time = self.facts.order.time(stated);
        if time.is_from_future {
            *self.checks.entry(StructuralCheck::Future.name().to_owned()).or_default() += 1;
        }
        let position = if self.current.entry.newest_first() { position.newest_first() } else { position };
        self.facts.order.version(time.nanoseconds, position).in_edition(self.facts.edition)
    }

    /// Returns the version that a record which is set aside would have, without an edition; `None` for what does not
    /// look like a resource.
    pub(super) fn version_of_reject(&mut self, node: Node<'_>, ordinal: u64) -> Option<Version> {
        let position = self.position(ordinal);
        node.get("resourceType")?;
        let stated = last_updated(node).or(self.current.entry.last_modified());
        let position = if self.current.entry.newest_first() { position.newest_first() } else { position };
        Some(self.facts.order.version(self.facts.order.time(stated).nanoseconds, position))
    }

    /// Returns the position of the next record of the frame at hand: records of one frame come in their order.
    pub(super) const fn position(&mut self, ordinal: u64) -> Position {
        let position = Position::new(ordinal, self.current.inside);
        self.current.inside += 1;
        position
    }

    /// Returns when the entry at hand says that its resource was deleted.
    pub(super) const fn deleted_at(&self) -> Option<i128> {
        self.current.entry.last_modified()
    }
}
