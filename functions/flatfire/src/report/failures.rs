//! Files that left something out: how many, why, what to do, and what became of them.

use std::collections::BTreeMap;

use pipeline::report::{DatabaseReport, FailureOutcome, FileFailure, FileLabel};

use crate::explain;

use super::page::{Header, PageBlock, PageCell, PageTable, headers};
use super::plot::Tone;
use super::words::{counted, grouped, minute, plain};

/// Failures that are listed.
const LISTED: usize = 60;
/// Codes of one file that are listed.
const LISTED_CODES: usize = 3;

/// Returns the failures, those first that somebody has to mend.
pub(super) fn list(report: &DatabaseReport) -> PageBlock {
    let mut failures: Vec<&FileFailure> = report.failures.iter().collect();
    // The order within is the latest first.
    failures.sort_by_key(|failure| !failure.outcome.is_open());
    let rows = failures.iter().take(LISTED).map(|failure| {
        vec![
            PageCell::text(minute(failure.at)),
            file(&failure.file),
            PageCell { tone: Some(tone(failure.status)), ..PageCell::text(failure.status) },
            reasons(failure),
            PageCell::text(outcome(failure.outcome)),
        ]
    });
    let more = failures.len().saturating_sub(LISTED);
    let at_least = if report.has_more_failures { "at least " } else { "" };
    let more = (more > 0).then(|| format!("And {at_least}{} more.", grouped(more as u64)));
    PageBlock::Table(PageTable {
        caption: "Files that left something out, with what to do; open ones first".to_owned(),
        headers: headers(&["When (UTC)", "File", "How", "Why, and what to do", "Now"]),
        rows: rows.collect(),
        is_stacked: true,
        remark: more,
    })
}

/// Returns how many failures of each status have which outcome.
pub(super) fn outcomes(report: &DatabaseReport) -> PageBlock {
    let mut counts: BTreeMap<&str, BTreeMap<FailureOutcome, u64>> = BTreeMap::new();
    for failure in &report.failures {
        *counts.entry(failure.status).or_default().entry(failure.outcome).or_default() += 1;
    }
    let met: Vec<FailureOutcome> = FailureOutcome::ALL
        .iter()
        .copied()
        .filter(|outcome| counts.values().any(|outcomes| outcomes.contains_key(outcome)))
        .collect();
    let rows = counts.iter().map(|(status, outcomes)| {
        let kind = PageCell { tone: Some(tone(status)), ..PageCell::text(*status) };
        let all = PageCell::number(grouped(outcomes.values().sum()));
        let cells = met
            .iter()
            .map(|outcome| PageCell::number(grouped(outcomes.get(outcome).copied().unwrap_or_default())));
        [kind.with_detail(explain::meaning_of(status).map(plain)), all].into_iter().chain(cells).collect()
    });
    let mut heads = headers(&["How", "Files#"]);
    heads.extend(met.iter().map(|outcome| Header { text: outcome_head(*outcome), is_number: true }));
    PageBlock::Table(PageTable {
        caption: "What became of files that left something out".to_owned(),
        headers: heads,
        rows: rows.collect(),
        ..PageTable::default()
    })
}

/// Returns what a file is called: its name if the report may have it, else its folder and hash.
pub(super) fn file(label: &FileLabel) -> PageCell {
    let FileLabel { folder, name, hash } = label;
    match name {
        Some(name) => PageCell::code(format!("{folder}{name}")).with_detail(Some(format!("#{hash}"))),
        None => PageCell::code(format!("{folder}…")).with_detail(Some(format!("#{hash}"))),
    }
}

/// Returns the codes of a file with their words, or why it failed as a whole.
fn reasons(failure: &FileFailure) -> PageCell {
    let mut codes: Vec<(&String, &u64)> = failure.codes.iter().collect();
    codes.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let Some((first, _)) = codes.first() else {
        let problem = failure.problem.clone().unwrap_or_default();
        let meaning = explain::meaning_of(failure.status).unwrap_or_default();
        let text = if problem.is_empty() { plain(meaning) } else { problem };
        return PageCell::text(text).with_detail(explain::remedy_of(failure.status).map(to_do));
    };
    let named = codes.iter().take(LISTED_CODES).map(|(code, count)| {
        let meaning =
            explain::meaning_of(code).map(|meaning| format!(": {}", plain(meaning))).unwrap_or_default();
        format!("{} {code}{meaning}", grouped(**count))
    });
    let mut text = named.collect::<Vec<_>>().join("; ");
    if codes.len() > LISTED_CODES {
        let more = counted((codes.len() - LISTED_CODES) as u64, "more code");
        text = format!("{text}; and {more}");
    }
    PageCell::text(text).with_detail(explain::remedy_of(first).map(to_do))
}

/// Returns what to do in a sentence.
pub(super) fn to_do(remedy: &str) -> String {
    format!("To do: {}.", plain(remedy))
}

/// Returns the colour of a way to fail.
fn tone(status: &str) -> Tone {
    if status == "partial" { Tone::Warning } else { Tone::Bad }
}

const fn outcome(outcome: FailureOutcome) -> &'static str {
    match outcome {
        FailureOutcome::Open => "open",
        FailureOutcome::Running => "being loaded again",
        FailureOutcome::LoadedAgain => "loaded again, wholly in",
        FailureOutcome::LaterVersion => "a later version of the file is in",
        FailureOutcome::RejectsReplayed => "its rejects were replayed",
        FailureOutcome::Gone => "the file was deleted",
    }
}

const fn outcome_head(outcome: FailureOutcome) -> &'static str {
    match outcome {
        FailureOutcome::Open => "Still open",
        FailureOutcome::Running => "Loading again",
        FailureOutcome::LoadedAgain => "Loaded again",
        FailureOutcome::LaterVersion => "Later version in",
        FailureOutcome::RejectsReplayed => "Rejects replayed",
        FailureOutcome::Gone => "Deleted",
    }
}
