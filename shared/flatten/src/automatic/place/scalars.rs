//! Which scalars may stand in a spot, by the element tables.

use crate::model::Primitive;

/// How the scalars of a spot are written: a set, because several hold where releases differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::automatic) struct Scalars(u16);

impl Scalars {
    pub(in crate::automatic) const BOOLEAN: Self = Self(1);
    pub(in crate::automatic) const INTEGER: Self = Self(1 << 1);
    pub(in crate::automatic) const LONG: Self = Self(1 << 2);
    pub(in crate::automatic) const DECIMAL: Self = Self(1 << 3);
    pub(in crate::automatic) const MOMENT: Self = Self(1 << 4);
    pub(in crate::automatic) const INSTANT: Self = Self(1 << 5);
    pub(in crate::automatic) const BINARY: Self = Self(1 << 6);
    pub(in crate::automatic) const TEXT: Self = Self(1 << 7);
    /// The text is a code of a value set that is known.
    pub(in crate::automatic) const CODED: Self = Self(1 << 8);

    pub(super) const UNKNOWN: Self = Self::BOOLEAN.and(Self::DECIMAL).and(Self::TEXT);

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What a primitive is written as.
    pub(super) const fn of(primitive: Primitive) -> Self {
        match (primitive, primitive.system()) {
            (Primitive::Instant, _) => Self::INSTANT,
            (Primitive::Base64Binary, _) => Self::BINARY,
            (_, Primitive::Boolean) => Self::BOOLEAN,
            (_, Primitive::Integer) => Self::INTEGER,
            (_, Primitive::Integer64) => Self::LONG,
            (_, Primitive::Decimal) => Self::DECIMAL,
            (_, Primitive::Date | Primitive::DateTime) => Self::MOMENT,
            _ => Self::TEXT,
        }
    }

    /// Whether some of these are among them.
    pub(in crate::automatic) const fn has(self, some: Self) -> bool {
        self.0 & some.0 != 0
    }

    /// Whether no release has a primitive here.
    pub(in crate::automatic) const fn none(self) -> bool {
        self.0 == 0
    }
}
