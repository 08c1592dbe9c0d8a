//! Names: how element names, extension URLs and derived columns become column names.
//!
//! A name is a chain of parts joined by `_`. No two things have one name, because no part can be mistaken: an
//! element that no release knows may not take the name of a derived column, an extension's name gets digits of its
//! URL where it is an element's or a derived column's, and nothing else looks like these digits.

use std::borrow::Cow;

use crate::model::{TypeId, extensions};

use super::Settings;
use super::place::Special;

/// How an extension stands at its element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// With a name of its own.
    Plain,
    /// Beside another that no registry knows either and that would have its name: both get digits of their URLs.
    Clashing,
    /// As a modifier.
    Modifier,
    /// As a modifier beside another of its name.
    ClashingModifier,
}

impl Standing {
    pub(super) const fn clashing(self) -> Self {
        if self.is_modifier() { Self::ClashingModifier } else { Self::Clashing }
    }

    pub(super) const fn is_modifier(self) -> bool {
        matches!(self, Self::Modifier | Self::ClashingModifier)
    }

    pub(super) const fn is_clash(self) -> bool {
        matches!(self, Self::Clashing | Self::ClashingModifier)
    }

    pub(super) const ALL: [Self; 4] = [Self::Plain, Self::Clashing, Self::Modifier, Self::ClashingModifier];
}

/// Joins two parts of a column name; an empty part leaves the other alone.
pub(super) fn joined(prefix: &str, name: &str) -> String {
    match (prefix, name) {
        ("", only) | (only, "") => only.to_owned(),
        (prefix, name) => format!("{prefix}_{name}"),
    }
}

/// The last part of an extension's column names, decided by settings, then by the registry, never by the data but
/// for [`Standing`]. `types_in_other_releases` are the types that the carrying element has in other releases.
pub(super) fn tail(
    special: Special,
    carrier: Option<TypeId>,
    types_in_other_releases: &[TypeId],
    url: &str,
    standing: Standing,
    settings: &Settings,
) -> String {
    let plain_url = extensions::without_version(url);
    let chosen = |(known, _): &(&String, &String)| extensions::without_version(known) == plain_url;
    if let Some((_, name)) = settings.extension_names.iter().find(chosen) {
        return name.clone();
    }
    if special == Special::OnPrimitive && plain_url == DATA_ABSENT_REASON {
        return "absent".to_owned();
    }
    let tail = extensions::tail(url);
    let is_chosen = settings.extension_names.values().any(|name| first_part(name) == tail);
    if standing.is_clash()
        || is_chosen
        || types_in_other_releases.iter().any(|other_type| extensions::has_column(*other_type, &tail))
    {
        return extensions::with_digest(&tail, url);
    }
    extensions::column_tail(carrier, url).into_owned()
}

/// Whether an extension's name is HL7's or the settings', and not whatever a sender's URL ends with.
pub(super) fn is_given(url: &str, settings: &Settings) -> bool {
    let plain_url = extensions::without_version(url);
    let is_chosen = |known: &String| extensions::without_version(known) == plain_url;
    extensions::is_registered(url) || settings.extension_names.keys().any(is_chosen)
}

const DATA_ABSENT_REASON: &str = "http://hl7.org/fhir/StructureDefinition/data-absent-reason";

/// Whether a member has a column of its own: an element of the type, and one that no release knows if it cannot be
/// mistaken for anything else.
pub(super) fn has_column(special: Special, carrier: Option<TypeId>, key: &str) -> bool {
    if carrier.is_some_and(|carrier| carrier.element(key).is_some()) {
        return true;
    }
    match special {
        // An extension's value stands under the extension's own name, where others would meet it.
        Special::Extension | Special::ExtensionItem => false,
        Special::OnPrimitive => key == "id",
        _ => {
            is_plain(key)
                && !is_reserved(key)
                && carrier.is_none_or(|carrier| {
                    !extensions::has_column(carrier, key) && !extensions::is_of_data(carrier, key)
                })
        }
    }
}

/// Whether a member name can stand in a column name as it is. No FHIR element has an underscore; a name with
/// one could be mistaken for a path.
pub(super) fn is_plain(key: &str) -> bool {
    key.len() <= 128
        && key.starts_with(|c: char| c.is_ascii_alphabetic())
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && !extensions::is_digest(key)
}

/// Names that derived columns use: an element that no release knows may not take one of them.
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

/// What is wrong with names that settings give to extensions, in words: a name may not be mistaken for an element,
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

/// Whether a name is another one or one below it.
fn begins_with(name: &str, other: &str) -> bool {
    name.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
}

/// One step of a JSON Pointer (RFC 6901, section 3).
pub(super) fn pointer_step(key: &str) -> Cow<'_, str> {
    if key.contains(['~', '/']) {
        Cow::Owned(key.replace('~', "~0").replace('/', "~1"))
    } else {
        Cow::Borrowed(key)
    }
}
