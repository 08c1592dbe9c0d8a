//! The state of the row that is being written.

use crate::json::Node;
use crate::row::ColumnId;

/// What has been written of the current row, and what its end still has to write.
#[derive(Debug, Default)]
pub(super) struct RowState<'a> {
    /// Whether a modifier extension stands in the row or item.
    pub(super) has_modifier: bool,
    /// Whether something stands in the row that the model does not have: an extension, an unknown element.
    pub(super) needs_duplicate_check: bool,
    /// Whether the row is a contained resource's.
    pub(super) is_contained: bool,
    /// How many lists of the row are open around the object.
    pub(super) list_depth: u32,
    /// The bits of the mandatory elements that have a value.
    pub(super) mandatory_seen: u8,
    /// The object whose members are being written.
    pub(super) object: Option<Node<'a>>,
    /// The columns of choices that the object and those around it have filled.
    pub(super) filled_choices: Vec<ColumnId>,
    /// The values that `_unknown` will have.
    pub(super) unknown: Vec<Node<'a>>,
    /// The bytes of all rows before this one.
    pub(super) start: usize,
}

impl RowState<'_> {
    /// Begins a row behind so many bytes of other rows.
    pub(super) fn begin(&mut self, start: usize) {
        self.start = start;
        (self.has_modifier, self.needs_duplicate_check) = (false, false);
        self.filled_choices.clear();
    }

    /// Notes that a choice fills a column. Returns `false` if a member of the same choice has filled it already.
    pub(super) fn fill_choice(&mut self, column: ColumnId) -> bool {
        let is_first = !self.filled_choices.contains(&column);
        if is_first {
            self.filled_choices.push(column);
        }
        is_first
    }
}
