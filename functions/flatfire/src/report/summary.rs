//! The answer in words: is everything in, how much came, what needs somebody.

use std::collections::BTreeSet;

use pipeline::report::{DatabaseReport, FailureOutcome, FileFailure};

use super::plot::Tone;
use super::words::{bytes, counted, grouped, length, minute, percent};

/// The answer.
pub(super) struct Answer {
    pub(super) headline: String,
    pub(super) tone: Tone,
    pub(super) sentences: Vec<String>,
}

/// Files of the time by how they ended.
struct FileTally {
    files: u64,
    /// Of these the ones that miss nothing, or nothing any more.
    whole: u64,
    open: u64,
    running: u64,
    gone: u64,
}

/// Returns the answer for a time, such as `the last 30 days`.
pub(super) fn answer(report: &DatabaseReport, time: &str) -> Answer {
    let tally = FileTally::of(report);
    let (headline, tone) = headline(&tally, time);
    let sentences = [
        Some(failures(report)).filter(|_| tally.files > 0),
        volume(report),
        lag(report),
        exports(report),
        erasures(report),
        findings(report),
    ];
    Answer { headline, tone, sentences: sentences.into_iter().flatten().collect() }
}

impl FileTally {
    fn of(report: &DatabaseReport) -> Self {
        let of = |status: &str| report.total.statuses.get(status).copied().unwrap_or_default();
        let with = |outcome: FailureOutcome| {
            report.failures.iter().filter(|failure| failure.outcome == outcome).count() as u64
        };
        let stuck = report.failures.iter().filter(|failure| failure.status == "stuck").count() as u64;
        let (files, open) = (report.total.files, with(FailureOutcome::Open));
        let (running, gone) = (of("running").saturating_sub(stuck), of("gone"));
        Self { files, whole: files.saturating_sub(open + running + gone), open, running, gone }
    }
}

fn headline(tally: &FileTally, time: &str) -> (String, Tone) {
    let FileTally { files, whole, open, running, gone } = *tally;
    if files == 0 {
        return (format!("No file came in {time}."), Tone::Quiet);
    }
    let of = format!("{} of {}", grouped(whole), counted(files, "file"));
    let waits = (running > 0).then(|| format!("{} being loaded", is_are(running)));
    let deleted = (gone > 0).then(|| {
        let were = if gone == 1 { "was" } else { "were" };
        format!(
            "{} {were} deleted before {} loaded",
            grouped(gone),
            if gone == 1 { "it was" } else { "they were" }
        )
    });
    let others: Vec<String> = waits.into_iter().chain(deleted).collect();
    let others = if others.is_empty() { String::new() } else { format!(" {}.", others.join("; ")) };
    if open > 0 {
        let need = if open == 1 { "One needs".to_owned() } else { format!("{} need", grouped(open)) };
        return (format!("{of} of {time} are wholly in. {need} attention.{others}"), Tone::Bad);
    }
    if whole == files {
        return (format!("Everything is in: {of} of {time}."), Tone::Good);
    }
    (format!("{of} of {time} are wholly in; nothing needs attention.{others}"), Tone::Good)
}

fn is_are(count: u64) -> String {
    format!("{} {}", grouped(count), if count == 1 { "is" } else { "are" })
}

/// Returns how many files failed, how many lacked records, and what became of both.
fn failures(report: &DatabaseReport) -> String {
    let (partial, failed): (Vec<&FileFailure>, Vec<&FileFailure>) =
        report.failures.iter().partition(|failure| failure.status == "partial");
    let open = |of: &[&FileFailure]| of.iter().filter(|failure| failure.outcome.is_open()).count() as u64;
    let more = if report.has_more_failures { "At least " } else { "" };
    let failed_files = match failed.len() as u64 {
        0 => "No file failed".to_owned(),
        count => format!("{more}{} failed, {}", counted(count, "file"), still(open(&failed), "open")),
    };
    let partial_files = match partial.len() as u64 {
        0 => "none lacked records".to_owned(),
        count => {
            format!(
                "{} came in without some records, {}",
                counted(count, "file"),
                still(open(&partial), "open")
            )
        }
    };
    format!("{failed_files}; {partial_files}.")
}

fn still(count: u64, what: &str) -> String {
    match count {
        0 => format!("none is still {what}"),
        1 => format!("one is still {what}"),
        count => format!("{} are still {what}", grouped(count)),
    }
}

fn volume(report: &DatabaseReport) -> Option<String> {
    let total = &report.total;
    let set_aside = match total.rejected {
        0 => "none was set aside".to_owned(),
        1 => format!("one was set aside ({})", percent(1, total.records)),
        rejected => format!("{} were set aside ({})", grouped(rejected), percent(rejected, total.records)),
    };
    (total.records > 0).then(|| {
        format!(
            "They held {} in {}, of which {set_aside}; {} were written.",
            counted(total.records, "record"),
            bytes(total.bytes),
            counted(total.rows, "row")
        )
    })
}

fn lag(report: &DatabaseReport) -> Option<String> {
    let (median, worst) = (report.total.median_lag?, report.total.worst_lag?);
    Some(format!(
        "Half of the files stood in the tables within {} of their making; the slowest took {}.",
        length(median),
        length(worst)
    ))
}

/// Returns where the last export stands, and how many others wait.
fn exports(report: &DatabaseReport) -> Option<String> {
    let last = report.exports.first()?;
    let when = last.time.map(|time| format!(" of {} UTC", minute(time))).unwrap_or_default();
    let state = if last.is_complete {
        format!("is complete: {}", counted(last.files, "file"))
    } else {
        format!("is not complete: {} of {} in", grouped(last.loaded_files), counted(last.files, "file"))
    };
    let others = report.exports.iter().skip(1).filter(|export| !export.is_complete).count() as u64;
    let others = match others {
        0 => String::new(),
        count => {
            format!("; {} before it {} not either", grouped(count), if count == 1 { "is" } else { "are" })
        }
    };
    Some(format!("The last export{when} {state}{others}."))
}

fn erasures(report: &DatabaseReport) -> Option<String> {
    let begun = report.erasures.len() as u64;
    let unfinished = report.erasures.iter().filter(|erasure| erasure.ended.is_none()).count() as u64;
    let end = match unfinished {
        0 => "all of it is gone".to_owned(),
        count => format!("{} not finished: run `flatfire forget` again", is_are(count)),
    };
    (begun > 0).then(|| format!("{} erased on request; {end}.", was_were(begun)))
}

fn findings(report: &DatabaseReport) -> Option<String> {
    let checks: BTreeSet<&str> = report.findings.iter().map(|finding| finding.check).collect();
    let places = report.findings.len() as u64;
    (places > 0).then(|| {
        let checks = counted(checks.len() as u64, "kind");
        format!("The checks of the data found {checks} of defects in {}.", counted(places, "place"))
    })
}

fn was_were(count: u64) -> String {
    format!("{} {}", counted(count, "resource"), if count == 1 { "was" } else { "were" })
}

#[cfg(test)]
mod tests {
    use super::{FileTally, headline};
    use crate::report::plot::Tone;

    #[test]
    fn the_headline_says_whether_everything_is_in() {
        let tally = |files, open, running, gone| FileTally {
            files,
            whole: files - open - running - gone,
            open,
            running,
            gone,
        };
        for (tally, words, tone) in [
            (tally(0, 0, 0, 0), "No file came in November 2026.", Tone::Quiet),
            (tally(1, 0, 0, 0), "Everything is in: 1 of 1 file of November 2026.", Tone::Good),
            (tally(1_204, 0, 0, 0), "Everything is in: 1,204 of 1,204 files of November 2026.", Tone::Good),
            (
                tally(9, 1, 2, 0),
                "6 of 9 files of November 2026 are wholly in. One needs attention. 2 are being loaded.",
                Tone::Bad,
            ),
            (
                tally(9, 3, 0, 1),
                "5 of 9 files of November 2026 are wholly in. 3 need attention. 1 was deleted before it was loaded.",
                Tone::Bad,
            ),
            (
                tally(9, 0, 1, 0),
                "8 of 9 files of November 2026 are wholly in; nothing needs attention. 1 is being loaded.",
                Tone::Good,
            ),
        ] {
            assert_eq!(headline(&tally, "November 2026"), (words.to_owned(), tone));
        }
    }
}
