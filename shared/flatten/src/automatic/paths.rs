//! Paths: from a FHIR path to its columns, worked out once and cached.
//!
//! An object path is an object's position in a row, such as `Patient.name`; a field is a member's position in an
//! object, such as `Patient.name.family`. Both depend only on FHIR path, extension URL and settings, so that clearing
//! the cache changes nothing but speed.

mod member;
mod name_cache;
mod columns;
mod object_types;
mod field;
mod object_path;
mod lookup;
mod meanings;

#[cfg(test)]
mod tests;

pub(super) use columns::Derived;
pub(super) use field::{FieldFlags, ScalarKinds, TELECOM_SYSTEMS};
pub(super) use lookup::{MAX_UNKNOWN_NAMES, PathCache, Paths};
pub(super) use meanings::{Meanings, Namespace};
pub(super) use member::{FieldId, Member, ObjectPathId};
pub(super) use object_types::items_kind;
