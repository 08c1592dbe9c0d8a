//! Whatever JSON comes: no row says one column twice, nothing is rejected for its names, and the rows follow from
//! the resource alone, not from what was flattened before.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test stops where something is wrong"
)]

use std::cell::RefCell;
use std::collections::BTreeSet;

use flatten::automatic::{Arrays, Automatic, Settings};
use flatten::decimals::Decimals;
use flatten::defect::DefectCode;
use flatten::fhirpath::Context;
use flatten::json::{Limits, Tape};
use flatten::links::Links;
use flatten::resource::Resource;
use flatten::row::{Cells, NameList, Names, Rows, Value};
use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};

/// Elements that are objects in every release.
const OBJECTS: [&str; 11] = [
    "name",
    "code",
    "subject",
    "meta",
    "contact",
    "identifier",
    "telecom",
    "photo",
    "component",
    "class",
    "managingOrganization",
];
/// Elements that are scalars, members of choices, and names that look like other things' columns.
const MEMBERS: [&str; 46] = [
    "birthDate",
    "status",
    "gender",
    "value",
    "valueString",
    "valueQuantity",
    "valueCodeableConcept",
    "valueBase64Binary",
    "effectiveDateTime",
    "deceasedBoolean",
    "deceased",
    "coding",
    "system",
    "display",
    "text",
    "family",
    "given",
    "reference",
    "type",
    "key",
    "at",
    "absent",
    "count",
    "codings",
    "values",
    "phone",
    "data",
    "dataSize",
    "dataSha256",
    "abcdef",
    "choice",
    "written",
    "value_type",
    "birthDate_at",
    "contact_count",
    "subject_key",
    "birthDate_absent",
    "favourite",
    "tier",
    "id",
    "tag",
    "security",
    "gender_x",
    "resource",
    "use",
    "link",
];
const URLS: [&str; 14] = [
    "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
    "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race",
    "http://a.example/tier",
    "http://b.example/tier",
    "http://a.example/favourite",
    "http://a.example/gender",
    "http://a.example/abcdef",
    "http://a.example/value",
    "http://a.example/modifierExtension",
    "tier|1",
    "code",
    "text",
    "http://a.example/named",
    "tierSize",
];

fn scalar() -> impl Strategy<Value = Json> {
    prop_oneof![
        Just(json!("x")),
        Just(json!("2020-01")),
        Just(json!(7)),
        Just(json!(true)),
        Just(Json::Null),
        Just(serde_json::from_str("1234567890123456789012345678901234567890").unwrap()),
        Just(json!("y".repeat(40))),
    ]
}

fn extension(depth: u32) -> BoxedStrategy<Json> {
    let url = prop::sample::select(&URLS[..]);
    let value = prop_oneof![
        3 => (prop::sample::select(&["valueString", "valueDate", "valueBase64Binary"][..]), scalar())
            .prop_map(|(name, value)| json!({name: value})),
        2 => object(depth.saturating_sub(1)).prop_map(|value| json!({"valueCoding": value})),
        2 => object(depth.saturating_sub(1)).prop_map(|value| json!({"valueReference": value})),
        1 => Just(json!({"_valueString": {"id": "i"}})),
        1 => Just(json!({})),
    ];
    let inner = if depth == 0 { Just(json!({})).boxed() } else { nested(depth - 1) };
    let parts = (url, value.clone(), value, inner, 0..8_u8);
    let merged = parts.prop_map(|(url, one, two, inner, several)| {
        let mut whole = json!({"url": url});
        let chosen = match several {
            0 => vec![one, two],
            1 => vec![one, inner],
            2 => vec![inner],
            _ => vec![one],
        };
        for part in chosen {
            whole.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
        }
        if several == 3 {
            whole["id"] = json!("e");
        }
        whole
    });
    merged.boxed()
}

fn nested(depth: u32) -> BoxedStrategy<Json> {
    // More than are compared with each other.
    let most = if depth == 0 { 14 } else { 4 };
    let list = prop::collection::vec(extension(depth), 1..most);
    (prop::sample::select(&["extension", "modifierExtension"][..]), list)
        .prop_map(|(name, list)| json!({name: list}))
        .boxed()
}

/// Makes objects whose members mostly are what FHIR wants, and often are not.
fn object(depth: u32) -> BoxedStrategy<Json> {
    let name = prop::sample::select(&MEMBERS[..]);
    let scalar = (name.clone(), scalar()).prop_map(|(name, value)| json!({name: value}));
    if depth == 0 {
        return prop::collection::vec(scalar, 0..4).prop_map(merged).boxed();
    }
    let inside = object(depth - 1);
    let complex = (prop::sample::select(&OBJECTS[..]), inside.clone());
    let member = prop_oneof![
        4 => scalar,
        2 => complex.clone().prop_map(|(name, value)| json!({name: value})),
        2 => (complex, inside.clone()).prop_map(|((name, one), two)| json!({name: [one, two]})),
        2 => (name.clone(), inside.clone()).prop_map(|(name, value)| json!({name: value})),
        1 => (name.clone(), inside.clone()).prop_map(|(name, value)| json!({name: [value]})),
        2 => (name.clone(), nested(depth - 1)).prop_map(|(name, value)| json!({format!("_{name}"): value})),
        1 => (name.clone(), nested(depth - 1)).prop_map(|(name, value)| json!({format!("_{name}"): [null, value]})),
        1 => (name, inside).prop_map(|(name, value)| json!({format!("_{name}"): value})),
        3 => nested(depth - 1),
    ];
    prop::collection::vec(member, 0..7).prop_map(merged).boxed()
}

fn merged(parts: Vec<Json>) -> Json {
    let members = parts.into_iter().flat_map(|part| part.as_object().unwrap().clone());
    Json::Object(members.collect::<Map<_, _>>())
}

fn shown(names: &NameList, cells: Cells<'_>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let cells = cells.map(|(column, value)| {
        let name = names.column(column);
        assert!(name.is_empty() || seen.insert(name.to_owned()), "{name} twice");
        match value {
            Value::List(inner) => format!("{name}: [{}]", shown(names, inner).join(", ")),
            Value::Record(inner) => format!("{name}: {{{}}}", shown(names, inner).join(", ")),
            value => format!("{name}: {value:?}"),
        }
    });
    cells.collect()
}

struct Worker {
    automatic: Automatic,
    names: Names,
}

impl Worker {
    fn new((arrays, decimals): (Arrays, Decimals)) -> Self {
        let extension_names = [("http://a.example/named".to_owned(), "named".to_owned())].into();
        let settings =
            Settings { arrays, decimals, extension_names, inline_binary_bytes: 30, ..Settings::default() };
        Self { automatic: Automatic::new(settings), names: Names::default() }
    }

    /// Returns the rows as text, or the code of the defect.
    fn rows(&mut self, text: &str) -> Result<Vec<String>, DefectCode> {
        let (mut tape, mut rows) = (Tape::default(), Rows::default());
        let document = tape.parse(text.as_bytes(), Limits::default()).unwrap();
        let resource = Resource::read(document.root()).unwrap();
        let links = Links::default();
        let outcome = self.automatic.flatten(
            &resource,
            &Context { key: "Patient/1", links: Some(&links) },
            &mut self.names,
            &mut rows,
        );
        outcome.map_err(|defect| defect.code)?;
        let names = self.names.list();
        Ok(rows
            .iter()
            .map(|row| {
                format!("{} {}: {:?}", names.table(row.table()), row.key(), shown(&names, row.cells()))
            })
            .collect())
    }
}

/// How arrays and decimals are written.
const SETTINGS: [(Arrays, Decimals); 3] = [
    (Arrays::Embedded, Decimals::Exact),
    (Arrays::Tables, Decimals::Exact),
    (Arrays::Embedded, Decimals::Double),
];

thread_local! {
    /// Workers that have met everything before.
    static SEASONED: RefCell<[Worker; 3]> = RefCell::new(SETTINGS.map(Worker::new));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_name_makes_a_resource_ambiguous(
        resource_type in prop::sample::select(&["Patient", "Observation", "Encounter", "Provenance", "Unheard"][..]),
        members in object(4),
    ) {
        let mut resource = members;
        resource["resourceType"] = json!(resource_type);
        resource["id"] = json!("1");
        let text = resource.to_string();
        for (at, settings) in SETTINGS.into_iter().enumerate() {
            let fresh = Worker::new(settings).rows(&text);
            prop_assert!(fresh != Err(DefectCode::AmbiguousColumn), "{text}");
            let seasoned = SEASONED.with_borrow_mut(|workers| workers.get_mut(at).unwrap().rows(&text));
            prop_assert_eq!(fresh, seasoned, "{}", text);
        }
    }
}
