//! What the members of objects are, and which objects are more than their members.

use crate::model::TypeId;

use super::SpotId;

/// What a member of an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::automatic) enum Member {
    /// An element, or something by its shape.
    Element(SpotId),
    /// What stands on a primitive element.
    Sibling(SpotId),
    /// `extension`
    Extensions,
    /// `modifierExtension`
    ModifierExtensions,
    /// `contained`
    Contained,
    /// `coding` of a concept.
    Codings(SpotId),
    /// `reference` of a reference.
    Target(SpotId),
    /// `tag` or `security` of metadata.
    Labels(SpotId),
    /// Said elsewhere (`resourceType` by the table, `url` by the column) or left out by settings.
    Skipped,
    /// A name that no column can have.
    Unknown,
}

impl Member {
    /// Whether the member is an element, or something that says nothing.
    pub(in crate::automatic) const fn is_element(self) -> bool {
        matches!(self, Self::Skipped) || self.spot().is_some()
    }

    /// The spot that an element of this member's name has, unless something else is done with it.
    pub(super) const fn spot(self) -> Option<SpotId> {
        match self {
            Self::Element(spot) | Self::Codings(spot) | Self::Target(spot) | Self::Labels(spot) => Some(spot),
            Self::Sibling(_)
            | Self::Extensions
            | Self::ModifierExtensions
            | Self::Contained
            | Self::Skipped
            | Self::Unknown => None,
        }
    }
}

/// The objects that are more than the sum of their members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::automatic) enum Special {
    /// Members one by one.
    Plain,
    /// The resource itself.
    Resource,
    /// `coding` gives its columns to the concept.
    Concept,
    /// A concept's primary coding, standing under the concept's name.
    ElidedCoding,
    /// `reference` gives a key and a type.
    Reference,
    /// `tag` and `security` become `system|code`.
    Meta,
    /// `div` is left out unless asked for.
    Narrative,
    /// The representative of an array is the official, usual or current one.
    HumanName,
    /// The representative of an array is at home, or current.
    Address,
    /// The representative of an array is the one that a user selected.
    Coding,
    /// The representative of an array is official or usual; all are listed as `system|value`.
    Identifier,
    /// An array gives a column to each system.
    ContactPoint,
    /// `value[x]` gives its columns to the extension; `url` is in the name already.
    Extension,
    /// The same as an item of a list, where a primitive value needs the name `value`.
    ExtensionItem,
    /// What stands on a primitive: an id and extensions.
    OnPrimitive,
}

impl Special {
    /// Whether a list of the row has what identifies all items of an array: their codes, values or keys.
    pub(in crate::automatic) const fn is_listed(self) -> bool {
        matches!(self, Self::Concept | Self::Coding | Self::Identifier | Self::Reference)
    }

    /// What an object of a type is.
    pub(super) fn of(carrier: Option<TypeId>) -> Self {
        match carrier.map(TypeId::name) {
            Some("CodeableConcept") => Self::Concept,
            Some("Reference") => Self::Reference,
            Some("Meta") => Self::Meta,
            Some("Narrative") => Self::Narrative,
            Some("HumanName") => Self::HumanName,
            Some("Address") => Self::Address,
            Some("Coding") => Self::Coding,
            Some("Identifier") => Self::Identifier,
            Some("ContactPoint") => Self::ContactPoint,
            Some("Extension") => Self::Extension,
            _ => Self::Plain,
        }
    }
}
