//! The store in MongoDB: tables in one database, archived resources in another, ledger and dictionary beside the tables.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use mongodb_store::{MongoStore, connect};
//! use pipeline::ledger::Ledger;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let connection = connect("mongodb://127.0.0.1:27017/fhir", None).await?;
//! let store = Arc::new(MongoStore::new(connection, "fhir_archive"));
//! let ledger = Ledger::new(store.clone());
//! # Ok(())
//! # }
//! ```
//!
//! No other crate of the workspace names the driver or BSON. The modules stand in the order in which a batch passes
//! them.

pub mod connection;
mod group_commit;
mod codes;
mod collections;
mod refusal;
mod trouble;
mod answers;
mod store;
mod replacement;
pub mod encode;
mod decimal;
mod records;
pub mod sql_schema;
mod loads;
mod columns;
mod exports;
mod admin;
#[cfg(any(test, feature = "simulation"))]
pub mod simulation;

pub(crate) use trouble::Trouble;

pub use codes::failure_codes;
pub use connection::{ConnectError, Connection, connect};
pub use replacement::RowKind;
pub use store::{MAX_DOCUMENTS_TO_INDEX, MongoStore, Retention, Validation};

use std::ops::Range;

/// Returns the range of the `_id`s that begin with a key and `#`: the rows of its contained resources and child tables, or
/// the rejects of a load. `$` follows `#`.
fn ids_with_suffix(key: &str) -> Range<String> {
    format!("{key}#")..format!("{key}$")
}
