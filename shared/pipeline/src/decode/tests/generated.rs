//! Generated objects against their generator: whatever the layout, the frames are what was written.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{DecoderLimits, Owned, decode, decode_lines, decode_with};

/// JSON text in one of the layouts that tools write.
#[derive(Debug, Clone, Copy)]
enum Layout {
    Compact,
    Pretty,
    /// White space of every kind wherever the grammar allows it; the seed decides.
    Random(u64),
}

#[test]
fn the_random_layout_keeps_the_value() {
    let value = json!({"a": [1, {"b": "x y"}, []], "c": {}});
    let text = write(&value, Layout::Random(7));
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    assert!(text.contains('\n'));
}

proptest! {
    #[test]
    fn lines_are_resources(values in prop::collection::vec(resource(), 0..8), breaks in line_breaks(), chunk in 1_usize..200) {
        let texts: Vec<String> = values.iter().map(|value| write(value, Layout::Compact)).collect();
        let file: String = texts.iter().zip(breaks.iter().cycle()).flat_map(|(text, end)| [text.as_str(), end]).collect();
        prop_assert_eq!(decode(file.as_bytes(), chunk), resources(&texts));
    }

    #[test]
    fn values_in_a_row_are_resources(values in prop::collection::vec(resource(), 1..6), pretty: bool, chunk in 1_usize..200) {
        let (layout, between) = if pretty { (Layout::Pretty, "\n") } else { (Layout::Compact, " ") };
        let texts: Vec<String> = values.iter().map(|value| write(value, layout)).collect();
        prop_assert_eq!(decode(texts.join(between).as_bytes(), chunk), resources(&texts));
    }

    #[test]
    fn elements_are_resources(values in prop::collection::vec(resource(), 0..6), layout in layout(), chunk in 1_usize..200) {
        let texts: Vec<String> = values.iter().map(|value| write(value, layout)).collect();
        let file = format!("[ \n{}]\n", texts.join("\n,\n"));
        prop_assert_eq!(decode(file.as_bytes(), chunk), resources(&texts));
    }

    #[test]
    fn entries_are_entries(
        values in prop::collection::vec(resource(), 0..6), layout in layout(), typed_first: bool, own_lines: bool,
        before in fields(), behind in fields(), chunk in 1_usize..200,
    ) {
        let texts: Vec<String> = values
            .iter()
            .map(|value| write(&json!({"fullUrl": "urn:uuid:{", "resource": value}), layout))
            .collect();
        let entries = texts.join(if own_lines { "\n,\n" } else { ", " });
        let kind = json!({"resourceType": "Bundle"}).as_object().unwrap().clone();
        let (first, last) = if typed_first { (&kind, &Map::new()) } else { (&Map::new(), &kind) };
        let parts = [members(first), members(&before), format!("\"entry\" :\t[{entries}]"), members(&behind), members(last)];
        let file = format!("{{{}}}", parts.iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join(" , "));
        let frames = decode(file.as_bytes(), chunk);

        let (last_frame, entry_frames) = frames.split_last().unwrap();
        let expected: Vec<Owned> = texts.iter().map(|text| Owned::Entry(0, text.clone())).collect();
        prop_assert_eq!(entry_frames, expected);
        let mut envelope: Value = serde_json::from_str(&file).unwrap();
        envelope.as_object_mut().unwrap().remove("entry");
        let Owned::BundleEnd(0, text) = last_frame else { panic!("{last_frame:?}") };
        prop_assert_eq!(serde_json::from_str::<Value>(text).unwrap(), envelope);
    }

    /// No panic, no overlap, and the same frames however they arrive: for bytes that mean nothing at all.
    #[test]
    fn any_bytes_give_the_same_frames_in_any_chunks(
        tokens in prop::collection::vec(prop::sample::select(vec![
            "{", "}", "[", "]", "\"", "\\", ",", ":", "\n", " ", "{\n", "\n{", "a", "\"entry\":[", "\u{feff}",
            "\"resourceType\":\"Bundle\"", "\"resourceType\":\"List\"", "\"resource\":{}", "\"item\":1", "\r\n",
            "{}", "{}\n", "\u{c}", "\u{1}", "\u{f000}", "{\"id\":\"1\"}\n", "\n{\"resourceType\":\"Patient\"}\n", "null",
        ]), 0..60),
        chunk in 1_usize..80,
    ) {
        let text = tokens.concat();
        prop_assert_eq!(decode(text.as_bytes(), chunk), decode(text.as_bytes(), usize::MAX));
    }

    /// Who takes whole lines meets the same frames at the same places as who does not.
    #[test]
    fn lines_that_are_taken_whole_are_the_same_frames(
        tokens in prop::collection::vec(prop::sample::select(vec![
            "{", "}", "\"", "\\", ",", "\n", "\r\n", " ", "[", "]", "null", "\u{feff}", "\n{\n", "{}\n",
            "{\"resourceType\":\"Patient\"}\n", "{\"resourceType\":\"Patient\"}", "{\"resourceType\":\"List\",\"entry\":[{}]}\n",
            "{\"resourceType\":\"Patient\",\"name\":[{\"text\":\"}\\\"{\"}]}\n", "{\"resourceType\":\"Bundle\",\"entry\":[{\"resource\":{}}]}\n",
            "{\"resourceType\":\"Patient\"}}\n", "{\"resourceType\":\"Patient\"} \n", "{\"entry\":[{}],\"resourceType\":\"Bundle\"}\n",
        ]), 0..40),
        chunk in 1_usize..200,
    ) {
        let text = tokens.concat();
        prop_assert_eq!(decode_lines(text.as_bytes(), chunk), decode_with(text.as_bytes(), chunk, DecoderLimits::default()));
    }
}

fn resources(texts: &[String]) -> Vec<Owned> {
    texts.iter().map(|text| Owned::Resource(text.clone())).collect()
}

fn layout() -> impl Strategy<Value = Layout> {
    prop_oneof![Just(Layout::Compact), Just(Layout::Pretty), any::<u64>().prop_map(Layout::Random)]
}

fn line_breaks() -> impl Strategy<Value = Vec<&'static str>> {
    let kinds = vec!["\n", "\r\n", "\n\n", " \n", "\n \t\r\n", "\n\u{feff}"];
    prop::collection::vec(prop::sample::select(kinds), 1..4)
}

/// Strings with everything that could mislead a scan.
fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(
        prop::sample::select(vec!["{", "}", "[", "]", "\"", "\\", ",", "é", "a", "\n", "entry", "Bundle"]),
        0..6,
    )
    .prop_map(|parts| parts.concat())
}

fn value() -> impl Strategy<Value = Value> {
    let leaf =
        prop_oneof![text().prop_map(Value::from), any::<i32>().prop_map(Value::from), Just(Value::Null)];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(text(), inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Returns members that an envelope may have.
fn fields() -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::btree_map(prop::sample::select(vec!["id", "type", "link", "total"]), value(), 0..3)
        .prop_map(|members| members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

/// Returns a resource with its `resourceType` before or behind its other members.
fn resource() -> impl Strategy<Value = Value> {
    (any::<bool>(), prop::collection::btree_map("[a-d]{1,3}", value(), 0..4)).prop_map(
        |(typed_first, members)| {
            let mut object = Map::new();
            if typed_first {
                object.insert("resourceType".to_owned(), json!("Patient"));
            }
            object.extend(members);
            object.insert("resourceType".to_owned(), json!("Patient"));
            Value::Object(object)
        },
    )
}

fn members(map: &Map<String, Value>) -> String {
    let text = Value::Object(map.clone()).to_string();
    text[1..text.len() - 1].to_owned()
}

fn write(value: &Value, layout: Layout) -> String {
    match layout {
        Layout::Compact => value.to_string(),
        Layout::Pretty => serde_json::to_string_pretty(value).unwrap(),
        Layout::Random(seed) => space_out(&value.to_string(), seed),
    }
}

/// Puts white space around every structural byte outside of strings.
fn space_out(compact: &str, mut seed: u64) -> String {
    let (mut text, mut in_string, mut escaped) = (String::new(), false, false);
    let mut space = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ["", " ", "\n", "\r\n\t", "    ", "\n\n"][usize::try_from(seed >> 60).unwrap() % 6]
    };
    for character in compact.chars() {
        let structural = !in_string && matches!(character, '{' | '}' | '[' | ']' | ',' | ':');
        if structural && !text.is_empty() {
            text.push_str(space());
        }
        text.push(character);
        if structural && text.len() < compact.len() {
            text.push_str(space());
        }
        in_string ^= character == '"' && !escaped;
        escaped = in_string && character == '\\' && !escaped;
    }
    text.trim_end().to_owned()
}
