//! A cell that waits for a key, as bytes: some tens of them, because a Bundle may have millions.

use crate::batch::Completion;
use crate::version::{ObjectOrder, PackedVersion};

/// A cell of a row that was handed on without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cell<'a> {
    pub(super) table: &'a str,
    pub(super) row: &'a str,
    pub(super) version: PackedVersion,
    /// The cell, as a path through records and list items.
    pub(super) path: &'a str,
    /// Whether it waits for the target's type instead of its key.
    pub(super) wants_type: bool,
    /// The only resource type that answers it; empty for any.
    pub(super) of_type: &'a str,
}

/// What became of a cell that waited.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ResolvedCell {
    /// The key that it waited for.
    Key(Completion),
    /// No entry has that URN, or one of another type than the cell is for.
    Nothing,
}

impl<'a> Cell<'a> {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let texts = [self.table, self.row, self.path, self.of_type];
        let length: usize = texts.iter().map(|text| 4 + text.len()).sum();
        let mut bytes = Vec::with_capacity(1 + self.version.len() + length);
        bytes.push(u8::from(self.wants_type));
        bytes.extend_from_slice(&self.version);
        for text in texts {
            bytes.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (&wants_type, rest) = bytes.split_first()?;
        let (&version, mut rest) = rest.split_first_chunk()?;
        let mut text = || {
            let (length, behind) = rest.split_first_chunk()?;
            let (text, behind) = behind.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            rest = behind;
            std::str::from_utf8(text).ok()
        };
        let (table, row, path, of_type) = (text()?, text()?, text()?, text()?);
        Some(Self { table, row, version, path, wants_type: wants_type == 1, of_type })
    }

    /// Answers the cell with the key of its target, if there is one.
    pub(super) fn answer(self, key: Option<&str>, order: &ObjectOrder, edition: u32) -> ResolvedCell {
        let resource_type = key.and_then(|key| key.split('/').next()).unwrap_or_default();
        let fits = self.of_type.is_empty() || self.of_type == resource_type;
        match key.filter(|_| fits) {
            Some(key) => ResolvedCell::Key(Completion {
                table: self.table.to_owned(),
                row: self.row.to_owned(),
                version: order.unpacked(&self.version).in_edition(edition),
                path: self.path.to_owned(),
                key: if self.wants_type { resource_type } else { key }.to_owned(),
            }),
            None => ResolvedCell::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Cell;

    #[test]
    fn a_cell_is_read_back() {
        for wants_type in [false, true] {
            let (table, row, path) = ("Observation", "Observation/ü#1", "component.3.valueReference_key");
            let version = [7; 22];
            let cell = Cell { table, row, version, path, wants_type, of_type: "Patient" };
            assert_eq!(Cell::read(&cell.to_bytes()), Some(cell));
        }
        assert_eq!(Cell::read(b"\x00 short"), None);
    }
}
