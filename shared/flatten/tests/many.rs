//! Many of one thing in one resource, as no sender means it: the rows are what they would be of few, and the work
//! grows with the bytes.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test stops where something is wrong")]

use flatten::automatic::{Arrays, Automatic, Settings};
use flatten::defect::{Defect, DefectCode};
use flatten::fhirpath::Context;
use flatten::json::{Limits, Tape};
use flatten::resource::Resource;
use flatten::row::{Names, Rows, Value};

/// So many that work by the square of it would not end within a test's time, and as many names as a resource may bring
/// that FHIR does not have.
const MANY: usize = 20_000;

/// Returns how many columns the first row has and how many rows there are; and the text of a column of the last row.
fn flatten(members: &str, arrays: Arrays, column: &str) -> Result<(usize, usize, String), Defect> {
    let text = format!(r#"{{"resourceType":"Patient","id":"1",{members}}}"#);
    let (mut tape, mut names, mut rows) = (Tape::default(), Names::default(), Rows::default());
    let document = tape.parse(text.as_bytes(), Limits::default()).unwrap();
    let resource = Resource::read(document.root()).unwrap();
    let mut automatic = Automatic::new(Settings { arrays, ..Settings::default() });
    automatic.flatten(&resource, &Context::of("Patient/1"), &mut names, &mut rows)?;
    let (column, last) = (names.column(column), rows.iter().last().unwrap());
    let found = last.cells().find_map(|(name, value)| match value {
        Value::Text(text) if name == column => Some(text.to_owned()),
        _ => None,
    });
    Ok((rows.iter().next().unwrap().cells().count(), rows.len(), found.unwrap_or_default()))
}

fn list(item: impl Fn(usize) -> String) -> String {
    list_of(MANY, item)
}

fn list_of(count: usize, item: impl Fn(usize) -> String) -> String {
    (0..count).map(item).collect::<Vec<_>>().join(",")
}

fn code(members: &str) -> Option<DefectCode> {
    flatten(members, Arrays::Embedded, "id").err().map(|defect| defect.code)
}

#[test]
fn urls() {
    let extensions =
        list(|number| format!(r#"{{"url":"http://a.example/x{number}","valueString":"v{number}"}}"#));
    let found = flatten(&format!(r#""extension":[{extensions}]"#), Arrays::Embedded, "x19999");
    assert_eq!(found, Ok((MANY + 1, 1, "v19999".to_owned())));
}

#[test]
fn urls_with_one_end() {
    let extensions = list(|number| format!(r#"{{"url":"http://{number}.example/x","valueBoolean":true}}"#));
    // Six digits of a hash meet long before there are so many of them; the row does without these columns.
    let found = flatten(&format!(r#""extension":[{extensions}]"#), Arrays::Embedded, "_unknown").unwrap();
    assert_eq!((found.0, found.1), (2, 1));
    assert!(found.2.contains(r#""/extension/19999":"#) || found.2.contains(r#""/extension":[{"#));
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

/// Registered, so that it may have a table.
const CITIZENSHIP: &str = "http://hl7.org/fhir/StructureDefinition/patient-citizenship";

#[test]
fn extensions_of_one_url() {
    let extensions =
        list(|number| format!(r#"{{"url":"{CITIZENSHIP}","valueCoding":{{"code":"{number}"}}}}"#));
    let members = format!(r#""extension":[{extensions}]"#);
    assert_eq!(flatten(&members, Arrays::Tables, "code"), Ok((2, MANY + 1, "19999".to_owned())));
}

#[test]
fn names_that_nobody_knows() {
    let members = list(|number| format!(r#""x_{number}":{number}"#));
    let found = flatten(&members, Arrays::Embedded, "_unknown").unwrap();
    assert_eq!((found.0, found.1), (2, 1));
    assert!(found.2.ends_with(r#""/x_19999":19999}"#));
}

#[test]
fn elements_that_nobody_knows() {
    let members = list(|number| format!(r#""x{number}":"v{number}""#));
    assert_eq!(flatten(&members, Arrays::Embedded, "x19999"), Ok((MANY + 1, 1, "v19999".to_owned())));
}

#[test]
fn items() {
    let names = list(|number| format!(r#"{{"family":"{number}"}}"#));
    let found = flatten(&format!(r#""name":[{names}]"#), Arrays::Tables, "family");
    assert_eq!(found, Ok((2, MANY + 1, "19999".to_owned())));
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

#[test]
fn names_that_fhir_does_not_have_are_bounded() {
    let [element, underscore, url, modifier, nested, on_primitive]: [fn(usize) -> String; 6] = [
        |count| list_of(count, |number| format!(r#""x{number}":1"#)),
        |count| list_of(count, |number| format!(r#""x_{number}":1"#)),
        |count| {
            let extensions = list_of(count, |number| format!(r#"{{"url":"u{number}","valueCode":"c"}}"#));
            format!(r#""extension":[{extensions}]"#)
        },
        |count| {
            let extensions = list_of(count, |number| format!(r#"{{"url":"u{number}","valueCode":"c"}}"#));
            format!(r#""modifierExtension":[{extensions}]"#)
        },
        |count| {
            let objects = list_of(count - 1, |number| format!(r#"{{"n{number}":{{}}}}"#));
            format!(r#""a":[{objects}]"#)
        },
        |count| {
            let extensions = list_of(count, |number| format!(r#"{{"url":"u{number}","valueCode":"c"}}"#));
            format!(r#""gender":"male","_gender":{{"extension":[{extensions}]}}"#)
        },
    ];
    for (index, members) in [element, underscore, url, modifier, nested, on_primitive].iter().enumerate() {
        assert_eq!(code(&members(MANY)), None, "{index}");
        assert_eq!(code(&members(MANY + 1)), Some(DefectCode::TooManyNames), "{index}");
    }
    // Names count together, wherever they stand.
    let half = format!("{},{}", element(MANY / 2), url(MANY / 2));
    assert_eq!(code(&half), None);
    let more = format!(r#"{half},"contained":[{{"resourceType":"Basic","one":1}}]"#);
    assert_eq!(code(&more), Some(DefectCode::TooManyNames));
}

#[test]
fn a_name_counts_once_however_often_it_stands() {
    let objects = list_of(3 * MANY, |number| format!(r#"{{"known{}":1}}"#, number % 1_000));
    assert_eq!(code(&format!(r#""a":[{objects}]"#)), None);
    let extensions =
        list_of(3 * MANY, |number| format!(r#"{{"url":"u{}","valueCode":"c"}}"#, number % 1_000));
    assert_eq!(code(&format!(r#""extension":[{extensions}]"#)), None);
}

#[test]
fn names_of_one_resource_are_not_counted_for_the_next() {
    let (mut names, mut automatic) = (Names::default(), Automatic::new(Settings::default()));
    for resource in 0..3 {
        let members = list(|number| format!(r#""x{number}r{resource}":1"#));
        let text = format!(r#"{{"resourceType":"Patient","id":"1",{members}}}"#);
        let mut tape = Tape::default();
        let document = tape.parse(text.as_bytes(), Limits::default()).unwrap();
        let resource = Resource::read(document.root()).unwrap();
        let mut rows = Rows::default();
        automatic.flatten(&resource, &Context::of("Patient/1"), &mut names, &mut rows).unwrap();
    }
}

#[test]
fn paths_below_extensions_are_bounded_too() {
    // Few URLs, and below each of them any number of elements that FHIR knows.
    let values = ["Identifier", "Reference", "Coding", "CodeableConcept", "Quantity", "Period", "Attachment"];
    let value =
        |kind: &&str| format!(r#""value{kind}":{{"id":"1","extension":[{{"url":"e","valueCode":"c"}}]}}"#);
    let all = values.iter().map(value).collect::<Vec<_>>().join(",");
    let extensions = |count| list_of(count, |number| format!(r#"{{"url":"u{number}",{all}}}"#));
    assert_eq!(code(&format!(r#""extension":[{}]"#, extensions(100))), None);
    assert_eq!(code(&format!(r#""extension":[{}]"#, extensions(10_000))), Some(DefectCode::TooManyNames));
}

#[test]
fn lists_inside_the_items_of_a_list() {
    // A child table of each item: none of them is looked for among all the others.
    let items = list(|number| {
        format!(r#"{{"name":{{"text":"{number}"}},"telecom":[{{"value":"a"}},{{"value":"b"}}]}}"#)
    });
    let contained = r#"{"resourceType":"Basic","contact":[]}"#;
    let found =
        flatten(&format!(r#""contained":[{contained}],"contact":[{items}]"#), Arrays::Tables, "_parent");
    assert_eq!(found, Ok((2, 2 + 3 * MANY, format!("Patient/1#/contact/{}", MANY - 1))));
}

#[test]
fn addresses_of_unknown_values_count_in_the_size_of_a_row() {
    let long = "n".repeat(130);
    let deep = |depth| {
        let mut inside = list_of(3 * MANY, |number| format!(r#""{long}{number}":1"#));
        for _ in 0..depth {
            inside = format!(r#""extension":[{{"url":"u",{inside}}}]"#);
        }
        code(&inside)
    };
    // Twelve bytes a level lead to each of them.
    assert_eq!(deep(0), None);
    assert_eq!(deep(10), Some(DefectCode::TooLarge));
}

/// Returns the longest name of a column in any row, and whether something stands in `_unknown`.
fn longest_column(members: &str) -> (usize, bool) {
    let text = format!(r#"{{"resourceType":"Patient","id":"1",{members}}}"#);
    let (mut tape, mut names, mut rows) = (Tape::default(), Names::default(), Rows::default());
    let document = tape.parse(text.as_bytes(), Limits::default()).unwrap();
    let resource = Resource::read(document.root()).unwrap();
    let mut automatic = Automatic::new(Settings::default());
    automatic.flatten(&resource, &Context::of("Patient/1"), &mut names, &mut rows).unwrap();
    let list = names.list();
    let columns = || rows.iter().flat_map(|row| row.cells().map(|(column, _)| list.column(column)));
    (columns().map(str::len).max().unwrap_or_default(), columns().any(|name| name == "_unknown"))
}

#[test]
fn names_of_columns_have_an_end() {
    let url = format!("http://a.example/{}", "n".repeat(30_000));
    let name = "n".repeat(128);
    let extension = format!(r#""extension":[{{"url":"{url}","valueString":"v"}}]"#);
    assert_eq!(longest_column(&extension), (128 + 7, false));
    let elements = |depth: usize| {
        let mut inside = r#"{"end":1}"#.to_owned();
        for _ in 1..depth {
            inside = format!(r#"{{"{name}":{inside}}}"#);
        }
        format!(r#""{name}":{inside}"#)
    };
    assert_eq!(longest_column(&elements(3)), (3 * 129 + 3, false));
    let (longest, has_unknown) = longest_column(&elements(40));
    assert!(longest < 800 && has_unknown, "{longest}");
    let mut chain = r#""valueString":"v""#.to_owned();
    for _ in 0..30 {
        chain = format!(r#""extension":[{{"url":"{url}",{chain}}}]"#);
    }
    let (longest, has_unknown) = longest_column(&chain);
    assert!(longest < 800 && has_unknown, "{longest}");
    // Elements that FHIR knows stand inside each other as long as they like: their names are short.
    let mut reference = r#"{"display":"d"}"#.to_owned();
    for _ in 0..30 {
        reference = format!(r#"{{"identifier":{{"assigner":{reference}}}}}"#);
    }
    let (longest, has_unknown) = longest_column(&format!(r#""managingOrganization":{reference}"#));
    assert!((600..1_000).contains(&longest) && !has_unknown, "{longest}");
}

/// Below an extension stand members that FHIR knows, each at a path of its own.
#[test]
fn paths_are_bounded_whoever_knows_their_names() {
    let members = |extensions: usize| {
        let extensions = list_of(extensions, |number| {
            format!(
                r#"{{"url":"u{number}","valueCoding":{{"system":"s","version":"1","code":"c","display":"d","userSelected":true}}}}"#
            )
        });
        format!(r#""extension":[{extensions}]"#)
    };
    // Each extension has seven paths, and far fewer than 20,000 names are made up.
    assert_eq!(code(&members(14_285)), None);
    assert_eq!(code(&members(14_286)), Some(DefectCode::TooManyNames));
}
