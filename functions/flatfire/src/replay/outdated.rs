//! Loads that an older program, another catalog or other views have made are made again.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use flatten::catalog::Catalog;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use pipeline::ledger::{Load, MIXED_CATALOGS};
use pipeline::object::ObjectRef;
use pipeline::store::Store;
use pipeline::store::overview::Maker;
use serde_json::json;

use super::arguments::{ReplayArguments, described};
use crate::archived::ArchivedObjects;
use crate::cloud::{Cloud, Presence};
use crate::console;
use crate::console::unreadable;
use crate::database;
use crate::load::{LoadAgain, content_of, load_again};
use crate::origin;
use crate::other_catalogs;
use crate::outcome::Outcome;
use crate::queue_sender::{QueueSender, SendReason};

/// Loads that are looked at, and then begun, at once.
const LOADS_AT_ONCE: usize = 10_000;
/// Loads among which the function's latest is looked for.
const LATEST: u32 = 100;
/// Objects that S3 is asked for at once.
const REQUESTS: usize = 16;

/// What becomes of outdated loads.
struct Run<'a> {
    arguments: &'a ReplayArguments,
    store: Arc<dyn Store>,
    catalog: Arc<Catalog>,
    /// Made once there is an object.
    sender: Option<(Arc<Cloud>, QueueSender)>,
    archived: ArchivedObjects,
    counts: OutdatedCounts,
    outcome: Outcome,
}

#[derive(Debug, Default)]
struct OutdatedCounts {
    /// Outdated loads by the code and the catalog that made them.
    by_maker: BTreeMap<(String, String), u64>,
    /// Those of newer programs, which are left.
    newer: u64,
    /// Those whose object or file is gone, or a file with other content by now.
    gone: u64,
}

/// Makes everything again that the program and the catalog of this command have not made; with `--dry-run` it is
/// listed.
pub(super) async fn replay(
    arguments: &ReplayArguments,
    store: Arc<dyn Store>,
    catalog: Arc<Catalog>,
) -> anyhow::Result<Outcome> {
    let maker =
        Maker { code: env!("CARGO_PKG_VERSION").to_owned(), catalog: catalog.fingerprint().to_owned() };
    let (sender, archived) = (None, ArchivedObjects::new(None, false)?);
    let (counts, outcome) = (OutdatedCounts::default(), Outcome::Done);
    tell_other_settings(&store, &maker).await?;
    let mut run = Run { arguments, store, catalog, sender, archived, counts, outcome };
    let mut after = String::new();
    loop {
        let mut loads = Vec::new();
        let mut visit = |load: Load| {
            loads.push(load);
            if loads.len() < LOADS_AT_ONCE { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        run.store.visit_outdated_loads(&maker, &after, &mut visit).await?;
        let Some(last) = loads.last() else { break };
        after.clone_from(&last.id);
        loads.retain(|load| run.counts.add(load, &maker));
        run.handle(loads).await?;
    }
    run.finish(&maker).await
}

/// Says so if the function's latest load has come to another catalog with the same program: with other settings than the
/// function's, what it loads again stays outdated. It may also be that the function was deployed anew since.
async fn tell_other_settings(store: &Arc<dyn Store>, maker: &Maker) -> anyhow::Result<()> {
    let latest = database::ledger(store).list(None, LATEST).await.map_err(unreadable)?;
    let of_function = latest.iter().find(|load| load.bucket != "file" && !load.catalog.is_empty());
    if let Some(load) = of_function
        .filter(|load| load.code == maker.code && ![MIXED_CATALOGS, &maker.catalog].contains(&&*load.catalog))
    {
        console::line(&format!(
            "flatfire: the latest load of the function was made by catalog {}, and this command's settings are catalog {}: \
             if the function was not deployed with these since, its loads stay outdated; give its settings and views",
            load.catalog, maker.catalog
        ));
    }
    Ok(())
}

impl OutdatedCounts {
    /// Counts a load; `false`: a newer program has made it.
    fn add(&mut self, load: &Load, maker: &Maker) -> bool {
        if compared(&load.code, &maker.code) == Ordering::Greater {
            self.newer += 1;
            return false;
        }
        *self.by_maker.entry((load.code.clone(), load.catalog.clone())).or_default() += 1;
        true
    }
}

impl Run<'_> {
    async fn handle(&mut self, loads: Vec<Load>) -> anyhow::Result<()> {
        if self.arguments.form.is_dry {
            for load in loads {
                if self.arguments.form.is_json {
                    console::print_json(&described(&load))?;
                    continue;
                }
                let how = if load.bucket == "file" { "here" } else { "by the function" };
                console::print(&format!(
                    "{}\tcode {}, catalog {}\tload again {how}",
                    load.id, load.code, load.catalog
                ))?;
            }
            return Ok(());
        }
        let (files, objects): (Vec<Load>, Vec<Load>) =
            loads.into_iter().partition(|load| load.bucket == "file");
        self.send(objects).await?;
        self.load(files).await
    }

    async fn send(&mut self, loads: Vec<Load>) -> anyhow::Result<()> {
        if loads.is_empty() {
            return Ok(());
        }
        if self.sender.is_none() {
            let queue = self.arguments.queue_url.clone();
            let queue = queue
                .context("--queue-url: loads of buckets are replayed by the function; name its queue")?;
            let cloud = Arc::new(Cloud::new().await);
            let sender = QueueSender::new(&cloud, queue, None).by(self.arguments.run_by.requester());
            self.sender = Some((cloud, sender));
        }
        let Some((cloud, sender)) = &mut self.sender else { return Ok(()) };
        let objects = loads.iter().filter_map(origin::object_of);
        let looked_at = objects.map(async |object: ObjectRef| {
            let presence = cloud.presence(&object).await?;
            anyhow::Ok((object, presence))
        });
        let mut looked_at = stream::iter(looked_at).buffered(REQUESTS);
        while let Some((object, presence)) = looked_at.try_next().await? {
            match presence {
                Presence::There => sender.send(object, SendReason::Outdated).await?,
                Presence::Archived => self.archived.add(&object)?,
                Presence::Gone => self.counts.gone += 1,
            }
        }
        Ok(())
    }

    async fn load(&mut self, loads: Vec<Load>) -> anyhow::Result<()> {
        let mut files = Vec::new();
        for load in loads {
            let object = origin::object_of(&load).context("the ledger's entry is not one of this version")?;
            match content_of(Path::new(&object.key)).await {
                Ok(pin) if pin == object.pin => files.push(PathBuf::from(object.key)),
                Ok(_) | Err(_) => self.counts.gone += 1,
            }
        }
        if !files.is_empty() {
            other_catalogs::check_tables(&*self.store, &self.catalog, self.arguments.other_catalogs).await?;
            let (catalog, store) = (Arc::clone(&self.catalog), self.store.clone());
            let arguments = self.arguments;
            let again = LoadAgain { by: arguments.run_by.requester(), is_json: arguments.form.is_json };
            let loaded = load_again(&files, catalog, store, again).await;
            self.outcome = self.outcome.max(loaded);
        }
        Ok(())
    }

    /// Waits until the queue has everything, and says how many loads it was, and of whom.
    async fn finish(mut self, maker: &Maker) -> anyhow::Result<Outcome> {
        let mut sent = 0;
        if let Some((_, sender)) = &mut self.sender {
            sender.finish().await?;
            sent = sender.sent();
        }
        self.archived.finish()?;
        let OutdatedCounts { by_maker, newer, gone } = &self.counts;
        for ((code, catalog), loads) in by_maker {
            console::line(&format!("flatfire: {loads} made by code {code}, catalog {catalog}"));
        }
        let Maker { code, catalog } = maker;
        if by_maker.is_empty() {
            console::line(&format!("flatfire: all loads were made by code {code}, catalog {catalog}"));
        }
        for (count, what) in [
            (sent, "sent to the function"),
            (*newer, "left: a newer program has made them"),
            (*gone, "left: their object is gone, or their file gone or changed"),
        ] {
            if count > 0 {
                console::line(&format!("flatfire: {count} {what}"));
            }
        }
        if self.arguments.form.is_json && !self.arguments.form.is_dry {
            let outdated: u64 = by_maker.values().sum();
            console::print_json(&json!({
                "outdated": outdated, "sent": sent, "newer": newer, "gone": gone, "inGlacier": self.archived.count(),
            }))?;
        }
        let is_whole = *gone == 0 && self.archived.count() == 0;
        Ok(self.outcome.max(if is_whole { Outcome::Done } else { Outcome::Partial }))
    }
}

/// Compares versions by their numbers (Semantic Versioning 2.0.0, section 11, without what stands behind a hyphen).
fn compared(one: &str, other: &str) -> Ordering {
    let numbers = |version: &str| {
        let version = version.split(['-', '+']).next().unwrap_or_default();
        version.split('.').map(|number| number.parse::<u64>().unwrap_or_default()).collect::<Vec<_>>()
    };
    numbers(one).cmp(&numbers(other))
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use super::compared;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        for (one, other, expected) in [
            ("0.1.0", "0.1.0", Ordering::Equal),
            ("0.10.0", "0.9.9", Ordering::Greater),
            ("0.1.0-rc.1", "0.1.0", Ordering::Equal),
            ("1.0", "0.99.99", Ordering::Greater),
            ("0.1.9", "0.2.0", Ordering::Less),
        ] {
            assert_eq!(compared(one, other), expected, "{one} {other}");
        }
    }
}
