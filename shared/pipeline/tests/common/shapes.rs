//! Shapes: which types stand at which paths, of documents and of schemas. It shares no code with what keeps schemas.

use std::collections::BTreeSet;

use mongodb::bson::{Bson, Document};

/// A path and the alias of a type: `name[].given` and `array`.
pub(crate) type Shape = (String, String);

/// Adds the shapes of a document's fields.
pub(crate) fn add_document(document: &Document, path: &str, shapes: &mut BTreeSet<Shape>) {
    for (name, value) in document {
        add_value(value, &format!("{path}.{name}"), shapes);
    }
}

fn add_value(value: &Bson, path: &str, shapes: &mut BTreeSet<Shape>) {
    shapes.insert((path.to_owned(), alias(value).to_owned()));
    match value {
        Bson::Document(inside) => add_document(inside, path, shapes),
        Bson::Array(items) => items.iter().for_each(|item| add_value(item, &format!("{path}[]"), shapes)),
        _ => {}
    }
}

/// Adds the shapes that a JSON schema allows below a path.
pub(crate) fn add_schema(schema: &Document, path: &str, shapes: &mut BTreeSet<Shape>) {
    for (name, field) in schema.get_document("properties").into_iter().flatten() {
        add_field(field.as_document().unwrap(), &format!("{path}.{name}"), shapes);
    }
}

fn add_field(field: &Document, path: &str, shapes: &mut BTreeSet<Shape>) {
    let types = field.get_array("bsonType").expect("the types of a field stand in an array");
    assert!(!types.is_empty(), "{path} has no type");
    shapes.extend(types.iter().map(|alias| (path.to_owned(), alias.as_str().unwrap().to_owned())));
    add_schema(field, path, shapes);
    if let Ok(items) = field.get_document("items") {
        add_field(items, &format!("{path}[]"), shapes);
    }
}

/// Returns the alias of a value's type: MongoDB manual, "BSON Types".
fn alias(value: &Bson) -> &'static str {
    match value {
        Bson::String(_) => "string",
        Bson::Int32(_) => "int",
        Bson::Int64(_) => "long",
        Bson::Decimal128(_) => "decimal",
        Bson::Double(_) => "double",
        Bson::Boolean(_) => "bool",
        Bson::DateTime(_) => "date",
        Bson::Document(_) => "object",
        Bson::Array(_) => "array",
        Bson::Null => "null",
        other => panic!("no row holds {other:?}"),
    }
}

/// Returns the JSON schema in a document of `__sql_schemas`, whose form is held to what MongoDB's SQL interface reads.
pub(crate) fn json_schema(document: &Document) -> &Document {
    let schema = document.get_document("schema").unwrap();
    assert_eq!(schema.get_i64("version").unwrap(), 1);
    let json_schema = schema.get_document("jsonSchema").unwrap();
    assert_eq!(json_schema.get_str("bsonType").unwrap(), "object");
    json_schema
}
