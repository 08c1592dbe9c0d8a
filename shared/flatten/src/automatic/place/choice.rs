//! Choices: what a `value[x]` says whichever of its members there is.

use crate::model::{Datatype, Element, TypeId};
use crate::row::{ColumnId, Names};

use super::super::name::joined;
use super::columns::has_member;

/// Choices that are a boolean or say more: for these it is worth a column whether they hold at all.
const HOLDS: [&str; 5] = ["abatement", "asNeeded", "deceased", "multipleBirth", "reported"];

/// The columns of a choice that one of its members fills.
#[derive(Debug, Clone, Copy)]
pub(in crate::automatic) struct Choice {
    /// Says which member there is, by its datatype.
    pub(in crate::automatic) kind: ColumnId,
    pub(in crate::automatic) datatype: &'static str,
    /// The moment, where the choice has moments among its types.
    pub(in crate::automatic) at: Option<ColumnId>,
    /// Says whether the choice holds.
    pub(in crate::automatic) holds: Option<Holds>,
    /// Whether the member is one of the choice only where it is no array.
    pub(in crate::automatic) only_single: bool,
}

/// The column that says whether a choice holds.
#[derive(Debug, Clone, Copy)]
pub(in crate::automatic) struct Holds {
    pub(in crate::automatic) column: ColumnId,
    pub(in crate::automatic) base: &'static str,
    /// Whether a release that has no choice here has an element of the base's name.
    pub(in crate::automatic) has_own: bool,
}

impl Choice {
    /// The columns that `element`, a member of the choice `base`, fills.
    pub(super) fn of(
        carrier: TypeId,
        prefix: &str,
        base: &'static str,
        element: &Element,
        names: &mut Names,
    ) -> Self {
        let chosen = element.uses.iter().find(|used| used.choice.is_some());
        let is_moment = |datatype| matches!(datatype, Datatype::Primitive(kind) if kind.is_moment());
        let is_period = element.uses.iter().any(|used| used.datatype.name() == "Period");
        let says_moment = is_period || element.uses.iter().any(|used| is_moment(used.datatype));
        let has_moments =
            || carrier.choices(base).flat_map(|member| member.uses).any(|used| is_moment(used.datatype));
        let at = (says_moment && has_moments()).then(|| names.column(&joined(&joined(prefix, base), "at")));
        let has_own = carrier.element(base).is_some();
        let holds = HOLDS.contains(&base).then(|| Holds {
            column: names.column(&joined(prefix, base)),
            base,
            has_own,
        });
        Self {
            kind: names.column(&choice_column(carrier, prefix, base)),
            datatype: chosen.map_or("", |used| used.datatype.name()),
            at,
            holds,
            only_single: element.uses.iter().any(|used| used.many && used.choice.is_none()),
        }
    }
}

/// What the column is called that says which member of a choice there is: `<base>_type`, and `<base>_choice` where
/// some release has an element of the base's name with a `type` of its own.
fn choice_column(carrier: TypeId, prefix: &str, base: &str) -> String {
    let is_taken = carrier.element(base).is_some_and(|element| has_member(&element, "type"));
    joined(&joined(prefix, base), if is_taken { "choice" } else { "type" })
}
