//! Texts that a sender can choose, in values and in names, and the search for where they stand.

use std::collections::{BTreeMap, BTreeSet};

use futures::TryStreamExt as _;
use mongodb::Database;
use mongodb::bson::{Bson, Document, doc};

/// What a canary stands for, and the fields in which it may stand besides rows and archived resources.
pub(crate) const CANARIES: [(&str, &[&str]); 10] = [
    ("CanaryValue", &[]),
    ("CanarySystem", &[]),
    // Whoever may send to the queue writes which object is meant, and the ledger says which object was meant.
    ("CanaryForged", &["_loads._id", "_loads.versionId", "_loads.sequencer"]),
    ("CanaryQuery", &[]),
    // The key of a resource is its type and its id.
    ("CanaryId", &["_tombstones._id", "_rejects.resource"]),
    ("CanaryFullUrl", &["_tombstones._id", "_rejects.resource"]),
    ("CanaryType", &["_tombstones._id", "_rejects.resource"]),
    // Columns are named after elements and after the end of an extension's URL.
    ("canaryElement", &["_columns._id", "_columns.column", "_columns.path"]),
    ("CanaryUrl", &["_columns._id", "_columns.column", "_columns.path", "_columns.url"]),
    (
        "CanaryFile",
        &[
            "_loads._id",
            "_loads.key",
            "_rejects._id",
            "_rejects._load",
            "_rejects.key",
            "_columns.first.load",
        ],
    ),
];

/// Returns files whose every name is a canary where a sender can choose it, one for each way a load can end.
pub(crate) fn files() -> BTreeMap<&'static str, String> {
    let whole = r#"{"resourceType":"Patient","id":"CanaryId-1","canaryElement":"CanaryValue","name":[{"family":"CanaryValue","canaryElement2":[{"canaryElement3":1}]}],"identifier":[{"system":"urn:CanarySystem","value":"CanaryValue"}],"extension":[{"url":"http://CanaryUrl.example/CanaryUrl","valueCoding":{"system":"CanarySystem","code":"CanaryValue"}}],"contained":[{"resourceType":"CanaryType","id":"CanaryId","canaryElement":[{"a":"CanaryValue"}]}]}"#;
    let unknown = r#"{"resourceType":"CanaryType2","id":"CanaryId-2","canaryElement":[{"canaryElement":"CanaryValue"}]}"#;
    let defects = [
        r#"{"resourceType":"Patient","id":"CanaryId-3","canaryElement":CanaryValue}"#,
        r#"{"resourceType":"Patient","id":"CanaryId-4","canaryElement":"CanaryValue","canaryElement":1}"#,
        r#"{"resourceType":"Patient","id":"CanaryId-5","name":"CanaryValue"}"#,
        r#"{"resourceType":"Patient","id":"CanaryValue is no id!"}"#,
        r#"{"resourceType":"CanaryType is no type!","id":"CanaryId-6"}"#,
        r#"{"canaryElement":"CanaryValue"}"#,
    ];
    let bundle = r#"{"resourceType":"Bundle","id":"CanaryId-7","type":"transaction","canaryElement":"CanaryValue","entry":[
        {"request":{"method":"DELETE","url":"Patient?name=CanaryQuery"}},
        {"request":{"method":"DELETE","url":"Patient/CanaryId-8"}},
        {"request":{"method":"CanaryValue","url":"Patient/CanaryId-9"}},
        {"fullUrl":"http://CanaryFullUrl.example/Patient/CanaryId-10","resource":{"resourceType":"Patient","id":"CanaryId-10"}},
        {"fullUrl":"urn:uuid:CanaryFullUrl","resource":{"resourceType":"Observation","subject":{"reference":"urn:uuid:CanaryFullUrl2","display":"CanaryValue"}}},
        {"resource":{"resourceType":"Patient","id":"CanaryId-11","name":[{"family":"CanaryValue"#;
    let lines = [whole, unknown].into_iter().chain(defects).collect::<Vec<_>>().join("\n");
    BTreeMap::from([
        ("CanaryFile-whole.json", whole.to_owned()),
        ("CanaryFile-lines.ndjson", lines),
        ("CanaryFile-bundle.json", bundle.to_owned()),
        ("CanaryFile-letter.txt", "CanaryValue: this is a letter, not FHIR".to_owned()),
        (
            "CanaryFile-message.hl7",
            "MSH|^~\\&|CanaryValue|B|C|D|2024||ADT^A01|1|P|2.5\rPID|1||1\r".to_owned(),
        ),
    ])
}

/// Searches the names of all collections and every field of those that are not tables, and returns each canary with
/// where it may not stand.
pub(crate) async fn leaks(database: &Database) -> BTreeSet<String> {
    let mut leaks = BTreeSet::new();
    for collection in database.list_collection_names().await.unwrap() {
        let all = database.collection::<Document>(&collection).find(doc! {}).await.unwrap();
        let documents: Vec<Document> = all.try_collect().await.unwrap();
        let mut texts = vec![("names of collections".to_owned(), collection.clone())];
        for document in documents {
            collect(&collection, &Bson::Document(document), &mut texts);
        }
        // Of a row its version alone is searched: it is made by the program.
        let token = format!("{collection}._version");
        let made_here =
            |field: &str| collection.starts_with('_') || field == token || !field.starts_with(&collection);
        for (field, text) in texts.iter().filter(|(field, _)| made_here(field)) {
            let found = CANARIES.iter().filter(|(canary, _)| text.contains(canary));
            let found = found.filter(|(_, allowed)| !allowed.contains(&field.as_str()));
            leaks.extend(found.map(|(canary, _)| format!("{canary} in {field}")));
        }
    }
    leaks
}

/// Lists every text with the field in which it stands, names of fields as well. Items of arrays stand in their field.
fn collect(field: &str, value: &Bson, texts: &mut Vec<(String, String)>) {
    match value {
        Bson::Document(document) => {
            for (name, value) in document {
                texts.push((field.to_owned(), name.clone()));
                collect(&format!("{field}.{name}"), value, texts);
            }
        }
        Bson::Array(items) => items.iter().for_each(|item| collect(field, item, texts)),
        value => texts.push((field.to_owned(), value.to_string())),
    }
}
