//! The members of an object, as far as the framing needs them: keys that tell a Bundle, and an envelope.

use super::scan::{ScanEvent, Scanner, Watch};
use super::window::View;

/// What an element of an `entry` array says about its owner: `Bundle` and `List` both have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ElementOf {
    Bundle,
    Other,
    /// It has none of the telling keys.
    Unknown,
}

/// Judges by the element's first telling key. A `resourceType` tells a resource that is not an element at all.
pub(super) fn element_of(element: &[u8]) -> ElementOf {
    let view = View::of(element);
    let mut scanner = Scanner::new(1, 1, Watch::Nothing);
    let mut string_start = 0;
    while let Some(seen) = scanner.next(view, 1) {
        match seen.event {
            ScanEvent::StringStart => string_start = seen.at,
            ScanEvent::StringEnd if view.from(seen.at + 1).trim_ascii_start().starts_with(b":") => {
                match view.slice(string_start + 1, seen.at) {
                    b"resource" | b"fullUrl" | b"request" | b"response" | b"search" => {
                        return ElementOf::Bundle;
                    }
                    b"item" | b"flag" | b"deleted" | b"date" | b"resourceType" => return ElementOf::Other,
                    _ => {}
                }
            }
            _ => {}
        }
    }
    ElementOf::Unknown
}

/// Returns whether nothing but a colon stands between a key and its value.
pub(super) fn is_colon(between: &[u8]) -> bool {
    between.trim_ascii() == b":"
}

/// Adds members to an envelope that is still open (`{` first, no `}` yet), with one comma between.
pub(super) fn add_members(envelope: &mut Vec<u8>, members: &[u8]) {
    let comma_or_space = |byte: &u8| *byte == b',' || byte.is_ascii_whitespace();
    let begin = members.iter().position(|byte| !comma_or_space(byte)).unwrap_or(members.len());
    let end = members.iter().rposition(|byte| !comma_or_space(byte)).map_or(begin, |last| last + 1);
    let members = members.get(begin..end).unwrap_or_default();
    if envelope.len() > 1 && !members.is_empty() {
        envelope.push(b',');
    }
    envelope.extend_from_slice(members);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_telling_key_decides() {
        for (element, expected) in [
            (r#"{"fullUrl":"urn:x","item":1}"#, ElementOf::Bundle),
            (r#"{"link":[{"item":1}],"resource" : {"date":2}}"#, ElementOf::Bundle),
            (r#"{"id":"fullUrl","item":{"reference":"Patient/1"}}"#, ElementOf::Other),
            (r#"{"id":"1","resourceType":"Patient"}"#, ElementOf::Other),
            (r#"{"id":"search","extension":[]}"#, ElementOf::Unknown),
            ("{}", ElementOf::Unknown),
        ] {
            assert_eq!(element_of(element.as_bytes()), expected, "{element}");
        }
    }

    #[test]
    fn an_envelope_is_one_object_wherever_the_entries_stood() {
        for (head, tail, expected) in [
            (r#""a":1,"#, r#","b":2"#, r#"{"a":1,"b":2"#),
            ("", r#" , "b":2 "#, r#"{"b":2"#),
            ("\n \"a\":1 ,\n", "\n", r#"{"a":1"#),
            ("", "", "{"),
        ] {
            let mut envelope = b"{".to_vec();
            add_members(&mut envelope, head.as_bytes());
            add_members(&mut envelope, tail.as_bytes());
            assert_eq!(String::from_utf8_lossy(&envelope), expected);
        }
    }
}
