//! Rows that a store hands out, as lines of JSON.

use flatten::{CellValue, TableRow};

use crate::store::admin::ArchivedResource;

use super::json::{moment, text};

/// Returns a row as a JSON object without a line break: `_table`, `_id`, then its cells.
///
/// Decimals keep their digits, moments are RFC 3339 text in UTC with milliseconds.
#[must_use]
pub fn row_line(row: &TableRow) -> Vec<u8> {
    let mut line = begun(&row.table, &row.key);
    for (name, value) in &row.columns {
        line.push(b',');
        member(&mut line, name, value);
    }
    line.push(b'}');
    line
}

/// Returns an archived resource as a JSON object without a line break: `_table`, which is `_archive`, `_id`,
/// `resourceType`, and its text as it came as `json`.
#[must_use]
pub fn archived_line(archived: &ArchivedResource) -> Vec<u8> {
    let mut line = begun("_archive", &archived.key);
    let resource_type = archived.key.split('/').next().unwrap_or_default();
    let json = archived.text.as_deref().map(|text| String::from_utf8_lossy(text).into_owned());
    for (name, value) in [("resourceType", Some(resource_type.to_owned())), ("json", json)] {
        line.push(b',');
        member(&mut line, name, &value.map_or(CellValue::Null, CellValue::Text));
    }
    line.push(b'}');
    line
}

fn begun(table: &str, id: &str) -> Vec<u8> {
    let mut line = b"{\"_table\":".to_vec();
    text(&mut line, table);
    line.extend_from_slice(b",\"_id\":");
    text(&mut line, id);
    line
}

fn member(line: &mut Vec<u8>, name: &str, cell: &CellValue) {
    text(line, name);
    line.push(b':');
    value(line, cell);
}

fn value(line: &mut Vec<u8>, cell: &CellValue) {
    match cell {
        CellValue::Boolean(value) => line.extend_from_slice(value.to_string().as_bytes()),
        CellValue::Integer(value) => line.extend_from_slice(value.to_string().as_bytes()),
        CellValue::Long(value) => line.extend_from_slice(value.to_string().as_bytes()),
        CellValue::Decimal(digits) => line.extend_from_slice(digits.as_bytes()),
        // The shortest text that reads back as the double: `80.0`, `1e-7`.
        CellValue::Double(value) => line.extend_from_slice(format!("{value:?}").as_bytes()),
        CellValue::Text(value) => text(line, value),
        CellValue::Instant(milliseconds) => {
            line.push(b'"');
            moment(line, *milliseconds);
            line.push(b'"');
        }
        CellValue::List(items) => separated(line, [b'[', b']'], items, value),
        CellValue::Record(cells) => {
            separated(line, [b'{', b'}'], cells, |line, (name, cell)| member(line, name, cell));
        }
        _ => line.extend_from_slice(b"null"),
    }
}

fn separated<T>(line: &mut Vec<u8>, brackets: [u8; 2], items: &[T], write: impl Fn(&mut Vec<u8>, &T)) {
    let [open, close] = brackets;
    line.push(open);
    for (number, item) in items.iter().enumerate() {
        if number > 0 {
            line.push(b',');
        }
        write(line, item);
    }
    line.push(close);
}

#[cfg(test)]
mod tests {
    use flatten::{CellValue, TableRow};

    use super::row_line;

    #[test]
    fn values_stand_as_in_printed_rows() {
        let text = |value: &str| CellValue::Text(value.to_owned());
        let cells = [
            ("a \"b\"", text("x\ny")),
            ("big", CellValue::Long(9_007_199_254_740_993)),
            ("exact", CellValue::Decimal("1.500".to_owned())),
            ("double", CellValue::Double(80.0)),
            ("at", CellValue::Instant(0)),
            ("list", CellValue::List(vec![CellValue::Boolean(true), CellValue::Null])),
            ("record", CellValue::Record(vec![("n".to_owned(), CellValue::Integer(-1))])),
            ("empty", CellValue::List(Vec::new())),
        ];
        let columns = cells.map(|(name, value)| (name.to_owned(), value)).to_vec();
        let row = TableRow { table: "Patient".to_owned(), key: "Patient/1".to_owned(), columns };
        let expected = r#"{"_table":"Patient","_id":"Patient/1","a \"b\"":"x\ny","big":9007199254740993,"exact":1.500,"double":80.0,"at":"1970-01-01T00:00:00.000Z","list":[true,null],"record":{"n":-1},"empty":[]}"#;
        assert_eq!(String::from_utf8(row_line(&row)).unwrap(), expected);
    }
}
