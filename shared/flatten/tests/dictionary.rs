//! The dictionary: what stands in it for every kind of column, and that the order of resources is nothing to it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test stops where something is wrong"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use flatten::automatic::{Arrays, Settings};
use flatten::catalog::{Catalog, CatalogFlattener, Choices};
use flatten::dictionary::{Column, Dictionary};
use flatten::json::{Limits, Tape};
use flatten::links::Links;
use flatten::resource::Resource;
use flatten::row::Rows;

fn dictionary(choices: Choices, resources: &[&str]) -> Dictionary {
    load(&Arc::new(Catalog::compile(choices).unwrap()), resources)
}

/// Returns what a load of these resources leaves in the dictionary; what cannot be flattened leaves nothing.
fn load(catalog: &Arc<Catalog>, resources: &[&str]) -> Dictionary {
    let mut flattener = CatalogFlattener::new(Arc::clone(catalog));
    let (mut tape, mut rows) = (Tape::default(), Rows::default());
    for text in resources {
        let document = tape.parse(text.as_bytes(), Limits::default()).unwrap();
        let resource = Resource::read(document.root()).unwrap();
        flattener.flatten(&resource, &resource.key(None, None), &Links::default(), &mut rows).ok();
    }
    flattener.count(&rows);
    let dictionary = flattener.take_dictionary();
    flattener.recycle();
    dictionary
}

fn by_name(dictionary: &Dictionary) -> BTreeMap<String, Column> {
    dictionary.columns().map(|column| (format!("{}.{}", column.table, column.name), column)).collect()
}

/// Returns the line of a column: path, derivation, datatype, cell, rows.
fn line(column: &Column) -> String {
    let meaning = &column.meaning;
    let flags = [(meaning.is_unknown, " unknown"), (meaning.is_clash, " clash")];
    let flags: String = flags.into_iter().filter_map(|(holds, word)| holds.then_some(word)).collect();
    format!(
        "{} {} {} {} {}{flags}",
        meaning.path.as_deref().unwrap_or("-"),
        meaning.derived.unwrap_or("-"),
        meaning.datatype.unwrap_or("-"),
        meaning.column_type,
        column.rows
    )
}

const PATIENT: &str = r#"{"resourceType":"Patient","id":"p","meta":{"tag":[{"system":"s","code":"c","display":"d"}]},
  "extension":[{"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-race","extension":[
     {"url":"ombCategory","valueCoding":{"system":"s","code":"c"}},{"url":"text","valueString":"White"}]},
     {"url":"http://a.example/tier","valueCode":"x"},{"url":"http://b.example/tier","valueCode":"y"}],
  "name":[{"family":"A","given":["B"]},{"family":"C"}],"telecom":[{"system":"phone","value":"1"}],
  "birthDate":"1974-12","_birthDate":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthTime","valueDateTime":"1974-12-25T14:35:45-05:00"}]},
  "deceasedBoolean":false,"managingOrganization":{"reference":"Organization/1"},"shoeSize":{"left":7},"odd-one":1,
  "contact":[{"relationship":[{"coding":[{"code":"N"}]}],"gender":"male"},{"gender":"female"}]}"#;

#[test]
fn every_kind_of_column_says_where_it_comes_from() {
    let columns = by_name(&dictionary(Choices::default(), &[PATIENT]));
    let race = "Patient.extension('http://hl7.org/fhir/us/core/StructureDefinition/us-core-race')";
    let birth_time =
        "Patient.birthDate.extension('http://hl7.org/fhir/StructureDefinition/patient-birthTime')";
    let expected = [
        ("Patient.id", "Patient.id - id text 1".to_owned()),
        ("Patient.meta_tag", "Patient.meta.tag - Coding text[] 1".to_owned()),
        ("Patient.meta_tag_coding.display", "Patient.meta.tag.display - string text 1".to_owned()),
        (
            "Patient.usCoreRace_ombCategory_code",
            format!("{race}.extension('ombCategory').value.code - code text 1"),
        ),
        ("Patient.usCoreRace_text", format!("{race}.extension('text') - - any 1")),
        ("Patient.name_family", "Patient.name.family - string text 1".to_owned()),
        ("Patient.name_given", "Patient.name.given - string text[] 1".to_owned()),
        ("Patient.name", "Patient.name - HumanName record[] 1".to_owned()),
        ("Patient.name.family", "Patient.name.family - string text 1".to_owned()),
        ("Patient.telecom_phone", "Patient.telecom phone - text 1".to_owned()),
        ("Patient.birthDate", "Patient.birthDate - date text 1".to_owned()),
        ("Patient.birthDate_at", "Patient.birthDate at - timestamp 1".to_owned()),
        ("Patient.birthDate_patientBirthTime", format!("{birth_time} - - any 1")),
        ("Patient.birthDate_patientBirthTime_at", format!("{birth_time}.value at - any 1")),
        ("Patient.deceasedBoolean", "Patient.deceased.ofType(boolean) - boolean boolean 1".to_owned()),
        ("Patient.deceased_type", "Patient.deceased type - text 1".to_owned()),
        ("Patient.managingOrganization_key", "Patient.managingOrganization key - text 1".to_owned()),
        ("Patient.managingOrganization_type", "Patient.managingOrganization.type - uri text 1".to_owned()),
        ("Patient.shoeSize_left", "Patient.shoeSize.left - - any 1 unknown".to_owned()),
        ("Patient._unknown", "- - - json 1 unknown".to_owned()),
        ("Patient.contact_count", "Patient.contact count - integer 1".to_owned()),
        ("Patient.contact.gender", "Patient.contact.gender - code text 1".to_owned()),
        (
            "Patient.contact.relationship_codings",
            "Patient.contact.relationship codings - text[] 1".to_owned(),
        ),
    ];
    for (name, expected) in expected {
        assert_eq!(columns.get(name).map(line), Some(expected), "{name} of {:?}", columns.keys());
    }
    let url = columns["Patient.usCoreRace_ombCategory_code"].meaning.url.clone().unwrap();
    assert!(url.ends_with("/us-core-race"), "{url}");
    let clashes: Vec<&Column> = columns.values().filter(|column| column.meaning.is_clash).collect();
    let urls: Vec<&str> = clashes.iter().map(|column| column.meaning.url.as_deref().unwrap()).collect();
    assert!(clashes.iter().all(|column| column.name.starts_with("tier_")), "{clashes:?}");
    assert!(urls.contains(&"http://a.example/tier") && urls.contains(&"http://b.example/tier"), "{urls:?}");
}

#[test]
fn child_tables_and_contained_resources_are_described() {
    let automatic = Settings { arrays: Arrays::Tables, ..Settings::default() };
    let item = r#"{"resourceType":"Questionnaire","id":"q","item":[{"linkId":"1","item":[{"linkId":"1.1"}]}],
        "contained":[{"resourceType":"Patient","id":"c","name":[{"family":"A"},{"family":"B"}]}]}"#;
    let columns = by_name(&dictionary(Choices { automatic, ..Choices::default() }, &[item]));
    let shown = |name: &str| columns.get(name).map(line).unwrap_or_default();
    assert_eq!(shown("Questionnaire_item.linkId"), "Questionnaire.item.linkId - string text 2");
    assert_eq!(shown("Questionnaire_item._parent"), "- - - text 2");
    assert_eq!(shown("Questionnaire_item._depth"), "- - - integer 2");
    assert_eq!(shown("Patient_contained.name_family"), "Patient.name.family - string text 1");
    assert_eq!(shown("Patient_contained_name.family"), "Patient.name.family - string text 2");
}

#[test]
fn a_child_table_is_described_from_all_its_parents() {
    let e = |inside: &str| format!(r#"{{"url":"http://x.example/e",{inside}}}"#);
    let f = |code: &str| format!(r#"{{"url":"http://x.example/f","valueCoding":{{"code":"{code}"}}}}"#);
    let both = e(&format!(r#""extension":[{},{}]"#, f("1"), f("2")));
    let lone = format!(
        r#"{{"resourceType":"Patient","id":"1","name":[{{"family":"A","extension":[{both},{both}]}}]}}"#
    );
    let simple = e(r#""valueCoding":{"code":"3"}"#);
    let two = format!(
        r#"{{"resourceType":"Patient","id":"2","name":[{{"family":"A"}},{{"extension":[{simple},{simple}]}}]}}"#
    );
    let extension_names = [("http://x.example/e", "e"), ("http://x.example/f", "f")];
    let extension_names = extension_names.map(|(url, name)| (url.to_owned(), name.to_owned())).into();
    let automatic = Settings { arrays: Arrays::Tables, extension_names, ..Settings::default() };
    let columns = by_name(&dictionary(Choices { automatic, ..Choices::default() }, &[&lone, &two]));
    let e = "Patient.name.extension('http://x.example/e')";
    let shown = |name: &str| columns.get(name).map(line).unwrap_or_default();
    assert_eq!(shown("Patient_name_e.code"), format!("{e}.value.code - code text 2"));
    let f = format!("{e}.extension('http://x.example/f')");
    assert_eq!(shown("Patient_name_e.f_code"), format!("{f}.value.code - code text 2"));
    assert_eq!(shown("Patient_name_e_f.code"), format!("{f}.value.code - code text 4"));
}

#[test]
fn what_no_row_has_filled_is_no_column() {
    let patient = r#"{"resourceType":"Patient","id":"p","extension":[{"url":"http://x.example/only-a-url"},
        {"url":"http://x.example/when","valueDate":"?"},{"url":"http://x.example/when","valueDate":"!"}]}"#;
    let columns = by_name(&dictionary(Choices::default(), &[patient]));
    let names: Vec<&str> = columns.keys().map(String::as_str).collect();
    assert_eq!(names, ["Patient.id", "Patient.when"]);
}

#[test]
fn a_reference_fills_its_column_once_it_is_answered() {
    let catalog = Arc::new(Catalog::compile(Choices::default()).unwrap());
    let mut flattener = CatalogFlattener::new(catalog);
    let (mut tape, mut rows) = (Tape::default(), Rows::default());
    let text = r#"{"resourceType":"Encounter","id":"e","subject":{"reference":"urn:uuid:a"},
        "serviceProvider":{"reference":"urn:uuid:b"},"participant":[{"individual":{"reference":"urn:uuid:b"}}]}"#;
    let document = tape.parse(text.as_bytes(), Limits::default()).unwrap();
    let resource = Resource::read(document.root()).unwrap();
    flattener.flatten(&resource, "Encounter/e", &Links::open(), &mut rows).unwrap();
    flattener.count_late("Encounter", "subject_key");
    flattener.count(&rows);
    flattener.count_late("Encounter", "subject_type");
    let columns = by_name(&flattener.take_dictionary());
    let keys: Vec<&str> = columns
        .keys()
        .map(String::as_str)
        .filter(|name| name.ends_with("_key") || name.ends_with("_type"))
        .collect();
    let (key, kind) = ("Encounter.participant.individual_key", "Encounter.participant.individual_type");
    assert_eq!(keys, [key, kind, "Encounter.subject_key", "Encounter.subject_type"]);
    assert_eq!(columns["Encounter.participant.individual_reference"].rows, 1);
}

#[test]
fn columns_past_the_limit_are_counted_and_go_with_the_dictionary() {
    // Two of FHIR's own, which have room of their own, whatever came before them.
    let made_up = |kind: &str, numbers: std::ops::Range<usize>| {
        let members: Vec<String> = numbers.map(|number| format!(r#""madeUp{number}x":1"#)).collect();
        format!(r#"{{"resourceType":"{kind}","id":"b",{}}}"#, members.join(","))
    };
    let [first, second] = [0..10_000, 9_000..18_010].map(|numbers| made_up("Basic", numbers));
    let late = r#"{"resourceType":"Basic","id":"c","code":{"text":"x"}}"#;
    let other = made_up("Patient", 0..10);
    let dictionary = dictionary(Choices::default(), &[&first, &second, late, &other]);
    let of_table = |table: &str| dictionary.columns().filter(|column| column.table == table).count();
    assert_eq!((of_table("Basic"), of_table("Patient"), dictionary.unlisted()), (18_001, 11, 11));
    let columns = by_name(&dictionary);
    assert!(columns.contains_key("Basic.code_text") && columns.contains_key("Basic.id"));
}

#[test]
fn all_tables_together_are_bounded_for_what_senders_name() {
    let types = ["Basic", "Patient", "Group", "Person", "Device", "Location", "Organization", "Practitioner"];
    let url = format!("http://a.example/{}", "path/".repeat(50));
    let resource = |kind: &&str| {
        let extension = |number| format!(r#"{{"url":"{url}e{number}","valueCode":"c"}}"#);
        let extensions: Vec<String> = (0..15_000).map(extension).collect();
        format!(r#"{{"resourceType":"{kind}","id":"b","extension":[{}]}}"#, extensions.join(","))
    };
    let resources: Vec<String> = types.iter().map(resource).collect();
    let texts: Vec<&str> = resources.iter().map(String::as_str).collect();
    let dictionary = dictionary(Choices::default(), &texts);
    let listed = dictionary.columns().count();
    assert!((20_000..60_000).contains(&listed), "{listed}");
    assert_eq!(listed as u64 + dictionary.unlisted(), 8 * 15_001);
    assert!(types.iter().all(|kind| dictionary.columns().any(|column| column.table == *kind)));
}

#[test]
fn columns_of_views_have_their_paths() {
    let view = r#"{"name":"people","resource":"Patient","select":[{"column":[{"name":"born","path":"birthDate"},
        {"name":"families","path":"name.family","collection":true},{"name":"dead","path":"deceased.ofType(boolean)"}]}]}"#;
    let views = vec![("people.json".to_owned(), view.to_owned())];
    let second = r#"{"resourceType":"Patient","id":"p2"}"#;
    let columns = by_name(&dictionary(Choices { views, ..Choices::default() }, &[PATIENT, second]));
    assert_eq!(line(&columns["people.born"]), "birthDate - date text 1");
    assert_eq!(line(&columns["people.families"]), "name.family - string text[] 1");
    assert_eq!(line(&columns["people.dead"]), "deceased.ofType(boolean) - boolean boolean 1");
}

#[test]
fn the_order_of_resources_is_nothing_to_the_columns() {
    let resources = [
        PATIENT,
        r#"{"resourceType":"Patient","id":"2","managingOrganization":{"type":"Organization","reference":"Organization/1"}}"#,
        r#"{"resourceType":"Patient","id":"3","extension":[{"url":"http://a.example/tier","valueString":"x"}]}"#,
        r#"{"resourceType":"Patient","id":"4","extension":[{"url":"http://a.example/tier","valueCode":"x"}]}"#,
        r#"{"resourceType":"Observation","id":"o","component":[{"valueQuantity":{"value":1}},{"valueString":"x"}]}"#,
    ];
    let forward = dictionary(Choices::default(), &resources);
    let mut backward = resources;
    backward.reverse();
    assert_eq!(dictionary(Choices::default(), &backward), forward);
    assert_eq!(by_name(&forward)["Patient.id"].rows, 4);
    assert_eq!(by_name(&forward)["Observation.component.valueQuantity_value"].rows, 1);
}

/// What earlier loads have met is remembered by the catalog's flatteners, and no matter of later ones.
#[test]
fn a_load_is_described_as_if_it_were_the_first() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/automatic");
    let mut folders: Vec<_> = fs::read_dir(cases).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    let inputs: Vec<String> =
        folders.iter().filter_map(|folder| fs::read_to_string(folder.join("resource.json")).ok()).collect();
    assert!(inputs.len() > 100);
    for arrays in [Arrays::Embedded, Arrays::Tables] {
        let choices = || {
            let automatic = Settings { arrays, ..Settings::default() };
            Arc::new(Catalog::compile(Choices { automatic, ..Choices::default() }).unwrap())
        };
        let seasoned = choices();
        for (input, folder) in inputs.iter().zip(&folders).chain(inputs.iter().zip(&folders).rev()) {
            let fresh = load(&choices(), &[input]);
            assert_eq!(load(&seasoned, &[input]), fresh, "{}", folder.display());
        }
    }
}
