//! Checks: what they find, what they set aside, and how their mistakes are told.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test stops where something is wrong")]

use std::sync::Arc;

use flatten::catalog::{Catalog, CatalogFlattener, Choices, Flattened, Tables};
use flatten::check::Severity;
use flatten::defect::{Defect, DefectCode};
use flatten::json::{Limits, Tape};
use flatten::links::Links;
use flatten::resource::Resource;
use flatten::row::Rows;

const CHECKS: &str = r#"[
  {"name":"has-name","type":"Patient","path":"name.exists()","severity":"reject","message":"a patient has a name"},
  {"type":"Patient","path":"birthDate > @1900","severity":"warn","message":"nobody is that old"},
  {"type":"Observation","path":"status = 'final'","severity":"reject","message":"final ones only"}]"#;

fn find(checks: &str, resource: &str) -> Result<Vec<(String, u64)>, Defect> {
    let (outcome, findings) = judge(checks, resource);
    outcome.map(|()| findings)
}

/// Returns whether a resource is loaded, and what checks have found either way.
fn judge(checks: &str, resource: &str) -> (Result<(), Defect>, Vec<(String, u64)>) {
    let checks = vec![("checks.json".to_owned(), checks.to_owned())];
    let catalog = Catalog::compile(Choices { checks, ..Choices::default() }).unwrap();
    let (mut flattener, mut tape, mut rows) =
        (CatalogFlattener::new(Arc::new(catalog)), Tape::default(), Rows::default());
    let document = tape.parse(resource.as_bytes(), Limits::default()).unwrap();
    let resource = Resource::read(document.root()).unwrap();
    let outcome = flattener.flatten(&resource, &resource.key(None, None), &Links::default(), &mut rows);
    assert_eq!(outcome.is_ok(), !rows.is_empty(), "a resource that is set aside has no rows");
    let outcome = outcome.map(|flattened| assert!(matches!(flattened, Flattened::Rows(_))));
    (outcome, flattener.findings().to_vec())
}

fn counts(found: &[(&str, u64)]) -> Vec<(String, u64)> {
    found.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

#[test]
fn own_checks_reject_or_warn_where_the_condition_is_false() {
    let patient = |members: &str| find(CHECKS, &format!(r#"{{"resourceType":"Patient"{members}}}"#));
    let named = r#","name":[{"family":"A"}]"#;
    assert_eq!(patient(named), Ok(counts(&[])), "what a condition says nothing about passes");
    assert_eq!(patient(&format!(r#"{named},"birthDate":"1950-01-01""#)), Ok(counts(&[])));
    assert_eq!(patient(&format!(r#"{named},"birthDate":"1850-01-01""#)), Ok(counts(&[("Patient-2", 1)])));
    let defect = patient("").unwrap_err();
    assert_eq!(
        (defect.code, defect.path.as_str(), defect.offset),
        (DefectCode::CheckFailed, "has-name", None)
    );
}

#[test]
fn every_check_is_counted_for_a_resource_that_is_set_aside() {
    let checks = r#"[
      {"name":"one","type":"Patient","path":"name.exists()","severity":"reject","message":"m"},
      {"name":"two","type":"Patient","path":"gender.exists()","severity":"warn","message":"m"},
      {"name":"three","type":"Patient","path":"id.exists()","severity":"warn","message":"m"},
      {"name":"four","type":"Patient","path":"birthDate.exists()","severity":"reject","message":"m"}]"#;
    let (outcome, found) = judge(checks, r#"{"resourceType":"Patient","id":"p"}"#);
    assert_eq!(outcome.unwrap_err().path, "one", "the first one is the reason");
    assert_eq!(found, counts(&[("one", 1), ("two", 1), ("four", 1)]));
    // What was asked before another defect is counted too.
    let (outcome, found) = judge(
        checks,
        r#"{"resourceType":"Patient","id":"p","name":[{}],"birthDate":"2020","maritalStatus":7}"#,
    );
    assert_eq!(outcome.unwrap_err().code, DefectCode::ObjectExpected);
    assert_eq!(found, counts(&[("two", 1)]));
}

#[test]
fn a_choice_is_found_under_a_name_with_escapes() {
    let checks = r#"[{"name":"valued","type":"Basic","path":"extension.value.exists()","severity":"warn","message":"m"}]"#;
    for (name, found) in [("value\\u0043ode", counts(&[])), ("valu", counts(&[("valued", 1)]))] {
        let resource = r#"{"resourceType":"Basic","code":{"text":"x"},"extension":[{"url":"u","NAME":"c"}]}"#;
        assert_eq!(find(checks, &resource.replace("NAME", name)), Ok(found), "{name}");
    }
}

#[test]
fn structural_checks_are_counted() {
    let patient = r#"{"resourceType":"Patient","id":"a_b","gender":"m","birthDate":"1950-02-30",
        "name":[{"use":"formal"}],"telecom":[{"system":"phone","use":"home"}],
        "meta":{"lastUpdated":"yesterday"},"deceasedDateTime":"2020-13-01",
        "managingOrganization":{"reference":"Organization/1 2"},"generalPractitioner":[{"reference":"Practitioner/1"}]}"#;
    assert_eq!(find("[]", patient), Ok(counts(&[("id", 1), ("date", 3), ("code", 2), ("reference", 1)])));
    let sound = r##"{"resourceType":"Observation","id":"a","status":"final","code":{"text":"x"},"effectiveDateTime":"2020-02","subject":{"reference":"#p"},
        "focus":[{"reference":"urn:uuid:00000000-0000-4000-8000-000000000001"},{"reference":"Patient?identifier=a|b"}],
        "valueQuantity":{"comparator":"<","value":1},"issued":"2020-02-01T00:00:00Z"}"##;
    assert_eq!(find("[]", sound), Ok(counts(&[])));
}

#[test]
fn what_stands_in_front_of_an_array_is_counted_once() {
    let period = r#""period":{"start":"2020-13"}"#;
    for (members, found) in [
        (format!(r#""name":[{{"use":"bad",{period}}}]"#), [("date", 1), ("code", 1)].as_slice()),
        (
            format!(r#""name":[{{"use":"bad",{period}}},{{"family":"B",{period}}}]"#),
            &[("date", 2), ("code", 1)],
        ),
        (
            format!(
                r#""identifier":[{{"use":"official","assigner":{{"identifier":{{"use":"bad",{period}}}}}}},{{}}]"#
            ),
            &[("date", 1), ("code", 1)],
        ),
        (r#""generalPractitioner":[{"reference":"a b"},{"reference":"c"}]"#.to_owned(), &[("reference", 1)]),
        (
            r#""maritalStatus":{"coding":[{"code":"M","_code":{"extension":[{"url":"u","valueDate":"x"}]}},{}]}"#
                .to_owned(),
            &[("date", 1)],
        ),
        (
            r#""extension":[{"url":"u","valuePeriod":{"start":"x"}},{"url":"u","valuePeriod":{"end":"2020"}}]"#
                .to_owned(),
            &[("date", 1)],
        ),
    ] {
        let patient = format!(r#"{{"resourceType":"Patient","id":"p",{members}}}"#);
        assert_eq!(find("[]", &patient), Ok(counts(found)), "{patient}");
    }
}

#[test]
fn values_that_are_not_of_their_type_are_counted() {
    for (resource, found) in [
        (r#""Patient","active":"yes","birthDate":5,"gender":true"#, [("value", 3)].as_slice()),
        (r#""Patient","name":[{"given":["A",5,null,false]}]"#, &[("value", 2)]),
        (r#""Patient","multipleBirthInteger":"2""#, &[("value", 1)]),
        (r#""Patient","multipleBirthInteger":1.5"#, &[("value", 1)]),
        (r#""Patient","multipleBirthInteger":-1,"nobodyKnows":true,"norThis":[1,"a",false]"#, &[]),
        (r#""Patient","photo":[{"size":5000000000}]"#, &[]),
        (r#""Patient","telecom":[{"rank":0}]"#, &[("value", 1)]),
        (r#""Patient","telecom":[{"rank":-5}]"#, &[("value", 1)]),
        (r#""Bundle","type":"searchset","total":0"#, &[]),
        (r#""Bundle","type":"searchset","total":-5"#, &[("value", 1)]),
        (r#""Claim","item":[{"sequence":1,"careTeamSequence":[1,0,"2",2.5]}]"#, &[("value", 2)]),
    ] {
        let text = format!(r#"{{"resourceType":{resource}}}"#);
        let mut all = find("[]", &text).unwrap();
        all.retain(|(check, _)| check != "mandatory");
        assert_eq!(all, counts(found), "{text}");
    }
}

#[test]
fn times_of_day_are_checked_like_dates() {
    for (members, found) in [
        (r#""valueTime":"23:59:59.5""#, [].as_slice()),
        (r#""valueTime":"25:99""#, &[("date", 1)]),
        (r#""valueTime":7"#, &[("value", 1)]),
        (
            r#""extension":[{"url":"u","valueTime":"noon"},{"url":"u","valueTime":"12:00:00"}]"#,
            &[("date", 1)],
        ),
        (r#""extension":[{"url":"u","valueDate":"2020-13"},{"url":"u","valueDate":"2020"}]"#, &[("date", 1)]),
        (r#""effectiveTiming":{"event":["2020-13",5]}"#, &[("value", 1)]),
        (r#""effectiveTiming":{"repeat":{"timeOfDay":["08:00:00","8:00"]}}"#, &[("date", 1)]),
    ] {
        let head = r#""resourceType":"Observation","status":"final","code":{"text":"x"}"#;
        let text = format!("{{{head},{members}}}");
        assert_eq!(find("[]", &text), Ok(counts(found)), "{text}");
    }
}

#[test]
fn mandatory_elements_that_miss_are_counted() {
    for (resource, missing) in [
        (r#"{"resourceType":"Observation"}"#, 2),
        (r#"{"resourceType":"Observation","status":"final","code":{"text":"x"}}"#, 0),
        (
            r#"{"resourceType":"Observation","status":null,"code":{"text":"x"},"component":[{"code":{"text":"x"}}]}"#,
            1,
        ),
        (
            r#"{"resourceType":"Observation","_status":{"extension":[{"url":"u","valueCode":"unknown"}]},"code":{"text":"x"}}"#,
            0,
        ),
        // What one release calls so and another otherwise.
        (r#"{"resourceType":"Condition","patient":{"reference":"Patient/1"}}"#, 0),
        (r#"{"resourceType":"Condition","subject":{"reference":"Patient/1"}}"#, 0),
        (r#"{"resourceType":"Condition","code":{"text":"x"}}"#, 1),
        (
            r#"{"resourceType":"MedicationRequest","intent":"order","subject":{"reference":"Patient/1"},"medicationReference":{"reference":"Medication/1"}}"#,
            0,
        ),
        (
            r#"{"resourceType":"MedicationRequest","intent":"order","subject":{"reference":"Patient/1"},"medication":{"concept":{"text":"x"}}}"#,
            0,
        ),
        (r#"{"resourceType":"MedicationRequest","intent":"order","subject":{"reference":"Patient/1"}}"#, 1),
        // A contained resource is not checked, nor does it stand for its container.
        (r#"{"resourceType":"Basic","contained":[{"resourceType":"Observation","code":{"text":"x"}}]}"#, 1),
        (
            r#"{"resourceType":"Bundle","entry":[{"response":{"outcome":{"resourceType":"OperationOutcome","issue":[]}}}]}"#,
            1,
        ),
        (r#"{"resourceType":"Patient"}"#, 0),
    ] {
        let expected = if missing == 0 { counts(&[]) } else { counts(&[("mandatory", missing)]) };
        assert_eq!(find("[]", resource), Ok(expected), "{resource}");
    }
}

#[test]
fn structural_checks_are_made_where_only_views_are_filled() {
    let view = r#"{"name":"v","resource":"Patient","select":[{"column":[{"name":"id","path":"id"}]}]}"#;
    let views = vec![("v.json".to_owned(), view.to_owned())];
    let choices = Choices { views, tables: Tables::Views, ..Choices::default() };
    let mut flattener = CatalogFlattener::new(Arc::new(Catalog::compile(choices).unwrap()));
    for (text, found, tables) in [
        (
            r#"{"resourceType":"Patient","id":"p","birthDate":"1950-02-30"}"#,
            counts(&[("date", 1)]),
            vec!["v"],
        ),
        // What automatic rows could not take is not asked of views.
        (r#"{"resourceType":"Patient","id":"p","maritalStatus":7}"#, counts(&[]), vec!["v"]),
        (r#"{"resourceType":"Observation","id":"o"}"#, counts(&[("mandatory", 2)]), vec![]),
    ] {
        let (mut tape, mut rows) = (Tape::default(), Rows::default());
        let document = tape.parse(text.as_bytes(), Limits::default()).unwrap();
        let resource = Resource::read(document.root()).unwrap();
        flattener.flatten(&resource, &resource.key(None, None), &Links::default(), &mut rows).unwrap();
        assert_eq!(flattener.findings(), found, "{text}");
        let names = flattener.names();
        assert_eq!(rows.iter().map(|row| names.table(row.table())).collect::<Vec<_>>(), tables, "{text}");
    }
}

#[test]
fn structural_checks_are_made_of_what_is_archived() {
    let inactive = vec!["Patient where active = false".to_owned()];
    let choices = Choices { inactive, ..Choices::default() };
    let mut flattener = CatalogFlattener::new(Arc::new(Catalog::compile(choices).unwrap()));
    for (text, found) in [
        (
            r#"{"resourceType":"Patient","id":"p","active":false,"birthDate":"1950-02-30"}"#,
            counts(&[("date", 1)]),
        ),
        (r#"{"resourceType":"Patient","id":"p","active":false,"maritalStatus":7}"#, counts(&[])),
        (r#"{"resourceType":"NobodyKnows","id":"a_b"}"#, counts(&[("id", 1)])),
    ] {
        let (mut tape, mut rows) = (Tape::default(), Rows::default());
        let document = tape.parse(text.as_bytes(), Limits::default()).unwrap();
        let resource = Resource::read(document.root()).unwrap();
        let outcome = flattener.flatten(&resource, &resource.key(None, None), &Links::default(), &mut rows);
        assert!(matches!(outcome, Ok(Flattened::Archived)), "{text}");
        assert!(rows.is_empty() && rows.bytes() == 0, "{text}");
        assert_eq!(flattener.findings(), found, "{text}");
    }
}

#[test]
fn every_mistake_is_told_at_once() {
    let text = r#"[{"type":"Patient","path":"name.nosuch()","severity":"stop","message":"m"},
        {"type":"patient","path":"true","severity":"warn"},{"type":"Patient","path":"name","severity":"warn","message":"m"},
        {"name":"a b","type":"Patient","path":"true","severity":"warn","message":"m","colour":1},
        {"name":"mandatory","type":"Patient","path":"true","severity":"warn","message":"m"},
        {"name":"twin","type":"Patient","path":"true","severity":"warn","message":"m"},
        {"name":"twin","type":"Patient","path":"true","severity":"warn","message":"m"}]"#;
    let checks = vec![("a.json".to_owned(), text.to_owned()), ("b.json".to_owned(), "{".to_owned())];
    let gates = Some(r#"{"max_reject_ratio":"x"}"#.to_owned());
    let told = Catalog::compile(Choices { checks, gates, ..Choices::default() }).unwrap_err().to_string();
    for part in [
        "a.json: check 1: `severity`",
        "a.json: check 1: `path`",
        "a.json: check 2: `message`",
        "a.json: check 2: `type`",
        "a.json: check 3: `path`",
        "a.json: check 4: `name`",
        "a.json: check 4: `colour`",
        "a.json: check 5: `name` is a structural check's: these are called `id`, `date`, `code`, `reference`, `mandatory`, `value`, `future`",
        "a.json: two checks are called `twin`",
        "b.json: no JSON at line 1",
        "gates: `max_reject_ratio`",
    ] {
        assert!(told.contains(part), "{part} is missing in:\n{told}");
    }
}

#[test]
fn a_catalog_lists_its_checks() {
    let checks = vec![("checks.json".to_owned(), CHECKS.to_owned())];
    let catalog = Catalog::compile(Choices { checks, ..Choices::default() }).unwrap();
    let listed = catalog.checks().iter().map(|check| (check.name(), check.severity(), check.message()));
    assert_eq!(listed.clone().count(), 3);
    assert!(listed.clone().any(|check| check == ("has-name", Severity::Reject, "a patient has a name")));
    assert!(catalog.gates().is_empty());
    let other = Catalog::compile(Choices::default()).unwrap();
    assert_ne!(catalog.fingerprint(), other.fingerprint(), "other checks are another catalog");
}
