//! Content: whether two versions of a resource say the same, so that a file that is fed again costs no write.

use std::fmt;

use flatten::json::Node;
use flatten::links::{Link, Links};
use sha2::{Digest as _, Sha256};

/// The rules that make rows of a resource. Another number, or another version of this program, makes all content new.
const RULES: &str = concat!("flatfire rows 2, ", env!("CARGO_PKG_VERSION"));

/// A hash of all that the rows of a resource follow from: its bytes, its key, the settings, and the entries of its
/// Bundle that it refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContentHash([u8; 16]);

impl ContentHash {
    /// Reads a hash of `_hash`: 32 hex digits.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let number = u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32)?;
        Some(Self(number.to_be_bytes()))
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// Hashes the resources of one catalog.
#[derive(Debug, Clone)]
pub(crate) struct ContentHasher(Sha256);

impl ContentHasher {
    /// Returns a hasher for the catalog with this fingerprint.
    pub(crate) fn new(fingerprint: &str) -> Self {
        Self(Sha256::new().chain_update(RULES).chain_update([0]).chain_update(fingerprint))
    }

    /// Hashes a resource. `None` where something in it waits for an entry that has not been read: its rows are not
    /// complete when they are written.
    pub(crate) fn hash(&self, key: &str, resource: Node<'_>, links: &Links) -> Option<ContentHash> {
        let mut hash = self.0.clone();
        let mut part = |part: &str| {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        };
        part(key);
        part(resource.raw());
        let mut is_complete = true;
        if !links.is_empty() {
            each_reference(resource, &mut |reference| match links.look_up(reference) {
                Some((_, Link::Key(key))) => part(&key),
                Some((_, Link::Nowhere)) => part(""),
                Some((_, Link::Later)) => is_complete = false,
                None => {}
            });
        }
        let digest = hash.finalize();
        digest.first_chunk().filter(|_| is_complete).map(|first| ContentHash(*first))
    }
}

/// Calls `found` with the text of every reference in a resource.
pub(crate) fn each_reference(node: Node<'_>, found: &mut impl FnMut(&str)) {
    for (name, value) in node.members() {
        if name.is("reference")
            && let Some(text) = value.text()
        {
            found(&text);
        }
        each_reference(value, found);
    }
    node.items().for_each(|item| each_reference(item, found));
}

#[cfg(test)]
mod tests {
    use flatten::json::{Limits, Tape};
    use flatten::links::Links;

    use super::{ContentHash, ContentHasher};

    fn hash(fingerprint: &str, key: &str, json: &str, links: &Links) -> Option<ContentHash> {
        let mut tape = Tape::default();
        let document =
            tape.parse(json.as_bytes(), Limits { depth: 64, bytes: 1 << 20, values: 1_000 }).unwrap();
        ContentHasher::new(fingerprint).hash(key, document.root(), links)
    }

    #[test]
    fn everything_that_makes_rows_is_in_the_hash() {
        let json = r#"{"subject":{"reference":"urn:uuid:1"},"focus":[{"reference":"Patient/9"}]}"#;
        let linked = |key: &str| {
            let mut links = Links::open();
            links.insert("urn:uuid:1", key);
            links
        };
        let (mut closed, alone) = (Links::open(), Links::default());
        closed.insert("urn:uuid:other", "Patient/other");
        closed.close();
        let hashes = [
            hash("a", "Observation/1", json, &alone),
            hash("b", "Observation/1", json, &alone),
            hash("a", "Observation/2", json, &alone),
            hash("a", "Observation/1", &json.replace('9', "8"), &alone),
            hash("a", "Observation/1", &json.replace(':', ": "), &alone),
            hash("a", "Observation/1", json, &linked("Patient/1")),
            hash("a", "Observation/1", json, &linked("Patient/2")),
            hash("a", "Observation/1", json, &closed),
        ];
        for (index, one) in hashes.iter().enumerate() {
            assert!(one.is_some(), "{index}");
            assert!(hashes.iter().skip(index + 1).all(|other| one != other), "{index}");
        }
        assert_eq!(hashes[0], hash("a", "Observation/1", json, &Links::default()));
        assert_eq!(hash("a", "Observation/1", json, &Links::open()), None, "it waits");
        assert_eq!(ContentHash::from_text(&hashes[0].unwrap().to_string()), hashes[0]);
        assert_eq!(ContentHash::from_text("0"), None);
    }
}
