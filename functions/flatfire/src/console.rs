//! What a person reads: on standard error, so that standard output carries only what was asked for.

use std::borrow::Cow;
use std::io::{IsTerminal as _, Write as _};

use comfy_table::{ContentArrangement, Table, presets};
use jiff::Timestamp;
use pipeline::interrupted::Interrupted;
use pipeline::summary::Summary;
use serde_json::Value;

/// Writes one line. A closed standard error is ignored.
pub(crate) fn line(text: &str) {
    writeln!(std::io::stderr(), "{}", harmless(text)).ok();
}

/// Prints what was asked for to standard output: to a program exactly, to a person without what a terminal would obey. A
/// reader who leaves has seen enough.
pub(crate) fn print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout();
    let text = if out.is_terminal() { harmless(text) } else { Cow::Borrowed(text) };
    match writeln!(out, "{text}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}

/// Returns a text without control characters: whoever may upload a file chooses its name, and a terminal would obey it.
/// Line breaks and tabs stay.
pub(crate) fn harmless(text: &str) -> Cow<'_, str> {
    let is_obeyed = |character: char| character.is_control() && !['\n', '\t'].contains(&character);
    if text.contains(is_obeyed) { text.replace(is_obeyed, "·").into() } else { text.into() }
}

/// Prints a JSON object, on a line of its own.
pub(crate) fn print_json(object: &Value) -> std::io::Result<()> {
    print(&object.to_string())
}

/// Returns an empty table that fits the terminal, where there is one.
pub(crate) fn table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    table
}

/// Writes why a command failed, with its causes.
pub(crate) fn error(error: &anyhow::Error) {
    line(&format!("flatfire: {error:#}"));
}

/// Writes why one file failed.
pub(crate) fn file_error(name: &str, reason: &str) {
    line(&format!("flatfire: {name}: {reason}"));
}

/// Returns why a file was not finished, for the user at a terminal: the command does not try again by itself.
pub(crate) fn explained(interrupted: &Interrupted) -> String {
    match interrupted {
        Interrupted::Read { code } => format!("cannot be read ({code})"),
        Interrupted::Write { code } => format!("its rows cannot be written ({code})"),
        Interrupted::Busy => "another process is loading it".to_owned(),
        Interrupted::Denied { .. }
        | Interrupted::Stopped { .. }
        | Interrupted::GateCheckTimedOut
        | Interrupted::Deadline
        | Interrupted::Cancelled => interrupted.to_string(),
    }
}

/// Returns a moment as RFC 3339 writes it, in UTC.
pub(crate) fn moment(milliseconds: i64) -> String {
    Timestamp::from_millisecond(milliseconds).map(|moment| moment.to_string()).unwrap_or_default()
}

/// Returns the error of a ledger that could not be read.
pub(crate) fn unreadable(interrupted: Interrupted) -> anyhow::Error {
    anyhow::Error::msg(match interrupted {
        Interrupted::Write { code } => format!("the ledger cannot be read now ({code})"),
        other => other.to_string(),
    })
}

/// Returns the summary in one line.
pub(crate) fn sum(summary: &Summary) -> String {
    let Summary { records, loaded, unchanged, superseded, deleted, archived, rejected, rows, .. } = summary;
    let mut parts = vec![format!("{loaded} loaded")];
    let others = [
        (unchanged, "unchanged"),
        (superseded, "superseded"),
        (deleted, "deleted"),
        (archived, "archived"),
        (rejected, "rejected"),
    ];
    parts.extend(
        others.iter().filter(|(count, _)| **count > 0).map(|(count, word)| format!("{count} {word}")),
    );
    if summary.view_defects > 0 {
        parts.push(format!("{} missing in a view", summary.view_defects));
    }
    format!("{records} records: {}; {rows} rows", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use pipeline::summary::Summary;

    use super::harmless;

    #[test]
    fn a_terminal_obeys_no_name() {
        assert_eq!(harmless("a\u{1b}[31mb\u{7}\u{9b}1mc\r\n\td"), "a·[31mb··1mc·\n\td");
        assert_eq!(harmless("ü.json"), "ü.json");
    }

    #[test]
    fn the_sum_leaves_out_what_did_not_happen() {
        let summary = Summary { records: 3, loaded: 2, rejected: 1, rows: 5, ..Summary::default() };
        assert_eq!(super::sum(&summary), "3 records: 2 loaded, 1 rejected; 5 rows");
    }
}
