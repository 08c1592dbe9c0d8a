//! Which tables have ever held rows of a resource type, whichever program has filled them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use strum::VariantArray;

/// What kind of rows a table holds for a resource type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, VariantArray)]
pub enum RowKind {
    /// Rows that decide which version of a resource stands: the table is the first one of a catalog.
    Anchor,
    /// Rows whose `_id` is the key of their resource.
    Key,
    /// Rows whose `_id` is the key and a suffix: `key#…`.
    Suffixed,
    /// Archived resources beside their tombstones. The name of the table is empty.
    Archived,
    /// Archived resources that decide which version stands, because a catalog has no table for the type. The name of
    /// the table is empty.
    ArchiveAnchor,
}

/// A note that a table holds rows of a resource type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Note<'a> {
    /// The resource type.
    pub(crate) resource_type: &'a str,
    /// The table.
    pub(crate) table: &'a str,
    /// What kind of rows.
    pub(crate) kind: RowKind,
}

/// What has been noted, by resource type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct KnownTables(BTreeMap<String, TablesOfType>);

/// The tables that have ever held rows of one resource type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TablesOfType {
    /// The first table of each catalog.
    pub(crate) anchors: BTreeSet<Arc<str>>,
    /// Tables of rows whose `_id` is the key, anchors among them.
    pub(crate) keyed: BTreeSet<Arc<str>>,
    /// Tables of rows whose `_id` has a suffix.
    pub(crate) suffixed: BTreeSet<Arc<str>>,
    /// Whether archived resources are anchors of a catalog.
    pub(crate) has_archive_anchors: bool,
}

impl RowKind {
    /// All of them.
    pub(crate) const ALL: &'static [Self] = Self::VARIANTS;

    /// Returns the field of a note that is `true` for this kind.
    pub(crate) const fn field(self) -> &'static str {
        match self {
            Self::Anchor => "anchors",
            Self::Key => "keys",
            Self::Suffixed => "parts",
            Self::Archived => "archived",
            Self::ArchiveAnchor => "archiveAnchors",
        }
    }
}

impl KnownTables {
    /// Enters a note.
    pub(crate) fn add(&mut self, note: Note<'_>) {
        let of_type = self.0.entry(note.resource_type.to_owned()).or_default();
        match note.kind {
            RowKind::Anchor => {
                of_type.anchors.insert(note.table.into());
                of_type.keyed.insert(note.table.into());
            }
            RowKind::Key => {
                of_type.keyed.insert(note.table.into());
            }
            RowKind::Suffixed => {
                of_type.suffixed.insert(note.table.into());
            }
            // That something is known of the type is what counts.
            RowKind::Archived => {}
            RowKind::ArchiveAnchor => of_type.has_archive_anchors = true,
        }
    }

    /// Returns the tables of a resource type; `None`: nothing was noted.
    pub(crate) fn of_type(&self, resource_type: &str) -> Option<&TablesOfType> {
        self.0.get(resource_type)
    }

    /// Takes over what is known of the types of another, and says whether a type has anchors that were not known.
    pub(crate) fn update(&mut self, other: Self) -> bool {
        let mut has_new_anchors = false;
        for (resource_type, tables) in other.0 {
            let known = self.0.entry(resource_type).or_default();
            has_new_anchors |= !tables.anchors.is_subset(&known.anchors)
                || tables.has_archive_anchors && !known.has_archive_anchors;
            *known = tables;
        }
        has_new_anchors
    }

    /// Returns only what is known of some types.
    pub(crate) fn only(&self, types: &[&str]) -> Self {
        let of_types = types.iter().filter_map(|&resource_type| self.0.get_key_value(resource_type));
        Self(of_types.map(|(name, tables)| (name.clone(), tables.clone())).collect())
    }
}
