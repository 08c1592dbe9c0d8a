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

/// The exact pointers of several values, in the order in which they stand in the file: each member is looked at once,
/// however many the values are.
pub(super) fn exact_addresses<'a>(
    root: Node<'a>,
    values: &[Node<'a>],
    mut found: impl FnMut(&str, Node<'a>),
) {
    let mut address = String::new();
    descend(root, values, &mut address, &mut found);
}

fn descend<'a>(
    node: Node<'a>,
    values: &[Node<'a>],
    address: &mut String,
    found: &mut impl FnMut(&str, Node<'a>),
) {
    let length = address.len();
    let mut rest = values;
    let mut visit = |step: &dyn Fn(&mut String), child: Node<'a>| {
        let inside = rest.iter().take_while(|value| reaches(child, value.span().start)).count();
        let (mut here, later) = rest.split_at_checked(inside).unwrap_or((rest, &[]));
        rest = later;
        if here.is_empty() {
            return;
        }
        address.push('/');
        step(address);
        if let Some((first, others)) = here.split_first()
            && first.span().start == child.span().start
        {
            found(address, *first);
            here = others;
        }
        if !here.is_empty() {
            descend(child, here, address, found);
        }
        address.truncate(length);
    };
    match node.kind() {
        Kind::Object => {
            for (key, value) in node.members() {
                visit(&|out| out.push_str(&pointer_step(&key.text().unwrap_or_default())), value);
            }
        }
        Kind::Array => {
            for (index, item) in node.items().enumerate() {
                visit(
                    &|out| {
                        let _infallible = write!(out, "{index}");
                    },
                    item,
                );
            }
        }
        _ => {}
    }
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
