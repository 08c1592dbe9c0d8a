//! Addresses: from a byte of a resource to the JSON Pointer (RFC 6901) of the value that stands there.

use std::fmt::Write as _;

use crate::json::{Kind, Node};
use crate::model;

use super::name::pointer_step;

/// The pointer of the value at a byte offset, from the root downwards. Names that no FHIR release knows are
/// shown as `?`: a key that somebody made up may be a name, a number, a patient.
#[must_use]
pub fn address_at(root: Node<'_>, offset: usize) -> String {
    pointer(root, offset, |key| if model::is_known_element_name(key) { key } else { "?" })
}

/// The exact pointer, for keys of rows.
pub(super) fn exact_address_at(root: Node<'_>, offset: usize) -> String {
    pointer(root, offset, |key| key)
}

fn pointer(root: Node<'_>, offset: usize, show: impl Fn(&str) -> &str) -> String {
    let mut address = String::new();
    let mut node = root;
    loop {
        let step = match node.kind() {
            Kind::Object => node
                .members()
                .map(|(key, value)| (Some(key), value))
                .find(|(_, value)| reaches(*value, offset)),
            Kind::Array => node.items().map(|item| (None, item)).find(|(_, item)| reaches(*item, offset)),
            _ => None,
        };
        let Some((key, value)) = step.filter(|(_, value)| value.span().start <= offset) else {
            return address;
        };
        address.push('/');
        if let Some(key) = key.and_then(Node::text) {
            address.push_str(&pointer_step(show(&key)));
        } else {
            let index = node.items().position(|item| reaches(item, offset)).unwrap_or_default();
            let _infallible = write!(address, "{index}");
        }
        node = value;
    }
}

fn reaches(node: Node<'_>, offset: usize) -> bool {
    // An empty string's span is empty; its closing quote counts as its own.
    node.span().end >= offset.max(node.span().start)
}
