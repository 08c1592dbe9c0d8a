//! `flatfire status`: what the ledger knows of loads.

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use comfy_table::{CellAlignment, Table, presets};
use jiff::Timestamp;
use pipeline::batch::MAX_REJECTS;
use pipeline::interrupted::Interrupted;
use pipeline::ledger::{self, Ledger, Load, LoadFilter};
use pipeline::store::admin::RejectFilter;
use pipeline::store::{Store, StoreError};
use pipeline::summary::Summary;

use crate::console;
use crate::database;
use crate::outcome::Outcome;
use crate::reject;
use crate::settings::Destination;
use crate::surroundings::milliseconds_now;

/// Show loads, the latest first, or explain one.
#[derive(Debug, Args)]
pub(crate) struct Status {
    #[command(flatten)]
    destination: Destination,
    /// Show loads of this status only
    #[arg(long = "status", value_parser = status())]
    wanted: Option<Kind>,
    /// Show so many loads at most
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// A load, by its id or by the key of its object: explain it
    #[arg(value_name = "LOAD")]
    load: Option<String>,
}

/// Rejects of an explained load that are listed; the rest is counted.
const LISTED_REJECTS: usize = 20;

/// The word for loads whose function was killed.
const STUCK: &str = "stuck";

/// Loads of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Of a status.
    Of(ledger::Status),
    /// Killed, and not begun again.
    Stuck,
}

impl Kind {
    /// The kind, as of now.
    pub(crate) fn wanted(self) -> LoadFilter {
        match self {
            Self::Of(status) => LoadFilter::Of(status),
            Self::Stuck => LoadFilter::Stuck { now: milliseconds_now() },
        }
    }
}

/// A status by its word in the ledger, or `stuck`.
pub(crate) fn status() -> impl TypedValueParser<Value = Kind> {
    let words = ledger::Status::ALL.map(ledger::Status::as_str).into_iter().chain([STUCK]);
    PossibleValuesParser::new(words).try_map(|word| match ledger::Status::from_word(&word) {
        Some(status) => Ok(Kind::Of(status)),
        None if word == STUCK => Ok(Kind::Stuck),
        None => Err("no such status"),
    })
}

/// Prints what is asked for.
pub(crate) async fn run(arguments: Status) -> anyhow::Result<Outcome> {
    let store = arguments.destination.connect().await?;
    let ledger = database::ledger(&store);
    let wanted = arguments.wanted.map(Kind::wanted);
    let Some(name) = &arguments.load else {
        let loads = ledger.list(wanted, arguments.limit).await.map_err(unreadable)?;
        console::print(&if loads.is_empty() { "no loads".to_owned() } else { listed(&loads) })?;
        for line in look_at(&ledger, arguments.limit).await? {
            console::line(&line);
        }
        return Ok(Outcome::Done);
    };
    let mut loads = store.loads_named(name).await?;
    loads.retain(|load| wanted.is_none_or(|wanted| wanted.includes(load)));
    if loads.is_empty() {
        anyhow::bail!("the ledger knows no such load; give the `_id` of one, or the key of its object");
    }
    for load in &loads {
        console::print(&explained(&*store, load).await?)?;
    }
    Ok(Outcome::Done)
}

/// The ledger could not be read.
pub(crate) fn unreadable(interrupted: Interrupted) -> anyhow::Error {
    anyhow::Error::msg(match interrupted {
        Interrupted::Write { code } => format!("the ledger cannot be read now ({code})"),
        other => other.to_string(),
    })
}

/// How many loads somebody should look at, however many others came after them.
async fn look_at(ledger: &Ledger, limit: u32) -> anyhow::Result<Vec<String>> {
    let mut lines = Vec::new();
    let kinds = [Kind::Of(ledger::Status::Failed), Kind::Of(ledger::Status::Refused), Kind::Stuck];
    for (kind, word) in kinds.into_iter().zip(["failed", "refused", STUCK]) {
        let count = ledger.list(Some(kind.wanted()), limit).await.map_err(unreadable)?.len();
        if count > 0 {
            let more = if count == limit as usize { " or more" } else { "" };
            lines.push(format!("flatfire: {count}{more} {word}: see `flatfire status --status {word}`"));
        }
    }
    Ok(lines)
}

/// The word for where a load stands.
fn word(load: &Load) -> &'static str {
    if load.is_stuck(milliseconds_now()) { STUCK } else { load.status.as_str() }
}

fn listed(loads: &[Load]) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(["begun", "status", "load", "records", "rejected", "rows", "attempts", "problem"]);
    for load in loads {
        let Summary { records, rejected, rows, .. } = &load.summary;
        table.add_row([
            moment(load.begun),
            word(load).to_owned(),
            load.id.clone(),
            records.to_string(),
            rejected.to_string(),
            rows.to_string(),
            load.attempts.to_string(),
            load.problem.clone().unwrap_or_default(),
        ]);
    }
    for column in table.column_iter_mut().skip(3).take(4) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}

/// Everything about one load, and what to do about it.
async fn explained(store: &dyn Store, load: &Load) -> Result<String, StoreError> {
    let Summary { bytes, inflated_bytes, types, codes, checks, drift, .. } = &load.summary;
    let mut lines = vec![load.id.clone(), format!("  {}: {}", word(load), advice(load, milliseconds_now()))];
    lines.push(format!("  begun {}, attempts {}", moment(load.begun), load.attempts));
    if let Some(ended) = load.ended {
        let seconds = u32::try_from((ended - load.begun) / 1000).unwrap_or_default();
        lines.push(format!("  ended {}, after {seconds} s", moment(ended)));
    }
    if let Some(lease) = &load.lease {
        lines.push(format!("  held until {} by {}", moment(lease.until), lease.owner));
    }
    if let (1.., Some(last)) = (load.killed, load.last_killed_at) {
        lines.push(format!("  earlier attempts were killed: {}, last before {}", load.killed, moment(last)));
    }
    lines.extend(load.problem.iter().map(|problem| format!("  problem: {problem}")));
    if let Some(checkpoint) = &load.checkpoint {
        lines.push(format!("  goes on at record {}, byte {}", checkpoint.ordinal, checkpoint.offset));
    }
    lines.push(format!("  {}", console::sum(&load.summary)));
    lines.push(format!("  {bytes} bytes, {inflated_bytes} after decompression"));
    lines.extend(types.iter().map(|(name, count)| format!("  {count} {name}")));
    if drift.new_columns > 0 {
        lines.push(format!("  {} columns that no load had filled before", drift.new_columns));
    }
    if drift.unlisted > 0 {
        lines.push(format!("  {} values in columns beyond the 20,000-column limit", drift.unlisted));
    }
    lines.push(format!("  code {}, catalog {}", load.code, load.catalog));
    lines.extend(checks.iter().map(|(check, count)| format!("  check {check} did not pass {count} times")));
    lines.extend(codes.iter().map(|(code, count)| format!("  rejects: {count} {code}")));
    let rejects = store.rejects(&RejectFilter::of_load(&load.id)).await?;
    lines.extend(
        rejects.iter().take(LISTED_REJECTS).map(|one| format!("  {}", reject::line_of_stored(one, None))),
    );
    let met = load.summary.rejected + load.summary.view_defects;
    if met > MAX_REJECTS {
        lines.push(format!("  the first {MAX_REJECTS} of {met} rejects are kept in _rejects"));
    }
    if rejects.len() > LISTED_REJECTS {
        lines.push(format!("  and {} more in _rejects", rejects.len() - LISTED_REJECTS));
    }
    Ok(lines.join("\n"))
}

fn advice(load: &Load, now: i64) -> String {
    if load.is_stuck(now) {
        let until = load.lease.as_ref().map(|lease| lease.until);
        let times = match load.killed + 1 {
            1 => "once".to_owned(),
            times => format!("{times} times"),
        };
        let last = moment(until.unwrap_or_default());
        return format!("killed {times}, last before {last}; probably out of time or memory");
    }
    if let (ledger::Status::Running, Some(lease)) = (load.status, &load.lease) {
        let (at, seconds) = (moment(lease.until), (lease.until - now).max(0) / 1000);
        return format!("running, or crashed; another attempt can start at {at} (in {seconds} s)");
    }
    settled(load).to_owned()
}

const fn settled(load: &Load) -> &'static str {
    match (load.status, load.lease.is_some()) {
        (ledger::Status::Running, _) => "interrupted; the next delivery, or loading it again, goes on",
        (ledger::Status::Done, _) => "everything in it is in the tables",
        (ledger::Status::Partial, _) => "everything but what was rejected is in the tables",
        (ledger::Status::Failed, _) => {
            "nothing of it could be loaded; correct it at its source and send it again"
        }
        (ledger::Status::Superseded, _) => {
            "a newer version of the object was loaded before; nothing is to do"
        }
        (ledger::Status::Refused, _) => {
            "a gate set it aside as a whole; correct it at its source and send it again"
        }
        (ledger::Status::Gone, _) => {
            "the object was deleted before it was loaded; nothing of it is in the tables"
        }
    }
}

/// Returns a moment as RFC 3339 writes it, in UTC.
pub(crate) fn moment(milliseconds: i64) -> String {
    Timestamp::from_millisecond(milliseconds).map(|moment| moment.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use pipeline::interrupted::Interrupted;
    use pipeline::ledger::{Attempt, Lease, Ledger, Load};
    use pipeline::object::{ObjectRef, Pin};

    use super::advice;

    fn object() -> ObjectRef {
        let (bucket, key) = ("b".into(), "k".into());
        ObjectRef { bucket, key, pin: Pin::Latest, sequencer: None, created: 0, size: None }
    }

    async fn begun(ledger: &Ledger, now: i64) -> Load {
        let lease = Lease { owner: now.to_string(), until: now + 60_000 };
        let attempt = Attempt { now, lease, again: false, code: "1".into(), catalog: "c".into() };
        ledger.begin(&object(), &attempt).await.unwrap();
        ledger.find(&object().load_id()).await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn who_holds_a_load_and_for_how_long_is_said() {
        let ledger = Ledger::memory();
        let load = begun(&ledger, 0).await;
        let running = "running, or crashed; another attempt can start at 1970-01-01T00:01:00Z (in 41 s)";
        assert_eq!(advice(&load, 19_000), running);
        let killed = "killed once, last before 1970-01-01T00:01:00Z; probably out of time or memory";
        assert_eq!(advice(&load, 60_000), killed);
        begun(&ledger, 60_000).await;
        let load = begun(&ledger, 120_000).await;
        let killed = "killed 3 times, last before 1970-01-01T00:03:00Z; probably out of time or memory";
        assert_eq!(advice(&load, 500_000), killed);
        ledger.abandon(&load.id, 3, None, &Interrupted::Deadline).await.unwrap();
        let load = ledger.find(&load.id).await.unwrap().unwrap();
        assert!(!advice(&load, 500_000).contains("killed"), "it has said why it stopped");
    }
}
