//! Parses each line of an NDJSON file into a `serde_json::Value`, so many times: what `cargo xtask bench rows` measures
//! beside `flatfire rows`.
//!
//! ```text
//! cargo run --release -p flatfire-flatten --example parse_values -- FILE REPETITIONS
//! ```

use std::hint::black_box;
use std::io::{Error, ErrorKind};

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let (file, repetitions) =
        (arguments.next(), arguments.next().and_then(|count| count.parse::<u32>().ok()));
    let (Some(file), Some(repetitions)) = (file, repetitions) else {
        return Err(Error::new(ErrorKind::InvalidInput, "usage: parse_values FILE REPETITIONS"));
    };
    let bytes = std::fs::read(file)?;
    for _ in 0..repetitions {
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            black_box(serde_json::from_slice::<serde_json::Value>(line)?);
        }
    }
    Ok(())
}
