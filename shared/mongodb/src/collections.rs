//! The collections beside the tables.

pub(crate) const COLUMNS: &str = "_columns";
pub(crate) const EXPORTS: &str = "_exports";
pub(crate) const LOADS: &str = "_loads";
pub(crate) const REJECTS: &str = "_rejects";
pub(crate) const SQL_SCHEMAS: &str = "__sql_schemas";
pub(crate) const TOMBSTONES: &str = "_tombstones";
/// `{_id: "Patient/patient", type, table}`, and `true` for each [kind](crate::RowKind::field) of rows.
pub(crate) const TABLES: &str = "_tables";
/// What earlier versions of this program kept instead of [`TABLES`]: tables of rows whose `_id` has a suffix alone.
pub(crate) const SIDE_TABLES: &str = "_side_tables";
