//! The files of a time that left something out, and what became of them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use serde::Serialize;
use strum::VariantArray;

use crate::ledger::load::{AttemptEnd, Load, Status};
use crate::store::admin::ObjectName;
use crate::store::report::{FAILURES, ReportStore, moment};
use crate::store::{Store, StoreError};

use super::label::FileLabel;
use super::request::ReportRequest;

/// The most failures of a report.
pub const MAX_FAILURES: usize = 100_000;

/// The word for a load whose function was killed.
const STUCK: &str = "stuck";

/// A file that left something out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FileFailure {
    /// The file.
    pub file: FileLabel,
    /// When it failed last.
    #[serde(serialize_with = "moment")]
    pub at: i64,
    /// How: `failed`, `refused`, `partial` or `stuck`.
    pub status: &'static str,
    /// Why it failed or was interrupted: codes only.
    pub problem: Option<String>,
    /// Records that its latest attempt read.
    pub records: u64,
    /// Records that its latest attempt set aside.
    pub rejected: u64,
    /// Rejects and view defects of its latest attempt, by code.
    pub codes: BTreeMap<String, u64>,
    /// What became of it.
    pub outcome: FailureOutcome,
}

/// What became of a file that left something out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, VariantArray)]
#[serde(rename_all = "kebab-case")]
pub enum FailureOutcome {
    /// It is not mended.
    Open,
    /// It is being loaded again.
    Running,
    /// It was loaded again, and everything is in.
    LoadedAgain,
    /// A later version of the file is in, with everything.
    LaterVersion,
    /// Its rejects were replayed; none is left.
    RejectsReplayed,
    /// The file was deleted.
    Gone,
}

impl FailureOutcome {
    /// All of them.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// Returns whether it still has to be mended.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Open)
    }
}

/// What the ledger says of a failure's load.
struct FailedLoad {
    object: ObjectName,
    load: String,
    created: i64,
    status: Status,
    failure: FileFailure,
}

/// Returns the failures of the time, the latest first, and whether there are more.
pub(super) async fn read(
    store: &dyn Store,
    request: &ReportRequest,
) -> Result<(Vec<FileFailure>, bool), StoreError> {
    let mut loads = Vec::new();
    let mut visit = |load: Load| {
        loads.push(FailedLoad::new(&load, request));
        if loads.len() > MAX_FAILURES { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    store.visit_failures(&request.span(), request.now, &mut visit).await?;
    let has_more = loads.len() > MAX_FAILURES;
    loads.truncate(MAX_FAILURES);
    let open: Vec<&FailedLoad> = loads.iter().filter(|load| load.failure.outcome.is_open()).collect();
    let objects: BTreeSet<ObjectName> = open.iter().map(|load| load.object.clone()).collect();
    let partial = open.iter().filter(|load| load.status == Status::Partial);
    let partial: Vec<String> = partial.map(|load| load.load.clone()).collect();
    let newest = store.newest_complete(&objects).await?;
    let rejects = ReportStore::count_rejects_of(store, &partial).await?;
    for load in loads.iter_mut().filter(|load| load.failure.outcome.is_open()) {
        if newest.get(&load.object).is_some_and(|created| *created > load.created) {
            load.failure.outcome = FailureOutcome::LaterVersion;
        } else if load.status == Status::Partial && !rejects.contains_key(&load.load) {
            load.failure.outcome = FailureOutcome::RejectsReplayed;
        }
    }
    let mut failures: Vec<FileFailure> = loads.into_iter().map(|load| load.failure).collect();
    failures.sort_by(|one, other| other.at.cmp(&one.at).then_with(|| one.file.cmp(&other.file)));
    Ok((failures, has_more))
}

impl FailedLoad {
    fn new(load: &Load, request: &ReportRequest) -> Self {
        let is_stuck = load.is_stuck(request.now);
        let last_failure = load.history.iter().rev().find_map(|attempt| match attempt.end {
            AttemptEnd::Settled(status) if FAILURES.contains(&status) => Some((status, attempt)),
            _ => None,
        });
        let (at, status, problem) = match last_failure {
            _ if is_stuck => (load.begun, STUCK, load.problem.clone()),
            Some((status, attempt)) if !FAILURES.contains(&load.status) => {
                (attempt.ended.unwrap_or(attempt.begun), status.as_str(), attempt.problem.clone())
            }
            _ => (load.ended.unwrap_or(load.begun), load.status.as_str(), load.problem.clone()),
        };
        let outcome = match load.status {
            Status::Done | Status::Superseded => FailureOutcome::LoadedAgain,
            Status::Gone => FailureOutcome::Gone,
            Status::Running if !is_stuck => FailureOutcome::Running,
            Status::Running | Status::Failed | Status::Refused | Status::Partial => FailureOutcome::Open,
        };
        let failure = FileFailure {
            file: FileLabel::of_load(load, request.has_file_names),
            at,
            status,
            problem,
            records: load.summary.records,
            rejected: load.summary.rejected,
            codes: load.summary.codes.clone(),
            outcome,
        };
        let object = ObjectName { bucket: load.bucket.clone(), key: load.key.clone() };
        Self { object, load: load.id.clone(), created: load.created, status: load.status, failure }
    }
}
