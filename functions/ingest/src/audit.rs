//! The audit of the schedule: the bucket compared with the ledger, over as many messages as it takes.
//!
//! ```json
//! {"audit": {"olderThanMinutes": 360}}
//! ```
//!
//! When the time of an invocation is up, the audit sends itself a message that says how far it came.

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use pipeline::audit::{AuditVerdict, KnownLoad, VerdictCounts, known_loads};
use pipeline::interrupted::Interrupted;
use pipeline::listing::{ListError, ListMarker, ListedVersion, list_versions};
use pipeline::load::Deadline;
use pipeline::store::StoreError;
use pipeline::store::admin::Admin;
use process::milliseconds_now;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::load::Loader;
use crate::watched::Watched;

const MINUTE: i64 = 60_000;

/// Asks for an audit of what is watched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct AuditRequest {
    /// Versions that were younger when the audit began are left out: they may be on their way.
    older_than_minutes: u32,
    /// How far an earlier invocation came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    progress: Option<AuditProgress>,
}

/// How far an audit came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AuditProgress {
    /// When it began, in milliseconds since 1970-01-01T00:00:00Z.
    began: i64,
    /// Where the list goes on.
    marker: ListMarker,
    /// The counts so far. A message can hold no other words, so none of its text reaches the log.
    sums: VerdictCounts,
}

/// What one invocation made of an audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AuditStep {
    /// The whole list was compared.
    Finished(VerdictCounts),
    /// The time is up; this goes on.
    Stopped(AuditRequest),
}

/// Runs an audit until it is finished or the time is up.
type RunAudit =
    dyn Fn(AuditRequest, Deadline) -> BoxFuture<'static, Result<AuditStep, Interrupted>> + Send + Sync;

/// Runs audits.
#[derive(Clone)]
pub(crate) struct Auditor(Arc<RunAudit>);

impl Auditor {
    pub(crate) fn new(
        run: impl Fn(AuditRequest, Deadline) -> BoxFuture<'static, Result<AuditStep, Interrupted>>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        Self(Arc::new(run))
    }

    pub(crate) async fn run(
        &self,
        request: AuditRequest,
        deadline: Deadline,
    ) -> Result<AuditStep, Interrupted> {
        (self.0)(request, deadline).await
    }
}

impl fmt::Debug for Auditor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Auditor").finish_non_exhaustive()
    }
}

impl AuditRequest {
    /// Reads a message or an event; `None` if it asks for no audit.
    pub(crate) fn of(event: &Value) -> Option<Self> {
        let members = event.as_object().filter(|members| members.len() == 1)?;
        serde_json::from_value(members.get("audit")?.clone()).ok()
    }

    /// Reads a request as [`AuditRequest::of`] does, from the body of a message. The first byte rules out most bodies
    /// that ask for something else.
    pub(crate) fn of_body(body: &str) -> Option<Self> {
        let is_possible = body.trim_start().starts_with('{') && body.contains("\"audit\"");
        is_possible.then(|| serde_json::from_str(body).ok()).flatten().as_ref().and_then(Self::of)
    }

    /// Returns the message that asks for it.
    pub(crate) fn to_message(&self) -> String {
        json!({ "audit": self }).to_string()
    }
}

/// Compares what is watched with the ledger, a page of the list after the other.
pub(crate) async fn run(
    loader: &Loader,
    s3: &aws_sdk_s3::Client,
    request: AuditRequest,
    deadline: Deadline,
) -> Result<AuditStep, Interrupted> {
    let watched = loader.watched();
    let bucket = watched.bucket.as_deref().ok_or_else(|| Interrupted::Stopped {
        code: "no bucket to audit".to_owned(),
        remedy: "set WATCHED_BUCKET".to_owned(),
    })?;
    let AuditRequest { older_than_minutes, progress } = request;
    let (began, mut marker, mut sums) = match progress {
        Some(AuditProgress { began, marker, sums }) => (began, Some(marker), sums),
        None => (milliseconds_now(), None, VerdictCounts::new()),
    };
    let before = began - i64::from(older_than_minutes) * MINUTE;
    let store = loader.store(deadline).await?;
    loop {
        let page = list_versions(s3, bucket, &watched.prefix, marker).await.map_err(interrupted_list)?;
        let versions: Vec<ListedVersion> =
            page.versions.into_iter().filter(|version| is_audited(version, watched, before)).collect();
        let known = known_loads(&*store as &dyn Admin, &versions, milliseconds_now()).await;
        add(&mut sums, &known.map_err(interrupted_store)?);
        let Some(next) = page.next else { return Ok(AuditStep::Finished(sums)) };
        if loader.is_time_over(deadline) {
            let progress = Some(AuditProgress { began, marker: next, sums });
            return Ok(AuditStep::Stopped(AuditRequest { older_than_minutes, progress }));
        }
        marker = Some(next);
    }
}

/// Returns whether a version must be in by now.
fn is_audited(version: &ListedVersion, watched: &Watched, before: i64) -> bool {
    watched.includes(&version.object) && !version.is_skipped() && version.object.created < before
}

fn add(sums: &mut VerdictCounts, known: &[Option<KnownLoad>]) {
    for load in known {
        let verdict = AuditVerdict::of(load.as_ref().map(|load| load.state), true);
        let count = sums.entry(verdict).or_default();
        *count = count.saturating_add(1);
    }
}

fn interrupted_list(error: ListError) -> Interrupted {
    match error {
        ListError::Failed(code) if code == "AccessDenied" => {
            Interrupted::Denied { code: "s3:ListBucketVersions".to_owned() }
        }
        ListError::Failed(code) => Interrupted::Read { code },
        ListError::Incomplete(_) => Interrupted::Read { code: "an incomplete list".to_owned() },
    }
}

fn interrupted_store(error: StoreError) -> Interrupted {
    match error {
        StoreError::Refused { code, remedy } => Interrupted::Stopped { code, remedy },
        StoreError::Failed { code } => Interrupted::Write { code },
        StoreError::Unreachable | StoreError::Unsupported { .. } => {
            Interrupted::Write { code: "no database answers".to_owned() }
        }
    }
}

#[cfg(test)]
mod tests {
    use pipeline::audit::{AuditVerdict, CurrentStatus, KnownLoad};
    use pipeline::listing::{ListMarker, ListedVersion};
    use pipeline::object::{ObjectRef, Pin};
    use serde_json::json;

    use super::{AuditProgress, AuditRequest, VerdictCounts, add, is_audited};
    use crate::watched::Watched;

    #[test]
    fn a_request_survives_its_message() {
        let marker = ListMarker { key: "in/ü \"1\".json".into(), version_id: Some("v".into()) };
        let progress =
            AuditProgress { began: 5, marker, sums: VerdictCounts::from([(AuditVerdict::Done, 7)]) };
        for progress in [None, Some(progress)] {
            let request = AuditRequest { older_than_minutes: 360, progress };
            assert_eq!(AuditRequest::of_body(&request.to_message()), Some(request));
        }
        let first = AuditRequest::of(&json!({"audit": {"olderThanMinutes": 360}}));
        assert_eq!(first.unwrap(), AuditRequest { older_than_minutes: 360, progress: None });
        for other in
            [json!({"audit": {}}), json!({"Records": [], "audit": {"olderThanMinutes": 1}}), json!([])]
        {
            assert_eq!(AuditRequest::of(&other), None, "{other}");
        }
        assert_eq!(AuditRequest::of_body(r#"{"audit": "no"#), None);
        let forged = r#"{"audit":{"olderThanMinutes":1,"progress":{"began":5,"marker":{"key":"k","version":null},"sums":{"Jane Doe":1}}}}"#;
        assert_eq!(AuditRequest::of_body(forged), None);
        assert!(AuditRequest::of_body(&forged.replace("Jane Doe", "stuck")).is_some());
    }

    #[test]
    fn what_is_young_empty_or_not_watched_is_left_out() {
        let version = |key: &str, created, size| {
            let (bucket, key, pin) = ("b".to_owned(), key.to_owned(), Pin::Latest);
            let object = ObjectRef { bucket, key, pin, sequencer: None, created, size: Some(size) };
            ListedVersion::new(object, Some("v"), "", true)
        };
        let watched = Watched { suffix: ".json".to_owned(), ..Watched::new("b", "in/") };
        for (key, created, size, expected) in [
            ("in/a.json", 9, 1, true),
            ("in/a.json", 10, 1, false),
            ("in/a.json", 9, 0, false),
            ("in/a.txt", 9, 1, false),
        ] {
            assert_eq!(is_audited(&version(key, created, size), &watched, 10), expected, "{key} {created}");
        }
    }

    #[test]
    fn what_the_list_has_cannot_be_gone() {
        let load = |state| Some(KnownLoad { state, sequencer: None });
        let mut sums = VerdictCounts::from([(AuditVerdict::Done, 1), (AuditVerdict::Missing, u64::MAX)]);
        add(
            &mut sums,
            &[None, load(CurrentStatus::Gone), load(CurrentStatus::Done), load(CurrentStatus::Stuck)],
        );
        let (done, missing, stuck) = (AuditVerdict::Done, AuditVerdict::Missing, AuditVerdict::Stuck);
        assert_eq!(sums, VerdictCounts::from([(done, 2), (missing, u64::MAX), (stuck, 1)]));
    }
}
