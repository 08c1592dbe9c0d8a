//! Names: how element names, extension URLs and derived columns become column names.

use std::borrow::Cow;

use crate::model::{TypeId, extensions};

use super::Settings;
use super::place::Special;

/// Joins two parts of a column name; an empty part leaves the other alone.
pub(super) fn joined(prefix: &str, name: &str) -> String {
    match (prefix, name) {
        ("", only) | (only, "") => only.to_owned(),
        (prefix, name) => format!("{prefix}_{name}"),
    }
}

/// The last part of an extension's column names, decided by settings, then by the registry, never by the data.
///
/// With `alone` false, two URLs that no registry knows have one tail at one element: both get the suffix.
pub(super) fn tail(
    special: Special,
    carrier: Option<TypeId>,
    url: &str,
    alone: bool,
    settings: &Settings,
) -> String {
    if let Some(name) = settings.extension_names.get(url) {
        return name.clone();
    }
    if special == Special::OnPrimitive && url == DATA_ABSENT_REASON {
        return "absent".to_owned();
    }
    if alone {
        extensions::column_tail(carrier, url).into_owned()
    } else {
        extensions::with_digest(&extensions::tail(url), url)
    }
}

const DATA_ABSENT_REASON: &str = "http://hl7.org/fhir/StructureDefinition/data-absent-reason";

/// Whether a member name can stand in a column name as it is. No FHIR element has an underscore; a name with
/// one could be mistaken for a path.
pub(super) fn is_plain(key: &str) -> bool {
    key.len() <= 128
        && key.starts_with(|c: char| c.is_ascii_alphabetic())
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Names that derived columns use: an element that no release knows may not take one of them.
pub(super) fn is_reserved(key: &str) -> bool {
    matches!(
        key,
        "at" | "absent"
            | "codings"
            | "coding"
            | "count"
            | "key"
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
    )
}

/// One step of a JSON Pointer (RFC 6901, section 3).
pub(super) fn pointer_step(key: &str) -> Cow<'_, str> {
    if key.contains(['~', '/']) {
        Cow::Owned(key.replace('~', "~0").replace('/', "~1"))
    } else {
        Cow::Borrowed(key)
    }
}
