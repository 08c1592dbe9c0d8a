//! The loads of a time, summed: how many, how late, how often what was rejected, and which folders have fallen silent.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use crate::ledger::load::{Load, Status};

/// Which loads are summed or listed: those that fulfil every condition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadPeriod {
    /// From when on their latest attempt began, in milliseconds since 1970-01-01T00:00:00Z.
    pub since: Option<i64>,
    /// Before when it began, in milliseconds since 1970-01-01T00:00:00Z.
    pub until: Option<i64>,
    /// What the keys of their objects are.
    pub keys: Option<KeyPattern>,
}

/// What keys are looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyPattern {
    /// Those with this text in them.
    Part(String),
    /// Those that match as a whole: `*` stands for any text, `?` for any character.
    Glob(String),
}

/// Loads, summed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadSums {
    /// How many, by status. Stuck ones count as running.
    pub statuses: BTreeMap<Status, u64>,
    /// Records read.
    pub records: u64,
    /// Rows written.
    pub rows: u64,
    /// Records that were set aside.
    pub rejected: u64,
    /// Bytes of the objects as stored.
    pub bytes: u64,
    /// Rejects and view defects, by code.
    pub codes: BTreeMap<String, u64>,
    /// How many loads took how long from their object's time to their rows, in milliseconds: [`rounded_lag`].
    pub lags: BTreeMap<i64, u64>,
    /// The longest of these times, in milliseconds.
    pub worst_lag: Option<i64>,
}

/// Who makes rows: loads that another one made are outdated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maker {
    /// Version of the code.
    pub code: String,
    /// Version of the catalog of tables.
    pub catalog: String,
}

/// A folder of a bucket.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Folder {
    /// The bucket; `file` for files of a command line.
    pub bucket: String,
    /// What the keys of its objects begin with, up to their last slash.
    pub prefix: String,
}

/// The most folders that a store returns: those of the latest successes.
pub const MAX_FOLDERS: usize = 10_000;

/// The statuses of loads that have rows in the tables.
pub const SUCCESSES: [Status; 2] = [Status::Done, Status::Partial];

/// The statuses of loads that another program or catalog could end in another way.
pub const REMAKEABLE: [Status; 4] = [Status::Done, Status::Partial, Status::Failed, Status::Refused];

/// Up to which lag, in milliseconds, which step is exact enough.
pub const LAG_STEPS: [(i64, i64); 3] = [(600_000, 1_000), (36_000_000, 60_000), (i64::MAX, 3_600_000)];

/// Rounds a lag down: to seconds, from ten minutes on to minutes, from ten hours on to hours.
#[must_use]
pub fn rounded_lag(milliseconds: i64) -> i64 {
    let step = LAG_STEPS.iter().find(|(below, _)| milliseconds < *below).map_or(1, |(_, step)| *step);
    milliseconds - milliseconds % step
}

impl KeyPattern {
    /// Reads a pattern: with `*` or `?` in it, it is one for whole keys.
    #[must_use]
    pub fn new(text: &str) -> Self {
        if text.contains(['*', '?']) { Self::Glob(text.to_owned()) } else { Self::Part(text.to_owned()) }
    }

    /// Returns whether a key is among those that are looked for.
    #[must_use]
    pub fn matches(&self, key: &str) -> bool {
        match self {
            Self::Part(part) => key.contains(part),
            Self::Glob(pattern) => glob_matches(pattern, key),
        }
    }
}

/// Goes back to the last `*` only, so it takes no longer than both lengths multiplied.
fn glob_matches(pattern: &str, key: &str) -> bool {
    let (mut pattern, mut key) = (pattern.chars(), key.chars());
    let mut resume = None;
    loop {
        let key_before = key.clone();
        match (pattern.next(), key.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                key = key_before;
                resume = Some((pattern.clone(), key.clone()));
            }
            (Some(wanted), Some(found)) if wanted == '?' || wanted == found => {}
            _ => {
                let Some((after_star, mut from)) = resume else { return false };
                if from.next().is_none() {
                    return false;
                }
                (pattern, key) = (after_star.clone(), from.clone());
                resume = Some((after_star, from));
            }
        }
    }
}

impl LoadPeriod {
    /// Returns whether a load is among them.
    #[must_use]
    pub fn includes(&self, load: &Load) -> bool {
        self.since.is_none_or(|since| load.begun >= since)
            && self.until.is_none_or(|until| load.begun < until)
            && self.keys.as_ref().is_none_or(|keys| keys.matches(&load.key))
    }
}

/// Returns the time from a load's object to its rows, in milliseconds. One that was replayed has none: it is not late.
fn lag_of(load: &Load) -> Option<i64> {
    let is_late = SUCCESSES.contains(&load.status) && load.created > 0 && load.first_ended == load.ended;
    load.ended.filter(|_| is_late).map(|ended| (ended - load.created).max(0))
}

impl LoadSums {
    /// Adds a load.
    pub fn add(&mut self, load: &Load) {
        *self.statuses.entry(load.status).or_default() += 1;
        self.records += load.summary.records;
        self.rows += load.summary.rows;
        self.rejected += load.summary.rejected;
        self.bytes += load.summary.bytes;
        for (code, count) in &load.summary.codes {
            *self.codes.entry(code.clone()).or_default() += count;
        }
        if let Some(lag) = lag_of(load) {
            *self.lags.entry(rounded_lag(lag)).or_default() += 1;
            self.worst_lag = self.worst_lag.max(Some(lag));
        }
    }

    /// Returns how many loads there are.
    #[must_use]
    pub fn loads(&self) -> u64 {
        self.statuses.values().sum()
    }

    /// Returns the lag that half of the loads do not exceed, rounded down as [`rounded_lag`] does.
    #[must_use]
    pub fn median_lag(&self) -> Option<i64> {
        let half = self.lags.values().sum::<u64>().div_ceil(2);
        let mut before = 0;
        self.lags.iter().find_map(|(lag, loads)| {
            before += loads;
            (before >= half).then_some(*lag)
        })
    }
}

impl AddAssign for LoadSums {
    fn add_assign(&mut self, other: Self) {
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        for (code, count) in other.codes {
            *self.codes.entry(code).or_default() += count;
        }
        for (lag, count) in other.lags {
            *self.lags.entry(lag).or_default() += count;
        }
        self.records += other.records;
        self.rows += other.rows;
        self.rejected += other.rejected;
        self.bytes += other.bytes;
        self.worst_lag = self.worst_lag.max(other.worst_lag);
    }
}

impl Maker {
    /// Returns whether a load has ended and was made by another one.
    #[must_use]
    pub fn is_outdated(&self, load: &Load) -> bool {
        REMAKEABLE.contains(&load.status) && (load.code != self.code || load.catalog != self.catalog)
    }
}

impl Folder {
    /// Returns the folder of a load's object.
    #[must_use]
    pub fn of(load: &Load) -> Self {
        let prefix = load.key.rfind('/').map_or("", |slash| load.key.get(..=slash).unwrap_or_default());
        Self { bucket: load.bucket.clone(), prefix: prefix.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::{KeyPattern, LoadSums, rounded_lag};

    #[test]
    fn keys_match_by_a_part_or_as_a_whole() {
        for (pattern, key, matches) in [
            ("lab", "incoming/lab/day 1.ndjson", true),
            ("Lab", "incoming/lab/day 1.ndjson", false),
            ("in.o", "incoming/lab", false),
            ("incoming/*.ndjson", "incoming/lab/day 1.ndjson", true),
            ("*.ndjson", "incoming/day.ndjson.gz", false),
            ("*a*b*c", "xaxbxbxc", true),
            ("*a*b*c", "xaxcxb", false),
            ("day?.json", "dayü.json", true),
            ("day?.json", "day.json", false),
            ("*", "", true),
            ("a*", "a", true),
            ("**", "abc", true),
        ] {
            assert_eq!(KeyPattern::new(pattern).matches(key), matches, "{pattern} {key}");
        }
    }

    #[test]
    fn a_lag_is_as_exact_as_it_is_short() {
        for (lag, rounded) in [
            (0, 0),
            (1_999, 1_000),
            (599_999, 599_000),
            (659_999, 600_000),
            (36_000_001, 36_000_000),
            (i64::MAX - 1, (i64::MAX - 1) / 3_600_000 * 3_600_000),
        ] {
            assert_eq!(rounded_lag(lag), rounded);
        }
    }

    #[test]
    fn the_median_is_the_lag_of_the_load_in_the_middle() {
        let median = |lags: &[(i64, u64)]| {
            LoadSums { lags: lags.iter().copied().collect(), ..LoadSums::default() }.median_lag()
        };
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[(5, 1)]), Some(5));
        assert_eq!(median(&[(1, 2), (5, 1), (9, 1)]), Some(1));
        assert_eq!(median(&[(1, 2), (5, 3)]), Some(5));
    }
}
