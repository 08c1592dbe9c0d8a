//! FHIR resources to rows: pure, no I/O, no async, no clock, no environment, no database.
//!
//! ```text
//! bytes → Document → Resource → Rows
//!                       └─ Defect
//! ```
//!
//! The modules stand in the order of that line.

pub mod defect;
pub mod json;
pub mod reference;
pub mod row;
