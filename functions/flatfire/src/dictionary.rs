//! The dictionary of columns, for what is written resource by resource.

use flatten::dictionary::Dictionary;
use pipeline::ledger::{FilledColumns, Ledger};

use crate::console;

/// Why a resource is written apart from its load. Each counts by itself.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Apart {
    /// It comes out of the archive.
    Restored,
    /// It was a reject.
    Replayed,
}

impl Apart {
    /// Where the part of the load begins that the resource is: behind every record that an object can have.
    const fn part(self, offset: u64) -> u64 {
        match self {
            Self::Restored => (1 << 61) + offset,
            Self::Replayed => (1 << 62) + offset,
        }
    }
}

/// Enters the columns that a resource of a load fills, by where it stands in the object.
pub(crate) async fn fill(
    ledger: &Ledger,
    load: &str,
    apart: Apart,
    offset: u64,
    columns: &Dictionary,
) -> anyhow::Result<()> {
    let (part, now) = (apart.part(offset), process::milliseconds_now());
    // A first attempt: its rows were not counted with those of the load.
    let filled = FilledColumns { load, attempt: 1, part, columns, now };
    let drift = ledger.fill(&filled).await;
    drift.map(drop).map_err(|error| anyhow::Error::msg(console::explained(&error)))
}
