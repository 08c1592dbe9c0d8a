//! Views: each `ViewDefinition` of HL7's SQL on FHIR, is compiled once into a [`Plan`] and run a resource at a time.
//!
//! ```text
//! JSON → definition → Plan ─ run over a resource → rows
//!            └─ InvalidView   └─ Defect
//! ```
//!
//! Everything that can be wrong with a view is found when it is compiled, all of it at once; what remains is the
//! data's. A resource that does not fit one view is a defect for that view alone.
//!
//! ```
//! use flatten::fhirpath::Context;
//! use flatten::json::{Limits, Tape};
//! use flatten::row::{Names, Rows};
//! use flatten::view::{Evaluator, NamedPlan, Plan};
//! let view = serde_json::json!({
//!     "name": "patient_name", "resource": "Patient",
//!     "select": [
//!         {"column": [{"name": "patient_key", "path": "getResourceKey()"}]},
//!         {"forEach": "name", "column": [{"name": "family", "path": "family"}]},
//!     ],
//! });
//! let plan = Plan::compile(&view).unwrap();
//! let (mut names, mut rows, mut tape) = (Names::default(), Rows::default(), Tape::default());
//! let view = NamedPlan::new(plan.into(), &mut names);
//! let patient = tape.parse(br#"{"resourceType":"Patient","id":"p","name":[{"family":"A"},{"family":"B"}]}"#, Limits::default())?;
//! let count = Evaluator::default().run(&view, patient.root(), &Context::of("Patient/p"), &mut rows);
//! assert_eq!(count, Ok(2));
//! # Ok::<(), flatten::json::JsonError>(())
//! ```

mod invalid;
mod definition;
mod constant;
mod column;
mod plan;
mod compile;
mod select;
mod set;
mod slot;
mod run;
mod emit;
mod profile;
pub mod schema;

pub use column::{KeyColumn, Tag, ViewColumn};
pub use invalid::{InvalidView, Mistake};
pub use plan::{NamedPlan, Plan};
pub use profile::Profile;
pub use run::{Evaluated, Evaluator, KeyComesLater};
pub use set::ViewSet;

pub use crate::fhirpath::{Context, Unanswered};
