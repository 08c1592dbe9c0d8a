//! The tables of a database: from `__sql_schemas` where a table stands there, else from `_columns`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use pipeline::store::schema::{FieldSchema, FieldType};
use pipeline::store::{ColumnEntry, Store, StoreError};

use super::types::{add_type, sql_type, words};

/// A table of a database.
#[derive(Debug, Default)]
pub(super) struct StandingTable {
    pub(super) name: String,
    /// What its documents hold.
    pub(super) schema: FieldSchema,
    /// Whether the types are those of the cells and not those that `_columns` expects.
    pub(super) is_exact: bool,
    /// FHIR datatype and path by column, as in `_columns`.
    meanings: BTreeMap<String, (String, String)>,
}

/// Reads all tables of a database, in the order of their names.
pub(super) async fn tables(store: &dyn Store) -> Result<Vec<StandingTable>, StoreError> {
    let mut tables: BTreeMap<String, StandingTable> = BTreeMap::new();
    for (name, schema) in store.table_schemas().await? {
        let table = table_of(&mut tables, &name);
        (table.schema, table.is_exact) = (schema, true);
    }
    // A list comes before what is inside its items: `.` comes before every letter.
    for entry in store.columns().await? {
        table_of(&mut tables, &entry.table).add_column(&entry);
    }
    Ok(tables.into_values().collect())
}

fn table_of<'t>(tables: &'t mut BTreeMap<String, StandingTable>, name: &str) -> &'t mut StandingTable {
    tables
        .entry(name.to_owned())
        .or_insert_with(|| StandingTable { name: name.to_owned(), ..StandingTable::default() })
}

impl StandingTable {
    fn add_column(&mut self, entry: &ColumnEntry) {
        let text =
            |text: &Option<String>| text.as_deref().unwrap_or_default().replace(['\n', '\r', '\t'], " ");
        self.meanings.insert(entry.column.clone(), (text(&entry.datatype), text(&entry.path)));
        if self.is_exact {
            return;
        }
        for name in ["_id", "_version", "_load"] {
            *self.schema.property_mut(name) = FieldSchema::of(FieldType::Text);
        }
        *self.schema.property_mut("_received") = FieldSchema::of(FieldType::Date);
        *self.schema.property_mut("_source") = FieldSchema::of(FieldType::Object);
        let mut field = &mut self.schema;
        for (depth, step) in entry.column.split('.').enumerate() {
            if depth > 0 {
                field = inside_mut(field);
            }
            field = field.property_mut(step);
        }
        if let Some(column_type) = entry.column_type {
            add_type(field, column_type);
        }
    }

    /// Returns the statement that creates the table.
    pub(super) fn sql(&self) -> String {
        let table = quoted(&self.name);
        let mut statement = format!("CREATE TABLE {table} (\n  \"_id\" text NOT NULL PRIMARY KEY");
        for (name, field) in self.schema.properties.iter().filter(|(name, _)| *name != "_id") {
            let _ = write!(statement, ",\n  {} {}", quoted(name), sql_type(field));
        }
        statement.push_str("\n);\n");
        statement
    }

    /// Returns a line a column.
    pub(super) fn columns(&self) -> String {
        let mut lines = String::new();
        self.add_lines(&self.schema, "", &mut lines);
        lines
    }

    fn add_lines(&self, inside: &FieldSchema, list: &str, lines: &mut String) {
        for (name, field) in &inside.properties {
            let column = format!("{list}{name}");
            let (datatype, path) =
                self.meanings.get(&column).map_or(("", ""), |(datatype, path)| (datatype, path));
            let _ = writeln!(lines, "{}\t{column}\t{}\t{datatype}\t{path}", self.name, words(field));
            let mut inside = field;
            while let Some(items) = &inside.items {
                inside = items;
            }
            let inside = if inside.properties.is_empty() { field } else { inside };
            self.add_lines(inside, &format!("{column}."), lines);
        }
    }
}

/// Returns the field that holds what is inside a list's items, or inside a sub-document.
fn inside_mut(field: &mut FieldSchema) -> &mut FieldSchema {
    if field.types.has(FieldType::Object) {
        return field;
    }
    field.add(FieldType::Array);
    let items = field.items_mut();
    items.add(FieldType::Object);
    items
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
