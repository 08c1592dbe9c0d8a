//! References: from `Reference.reference` as written to the key of the row it points at.
//!
//! FHIR R5, section 2.1.3.0.1 "Literal references": relative, absolute and versioned URLs, fragments for
//! contained resources, and URNs that the Bundle's `fullUrl`s resolve.

use std::borrow::Cow;

use memchr::memchr;

use crate::json::is_alphanumeric_or;
use crate::model;

/// What a literal reference points at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reference<'a> {
    /// A resource by type and id, from a relative, absolute or versioned URL.
    Resource {
        /// The resource type.
        resource_type: &'a str,
        /// The id, without version.
        id: &'a str,
    },
    /// A contained resource by its id; empty for the container itself (`#`).
    Contained(&'a str),
    /// A URN (`urn:uuid:…`, `urn:oid:…`) or another URI that names no type and id, without fragment: only the `fullUrl`
    /// of an entry of the same Bundle resolves it.
    Urn(&'a str),
    /// A conditional reference, a canonical, or anything else without a key.
    Other,
}

/// Reads a literal reference.
///
/// ```
/// use flatten::reference::{Reference, parse};
/// let target = Reference::Resource { resource_type: "Patient", id: "1" };
/// assert_eq!(parse("Patient/1"), target);
/// assert_eq!(parse("https://ehr.example/fhir/Patient/1/_history/2"), target);
/// assert_eq!(parse("Practitioner?identifier=x"), Reference::Other);
/// ```
#[must_use]
pub fn parse(reference: &str) -> Reference<'_> {
    plain(reference)
        .map_or_else(|| parse_any(reference), |(resource_type, id)| Reference::Resource { resource_type, id })
}

/// Reads a reference of any form.
fn parse_any(reference: &str) -> Reference<'_> {
    if let Some(fragment) = reference.strip_prefix('#') {
        return Reference::Contained(fragment);
    }
    let address =
        memchr(b'#', reference.as_bytes()).and_then(|end| reference.get(..end)).unwrap_or(reference);
    let scheme = scheme(address);
    if memchr(b'?', address.as_bytes()).is_some() {
        return Reference::Other;
    }
    if scheme.is_some_and(|scheme| !is_http(scheme)) {
        return Reference::Urn(address);
    }
    let path = address.split_once("/_history/").map_or(address, |(resource, _)| resource);
    let mut segments = path.rsplit('/');
    if let (Some(id), Some(resource_type)) = (segments.next(), segments.next())
        && is_id(id)
        && is_type(resource_type)
        // Types of the deployment's own are in relative references only. Another name in a URL is not a type.
        && (segments.next().is_none() || model::is_resource_type(resource_type))
    {
        return Reference::Resource { resource_type, id };
    }
    if scheme.is_some() { Reference::Urn(address) } else { Reference::Other }
}

/// Reads a conditional reference (R5, section 3.2.0.13.2): the type that is searched, and the identifier as
/// `system|value` where nothing else is searched for.
///
/// ```
/// use flatten::reference::conditional;
/// let found = Some(("Practitioner", Some("http://hl7.org/fhir/sid/us-npi|17".to_owned())));
/// assert_eq!(conditional("Practitioner?identifier=http://hl7.org/fhir/sid/us-npi|17"), found);
/// assert_eq!(conditional("Practitioner?identifier=http%3A%2F%2Fhl7.org%2Ffhir%2Fsid%2Fus-npi%7C17"), found);
/// assert_eq!(conditional("Practitioner?name=Ada"), Some(("Practitioner", None)));
/// ```
#[must_use]
pub fn conditional(reference: &str) -> Option<(&str, Option<String>)> {
    let (path, query) = reference.split_once('?')?;
    let resource_type = path.rsplit('/').next().filter(|name| model::is_resource_type(name))?;
    let searched = query.strip_prefix("identifier=").filter(|value| !value.contains('&'));
    let decoded = searched.and_then(|value| percent_encoding::percent_decode_str(value).decode_utf8().ok());
    let is_one = |value: &str| {
        !value.contains([',', '\\']) && value.split_once('|').is_some_and(|(_, value)| !value.is_empty())
    };
    Some((resource_type, decoded.map(Cow::into_owned).filter(|value| is_one(value))))
}

/// Returns the scheme of an absolute URI (RFC 3986, section 3.1), without its colon.
fn scheme(address: &str) -> Option<&str> {
    let scheme = address.get(..memchr(b':', address.as_bytes())?)?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    is_scheme.then_some(scheme)
}

fn is_http(scheme: &str) -> bool {
    scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
}

/// Returns whether a text can be a resource type: an upper-case ASCII letter, then letters and digits.
#[must_use]
pub fn is_type(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Returns whether a text can be an id in a key: FHIR's `[A-Za-z0-9\-\.]{1,64}`, and what real servers add to it (`_`,
/// `:`, more length), but nothing that would make a key or an address ambiguous.
#[must_use]
pub fn is_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= 256 && is_alphanumeric_or(id.as_bytes(), *b"-._:|")
}

/// Returns type and id of a reference that is `Type/id` and nothing more, as most are.
pub(crate) fn plain(reference: &str) -> Option<(&str, &str)> {
    let slash = reference.bytes().position(|byte| !byte.is_ascii_alphanumeric())?;
    let (resource_type, id) = reference.split_at_checked(slash)?;
    let id = id.strip_prefix('/')?;
    let is_type =
        resource_type.len() <= 64 && resource_type.starts_with(|first: char| first.is_ascii_uppercase());
    (is_type && is_id(id)).then_some((resource_type, id))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Reference, conditional, parse, parse_any};

    proptest! {
        #[test]
        fn plain_references_are_read_as_all_others(text in r"[A-Z]?[a-z]{0,3}[/:#?.|é-]{0,2}[A-Za-z0-9/:#?._|-]{0,4}") {
            prop_assert_eq!(parse(&text), parse_any(&text));
        }
    }

    #[test]
    fn searches_for_one_identifier_name_it() {
        let cases = [
            ("Practitioner?identifier=s|v", Some(("Practitioner", Some("s|v")))),
            ("https://a.example/fhir/Organization?identifier=|v", Some(("Organization", Some("|v")))),
            ("Practitioner?identifier=v", Some(("Practitioner", None))),
            ("Practitioner?identifier=s|", Some(("Practitioner", None))),
            ("Practitioner?identifier=s|v,s|w", Some(("Practitioner", None))),
            ("Practitioner?identifier=s|v&active=true", Some(("Practitioner", None))),
            ("Practitioner?", Some(("Practitioner", None))),
            ("R4?identifier=s|v", None),
            ("Practitioner/1", None),
        ];
        for (text, expected) in cases {
            let found = conditional(text);
            assert_eq!(
                found.as_ref().map(|(resource_type, name)| (*resource_type, name.as_deref())),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn reads_every_form() {
        let resource = |resource_type, id| Reference::Resource { resource_type, id };
        let cases = [
            ("Patient/1", resource("Patient", "1")),
            ("Patient/1/_history/7", resource("Patient", "1")),
            ("http://a.example/fhir/Patient/x.1-2", resource("Patient", "x.1-2")),
            ("http://a.example/fhir/Patient/1#part", resource("Patient", "1")),
            ("#p1", Reference::Contained("p1")),
            ("#", Reference::Contained("")),
            ("urn:uuid:0b2f", Reference::Urn("urn:uuid:0b2f")),
            ("urn:uuid:0b2f#part", Reference::Urn("urn:uuid:0b2f")),
            ("Patient?identifier=a|b", Reference::Other),
            ("http://a.example/fhir/Patient?x=Patient/1", Reference::Other),
            ("patient/1", Reference::Other),
            ("Patient/", Reference::Other),
            ("Patient", Reference::Other),
            ("", Reference::Other),
            ("a b/Patient/ü", Reference::Other),
            ("resource:0", Reference::Urn("resource:0")),
            (
                "http://hl7.org/fhir/R4/patient-example.json",
                Reference::Urn("http://hl7.org/fhir/R4/patient-example.json"),
            ),
            ("R4/patient-example.json", resource("R4", "patient-example.json")),
            ("https://a.example/x#part", Reference::Urn("https://a.example/x")),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
