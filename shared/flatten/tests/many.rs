//! Many of one thing in one resource, as no sender means it: the rows are what they would be of few, and the work
//! grows with the bytes.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test stops where something is wrong")]

use flatten::automatic::{Arrays, Automatic, Settings};
use flatten::defect::{Defect, DefectCode};
use flatten::json::{Limits, Tape};
use flatten::links::Links;
use flatten::resource::Resource;
use flatten::row::{Names, Rows, Value};

/// So many that work by the square of it would not end within a test's time.
const MANY: usize = 30_000;

/// How many columns the first row has and how many rows there are; and the text of a column of the last row.
fn flatten(members: &str, arrays: Arrays, column: &str) -> Result<(usize, usize, String), Defect> {
    let text = format!(r#"{{"resourceType":"Patient","id":"1",{members}}}"#);
    let (mut tape, mut names, mut rows) = (Tape::default(), Names::default(), Rows::default());
    let document = tape.parse(text.as_bytes(), Limits::default()).unwrap();
    let resource = Resource::read(document.root()).unwrap();
    let mut automatic = Automatic::new(Settings { arrays, ..Settings::default() });
    automatic.flatten(&resource, "Patient/1", &Links::default(), &mut names, &mut rows)?;
    let (column, last) = (names.column(column), rows.iter().last().unwrap());
    let found = last.cells().find_map(|(name, value)| match value {
        Value::Text(text) if name == column => Some(text.to_owned()),
        _ => None,
    });
    Ok((rows.iter().next().unwrap().cells().count(), rows.len(), found.unwrap_or_default()))
}

fn list(item: impl Fn(usize) -> String) -> String {
    (0..MANY).map(item).collect::<Vec<_>>().join(",")
}

#[test]
fn urls() {
    let extensions =
        list(|number| format!(r#"{{"url":"http://a.example/x{number}","valueString":"v{number}"}}"#));
    let found = flatten(&format!(r#""extension":[{extensions}]"#), Arrays::Embedded, "x29999");
    assert_eq!(found, Ok((MANY + 1, 1, "v29999".to_owned())));
}

#[test]
fn urls_with_one_end() {
    let extensions = list(|number| format!(r#"{{"url":"http://{number}.example/x","valueBoolean":true}}"#));
    // Six digits of a hash meet long before there are so many of them; the row does without these columns.
    let found = flatten(&format!(r#""extension":[{extensions}]"#), Arrays::Embedded, "_unknown").unwrap();
    assert_eq!((found.0, found.1), (2, 1));
    assert!(found.2.contains(r#""/extension/29999":"#) || found.2.contains(r#""/extension":[{"#));
}

#[test]
fn contained_resources_and_references_to_them() {
    // The last one is referred to, of those that share an id the first one, and one whose id can be in no key.
    let contained = list(|number| match number % 3 {
        0 => r#"{"resourceType":"Basic","id":"same"}"#.to_owned(),
        1 => format!(r#"{{"resourceType":"Basic","id":"c{number}"}}"#),
        _ => format!(r#"{{"resourceType":"Basic","id":"c {number}"}}"#),
    });
    let links = list(|number| match number % 3 {
        0 => r##"{"other":{"reference":"#same"}}"##.to_owned(),
        1 => format!(r##"{{"other":{{"reference":"#c{number}"}}}}"##),
        _ => format!(r##"{{"other":{{"reference":"#c {number}"}}}}"##),
    });
    let members = format!(r#""link":[{links}],"contained":[{contained}]"#);
    let rows = flatten(&members, Arrays::Tables, "_id").unwrap();
    assert_eq!(rows.1, 1 + MANY + MANY);
}

#[test]
fn extensions_of_one_url() {
    let extensions =
        list(|number| format!(r#"{{"url":"http://a.example/x","valueCoding":{{"code":"{number}"}}}}"#));
    let members = format!(r#""extension":[{extensions}]"#);
    assert_eq!(flatten(&members, Arrays::Tables, "code"), Ok((2, MANY + 1, "29999".to_owned())));
}

#[test]
fn names_that_nobody_knows() {
    let members = list(|number| format!(r#""x_{number}":{number}"#));
    let found = flatten(&members, Arrays::Embedded, "_unknown").unwrap();
    assert_eq!((found.0, found.1), (2, 1));
    assert!(found.2.ends_with(r#""/x_29999":29999}"#));
}

#[test]
fn elements_that_nobody_knows() {
    let members = list(|number| format!(r#""x{number}":"v{number}""#));
    assert_eq!(flatten(&members, Arrays::Embedded, "x29999"), Ok((MANY + 1, 1, "v29999".to_owned())));
}

#[test]
fn items() {
    let names = list(|number| format!(r#"{{"family":"{number}"}}"#));
    let found = flatten(&format!(r#""name":[{names}]"#), Arrays::Tables, "family");
    assert_eq!(found, Ok((2, MANY + 1, "29999".to_owned())));
}

#[test]
fn extensions_on_the_items_of_an_array() {
    let extension = |number| format!(r#"{{"extension":[{{"url":"u{number}","valueBoolean":true}}]}}"#);
    let (values, extensions) = (list(|_| r#""x""#.to_owned()), list(extension));
    let members = format!(r#""name":[{{"given":[{values}],"_given":[{extensions}]}}]"#);
    // Every URL would be a list as long as the array.
    let found = flatten(&members, Arrays::Embedded, "id");
    assert_eq!(found.map_err(|defect| defect.code), Err(DefectCode::TooLarge));
}

#[test]
fn long_names() {
    let name = "n".repeat(120);
    let items = list(|_| format!(r#"{{"{name}":{{"a{name}":1,"b{name}":2,"c{name}":3}}}}"#));
    // Each of them is written with every value.
    let found = flatten(&format!(r#""contact":[{items}]"#), Arrays::Embedded, "id");
    assert_eq!(found.map_err(|defect| defect.code), Err(DefectCode::TooLarge));
}
