//! Asks a question to a resource: a FHIRPath expression that is true or false.
//!
//! ```text
//! cargo run -p flatfire-flatten --example fhirpath
//! ```

use std::io::{Write as _, stdout};

use flatten::fhirpath::{Context, Predicate, Scratch};
use flatten::json::{Limits, Tape};

const PATIENTS: [&[u8]; 3] = [
    br#"{"resourceType": "Patient", "id": "1", "deceasedBoolean": true}"#,
    br#"{"resourceType": "Patient", "id": "2", "active": true}"#,
    br#"{"resourceType": "Patient", "id": "3"}"#,
];

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let predicate = Predicate::compile("Patient", "active = true or deceased.ofType(boolean)")?;
    let (mut tape, mut scratch, mut answers) = (Tape::default(), Scratch::default(), Vec::new());
    let mut out = stdout().lock();
    for patient in PATIENTS {
        let document = tape.parse(patient, Limits::default())?;
        let answer = predicate.holds(document.root(), &Context::of("Patient/?"), &mut scratch)?;
        writeln!(out, "{answer:?}")?;
        answers.push(answer);
    }
    // Where neither element is there, FHIRPath has no answer.
    assert_eq!(answers, [Some(true), Some(true), None]);
    Ok(())
}
