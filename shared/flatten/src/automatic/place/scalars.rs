//! Which scalars may stand in a spot, by the element tables.

use crate::model::Primitive;

/// How the scalars of a spot are written. Several hold where releases differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "a set of independent facts of the element tables")]
pub(in crate::automatic) struct Scalars {
    pub(in crate::automatic) boolean: bool,
    pub(in crate::automatic) integer: bool,
    pub(in crate::automatic) long: bool,
    pub(in crate::automatic) decimal: bool,
    pub(in crate::automatic) moment: bool,
    pub(in crate::automatic) instant: bool,
    pub(in crate::automatic) binary: bool,
    pub(in crate::automatic) text: bool,
    /// Whether the text is a code of a value set that is known.
    pub(in crate::automatic) coded: bool,
}

impl Scalars {
    pub(super) const UNKNOWN: Self = Self {
        boolean: true,
        integer: false,
        long: false,
        decimal: true,
        moment: false,
        instant: false,
        binary: false,
        text: true,
        coded: false,
    };

    pub(super) fn add(&mut self, primitive: Primitive) {
        match primitive {
            Primitive::Boolean => self.boolean = true,
            Primitive::Integer | Primitive::PositiveInt | Primitive::UnsignedInt => self.integer = true,
            Primitive::Integer64 => self.long = true,
            Primitive::Decimal => self.decimal = true,
            Primitive::Date | Primitive::DateTime => self.moment = true,
            Primitive::Instant => self.instant = true,
            Primitive::Base64Binary => self.binary = true,
            Primitive::String
            | Primitive::Code
            | Primitive::Id
            | Primitive::Uri
            | Primitive::Url
            | Primitive::Canonical
            | Primitive::Oid
            | Primitive::Uuid
            | Primitive::Markdown
            | Primitive::Time
            | Primitive::Xhtml => self.text = true,
        }
    }

    /// Whether no release has a primitive here.
    pub(in crate::automatic) fn none(self) -> bool {
        self == Self::default()
    }
}
