//! The deployments that histories are loaded by.

use std::sync::{Arc, OnceLock};

use flatten::automatic::{Arrays, Settings};
use flatten::catalog::{Catalog, Choices, Tables};

/// How many there are.
pub(crate) const COUNT: usize = 5;

/// One row a patient, one a name of it; a family that has to be the only one; one a component.
const VIEWS: [&str; 4] = [
    r#"{"name":"patients","resource":"Patient","select":[{"column":[
        {"name":"id","path":"getResourceKey()"},{"name":"gender","path":"gender"}]}]}"#,
    r#"{"name":"patient_name","resource":"Patient","select":[{"forEach":"name","column":[
        {"name":"family","path":"family"},{"name":"given","path":"given","collection":true}]}]}"#,
    r#"{"name":"one_family","resource":"Patient","select":[{"column":[{"name":"family","path":"name.family"}]}]}"#,
    r#"{"name":"component","resource":"Observation","select":[{"column":[
        {"name":"subject","path":"subject.getReferenceKey(Patient)"},{"name":"any","path":"subject.getReferenceKey()"}]},
        {"forEachOrNull":"component","column":[{"name":"value","path":"value.ofType(Quantity).value"}]}]}"#,
];

/// Returns the deployment of that number, compiled once.
pub(crate) fn catalog(number: usize) -> Arc<Catalog> {
    static CATALOGS: OnceLock<Vec<Arc<Catalog>>> = OnceLock::new();
    let catalogs = CATALOGS.get_or_init(|| {
        choices().into_iter().map(|choices| Arc::new(Catalog::compile(choices).unwrap())).collect()
    });
    Arc::clone(&catalogs[number])
}

fn choices() -> [Choices; COUNT] {
    [
        Choices { tables: Tables::Automatic, ..Choices::default() },
        Choices { tables: Tables::Views, views: views(), ..Choices::default() },
        Choices { views: views(), inactive: inactive(), checks: checks(), ..Choices::default() },
        Choices {
            tables: Tables::Automatic,
            automatic: Settings { arrays: Arrays::Tables, ..Settings::default() },
            inactive: inactive(),
            ..Choices::default()
        },
        Choices {
            views: views(),
            checks: checks(),
            gates: Some(r#"{"max_reject_ratio":0.3}"#.to_owned()),
            ..Choices::default()
        },
    ]
}

/// Returns whether it takes all that an earlier one has taken. What a new check or gate refuses was not refused before,
/// and stands as it was.
pub(crate) fn takes_all(number: usize, earlier: usize) -> bool {
    let ([new, old], all) = ([number, earlier].map(catalog), choices());
    let is_checked = |number: usize| all.get(number).is_some_and(|choices| !choices.checks.is_empty());
    (new.gates().is_empty() || !old.gates().is_empty()) && (is_checked(earlier) || !is_checked(number))
}

fn views() -> Vec<(String, String)> {
    VIEWS.iter().map(|text| ("view.json".to_owned(), (*text).to_owned())).collect()
}

fn inactive() -> Vec<String> {
    ["AuditEvent", "Patient where active = false", "Observation where status = 'cancelled'"]
        .map(str::to_owned)
        .into()
}

fn checks() -> Vec<(String, String)> {
    let checks = r#"[
        {"name":"gender","type":"Patient","path":"gender != 'refused'","severity":"reject","message":"m"},
        {"name":"named","type":"Patient","path":"name.exists()","severity":"warn","message":"m"}]"#;
    vec![("checks.json".to_owned(), checks.to_owned())]
}
