//! What is asked of a spot at every value, in eight bytes.

use crate::row::ColumnId;

use super::{Scalars, Spot};

/// What never changes of a spot.
#[derive(Debug, Clone, Copy)]
pub(in crate::automatic) struct FieldFlags {
    /// The column of the value itself.
    pub(in crate::automatic) plain: ColumnId,
    pub(in crate::automatic) scalars: Scalars,
    /// The bits of [`check::required`](crate::check::required) that a value here meets.
    pub(in crate::automatic) meets: u8,
    facts: u8,
}

const RESOURCE: u8 = 1;
const OBJECTS: u8 = 1 << 1;
const CHOICE: u8 = 1 << 2;
const TABLED: u8 = 1 << 3;
const MANY: u8 = 1 << 4;

impl FieldFlags {
    pub(super) fn of(spot: &Spot) -> Self {
        let only_objects = spot.scalars.none() && (spot.tabled > 0 || spot.extension);
        let facts = [
            (spot.resource, RESOURCE),
            (only_objects, OBJECTS),
            (spot.choice.is_some(), CHOICE),
            (spot.known && !spot.extension, TABLED),
            (spot.many, MANY),
        ];
        Self {
            plain: spot.columns.plain,
            scalars: spot.scalars,
            meets: spot.meets,
            facts: facts.iter().filter(|(holds, _)| *holds).fold(0, |facts, (_, fact)| facts | fact),
        }
    }

    /// Whether the member is a whole resource.
    pub(in crate::automatic) const fn is_resource(self) -> bool {
        self.facts & RESOURCE != 0
    }

    /// Whether only objects may stand here.
    pub(in crate::automatic) const fn only_objects(self) -> bool {
        self.facts & OBJECTS != 0
    }

    /// Whether it is a member of a choice.
    pub(in crate::automatic) const fn is_choice(self) -> bool {
        self.facts & CHOICE != 0
    }

    /// Whether the element tables name the element.
    pub(in crate::automatic) const fn is_tabled(self) -> bool {
        self.facts & TABLED != 0
    }

    /// Whether every release has an array here: one value stands for an array of one.
    pub(in crate::automatic) const fn is_many(self) -> bool {
        self.facts & MANY != 0
    }

    /// Whether a string here is text and nothing else.
    pub(in crate::automatic) fn is_text(self) -> bool {
        self.scalars == Scalars::TEXT && self.facts & (RESOURCE | MANY) == 0
    }
}
