//! Which version of a resource is newer: by what records, entries, Bundles and their keeper say of their times, whatever
//! a message claims.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a test stops where something is wrong")]

use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use flatten::catalog::Catalog;
use flatten::time::moment;
use mongodb_store::simulation::{SimulatedMongo, State};
use pipeline::ledger::{Ledger, Status};
use pipeline::load::{Job, Loaded, Pipeline, PipelineLimits};
use pipeline::object::{ObjectRef, Pin};
use pipeline::source::Storage;

/// A database that is fed file after file.
struct Fed {
    store: Arc<SimulatedMongo>,
    ledger: Ledger,
    files: u64,
}

impl Fed {
    fn new() -> Self {
        Self { store: Arc::new(SimulatedMongo::default()), ledger: Ledger::memory(), files: 0 }
    }

    /// Loads a file that was last changed at `modified`, announced by a message that says `told`.
    async fn load_told(&mut self, modified: &str, told: i64, text: &str) -> Loaded {
        self.files += 1;
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let milliseconds = moment(modified).unwrap().milliseconds();
        file.as_file()
            .set_modified(UNIX_EPOCH + Duration::from_millis(milliseconds.try_into().unwrap()))
            .unwrap();
        let object = ObjectRef {
            bucket: "clinic".into(),
            key: format!("in/{}.json", self.files),
            pin: Pin::VersionId("v1".into()),
            sequencer: None,
            created: told,
            size: None,
        };
        let pipeline = Pipeline {
            storage: Storage::File(file.path().to_owned()),
            catalog: Arc::new(Catalog::default()),
            store: self.store.clone(),
            limits: PipelineLimits::default(),
        };
        let job = Job {
            owner: "a".into(),
            again: false,
            by: None,
            deadline: None,
            is_cancelled: None,
            read_turns: None,
            clock: || 0,
            progress: &|_| {},
        };
        let object = Arc::new(object);
        let loaded = pipeline.load(&self.ledger, &object, &job).await.unwrap();
        assert!(loaded.summary.adds_up(), "{loaded:?}");
        let entry = self.ledger.find(&object.load_id()).await.unwrap().unwrap();
        assert_eq!(entry.created, milliseconds, "the ledger keeps the object's own time");
        loaded
    }

    async fn load(&mut self, modified: &str, text: &str) -> Loaded {
        self.load_told(modified, 0, text).await
    }

    fn state(&self) -> State {
        self.store.state()
    }

    /// Returns the gender of a patient, if the patient has a row.
    fn gender(&self, id: &str) -> Option<String> {
        let state = self.state();
        let row = state.tables.get("Patient")?.get(&format!("Patient/{id}"))?;
        Some(row.get_str("gender").unwrap_or("none").to_owned())
    }
}

fn patient(gender: &str, last_updated: Option<&str>) -> String {
    let meta = last_updated.map(|moment| format!(r#","meta":{{"lastUpdated":"{moment}"}}"#));
    format!(r#"{{"resourceType":"Patient","id":"7","gender":"{gender}"{}}}"#, meta.unwrap_or_default())
}

fn bundle(kind: &str, more: &str, entries: &[String]) -> String {
    format!(r#"{{"resourceType":"Bundle","type":"{kind}"{more},"entry":[{}]}}"#, entries.join(","))
}

fn deletion(method: &str, more: &str) -> String {
    format!(r#"{{"request":{{"method":"{method}","url":"Patient/7"}}{more}}}"#)
}

fn version(gender: &str, last_updated: Option<&str>, more: &str) -> String {
    let resource = patient(gender, last_updated);
    format!(r#"{{"resource":{resource},"request":{{"method":"PUT","url":"Patient/7"}}{more}}}"#)
}

fn last_modified(moment: &str) -> String {
    format!(r#","response":{{"lastModified":"{moment}"}}"#)
}

#[tokio::test]
async fn a_record_of_the_year_9999_is_corrected_and_deleted() {
    let mut fed = Fed::new();
    let poisoned = fed.load("2026-03-01T10:00:00Z", &patient("male", Some("9999-12-31T00:00:00Z"))).await;
    assert_eq!(poisoned.summary.checks.get("future"), Some(&1), "{poisoned:?}");
    assert_eq!(fed.gender("7").as_deref(), Some("male"), "it is loaded all the same");
    let corrected = patient("female", Some("2026-03-02T09:00:00Z"));
    assert_eq!(fed.load("2026-03-02T10:00:00Z", &corrected).await.summary.checks.get("future"), None);
    assert_eq!(fed.gender("7").as_deref(), Some("female"));
    fed.load("2026-03-03T10:00:00Z", &bundle("transaction", "", &[deletion("DELETE", "")])).await;
    assert_eq!(fed.gender("7"), None);
}

#[tokio::test]
async fn a_deletion_of_the_year_9999_keeps_no_later_patient_away() {
    for more in [last_modified("9999-01-01T00:00:00Z"), String::new()] {
        let mut fed = Fed::new();
        let head = r#","timestamp":"9999-01-01T00:00:00Z""#;
        let loaded =
            fed.load("2026-03-01T10:00:00Z", &bundle("batch", head, &[deletion("DELETE", &more)])).await;
        assert_eq!((loaded.summary.deleted, loaded.summary.checks.get("future")), (1, Some(&1)));
        fed.load("2026-03-02T10:00:00Z", &patient("female", None)).await;
        assert_eq!(fed.gender("7").as_deref(), Some("female"));
    }
}

#[tokio::test]
async fn a_forged_message_makes_nothing_newer() {
    let mut fed = Fed::new();
    let year_2999 = 32_472_144_000_000;
    fed.load_told("2026-03-01T10:00:00Z", year_2999, &patient("male", None)).await;
    fed.load_told("2026-03-01T10:00:01Z", 0, &patient("female", None)).await;
    assert_eq!(fed.gender("7").as_deref(), Some("female"));
    let deleted = bundle("batch", "", &[deletion("DELETE", "")]);
    fed.load_told("2026-03-01T10:00:02Z", year_2999, &deleted).await;
    fed.load_told("2026-03-01T10:00:03Z", 0, &patient("other", None)).await;
    assert_eq!(fed.gender("7").as_deref(), Some("other"));
}

#[tokio::test]
async fn a_time_within_a_day_of_the_file_is_believed() {
    let mut fed = Fed::new();
    let tomorrow = patient("male", Some("2026-03-02T10:00:00Z"));
    assert_eq!(fed.load("2026-03-01T10:00:00Z", &tomorrow).await.summary.checks.get("future"), None);
    fed.load("2026-03-01T20:00:00Z", &patient("female", None)).await;
    assert_eq!(fed.gender("7").as_deref(), Some("male"), "the first is newer by what it says");
}

/// In any order of the members of the Bundle, also where its type stands behind the entries.
#[tokio::test]
async fn the_first_of_equal_times_in_a_history_is_newer() {
    let time = Some("2026-02-01T10:00:00Z");
    let response = r#","response":{"status":"200"}"#;
    let both = [version("female", time, response), version("male", time, response)];
    let behind = format!(r#"{{"resourceType":"Bundle","entry":[{}],"type":"history"}}"#, both.join(","));
    for text in [bundle("history", "", &both), behind] {
        let mut fed = Fed::new();
        let loaded = fed.load("2026-03-01T10:00:00Z", &text).await;
        assert_eq!((loaded.summary.loaded, loaded.summary.superseded), (2, 1), "{loaded:?}");
        assert_eq!(fed.gender("7").as_deref(), Some("female"), "{text}");
    }
    // Elsewhere the later one is, also where nothing but the entries tells.
    let both = [version("female", time, ""), version("male", time, "")];
    let behind = format!(r#"{{"resourceType":"Bundle","entry":[{}],"type":"batch"}}"#, both.join(","));
    for text in [bundle("batch", "", &both), behind] {
        let mut fed = Fed::new();
        fed.load("2026-03-01T10:00:00Z", &text).await;
        assert_eq!(fed.gender("7").as_deref(), Some("male"), "{text}");
    }
}

/// The entries of a Bundle inside a record share its place in the file, and are told apart all the same.
#[tokio::test]
async fn the_order_within_a_record_counts() {
    let time = Some("2026-02-01T10:00:00Z");
    let (first, second, gone) =
        (version("female", time, ""), version("male", time, ""), deletion("DELETE", ""));
    let late = last_modified("2026-02-01T10:00:00Z");
    let gone_then = deletion("DELETE", &late);
    for (kind, entries, expected) in [
        ("batch", vec![first.clone(), second.clone()], Some("male")),
        ("history", vec![first.clone(), second.clone()], Some("female")),
        ("batch", vec![first.clone(), gone_then.clone()], None),
        ("history", vec![first.clone(), gone_then], Some("female")),
        ("batch", vec![first, gone], None),
    ] {
        let inner = bundle(kind, "", &entries);
        let outer =
            format!(r#"{{"resourceType":"Bundle","type":"collection","entry":[{{"resource":{inner}}}]}}"#);
        let parameters =
            format!(r#"{{"resourceType":"Parameters","parameter":[{{"name":"x","resource":{inner}}}]}}"#);
        for text in [outer, parameters] {
            let mut fed = Fed::new();
            fed.load("2026-03-01T10:00:00Z", &text).await;
            assert_eq!(fed.gender("7").as_deref(), expected, "{text}");
        }
    }
}

/// A key that a superseded version has waited for does not end in the row of the version that stands.
#[tokio::test]
async fn a_row_gets_the_keys_of_its_own_version() {
    let observation = |subject: u8| {
        format!(
            r#"{{"resource":{{"resourceType":"Observation","id":"o","status":"final","subject":{{"reference":"urn:uuid:00000000-0000-4000-8000-00000000000{subject}"}}}}}}"#
        )
    };
    let patient = |number: u8| {
        format!(
            r#"{{"fullUrl":"urn:uuid:00000000-0000-4000-8000-00000000000{number}","resource":{{"resourceType":"Patient","id":"p{number}"}}}}"#
        )
    };
    let inner = bundle("collection", "", &[observation(1), observation(2), patient(1), patient(2)]);
    let mut fed = Fed::new();
    fed.load("2026-03-01T10:00:00Z", &bundle("collection", "", &[format!(r#"{{"resource":{inner}}}"#)]))
        .await;
    let state = fed.state();
    let row = &state.tables["Observation"]["Observation/o"];
    assert!(row.get_str("subject_reference").unwrap().ends_with('2'));
    assert_eq!(row.get_str("subject_key").unwrap(), "Patient/p2");
}

/// A request that stands in an array is read; one that is no object is told.
#[tokio::test]
async fn requests_of_odd_shapes_are_read_or_told() {
    for (request, deleted, rejected) in [
        (r#"[{"method":"DELETE","url":"Patient/7"}]"#, 1, 0),
        (r#""DELETE Patient/7""#, 0, 1),
        (r#"[{"method":"DELETE","url":"Patient/7"},{}]"#, 0, 1),
        (r#"{"method":"DELETE","url":"Patient/7/_history/2"}"#, 0, 1),
        (r#"{"method":"DELETE","url":"https://a.example/fhir/Patient/7"}"#, 1, 0),
    ] {
        let mut fed = Fed::new();
        fed.load("2026-03-01T10:00:00Z", &patient("female", None)).await;
        let entry = format!(r#"{{"request":{request}}}"#);
        let loaded = fed.load("2026-03-02T10:00:00Z", &bundle("batch", "", &[entry])).await;
        assert_eq!((loaded.summary.deleted, loaded.summary.rejected), (deleted, rejected), "{request}");
        assert_eq!(fed.gender("7").is_some(), deleted == 0, "{request}");
    }
}

/// What a Bundle says of itself stands where the Bundle's own bytes stand.
#[tokio::test]
async fn a_bundle_s_row_points_into_the_file() {
    let text = bundle("collection", "", &[format!(r#"{{"resource":{}}}"#, patient("female", None))]);
    let text = text.replace("\"entry\"", &format!("\"id\":\"b\",\"note\":\"{}\",\"entry\"", "x".repeat(500)));
    let mut fed = Fed::new();
    fed.load("2026-03-01T10:00:00Z", &text).await;
    let state = fed.state();
    let source = state.tables["Bundle"]["Bundle/b"].get_document("_source").unwrap();
    let end = source.get_i64("offset").unwrap() + source.get_i64("length").unwrap();
    assert_eq!(end, i64::try_from(text.len()).unwrap(), "{source:?}");
}

#[tokio::test]
async fn a_history_without_times_of_resources_goes_by_last_modified() {
    let (old, new) = (last_modified("2026-01-01T00:00:00Z"), last_modified("2026-02-01T00:00:00Z"));
    for entries in [
        [version("male", None, &old), version("female", None, &new)],
        [version("female", None, &new), version("male", None, &old)],
    ] {
        let mut fed = Fed::new();
        fed.load("2026-03-01T10:00:00Z", &bundle("history", "", &entries)).await;
        assert_eq!(fed.gender("7").as_deref(), Some("female"));
        // What the resource says of itself comes before what the server says of it.
        fed.load("2026-03-02T10:00:00Z", &patient("other", Some("2026-01-15T00:00:00Z"))).await;
        assert_eq!(fed.gender("7").as_deref(), Some("female"));
    }
}

#[tokio::test]
async fn a_deletion_and_an_update_of_one_instant_go_by_their_order() {
    let moment = last_modified("2026-02-01T00:00:00Z");
    let (gone, there) = (deletion("DELETE", &moment), version("female", None, &moment));
    for (kind, entries, is_there) in [
        ("history", [&gone, &there], false),
        ("history", [&there, &gone], true),
        ("batch-response", [&gone, &there], true),
        ("batch-response", [&there, &gone], false),
    ] {
        let mut fed = Fed::new();
        fed.load("2026-03-01T10:00:00Z", &bundle(kind, "", &entries.map(Clone::clone))).await;
        assert_eq!(fed.gender("7").is_some(), is_there, "{kind} {entries:?}");
    }
}

#[tokio::test]
async fn the_method_decides_whatever_else_the_entry_carries() {
    for method in ["DELETE", "delete", "Delete", " DELETE "] {
        for carried in ["", r#","resource":{"resourceType":"Patient","id":"7","gender":"male"}"#] {
            let mut fed = Fed::new();
            fed.load("2026-03-01T10:00:00Z", &patient("female", None)).await;
            let text = bundle("batch", "", &[deletion(method, carried)]);
            let loaded = fed.load("2026-03-02T10:00:00Z", &text).await;
            assert_eq!((loaded.summary.deleted, loaded.summary.rejected), (1, 0), "{text}");
            assert_eq!(fed.gender("7"), None, "{text}");
        }
    }
}

/// A conditional deletion names nothing; what it carries does.
#[tokio::test]
async fn a_conditional_deletion_deletes_what_it_carries() {
    let mut fed = Fed::new();
    fed.load("2026-03-01T10:00:00Z", &patient("female", None)).await;
    let request = r#""request":{"method":"DELETE","url":"Patient?identifier=1"}"#;
    let carried = format!(r#"{{"resource":{},{request}}}"#, patient("female", None));
    let entries = [format!("{{{request}}}"), carried];
    let loaded = fed.load("2026-03-02T10:00:00Z", &bundle("batch", "", &entries)).await;
    assert_eq!((loaded.summary.deleted, loaded.summary.rejected), (1, 1));
    assert_eq!(fed.gender("7"), None);
}

#[tokio::test]
async fn patches_and_unknown_methods_are_rejects_that_name_their_target() {
    let mut fed = Fed::new();
    fed.load("2026-03-01T10:00:00Z", &patient("female", None)).await;
    let entries = ["PATCH", "patch", "REMOVE", ""].map(|method| {
        let resource = r#""resource":{"resourceType":"Parameters","id":"p"}"#;
        format!(r#"{{{resource},"request":{{"method":"{method}","url":"Patient/7"}}}}"#)
    });
    let loaded = fed.load("2026-03-02T10:00:00Z", &bundle("batch", "", &entries)).await;
    let codes: Vec<_> = loaded.summary.codes.iter().map(|(code, count)| (code.as_str(), *count)).collect();
    assert_eq!(codes, [("patch-not-applied", 2), ("unknown-method", 2)]);
    assert_eq!((loaded.status, fed.gender("7").as_deref()), (Status::Partial, Some("female")));
    let state = fed.state();
    assert!(!state.tables.contains_key("Parameters"), "the patch itself is no resource of its own");
    assert!(state.rejects.values().all(|reject| reject.get_str("resource").unwrap() == "Patient/7"));
    assert!(state.rejects.values().all(|reject| reject.get_str("path").unwrap() == "/request/method"));
}

/// A deletion is as new as its Bundle says, wherever it says so: a resource that was made again later stands.
#[tokio::test]
async fn a_deletion_goes_by_the_time_of_its_bundle() {
    let gone = deletion("DELETE", "");
    let entry = format!(r#""entry":[{gone}]"#);
    for text in [
        bundle("transaction", r#","timestamp":"2026-01-01T00:00:00Z""#, std::slice::from_ref(&gone)),
        bundle(
            "transaction",
            r#","meta":{"lastUpdated":"2026-01-01T00:00:00Z"}"#,
            std::slice::from_ref(&gone),
        ),
        format!(r#"{{"resourceType":"Bundle",{entry},"timestamp":"2026-01-01T00:00:00Z"}}"#),
        format!(r#"{{{entry},"meta":{{"lastUpdated":"2026-01-01T00:00:00Z"}},"resourceType":"Bundle"}}"#),
        // `timestamp` comes before `meta.lastUpdated`, wherever it stands.
        format!(
            r#"{{"resourceType":"Bundle","meta":{{"lastUpdated":"2026-02-28T00:00:00Z"}},{entry},"timestamp":"2026-01-01T00:00:00Z"}}"#
        ),
        bundle(
            "transaction",
            r#","meta":{"lastUpdated":"2026-02-28T00:00:00Z"},"timestamp":"2026-01-01T00:00:00Z""#,
            std::slice::from_ref(&gone),
        ),
    ] {
        let mut fed = Fed::new();
        fed.load("2026-03-01T10:00:00Z", &patient("female", Some("2026-02-01T00:00:00Z"))).await;
        let loaded = fed.load("2026-03-02T10:00:00Z", &text).await;
        assert_eq!((loaded.summary.superseded, loaded.summary.deleted), (1, 0), "{text}");
        assert_eq!(fed.gender("7").as_deref(), Some("female"), "{text}");
        // The same deletion says nothing of its time: then it is as new as its file.
        fed.load("2026-03-03T10:00:00Z", &bundle("transaction", "", std::slice::from_ref(&gone))).await;
        assert_eq!(fed.gender("7"), None);
    }
}

/// More deletions than fit into memory wait for the time of their Bundle; one that is cut goes by its file.
#[tokio::test]
async fn many_deletions_wait_for_the_time_of_their_bundle() {
    const COUNT: usize = 60_000;
    let entries: Vec<String> = (0..COUNT)
        .map(|number| format!(r#"{{"request":{{"method":"DELETE","url":"Patient/{number}"}}}}"#))
        .collect();
    let entries = entries.join(",");
    for (end, version) in
        [(r#"],"timestamp":"2026-01-01T00:00:00Z"}"#, "2026-01-01T00:00:00Z"), ("", "2026-03-02T10:00:00Z")]
    {
        let mut fed = Fed::new();
        let text = format!(r#"{{"resourceType":"Bundle","type":"batch","entry":[{entries}{end}"#);
        let loaded = fed.load("2026-03-02T10:00:00Z", &text).await;
        assert_eq!(loaded.summary.deleted, COUNT as u64, "{loaded:?}");
        let time = format!("{:028x}.", moment(version).unwrap().nanoseconds + (1 << 90));
        let tombstones = fed.state().tombstones;
        assert_eq!(tombstones.len(), COUNT);
        assert!(tombstones.values().all(|row| row.get_str("_version").unwrap().starts_with(&time)));
    }
}

#[tokio::test]
async fn two_people_under_one_id_do_not_become_one() {
    let entry =
        |url: &str, gender: &str| format!(r#"{{"fullUrl":"{url}","resource":{}}}"#, patient(gender, None));
    let entries = [
        entry("https://a.example/fhir/Patient/7", "female"),
        entry("https://b.example/fhir/Patient/7", "male"),
        entry("https://a.example/fhir/Patient/7", "other"),
    ];
    let mut fed = Fed::new();
    let loaded = fed.load("2026-03-01T10:00:00Z", &bundle("searchset", "", &entries)).await;
    assert_eq!(loaded.summary.codes.get("ambiguous-identity"), Some(&1), "{loaded:?}");
    assert_eq!(fed.gender("7").as_deref(), Some("other"), "the first server's later version stands");
}

/// Returns lines of Observations, all of one time; some of them amended at another one.
fn export(count: usize, amended: impl Fn(usize) -> bool) -> String {
    let line = |number: usize| {
        let (time, status) = if amended(number) { ("02", "amended") } else { ("01", "final") };
        format!(
            r#"{{"resourceType":"Observation","id":"o{number}","meta":{{"lastUpdated":"2026-01-{time}T00:00:00Z"}},"status":"{status}","code":{{"text":"x"}}}}"#
        )
    };
    (0..count).map(line).collect::<Vec<_>>().join("\n")
}

/// The same export again costs no write, and a later one what has changed in it.
#[tokio::test]
async fn what_a_file_brings_again_is_left_as_it_is() {
    let mut fed = Fed::new();
    let first = fed.load("2026-03-01T00:00:00Z", &export(500, |_| false)).await;
    assert_eq!((first.summary.loaded, first.summary.unchanged), (500, 0));
    let standing = fed.state();
    let same = fed.load("2026-03-02T00:00:00Z", &export(500, |_| false)).await;
    assert_eq!((same.summary.loaded, same.summary.unchanged), (0, 500), "{same:?}");
    assert_eq!(same.summary.rows, 0);
    assert_eq!(fed.state(), standing, "not even where it came from");
    let tenth = fed.load("2026-03-03T00:00:00Z", &export(510, |number| number % 10 == 0)).await;
    assert_eq!((tenth.summary.loaded, tenth.summary.unchanged), (60, 450));
    let rows = &fed.state().tables["Observation"];
    let is_amended = |id: &str| rows[id].get_str("status").unwrap() == "amended";
    assert!(is_amended("Observation/o10") && !is_amended("Observation/o11"));
    // What comes late is as late as ever.
    let late = fed.load("2026-03-04T00:00:00Z", &export(500, |_| false)).await;
    assert_eq!((late.summary.unchanged, late.summary.superseded), (450, 50));
}

/// What has no time of its own is as new as its file, and what has another time is another version.
#[tokio::test]
async fn only_the_same_content_of_the_same_time_is_unchanged() {
    let patient = |birth: &str, meta: &str| {
        format!(r#"{{"resourceType":"Patient","id":"1",{meta}"birthDate":"{birth}"}}"#)
    };
    let [first, second] =
        ["01", "02"].map(|month| format!(r#""meta":{{"lastUpdated":"2026-{month}-01T00:00:00Z"}},"#));
    let mut fed = Fed::new();
    for (day, birth, meta, unchanged) in [
        (1, "1970", &*first, 0),
        (2, "1970", &first, 1),
        (3, "1970", &second, 0),
        (4, "1971", "", 0),
        (5, "1971", "", 0),
    ] {
        let loaded = fed.load(&format!("2026-03-0{day}T00:00:00Z"), &patient(birth, meta)).await;
        let expected = if unchanged == 1 { (0, 1) } else { (1, 0) };
        assert_eq!((loaded.summary.loaded, loaded.summary.unchanged), expected, "day {day}");
        assert_eq!(fed.state().tables["Patient"]["Patient/1"].get_str("birthDate").unwrap(), birth);
    }
}
