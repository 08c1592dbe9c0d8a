//! Lines whose keys came later: the holes of a line are filled, or left out.

use std::collections::BTreeSet;

use crate::batch::list_of;

use super::json::{Hole, text};

/// Returns the line with its keys. A member that is left out takes its comma along.
pub(super) fn filled(line: &[u8], holes: &[Hole]) -> Vec<u8> {
    let mut out = Vec::with_capacity(line.len() + 64 * holes.len());
    let mut written = 0;
    let mut list = None;
    for hole in holes {
        push_segment(&mut out, line.get(written..hole.at).unwrap_or_default());
        written = hole.at;
        match (&hole.member, &hole.key) {
            (Some(name), Some(key)) => {
                if out.last() != Some(&b'{') {
                    out.push(b',');
                }
                text(&mut out, name);
                out.push(b':');
                text(&mut out, key);
            }
            (None, key) if list_of(&hole.path).is_none() => match key {
                Some(key) => text(&mut out, key),
                None => out.extend_from_slice(b"null"),
            },
            (None, Some(key)) => {
                let (at, known) = list.get_or_insert_with(|| (hole.at, items(&out)));
                if *at != hole.at {
                    (*at, *known) = (hole.at, items(&out));
                }
                let mut item = Vec::new();
                text(&mut item, key);
                // A key stands once in a list.
                if known.insert(item.clone()) {
                    if out.last() != Some(&b'[') {
                        out.push(b',');
                    }
                    out.append(&mut item);
                }
            }
            (_, None) => {}
        }
    }
    push_segment(&mut out, line.get(written..).unwrap_or_default());
    out
}

/// Returns the items of the list that `out` ends in. Nothing else that a list of keys holds has brackets.
fn items(out: &[u8]) -> BTreeSet<Vec<u8>> {
    let begins = out.iter().rposition(|byte| *byte == b'[').map_or(0, |at| at + 1);
    let items = out.get(begins..).unwrap_or_default().split(|byte| *byte == b',');
    items.filter(|item| !item.is_empty()).map(<[u8]>::to_vec).collect()
}

/// Appends a segment. If all members before were left out, the next one is the first.
fn push_segment(out: &mut Vec<u8>, segment: &[u8]) {
    let first = out.last() == Some(&b'{');
    let segment = segment.strip_prefix(b",").filter(|_| first).unwrap_or(segment);
    out.extend_from_slice(segment);
}

#[cfg(test)]
mod tests {
    use super::{Hole, filled};

    /// Fills a line with `?` where a hole is; `keys` says which of them are filled.
    fn fill(line: &str, member: Option<&str>, keys: &[Option<&str>]) -> String {
        let path = if line.starts_with('[') { "list.0" } else { "cell" };
        let mut bytes = String::new();
        let mut holes = Vec::new();
        let mut keys = keys.iter();
        for character in line.chars() {
            if character == '?' {
                let (member, key) = (member.map(str::to_owned), keys.next().unwrap().map(str::to_owned));
                holes.push(Hole { at: bytes.len(), path: path.to_owned(), member, key });
            } else {
                bytes.push(character);
            }
        }
        String::from_utf8(filled(bytes.as_bytes(), &holes)).unwrap()
    }

    #[test]
    fn members_bring_and_take_their_commas() {
        let inside = |keys: &[Option<&str>]| fill("{\"r\":{??,\"b\":1?}}", Some("k"), keys);
        assert_eq!(inside(&[None, None, None]), r#"{"r":{"b":1}}"#);
        assert_eq!(inside(&[Some("x"), None, None]), r#"{"r":{"k":"x","b":1}}"#);
        assert_eq!(inside(&[None, Some("y"), Some("z")]), r#"{"r":{"k":"y","b":1,"k":"z"}}"#);
        assert_eq!(inside(&[Some("x"), Some("y"), None]), r#"{"r":{"k":"x","k":"y","b":1}}"#);
        assert_eq!(fill("{\"r\":{?}}", Some("k"), &[None]), r#"{"r":{}}"#);
        assert_eq!(fill("{\"r\":{?}}", Some("k"), &[Some("\"")]), r#"{"r":{"k":"\""}}"#);
    }

    #[test]
    fn a_value_that_never_comes_is_null() {
        assert_eq!(fill("{\"k\":?}", None, &[None]), r#"{"k":null}"#);
        assert_eq!(fill("{\"k\":?}", None, &[Some("x")]), r#"{"k":"x"}"#);
    }

    #[test]
    fn items_bring_their_commas() {
        assert_eq!(fill("[1??]", None, &[None, Some("x")]), r#"[1,"x"]"#);
        assert_eq!(fill("[??]", None, &[Some("x"), Some("y")]), r#"["x","y"]"#);
        assert_eq!(fill("[?]", None, &[None]), "[]");
        assert_eq!(fill("[\"x\"???]", None, &[Some("y"), Some("x"), Some("y")]), r#"["x","y"]"#);
    }
}
