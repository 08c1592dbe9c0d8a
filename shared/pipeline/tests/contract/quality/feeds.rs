//! Days of the ledger: what came in a rhythm, and what did not.

use std::sync::Arc;

use pipeline::ledger::{Ending, Ledger, Status};
use pipeline::quality::check_quality;
use pipeline::store::Store;
use pipeline::store::memory::MemoryStore;
use pipeline::summary::Summary;

use crate::database::Server;
use crate::ledger::{attempt, object};

use super::clinic::TODAY;

/// The checks that look at the ledger.
pub(super) const CHECKS: [&str; 4] = ["volume-drop", "silent-feed", "missing-day", "high-reject-share"];

const DAY: i64 = 86_400_000;

/// A load of a folder: how many days before today, and how many resources of a type, of which some were rejected.
type Load = (&'static str, i64, &'static str, u64, u64);

/// Returns a folder with a file on every day, or on every working day.
fn rhythm(folder: &'static str, kind: &'static str, days: impl Iterator<Item = i64>) -> Vec<Load> {
    days.map(|ago| (folder, ago, kind, 1_000, 0)).collect()
}

/// Returns whether a day so long before today, a Wednesday, is a working day.
fn is_working_day(ago: i64) -> bool {
    ![3, 4].contains(&ago.rem_euclid(7))
}

async fn enter(store: &Arc<dyn Store>, loads: &[Load]) {
    let ledger = Ledger::new(store.clone());
    for (folder, ago, kind, loaded, rejected) in loads {
        let begun = TODAY - ago * DAY;
        let object = object(&format!("{folder}/{ago}.ndjson"));
        ledger.begin(&object, &attempt(&ago.to_string(), begun)).await.unwrap();
        let summary = Summary {
            records: loaded + rejected,
            loaded: *loaded,
            rejected: *rejected,
            types: [((*kind).to_owned(), *loaded)].into(),
            codes: [("truncated".to_owned(), *rejected)].into(),
            ..Summary::default()
        };
        let status = if *rejected > 0 { Status::Partial } else { Status::Done };
        let ending = Ending { status, summary: &summary, problem: None, created: Some(6), now: begun + 1 };
        ledger.finish(&object.load_id(), 1, &ending).await.unwrap();
    }
}

/// Checks, in both stores, what is found: check, column, count.
async fn check(loads: &[Load], expected: &[(&str, &str, u64)]) {
    let server = Server::get().await;
    let scratch = server.scratch().await;
    let stores: [Arc<dyn Store>; 2] = [Arc::new(MemoryStore::default()), Arc::new(scratch.store().await)];
    for store in stores {
        enter(&store, loads).await;
        let found = check_quality(&*store, TODAY, None, &|_| {}).await.unwrap().findings;
        let told: Vec<_> =
            found.iter().map(|finding| (finding.check, &*finding.column, finding.count)).collect();
        assert_eq!(told, expected);
    }
    scratch.discard().await;
}

#[tokio::test]
async fn feeds_with_a_rhythm_are_not_found() {
    let mut loads = rhythm("lab", "Observation", 0..60);
    loads.extend(rhythm("ward", "Encounter", (0..60).filter(|ago| is_working_day(*ago))));
    loads.extend(rhythm("monthly", "Claim", (0..3).map(|month| month * 28)));
    // Four rejects among 7,000 records.
    loads.push(("lab/broken", 2, "Observation", 400, 4));
    check(&loads, &[]).await;
}

#[tokio::test]
async fn a_drop_is_told_by_type_and_day() {
    let mut loads = rhythm("lab", "Observation", 0..60);
    for (_, ago, _, loaded, _) in &mut loads {
        *loaded = match ago {
            2 => 99,
            5 => 0,
            6 => 100,
            _ => 1_000,
        };
    }
    check(&loads, &[("volume-drop", "Observation", 2)]).await;
}

#[tokio::test]
async fn silence_is_told_against_the_feeds_own_rhythm() {
    let mut loads = rhythm("lab", "Observation", 4..60);
    loads.extend(rhythm("ward", "Encounter", (0..60).step_by(5)));
    loads.extend(rhythm("archive", "Claim", (0..3).map(|number| 40 + number)));
    // On four of the seven days nothing came, and no resources of the type.
    check(
        &loads,
        &[
            ("missing-day", "clinic/lab/", 3),
            ("silent-feed", "clinic/lab/", 4),
            ("volume-drop", "Observation", 3),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_day_without_files_is_told_if_that_weekday_always_had_some() {
    let mut loads =
        rhythm("ward", "Basic", (0..60).filter(|ago| is_working_day(*ago)).filter(|ago| *ago != 1));
    for (_, _, _, loaded, _) in &mut loads {
        *loaded = 3;
    }
    check(&loads, &[("missing-day", "clinic/ward/", 1)]).await;
}

#[tokio::test]
async fn many_rejects_are_told_by_folder() {
    let loads =
        [("lab", 1, "Observation", 980, 20), ("ward", 2, "Encounter", 99, 1), ("old", 8, "Claim", 1, 9)];
    check(&loads, &[("high-reject-share", "clinic/lab/", 20)]).await;
}
