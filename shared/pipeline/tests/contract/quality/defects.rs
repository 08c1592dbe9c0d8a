//! Defects that are put into the clinic, each at a known number of resources, with what the checks must count of them.
//!
//! A resource gets one defect. Where one defect is another one by definition too, it says so.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::clinic::{BUSY_PATIENTS, Clinic, DECEASED_PATIENTS, LOINC, UCUM};

/// How many rows each check must count: by check, table and column.
pub(super) type Expected = BTreeMap<(&'static str, String, String), u64>;

/// What happens to one resource.
type Change = fn(&mut Value, usize);

/// A defect of single resources: their type, how many, what happens to them, and the checks and columns that count it.
type Defect = (&'static str, usize, Change, &'static [(&'static str, &'static str)]);

const DEFECTS: &[Defect] = &[
    (
        "Observation",
        7,
        |o, _| drop(remove(o, "/code/coding/0", "system")),
        &[("code-without-system", "code")],
    ),
    (
        "Observation",
        3,
        |o, _| push(o, "/code/coding", json!({"code": "X"})),
        &[("code-without-system", "code")],
    ),
    (
        "Observation",
        4,
        |o, _| push(o, "/category", json!({"coding": [{"code": "lab"}]})),
        &[("code-without-system", "category")],
    ),
    (
        "Observation+component",
        5,
        |o, _| drop(remove(o, "/component/0/code/coding/0", "system")),
        &[("code-without-system", "component.code")],
    ),
    ("Observation", 5, |o, _| drop(remove(o, "/code/coding/0", "code")), &[("system-without-code", "code")]),
    ("Encounter", 4, |o, _| drop(remove(o, "/class", "code")), &[("system-without-code", "class")]),
    (
        "Observation",
        6,
        |o, _| put(o, "/code/coding/0", json!({"display": "Something"})),
        &[("display-without-code", "code")],
    ),
    (
        "Observation",
        5,
        |o, _| drop(remove(o, "/valueQuantity", "value")),
        &[("unit-without-value", "valueQuantity")],
    ),
    (
        "Observation",
        4,
        |o, _| {
            remove(o, "/valueQuantity", "unit");
            remove(o, "/valueQuantity", "code");
        },
        &[("value-without-unit", "valueQuantity")],
    ),
    (
        "Observation+component",
        3,
        |o, _| {
            remove(o, "/component/0/valueQuantity", "unit");
            remove(o, "/component/0/valueQuantity", "code");
        },
        &[("value-without-unit", "component.valueQuantity")],
    ),
    (
        "MedicationRequest",
        4,
        |o, _| put(o, "/dosageInstruction/0/doseAndRate/0/doseQuantity", json!({"value": 2})),
        &[("value-without-unit", "dosageInstruction.doseAndRate.doseQuantity")],
    ),
    (
        "Observation",
        6,
        |o, _| drop(remove(o, "/valueQuantity", "system")),
        &[("unit-code-without-system", "valueQuantity")],
    ),
    (
        "Observation",
        4,
        |o, _| put(o, "/valueQuantity/code", "mm Hg".into()),
        &[("invalid-ucum-code", "valueQuantity"), ("mixed-units", "valueQuantity")],
    ),
    (
        "Condition+onsetAge",
        5,
        |o, _| put(o, "/onsetAge/value", json!(-1)),
        &[("negative-quantity", "onsetAge")],
    ),
    (
        "Observation+percent",
        6,
        |o, _| put(o, "/valueQuantity/value", json!(400)),
        &[("percent-above-100", "valueQuantity")],
    ),
    (
        "Observation",
        5,
        |o, _| {
            put(o, "/valueQuantity/code", "oz".into());
            put(o, "/valueQuantity/unit", "oz".into());
        },
        &[("mixed-units", "valueQuantity")],
    ),
    (
        "Observation",
        4,
        |o, _| put(o, "/valueQuantity/value", json!(90_000_000)),
        &[("value-outlier", "valueQuantity")],
    ),
    (
        "Observation",
        3,
        |o, _| put(o, "/valueQuantity/value", json!(0.0001)),
        &[("value-outlier", "valueQuantity")],
    ),
    (
        "Patient",
        6,
        |o, _| put(o, "/birthDate", "2031-05-05".into()),
        &[("birth-date-in-future", "birthDate")],
    ),
    (
        "Patient",
        5,
        |o, _| put(o, "/birthDate", "1850-05-05".into()),
        &[("birth-date-too-early", "birthDate")],
    ),
    (
        "Patient",
        4,
        |o, _| put(o, "/deceasedDateTime", "1920".into()),
        &[("death-before-birth", "deceasedDateTime")],
    ),
    (
        "Encounter",
        5,
        |o, _| put(o, "/period/end", "2024-12-31T23:59:00Z".into()),
        &[("period-reversed", "period")],
    ),
    (
        "Patient",
        3,
        |o, _| put(o, "/address/0/period/end", "2018".into()),
        &[("period-reversed", "address_period")],
    ),
    (
        "Condition",
        6,
        |o, _| put(o, "/recordedDate", "2026-06-19".into()),
        &[("date-in-future", "recordedDate")],
    ),
    (
        "Observation",
        4,
        |o, _| put(o, "/issued", "2027-01-01T10:00:00Z".into()),
        &[("date-in-future", "issued")],
    ),
    (
        "Patient",
        4,
        |o, _| put(o, "/meta/lastUpdated", "2026-12-01T10:00:00Z".into()),
        &[("last-updated-in-future", "meta_lastUpdated")],
    ),
    (
        "Condition+onsetAge",
        5,
        |o, _| {
            remove(o, "", "onsetAge");
            put(o, "/onsetDateTime", "1911".into());
        },
        &[("before-birth", "onsetDateTime")],
    ),
    (
        "DiagnosticReport",
        6,
        |o, _| put(o, "/issued", "2023-12-31T10:00:00Z".into()),
        &[("issued-before-effective", "effectiveDateTime")],
    ),
    (
        "Encounter",
        4,
        |o, n| {
            put(
                o,
                "/subject/reference",
                format!("Patient/pat{}", BUSY_PATIENTS + n % DECEASED_PATIENTS).into(),
            )
        },
        &[("after-death", "period_start")],
    ),
    ("Encounter", 6, |o, _| drop(remove(o, "/period", "end")), &[("finished-without-end", "period_end")]),
    (
        "Encounter",
        3,
        |o, _| {
            put(o, "/status", "in-progress".into());
            put(o, "/period", json!({"start": "2025-06-01"}));
        },
        &[("open-too-long", "period_start")],
    ),
    ("Observation", 5, |o, _| put(o, "/status", "cancelled".into()), &[("cancelled-with-result", "status")]),
    (
        "MedicationRequest",
        7,
        |o, _| drop(remove(o, "", "dosageInstruction")),
        &[("medication-without-dose", "dosageInstruction")],
    ),
    (
        "Patient",
        5,
        |o, _| push(o, "/identifier", json!({"value": "7"})),
        &[("identifier-without-system", "identifier")],
    ),
    (
        "Patient",
        3,
        |o, _| put(o, "/identifier", json!([{"value": "8"}])),
        &[("identifier-without-system", "identifier")],
    ),
    (
        "Patient",
        4,
        |o, _| push(o, "/identifier", json!({"system": "urn:example:empty"})),
        &[("identifier-without-value", "identifier")],
    ),
    (
        "Patient",
        8,
        |o, n| {
            push(o, "/identifier", json!({"system": "urn:example:mrn", "value": format!("twice{}", n / 2)}))
        },
        &[("duplicate-identifier", "identifier")],
    ),
    (
        "Observation",
        5,
        |o, _| put(o, "/subject/reference", "Patient/nobody".into()),
        &[("dangling-reference", "subject_key")],
    ),
    (
        "Observation",
        4,
        |o, n| put(o, "/encounter/reference", format!("Encounter/none{n}").into()),
        &[("dangling-reference", "encounter_key")],
    ),
    (
        "Observation",
        3,
        |o, _| put(o, "/performer/1/reference", "Organization/closed".into()),
        &[("dangling-reference", "performer_keys")],
    ),
    (
        "Encounter",
        4,
        |o, _| put(o, "/participant/0/individual/reference", "Practitioner/gone".into()),
        &[("dangling-reference", "participant.individual_key")],
    ),
    (
        "Condition",
        4,
        |o, _| put(o, "/encounter/reference", "Patient/pat1".into()),
        &[("wrong-reference-type", "encounter")],
    ),
    (
        "Encounter",
        5,
        |o, _| put(o, "/serviceProvider", json!({"display": "Ward"})),
        &[("reference-without-target", "serviceProvider")],
    ),
    (
        "Observation",
        3,
        |o, _| push(o, "/performer", json!({"display": "Dr Holm"})),
        &[("reference-without-target", "performer")],
    ),
    ("Procedure", 6, |o, _| drop(remove(o, "", "subject")), &[("missing-subject", "subject")]),
    ("Immunization", 4, |o, _| drop(remove(o, "", "patient")), &[("missing-subject", "patient")]),
    ("Encounter", 5, |o, _| drop(remove(o, "", "status")), &[("missing-mandatory", "status")]),
    ("MedicationRequest", 4, |o, _| drop(remove(o, "", "intent")), &[("missing-mandatory", "intent")]),
    ("Observation", 6, |o, _| put(o, "/status", "done".into()), &[("status-outside-value-set", "status")]),
    ("Patient", 5, |o, _| put(o, "/gender", "m".into()), &[("gender-outside-value-set", "gender")]),
    (
        "Patient",
        4,
        |o, _| push(o, "/telecom", json!({"value": "017"})),
        &[("telecom-without-system", "telecom")],
    ),
    (
        "Patient",
        5,
        |o, _| put(o, "/telecom/1/value", "maja at example.org".into()),
        &[("malformed-email", "telecom")],
    ),
    (
        "Patient",
        3,
        |o, _| put(o, "/telecom/0/value", "ask the daughter".into()),
        &[("malformed-phone", "telecom")],
    ),
    (
        "Patient",
        6,
        |o, _| drop(remove(o, "/address/0", "country")),
        &[("address-without-country", "address")],
    ),
    (
        "Patient",
        4,
        |o, _| drop(remove(o, "/address/0", "postalCode")),
        &[("address-without-postal-code", "address")],
    ),
    ("Patient", 3, |o, _| push(o, "/name", json!({"use": "old"})), &[("name-without-parts", "name")]),
    ("Patient", 5, |o, _| put(o, "/address/0/city", " \t".into()), &[("blank-text", "address_city")]),
    ("Condition", 4, |o, _| put(o, "/code/text", "".into()), &[("blank-text", "code_text")]),
    (
        "Patient",
        4,
        |o, _| put(o, "/address/0/line/0", "Stra\u{fffd}e 1".into()),
        &[("replacement-character", "address_line")],
    ),
    ("Patient", 5, |o, _| put(o, "/name/0/family", "MÃ¼ller".into()), &[("wrong-encoding", "name_family")]),
    ("Patient", 3, |o, _| put(o, "/name/0/family", "Test".into()), &[("placeholder-name", "name")]),
    ("Patient", 2, |o, _| put(o, "/name/0/given/1", "UNKNOWN".into()), &[("placeholder-name", "name")]),
];

/// Immunizations at midnight: more than half of those with a time.
const MIDNIGHTS: usize = 120;

/// Returns the clinic with all defects, and what must be found.
pub(super) fn with_defects(seed: u64) -> (Vec<Value>, Expected) {
    let (mut resources, mut expected) = (Clinic::new(seed).resources, Expected::new());
    let mut is_taken = vec![false; resources.len()];
    for (kind, count, change, checks) in DEFECTS {
        let fits = |resource: &Value| is_of(resource, kind);
        let places: Vec<usize> =
            (0..resources.len()).filter(|&at| !is_taken[at] && fits(&resources[at])).take(*count).collect();
        assert_eq!(places.len(), *count, "the clinic is too small for {checks:?}");
        for (number, at) in places.into_iter().enumerate() {
            is_taken[at] = true;
            change(&mut resources[at], number);
        }
        for (check, column) in *checks {
            add(&mut expected, check, table_of(kind), column, *count as u64);
        }
    }
    let free = |kind: &str, is_taken: &[bool], resources: &[Value]| -> Vec<usize> {
        (0..resources.len()).filter(|&at| !is_taken[at] && is_of(&resources[at], kind)).collect()
    };
    for at in free("Immunization", &is_taken, &resources).into_iter().take(MIDNIGHTS) {
        is_taken[at] = true;
        let day = resources[at]["occurrenceDateTime"].as_str().unwrap().to_owned();
        resources[at]["occurrenceDateTime"] = format!("{day}T00:00:00+02:00").into();
    }
    add(&mut expected, "midnight-times", "Immunization", "occurrenceDateTime", MIDNIGHTS as u64);
    for at in free("Observation", &is_taken, &resources).into_iter().take(4) {
        let mut again = resources[at].clone();
        again["id"] = format!("again{at}").into();
        resources.push(again);
    }
    add(&mut expected, "repeated-resource", "Observation", "code_code", 8);
    for number in 0..6 {
        let (id, family) = (format!("twin{number}"), format!("Berg{}", number % 3));
        resources
            .push(json!({"resourceType": "Patient", "id": id, "gender": "female", "birthDate": "1999-01-01",
            "name": [{"family": family, "given": ["Ida"]}]}));
    }
    add(&mut expected, "duplicate-patient", "Patient", "name_family", 6);
    (resources, expected)
}

fn add(expected: &mut Expected, check: &'static str, table: &str, column: &str, count: u64) {
    *expected.entry((check, table.to_owned(), column.to_owned())).or_default() += count;
}

fn table_of(kind: &str) -> &str {
    kind.split('+').next().unwrap_or(kind)
}

/// Returns whether a resource is of a kind: a type, and perhaps what it must have. Only patients without other
/// resources get defects, so that these are none of the others.
fn is_of(resource: &Value, kind: &str) -> bool {
    let is_spare = || {
        let number = resource["id"].as_str().and_then(|id| id.strip_prefix("pat")?.parse::<usize>().ok());
        number.is_some_and(|number| number >= BUSY_PATIENTS + DECEASED_PATIENTS)
    };
    resource["resourceType"] == table_of(kind)
        && match kind {
            "Patient" => is_spare(),
            "Observation" => resource["valueQuantity"]["code"] == "g/dL",
            "Observation+percent" => resource["valueQuantity"]["code"] == "%",
            "Observation+component" => resource.get("component").is_some(),
            "Condition+onsetAge" => resource.get("onsetAge").is_some(),
            _ => true,
        }
}

/// Sets the value at a pointer, whose last step may be new.
fn put(resource: &mut Value, pointer: &str, value: Value) {
    if let Some(standing) = resource.pointer_mut(pointer) {
        *standing = value;
        return;
    }
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    resource.pointer_mut(parent).unwrap()[name] = value;
}

fn push(resource: &mut Value, pointer: &str, value: Value) {
    resource.pointer_mut(pointer).unwrap().as_array_mut().unwrap().push(value);
}

fn remove(resource: &mut Value, pointer: &str, name: &str) -> Option<Value> {
    let removed = resource.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(name);
    assert!(removed.is_some(), "{pointer} has no {name}");
    removed
}

/// Returns what must be found where lists are tables of their own.
pub(super) fn in_child_tables(expected: Expected) -> Expected {
    let places = expected.into_iter().map(|((check, table, column), count)| {
        let (table, column) = match (&*table, &*column) {
            ("Observation", "code") => ("Observation_code_coding", "coding"),
            ("Observation", "category") => ("Observation_category_coding", "coding"),
            ("Observation", "component.code") => ("Observation_component_code_coding", "coding"),
            ("Observation", "component.valueQuantity") => ("Observation_component", "valueQuantity"),
            ("Observation", "performer") => ("Observation_performer", "performer"),
            ("Observation", "performer_keys") => ("Observation_performer", "key"),
            ("Encounter", "participant.individual_key") => ("Encounter_participant", "individual_key"),
            ("MedicationRequest", "dosageInstruction.doseAndRate.doseQuantity") => {
                ("MedicationRequest_dosageInstruction_doseAndRate", "doseQuantity")
            }
            ("Patient", "identifier") if check != "duplicate-identifier" => {
                ("Patient_identifier", "identifier")
            }
            ("Patient", "telecom") => ("Patient_telecom", "telecom"),
            ("Patient", "name") => ("Patient_name", "name"),
            ("Patient", "address") => ("Patient_address", "address"),
            ("Patient", "address_period") => ("Patient_address", "period"),
            ("Patient", "address_city") => ("Patient_address", "city"),
            ("Patient", "address_line") => ("Patient_address", "line"),
            ("Patient", "name_family") if check != "duplicate-patient" => ("Patient_name", "family"),
            (table, column) => (table, column),
        };
        ((check, table.to_owned(), column.to_owned()), count)
    });
    places.collect()
}

/// Puts a text into every string that may have any.
pub(super) fn with_canaries(resources: &mut [Value], canary: &str) {
    for resource in resources {
        let kind = resource["resourceType"].clone();
        add_canary(resource, canary);
        resource["resourceType"] = kind;
    }
}

fn add_canary(value: &mut Value, canary: &str) {
    match value {
        Value::String(text) => {
            let known = [LOINC, UCUM, "urn:example:mrn", "email", "phone", "final", "finished", "active"];
            // References keep their form, so that they are followed.
            if !known.contains(&text.as_str()) && !text.starts_with(|first: char| first.is_ascii_digit()) {
                text.push_str(canary);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| add_canary(item, canary)),
        Value::Object(members) => members.values_mut().for_each(|member| add_canary(member, canary)),
        _ => {}
    }
}
