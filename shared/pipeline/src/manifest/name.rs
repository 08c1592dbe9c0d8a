//! The names by which files of an export are found again.
//!
//! A manifest has URLs, a bucket has keys, and senders add endings. So two names are of the same file when they are equal
//! after [`file_name`].

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};

use crate::object::hex;

/// The longest name that is kept as it is; of longer ones the hash is.
pub const MAX_NAME_BYTES: usize = 256;

/// Endings of compressed files.
const COMPRESSED: [&str; 4] = [".gz", ".gzip", ".zst", ".zstd"];
/// The ending that senders add to a URL's last segment.
const NDJSON: &str = ".ndjson";

/// Returns the name by which the file of a key is known: the key's last segment without an ending of compression, then
/// without `.ndjson`.
///
/// Of a name that is longer than [`MAX_NAME_BYTES`], or that is a JSON Web Token, a hash is returned.
///
/// ```
/// assert_eq!(pipeline::manifest::file_name("in/day 1/Patient.000.ndjson.gz"), "Patient.000");
/// ```
#[must_use]
pub fn file_name(key: &str) -> String {
    let name = last_segment(key);
    let name = COMPRESSED.iter().find_map(|ending| without(name, ending)).unwrap_or(name);
    let name = without(name, NDJSON).unwrap_or(name);
    if name.len() > MAX_NAME_BYTES || is_token(name) {
        return format!("{HASH}{}", hex(&Sha256::digest(name.as_bytes()), 16));
    }
    name.to_owned()
}

/// What the hash of a name begins with.
const HASH: &str = "sha256:";

/// Returns what is kept of a URL: the path's last segment with its percent escapes decoded. Where only a value of the
/// query ends in `.ndjson`, that is kept. Of what [`file_name`] hashes, the hash is.
///
/// ```
/// use pipeline::manifest::url_file_name;
///
/// assert_eq!(url_file_name("https://example.org/a/Patient%20%231.ndjson?token=secret"), "Patient #1.ndjson");
/// assert_eq!(url_file_name("https://example.org/$download?id=7&file=Patient.ndjson"), "Patient.ndjson");
/// ```
#[must_use]
pub fn url_file_name(url: &str) -> String {
    let url = url.split('#').next().unwrap_or_default();
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    // `https://example.org` has no path.
    let path =
        path.split_once("://").map_or(path, |(_, rest)| rest.split_once('/').map_or("", |(_, path)| path));
    let path = decoded(path);
    if !is_ndjson(&path) {
        let values =
            query.split('&').filter_map(|part| part.split_once('=')).map(|(_, value)| decoded(value));
        if let Some(value) = values.into_iter().find(|value| is_ndjson(value)) {
            return kept(&value);
        }
    }
    kept(&path)
}

fn kept(path: &str) -> String {
    let name = file_name(path);
    if name.starts_with(HASH) { name } else { last_segment(path).to_owned() }
}

/// Returns the names by which a file of the bucket may be known: that of its key, and that of its key with percent escapes
/// decoded, because some senders keep a URL's escapes.
pub(crate) fn names_of_key(key: &str) -> [Option<String>; 2] {
    let (name, decoded_name) =
        (file_name(key), last_segment(key).contains('%').then(|| file_name(&decoded(key))));
    let other = decoded_name.filter(|other| *other != name);
    [Some(name), other]
}

fn decoded(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

/// Returns what stands behind the last slash that something follows.
fn last_segment(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}

fn is_ndjson(path: &str) -> bool {
    let name = last_segment(path);
    let name = COMPRESSED.iter().find_map(|ending| without(name, ending)).unwrap_or(name);
    without(name, NDJSON).is_some()
}

/// Returns a name without an ending, in any case of letters, if something is left.
fn without<'a>(name: &'a str, ending: &str) -> Option<&'a str> {
    let (rest, end) = name.split_at_checked(name.len().checked_sub(ending.len())?)?;
    (!rest.is_empty() && end.eq_ignore_ascii_case(ending)).then_some(rest)
}

/// Returns whether a name is a JSON Web Token, which some servers make the last segment of.
fn is_token(name: &str) -> bool {
    let mut parts = name.split('.');
    let is_begun = name.starts_with("eyJ") && parts.next().is_some_and(|part| part.len() > 8);
    is_begun && parts.next().is_some_and(|part| part.len() > 8) && parts.next().is_some()
}

#[cfg(test)]
mod tests {
    use super::{MAX_NAME_BYTES, file_name, names_of_key, url_file_name};

    #[test]
    fn urls_and_keys_of_one_file_have_one_name() {
        for (url, key) in [
            ("https://example.org/out/Patient.ndjson", "in/Patient.ndjson"),
            ("https://example.org/out/Patient.ndjson", "in/deep/er/Patient.ndjson.gz"),
            ("https://example.org/out/Patient.ndjson.gz", "Patient.ndjson"),
            ("https://example.org/out/Patient.NDJSON.GZ", "in/Patient.ndjson.zst"),
            ("https://example.org/BulkRequest/0A/eZ.6x", "in/eZ.6x.ndjson"),
            ("https://example.org/Binary/7f3c", "in/7f3c"),
            ("https://example.org/a%20b%2Bc%C3%BC.ndjson", "in/a b+cü.ndjson"),
            ("https://example.org/a+b.ndjson", "in/a+b.ndjson"),
            ("https://storage.example.org/o/day%2FPatient.ndjson?alt=media", "in/Patient.ndjson"),
            ("https://example.org/Patient.ndjson?sig=abc/def.ndjson#x", "in/Patient.ndjson"),
            ("https://example.org/$exportfilerequest?_id=1&filename=Patient-1.ndjson", "in/Patient-1.ndjson"),
            ("Patient.ndjson", "in/Patient.ndjson"),
            ("file:///out/Patient.ndjson/", "in/Patient.ndjson"),
        ] {
            assert_eq!(file_name(&url_file_name(url)), file_name(key), "{url}");
        }
    }

    #[test]
    fn odd_names_have_some_name() {
        for (url, name) in [
            ("", ""),
            ("https://example.org", ""),
            ("https://example.org/", ""),
            ("https://example.org/.ndjson", ".ndjson"),
            ("https://example.org/.gz", ".gz"),
            ("https://example.org/%ff.ndjson", "\u{fffd}.ndjson"),
            ("https://example.org/100%.ndjson", "100%.ndjson"),
            ("https://example.org/a?b", "a"),
        ] {
            assert_eq!(url_file_name(url), name, "{url}");
        }
        assert_eq!(names_of_key("in/a%20b.ndjson"), [Some("a%20b".to_owned()), Some("a b".to_owned())]);
        assert_eq!(names_of_key("in/100%.ndjson"), [Some("100%".to_owned()), None]);
    }

    #[test]
    fn tokens_and_long_names_are_not_kept() {
        let token = format!("eyJ0eXAiOiJKV1Qi.{}.qLOIqnS7HHv1", "eyJzdGFydCI6".repeat(9));
        let name = url_file_name(&format!("https://example.org/$export/Patient/{token}.ndjson"));
        assert!(name.starts_with("sha256:") && !name.contains("eyJ"), "{name}");
        assert_eq!(name, file_name(&format!("in/{token}.ndjson.gz")));
        let long = "a".repeat(MAX_NAME_BYTES);
        assert_eq!(file_name(&long), long);
        assert_eq!(file_name(&format!("{long}b")).len(), "sha256:".len() + 32);
        assert_ne!(file_name(&format!("{long}b")), file_name(&format!("{long}c")));
    }
}
