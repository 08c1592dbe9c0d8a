//! Records that say less without the Bundle around them.

use flatten::json::{Limits, Node, Tape};
use flatten::resource::Resource;

/// Whatever was loaded once is read.
const LIMITS: Limits = Limits { depth: 128, bytes: u32::MAX as usize, values: usize::MAX };

/// Returns whether the record's key, or that of a resource it refers to, may stand in the entries of a Bundle.
pub(crate) fn needs_bundle(bytes: &[u8]) -> bool {
    let mut tape = Tape::default();
    let Ok(document) = tape.parse(bytes, LIMITS) else { return false };
    let is_nameless = Resource::read(document.root()).is_ok_and(|resource| resource.id().is_none());
    is_nameless || has_urn(document.root())
}

/// Returns whether it refers to a resource that the `fullUrl` of an entry names.
pub(crate) fn refers_by_urn(bytes: &[u8]) -> bool {
    let mut tape = Tape::default();
    tape.parse(bytes, LIMITS).is_ok_and(|document| has_urn(document.root()))
}

fn has_urn(node: Node<'_>) -> bool {
    let of_member = |(name, value): (Node<'_>, Node<'_>)| {
        (name.is("reference") && value.raw().starts_with("urn:")) || has_urn(value)
    };
    node.members().any(of_member) || node.items().any(has_urn)
}

#[cfg(test)]
mod tests {
    use super::needs_bundle;

    #[test]
    fn what_a_bundle_would_have_said_is_needed() {
        assert!(!needs_bundle(
            br#"{"resourceType":"Patient","id":"1","identifier":[{"system":"urn:oid:1.2"}]}"#
        ));
        assert!(needs_bundle(br#"{"resourceType":"Patient"}"#));
        assert!(needs_bundle(
            br#"{"resourceType":"Patient","id":"1","link":[{"other":{"reference":"urn:uuid:x"}}]}"#
        ));
        assert!(!needs_bundle(b"no JSON at all"));
    }
}
