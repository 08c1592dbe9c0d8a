//! What a report asks of a store: loads summed by day, loads that went wrong, how full columns are, what was erased.
//!
//! Everything is counted by the store, so that no value of a row leaves it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::ledger::load::{AttemptEnd, Load, Status};

use super::StoreError;
use super::admin::{ObjectName, WholeLoadVisitor};
use super::overview::LoadSums;

/// A day in milliseconds.
pub const DAY_MILLISECONDS: i64 = 24 * 60 * 60 * 1_000;

/// The statuses of loads that left something out.
pub const FAILURES: [Status; 3] = [Status::Failed, Status::Refused, Status::Partial];

/// Which attempt says when a load was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CountedAttempt {
    /// The first: a load stays on its day, however often it is loaded again.
    First,
    /// The latest, as `flatfire status` counts.
    Latest,
}

/// The loads of a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadSpan {
    /// From when on they began, in milliseconds since 1970-01-01T00:00:00Z.
    pub since: i64,
    /// Before when they began, in milliseconds since 1970-01-01T00:00:00Z.
    pub until: i64,
    /// Which of their attempts counts.
    pub attempt: CountedAttempt,
}

/// In how many rows columns are filled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FillCounts {
    /// How many rows were looked at.
    pub rows: u64,
    /// In how many of them each column is filled, in the order of the columns.
    pub filled: Vec<u64>,
}

/// An erasure without what it says of the erased resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErasureOutline {
    /// The same for all erasures of one command.
    pub command: String,
    /// When it began, in milliseconds since 1970-01-01T00:00:00Z.
    #[serde(serialize_with = "moment")]
    pub begun: i64,
    /// When nothing of the resource stood any more; `None`: it is not finished.
    #[serde(serialize_with = "optional_moment")]
    pub ended: Option<i64>,
    /// When it was lifted.
    #[serde(serialize_with = "optional_moment")]
    pub lifted: Option<i64>,
    /// How many documents stood.
    pub documents: u64,
}

/// Counts for reports. Every method fails as those of [`Admin`](super::Admin) do.
#[async_trait]
pub trait ReportStore: Debug + Send + Sync {
    /// Sums the loads of each day (UTC), by the first millisecond of the day; days without a load are left out. Reads
    /// each load.
    async fn sum_days(&self, span: &LoadSpan) -> Result<BTreeMap<i64, LoadSums>, StoreError>;

    /// Visits the loads that [`has_failed`] finds at a moment, in any order. Reads the loads that began since.
    async fn visit_failures(
        &self,
        span: &LoadSpan,
        now: i64,
        visit: &mut WholeLoadVisitor<'_>,
    ) -> Result<(), StoreError>;

    /// Returns, for each of these names, when the newest object of it was made of which everything is in, in milliseconds
    /// since 1970-01-01T00:00:00Z. Names without such an object are left out.
    async fn newest_complete(
        &self,
        objects: &BTreeSet<ObjectName>,
    ) -> Result<BTreeMap<ObjectName, i64>, StoreError>;

    /// Counts the rejects that stand, by code. Reads all of them.
    async fn count_rejects(&self) -> Result<BTreeMap<String, u64>, StoreError>;

    /// Counts the rejects that stand of each of these loads; loads without any are left out.
    async fn count_rejects_of(&self, loads: &[String]) -> Result<BTreeMap<String, u64>, StoreError>;

    /// Returns the erasures that began from `since` on and before `until`, the earliest first.
    async fn erasures(&self, since: i64, until: i64) -> Result<Vec<ErasureOutline>, StoreError>;

    /// Returns how many rows a table has, as the statistics of the store say.
    async fn estimate_rows(&self, table: &str) -> Result<u64, StoreError>;

    /// Counts in how many rows of a table each column is filled; `list.item` is where any item of the list has it. With
    /// a number of rows a store may look at so many that it chooses at random.
    async fn count_filled(
        &self,
        table: &str,
        columns: &[String],
        rows: Option<u64>,
    ) -> Result<FillCounts, StoreError>;
}

impl LoadSpan {
    /// Returns when a load was, in milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn moment_of(&self, load: &Load) -> i64 {
        match self.attempt {
            CountedAttempt::First => load.history.first().map_or(load.begun, |attempt| attempt.begun),
            CountedAttempt::Latest => load.begun,
        }
    }

    /// Returns whether a load is among them.
    #[must_use]
    pub fn includes(&self, load: &Load) -> bool {
        (self.since..self.until).contains(&self.moment_of(load))
    }
}

/// Returns the first millisecond of a moment's day.
#[must_use]
pub const fn day_of(milliseconds: i64) -> i64 {
    milliseconds - milliseconds.rem_euclid(DAY_MILLISECONDS)
}

/// Returns whether a load has left something out at any attempt, or is stuck.
#[must_use]
pub fn has_failed(load: &Load, now: i64) -> bool {
    let is_failure =
        |end: &AttemptEnd| matches!(end, AttemptEnd::Settled(status) if FAILURES.contains(status));
    FAILURES.contains(&load.status)
        || load.is_stuck(now)
        || load.history.iter().any(|attempt| is_failure(&attempt.end))
}

/// Writes a moment as RFC 3339 does, in UTC.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
pub(crate) fn moment<S: Serializer>(milliseconds: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    optional_moment(&Some(*milliseconds), serializer)
}

/// Writes a moment as RFC 3339 does, in UTC, or nothing.
#[expect(clippy::ref_option, reason = "serde asks for a reference")]
pub(crate) fn optional_moment<S: Serializer>(
    milliseconds: &Option<i64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let moment = milliseconds.and_then(|moment| Timestamp::from_millisecond(moment).ok());
    moment.map(|moment| moment.to_string()).serialize(serializer)
}
