//! The parser against `serde_json` and a table of refusals.

use super::super::{JsonKind, Node, Tape};
use super::{JsonErrorKind as E, Limits};
use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::Value;

fn refusal(text: &[u8]) -> Option<(E, usize)> {
    Tape::default().parse(text, Limits::default()).err().map(|error| (error.kind, error.offset))
}

#[test]
fn refuses_what_json_does_not_have() {
    let cases: &[(&[u8], E, usize)] = &[
        (b"", E::Truncated, 0),
        (b"  ", E::Truncated, 2),
        (b"{", E::Truncated, 1),
        (b"{\"a\"", E::Truncated, 4),
        (b"{\"a\":", E::Truncated, 5),
        (b"{\"a\":1", E::Truncated, 6),
        (b"{\"a\":1,}", E::NameExpected, 7),
        (b"{\"a\" 1}", E::ColonExpected, 5),
        (b"{\"a\":1 \"b\":2}", E::CommaExpected, 7),
        (b"[1,]", E::ValueExpected, 3),
        (b"[1 2]", E::CommaExpected, 3),
        (b"{\"a\":\"x", E::Truncated, 7),
        (b"01", E::InvalidNumber, 0),
        (b"1.", E::InvalidNumber, 0),
        (b"-", E::InvalidNumber, 0),
        (b"1e", E::InvalidNumber, 0),
        (b"+1", E::ValueExpected, 0),
        (b"nul", E::ValueExpected, 0),
        (b"1 2", E::Trailing, 2),
        (b"\"\x01\"", E::ControlCharacter, 1),
        (b"\"\n\"", E::ControlCharacter, 1),
        (b"\"\\x\"", E::InvalidEscape, 1),
        (b"\"\\ud800\"", E::InvalidEscape, 1),
        (b"\"\\udc00\\ud800\"", E::InvalidEscape, 1),
        (b"\"\\u+123\"", E::InvalidEscape, 1),
        (b"\"\xff\"", E::InvalidUtf8, 1),
        (b"{\"a\":1,\"b\":2,\"a\":3}", E::DuplicateName, 14),
        (b"{\"a\":1,\"\\u0061\":3}", E::DuplicateName, 8),
        (b"{\"\\u0061\":1,\"a\":3}", E::DuplicateName, 13),
        (b"{\"\\u0069d\":1,\"b\":2,\"id\":3}", E::DuplicateName, 20),
        (b"{\"\\u0061\":1,\"\\u0061\":3}", E::DuplicateName, 13),
    ];
    for (text, kind, offset) in cases {
        assert_eq!(refusal(text), Some((*kind, *offset)), "{}", String::from_utf8_lossy(text));
    }
}

#[test]
fn finds_a_duplicate_among_a_thousand_members() {
    let mut text = String::from("{");
    for index in 0..1000 {
        write!(text, "\"member{index}\":[{{}}],").unwrap();
    }
    let offset = text.len() + 1;
    text.push_str("\"member7\":1}");
    assert_eq!(refusal(text.as_bytes()), Some((E::DuplicateName, offset)));
}

#[test]
fn counts_depth_and_bytes() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(refusal(nested(64).as_bytes()), None);
    assert_eq!(refusal(nested(65).as_bytes()), Some((E::TooDeep, 64)));
    let limits = Limits { bytes: 3, ..Limits::default() };
    assert_eq!(Tape::default().parse(b"1234", limits).err().map(|e| e.kind), Some(E::TooLarge));
}

#[test]
fn siblings_do_not_count_as_depth() {
    let text = format!("[{}[]]", "[[]],".repeat(1000));
    assert_eq!(refusal(text.as_bytes()), None);
}

/// Returns the document as `serde_json` would have read it, numbers by their text.
fn value_of(node: Node<'_>) -> Value {
    match node.kind() {
        JsonKind::Object => Value::Object(
            node.members().map(|(k, v)| (k.text().unwrap().into_owned(), value_of(v))).collect(),
        ),
        JsonKind::Array => Value::Array(node.items().map(value_of).collect()),
        JsonKind::String => Value::String(node.text().unwrap().into_owned()),
        JsonKind::Number => Value::String(format!("number {}", node.number().unwrap())),
        JsonKind::True => Value::Bool(true),
        JsonKind::False => Value::Bool(false),
        JsonKind::Null => Value::Null,
    }
}

/// Returns the same with the numbers as `serde_json` writes them.
fn with_number_texts(value: &Value) -> Value {
    match value {
        Value::Number(number) => Value::String(format!("number {number}")),
        Value::Array(items) => Value::Array(items.iter().map(with_number_texts).collect()),
        Value::Object(members) => {
            Value::Object(members.iter().map(|(k, v)| (k.clone(), with_number_texts(v))).collect())
        }
        other => other.clone(),
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |f| f.is_finite()).prop_map(Value::from),
        any::<String>().prop_map(Value::String),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            proptest::collection::btree_map(".{0,6}", inner, 0..80)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn reads_what_serde_json_wrote(value in any_json(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        let mut tape = Tape::default();
        let document = tape.parse(text.as_bytes(), Limits::default()).unwrap();
        prop_assert_eq!(value_of(document.root()), with_number_texts(&value));
    }

    #[test]
    fn accepts_and_refuses_with_serde_json(text in r#"[\[\]{}:,"a\\u0-9.eE+\- \n]{0,24}"#) {
        // serde_json keeps the last of duplicate members and reads numbers into floats, where they may overflow.
        let ours = refusal(text.as_bytes());
        prop_assume!(!matches!(ours, Some((E::DuplicateName, _))));
        match serde_json::from_str::<Value>(&text) {
            Ok(_) => prop_assert_eq!(ours, None),
            Err(error) if error.to_string().contains("out of range") => {}
            Err(_) => prop_assert!(ours.is_some()),
        }
    }

    #[test]
    fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = refusal(&bytes);
    }
}

#[test]
fn values_are_bounded_and_names_do_not_count() {
    for text in ["[1,2,3]", r#"{"a":1,"b":[2]}"#, r#"[[],{},""]"#, r#"{"a":{"b":{"c":1}}}"#] {
        for (values, expected) in [(4, None), (3, Some(E::TooLarge))] {
            let limits = Limits { values, ..Limits::default() };
            let found = Tape::default().parse(text.as_bytes(), limits).err().map(|error| error.kind);
            assert_eq!(found, expected, "{text} {values}");
        }
    }
    let most = Limits::default().values;
    let list = |count: usize| format!("[{}0]", "0,".repeat(count - 2));
    let mut tape = Tape::default();
    assert!(tape.parse(list(most).as_bytes(), Limits::default()).is_ok());
    let error = tape.parse(list(most + 1).as_bytes(), Limits::default()).unwrap_err();
    assert_eq!(error.kind, E::TooLarge);
    assert_eq!(error.offset, 1 + 2 * (most - 1));
}
