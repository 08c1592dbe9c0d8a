//! The alarms of the template, and the lines of the function's log.

use super::codes::{Code, CodeKind};

const fn alarm(name: &'static str, meaning: &'static str, remedy: &'static str) -> Code {
    Code { name, kind: CodeKind::Alarm, meaning, missing: "", remedy }
}

const fn line(name: &'static str, meaning: &'static str, remedy: &'static str) -> Code {
    Code { name, kind: CodeKind::Line, meaning, missing: "", remedy }
}

const TOO_SLOW: &str = "see whether the database answers and how busy it is; else raise MaximumConcurrency";
const SEE_THE_CODE: &str = "`flatfire explain` the code in its `error`";
const NOTHING: &str = "nothing";

/// Alarms, then lines of the log.
pub(super) const STACK: &[Code] = &[
    alarm(
        "DeadLetterAlarm",
        "a notification failed every delivery; its file is not wholly in the tables",
        "see the last `object interrupted` or `message failed` in the log, mend that, then \
         `flatfire replay --dead-letter QUEUE_URL`",
    ),
    alarm(
        "OldestMessageAlarm",
        "the oldest notification has been older than OldestMessageAlarmSeconds for five minutes",
        TOO_SLOW,
    ),
    alarm(
        "FunctionErrorAlarm",
        "within five minutes the function did not start, crashed or ran out of time",
        "see its log: a wrong setting is listed there, every mistake of it",
    ),
    alarm(
        "SilenceAlarm",
        "no message came into the queue for SilenceAlarmHours; replays and continuations are messages too",
        "see the sender, and the bucket's notification or event rule; choose more hours than its longest pause",
    ),
    alarm(
        "StopAlarm",
        "within five minutes a load stopped at what does not pass by itself: a missing right, a refused password, a full \
         disk, a gate that the time is too short for",
        "`flatfire explain` the code in the `error` of the last `object interrupted` in the log",
    ),
    alarm(
        "LagAlarm",
        "of the files of five minutes, one in twenty took longer than LagAlarmMinutes from its creation to its rows",
        TOO_SLOW,
    ),
    alarm(
        "LargeObjectDeadLetterAlarm",
        "the worker failed to load a large object at every delivery",
        "see the worker's log, mend that, then `flatfire replay --dead-letter LARGE_OBJECT_DEAD_LETTER_QUEUE_URL`",
    ),
    alarm(
        "LargeObjectOldestMessageAlarm",
        "a large object is not loaded after LargeObjectAlarmSeconds",
        "see whether the worker runs, and its log",
    ),
    alarm(
        "IncompleteLoadAlarm",
        "within five minutes a file ended partial, refused or failed",
        "`flatfire status --status partial`, `refused` and `failed` name the files; `flatfire status KEY` says why",
    ),
    alarm(
        "MissingObjectAlarm",
        "the last audit of AuditSchedule found files that are missing or stuck",
        "`flatfire audit` names them, `flatfire audit --send` sends them",
    ),
    line(
        "object handled",
        "a load ended: status, counts, reject codes, checks, bytes, milliseconds; a warning if it is partial or refused, \
         an error if it failed",
        "`flatfire status KEY` if it is not done",
    ),
    line(
        "object interrupted",
        "a load was interrupted and comes again; an error if somebody must mend something first",
        SEE_THE_CODE,
    ),
    line("object continued", "the time was up; another invocation goes on at the checkpoint", NOTHING),
    line(
        "object passed on",
        "a message of its batch was delivered before, so the object gets a message of its own",
        NOTHING,
    ),
    line("object handed over", "the object is large and waits for the worker", "see that a worker runs"),
    line(
        "object not watched",
        "the object is outside the watched bucket, prefix or suffix; it is not loaded, and its message becomes a dead letter",
        "see WatchedPrefix and WatchedSuffix, and who sent it; then delete the dead letter",
    ),
    line("events ignored", "test events, removals, folders or empty objects", NOTHING),
    line(
        "columns drifted",
        "a file filled columns that no earlier load had filled; `_columns` names them; a warning for unknown elements, \
         clashes and columns beyond the limit",
        "see who sends unknown elements",
    ),
    line(
        "bucket audited",
        "an audit of AuditSchedule ended; an error if versions are missing or stuck",
        "`flatfire audit` names them, `flatfire audit --send` sends them",
    ),
    line("audit interrupted", "an audit was interrupted and comes again", SEE_THE_CODE),
    line(
        "message failed",
        "a message is not a notification, or the program panicked over it",
        "see its sender; report a panic",
    ),
    line(
        "panicked",
        "the program panicked at this place of the source; the load comes again",
        "please report it",
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::codes::CodeKind;
    use super::STACK;

    fn known(kind: CodeKind) -> BTreeSet<&'static str> {
        STACK.iter().filter(|code| code.kind == kind).map(|code| code.name).collect()
    }

    #[test]
    fn every_alarm_of_the_template_is_explained() {
        let template = include_str!("../../../../template.yaml");
        let lines: Vec<&str> = template.lines().collect();
        let alarms = lines.windows(2).filter(|pair| pair[1].trim() == "Type: AWS::CloudWatch::Alarm");
        let alarms = alarms.map(|pair| pair[0].trim().trim_end_matches(':')).collect::<BTreeSet<_>>();
        assert_eq!(known(CodeKind::Alarm), alarms);
    }

    #[test]
    fn every_line_of_the_log_is_explained() {
        let lines = ingest::LogLine::ALL.iter().map(|line| line.as_str());
        assert_eq!(known(CodeKind::Line), lines.collect::<BTreeSet<_>>());
    }
}
