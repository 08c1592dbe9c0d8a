//! The columns of a spot: the plain one and those that are derived from it.

use crate::model::{Datatype, Element, TypeId};
use crate::row::{ColumnId, Names};

use super::super::name::joined;

/// The columns of a spot.
#[derive(Debug, Clone, Copy)]
pub(in crate::automatic) struct Columns {
    pub(in crate::automatic) plain: ColumnId,
    pub(in crate::automatic) at: ColumnId,
    /// The text as written, where the plain column cannot have it.
    pub(in crate::automatic) text: ColumnId,
    pub(in crate::automatic) count: ColumnId,
    pub(in crate::automatic) key: ColumnId,
    pub(in crate::automatic) kind: ColumnId,
    pub(in crate::automatic) codings: ColumnId,
    pub(in crate::automatic) values: ColumnId,
    pub(in crate::automatic) size: ColumnId,
    pub(in crate::automatic) sha256: ColumnId,
}

impl Columns {
    /// The columns of what is called `name`.
    pub(super) fn of(name: &str, names: &mut Names) -> Self {
        let mut derived = |tail: &str| names.column(&joined(name, tail));
        Self {
            plain: derived(""),
            at: derived("at"),
            text: derived("text"),
            count: derived("count"),
            key: derived("key"),
            kind: derived("type"),
            codings: derived("codings"),
            values: derived("values"),
            size: names.column(&format!("{name}Size")),
            sha256: names.column(&format!("{name}Sha256")),
        }
    }

    /// The same for an extension's value: the size of its data is called like an attachment's, because another
    /// extension's name may end in `Size`.
    pub(super) fn of_value(name: &str, extension: &str, names: &mut Names) -> Self {
        let size = names.column(&joined(extension, "dataSize"));
        let sha256 = names.column(&joined(extension, "dataSha256"));
        Self { size, sha256, ..Self::of(name, names) }
    }

    /// The same for an element, whose derived columns yield to what an object has here in some release: `rivals` are
    /// the types that the object around it has in other releases.
    pub(super) fn yielding(
        self,
        name: &str,
        element: &Element,
        rivals: &[TypeId],
        names: &mut Names,
    ) -> Self {
        let others = rivals.iter().filter_map(|rival| rival.element(element.name));
        let has =
            |member| [*element].into_iter().chain(others.clone()).any(|known| has_member(&known, member));
        let is_primitive = element.uses.iter().any(|used| matches!(used.datatype, Datatype::Primitive(_)));
        let is_backbone = complex(element).any(TypeId::is_backbone);
        Self {
            text: if is_primitive && has("text") {
                names.column(&joined(name, "written"))
            } else {
                self.text
            },
            count: if is_backbone && has("count") {
                names.column(&joined(name, "items"))
            } else {
                self.count
            },
            ..self
        }
    }
}

/// What the column is called that says which member of a choice there is: `<base>_type`, and `<base>_choice` where
/// some release has an element of the base's name with a `type` of its own.
pub(super) fn choice_column(carrier: TypeId, prefix: &str, base: &str) -> String {
    let is_taken = carrier.element(base).is_some_and(|element| has_member(&element, "type"));
    joined(&joined(prefix, base), if is_taken { "choice" } else { "type" })
}

fn has_member(element: &Element, name: &str) -> bool {
    complex(element).any(|datatype| datatype.element(name).is_some())
}

/// The types of the objects that an element can hold, by release.
fn complex(element: &Element) -> impl Iterator<Item = TypeId> {
    element.uses.iter().filter_map(|used| match used.datatype {
        Datatype::Complex(complex) => Some(complex),
        Datatype::Primitive(_) | Datatype::Resource => None,
    })
}
