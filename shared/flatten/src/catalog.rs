//! The catalog: which tables a resource becomes. It is compiled once at start from the choices of a deployment:
//! automatic rows, views, archive rules, checks.

mod choices;
mod fingerprint;
mod pool;
mod compiled;
mod flattener;

pub use choices::{Choices, Tables, inactive_rules};
pub use compiled::{Catalog, InvalidCatalog};
pub use flattener::{CatalogFlattener, Flattened};
