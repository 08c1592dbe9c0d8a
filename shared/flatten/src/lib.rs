//! FHIR resources to rows: tables that SQL databases, data frames and document stores can read, from resources of any
//! release of FHIR, with no configuration.
//!
//! ```
//! use flatten::automatic::Settings;
//! use flatten::{CellValue, Flattener};
//!
//! let mut flattener = Flattener::new(Settings::default());
//! let rows = flattener.flatten_json(br#"{
//!     "resourceType": "Observation",
//!     "id": "o1",
//!     "status": "final",
//!     "code": {"coding": [{"system": "http://loinc.org", "code": "8302-2"}]},
//!     "subject": {"reference": "Patient/p1"},
//!     "valueQuantity": {"value": 177.50, "unit": "cm"}
//! }"#)?;
//!
//! let row = &rows[0];
//! assert_eq!(row.table, "Observation");
//! assert_eq!(row.key, "Observation/o1");
//! // A concept gives its primary coding's columns; a reference gives a key to join by.
//! assert_eq!(row.get("code_code"), Some(&CellValue::Text("8302-2".to_owned())));
//! assert_eq!(row.get("subject_key"), Some(&CellValue::Text("Patient/p1".to_owned())));
//! // A decimal keeps the digits that were written.
//! assert_eq!(row.get("valueQuantity_value"), Some(&CellValue::Decimal("177.50".to_owned())));
//! # Ok::<(), flatten::defect::Defect>(())
//! ```
//!
//! The crate is pure: it has no I/O, no async, no clock and no environment, and depends on no database.
//!
//! # The way of a resource
//!
//! ```text
//! bytes → Document → Resource → Rows
//!                       └─ Defect
//! ```
//!
//! [`Flattener`] goes all of it in one call. Its parts can be used alone, as `flatfire-pipeline` does with
//! [`catalog::CatalogFlattener`]:
//!
//! - [`json`] parses bytes into a tape of spans; [`resource`] proves that it is a resource; [`defect`] says what is
//!   wrong with it;
//! - [`mod@reference`], [`links`] and [`time`] read references, the entries of Bundles, dates;
//! - [`model`] has the elements of all releases of FHIR; [`indexes`] and [`decimals`] follow from it;
//! - [`row`] is the arena that rows are written to; [`column_type`] and [`dictionary`] say what its columns hold and mean;
//! - [`automatic`] makes rows of any resource, [`view`] makes those of a `ViewDefinition`, [`fhirpath`] runs paths;
//! - [`check`] and [`catalog`] put them together for a deployment.

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
pub mod column_type;
pub mod dictionary;
pub mod automatic;
pub mod fhirpath;
pub mod view;
pub mod check;
pub mod catalog;
mod flattener;

pub use flattener::{CellValue, Flattener, TableRow};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
