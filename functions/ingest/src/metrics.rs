//! Metrics: numbers in the embedded metric format of `CloudWatch`, which reads them from the log. One line an object.

use std::io::Write as _;

use pipeline::interrupted::Interrupted;
use pipeline::load::Loaded;
use pipeline::notification::{Cause, Event};
use process::milliseconds_now;
use serde_json::{Map, Value, json};

/// The namespace of all metrics.
const NAMESPACE: &str = "Flatfire";

/// Writes metrics with the name of the stack as their dimension.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    /// `None`: no metrics are written.
    pub(crate) stack: Option<String>,
}

impl Metrics {
    /// Writes what became of an object.
    pub(crate) fn loaded(&self, event: &Event, loaded: &Loaded) {
        self.write(|now| of_loaded(event, loaded, now));
    }

    /// Writes that an object was interrupted and comes again.
    pub(crate) fn interrupted(&self, by: &Interrupted) {
        let stops = matches!(
            by,
            Interrupted::Denied { .. } | Interrupted::Stopped { .. } | Interrupted::GateCheckTimedOut
        );
        self.write(|_| vec![("Interruptions", "Count", 1), ("Stops", "Count", i64::from(stops))]);
    }

    /// Writes what an audit found.
    pub(crate) fn audited(&self, missing: u64, versions: u64) {
        let count = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        self.write(|_| {
            vec![("MissingObjects", "Count", count(missing)), ("AuditedObjects", "Count", count(versions))]
        });
    }

    fn write(&self, metrics: impl FnOnce(i64) -> Vec<(&'static str, &'static str, i64)>) {
        let Some(stack) = &self.stack else { return };
        let now = milliseconds_now();
        let line = line(stack, now, &metrics(now));
        // If the log cannot be written, the failure cannot be logged either.
        let _ = writeln!(std::io::stdout().lock(), "{line}");
    }
}

/// Names, units and values. The lag is the time from the creation of the object to its rows; a replay has none.
fn of_loaded(event: &Event, loaded: &Loaded, now: i64) -> Vec<(&'static str, &'static str, i64)> {
    let summary = &loaded.summary;
    let count = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let mut metrics = vec![
        ("Files", "Count", 1),
        ("Records", "Count", count(summary.records)),
        ("Rows", "Count", count(summary.rows)),
        ("Unchanged", "Count", count(summary.unchanged)),
        ("Rejects", "Count", count(summary.rejected + summary.view_defects)),
        ("Bytes", "Bytes", count(summary.bytes)),
    ];
    if !matches!(event.cause, Cause::Replay { .. }) && event.object.created > 0 {
        metrics.push(("Lag", "Milliseconds", (now - event.object.created).max(0)));
    }
    metrics
}

fn line(stack: &str, now: i64, metrics: &[(&str, &str, i64)]) -> Value {
    let definitions: Vec<Value> =
        metrics.iter().map(|(name, unit, _)| json!({ "Name": name, "Unit": unit })).collect();
    let directive = json!({ "Namespace": NAMESPACE, "Dimensions": [["Stack"]], "Metrics": definitions });
    let mut line = Map::new();
    line.insert("_aws".to_owned(), json!({ "Timestamp": now, "CloudWatchMetrics": [directive] }));
    line.insert("Stack".to_owned(), stack.into());
    line.extend(metrics.iter().map(|(name, _, value)| ((*name).to_owned(), (*value).into())));
    line.into()
}

#[cfg(test)]
mod tests {
    use pipeline::ledger::Status;
    use pipeline::load::Loaded;
    use pipeline::notification::{Cause, Event};
    use pipeline::object::{ObjectRef, Pin};
    use pipeline::summary::Summary;

    use super::{line, of_loaded};

    fn event(cause: Cause) -> Event {
        let (bucket, key) = ("clinic".to_owned(), "in/jane-doe.json".to_owned());
        Event {
            object: ObjectRef { bucket, key, pin: Pin::Latest, sequencer: None, created: 1_000, size: None },
            cause,
            by: None,
        }
    }

    #[test]
    fn a_line_has_every_metric_that_it_announces_and_no_name_of_a_file() {
        let summary =
            Summary { records: 3, loaded: 2, rejected: 1, rows: 5, bytes: 70, ..Summary::default() };
        let loaded = Loaded { status: Status::Partial, summary };
        let line = line("flatfire-dev", 3_500, &of_loaded(&event(Cause::Created), &loaded, 3_500));
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(
            (directive["Namespace"].as_str(), line["Stack"].as_str()),
            (Some("Flatfire"), Some("flatfire-dev"))
        );
        let announced = directive["Metrics"].as_array().unwrap();
        assert_eq!(announced.len(), 7);
        assert!(announced.iter().all(|metric| line[metric["Name"].as_str().unwrap()].is_i64()), "{line}");
        let values =
            ["Files", "Records", "Rows", "Rejects", "Bytes", "Lag"].map(|name| line[name].as_i64().unwrap());
        assert_eq!(values, [1, 3, 5, 1, 70, 2_500]);
        assert!(!line.to_string().contains("jane"));
    }

    #[test]
    fn a_replay_says_nothing_about_the_lag() {
        let loaded = Loaded { status: Status::Done, summary: Summary::default() };
        let metrics = of_loaded(&event(Cause::Replay { hops: 0 }), &loaded, 3_500);
        assert!(metrics.iter().all(|(name, ..)| *name != "Lag"));
    }
}
