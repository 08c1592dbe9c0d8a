//! What a sender says it has sent: the names of files.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::cloud::Cloud;
use crate::listing::s3_address;

/// Names of files, and whether the bucket holds them.
#[derive(Debug, Default)]
pub(super) struct Expected(BTreeMap<String, bool>);

impl Expected {
    /// Reads the names from a file or an object.
    pub(super) async fn read(cloud: &Cloud, place: &str) -> anyhow::Result<Self> {
        let text = match s3_address(place) {
            Some((bucket, key)) => cloud.read(bucket, key).await?,
            None => tokio::fs::read(place).await.with_context(|| format!("--expect {place}"))?,
        };
        Self::of(&text).with_context(|| format!("--expect {place}"))
    }

    /// Reads the manifest of a Bulk Data export (its `output` and `deleted`), or a name a line.
    fn of(text: &[u8]) -> anyhow::Result<Self> {
        let names: Vec<String> = if text.trim_ascii_start().starts_with(b"{") {
            let manifest: Value = serde_json::from_slice(text).context("it is no JSON")?;
            if manifest.get("output").is_none() {
                bail!("it is no manifest of a Bulk Data export: it has no `output`");
            }
            let lists = ["output", "deleted"].iter().filter_map(|name| manifest.get(name)?.as_array());
            let urls = lists.flatten().map(|file| file.get("url").and_then(Value::as_str).map(file_name));
            urls.collect::<Option<_>>().context("a file in it has no url")?
        } else {
            let text = std::str::from_utf8(text).context("it is no text")?;
            text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
        };
        if names.is_empty() {
            bail!("it names no files");
        }
        Ok(Self(names.into_iter().map(|name| (name, false)).collect()))
    }

    /// Notes that the bucket holds an object. A name is a whole key, what follows the prefix, or what follows the last
    /// slash; the object may be compressed though the name is not.
    pub(super) fn meet(&mut self, key: &str, prefix: &str) {
        if self.0.is_empty() {
            return;
        }
        for name in [Some(key), key.strip_prefix(prefix), key.rsplit('/').next()].into_iter().flatten() {
            let plain = [".gz", ".zst"].iter().find_map(|ending| name.strip_suffix(ending));
            for name in [Some(name), plain].into_iter().flatten() {
                if let Some(is_met) = self.0.get_mut(name) {
                    *is_met = true;
                }
            }
        }
    }

    /// Returns the names of which no object was met.
    pub(super) fn not_met(&self) -> Vec<&str> {
        self.0.iter().filter(|(_, is_met)| !**is_met).map(|(name, _)| name.as_str()).collect()
    }
}

/// Returns the last part of the path of a URL.
fn file_name(url: &str) -> String {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

#[cfg(test)]
mod tests {
    use super::Expected;

    #[test]
    fn files_are_expected_by_key_by_relative_name_or_by_name() {
        let mut expected = Expected::of(b"in/a.json\n b/c.json \n\nd.ndjson\ne.json\n").unwrap();
        for key in ["in/a.json", "in/b/c.json", "in/x/d.ndjson.gz", "in/f.json"] {
            expected.meet(key, "in/");
        }
        assert_eq!(expected.not_met(), ["e.json"]);
    }

    #[test]
    fn the_files_of_a_bulk_export_are_expected() {
        let manifest = br#" {"transactionTime": "2026-01-05T10:00:00Z", "output": [
            {"type": "Patient", "url": "https://x.example/out/Patient.000.ndjson?sig=a/b", "count": 3},
            {"type": "Observation", "url": "https://x.example/out/Observation.000.ndjson"}],
            "deleted": [{"type": "Bundle", "url": "https://x.example/out/deleted.ndjson"}]}"#;
        let mut expected = Expected::of(manifest).unwrap();
        expected.meet("in/2026/Patient.000.ndjson", "in/");
        assert_eq!(expected.not_met(), ["Observation.000.ndjson", "deleted.ndjson"]);
        for wrong in ["{}", "{", "", "\n", r#"{"output": [{}]}"#, r#"{"output": []}"#] {
            assert!(Expected::of(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
