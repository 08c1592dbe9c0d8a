//! Which object versions a bucket holds, page by page: asked of S3, or read from an S3 Inventory report.

mod bucket;
mod inventory;
mod manifest;
mod order;
mod sorting;

use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use pipeline::object::{ObjectRef, Pin};
use tokio::sync::mpsc;

use crate::cloud::Cloud;
use crate::surroundings::milliseconds_now;

/// Which object versions are meant.
#[derive(Debug, Args)]
#[command(next_help_heading = "Objects")]
pub(crate) struct Objects {
    /// The bucket and the prefix that the function watches
    #[arg(value_name = "s3://BUCKET/PREFIX")]
    place: String,
    /// Only keys with this ending, as the function's `WATCHED_SUFFIX`
    #[arg(long, value_name = "TEXT", env = "WATCHED_SUFFIX", default_value = "", hide_default_value = true)]
    suffix: String,
    /// Only objects made at this moment or later: `2024-01-31`, `2024-01-31T08:00:00Z`, or an age such as `7d` or `24h`
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<i64>,
    /// Only objects made before this moment
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<i64>,
    /// Read the objects from the `manifest.json` of an S3 Inventory report (CSV), in S3 or in a folder
    #[arg(long, value_name = "MANIFEST")]
    inventory: Option<String>,
}

/// Which object versions are meant, as the commands use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selection {
    /// The bucket.
    pub(crate) bucket: String,
    /// What keys begin with.
    pub(crate) prefix: String,
    /// What keys end with.
    pub(crate) suffix: String,
    /// The first moment, in milliseconds since 1970-01-01T00:00:00Z.
    pub(crate) since: Option<i64>,
    /// The moment behind the last one.
    pub(crate) until: Option<i64>,
}

/// One object version of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedVersion {
    /// The object, pinned as its notification pins it. Its size is known.
    pub(crate) object: ObjectRef,
    /// Another id that its load may have: the version `null` is announced by its `ETag` while it is the latest, and can
    /// be read by its name only once it no longer is.
    pub(crate) other_load_id: Option<String>,
    /// It must be restored before it can be read.
    pub(crate) is_archived: bool,
    /// How many earlier versions of the key were made within the same second.
    pub(crate) rank_in_second: u32,
}

/// A page of versions. All versions of a key are in one page, the oldest first, unless there are very many.
pub(crate) type Page = Vec<ListedVersion>;

/// The pages of a listing.
pub(crate) struct Pages {
    receiver: mpsc::Receiver<anyhow::Result<Page>>,
    /// Whether they come from a report, which may be days old.
    pub(crate) are_from_report: bool,
}

/// Versions of a page; that of the last key makes it larger.
const PAGE: usize = 1_000;
/// Pages that wait while earlier ones are worked on.
const PAGES_AHEAD: usize = 2;

impl Objects {
    /// Returns what the arguments select.
    pub(crate) fn selection(&self) -> anyhow::Result<Selection> {
        let (bucket, prefix) = s3_address(&self.place)
            .with_context(|| format!("`{}`: an address looks like s3://BUCKET/PREFIX", self.place))?;
        if let (Some(since), Some(until)) = (self.since, self.until)
            && since >= until
        {
            bail!("--since is not before --until: nothing lies between them");
        }
        let (bucket, prefix, suffix) = (bucket.to_owned(), prefix.to_owned(), self.suffix.clone());
        Ok(Selection { bucket, prefix, suffix, since: self.since, until: self.until })
    }

    /// Begins to list the selected versions.
    pub(crate) async fn pages(&self, cloud: &Arc<Cloud>, selection: &Selection) -> anyhow::Result<Pages> {
        let (sender, receiver) = mpsc::channel(PAGES_AHEAD);
        let (cloud, selection) = (Arc::clone(cloud), selection.clone());
        if let Some(manifest) = &self.inventory {
            let report = inventory::Report::open(&cloud, manifest, &selection.bucket).await?;
            tokio::spawn(async move { report.list(&cloud, selection, sender).await });
        } else {
            tokio::spawn(async move { bucket::list(&cloud, &selection, &sender).await });
        }
        Ok(Pages { receiver, are_from_report: self.inventory.is_some() })
    }
}

impl Pages {
    /// Returns the next page; `None` at the end.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<Page>> {
        self.receiver.recv().await.transpose()
    }
}

impl Selection {
    /// Returns whether an object of this key and time is selected.
    fn includes(&self, key: &str, created: i64) -> bool {
        key.starts_with(&self.prefix)
            && key.ends_with(&self.suffix)
            && self.since.is_none_or(|since| created >= since)
            && self.until.is_none_or(|until| created < until)
    }
}

impl ListedVersion {
    /// Returns a version as a listing states it. `version` is `None` or `null` where the bucket gave none.
    fn new(mut object: ObjectRef, version: Option<&str>, e_tag: &str, is_latest: bool) -> Self {
        if let Some(version) = version.filter(|version| !version.is_empty() && *version != "null") {
            object.pin = Pin::Version(version.to_owned());
            return Self { object, other_load_id: None, is_archived: false, rank_in_second: 0 };
        }
        let by_tag = Pin::ETag(e_tag.trim_matches('"').to_owned());
        let by_name = Pin::Version("null".to_owned());
        let (own, other) = if is_latest { (by_tag, by_name) } else { (by_name, by_tag) };
        object.pin = other;
        let other_load_id = Some(object.load_id());
        object.pin = own;
        Self { object, other_load_id, is_archived: false, rank_in_second: 0 }
    }

    /// Returns whether the function loads nothing of it: an empty object, or a folder that a console made.
    pub(crate) fn is_skipped(&self) -> bool {
        self.object.size == Some(0) || self.object.key.ends_with('/')
    }
}

/// Returns bucket and key, or prefix, of an address `s3://…`.
pub(crate) fn s3_address(text: &str) -> Option<(&str, &str)> {
    let address = text.strip_prefix("s3://")?;
    let (bucket, key) = address.split_once('/').unwrap_or((address, ""));
    (!bucket.is_empty()).then_some((bucket, key))
}

/// Reads a moment in milliseconds since 1970-01-01T00:00:00Z: a date, an instant, or an age.
fn moment(text: &str) -> Result<i64, String> {
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok(instant.as_millisecond());
    }
    let instant = |date: Date| format!("{date}T00:00:00Z").parse::<Timestamp>();
    if let Some(Ok(instant)) = text.parse::<Date>().ok().map(instant) {
        return Ok(instant.as_millisecond());
    }
    let age = text.strip_suffix('d').and_then(|days| days.parse::<i64>().ok()).map(|days| (days, 24));
    let age = age.or_else(|| text.strip_suffix('h').and_then(|hours| Some((hours.parse().ok()?, 1))));
    let hours = age.and_then(|(count, hours)| count.checked_mul(hours)).filter(|hours| *hours >= 0);
    match hours {
        Some(hours) if hours < 10_000_000 => {
            Ok(milliseconds_now() - SignedDuration::from_hours(hours).as_secs() * 1_000)
        }
        _ => {
            Err("write a date (2024-01-31), an instant (2024-01-31T08:00:00Z) or an age (7d, 24h)".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use pipeline::object::{ObjectRef, Pin};

    use super::{ListedVersion, moment, s3_address};

    fn listed(version: Option<&str>, is_latest: bool) -> ListedVersion {
        let (bucket, key) = ("b".to_owned(), "k".to_owned());
        let object = ObjectRef { bucket, key, pin: Pin::Latest, sequencer: None, created: 0, size: Some(1) };
        ListedVersion::new(object, version, "\"0123\"", is_latest)
    }

    #[test]
    fn versions_are_pinned_as_notifications_pin_them() {
        let ids = |listed: ListedVersion| (listed.object.load_id(), listed.other_load_id);
        assert_eq!(ids(listed(Some("v1"), true)), ("b/k@v1".to_owned(), None));
        let (by_tag, by_name) = ("b/k@etag:0123".to_owned(), "b/k@null".to_owned());
        for version in [None, Some(""), Some("null")] {
            assert_eq!(ids(listed(version, true)), (by_tag.clone(), Some(by_name.clone())));
            assert_eq!(ids(listed(version, false)), (by_name.clone(), Some(by_tag.clone())));
        }
    }

    #[test]
    fn moments_are_dates_instants_or_ages() {
        assert_eq!(moment("1970-01-02"), Ok(86_400_000));
        assert_eq!(moment("1970-01-01T01:00:00+01:00"), Ok(0));
        let day = moment("24h").unwrap() - moment("2d").unwrap();
        assert!((86_400_000..86_401_000).contains(&day), "{day}");
        for wrong in ["", "d", "yesterday", "-1d", "2024-13-01", "9999999999999999d"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn addresses_have_a_bucket() {
        assert_eq!(s3_address("s3://b/in/"), Some(("b", "in/")));
        assert_eq!(s3_address("s3://b"), Some(("b", "")));
        assert_eq!((s3_address("s3:///in/"), s3_address("b/in/")), (None, None));
    }
}
