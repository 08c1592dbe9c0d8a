//! Any bytes as an object: decoded, assembled into batches, written to a store in memory, with the ledger.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../src/assembly.rs"]
mod assembly;

fuzz_target!(|input: &[u8]| assembly::check(input));
