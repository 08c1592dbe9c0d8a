//! The log: one structured line an object, and nothing of a patient in it.

use std::collections::BTreeMap;
use std::time::Duration;

use pipeline::audit::AuditVerdict;
use pipeline::interrupted::Interrupted;
use pipeline::notification::{Cause, Event, Ignored};
use tracing::{Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::invocation::{Failure, Invocation};
use crate::log_line::LogLine;
use crate::log_names::LogNames;
use crate::metrics::Metrics;
use crate::settings::LogLevel;
use pipeline::audit::VerdictCounts;
use pipeline::ledger::Status;
use pipeline::load::Loaded;

/// Begins to log on standard output.
pub fn start(level: LogLevel) -> anyhow::Result<()> {
    tracing::subscriber::set_global_default(json_lines(level, std::io::stdout))?;
    // The text of a panic may quote the data that it stumbled over; the place does not.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, message = LogLine::Panicked.as_str());
    }));
    Ok(())
}

/// Writes JSON lines. What others log is kept to warnings: at lower levels they quote requests.
pub(crate) fn json_lines<W>(level: LogLevel, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let others = if level == LogLevel::Error { "error" } else { "warn" };
    let level = level.as_str();
    let filter = EnvFilter::new(format!("{others},ingest={level},pipeline={level}"));
    let lines =
        tracing_subscriber::fmt().json().flatten_event(true).with_target(false).with_env_filter(filter);
    lines.with_current_span(false).with_span_list(false).with_writer(writer).finish()
}

/// Writes the lines of the log.
#[derive(Debug, Clone)]
pub(crate) struct FunctionLog {
    names: LogNames,
    metrics: Metrics,
}

/// The line of an object, at a level: the fields that all of them have, then those of the one.
macro_rules! object_line {
    (@ $at:ident, $object:ident, $invocation:ident, $event:ident, $line:expr, $($fields:tt)*) => {
        tracing::$at!(
            request_id = $invocation.request_id,
            bucket = $object.bucket.as_ref(),
            key = $object.key,
            key_hash = $object.key_hash,
            version = $object.version.as_ref(),
            sequencer = $object.sequencer.as_deref(),
            cause = cause($event.cause),
            hops = hops($event.cause),
            message = $line.as_str(),
            $($fields)*
        )
    };
    ($level:expr, $line:expr, $log:ident, $invocation:ident, $event:ident, $($fields:tt)*) => {{
        let object = $log.names.of($event);
        match $level {
            Level::ERROR => object_line!(@ error, object, $invocation, $event, $line, $($fields)*),
            Level::WARN => object_line!(@ warn, object, $invocation, $event, $line, $($fields)*),
            _ => object_line!(@ info, object, $invocation, $event, $line, $($fields)*),
        }
    }};
}

impl FunctionLog {
    /// Returns the log; with the name of a stack it writes metrics too.
    pub(crate) const fn new(names: LogNames, stack: Option<String>) -> Self {
        Self { names, metrics: Metrics { stack } }
    }

    /// Logs that an object was brought to its end, whichever it was.
    pub(crate) fn loaded(&self, invocation: &Invocation, event: &Event, loaded: &Loaded, took: Duration) {
        let summary = &loaded.summary;
        let counts = |counts: &BTreeMap<String, u64>| {
            counts.iter().map(|(name, count)| format!("{name}={count}")).collect::<Vec<_>>().join(" ")
        };
        self.drift(invocation, event, loaded);
        self.metrics.loaded(event, loaded);
        let level = match loaded.status {
            Status::Partial | Status::Refused => Level::WARN,
            Status::Failed => Level::ERROR,
            Status::Running | Status::Done | Status::Superseded | Status::Gone => Level::INFO,
        };
        object_line!(
            level,
            LogLine::ObjectHandled,
            self,
            invocation,
            event,
            status = loaded.status.as_str(),
            records = summary.records,
            loaded = summary.loaded,
            unchanged = summary.unchanged,
            superseded = summary.superseded,
            deleted = summary.deleted,
            archived = summary.archived,
            rejected = summary.rejected,
            rows = summary.rows,
            view_defects = summary.view_defects,
            codes = counts(&summary.codes),
            checks = counts(&summary.checks),
            bytes = summary.bytes,
            inflated_bytes = summary.inflated_bytes,
            milliseconds = milliseconds(took)
        );
    }

    /// Logs that columns were new to the dictionary. `_columns` has their names, and the load that filled them first.
    fn drift(&self, invocation: &Invocation, event: &Event, loaded: &Loaded) {
        let drift = &loaded.summary.drift;
        let is_unusual = drift.unknown_elements + drift.clashes + drift.unlisted > 0;
        if !is_unusual && drift.is_none() {
            return;
        }
        object_line!(
            if is_unusual { Level::WARN } else { Level::INFO },
            LogLine::ColumnsDrifted,
            self,
            invocation,
            event,
            new_columns = drift.new_columns,
            unknown_elements = drift.unknown_elements,
            clashes = drift.clashes,
            unlisted = drift.unlisted
        );
    }

    /// Logs that an object could not be brought to its end; it comes again.
    pub(crate) fn interrupted(
        &self,
        invocation: &Invocation,
        event: &Event,
        by: &Interrupted,
        took: Duration,
    ) {
        let milliseconds = milliseconds(took);
        self.metrics.interrupted(by);
        let level = match by {
            Interrupted::Denied { .. } | Interrupted::Stopped { .. } | Interrupted::GateCheckTimedOut => {
                Level::ERROR
            }
            Interrupted::Read { .. }
            | Interrupted::Write { .. }
            | Interrupted::Deadline
            | Interrupted::Cancelled
            | Interrupted::Busy => Level::WARN,
        };
        object_line!(level, LogLine::ObjectInterrupted, self, invocation, event, status = "interrupted", error = %by, milliseconds);
    }

    /// Logs that the bucket was compared with the ledger.
    pub(crate) fn audited(&self, invocation: &Invocation, sums: &VerdictCounts) {
        let mut words: Vec<String> =
            sums.iter().map(|(verdict, count)| format!("{}={count}", verdict.as_str())).collect();
        words.sort();
        let missing = missing_of(sums);
        self.metrics.audited(missing, sums.values().copied().fold(0, u64::saturating_add));
        let (request_id, versions) = (&invocation.request_id, words.join(" "));
        if missing > 0 {
            tracing::error!(request_id, missing, versions, message = LogLine::BucketAudited.as_str());
        } else {
            tracing::info!(request_id, missing, versions, message = LogLine::BucketAudited.as_str());
        }
    }

    /// Logs that an object goes on in another invocation.
    pub(crate) fn continued(&self, invocation: &Invocation, event: &Event) {
        object_line!(Level::INFO, LogLine::ObjectContinued, self, invocation, event, status = "continued");
    }

    /// Logs that an object is begun in another invocation, because a neighbour may kill this one.
    pub(crate) fn passed_on(&self, invocation: &Invocation, event: &Event) {
        object_line!(Level::INFO, LogLine::ObjectPassedOn, self, invocation, event, status = "passed on");
    }

    /// Logs that a large object is loaded by the worker.
    pub(crate) fn handed_over(&self, invocation: &Invocation, event: &Event) {
        object_line!(Level::INFO, LogLine::ObjectHandedOver, self, invocation, event, status = "handed over");
    }

    /// Logs that an object is outside the watched bucket, prefix or suffix.
    pub(crate) fn not_watched(&self, invocation: &Invocation, event: &Event) {
        object_line!(Level::WARN, LogLine::ObjectNotWatched, self, invocation, event, status = "not watched");
    }
}

/// Logs that an audit did not come to its end; it is tried again.
pub(crate) fn audit_interrupted(invocation: &Invocation, by: &Interrupted) {
    tracing::error!(request_id = invocation.request_id, error = %by, message = LogLine::AuditInterrupted.as_str());
}

/// Returns how many versions are not in although nothing was ever said of them: those that no load began, and those of
/// which a load was killed.
fn missing_of(sums: &VerdictCounts) -> u64 {
    let missing = [AuditVerdict::Missing, AuditVerdict::Stuck];
    missing.iter().filter_map(|verdict| sums.get(verdict)).copied().fold(0, u64::saturating_add)
}

/// Logs that something was announced that needs no load.
pub(crate) fn ignored(invocation: &Invocation, ignored: Ignored) {
    if ignored.total() > 0 {
        tracing::info!(
            request_id = invocation.request_id,
            tests = ignored.tests,
            not_created = ignored.not_created,
            empty = ignored.empty,
            folders = ignored.folders,
            message = LogLine::EventsIgnored.as_str()
        );
    }
}

/// Logs that a message is to come again. The object's own line says what interrupted it.
pub(crate) fn failed_message(invocation: &Invocation, failure: &Failure) {
    match failure {
        Failure::Invalid(_) | Failure::Panicked => {
            tracing::error!(request_id = invocation.request_id, error = %failure, message = LogLine::MessageFailed.as_str());
        }
        Failure::Interrupted(_) | Failure::NotWatched => {
            tracing::debug!(request_id = invocation.request_id, error = %failure, message = LogLine::MessageFailed.as_str());
        }
    }
}

const fn cause(cause: Cause) -> &'static str {
    match cause {
        Cause::Created => "created",
        Cause::Continuation { .. } => "continuation",
        Cause::Replay { .. } => "replay",
    }
}

const fn hops(cause: Cause) -> Option<u32> {
    match cause {
        Cause::Created | Cause::Replay { hops: 0 } => None,
        Cause::Replay { hops } | Cause::Continuation { hops } => Some(hops),
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
