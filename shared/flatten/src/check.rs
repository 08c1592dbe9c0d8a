//! Checks: what a deployment asks of data before they are written.
//!
//! Structural checks are always made and only counted: ids, dates, codes of required bindings, references, mandatory
//! elements, values of the wrong type. A deployment adds its own as a list of `{name, type, path, severity, message}`:
//! `path` is a FHIRPath condition on resources of the type. A check fails where the condition is false; where it says
//! nothing, it passes. Gates judge an object as a whole, before anything of it is written.

mod bindings;
mod mandatory;
mod gates;

use serde_json::Value as Json;
use strum::VariantArray;

use crate::defect::{Defect, DefectCode};
use crate::fhirpath::{Context, Predicate, Scratch, Unanswered};
use crate::json::{Node, is_alphanumeric_or};
use crate::model::ResourceTypes;

pub use gates::{Gate, Gates, Survey};

pub use bindings::required_codes;
pub use mandatory::mandatory_elements;

pub(crate) use mandatory::{met_by, required};

/// What becomes of a resource that fails a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// It is counted and loaded.
    Warn,
    /// The resource is rejected.
    Reject,
}

/// A check of the deployment's own.
#[derive(Debug)]
pub struct ResourceCheck {
    name: String,
    resource_type: String,
    condition: Predicate,
    severity: Severity,
    message: String,
}

/// A structural check: always made, only counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, VariantArray)]
pub enum StructuralCheck {
    /// An id that is a key but not a FHIR id.
    Id,
    /// An invalid date, time or instant, such as a day that the month does not have.
    Date,
    /// A code that the element's required value set has in no release.
    Code,
    /// A reference that is not a URI reference.
    Reference,
    /// An element that the resource must have in every release, and lacks.
    Mandatory,
    /// A value of the wrong primitive type, or a number that is too small for its type.
    Value,
    /// A record that says that it is newer than its file. The pipeline makes this check, because it knows the file.
    Future,
}

impl StructuralCheck {
    /// All structural checks.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// Returns the name under which findings are counted.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Date => "date",
            Self::Code => "code",
            Self::Reference => "reference",
            Self::Mandatory => "mandatory",
            Self::Value => "value",
            Self::Future => "future",
        }
    }
}

/// How often each structural check has failed in a resource.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct StructuralCounts {
    /// Ids that are keys but not FHIR ids.
    pub(crate) ids: u64,
    /// Invalid dates, times and instants, such as a day that the month does not have.
    pub(crate) dates: u64,
    /// Codes that the element's required value set has in no release.
    pub(crate) codes: u64,
    /// References that are not URI references.
    pub(crate) references: u64,
    /// Values of the wrong primitive type, and numbers that are too small for theirs.
    pub(crate) values: u64,
    /// Elements that the resource must have in every release, and lacks.
    pub(crate) missing: u64,
}

impl StructuralCounts {
    /// Returns the counts that are not zero, by the name of the check.
    pub(crate) fn counts(self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = StructuralCheck::ALL.iter().map(move |check| (check.name(), self.count(*check)));
        counts.filter(|(_, count)| *count > 0)
    }

    const fn count(self, check: StructuralCheck) -> u64 {
        match check {
            StructuralCheck::Id => self.ids,
            StructuralCheck::Date => self.dates,
            StructuralCheck::Code => self.codes,
            StructuralCheck::Reference => self.references,
            StructuralCheck::Mandatory => self.missing,
            StructuralCheck::Value => self.values,
            StructuralCheck::Future => 0,
        }
    }
}

impl ResourceCheck {
    /// Reads the checks of a file. Every mistake is added to `mistakes`, in words, behind the file's name.
    pub(crate) fn read_all(
        file: &str,
        text: &str,
        types: &ResourceTypes,
        mistakes: &mut Vec<String>,
    ) -> Vec<Self> {
        let list = match serde_json::from_str(text) {
            Ok(Json::Array(list)) => list,
            Ok(_) => {
                mistakes.push(format!("{file}: checks are a JSON array"));
                return Vec::new();
            }
            Err(error) => {
                let (line, column) = (error.line(), error.column());
                mistakes.push(format!("{file}: no JSON at line {line}, column {column}"));
                return Vec::new();
            }
        };
        let mut checks: Vec<Self> = Vec::new();
        for (index, entry) in list.iter().enumerate() {
            match Self::read(index + 1, entry, types) {
                Ok(check) if checks.iter().any(|other| other.name == check.name) => {
                    mistakes.push(format!("{file}: two checks are called `{}`", check.name));
                }
                Ok(check) => checks.push(check),
                Err(found) => mistakes.extend(
                    found.into_iter().map(|mistake| format!("{file}: check {}: {mistake}", index + 1)),
                ),
            }
        }
        checks
    }

    /// Returns the name: as written, or else the type and the number in the list.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the type of the resources that it is for.
    #[must_use]
    pub fn resource_type(&self) -> &str {
        &self.resource_type
    }

    /// Returns what it does to resources that fail it.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        self.severity
    }

    /// Returns the message of the check, as its author wrote it.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns whether a resource passes; `None` where that depends on a key that comes later.
    pub(crate) fn passes(
        &self,
        resource: Node<'_>,
        context: &Context<'_>,
        scratch: &mut Scratch,
    ) -> Option<bool> {
        match self.condition.holds(resource, context, scratch) {
            Ok(answer) => Some(answer != Some(false)),
            // A condition that cannot work on the resource does not hold either.
            Err(Unanswered::Defect(_)) => Some(false),
            Err(Unanswered::KeyComesLater) => None,
        }
    }

    /// Returns the defect of a resource that does not pass, if it is to be set aside: its path is the check's name.
    pub(crate) fn refusal(&self) -> Option<Defect> {
        let defect = || Defect { path: self.name.clone(), ..Defect::whole(DefectCode::CheckFailed) };
        (self.severity == Severity::Reject).then(defect)
    }

    fn read(number: usize, entry: &Json, types: &ResourceTypes) -> Result<Self, Vec<String>> {
        let mut mistakes = Vec::new();
        let mut text = |name: &str| match entry.get(name) {
            Some(Json::String(text)) if !text.is_empty() => text.clone(),
            _ => {
                mistakes.push(format!("`{name}` should be a text"));
                String::new()
            }
        };
        let [resource_type, path, severity, message] = ["type", "path", "severity", "message"].map(&mut text);
        let name = entry.get("name").map_or_else(|| format!("{resource_type}-{number}"), |_| text("name"));
        if !name.is_empty() && !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        {
            mistakes.push("`name` has letters, digits, `-` and `_`".to_owned());
        }
        let reserved = StructuralCheck::ALL.iter().map(|check| check.name());
        if reserved.clone().any(|reserved| reserved == name) {
            let names = reserved.collect::<Vec<_>>().join("`, `");
            mistakes.push(format!("`name` is a structural check's: these are called `{names}`"));
        }
        let known = ["name", "type", "path", "severity", "message"];
        let others =
            entry.as_object().into_iter().flatten().filter(|(name, _)| !known.contains(&name.as_str()));
        mistakes.extend(others.map(|(name, _)| format!("`{name}` means nothing here")));
        if !resource_type.is_empty() && !types.contains(&resource_type) {
            mistakes.push("`type` is no resource type of any release of FHIR".to_owned());
        }
        let severity = match severity.as_str() {
            "reject" => Severity::Reject,
            "warn" => Severity::Warn,
            _ => {
                mistakes.push("`severity` is `warn` or `reject`".to_owned());
                Severity::Warn
            }
        };
        match Predicate::compile(&resource_type, &path) {
            Ok(condition) if mistakes.is_empty() => {
                Ok(Self { name, resource_type, condition, severity, message })
            }
            Ok(_) => Err(mistakes),
            Err(invalid) => {
                mistakes.push(format!("`path`: {invalid}"));
                Err(mistakes)
            }
        }
    }
}

/// Returns whether a text is an id by FHIR's own rule (R4, section 2.24.0.1), which is stricter than what can be a key.
pub(crate) fn is_fhir_id(id: &str) -> bool {
    (1..=64).contains(&id.len()) && is_alphanumeric_or(id.as_bytes(), *b"-.")
}

/// Returns whether a text can be a URI reference (RFC 3986): something, and no white space or control character in it.
pub(crate) fn is_uri_reference(text: &str) -> bool {
    let is_plain = text.bytes().fold(true, |all, byte| all & byte.is_ascii_graphic());
    !text.is_empty()
        && (is_plain || !text.contains(|character: char| character.is_whitespace() || character.is_control()))
}
