//! Extensions: their URLs and values, and which of them belong together.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::defect::{Defect, DefectCode};
use crate::json::{JsonKind, Node};
use crate::model::extensions::without_version;
use crate::model::{TypeId, type_named};
use crate::row::ColumnId;

use super::naming::{ExtensionNaming, NamingPolicy};
use super::paths::{FieldId, MAX_UNKNOWN_NAMES, ObjectPathId};
use super::scalar::CellWriter;

/// Finds the fields of the extensions of one object.
pub(super) struct ExtensionFields<'e, 'w, 'a> {
    pub(super) cells: &'e mut CellWriter<'w, 'a>,
    /// Where extensions go that have no columns.
    pub(super) unknown: &'e mut Vec<Node<'a>>,
    pub(super) policy: NamingPolicy,
    pub(super) path: ObjectPathId,
    pub(super) naming: ExtensionNaming,
}

/// Extensions of one URL.
type ByUrl<'a> = (Cow<'a, str>, Vec<Node<'a>>);

impl<'a> ExtensionFields<'_, '_, 'a> {
    /// Returns the URL of an extension that has columns. An extension has none without a URL, where its name would be
    /// too long, or where it has several values in a row that would be ambiguous; it is then kept in `_unknown`.
    pub(super) fn url(&mut self, extension: Node<'a>) -> Result<Option<Cow<'a, str>>, Defect> {
        match extension.kind() {
            JsonKind::Object => {}
            JsonKind::Null => return Ok(None),
            _ => return Err(self.cells.defect(DefectCode::ObjectExpected, extension)),
        }
        let has_column = self.cells.paths.has_extensions(self.path) && is_usable(extension, self.policy);
        let url = url_of(extension).filter(|_| has_column);
        if url.is_none() {
            self.unknown.push(extension);
        }
        Ok(url)
    }

    /// Returns the field of the extensions with a URL. Where another URL has the same column, both get one of their own.
    pub(super) fn field(&mut self, url: &str, others: impl Iterator<Item = Node<'a>>) -> FieldId {
        let (path, paths) = (self.path, &mut self.cells.paths);
        let field = paths.extension(path, url, self.naming);
        let column = paths.column(field);
        for other in others.filter_map(url_of) {
            let other = paths.extension(path, &other, self.naming);
            if paths.column(other) == column {
                return paths.extension(path, url, self.naming.clashing());
            }
        }
        field
    }

    /// Returns extensions by URL, each group with its field. The time is linear; [`field`](Self::field) suits a few.
    pub(super) fn groups(
        &mut self,
        all: impl Iterator<Item = Node<'a>>,
    ) -> Result<Vec<(FieldId, Vec<Node<'a>>)>, Defect> {
        let by_url = self.by_url(all)?;
        let mut sharing: BTreeMap<ColumnId, usize> = BTreeMap::new();
        for (url, group) in &by_url {
            let field = self.cells.paths.extension(self.path, url, self.naming);
            group.first().map_or(Ok(()), |first| self.cells.check_names(*first))?;
            *sharing.entry(self.cells.paths.column(field)).or_default() += 1;
        }
        let (path, paths) = (self.path, &mut self.cells.paths);
        let groups = by_url.into_iter().map(|(url, group)| {
            let field = paths.extension(path, &url, self.naming);
            let is_clash = sharing.get(&paths.column(field)).is_some_and(|count| *count > 1);
            let naming = if is_clash { self.naming.clashing() } else { self.naming };
            (paths.extension(path, &url, naming), group)
        });
        Ok(groups.collect())
    }

    fn by_url(&mut self, all: impl Iterator<Item = Node<'a>>) -> Result<Vec<ByUrl<'a>>, Defect> {
        let mut index: BTreeMap<String, usize> = BTreeMap::new();
        let mut by_url: Vec<ByUrl<'a>> = Vec::new();
        for extension in all {
            let Some(url) = self.url(extension)? else { continue };
            let at = *index.entry(without_version(&url).to_owned()).or_insert(by_url.len());
            if let Some((_, group)) = by_url.get_mut(at) {
                group.push(extension);
            } else if by_url.len() >= MAX_UNKNOWN_NAMES {
                return Err(self.cells.defect(DefectCode::TooManyNames, extension));
            } else {
                by_url.push((url, vec![extension]));
            }
        }
        Ok(by_url)
    }
}

/// Returns whether the policy lets an extension have columns.
pub(super) fn is_usable(extension: Node<'_>, policy: NamingPolicy) -> bool {
    policy == NamingPolicy::Full || !has_several_values(extension)
}

/// Returns the URL of an extension; `None` for one that is empty without its version.
fn url_of(extension: Node<'_>) -> Option<Cow<'_, str>> {
    extension.get_text("url").filter(|url| !without_version(url).is_empty())
}

/// Returns whether two extensions have one URL, whatever its version and trailing slash.
pub(super) fn same_url(a: Node<'_>, b: Node<'_>) -> bool {
    let (Some(a), Some(b)) = (a.get_text("url"), b.get_text("url")) else { return false };
    a == b || without_version(&a) == without_version(&b)
}

/// Returns the type of extensions.
pub(super) fn extension_type() -> Option<TypeId> {
    type_named("Extension")
}

/// Returns whether an extension has columns of its own in the row, beside the list of all that have its URL.
pub(super) fn has_columns(extension: Node<'_>) -> bool {
    extension.members().any(|(key, value)| match value.kind() {
        JsonKind::Object => is_value(key) || key.is("extension"),
        JsonKind::Array => key.is("extension"),
        _ => false,
    }) && !extension.members().any(|(key, value)| is_value(key) && value.kind() != JsonKind::Object)
}

/// Returns whether an extension has several values, or a value and extensions, which the constraint ext-1 rules out.
fn has_several_values(extension: Node<'_>) -> bool {
    let has_value = |key: Node<'_>| key.is("extension") || is_value(key);
    extension.members().filter(|(key, value)| !value.is_null() && has_value(*key)).nth(1).is_some()
}

/// Returns the name and the value of an extension that has nothing but a URL and a scalar.
pub(super) fn scalar_value(extension: Node<'_>) -> Option<(Node<'_>, Node<'_>)> {
    let mut others = extension.members().filter(|(key, _)| !key.is("url"));
    let (key, value) = others.next()?;
    let is_scalar = !matches!(value.kind(), JsonKind::Object | JsonKind::Array | JsonKind::Null);
    (others.next().is_none() && is_scalar && is_value(key)).then_some((key, value))
}

/// Returns the value of an extension that has nothing but a URL and a date or time.
pub(super) fn moment_value(extension: Node<'_>) -> Option<Node<'_>> {
    let is_moment =
        |key: Node<'_>| ["valueDate", "valueDateTime", "valueInstant"].iter().any(|name| key.is(name));
    scalar_value(extension).filter(|(key, _)| is_moment(*key)).map(|(_, value)| value)
}

fn is_value(key: Node<'_>) -> bool {
    key.text().is_some_and(|name| name.starts_with("value"))
}
