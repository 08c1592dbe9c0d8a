//! The types of fields: as words for people, and as types of SQL.

use pipeline::store::schema::{CellType, CellTypes, FieldSchema};

/// Adds the types that `_columns` names: `integer|text`, `[]` behind those of a list.
pub(super) fn add_words(field: &mut FieldSchema, text: &str) {
    let (words, is_list) = text.strip_suffix("[]").map_or((text, false), |words| (words, true));
    let field = if is_list {
        field.add(CellType::Array);
        field.items_mut()
    } else {
        field
    };
    for word in words.split('|') {
        match word {
            "boolean" => field.add(CellType::Boolean),
            "integer" => field.add(CellType::Int),
            "long" => field.add(CellType::Long),
            "decimal" => field.add(CellType::Decimal),
            "double" => field.add(CellType::Double),
            "text" => field.add(CellType::Text),
            "timestamp" => field.add(CellType::Date),
            "record" => field.add(CellType::Object),
            // Anything can stand there.
            _ => {}
        }
    }
}

/// Returns the types in the words of `_columns`.
pub(super) fn words(field: &FieldSchema) -> String {
    let mut words = Vec::new();
    for cell in field.types.iter() {
        words.push(match cell {
            CellType::Text => "text".to_owned(),
            CellType::Int => "integer".to_owned(),
            CellType::Long => "long".to_owned(),
            CellType::Decimal => "decimal".to_owned(),
            CellType::Double => "double".to_owned(),
            CellType::Boolean => "boolean".to_owned(),
            CellType::Date => "timestamp".to_owned(),
            CellType::Object => "record".to_owned(),
            CellType::Null => "null".to_owned(),
            CellType::Array => {
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
    if types.has(CellType::Object) || types.has(CellType::Array) && !is_only(types, &[CellType::Array]) {
        return "jsonb".to_owned();
    }
    if types.has(CellType::Array) {
        let item = field.items.as_deref().map_or_else(|| "text".to_owned(), sql_type);
        return if item.ends_with(']') || item == "jsonb" { "jsonb".to_owned() } else { format!("{item}[]") };
    }
    scalar(types).to_owned()
}

/// One that holds them all: text, where nothing else does.
fn scalar(types: CellTypes) -> &'static str {
    use CellType::{Boolean, Date, Decimal, Double, Int, Long};
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
fn is_only(types: CellTypes, these: &[CellType]) -> bool {
    types.iter().all(|cell| cell == CellType::Null || these.contains(&cell))
}

#[cfg(test)]
mod tests {
    use super::{CellType, FieldSchema, add_words, sql_type, words};

    fn field(text: &str) -> FieldSchema {
        let mut field = FieldSchema::default();
        add_words(&mut field, text);
        field
    }

    #[test]
    fn words_are_read_and_written() {
        for text in
            ["boolean", "integer", "text", "text[]", "record[]", "timestamp", "any", "decimal", "double"]
        {
            assert_eq!(words(&field(text)), text);
        }
        let mut list = field("decimal|text[]");
        list.items_mut().add(CellType::Null);
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
        nullable.add(CellType::Null);
        assert_eq!(sql_type(&nullable), "integer");
    }
}
