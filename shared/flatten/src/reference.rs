//! References: from `Reference.reference` as written to the key of the row it points at.
//!
//! FHIR R5, section 2.1.3.0.1 "Literal references": relative, absolute and versioned URLs, fragments for
//! contained resources, and URNs that the Bundle's `fullUrl`s resolve.

/// What a literal reference points at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reference<'a> {
    /// A resource by type and id, from a relative, absolute or versioned URL.
    Resource {
        /// The resource type.
        kind: &'a str,
        /// The id, without version.
        id: &'a str,
    },
    /// A contained resource by its id; empty for the container itself (`#`).
    Contained(&'a str),
    /// A URN (`urn:uuid:…`, `urn:oid:…`) that a `fullUrl` of the same Bundle resolves, without fragment.
    Urn(&'a str),
    /// A conditional reference, a canonical, or anything else without a key.
    Other,
}

/// Reads a literal reference.
///
/// ```
/// use flatten::reference::{Reference, parse};
/// let target = Reference::Resource { kind: "Patient", id: "1" };
/// assert_eq!(parse("Patient/1"), target);
/// assert_eq!(parse("https://ehr.example/fhir/Patient/1/_history/2"), target);
/// assert_eq!(parse("Practitioner?identifier=x"), Reference::Other);
/// ```
#[must_use]
pub fn parse(reference: &str) -> Reference<'_> {
    if let Some(fragment) = reference.strip_prefix('#') {
        return Reference::Contained(fragment);
    }
    if reference.starts_with("urn:") {
        return Reference::Urn(reference.split('#').next().unwrap_or_default());
    }
    let path = reference.split('#').next().unwrap_or_default();
    if path.contains('?') {
        return Reference::Other;
    }
    let path = path.split_once("/_history/").map_or(path, |(resource, _)| resource);
    let mut segments = path.rsplit('/');
    match (segments.next(), segments.next()) {
        (Some(id), Some(kind)) if is_id(id) && is_type(kind) => Reference::Resource { kind, id },
        _ => Reference::Other,
    }
}

/// Whether a text can be a resource type: an upper-case ASCII letter, then letters and digits.
#[must_use]
pub fn is_type(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Whether a text can be an id in a key: FHIR's `[A-Za-z0-9\-\.]{1,64}`, and what real servers add to it (`_`, `:`,
/// more length), but nothing that would make a key or an address ambiguous.
#[must_use]
pub fn is_id(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= 256
        // Without a stop in between, which lets sixteen bytes be looked at together.
        && id.bytes().fold(true, |all, byte| {
            all & matches!(byte, b'-' | b'.' | b'_' | b':' | b'|' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z')
        })
}

#[cfg(test)]
mod tests {
    use super::{Reference, parse};

    #[test]
    fn reads_every_form() {
        let resource = |kind, id| Reference::Resource { kind, id };
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
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
