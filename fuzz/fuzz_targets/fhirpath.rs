//! Any text as a path: compiling it never panics, and what compiles runs over a resource without panicking.
#![no_main]

use flatten::fhirpath::{Context, Predicate, Scratch};
use flatten::json::{Limits, Tape};
use libfuzzer_sys::fuzz_target;

const RESOURCE: &[u8] = br#"{"resourceType":"Observation","id":"o","status":"final","code":{"coding":[{"code":"a"},{"code":"b"}]},
"effectiveDateTime":"2024-02","_effectiveDateTime":{"extension":[{"url":"urn:x","valueString":"e"}]},
"valueQuantity":{"value":1.50,"unit":"mg"},"subject":{"reference":"Patient/p"},"component":[{"valueString":"s"},null]}"#;

fuzz_target!(|path: &str| {
    let Ok(predicate) = Predicate::compile("Observation", path) else { return };
    let mut tape = Tape::default();
    let document = tape.parse(RESOURCE, Limits::default()).expect("the resource is JSON");
    let mut scratch = Scratch::default();
    let once = predicate.holds(document.root(), &Context::of("Observation/o"), &mut scratch);
    let again = predicate.holds(document.root(), &Context::of("Observation/o"), &mut scratch);
    assert_eq!(once, again);
});
