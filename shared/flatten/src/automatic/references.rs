//! References: the key and the type of a reference's target.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::check::is_uri_reference;
use crate::json::{JsonKind, Node};
use crate::links::{Link, Links};
use crate::reference::{self, Reference};
use crate::row::{ColumnId, ITEM};

use super::contained::ContainedResources;
use super::datatypes::text_part;
use super::paths::{Derived, ObjectPathId};
use super::scalar::CellWriter;

/// Finds the targets of the references of one resource.
pub(super) struct ReferenceTargets<'w, 'a> {
    pub(super) links: &'w Links,
    pub(super) contained: ContainedResources<'a>,
    /// Whether the current reference has a type of its own, so that none is derived.
    pub(super) has_type: bool,
}

impl ReferenceTargets<'_, '_> {
    /// Writes the key and the type of a reference's target, where it has one. `literal` is `Reference.reference`.
    pub(super) fn write_target(
        &mut self,
        cells: &mut CellWriter<'_, '_>,
        path: ObjectPathId,
        literal: Node<'_>,
    ) {
        let Some(text) = literal.text() else { return };
        cells.findings.references += u64::from(!is_uri_reference(&text));
        match self.find(&text) {
            ReferenceTarget::Resource { resource_type, id } => {
                let column = cells.paths.object_column(path, Derived::Key);
                cells.rows.text_with(column, |out| out.extend([resource_type, "/", id]));
                self.write_type(cells, path, resource_type);
            }
            ReferenceTarget::Key(key) => {
                let column = cells.paths.object_column(path, Derived::Key);
                cells.rows.text(column, &key);
                self.write_type(cells, path, key.split('/').next().unwrap_or_default());
            }
            ReferenceTarget::Contained { resource_type, key } => {
                let column = cells.paths.object_column(path, Derived::Key);
                cells.rows.text(column, &key);
                self.write_type(cells, path, &resource_type);
            }
            ReferenceTarget::Later(urn) => {
                cells.rows.pending(cells.paths.object_column(path, Derived::Key), &urn);
                if !self.has_type {
                    cells.rows.pending_type(cells.paths.object_column(path, Derived::Type), &urn);
                }
            }
            ReferenceTarget::Conditional(resource_type) => self.write_type(cells, path, resource_type),
            ReferenceTarget::None => {}
        }
    }

    /// Writes the keys of the targets of an array of references, each once. Keys that are not known yet come last.
    pub(super) fn write_keys(
        &mut self,
        cells: &mut CellWriter<'_, '_>,
        column: ColumnId,
        references: Node<'_>,
    ) {
        let (mut seen, mut known, mut later) = (BTreeSet::new(), Vec::new(), Vec::new());
        for text in references.as_items().filter_map(|reference| reference.get_text("reference")) {
            let (key, keys) = match self.find(&text) {
                ReferenceTarget::Resource { resource_type, id } => {
                    ([resource_type, "/", id].concat(), &mut known)
                }
                ReferenceTarget::Key(key) | ReferenceTarget::Contained { key, .. } => (key, &mut known),
                ReferenceTarget::Later(urn) => (urn.into_owned(), &mut later),
                ReferenceTarget::Conditional(_) | ReferenceTarget::None => continue,
            };
            if seen.insert(key.clone()) {
                keys.push(key);
            }
        }
        if seen.is_empty() {
            return;
        }
        let list = cells.rows.open_list(column);
        for key in &known {
            cells.rows.text(ITEM, key);
        }
        for urn in &later {
            cells.rows.pending(ITEM, urn);
        }
        cells.rows.close(list);
    }

    fn write_type(&self, cells: &mut CellWriter<'_, '_>, path: ObjectPathId, resource_type: &str) {
        if !self.has_type {
            cells.rows.text(cells.paths.object_column(path, Derived::Type), resource_type);
        }
    }

    fn find<'t>(&mut self, literal: &'t str) -> ReferenceTarget<'t> {
        let link = match reference::parse(literal) {
            Reference::Resource { resource_type, id } => match self.links.look_up_url(literal) {
                Some((url, Link::Later)) => return ReferenceTarget::Later(url),
                Some((_, link)) => link,
                None => return ReferenceTarget::Resource { resource_type, id },
            },
            Reference::Contained("") => Link::Key(self.contained.resource_key().to_owned()),
            Reference::Contained(id) => {
                let target = self.contained.target(id);
                let contained = |(resource_type, key): (Cow<'_, str>, _)| ReferenceTarget::Contained {
                    resource_type: resource_type.into_owned(),
                    key,
                };
                return target.map_or(ReferenceTarget::None, contained);
            }
            Reference::Urn(urn) => match self.links.resolve(urn) {
                Link::Later => return ReferenceTarget::Later(Cow::Borrowed(urn)),
                link => link,
            },
            Reference::Other => {
                let conditional = reference::conditional(literal);
                return conditional.map_or(ReferenceTarget::None, |(resource_type, _)| {
                    ReferenceTarget::Conditional(resource_type)
                });
            }
        };
        match link {
            Link::Key(key) => ReferenceTarget::Key(key),
            Link::Later | Link::Nowhere => ReferenceTarget::None,
        }
    }
}

/// What a literal reference points to.
enum ReferenceTarget<'t> {
    /// The resource that the reference names itself.
    Resource { resource_type: &'t str, id: &'t str },
    /// The resource with this key.
    Key(String),
    /// A contained resource, whose key begins with its container's.
    Contained { resource_type: String, key: String },
    /// An entry of the Bundle that has not been read.
    Later(Cow<'t, str>),
    /// The result of a search for resources of this type.
    Conditional(&'t str),
    /// No target that is known.
    None,
}

/// Returns whether a reference has a type of its own.
pub(super) fn has_type(reference: Node<'_>) -> bool {
    reference.get("type").is_some_and(|written| match written.kind() {
        JsonKind::String => true,
        // Several are in `_unknown`.
        JsonKind::Array => {
            let mut items = written.as_items();
            items.next().is_some_and(|only| only.kind() == JsonKind::String) && items.next().is_none()
        }
        _ => false,
    })
}

/// Writes the identifier by which a conditional or logical reference names its target, as `system|value`: it is among
/// the target's `identifier_values`.
pub(super) fn write_identifier(cells: &mut CellWriter<'_, '_>, path: ObjectPathId, reference: Node<'_>) {
    let logical = reference.get("identifier").filter(|identifier| !identifier.is_null());
    let literal = reference.get_text("reference");
    let conditional = literal.as_deref().and_then(reference::conditional);
    let named = match (conditional.and_then(|(_, identifier)| identifier), logical) {
        // Its array stands in the column.
        (_, Some(identifier)) if identifier.kind() != JsonKind::Object => None,
        (Some(searched), _) => Some(searched),
        (None, Some(identifier)) => system_and_value(identifier),
        (None, None) => None,
    };
    if let Some(named) = named {
        let column = cells.paths.object_column(path, Derived::Identifier);
        cells.rows.text(column, &named);
    }
}

fn system_and_value(identifier: Node<'_>) -> Option<String> {
    let (Ok(system), Ok(Some(value))) = (text_part(identifier, "system"), text_part(identifier, "value"))
    else {
        return None;
    };
    let [system, value] = [system, Some(value)].map(|part| part.and_then(Node::text));
    Some([system.as_deref().unwrap_or_default(), "|", value.as_deref().unwrap_or_default()].concat())
}
