//! What a person reads: on standard error, so that standard output carries rows only.

use std::io::Write as _;

use pipeline::batch::{Reason, Reject};
use pipeline::interrupted::Interrupted;
use pipeline::summary::Summary;

/// Writes one line. A closed standard error is nobody's concern.
pub(crate) fn line(text: &str) {
    writeln!(std::io::stderr(), "{text}").ok();
}

/// Writes why a command failed, with its causes.
pub(crate) fn error(error: &anyhow::Error) {
    line(&format!("flatfire: {error:#}"));
}

/// Writes why one file failed.
pub(crate) fn file_error(name: &str, reason: &str) {
    line(&format!("flatfire: {name}: {reason}"));
}

/// Why a file was not finished, for somebody at a terminal: nothing here tries again by itself.
pub(crate) fn explained(interrupted: &Interrupted) -> String {
    match interrupted {
        Interrupted::Read { code } => format!("cannot be read ({code})"),
        Interrupted::Write { code } => format!("its rows cannot be written ({code})"),
        Interrupted::Busy => "another process is loading it".to_owned(),
        Interrupted::Denied { .. } | Interrupted::Stopped { .. } | Interrupted::Deadline => {
            interrupted.to_string()
        }
    }
}

/// Where a record stands and what is wrong with it:
/// `file:LINE: record N: byte OFFSET: code at /path`.
///
/// The line is the one on which the record begins, counted from 1; the record's number (for a Bundle: the entry's) and
/// the byte are counted from 0, as everywhere in the ledger. All three count what is left after decompression.
pub(crate) fn reject(reject: &Reject) -> String {
    let source = &reject.source;
    let (mut byte, mut what) = (source.offset, reject.reason.code().to_owned());
    match &reject.reason {
        Reason::Frame(_) => {}
        Reason::Defect { view, defect } => {
            byte += defect.offset.unwrap_or_default() as u64;
            if !defect.path.is_empty() {
                what = format!("{what} at {}", defect.path);
            }
            if let Some(view) = view {
                what = format!("{what} in view {view}");
            }
        }
        Reason::Refused { table, code } => what = format!("{what} (error {code}) in table {table}"),
    }
    format!("{}:{}: record {}: byte {byte}: {what}", source.object.key, source.line, source.ordinal)
}

/// The sum in one line.
pub(crate) fn sum(summary: &Summary) -> String {
    let Summary { records, loaded, superseded, deleted, archived, rejected, rows, .. } = summary;
    let mut fates = vec![format!("{loaded} loaded")];
    let others =
        [(superseded, "superseded"), (deleted, "deleted"), (archived, "archived"), (rejected, "rejected")];
    fates.extend(
        others.iter().filter(|(count, _)| **count > 0).map(|(count, fate)| format!("{count} {fate}")),
    );
    if summary.view_defects > 0 {
        fates.push(format!("{} missing in a view", summary.view_defects));
    }
    format!("{records} records: {}; {rows} rows", fates.join(", "))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use flatten::defect::{Defect, DefectCode};
    use pipeline::batch::{Reason, Reject};
    use pipeline::object::{ObjectRef, Pin, Source};
    use pipeline::summary::Summary;

    fn reject(reason: Reason) -> String {
        let (bucket, key) = ("file".to_owned(), "a b.ndjson".to_owned());
        let object = ObjectRef { bucket, key, pin: Pin::Latest, sequencer: None, created: 0, size: None };
        let source = Source { object: Arc::new(object), ordinal: 4, offset: 100, length: 20, line: 7 };
        super::reject(&Reject { source, resource: None, sha256: None, reason })
    }

    #[test]
    fn a_reject_says_where_and_what() {
        assert_eq!(reject(Reason::Frame("truncated")), "a b.ndjson:7: record 4: byte 100: truncated");
        let defect = Defect::at(DefectCode::InvalidNumber, "/birthDate", 5);
        assert_eq!(
            reject(Reason::Defect { view: None, defect }),
            "a b.ndjson:7: record 4: byte 105: invalid-number at /birthDate"
        );
        let defect = Defect { code: DefectCode::SeveralValues, path: "family".into(), offset: None };
        assert_eq!(
            reject(Reason::Defect { view: Some("names".into()), defect }),
            "a b.ndjson:7: record 4: byte 100: several-values at family in view names"
        );
        assert_eq!(
            reject(Reason::Refused { table: "Patient".into(), code: 121 }),
            "a b.ndjson:7: record 4: byte 100: refused-by-database (error 121) in table Patient"
        );
    }

    #[test]
    fn the_sum_leaves_out_what_did_not_happen() {
        let summary = Summary { records: 3, loaded: 2, rejected: 1, rows: 5, ..Summary::default() };
        assert_eq!(super::sum(&summary), "3 records: 2 loaded, 1 rejected; 5 rows");
    }
}
