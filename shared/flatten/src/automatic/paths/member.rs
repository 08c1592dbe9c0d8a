//! Members: what a member of an object is, and the ids by which paths refer to each other.

/// The index of an object path in the path cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ObjectPathId(pub(super) u32);

/// The index of a field in the path cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FieldId(pub(super) u32);

/// Tells what a member of an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Member {
    /// An element, or an unknown member that is written like one.
    Element(FieldId),
    /// The companion of a primitive element, such as `_birthDate`.
    Companion(FieldId),
    /// `extension`
    Extensions,
    /// `modifierExtension`
    ModifierExtensions,
    /// `contained`
    Contained,
    /// `coding` of a concept.
    Codings(FieldId),
    /// `reference` of a reference.
    Target(FieldId),
    /// `tag` or `security` of metadata.
    Labels(FieldId),
    /// A member that the table (`resourceType`) or the column (`url`) names already, or that settings leave out.
    Skipped,
    /// A name that no column can have.
    Unknown,
}

impl Member {
    /// Returns whether the member is an element, or is skipped.
    pub(crate) const fn is_element(self) -> bool {
        matches!(self, Self::Skipped) || self.field().is_some()
    }

    /// Returns the field of an element; `None` for a member that is written in another way.
    pub(crate) const fn field(self) -> Option<FieldId> {
        match self {
            Self::Element(field) | Self::Codings(field) | Self::Target(field) | Self::Labels(field) => {
                Some(field)
            }
            Self::Companion(_)
            | Self::Extensions
            | Self::ModifierExtensions
            | Self::Contained
            | Self::Skipped
            | Self::Unknown => None,
        }
    }
}
