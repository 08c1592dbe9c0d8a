//! Any bytes as a resource: its automatic rows.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../src/automatic.rs"]
mod automatic;

fuzz_target!(|input: &[u8]| automatic::check(input));
