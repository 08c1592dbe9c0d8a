//! Names: how element names, extension URLs and derived columns become column names.
//!
//! A name is a chain of parts joined by `_`. No two things have one name, because no part can be mistaken: an
//! element that no release knows may not take the name of a derived column, an extension's name gets digits of its
//! URL where it is an element's or a derived column's, and nothing else looks like these digits.

use strum::VariantArray;

use crate::model::{TypeId, extensions};

use super::object_kind::ObjectKind;
use super::settings::Settings;

/// No member with a longer name has a column.
pub(crate) const MAX_NAME_BYTES: usize = 128;

/// Tells how an extension is named at its element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, VariantArray)]
pub(crate) enum ExtensionNaming {
    /// By a name of its own.
    Plain,
    /// Beside another that no registry knows either and that would have its name: both get digits of their URLs.
    Clashing,
    /// As a modifier.
    Modifier,
    /// As a modifier beside another of its name.
    ClashingModifier,
}

impl ExtensionNaming {
    pub(crate) const fn clashing(self) -> Self {
        if self.is_modifier() { Self::ClashingModifier } else { Self::Clashing }
    }

    pub(crate) const fn is_modifier(self) -> bool {
        matches!(self, Self::Modifier | Self::ClashingModifier)
    }

    pub(crate) const fn is_clash(self) -> bool {
        matches!(self, Self::Clashing | Self::ClashingModifier)
    }

    pub(crate) const ALL: &'static [Self] = Self::VARIANTS;
}

/// Joins two parts of a column name with `_`. Either may be empty.
pub(crate) fn joined(prefix: &str, name: &str) -> String {
    match (prefix, name) {
        ("", only) | (only, "") => only.to_owned(),
        (prefix, name) => format!("{prefix}_{name}"),
    }
}

/// Tells what may have columns of its own. Where the columns of a row would be ambiguous, a stricter policy leaves more
/// to `_unknown`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, VariantArray)]
pub(crate) enum NamingPolicy {
    /// Everything that can have a name.
    Full,
    /// What some release knows, and extensions as FHIR has them: with one value, or with extensions inside.
    KnownOnly,
    /// Elements.
    ElementsOnly,
}

impl NamingPolicy {
    pub(crate) const ALL: &'static [Self] = Self::VARIANTS;
}

/// The element that carries an extension.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ExtensionCarrier<'c> {
    pub(crate) kind: ObjectKind,
    pub(crate) type_id: Option<TypeId>,
    /// The types that the element has in other releases.
    pub(crate) types_in_other_releases: &'c [TypeId],
}

/// Returns the last part of an extension's column names. The settings decide, then the registry; the data decides
/// nothing but the [`ExtensionNaming`].
pub(crate) fn extension_name(
    carrier: ExtensionCarrier<'_>,
    url: &str,
    naming: ExtensionNaming,
    settings: &Settings,
) -> String {
    let plain_url = extensions::without_version(url);
    let chosen = |(known, _): &(&String, &String)| extensions::without_version(known) == plain_url;
    if let Some((_, name)) = settings.extension_names.iter().find(chosen) {
        return name.clone();
    }
    if carrier.kind == ObjectKind::PrimitiveCompanion && plain_url == DATA_ABSENT_REASON {
        return "absent".to_owned();
    }
    let tail = extensions::tail(url);
    let is_chosen = settings.extension_names.values().any(|name| first_part(name) == tail);
    let mut other_types = carrier.types_in_other_releases.iter();
    if naming.is_clash()
        || is_chosen
        || other_types.any(|other_type| extensions::has_column(*other_type, &tail))
    {
        return extensions::with_digest(&tail, url);
    }
    extensions::column_tail(carrier.type_id, url).into_owned()
}

/// Returns whether HL7 or the settings give an extension its name, and not the end of a sender's URL.
pub(crate) fn is_given(url: &str, settings: &Settings) -> bool {
    let plain_url = extensions::without_version(url);
    let is_chosen = |known: &String| extensions::without_version(known) == plain_url;
    extensions::is_registered(url) || settings.extension_names.keys().any(is_chosen)
}

const DATA_ABSENT_REASON: &str = "http://hl7.org/fhir/StructureDefinition/data-absent-reason";

/// Returns whether a member has a column of its own: an element of the type has one, and an element that no release
/// knows has one if it cannot be mistaken for anything else.
pub(crate) fn has_column(kind: ObjectKind, type_id: Option<TypeId>, key: &str) -> bool {
    if type_id.is_some_and(|type_id| type_id.element(key).is_some()) {
        return true;
    }
    match kind {
        // An extension's value stands under the extension's own name, where others would meet it.
        ObjectKind::Extension | ObjectKind::ExtensionItem => false,
        ObjectKind::PrimitiveCompanion => key == "id",
        _ => {
            is_plain(key)
                && !is_reserved(key)
                && type_id.is_none_or(|type_id| {
                    !extensions::has_column(type_id, key) && !extensions::is_of_data(type_id, key)
                })
        }
    }
}

/// Returns whether a member name can stand in a column name as it is. No FHIR element has an underscore; a name with
/// one could be mistaken for a path.
pub(crate) fn is_plain(key: &str) -> bool {
    key.len() <= MAX_NAME_BYTES
        && key.starts_with(|c: char| c.is_ascii_alphabetic())
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && !extensions::is_digest(key)
}

/// Returns whether derived columns use a name: an element that no release knows may not take it.
fn is_reserved(key: &str) -> bool {
    matches!(
        key,
        "at" | "absent"
            | "choice"
            | "codings"
            | "coding"
            | "count"
            | "dataSha256"
            | "dataSize"
            | "items"
            | "key"
            | "keys"
            | "text"
            | "type"
            | "values"
            | "phone"
            | "fax"
            | "email"
            | "pager"
            | "url"
            | "sms"
            | "other"
            | "written"
    )
}

/// Describes what is wrong with the names that settings give to extensions: a name may not be mistaken for an element,
/// a derived column or another extension's.
pub(crate) fn mistakes(settings: &Settings) -> Vec<String> {
    let names = &settings.extension_names;
    let mut mistakes = Vec::new();
    for (url, name) in names {
        let part = first_part(name);
        let others = names.iter().filter(|(other, _)| *other != url).map(|(_, name)| name.as_str());
        let plain_url = extensions::without_version(url);
        let is_meant_twice =
            names.keys().any(|other| other != url && extensions::without_version(other) == plain_url);
        let reason = if !name.split('_').all(is_plain) {
            "has parts of letters and digits that begin with a letter, joined by `_`"
        } else if is_reserved(part) || extensions::is_reserved(part) {
            "begins like a derived column"
        } else if extensions::is_element_or_choice(part) {
            "begins like a FHIR element"
        } else if extensions::is_owned_by_another(part, url) {
            "begins like the column of an extension that HL7 has registered"
        } else if is_meant_twice {
            "is one of several for the same extension"
        } else if others.into_iter().any(|other| begins_with(name, other) || begins_with(other, name)) {
            "begins like the name of another extension"
        } else {
            continue;
        };
        mistakes.push(format!("extension name `{name}`: it {reason}"));
    }
    mistakes
}

fn first_part(name: &str) -> &str {
    name.split('_').next().unwrap_or_default()
}

/// Returns whether a name is another one or one below it.
fn begins_with(name: &str, other: &str) -> bool {
    name.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
}
