//! One object from bytes to database.
//!
//! ```text
//! notification → ObjectRef → bytes → Resource → Rows → WriteBatch → store
//!                               └─ Defect → Reject ─┘   (same batch, same store, nothing lost)
//! ```
//!
//! The first modules are in the order of that line; then come stores, checks of data and reports, and the driver,
//! `load`.

pub mod notification;
pub mod object;
pub mod requester;
pub mod source;
pub mod decode;
pub mod assemble;
pub mod version;
pub mod batch;
pub mod content;
pub mod erasure;
pub mod retention;
pub mod store;
pub mod quality;
pub mod print;
pub mod manifest;
pub mod exports;
pub mod report;
mod writes;
mod spool;
pub mod load;
pub mod ledger;
#[cfg(feature = "s3")]
pub mod listing;
#[cfg(feature = "s3")]
pub mod audit;
pub mod summary;
pub mod interrupted;
