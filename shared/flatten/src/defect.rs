//! Defects: what is wrong with a resource, as a code and a place, never as a value.

use std::fmt;

use strum::VariantArray;

use crate::json::{JsonError, JsonErrorKind};

/// The rule that a rejected resource breaks, and where. It quotes nothing of the resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defect {
    /// The rule.
    pub code: DefectCode,
    /// Where in the resource: a JSON Pointer (RFC 6901) whose unknown names are replaced by `?`, a FHIR path,
    /// or the name of a view and its column. Empty for the resource as a whole.
    pub path: String,
    /// Byte offset from the beginning of the parsed text, where one place is to blame.
    pub offset: Option<usize>,
}

/// The rules a resource can break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, VariantArray)]
#[non_exhaustive]
pub enum DefectCode {
    /// The text is not JSON: a token is missing or misplaced.
    InvalidJson,
    /// The text ends inside a value.
    TruncatedJson,
    /// The bytes are not UTF-8.
    InvalidUtf8,
    /// A string has an escape that JSON does not have, or half of a surrogate pair.
    InvalidEscape,
    /// A string has an unescaped control character.
    ControlCharacter,
    /// A number that JSON does not have.
    InvalidNumber,
    /// An object has a member twice.
    DuplicateName,
    /// Nested deeper than 64 levels.
    TooDeep,
    /// The resource or a row of it is larger than the database takes, or has more than two million values.
    TooLarge,
    /// More names that FHIR does not have than one resource may bring: unknown elements, extension URLs.
    TooManyNames,
    /// A JSON value that is not an object with a `resourceType`.
    NotAResource,
    /// A `resourceType` that is not a name.
    InvalidResourceType,
    /// An `id` that is not a FHIR id and cannot be a key.
    InvalidId,
    /// A scalar stands where an object must stand.
    ObjectExpected,
    /// An integer out of its datatype's range.
    IntegerOutOfRange,
    /// A view's column met several values and is not a collection.
    SeveralValues,
    /// A view's expression met values that it cannot work on.
    InvalidOperand,
    /// A DELETE entry that names no resource by type and id.
    UnresolvableDeletion,
    /// An entry whose `request.method` is not a method of HTTP.
    UnknownMethod,
    /// A PATCH entry: what it changes is not known here, so the resource that it names is out of date.
    PatchNotApplied,
    /// A resource whose key another one of its Bundle has, which comes from another server.
    AmbiguousIdentity,
    /// Two members would have one column. Names are told apart so that this cannot be; a row that says one thing
    /// twice would say it wrongly.
    AmbiguousColumn,
    /// A check of the deployment refused the resource.
    CheckFailed,
}

impl DefectCode {
    /// All of them.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// Returns the code as it stands in the ledger and in rejects.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidJson => "invalid-json",
            Self::TruncatedJson => "truncated-json",
            Self::InvalidUtf8 => "invalid-utf8",
            Self::InvalidEscape => "invalid-escape",
            Self::ControlCharacter => "control-character",
            Self::InvalidNumber => "invalid-number",
            Self::DuplicateName => "duplicate-name",
            Self::TooDeep => "too-deep",
            Self::TooLarge => "too-large",
            Self::TooManyNames => "too-many-names",
            Self::NotAResource => "not-a-resource",
            Self::InvalidResourceType => "invalid-resource-type",
            Self::InvalidId => "invalid-id",
            Self::ObjectExpected => "object-expected",
            Self::IntegerOutOfRange => "integer-out-of-range",
            Self::SeveralValues => "several-values",
            Self::InvalidOperand => "invalid-operand",
            Self::UnresolvableDeletion => "unresolvable-deletion",
            Self::UnknownMethod => "unknown-method",
            Self::PatchNotApplied => "patch-not-applied",
            Self::AmbiguousIdentity => "ambiguous-identity",
            Self::AmbiguousColumn => "ambiguous-column",
            Self::CheckFailed => "check-failed",
        }
    }
}

impl fmt::Display for DefectCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl Defect {
    /// Returns a defect of the resource as a whole.
    #[must_use]
    pub const fn whole(code: DefectCode) -> Self {
        Self { code, path: String::new(), offset: None }
    }

    /// Returns a defect at a place.
    #[must_use]
    pub fn at(code: DefectCode, path: impl Into<String>, offset: usize) -> Self {
        Self { code, path: path.into(), offset: Some(offset) }
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.code.as_str())?;
        if !self.path.is_empty() {
            write!(formatter, " at {}", self.path)?;
        }
        match self.offset {
            Some(offset) => write!(formatter, " (byte {offset})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Defect {}

impl From<JsonError> for Defect {
    fn from(error: JsonError) -> Self {
        let code = match error.kind {
            JsonErrorKind::InvalidUtf8 => DefectCode::InvalidUtf8,
            JsonErrorKind::Truncated => DefectCode::TruncatedJson,
            JsonErrorKind::ControlCharacter => DefectCode::ControlCharacter,
            JsonErrorKind::InvalidEscape => DefectCode::InvalidEscape,
            JsonErrorKind::InvalidNumber => DefectCode::InvalidNumber,
            JsonErrorKind::DuplicateName => DefectCode::DuplicateName,
            JsonErrorKind::TooDeep => DefectCode::TooDeep,
            JsonErrorKind::TooLarge => DefectCode::TooLarge,
            JsonErrorKind::ValueExpected
            | JsonErrorKind::NameExpected
            | JsonErrorKind::ColonExpected
            | JsonErrorKind::CommaExpected
            | JsonErrorKind::Trailing => DefectCode::InvalidJson,
        };
        Self { code, path: String::new(), offset: Some(error.offset) }
    }
}
