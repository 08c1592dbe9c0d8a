//! Checks of the ledger: what came, by type, folder and day.

use std::collections::{BTreeMap, BTreeSet};

use crate::store::overview::{Folder, LoadPeriod};
use crate::store::quality::{FolderDay, LoadDays};

use super::catalogue::QualityCheck;
use super::finding::QualityFinding;

/// The ledger's table.
const LEDGER: &str = "_loads";

const DAY: i64 = 86_400_000;

/// How far back the ledger is read, in days.
const HISTORY: i64 = 70;

/// The days before today that are judged.
const JUDGED: i64 = 7;

/// The weeks before, whose same weekdays say what is usual.
const WEEKS: i64 = 4;

/// A type with fewer resources a day has no usual number.
const LEAST_USUAL: u64 = 20;

/// A day with less than one part in so many of the usual is a drop.
const DROP: u64 = 10;

/// A folder with files on fewer days has no rhythm.
const LEAST_DAYS: usize = 10;

/// A folder is silent after so many days, and after so many times its longest pause.
const LEAST_SILENCE: i64 = 3;
const PAUSES: i64 = 3;

/// More rejects than one record in so many are many.
const RECORDS_A_REJECT: u64 = 100;

/// Returns the loads that these checks look at.
pub(super) fn period(today: i64) -> LoadPeriod {
    let tomorrow = (today.div_euclid(DAY) + 1) * DAY;
    LoadPeriod { since: Some(tomorrow - HISTORY * DAY), until: Some(tomorrow), keys: None }
}

/// Returns the findings in the loads of that period.
pub(super) fn findings(days: &LoadDays, today: i64) -> Vec<QualityFinding> {
    let today = today.div_euclid(DAY);
    let mut findings = Vec::new();
    let mut types: BTreeMap<&str, BTreeMap<i64, u64>> = BTreeMap::new();
    for ((resource_type, day), count) in &days.types {
        types.entry(resource_type).or_default().insert(*day, *count);
    }
    for (resource_type, counts) in &types {
        findings.extend(volume_drop(resource_type, counts, today));
    }
    let mut folders: BTreeMap<&Folder, BTreeMap<i64, FolderDay>> = BTreeMap::new();
    for ((folder, day), loads) in &days.folders {
        folders.entry(folder).or_default().insert(*day, *loads);
    }
    for (folder, days) in &folders {
        let active: BTreeSet<i64> =
            days.iter().filter(|(_, loads)| loads.loads > 0).map(|(day, _)| *day).collect();
        let found = [silence(&active, today), missing_days(&active, today), rejects(days, today)];
        let name = format!("{}/{}", folder.bucket, folder.prefix);
        findings
            .extend(found.into_iter().flatten().map(|(check, count, of)| finding(check, &name, count, of)));
    }
    findings
}

fn finding(check: QualityCheck, column: &str, count: u64, of: u64) -> QualityFinding {
    let (table, column) = (LEDGER.to_owned(), column.to_owned());
    QualityFinding { check: check.code(), table, column, count, of, detail: None }
}

fn volume_drop(resource_type: &str, counts: &BTreeMap<i64, u64>, today: i64) -> Option<QualityFinding> {
    let of = |day: i64| counts.get(&day).copied().unwrap_or_default();
    let is_drop = |day: &i64| {
        let mut before: Vec<u64> = (1..=WEEKS).map(|week| of(day - 7 * week)).collect();
        before.sort_unstable();
        // The lower one of the two in the middle.
        let usual = before.get(before.len().saturating_sub(1) / 2).copied().unwrap_or_default();
        usual >= LEAST_USUAL && of(*day) * DROP < usual
    };
    let drops = (today - JUDGED..today).filter(is_drop).count() as u64;
    (drops > 0).then(|| finding(QualityCheck::VolumeDrop, resource_type, drops, days(JUDGED)))
}

/// What a check found in a folder: how many, of how many.
type FolderFinding = Option<(QualityCheck, u64, u64)>;

fn silence(active: &BTreeSet<i64>, today: i64) -> FolderFinding {
    let last = active.last().filter(|_| active.len() >= LEAST_DAYS)?;
    let pauses = active.iter().zip(active.iter().skip(1)).map(|(day, next)| next - day);
    let (longest, silent) = (pauses.max()?, today - last);
    let is_silent = silent >= LEAST_SILENCE && silent > PAUSES * longest;
    is_silent.then_some((QualityCheck::SilentFeed, days(silent), days(longest)))
}

fn missing_days(active: &BTreeSet<i64>, today: i64) -> FolderFinding {
    let is_missing =
        |day: &i64| !active.contains(day) && (1..=WEEKS).all(|week| active.contains(&(day - 7 * week)));
    let missing = (today - JUDGED..today).filter(is_missing).count() as u64;
    (missing > 0).then_some((QualityCheck::MissingDay, missing, days(JUDGED)))
}

fn rejects(loads: &BTreeMap<i64, FolderDay>, today: i64) -> FolderFinding {
    let recent = loads.range(today - JUDGED + 1..=today).map(|(_, loads)| loads);
    let (rejected, records) = recent
        .fold((0, 0), |(rejected, records), loads| (rejected + loads.rejected, records + loads.records));
    (rejected * RECORDS_A_REJECT > records).then_some((QualityCheck::HighRejectShare, rejected, records))
}

fn days(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}
