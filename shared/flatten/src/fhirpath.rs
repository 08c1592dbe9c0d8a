//! FHIRPath (HL7, 2.0 with the 3.0 boundaries): paths are parsed and compiled once, then run over borrowed JSON.
//!
//! ```text
//! text → tokens → syntax tree → program → items
//! ```
//!
//! The modules are in the order of that line. **To add a function, add a row to the table in
//! `functions.rs`.** Whatever a path needs is resolved when it is compiled: names, types, constants
//! and regular expressions. Running it interprets no text and allocates only for the text that functions make.
//!
//! What a path sees: a primitive without a value (`null`, or an extension alone) is not an item; only `extension` and
//! `id` right behind the element see it.
//!
//! ```
//! use flatten::fhirpath::{Context, Predicate, Scratch};
//! use flatten::json::{Limits, Tape};
//! let retired = Predicate::compile("Patient", "active = false or deceased.ofType(boolean)").unwrap();
//! let mut tape = Tape::default();
//! let patient = tape.parse(br#"{"resourceType":"Patient","active":false}"#, Limits::default())?;
//! let answer = retired.holds(patient.root(), &Context::of("Patient/1"), &mut Scratch::default());
//! assert_eq!(answer, Ok(Some(true)));
//! # Ok::<(), flatten::json::JsonError>(())
//! ```

mod lexer;
mod syntax;
mod parser;
mod decimal;
mod temporal;
mod calendar;
mod quantity;
mod types;
mod program;
mod literal;
mod compile;
mod chains;
mod arguments;
mod navigate;
mod trie;
mod item;
mod machine;
mod element;
mod operators;
mod comparison;
mod functions;
mod predicate;

use thiserror::Error;

pub use item::Unanswered;
pub use machine::{Context, Scratch};
pub use predicate::Predicate;

pub(crate) use compile::{CompiledPath, Compiler};
pub(crate) use decimal::Decimal;
pub(crate) use functions::plain_reference;
pub(crate) use item::{ElementRef, Item, ItemValue, NO_NODE, PathError, PathMatch};
pub(crate) use literal::{Literal, constant};
pub(crate) use machine::Machine;
pub(crate) use predicate::can_be_boolean;
pub(crate) use program::{Op, Pool, Shortcut};
pub(crate) use trie::{PathTrie, TrieScratch};
pub(crate) use types::{SetId, StaticType, TypeSet};

/// What is wrong with a path, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("character {}: expected {expected}", .at + 1)]
pub struct InvalidPath {
    /// The character at which it went wrong, counted from 0.
    pub at: usize,
    /// What should have stood there.
    pub expected: String,
}

impl InvalidPath {
    pub(crate) fn new(at: usize, expected: impl Into<String>) -> Self {
        Self { at, expected: expected.into() }
    }
}
