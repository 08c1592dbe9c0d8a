//! JSON whose numbers keep their digits: a number is a string behind a mark.

use std::borrow::Cow;

use serde_json::{Map, Value};

const MARK: char = '\u{1}';

pub(crate) fn read(text: &str) -> Option<Value> {
    let (mut marked, mut rest) = (String::new(), text);
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '"' => end_of_string(rest),
            '-' | '0'..='9' => {
                rest.find(|c: char| !c.is_ascii_alphanumeric() && !"+-.".contains(c)).unwrap_or(rest.len())
            }
            _ => first.len_utf8(),
        };
        let (token, behind) = rest.split_at(end);
        let is_number = matches!(first, '-' | '0'..='9');
        marked += &if is_number { Cow::Owned(format!("\"\\u0001{token}\"")) } else { Cow::Borrowed(token) };
        rest = behind;
    }
    serde_json::from_str(&marked).ok()
}

/// Returns the text of what [`read`] returns, with its numbers as numbers.
pub(crate) fn write(value: &Value) -> String {
    let text = value.to_string();
    let mut parts = text.split("\"\\u0001");
    let mut written = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (digits, rest) = part.split_once('"').unwrap();
        written.extend([digits, rest]);
    }
    written
}

fn end_of_string(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

pub(crate) fn text(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.starts_with(MARK))
}

pub(crate) fn number(value: &Value) -> Option<&str> {
    value.as_str()?.strip_prefix(MARK)
}

/// Returns a member that is a text.
pub(crate) fn text_of<'v>(object: &'v Map<String, Value>, name: &str) -> Option<&'v str> {
    object.get(name).and_then(text)
}

pub(crate) fn is_scalar(value: &Value) -> bool {
    value.is_string() || value.is_boolean()
}

/// Returns the items of an array, or one value in its place.
pub(crate) fn many(value: &Value) -> &[Value] {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice)
}

/// Returns whether there is anything but `null` and emptiness.
pub(crate) fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(items) => items.iter().any(says_something),
        Value::Object(members) => members.values().any(says_something),
        _ => true,
    }
}
