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

/// What is known of a path's result before it is run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct StaticType {
    /// One for each place that the items may come from; none where there can be no item.
    pub(crate) sets: Vec<SetId>,
    /// Whether there can be at most one item.
    pub(crate) single: bool,
}

/// How the scalar at a place is to be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ScalarForm {
    /// By its JSON type alone.
    Plain,
    /// A JSON string with digits.
    Long,
    /// A JSON string with a date or a time.
    Temporal(TemporalKind),
}

impl TypeSet {
    /// The set of unknown types.
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

    /// Returns whether one of the primitives can stand there, so that a companion (`_x`) can as well.
    pub(super) fn may_be_primitive(&self) -> bool {
        self.is_unknown() || self.primitives().next().is_some()
    }

    pub(crate) fn primitives(&self) -> impl Iterator<Item = Primitive> {
        self.datatypes.iter().filter_map(|datatype| match datatype {
            Datatype::Primitive(primitive) => Some(*primitive),
            Datatype::Complex(_) | Datatype::Resource => None,
        })
    }

    /// Returns the first of the kinds in the order dateTime, date, time; a date and a dateTime are read alike as a
    /// dateTime.
    pub(super) fn form(&self) -> ScalarForm {
        let has = |wanted: &[Primitive]| self.primitives().any(|primitive| wanted.contains(&primitive));
        if has(&[Primitive::DateTime, Primitive::Instant]) {
            ScalarForm::Temporal(TemporalKind::DateTime)
        } else if has(&[Primitive::Date]) {
            ScalarForm::Temporal(TemporalKind::Date)
        } else if has(&[Primitive::Time]) {
            ScalarForm::Temporal(TemporalKind::Time)
        } else if has(&[Primitive::Integer64]) {
            ScalarForm::Long
        } else {
            ScalarForm::Plain
        }
    }

    /// Returns the names, for people.
    pub(crate) fn describe(&self) -> String {
        let names: Vec<&str> = self.datatypes.iter().map(|datatype| datatype.name()).collect();
        if names.is_empty() { "anything".to_owned() } else { names.join(" or ") }
    }
}

impl StaticType {
    pub(super) fn one(set: SetId) -> Self {
        Self { sets: vec![set], single: true }
    }

    pub(crate) fn join(mut self, other: &Self, single: bool) -> Self {
        self.sets.extend(&other.sets);
        self.sets.sort_unstable();
        self.sets.dedup();
        Self { sets: self.sets, single }
    }
}
