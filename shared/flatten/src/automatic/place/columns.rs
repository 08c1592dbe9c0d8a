//! The columns of a spot: the plain one and those that are derived from it.

use crate::model::{Datatype, Element, TypeId};
use crate::row::{ColumnId, Names};

use super::super::name::joined;

/// What is derived from a value, beside its plain column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::automatic) enum Derived {
    At,
    /// The text as written, where the plain column cannot have it.
    Text,
    Count,
    Key,
    Kind,
    Codings,
    Values,
    Keys,
    /// The identifier that a reference names its target by.
    Identifier,
    Size,
    Sha256,
}

/// How many [`Derived`] there are.
const DERIVED: usize = 11;

/// The columns of a spot. Those that are derived are named once there is something for them: most spots need one or
/// none.
#[derive(Debug)]
pub(in crate::automatic) struct Columns {
    pub(in crate::automatic) plain: ColumnId,
    derived: [Option<ColumnId>; DERIVED],
    name: Box<str>,
    /// The extension whose value this is.
    extension: Option<Box<str>>,
    /// Whether the tails `text` and `count` yield to elements.
    yields: (bool, bool),
}

impl Columns {
    /// The columns of what is called `name`.
    pub(super) fn of(name: &str, names: &mut Names) -> Self {
        Self {
            plain: names.column(name),
            derived: [None; DERIVED],
            name: name.into(),
            extension: None,
            yields: (false, false),
        }
    }

    /// The same for an extension's value: the size of its data is called like an attachment's, because another
    /// extension's name may end in `Size`.
    pub(super) fn of_value(name: &str, extension: &str, names: &mut Names) -> Self {
        Self { extension: Some(extension.into()), ..Self::of(name, names) }
    }

    /// Returns the columns of an element. Its derived columns give way to elements of the same name that the object around
    /// it has in another release.
    pub(super) fn yielding(self, element: &Element, types_in_other_releases: &[TypeId]) -> Self {
        let others = types_in_other_releases.iter().filter_map(|other_type| other_type.element(element.name));
        let has =
            |member| [*element].into_iter().chain(others.clone()).any(|known| has_member(&known, member));
        let is_primitive = element.uses.iter().any(|used| matches!(used.datatype, Datatype::Primitive(_)));
        let is_backbone = complex(element).any(TypeId::is_backbone);
        Self { yields: (is_primitive && has("text"), is_backbone && has("count")), ..self }
    }

    /// A derived column.
    pub(super) fn named(&mut self, derived: Derived, names: &mut Names) -> ColumnId {
        if let Some(Some(column)) = self.derived.get(derived as usize) {
            return *column;
        }
        let column = names.column(&self.name_of(derived));
        if let Some(place) = self.derived.get_mut(derived as usize) {
            *place = Some(column);
        }
        column
    }

    /// A derived column, if there was anything for it.
    pub(super) fn known(&self, derived: Derived) -> Option<ColumnId> {
        self.derived.get(derived as usize).copied().flatten()
    }

    fn name_of(&self, derived: Derived) -> String {
        let tail = match derived {
            Derived::At => "at",
            Derived::Text if self.yields.0 => "written",
            Derived::Text => "text",
            Derived::Count if self.yields.1 => "items",
            Derived::Count => "count",
            Derived::Key => "key",
            Derived::Kind => "type",
            Derived::Codings => "codings",
            Derived::Values => "values",
            Derived::Keys => "keys",
            Derived::Identifier => "identifier",
            Derived::Size => "Size",
            Derived::Sha256 => "Sha256",
        };
        match (derived, &self.extension) {
            (Derived::Size | Derived::Sha256, Some(extension)) => joined(extension, &format!("data{tail}")),
            (Derived::Size | Derived::Sha256, None) => format!("{}{tail}", self.name),
            _ => joined(&self.name, tail),
        }
    }
}

pub(super) fn has_member(element: &Element, name: &str) -> bool {
    complex(element).any(|datatype| datatype.element(name).is_some())
}

/// The types of the objects that an element can hold, by release.
fn complex(element: &Element) -> impl Iterator<Item = TypeId> {
    element.uses.iter().filter_map(|used| match used.datatype {
        Datatype::Complex(complex) => Some(complex),
        Datatype::Primitive(_) | Datatype::Resource => None,
    })
}
