//! The examples run, and so does the code in the README.

#![allow(missing_docs, reason = "the modules are examples with their own documentation")]

#[path = "../examples/automatic_rows.rs"]
mod automatic_rows;
#[path = "../examples/fhirpath.rs"]
mod fhirpath;
#[path = "../examples/view.rs"]
mod view;

#[test]
fn examples_run() {
    automatic_rows::main().unwrap();
    view::main().unwrap();
    fhirpath::main().unwrap();
}
