//! The names of extensions' columns: from the end of the URL, decided statically.
//!
//! A name depends on the URL, on the type that carries the extension and on HL7's registry, never on the data. Two
//! Unregistered URLs can still share a tail at one type; only the row that holds both can tell.

use std::borrow::Cow;
use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};

use super::{Datatype, Primitive, TypeId};

/// The text that `cargo xtask model` makes: a URL a line and the releases that have it.
const TEXT: &str = include_str!("extensions.txt");

/// What HL7's own names begin with.
const CORE: &str = "http://hl7.org/fhir/StructureDefinition/";

/// URLs in use today whose tails a withdrawn URL of DSTU2's core had too. They keep the bare name.
const SUCCESSORS: [&str; 4] = [
    "http://hl7.org/fhir/us/core/StructureDefinition/us-core-direct",
    "http://hl7.org/fhir/us/core/StructureDefinition/us-core-ethnicity",
    "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race",
    "http://hl7.org/fhir/us/core/StructureDefinition/us-core-religion",
];

/// A longer tail is cut: it is unreadable, and would be written in every row.
const LONGEST_TAIL: usize = 128;

/// Names that the flattener derives, so that no extension may have them, each with what it is derived for.
pub(super) const RESERVED: [(&str, &str); 34] = [
    ("absent", "a primitive's data-absent-reason"),
    ("at", "the moment of a date, dateTime or instant, or of a choice"),
    ("choice", "a choice's datatype, where another release has a type of its own there"),
    ("code", "a concept's primary coding stands at the concept"),
    ("coding", "a concept's codings, whole, stand beside its primary one"),
    ("codings", "a concept's codings as `system|code`"),
    ("comparator", "an extension's value stands at the extension: a Quantity"),
    ("count", "how many sub-documents an array has"),
    ("dataSha256", "in place of large attachments"),
    ("dataSize", "in place of large attachments"),
    ("display", "a concept's primary coding, a reference"),
    ("email", "a telecom's first by system"),
    ("fax", "a telecom's first by system"),
    ("id", "every element's own id"),
    ("identifier", "what a conditional or logical reference names its target by"),
    ("items", "how many sub-documents an array has, where they have a count of their own"),
    ("key", "a reference's target"),
    ("keys", "the targets of an array of references"),
    ("modifier", "whether the extension is a modifier"),
    ("modifierExtension", "extensions that are modifiers"),
    ("other", "a telecom's first by system"),
    ("pager", "a telecom's first by system"),
    ("phone", "a telecom's first by system"),
    ("sms", "a telecom's first by system"),
    ("system", "a concept's primary coding"),
    ("text", "a value as written, a concept's text"),
    ("type", "a choice's datatype, a reference's target type"),
    ("unit", "an extension's value stands at the extension: a Quantity"),
    ("url", "a telecom's first by system"),
    ("userSelected", "a concept's primary coding"),
    ("value", "an extension's value stands at the extension: a Quantity, an Identifier"),
    ("values", "an array's identifiers as `system|value`"),
    ("version", "a concept's primary coding"),
    ("written", "a value as written, where another release has a text of its own there"),
];

/// What the flattener derives beside the extensions inside an extension. The rest of [`RESERVED`] comes from a
/// value, and an extension has a value or extensions, never both (constraint ext-1): `usCoreRace_text` is free.
const RESERVED_IN_EXTENSION: [&str; 3] = ["count", "modifier", "modifierExtension"];

/// Types whose columns stand under one name: a concept's primary coding stands at the concept.
const SHARING_A_NAME: [(&str, &str); 2] = [("CodeableConcept", "Coding"), ("Coding", "CodeableConcept")];

/// The URLs of the registry, by name.
static REGISTERED: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let mut urls: Vec<&str> = registry().map(|(url, _)| url).collect();
    urls.sort_unstable();
    urls
});

/// Tail → the URL that keeps it bare, by tail.
static OWNERS: LazyLock<Vec<(Cow<'static, str>, &'static str)>> = LazyLock::new(|| {
    let mut owners: Vec<(Cow<'static, str>, &'static str)> =
        ranked().into_iter().map(|url| (tail(url), url)).collect();
    // The sort is stable and the first of equals stays.
    owners.sort_by(|(one, _), (other, _)| one.cmp(other));
    owners.dedup_by(|(later, _), (first, _)| later == first);
    owners
});

/// Returns the extension's column below the column of the type that carries it; `None` is a primitive or a type that no
/// release knows. It is the [`tail`], or `<tail>_<6 hex of the SHA-256 of the URL>` where the tail is an element,
/// a choice or a derived column of that type, belongs to another URL of the registry, or is longer than 128 bytes.
#[must_use]
pub fn column_tail(carrying: Option<TypeId>, url: &str) -> Cow<'_, str> {
    let bare = tail(url);
    if bare.len() > LONGEST_TAIL || is_used(carrying, &bare) || is_owned_by_another(&bare, url) {
        return Cow::Owned(with_digest(&bare, url));
    }
    bare
}

/// Returns the first 128 bytes of the tail with the first 6 hex digits of the SHA-256 of the URL, without `|version`
/// and a trailing `/`.
#[must_use]
pub fn with_digest(tail: &str, url: &str) -> String {
    let tail = tail.get(..LONGEST_TAIL).unwrap_or(tail);
    let digest = Sha256::digest(without_version(url));
    digest.iter().take(3).fold(format!("{tail}_"), |name, byte| name + &format!("{byte:02x}"))
}

/// Returns what follows the last `/` or `#` (of a `urn:`, the last `:`), joined to one word. A bare version or nothing
/// at all yields to the segment before it; an OID is not a version. Always `[A-Za-z][A-Za-z0-9]*`.
#[must_use]
pub fn tail(url: &str) -> Cow<'_, str> {
    let url = without_version(url);
    let is_urn = url.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("urn:"));
    let is_oid = is_urn && url.get(4..8).is_some_and(|space| space.eq_ignore_ascii_case("oid:"));
    let separators: &[char] = if is_urn { &[':'] } else { &['/', '#'] };
    let segments =
        || url.rsplit(separators).filter(|segment| segment.contains(|c: char| c.is_ascii_alphanumeric()));
    let named = segments().find(|segment| is_oid || !is_version(segment));
    named.or_else(|| segments().next()).map_or(Cow::Borrowed("extension"), joined)
}

/// Returns whether HL7 published the extension with a release, or it is the successor of one.
#[must_use]
pub fn is_registered(url: &str) -> bool {
    let url = without_version(url);
    SUCCESSORS.contains(&url) || REGISTERED.binary_search(&url).is_ok()
}

fn is_used(carrying: Option<TypeId>, tail: &str) -> bool {
    // What looks like the digits of a URL would be taken for them.
    is_digest(tail)
        || match carrying {
            Some(extension) if extension.name() == "Extension" => {
                RESERVED_IN_EXTENSION.contains(&tail) || extension.element(tail).is_some()
            }
            Some(known) => is_reserved(tail) || is_of_data(known, tail) || has_column(known, tail),
            None => is_reserved(tail),
        }
}

/// Returns whether a name is one that the flattener derives, so that no extension may have it.
#[must_use]
pub fn is_reserved(tail: &str) -> bool {
    RESERVED.binary_search_by(|(name, _)| (*name).cmp(tail)).is_ok()
}

/// Returns whether an element of the type has a column of that name, or a choice begins with it. A concept's primary
/// coding stands at the concept.
#[must_use]
pub fn has_column(known: TypeId, name: &str) -> bool {
    let has = |known: TypeId| known.element(name).is_some() || known.choices(name).next().is_some();
    has(known) || sharing(known).is_some_and(has)
}

/// Returns whether a name is what stands in place of large data: `<element>Size` or `<element>Sha256` of a base64
/// element.
#[must_use]
pub fn is_of_data(carrier: TypeId, name: &str) -> bool {
    let data = name.strip_suffix("Size").or_else(|| name.strip_suffix("Sha256"));
    let binary = Datatype::Primitive(Primitive::Base64Binary);
    data.and_then(|data| carrier.element(data))
        .is_some_and(|element| element.uses.iter().any(|used| used.datatype == binary))
}

/// Returns whether a name looks like what [`with_digest`] adds.
#[must_use]
pub fn is_digest(name: &str) -> bool {
    name.len() == 6 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Returns whether some type of some release has an element or a choice of that name.
#[must_use]
pub fn is_element_or_choice(name: &str) -> bool {
    super::is_known_element_name(name) || super::table::is_choice(name)
}

/// Returns whether the registry keeps a name for another URL.
#[must_use]
pub fn is_owned_by_another(name: &str, url: &str) -> bool {
    owner(name).is_some_and(|owner| owner != without_version(url))
}

fn sharing(known: TypeId) -> Option<TypeId> {
    let (_, other) = SHARING_A_NAME.into_iter().find(|(name, _)| *name == known.name())?;
    super::type_named(other)
}

fn owner(tail: &str) -> Option<&'static str> {
    let at = OWNERS.binary_search_by(|(owned, _)| owned.as_ref().cmp(tail)).ok()?;
    OWNERS.get(at).map(|(_, url)| *url)
}

/// Returns every URL that can own a tail, the first claim first: successors, then core URLs before others, the newest
/// release first, then by URL.
pub(crate) fn ranked() -> Vec<&'static str> {
    let mut rows: Vec<(&str, &str)> = registry().collect();
    rows.sort_by_key(|(url, releases)| (!url.starts_with(CORE), std::cmp::Reverse(newest(releases)), *url));
    SUCCESSORS.into_iter().chain(rows.into_iter().map(|(url, _)| url)).collect()
}

fn newest(releases: &str) -> Option<super::Release> {
    super::Releases::from_signs(releases).newest()
}

fn registry() -> impl Iterator<Item = (&'static str, &'static str)> {
    TEXT.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(' '))
}

/// Returns the URL without `|version` and a trailing `/`: what tells extensions apart.
#[must_use]
pub fn without_version(url: &str) -> &str {
    url.split('|').next().unwrap_or(url).trim_end_matches('/')
}

/// Returns whether a segment is a version, such as `1.0`, `v2`, `4.0.1`.
fn is_version(segment: &str) -> bool {
    let numbers = segment.strip_prefix(['v', 'V']).unwrap_or(segment);
    numbers.split('.').all(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Returns the parts between what is neither letter nor digit; each but the first gets a capital. `x` before a digit.
fn joined(segment: &str) -> Cow<'_, str> {
    let starts_with_digit = |text: &str| text.starts_with(|first: char| first.is_ascii_digit());
    let mut parts = segment.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty());
    match (parts.next(), parts.next()) {
        (Some(only), None) if !starts_with_digit(only) => Cow::Borrowed(only),
        (first, second) => {
            let first = first.unwrap_or_default();
            let mut word = if starts_with_digit(first) { format!("x{first}") } else { first.to_owned() };
            second.into_iter().chain(parts).for_each(|part| push_capitalised(&mut word, part));
            Cow::Owned(word)
        }
    }
}

fn push_capitalised(word: &mut String, part: &str) {
    let (initial, rest) = part.split_at_checked(1).unwrap_or((part, ""));
    word.push_str(&initial.to_ascii_uppercase());
    word.push_str(rest);
}
