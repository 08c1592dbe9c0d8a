//! A resource's key, its row and the rows of what it contains.

use serde_json::Value;

use crate::ByKey;
use crate::json::{self, many, text, text_of};
use crate::model::{Model, hex_digest};
use crate::oracle::{At, Object, Role, Walk};
use crate::values::is_id;

/// A contained resource with where it stands.
struct Inner<'v> {
    object: &'v Object,
    address: String,
}

/// Returns the key of a resource that no Bundle gives one.
pub(crate) fn key(resource: &Value) -> Option<String> {
    let object = resource.as_object()?;
    let kind = kind_of(object)?;
    match object.get("id") {
        None | Some(Value::Null) => {
            Some(format!("{kind}/~{}", &hex_digest(json::write(resource).as_bytes())[..32]))
        }
        Some(id) => text(id).filter(|id| is_id(id)).map(|id| format!("{kind}/{id}")),
    }
}

/// Returns the rows of a resource; nothing if it has a defect.
pub(crate) fn rows(model: &Model, resource: &Value) -> Option<ByKey> {
    let root = resource.as_object()?;
    let (kind, key) = (kind_of(root)?, key(resource)?);
    let mut inner = Vec::new();
    collect(vec![(root, String::new())], &mut inner)?;
    let mut contained: Vec<(String, String, String)> = Vec::new();
    for one in &inner {
        let id = text_of(one.object, "id").unwrap_or_default();
        let bare = id.strip_prefix('#').unwrap_or(id);
        let is_new = contained.iter().all(|(known, ..)| known.strip_prefix('#').unwrap_or(known) != bare);
        let end = if is_id(bare) && is_new { bare } else { &one.address };
        contained.push((id.to_owned(), format!("{key}#{end}"), kind_of(one.object)?.to_owned()));
    }
    let mut rows = ByKey::new();
    let whole = Whole { model, container: &key, contained: &contained };
    rows.insert((table_of(model, kind).to_owned(), key.clone()), whole.row(root, &key, "")?);
    for (one, (_, inner_key, kind)) in inner.iter().zip(&contained) {
        let mut row = whole.row(one.object, inner_key, &one.address)?;
        row.insert("_container".to_owned(), key.clone().into());
        rows.insert((format!("{}_contained", table_of(model, kind)), inner_key.clone()), row);
    }
    Some(rows)
}

fn kind_of(object: &Object) -> Option<&str> {
    let is_name = |name: &&str| {
        name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.len() <= 64
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    text_of(object, "resourceType").filter(is_name)
}

fn table_of<'k>(model: &Model, kind: &'k str) -> &'k str {
    if model.is_resource(kind) { kind } else { "Unknown" }
}

/// Collects contained resources: first those of this level, then those inside them.
fn collect<'v>(level: Vec<(&'v Object, String)>, found: &mut Vec<Inner<'v>>) -> Option<()> {
    let mut next = Vec::new();
    for (object, address) in level {
        let Some(value) = object.get("contained") else { continue };
        for (n, item) in many(value).iter().enumerate().filter(|(_, item)| !item.is_null()) {
            let place = if value.is_array() { format!("/{n}") } else { String::new() };
            let address = format!("{address}/contained{place}");
            next.push((item.as_object()?, address.clone()));
            found.push(Inner { object: item.as_object()?, address });
        }
    }
    if next.is_empty() { Some(()) } else { collect(next, found) }
}

struct Whole<'m> {
    model: &'m Model,
    container: &'m str,
    contained: &'m [(String, String, String)],
}

impl<'m> Whole<'m> {
    /// Returns the row, by stricter rules while it has a column twice.
    fn row(&self, object: &Object, key: &'m str, address: &str) -> Option<Object> {
        let kind = kind_of(object)?;
        let at = At {
            kind: self.model.types.get(kind).filter(|_| self.model.is_resource(kind)),
            address: address.to_owned(),
            role: Role::Root,
            ..At::default()
        };
        for strictness in 0..3 {
            let mut walk = Walk {
                model: self.model,
                key,
                container: self.container,
                contained: self.contained,
                strictness,
                unknown: Object::new(),
                has_column_twice: false,
                is_defect: false,
            };
            let mut row = Object::new();
            walk.object(&at, object, &mut row);
            if walk.is_defect {
                return None;
            }
            if walk.has_column_twice && strictness < 2 {
                continue;
            }
            if at.kind.is_none() {
                row.insert("resourceType".to_owned(), kind.into());
            }
            if !walk.unknown.is_empty() {
                row.insert("_unknown".to_owned(), walk.unknown.into());
            }
            return Some(row);
        }
        None
    }
}
