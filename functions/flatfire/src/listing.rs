//! Which object versions a bucket holds, page by page: asked of S3, or read from an S3 Inventory report.

mod bucket;
mod inventory;
mod manifest;
mod order;
mod selection;
mod sorting;

use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
pub(crate) use pipeline::listing::ListedVersion;
use process::milliseconds_now;
use tokio::sync::mpsc;

use crate::cloud::Cloud;

pub(crate) use selection::{ListingPage, Selection, s3_address};

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

/// The pages of a listing.
pub(crate) struct Pages {
    receiver: mpsc::Receiver<anyhow::Result<ListingPage>>,
    /// Whether they come from a report, which may be days old.
    pub(crate) are_from_report: bool,
}

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
            let report = inventory::InventoryReport::open(&cloud, manifest, &selection.bucket).await?;
            tokio::spawn(async move { report.list(&cloud, selection, sender).await });
        } else {
            tokio::spawn(async move { bucket::list(&cloud, &selection, &sender).await });
        }
        Ok(Pages { receiver, are_from_report: self.inventory.is_some() })
    }
}

impl Pages {
    /// Returns the next page; `None` at the end.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<ListingPage>> {
        self.receiver.recv().await.transpose()
    }
}

/// Reads a moment in milliseconds since 1970-01-01T00:00:00Z: a date, an instant, or an age.
pub(crate) fn moment(text: &str) -> Result<i64, String> {
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok(instant.as_millisecond());
    }
    let instant = |date: Date| format!("{date}T00:00:00Z").parse::<Timestamp>();
    if let Some(Ok(instant)) = text.parse::<Date>().ok().map(instant) {
        return Ok(instant.as_millisecond());
    }
    let age = |unit: char, minutes: i64| text.strip_suffix(unit)?.parse::<i64>().ok()?.checked_mul(minutes);
    let minutes = age('d', 24 * 60).or_else(|| age('h', 60)).or_else(|| age('m', 1));
    match minutes {
        Some(minutes @ 0..600_000_000) => {
            Ok(milliseconds_now() - SignedDuration::from_mins(minutes).as_secs() * 1_000)
        }
        _ => Err("write a date (2024-01-31), an instant (2024-01-31T08:00:00Z) or an age (7d, 24h, 90m)"
            .to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::moment;

    #[test]
    fn moments_are_dates_instants_or_ages() {
        assert_eq!(moment("1970-01-02"), Ok(86_400_000));
        assert_eq!(moment("1970-01-01T01:00:00+01:00"), Ok(0));
        let day = moment("24h").unwrap() - moment("2d").unwrap();
        assert!((86_400_000..86_401_000).contains(&day), "{day}");
        let hour = moment("30m").unwrap() - moment("90m").unwrap();
        assert!((3_599_000..3_601_000).contains(&hour), "{hour}");
        for wrong in ["", "d", "yesterday", "-1d", "2024-13-01", "9999999999999999d"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }
}
