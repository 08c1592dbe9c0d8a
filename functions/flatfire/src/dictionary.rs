//! The dictionary of columns, for what is written resource by resource.

use flatten::dictionary::Dictionary;
use pipeline::ledger::{FilledColumns, Ledger};

use crate::console;

/// A resource that is written without the rest of its load, by where it stands in the object. Each counts by itself.
#[derive(Debug, Clone, Copy)]
pub(crate) enum SingleResource {
    /// It comes out of the archive.
    Restored { offset: u64 },
    /// It was a reject.
    Replayed { offset: u64 },
}

impl SingleResource {
    /// Returns an ordinal that stands for the resource: behind every record that an object can have.
    const fn first_ordinal(self) -> u64 {
        match self {
            Self::Restored { offset } => (1 << 61) + offset,
            Self::Replayed { offset } => (1 << 62) + offset,
        }
    }
}

/// Enters the columns that a resource of a load fills.
pub(crate) async fn fill(
    ledger: &Ledger,
    load: &str,
    resource: SingleResource,
    columns: &Dictionary,
) -> anyhow::Result<()> {
    let (first_ordinal, now) = (resource.first_ordinal(), process::milliseconds_now());
    // A first attempt: its rows were not counted with those of the load.
    let filled = FilledColumns { load, attempt: 1, first_ordinal, columns, now };
    let drift = ledger.fill(&filled).await;
    drift.map(drop).map_err(|error| anyhow::Error::msg(console::explained(&error)))
}
