//! The fuzz target for automatic rows, on its corpus and on what a simple mutation makes of it.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test stops where something is wrong")]

use std::path::Path;
use std::time::Duration;

#[path = "../../../fuzz/src/automatic.rs"]
mod automatic;
#[path = "../../../fuzz/src/mutate.rs"]
mod mutate;

/// `FLATFIRE_FUZZ_SECONDS` and `FLATFIRE_SEED`: how long, and which inputs.
#[test]
fn no_resource_breaks_the_rules_of_automatic_rows() {
    #[allow(clippy::disallowed_methods, reason = "a test's settings are its environment")]
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/automatic");
    let mutator = mutate::Mutator::new(&folder, number("FLATFIRE_SEED").unwrap_or(1));
    let time = Duration::from_secs(number("FLATFIRE_FUZZ_SECONDS").unwrap_or(0));
    println!("{} inputs", mutator.run(1_000, time, automatic::check));
}
