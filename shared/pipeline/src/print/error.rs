//! Why a run could not be printed.

use std::collections::BTreeMap;
use std::io;

use thiserror::Error;

/// Why a run could not be printed.
#[derive(Debug, Error)]
pub enum PrintError {
    /// Each table has columns of its own.
    #[error("CSV holds one table, and the input yields several; choose one with --table:{}", listed(.0))]
    SeveralTables(BTreeMap<String, u64>),
    /// Nothing to print, and no columns to print it under.
    #[error("the input yields no row of the table {table}; it yields:{}", listed(.tables))]
    NoSuchTable {
        /// The table that was asked for.
        table: String,
        /// Those that there are, and how many rows they have.
        tables: BTreeMap<String, u64>,
    },
    /// The rows could not be written, or those that waited not be read.
    #[error("the rows cannot be written")]
    Write(#[from] io::Error),
}

fn listed(tables: &BTreeMap<String, u64>) -> String {
    let line = |(name, rows): (&String, &u64)| format!("\n  {name} ({rows} rows)");
    if tables.is_empty() { "\n  nothing".to_owned() } else { tables.iter().map(line).collect() }
}
