//! The types of fields: as words for people, and as types of SQL.

use flatten::column_type::{CellType, ColumnType};
use pipeline::store::schema::{FieldSchema, FieldType, FieldTypes};

/// Adds the type that `_columns` names.
pub(super) fn add_type(field: &mut FieldSchema, column_type: ColumnType) {
    match column_type {
        ColumnType::One(cell) => field.add(field_type(cell)),
        ColumnType::List(cell) => add_list(field, field_type(cell)),
        ColumnType::Records => add_list(field, FieldType::Object),
        ColumnType::Json => field.add(FieldType::Text),
        // Anything can stand there.
        ColumnType::Any => {}
    }
}

fn add_list(field: &mut FieldSchema, items: FieldType) {
    field.add(FieldType::Array);
    field.items_mut().add(items);
}

const fn field_type(cell: CellType) -> FieldType {
    match cell {
        CellType::Boolean => FieldType::Boolean,
        CellType::Integer => FieldType::Int,
        CellType::Long => FieldType::Long,
        CellType::Decimal => FieldType::Decimal,
        CellType::Double => FieldType::Double,
        CellType::Timestamp => FieldType::Date,
        CellType::Binary | CellType::Text => FieldType::Text,
    }
}

/// Returns the types in the words of `_columns`.
pub(super) fn words(field: &FieldSchema) -> String {
    let mut words = Vec::new();
    for cell in field.types.iter() {
        words.push(match cell {
            FieldType::Text => "text".to_owned(),
            FieldType::Int => "integer".to_owned(),
            FieldType::Long => "long".to_owned(),
            FieldType::Decimal => "decimal".to_owned(),
            FieldType::Double => "double".to_owned(),
            FieldType::Boolean => "boolean".to_owned(),
            FieldType::Date => "timestamp".to_owned(),
            FieldType::Object => "record".to_owned(),
            FieldType::Null => "null".to_owned(),
            FieldType::Array => {
                format!("{}[]", field.items.as_deref().map(words_of_items).unwrap_or_default())
            }
        });
    }
    if words.is_empty() { "any".to_owned() } else { words.join("|") }
}

fn words_of_items(items: &FieldSchema) -> String {
    let words = words(items);
    if words.contains('|') { format!("({words})") } else { words }
}

/// Returns the type of a column in SQL, as PostgreSQL writes it. Sub-documents, and lists of them, are JSON there.
pub(super) fn sql_type(field: &FieldSchema) -> String {
    let types = field.types;
    if types.has(FieldType::Object) || types.has(FieldType::Array) && !is_only(types, &[FieldType::Array]) {
        return "jsonb".to_owned();
    }
    if types.has(FieldType::Array) {
        let item = field.items.as_deref().map_or_else(|| "text".to_owned(), sql_type);
        return if item.ends_with(']') || item == "jsonb" { "jsonb".to_owned() } else { format!("{item}[]") };
    }
    scalar(types).to_owned()
}

/// Returns the type that holds them all: text, where nothing else does.
fn scalar(types: FieldTypes) -> &'static str {
    use FieldType::{Boolean, Date, Decimal, Double, Int, Long};
    if is_only(types, &[]) {
        "text"
    } else if is_only(types, &[Boolean]) {
        "boolean"
    } else if is_only(types, &[Int]) {
        "integer"
    } else if is_only(types, &[Int, Long]) {
        "bigint"
    } else if is_only(types, &[Double]) {
        "double precision"
    } else if is_only(types, &[Int, Long, Decimal, Double]) {
        "numeric"
    } else if is_only(types, &[Date]) {
        "timestamp with time zone"
    } else {
        "text"
    }
}

/// Returns whether no other types than these are there; a null is in every column.
fn is_only(types: FieldTypes, these: &[FieldType]) -> bool {
    types.iter().all(|cell| cell == FieldType::Null || these.contains(&cell))
}

#[cfg(test)]
mod tests {
    use super::{FieldSchema, FieldType, add_type, sql_type, words};

    fn field(text: &str) -> FieldSchema {
        let mut field = FieldSchema::default();
        for text in text.split('|') {
            add_type(&mut field, text.parse().unwrap());
        }
        field
    }

    #[test]
    fn words_are_read_and_written() {
        for text in
            ["boolean", "integer", "text", "text[]", "record[]", "timestamp", "any", "decimal", "double"]
        {
            assert_eq!(words(&field(text)), text);
        }
        let mut list = field("decimal[]|text[]");
        list.items_mut().add(FieldType::Null);
        assert_eq!(words(&list), "(text|decimal|null)[]");
    }

    #[test]
    fn a_type_of_sql_holds_all_that_a_column_holds() {
        let types = [
            ("boolean", "boolean"),
            ("integer", "integer"),
            ("integer|long", "bigint"),
            ("long", "bigint"),
            ("integer|decimal", "numeric"),
            ("double", "double precision"),
            ("double[]", "double precision[]"),
            ("double|text", "text"),
            ("timestamp", "timestamp with time zone"),
            ("timestamp[]", "timestamp with time zone[]"),
            ("integer|text", "text"),
            ("text[]", "text[]"),
            ("record[]", "jsonb"),
            ("any", "text"),
        ];
        for (text, expected) in types {
            assert_eq!(sql_type(&field(text)), expected, "{text}");
        }
        let mut nullable = field("integer");
        nullable.add(FieldType::Null);
        assert_eq!(sql_type(&nullable), "integer");
    }
}
