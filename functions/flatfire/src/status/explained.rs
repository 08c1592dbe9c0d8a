//! One load, explained: what became of it, what to do, and who asked for it.

use pipeline::batch::MAX_REJECTS;
use pipeline::ledger::{self, EarlierAttempt, Load};
use pipeline::requester::Requester;
use pipeline::store::admin::RejectFilter;
use pipeline::store::{Store, StoreError};
use pipeline::summary::Summary;
use process::milliseconds_now;

use crate::console::{self, moment};
use crate::explain;
use crate::reject;

use super::words::word;

/// Rejects of an explained load that are listed; the rest is counted.
const LISTED_REJECTS: usize = 20;

/// Returns everything about one load, and what to do about it.
pub(super) async fn explained(store: &dyn Store, load: &Load) -> Result<String, StoreError> {
    let Summary { bytes, inflated_bytes, types, codes, checks, drift, .. } = &load.summary;
    let mut lines = vec![load.id.clone(), format!("  {}: {}", word(load), advice(load, milliseconds_now()))];
    lines.push(format!("  begun {}, attempts {}", moment(load.begun), load.attempts));
    if let Some(ended) = load.ended {
        let seconds = u32::try_from((ended - load.begun) / 1000).unwrap_or_default();
        lines.push(format!("  ended {}, after {seconds} s", moment(ended)));
    }
    lines.extend(load.by.iter().map(|by| format!("  by {}", requester(by))));
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
    lines.extend(load.history.iter().map(earlier));
    lines.extend(checks.iter().map(|(check, count)| format!("  check {check} did not pass {count} times")));
    lines.extend(codes.iter().map(|(code, count)| format!("  rejects: {count} {code}{}", meaning(code))));
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

/// Returns `: what it means`.
fn meaning(code: &str) -> String {
    explain::meaning_of(code).map(|meaning| format!(": {meaning}")).unwrap_or_default()
}

fn earlier(attempt: &EarlierAttempt) -> String {
    let EarlierAttempt { number, begun, ended, end, problem, code, by } = attempt;
    let ended = ended.map(|ended| format!(" {}", moment(ended))).unwrap_or_default();
    let problem = problem.as_ref().map(|problem| format!(" ({problem})")).unwrap_or_default();
    let by = by.as_ref().map(|by| format!(", by {}", requester(by))).unwrap_or_default();
    format!("  attempt {number}: begun {}, {}{ended}{problem}, code {code}{by}", moment(*begun), end.as_str())
}

/// Returns who asked, in one line.
fn requester(by: &Requester) -> String {
    let Requester { principal, address, request_id, operator } = by;
    let named = operator.as_deref().or(principal.as_deref()).unwrap_or("an unnamed principal");
    let address = address.as_ref().map(|address| format!(" from {address}")).unwrap_or_default();
    let request = request_id.as_ref().map(|id| format!(", request {id}")).unwrap_or_default();
    format!("{named}{address}{request}")
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

#[cfg(test)]
mod tests {
    use pipeline::interrupted::Interrupted;
    use pipeline::ledger::{Attempt, AttemptEnd, EarlierAttempt, Interruption, Lease, Ledger, Load};
    use pipeline::object::{ObjectRef, Pin};
    use pipeline::requester::Requester;

    use super::{advice, earlier, requester};

    fn object() -> ObjectRef {
        let (bucket, key) = ("b".into(), "k".into());
        ObjectRef { bucket, key, pin: Pin::Latest, sequencer: None, created: 0, size: None }
    }

    async fn begun(ledger: &Ledger, now: i64) -> Load {
        let lease = Lease { owner: now.to_string(), until: now + 60_000 };
        let attempt = Attempt { now, lease, again: false, code: "1".into(), catalog: "c".into(), by: None };
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
        let interruption = Interruption { by: &Interrupted::Deadline, at: 1 };
        let killed = "killed 3 times, last before 1970-01-01T00:03:00Z; probably out of time or memory";
        assert_eq!(advice(&load, 500_000), killed);
        ledger.abandon(&load.id, 3, None, interruption).await.unwrap();
        let load = ledger.find(&load.id).await.unwrap().unwrap();
        assert!(!advice(&load, 500_000).contains("killed"), "it has said why it stopped");
    }

    #[test]
    fn earlier_attempts_say_how_they_ended_and_who_asked() {
        let by = Requester {
            principal: Some("AWS:AIDAEXAMPLE".into()),
            address: Some("192.0.2.7".into()),
            request_id: Some("C3D13FE58DE4C810".into()),
            operator: None,
        };
        let attempt = EarlierAttempt {
            number: 2,
            begun: 0,
            ended: Some(60_000),
            end: AttemptEnd::Killed,
            problem: None,
            code: "0.1.0".into(),
            by: Some(by),
        };
        let expected = "  attempt 2: begun 1970-01-01T00:00:00Z, killed 1970-01-01T00:01:00Z, code 0.1.0, by AWS:AIDAEXAMPLE \
                        from 192.0.2.7, request C3D13FE58DE4C810";
        assert_eq!(earlier(&attempt), expected);
        assert_eq!(requester(&Requester::operator("root@host")), "root@host");
    }
}
