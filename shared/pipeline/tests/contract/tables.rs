//! Tables in one form, whatever store they come from: JSON with the members in the order of their names.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bson::Bson;
use flatten::json::{JsonKind, Limits, Node, Tape};

/// Table to `_id` to the document as canonical JSON. Archived resources stand in `_archive/<type>`.
pub(crate) type Tables = BTreeMap<String, BTreeMap<String, String>>;

/// Returns `table _id @version` of every document; rejects and tombstones with what they say.
pub(crate) fn outline(tables: &Tables) -> Vec<String> {
    let mut lines = Vec::new();
    for (table, documents) in tables {
        for (id, document) in documents {
            let mut line = format!("{table} {id}");
            if let Some(version) = version(document) {
                write!(line, " @{version}").unwrap();
            }
            for member in ["fate", "subject_key", "link", "keys", "json"] {
                if let Some(value) = member_of(document, member) {
                    write!(line, " {value}").unwrap();
                }
            }
            lines.push(line);
        }
    }
    lines
}

/// Returns the ordinal at the end of the order token, which is the version here.
fn version(document: &str) -> Option<u64> {
    let token = member_of(document, "_version")?;
    // The position ends with the record's number within its frame.
    u64::from_str_radix(token.trim_matches('"').rsplit('.').next()?, 16).ok().map(|position| position >> 25)
}

fn member_of(document: &str, name: &str) -> Option<String> {
    let mut tape = Tape::default();
    let document = tape.parse(document.as_bytes(), Limits::default()).unwrap();
    document.root().get(name).map(|node| of_node(node, &[]))
}

pub(crate) fn of_bson(value: &Bson) -> String {
    match value {
        Bson::Document(document) => {
            object(&document.iter().map(|(name, value)| (name.clone(), of_bson(value))).collect())
        }
        Bson::Array(items) => array(items.iter().map(of_bson)),
        Bson::String(text) => quoted(text),
        Bson::Boolean(value) => value.to_string(),
        Bson::Int32(value) => value.to_string(),
        Bson::Int64(value) => value.to_string(),
        Bson::Decimal128(value) => value.to_string(),
        Bson::Double(value) => format!("{value:?}"),
        Bson::DateTime(moment) => {
            let moment = jiff::Timestamp::from_millisecond(moment.timestamp_millis()).unwrap();
            quoted(&format!("{moment:.3}"))
        }
        Bson::Null => "null".to_owned(),
        other => panic!("no store writes {:?}", other.element_type()),
    }
}

/// Returns the same of parsed JSON, without some members of the outermost object.
pub(crate) fn of_node(node: Node<'_>, without: &[&str]) -> String {
    match node.kind() {
        JsonKind::Object => {
            let members = node.members().map(|(name, value)| (name.text().unwrap().into_owned(), value));
            let members = members.filter(|(name, _)| !without.contains(&name.as_str()));
            object(&members.map(|(name, value)| (name, of_node(value, &[]))).collect())
        }
        JsonKind::Array => array(node.items().map(|item| of_node(item, &[]))),
        JsonKind::String => quoted(&node.text().unwrap()),
        _ => node.raw().to_owned(),
    }
}

fn object(members: &BTreeMap<String, String>) -> String {
    let members: Vec<_> = members.iter().map(|(name, value)| format!("{}:{value}", quoted(name))).collect();
    format!("{{{}}}", members.join(","))
}

fn array(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(","))
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}
