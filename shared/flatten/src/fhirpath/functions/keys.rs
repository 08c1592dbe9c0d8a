//! `getResourceKey` and `getReferenceKey`: keys that join, SQL on FHIR "Additional functions".

use crate::fhirpath::item::{ElementRef, Item, NO_NODE, PathError};
use crate::fhirpath::machine::Machine;
use crate::fhirpath::program::Call;
use crate::fhirpath::types::SetId;
use crate::json::{JsonKind, Node};
use crate::links::Link;
use crate::model::Datatype;
use crate::reference::{Reference, is_id, is_type, parse, plain};

/// Returns the key of the resource's row; of a contained resource `<key>#<id>`.
pub(super) fn resource_key<'m>(
    m: &mut Machine<'m>,
    _: &'m Call,
    base: usize,
    _: Item,
) -> Result<(), PathError> {
    m.each(base, |m, item| {
        if let Item::Element(element) = item {
            push_resource_key(m, element);
        }
        Ok(())
    })
}

fn push_resource_key(m: &mut Machine<'_>, element: ElementRef) {
    let (node, root) = (m.node(element), m.root());
    let key = m.context().key;
    if node.index() == root.index() {
        return m.push(Item::Key);
    }
    let id = node.get_text("id").filter(|id| is_id(id));
    let resource_type = node.get_text("resourceType").filter(|name| is_type(name));
    if let (Some(id), Some(resource_type)) = (id, resource_type) {
        let inside = |outer: Node<'_>| outer.span().contains(&node.span().start);
        let contained = root.get("contained").is_some_and(inside);
        m.push_text(&if contained { format!("{key}#{id}") } else { format!("{resource_type}/{id}") });
    }
}

/// Returns the key of what a reference points at, the same that the target's `getResourceKey` gives; nothing where there
/// is no such target, or where it is of another type than the one asked for.
pub(super) fn reference_key<'m>(
    m: &mut Machine<'m>,
    call: &'m Call,
    base: usize,
    _: Item,
) -> Result<(), PathError> {
    let wanted = call.type_test().map(|test| test.datatype);
    m.each(base, |m, item| {
        if let Item::Element(element) = item {
            push_reference_key(m, m.node(element), wanted.map(Datatype::name), element.set);
        }
        Ok(())
    })
}

fn push_reference_key(m: &mut Machine<'_>, reference: Node<'_>, wanted: Option<&str>, set: SetId) {
    let fits = |resource_type: &str| wanted.is_none_or(|wanted| wanted == resource_type);
    if !m.context().looks_up_urls()
        && let Some((literal, resource_type)) = plain_reference(reference)
    {
        if fits(resource_type) {
            m.push(Item::Element(ElementRef { node: literal.index(), companion: NO_NODE, set }));
        }
        return;
    }
    let Some(literal) = reference.get_text("reference") else { return };
    let parsed = parse(&literal);
    if let Reference::Contained(id) = parsed {
        return push_contained_key(m, id, fits);
    }
    let Some((name, link)) = m.context().look_up(&literal) else {
        if let Reference::Resource { resource_type, id } = parsed
            && fits(resource_type)
        {
            m.push_text(&format!("{resource_type}/{id}"));
        }
        return;
    };
    if reference.get_text("type").is_some_and(|name| is_type(&name) && !fits(&name)) {
        return;
    }
    match link {
        Link::Key(key) if fits(key.split('/').next().unwrap_or_default()) => m.push_text(&key),
        Link::Later => m.push_pending(&name, wanted),
        Link::Key(_) | Link::Nowhere => {}
    }
}

/// Returns the literal of a reference that is the key already, as most are, and its type.
pub(crate) fn plain_reference(reference: Node<'_>) -> Option<(Node<'_>, &str)> {
    let literal = reference.get("reference")?;
    let (resource_type, _) = plain(literal.plain_text()?)?;
    Some((literal, resource_type))
}

/// Returns the key of a contained resource that is there, or of the resource around it for `#` alone.
fn push_contained_key(m: &mut Machine<'_>, id: &str, fits: impl Fn(&str) -> bool) {
    let root = m.root();
    let has_type = |node: Node<'_>| node.get_text("resourceType").is_some_and(|name| fits(&name));
    let key = m.context().key;
    if id.is_empty() {
        if has_type(root) {
            m.push(Item::Key);
        }
        return;
    }
    // The row of a resource whose id can be in no key has none to be found by.
    let Some(contained) = root.get("contained").filter(|_| is_id(id)) else { return };
    let single = (contained.kind() == JsonKind::Object).then_some(contained);
    let mut candidates = contained.items().chain(single);
    if candidates.any(|node| node.get("id").is_some_and(|own| own.is(id)) && has_type(node)) {
        m.push_text(&format!("{key}#{id}"));
    }
}
