//! What earlier versions of the program left behind: tables with names that senders made up, and tables without a note.

/// What a store holds that this version of the program would not make.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outdated {
    /// Tables with names that senders made up.
    pub made_up: Vec<MadeUpTable>,
    /// The notes that tables lack.
    pub missing_notes: Vec<MissingNote>,
    /// How many notes stand where an earlier version kept them.
    pub earlier_notes: u64,
}

/// A table with a name that a sender made up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeUpTable {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: MadeUpKind,
    /// How many documents it holds.
    pub documents: u64,
}

/// What a table with a made-up name holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MadeUpKind {
    /// Archived resources.
    Archive,
    /// Contained resources.
    Contained,
    /// Rows of an element.
    Child,
}

/// The note that a table with rows of a type lacks. A newer version or a deletion finds the table by its note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingNote {
    /// The type.
    pub resource_type: String,
    /// The table.
    pub table: String,
    /// Whether its rows decide which version of a resource stands.
    pub anchors: bool,
}

impl Outdated {
    /// Returns whether there is nothing to tidy.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.made_up.is_empty() && self.missing_notes.is_empty() && self.earlier_notes == 0
    }
}
