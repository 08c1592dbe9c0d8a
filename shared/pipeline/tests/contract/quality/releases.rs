//! Elements whose datatype differs between releases: a concept or a reference in R4 is a `CodeableReference` in R5.

use flatten::automatic::{Arrays, Settings};
use serde_json::{Value, json};

use super::defects::Expected;
use super::{counts, find_in_both};

fn order(id: &str, code: &Value) -> Value {
    json!({"resourceType": "ServiceRequest", "id": id, "status": "active", "intent": "order", "code": code,
        "subject": {"reference": "Patient/p"}})
}

fn charge(id: &str, service: &Value) -> Value {
    let code = json!({"text": "a charge"});
    json!({"resourceType": "ChargeItem", "id": id, "status": "billable", "code": code, "service": service,
        "subject": {"reference": "Patient/p"}})
}

fn slots(id: &str, kind: &Value) -> Value {
    json!({"resourceType": "Schedule", "id": id, "serviceType": kind, "actor": [{"reference": "Patient/p"}]})
}

fn expected(of: &[(&'static str, &str, &str, u64)]) -> Expected {
    let entry = |(check, table, column, count): &(&'static str, &str, &str, u64)| {
        ((*check, (*table).to_owned(), (*column).to_owned()), *count)
    };
    of.iter().map(entry).collect()
}

/// Returns what R4 calls by these names.
fn of_r4() -> Vec<Value> {
    let without_system = json!({"coding": [{"code": "1"}]});
    vec![
        json!({"resourceType": "Patient", "id": "p"}),
        order("r4-1", &without_system),
        order("r4-2", &json!({"coding": [{"system": "urn:codes", "code": "1"}]})),
        charge("r4-1", &json!([{"display": "a visit"}])),
        charge("r4-2", &json!([{"reference": "Procedure/gone"}])),
        slots("r4-1", &json!([without_system])),
        slots("r4-2", &json!([without_system, without_system])),
    ]
}

/// Returns what R5 calls by these names.
fn of_r5() -> Vec<Value> {
    let without_system = json!({"coding": [{"code": "1"}]});
    vec![
        json!({"resourceType": "Patient", "id": "p"}),
        order("r5-1", &json!({"concept": without_system})),
        order("r5-2", &json!({"concept": {"coding": [{"system": "urn:codes", "code": "1"}]}})),
        charge("r5-1", &json!([{"reference": {"display": "a visit"}}])),
        charge("r5-2", &json!([{"reference": {"reference": "Procedure/gone"}}])),
        charge("r5-3", &json!([{"reference": {"reference": "Procedure/gone"}}, {"concept": without_system}])),
        slots("r5-1", &json!([{"concept": without_system}])),
    ]
}

#[tokio::test]
async fn concepts_and_references_of_r4_are_checked() {
    let found = counts(&find_in_both(&of_r4(), &Settings::default()).await);
    let expected = expected(&[
        ("code-without-system", "ServiceRequest", "code", 1),
        ("code-without-system", "Schedule", "serviceType", 2),
        ("reference-without-target", "ChargeItem", "service", 1),
        ("dangling-reference", "ChargeItem", "service_keys", 1),
    ]);
    assert_eq!(found, expected);
}

#[tokio::test]
async fn codeable_references_of_r5_are_counted_once() {
    let of_r5 = of_r5();
    let found = counts(&find_in_both(&of_r5, &Settings::default()).await);
    let of_lists = expected(&[
        ("code-without-system", "ServiceRequest", "code_concept", 1),
        ("code-without-system", "Schedule", "serviceType_concept", 1),
        ("code-without-system", "ChargeItem", "service.concept", 1),
        ("reference-without-target", "ChargeItem", "service_reference", 1),
        ("dangling-reference", "ChargeItem", "service.reference_key", 2),
    ]);
    assert_eq!(found, of_lists);
    let settings = Settings { arrays: Arrays::Tables, ..Settings::default() };
    let found = counts(&find_in_both(&of_r5, &settings).await);
    let of_tables = expected(&[
        ("code-without-system", "ServiceRequest_code_concept_coding", "coding", 1),
        ("code-without-system", "Schedule_serviceType_concept_coding", "coding", 1),
        ("code-without-system", "ChargeItem_service_concept_coding", "coding", 1),
        ("reference-without-target", "ChargeItem_service", "reference", 1),
        ("dangling-reference", "ChargeItem_service", "reference_key", 2),
    ]);
    assert_eq!(found, of_tables);
}

#[tokio::test]
async fn both_releases_stand_in_one_table() {
    let both: Vec<Value> = of_r4().into_iter().chain(of_r5().split_off(1)).collect();
    let found = counts(&find_in_both(&both, &Settings::default()).await);
    let sum = |check| found.iter().filter(|((of, ..), _)| *of == check).map(|(_, count)| count).sum::<u64>();
    let checks = ["code-without-system", "reference-without-target", "dangling-reference"];
    assert_eq!(checks.map(sum), [6, 2, 3], "{found:?}");
}
