//! FHIR resources to rows: pure, no I/O, no async, no clock, no environment, no database.
//!
//! ```text
//! bytes → Document → Resource → Rows
//!                       └─ Defect
//! ```
//!
//! The modules stand in the order of that line.

pub mod json;
pub mod defect;
pub mod resource;
pub mod reference;
pub mod time;
pub mod links;
pub mod model;
pub mod decimals;
pub mod indexes;
pub mod row;
pub mod dictionary;
pub mod automatic;
pub mod fhirpath;
pub mod view;
pub mod check;
pub mod catalog;
