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
    /// A date, dateTime or instant: the text as written, and the moment beside it.
    pub(in crate::automatic) const MOMENT: Self = Self(1 << 4);
    pub(in crate::automatic) const BINARY: Self = Self(1 << 5);
    pub(in crate::automatic) const TEXT: Self = Self(1 << 6);
    /// The text is a code of a value set that is known.
    pub(in crate::automatic) const CODED: Self = Self(1 << 7);

    /// A time of day, which is text.
    pub(in crate::automatic) const TIME: Self = Self(1 << 8);
    /// Some release has a whole number here that may be 0, or less.
    pub(in crate::automatic) const ZERO: Self = Self(1 << 9);
    pub(in crate::automatic) const NEGATIVE: Self = Self(1 << 10);

    pub(super) const UNKNOWN: Self = Self::BOOLEAN.and(Self::DECIMAL).and(Self::TEXT);

    pub(in crate::automatic) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What a primitive is written as.
    pub(super) const fn of(primitive: Primitive) -> Self {
        match (primitive, primitive.system()) {
            (Primitive::Base64Binary, _) => Self::BINARY,
            (Primitive::PositiveInt, _) => Self::INTEGER,
            (Primitive::UnsignedInt, _) => Self::INTEGER.and(Self::ZERO),
            (_, Primitive::Boolean) => Self::BOOLEAN,
            (_, Primitive::Integer) => Self::INTEGER.and(Self::ZERO).and(Self::NEGATIVE),
            (_, Primitive::Integer64) => Self::LONG.and(Self::ZERO).and(Self::NEGATIVE),
            (_, Primitive::Decimal) => Self::DECIMAL,
            (_, Primitive::Date | Primitive::DateTime) => Self::MOMENT,
            (_, Primitive::Time) => Self::TIME,
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
