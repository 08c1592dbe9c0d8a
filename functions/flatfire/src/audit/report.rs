//! What an audit prints: a line for each finding, then the sums.

use comfy_table::{CellAlignment, Table};
use pipeline::object::{ObjectRef, Pin};
use serde_json::{Value, json};

use super::tally::{AuditSums, AuditVerdict, VerdictCounts};
use crate::console::{self, moment};
use crate::listing::Selection;

/// An object version of which not everything is in.
pub(super) struct Finding<'a> {
    /// What became of it.
    pub(super) verdict: AuditVerdict,
    /// It must be restored from Glacier first.
    pub(super) is_archived: bool,
    /// The object.
    pub(super) object: &'a ObjectRef,
}

/// Prints for a person, or as JSON.
pub(super) struct AuditReport {
    is_json: bool,
}

impl AuditReport {
    pub(super) const fn new(is_json: bool) -> Self {
        Self { is_json }
    }

    /// Prints a finding.
    pub(super) fn print(&self, finding: &Finding<'_>) -> std::io::Result<()> {
        let Finding { verdict, is_archived, object } = finding;
        if !self.is_json {
            let archived = if *is_archived { "\tin Glacier" } else { "" };
            let created = moment(object.created);
            return console::print(&format!(
                "{}\t{}\t{created}{archived}",
                verdict.as_str(),
                object.load_id()
            ));
        }
        let (version, e_tag) = match &object.pin {
            Pin::VersionId(version) => (Some(version), None),
            Pin::ETag(e_tag) => (None, Some(e_tag)),
            Pin::Latest => (None, None),
        };
        let mut line = json!({
            "status": verdict.as_str(), "load": object.load_id(), "bucket": object.bucket, "key": object.key,
            "versionId": version, "eTag": e_tag, "created": moment(object.created), "size": object.size,
        });
        if *is_archived && let Some(line) = line.as_object_mut() {
            line.insert("inGlacier".to_owned(), true.into());
        }
        console::print(&line.to_string())
    }

    /// Prints a load whose object was deleted before it was loaded.
    pub(super) fn print_gone(&self, id: &str, created: i64) -> std::io::Result<()> {
        let (status, created) = (AuditVerdict::Gone.as_str(), moment(created));
        console::print(&if self.is_json {
            json!({ "status": status, "load": id, "created": created }).to_string()
        } else {
            format!("{status}\t{id}\t{created}")
        })
    }

    /// Prints a file that was expected and is not in the bucket.
    pub(super) fn print_not_sent(&self, name: &str) -> std::io::Result<()> {
        console::print(&if self.is_json {
            json!({ "status": "not-sent", "name": name }).to_string()
        } else {
            format!("not-sent\t{name}")
        })
    }

    /// Prints the sums.
    pub(super) fn print_sums(
        &self,
        selection: &Selection,
        tally: &AuditSums,
        not_sent: usize,
        is_complete: bool,
    ) -> std::io::Result<()> {
        if self.is_json {
            let days = tally.days().iter().map(|(day, counts)| (day.clone(), by_word(counts)));
            let sums = json!({
                "bucket": selection.bucket, "prefix": selection.prefix,
                "since": selection.since.map(moment), "until": selection.until.map(moment),
                "isComplete": is_complete, "versions": tally.total(), "statuses": by_word(tally.all()),
                "days": days.collect::<serde_json::Map<_, _>>(), "notSent": not_sent,
                "deletedSinceLoaded": tally.deleted_since(),
            });
            return console::print(&sums.to_string());
        }
        if tally.total() > 0 {
            console::print(&table(tally).to_string())?;
        }
        if tally.deleted_since() > 0 {
            let deleted = tally.deleted_since();
            console::print(&format!("{deleted} other loads are of versions that were deleted since"))?;
        }
        console::print(&verdict(tally, not_sent, is_complete))
    }
}

fn by_word(counts: &VerdictCounts) -> Value {
    let counts = counts.iter().map(|(verdict, count)| (verdict.as_str().to_owned(), json!(count)));
    counts.collect::<serde_json::Map<_, _>>().into()
}

/// Returns a row a day, a column for each verdict that occurs.
fn table(tally: &AuditSums) -> Table {
    let mut table = console::table();
    let verdicts: Vec<AuditVerdict> =
        AuditVerdict::ALL.iter().copied().filter(|verdict| tally.all().contains_key(verdict)).collect();
    let words = verdicts.iter().map(|verdict| verdict.as_str());
    table.set_header(std::iter::once("day").chain(words));
    let days = tally.days().iter().map(|(day, counts)| (day.as_str(), counts));
    for (day, counts) in days.chain([("all", tally.all())]) {
        let counts = verdicts.iter().map(|verdict| counts.get(verdict).copied().unwrap_or_default());
        table.add_row(std::iter::once(day.to_owned()).chain(counts.map(|count| count.to_string())));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Returns the answer in one sentence.
fn verdict(tally: &AuditSums, not_sent: usize, is_complete: bool) -> String {
    let total = tally.total();
    if is_complete {
        return format!("everything is in: {total} object versions");
    }
    let open =
        tally.all().iter().filter(|(verdict, _)| verdict.is_finding() && **verdict != AuditVerdict::Gone);
    let open = open.map(|(verdict, count)| format!("{count} {}", verdict.as_str()));
    let not_sent = (not_sent > 0).then(|| format!("{not_sent} not sent"));
    let open: Vec<String> = open.chain(not_sent).collect();
    format!("not everything is in: {} of {total} object versions", open.join(", "))
}

#[cfg(test)]
mod tests {
    use super::{AuditSums, AuditVerdict, table, verdict};

    #[test]
    fn the_answer_names_what_is_open() {
        let mut tally = AuditSums::default();
        for verdict in [AuditVerdict::Done, AuditVerdict::Done, AuditVerdict::Gone] {
            tally.add(0, verdict, true);
        }
        assert_eq!(verdict(&tally, 0, true), "everything is in: 3 object versions");
        tally.add(86_400_000, AuditVerdict::Missing, false);
        assert_eq!(
            verdict(&tally, 2, false),
            "not everything is in: 1 missing, 2 not sent of 4 object versions"
        );
        let lines = table(&tally).to_string();
        let cells =
            |line: &str| line.split(['│', '┆']).map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
        let lines: Vec<_> = lines.lines().filter(|line| line.starts_with('│')).map(cells).collect();
        assert_eq!(lines[0], ["", "day", "done", "missing", "gone", ""]);
        assert_eq!(lines[1], ["", "1970-01-01", "2", "0", "1", ""]);
        assert_eq!(lines[3], ["", "all", "2", "1", "1", ""]);
    }
}
