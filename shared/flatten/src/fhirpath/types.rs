//! What may stand at a place: usually one datatype, several where releases differ, any where no release knows.

use crate::model::{Datatype, Primitive, type_named};

use super::temporal::TemporalKind;

/// The datatypes that a place may have, sorted; none of them means that nothing is known of the place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TypeSet {
    datatypes: Vec<Datatype>,
}

/// A type set by its place in a program's pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SetId(pub(super) u16);

/// How the scalar at a place is to be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// By its JSON type alone.
    Plain,
    /// A JSON string with digits.
    Long,
    /// A JSON string with a date or a time.
    Temporal(TemporalKind),
}

impl TypeSet {
    /// The set of what nobody knows.
    pub(crate) const UNKNOWN: Self = Self { datatypes: Vec::new() };

    pub(crate) fn of(datatypes: impl IntoIterator<Item = Datatype>) -> Self {
        let mut datatypes: Vec<Datatype> = datatypes.into_iter().collect();
        datatypes.sort_unstable();
        datatypes.dedup();
        // A place for any resource has no elements of its own.
        if datatypes.contains(&Datatype::Resource) { Self::UNKNOWN } else { Self { datatypes } }
    }

    pub(crate) fn primitive(primitive: Primitive) -> Self {
        Self::of([Datatype::Primitive(primitive)])
    }

    pub(super) fn quantity() -> Self {
        Self::of(type_named("Quantity").map(Datatype::Complex))
    }

    pub(crate) fn datatypes(&self) -> &[Datatype] {
        &self.datatypes
    }

    pub(crate) const fn is_unknown(&self) -> bool {
        self.datatypes.is_empty()
    }

    pub(super) fn contains(&self, datatype: Datatype) -> bool {
        self.datatypes.contains(&datatype)
    }

    /// Whether one of the primitives can stand there, so that a companion (`_x`) can as well.
    pub(super) fn may_be_primitive(&self) -> bool {
        self.is_unknown() || self.primitives().next().is_some()
    }

    pub(crate) fn primitives(&self) -> impl Iterator<Item = Primitive> {
        self.datatypes.iter().filter_map(|datatype| match datatype {
            Datatype::Primitive(primitive) => Some(*primitive),
            Datatype::Complex(_) | Datatype::Resource => None,
        })
    }

    /// The first of the kinds in the order dateTime, date, time; a date and a dateTime are read alike as a
    /// dateTime.
    pub(super) fn reading(&self) -> Reading {
        let has = |wanted: &[Primitive]| self.primitives().any(|primitive| wanted.contains(&primitive));
        if has(&[Primitive::DateTime, Primitive::Instant]) {
            Reading::Temporal(TemporalKind::DateTime)
        } else if has(&[Primitive::Date]) {
            Reading::Temporal(TemporalKind::Date)
        } else if has(&[Primitive::Time]) {
            Reading::Temporal(TemporalKind::Time)
        } else if has(&[Primitive::Integer64]) {
            Reading::Long
        } else {
            Reading::Plain
        }
    }

    /// The names, for people.
    pub(crate) fn describe(&self) -> String {
        let names: Vec<&str> = self.datatypes.iter().map(|datatype| datatype.name()).collect();
        if names.is_empty() { "anything".to_owned() } else { names.join(" or ") }
    }
}
