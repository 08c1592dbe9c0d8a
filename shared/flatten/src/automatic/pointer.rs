//! JSON Pointers (RFC 6901): from a byte of a resource to the pointer of the value that stands there.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::json::{JsonKind, Node};
use crate::model;

/// Returns the pointer of the value at a byte offset. Names that no FHIR release has become `?`, because a made-up
/// name may be a person's name or number.
#[must_use]
pub fn pointer_at(root: Node<'_>, offset: usize) -> String {
    pointer_to(root, offset, |key| if model::is_known_element_name(key) { key } else { "?" })
}

/// Returns the exact pointer of the value at a byte offset, for keys of rows.
pub(crate) fn exact_pointer_at(root: Node<'_>, offset: usize) -> String {
    pointer_to(root, offset, |key| key)
}

/// Calls `found` with the exact pointers of several values, which are in the order of the file. Each member is looked at
/// once, however many the values are.
pub(crate) fn exact_pointers<'a>(root: Node<'a>, values: &[Node<'a>], mut found: impl FnMut(&str, Node<'a>)) {
    let mut pointer = String::new();
    descend(root, values, &mut pointer, &mut found);
}

fn descend<'a>(
    node: Node<'a>,
    values: &[Node<'a>],
    pointer: &mut String,
    found: &mut impl FnMut(&str, Node<'a>),
) {
    let length = pointer.len();
    let mut rest = values;
    let mut visit = |step: &dyn Fn(&mut String), child: Node<'a>| {
        let inside = rest.iter().take_while(|value| reaches(child, value.span().start)).count();
        let (mut here, later) = rest.split_at_checked(inside).unwrap_or((rest, &[]));
        rest = later;
        if here.is_empty() {
            return;
        }
        pointer.push('/');
        step(pointer);
        if let Some((first, others)) = here.split_first()
            && first.span().start == child.span().start
        {
            found(pointer, *first);
            here = others;
        }
        if !here.is_empty() {
            descend(child, here, pointer, found);
        }
        pointer.truncate(length);
    };
    match node.kind() {
        JsonKind::Object => {
            for (key, value) in node.members() {
                visit(&|out| out.push_str(&escaped(&key.text().unwrap_or_default())), value);
            }
        }
        JsonKind::Array => {
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

fn pointer_to(root: Node<'_>, offset: usize, show: impl Fn(&str) -> &str) -> String {
    let mut pointer = String::new();
    let mut node = root;
    loop {
        let step = match node.kind() {
            JsonKind::Object => node
                .members()
                .map(|(key, value)| (Some(key), value))
                .find(|(_, value)| reaches(*value, offset)),
            JsonKind::Array => node.items().map(|item| (None, item)).find(|(_, item)| reaches(*item, offset)),
            _ => None,
        };
        let Some((key, value)) = step.filter(|(_, value)| value.span().start <= offset) else {
            return pointer;
        };
        pointer.push('/');
        if let Some(key) = key.and_then(Node::text) {
            pointer.push_str(&escaped(show(&key)));
        } else {
            let index = node.items().position(|item| reaches(item, offset)).unwrap_or_default();
            let _infallible = write!(pointer, "{index}");
        }
        node = value;
    }
}

fn reaches(node: Node<'_>, offset: usize) -> bool {
    // An empty string's span is empty; its closing quote counts as its own.
    node.span().end >= offset.max(node.span().start)
}

/// Returns a name as a step of a JSON Pointer (RFC 6901, section 3).
fn escaped(key: &str) -> Cow<'_, str> {
    if key.contains(['~', '/']) {
        Cow::Owned(key.replace('~', "~0").replace('/', "~1"))
    } else {
        Cow::Borrowed(key)
    }
}
