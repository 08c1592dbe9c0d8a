//! The command line as its users meet it: the program itself, on files, on standard input, into a pipe.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a test stops where something is wrong"
)]

#[path = "../../../../shared/pipeline/tests/common/endpoint.rs"]
mod endpoint;
#[path = "../../../../shared/pipeline/tests/common/objects.rs"]
mod objects;
mod program;
mod profile;
#[path = "../../../../shared/pipeline/tests/common/replica_set.rs"]
mod replica_set;
#[path = "../../../../shared/pipeline/tests/common/secured.rs"]
mod secured;
#[cfg(target_os = "linux")]
mod terminal;
mod database;
mod rows;
mod schema;
mod json;
mod shell;
mod load;
mod views;
mod ledger;
mod exports;
mod find;
mod original;
mod forget;
mod export;
mod show;
mod archive;
mod replay;
mod audit;
mod compliance;
mod quality;
mod index;
mod retention;
mod tidy;
#[path = "../../../ingest/tests/canary/mod.rs"]
#[allow(dead_code, reason = "the search of a database is for the function's tests")]
mod canary;
mod report;
mod rights;
mod analysts;
#[cfg(target_os = "linux")]
mod memory;
#[cfg(target_os = "linux")]
mod limits;
