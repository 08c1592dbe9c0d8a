//! From a file in S3 to rows in MongoDB, through the local cloud with the function that is deployed; and what holds
//! over the whole repository.
//!
//! Modules stand in the order in which a reader would ask: what becomes of good files, of odd names, of other forms,
//! of broken content; what is promised when the world misbehaves; what nobody may learn; how it is run by hand.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod samples;

mod keys;

mod forms;

mod broken;

mod delivery;
mod killed;
mod replay;
mod moving_in;
mod worker;
mod push;
mod upload;
mod operations;

mod leaks;

mod by_hand;

mod tidy;

mod exports;
