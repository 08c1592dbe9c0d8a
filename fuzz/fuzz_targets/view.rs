//! Any JSON as a view, a NUL, and any JSON as a resource: neither compiling nor running panics, and the rows follow
//! from the two alone.
#![no_main]

use flatten::fhirpath::Context;
use flatten::json::{Limits, Tape};
use flatten::row::{Names, Rows};
use flatten::view::{Evaluator, Plan, NamedPlan};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let mut parts = input.splitn(2, |byte| *byte == 0);
    let (Some(view), Some(resource)) = (parts.next(), parts.next()) else { return };
    let Ok(view) = serde_json::from_slice(view) else { return };
    let Ok(plan) = Plan::compile(&view) else { return };
    let mut tape = Tape::default();
    let Ok(document) = tape.parse(resource, Limits::default()) else { return };
    let mut names = Names::default();
    let view = NamedPlan::new(plan.into(), &mut names);
    let mut evaluator = Evaluator::default();
    let mut rows = Rows::default();
    let context = Context::of("Patient/p");
    let once = evaluator.run(&view, document.root(), &context, &mut rows);
    let count = rows.len();
    assert_eq!(once.as_ref().map_or(0, |count| *count), count);
    assert!(!view.plan().at_most_one_row() || count < 2);
    rows.clear();
    assert_eq!(evaluator.run(&view, document.root(), &context, &mut rows), once);
});
