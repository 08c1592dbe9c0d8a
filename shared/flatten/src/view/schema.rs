//! Schemas of compiled views, all from the same columns: for MongoDB, for SQL, for people.

use std::fmt::Write as _;

use serde_json::{Map, Value as Json, json};

use crate::column_type::CellType;

use super::column::ViewColumn;
use super::plan::Plan;

/// Returns the `$jsonSchema` that a MongoDB validator takes. A key that is still to be resolved leaves its cell out, so
/// only `_id` is required; technical columns (`_…`) are not restricted.
#[must_use]
pub fn json_schema(plan: &Plan) -> Json {
    let mut properties = Map::new();
    properties.insert("_id".to_owned(), json!({"bsonType": "string"}));
    for column in plan.columns() {
        let mut property = if column.collection {
            json!({"bsonType": ["array", "null"], "items": {"bsonType": bson_types(column.cell)}})
        } else {
            json!({"bsonType": bson_types(column.cell)})
        };
        if let Some(property) = property.as_object_mut() {
            property.insert("description".to_owned(), json!(column.path));
        }
        properties.insert(column.name.clone(), property);
    }
    json!({"bsonType": "object", "title": plan.name(), "required": ["_id"], "properties": properties})
}

/// Returns the types of MongoDB for a cell. A decimal is text where nothing in MongoDB holds it: one of more than 34 digits, and `1e400` in a column of doubles.
fn bson_types(cell: CellType) -> Json {
    match cell {
        CellType::Boolean => json!(["bool", "null"]),
        CellType::Integer => json!(["int", "null"]),
        CellType::Long => json!(["long", "null"]),
        CellType::Decimal => json!(["decimal", "string", "null"]),
        CellType::Double => json!(["double", "string", "null"]),
        CellType::Timestamp => json!(["date", "null"]),
        CellType::Binary | CellType::Text => json!(["string", "null"]),
    }
}

/// Returns the statements of standard SQL that create the view's table and the indexes that joins need.
#[must_use]
pub fn sql(plan: &Plan) -> String {
    let table = plan.name();
    let mut statement =
        format!("CREATE TABLE \"{table}\" (\n  \"_id\" CHARACTER VARYING NOT NULL PRIMARY KEY");
    for column in plan.columns() {
        let array = if column.collection { " ARRAY" } else { "" };
        let _ = write!(statement, ",\n  \"{}\" {}{array}", column.name, sql_type(column));
    }
    statement.push_str("\n);\n");
    for column in plan.key_columns().filter(|column| !column.collection) {
        let name = &column.name;
        let _ = writeln!(statement, "CREATE INDEX \"{table}_{name}\" ON \"{table}\" (\"{name}\");");
    }
    statement
}

/// Returns the type of a column in standard SQL; what a tag `ansi/type` says goes first.
#[must_use]
pub fn sql_type(column: &ViewColumn) -> &str {
    match (&column.ansi_type, column.cell) {
        (Some(ansi), _) => ansi,
        (None, CellType::Boolean) => "BOOLEAN",
        (None, CellType::Integer) => "INTEGER",
        (None, CellType::Long) => "BIGINT",
        (None, CellType::Decimal) => "NUMERIC",
        (None, CellType::Double) => "DOUBLE PRECISION",
        (None, CellType::Timestamp) => "TIMESTAMP WITH TIME ZONE",
        // Bytes stay in the base64 that FHIR writes them in.
        (None, CellType::Binary | CellType::Text) => "CHARACTER VARYING",
    }
}

/// Returns a line a column, for people and for `cut`: table, column, type, FHIR datatype, path, separated by tabs.
#[must_use]
pub fn columns(plan: &Plan) -> String {
    let mut lines = String::new();
    for column in plan.columns() {
        let datatype = column.datatype.map_or("", |datatype| datatype.name());
        let path = column.path.replace(['\n', '\r', '\t'], " ");
        let column_type = column.column_type();
        let _ = writeln!(lines, "{}\t{}\t{column_type}\t{datatype}\t{path}", plan.name(), column.name);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{Json, Plan, columns, json, json_schema, sql};

    fn plan() -> Plan {
        let view: Json = json!({
            "name": "labs", "resource": "Observation",
            "select": [{"column": [
                {"name": "key", "path": "getResourceKey()"},
                {"name": "patient", "path": "subject.getReferenceKey(Patient)"},
                {"name": "value", "path": "value.ofType(Quantity).value"},
                {"name": "issued", "path": "issued"},
                {"name": "codes", "path": "code.coding.code", "collection": true},
                {"name": "short", "path": "status", "tag": [{"name": "ansi/type", "value": "VARCHAR(16)"}]},
            ]}],
        });
        Plan::compile(&view).unwrap()
    }

    #[test]
    fn sql_has_types_and_indexes() {
        let expected = r#"CREATE TABLE "labs" (
  "_id" CHARACTER VARYING NOT NULL PRIMARY KEY,
  "key" CHARACTER VARYING,
  "patient" CHARACTER VARYING,
  "value" NUMERIC,
  "issued" TIMESTAMP WITH TIME ZONE,
  "codes" CHARACTER VARYING ARRAY,
  "short" VARCHAR(16)
);
CREATE INDEX "labs_key" ON "labs" ("key");
CREATE INDEX "labs_patient" ON "labs" ("patient");
"#;
        assert_eq!(sql(&plan()), expected);
    }

    #[test]
    fn json_schema_has_a_property_a_column() {
        let schema = json_schema(&plan());
        assert_eq!(schema.pointer("/required"), Some(&json!(["_id"])));
        assert_eq!(schema.pointer("/properties/value/bsonType"), Some(&json!(["decimal", "string", "null"])));
        assert_eq!(
            schema.pointer("/properties/codes"),
            Some(&json!({
                "bsonType": ["array", "null"],
                "items": {"bsonType": ["string", "null"]},
                "description": "code.coding.code",
            }))
        );
    }

    #[test]
    fn listing_names_type_and_path() {
        let listing = columns(&plan());
        assert!(listing.contains("labs\tissued\ttimestamp\tinstant\tissued\n"), "{listing}");
        assert!(listing.contains("labs\tcodes\ttext[]\tcode\tcode.coding.code\n"), "{listing}");
    }
}
