//! What every attempt is answered, by what the ledger knows.

use std::sync::Arc;

use super::{Attempt, BeginOutcome, Checkpoint, Lease, Load, PriorState, Status};
use crate::object::{ObjectRef, Pin};
use crate::summary::Summary;

fn object() -> ObjectRef {
    let (pin, sequencer) = (Pin::VersionId("v1".into()), Some("0055".into()));
    ObjectRef { bucket: "b".into(), key: "k".into(), pin, sequencer, created: 7, size: None }
}

fn run(attempt: u32, edition: u32, checkpoint: Option<Checkpoint>) -> BeginOutcome {
    // In these tests the first attempt leaves the checkpoint.
    let reading = if checkpoint.is_some() { 1 } else { attempt };
    BeginOutcome::Run {
        attempt,
        edition,
        reading,
        object: Arc::new(object()),
        checkpoint,
        prior: PriorState::default(),
    }
}

fn attempt(owner: &str, now: i64) -> Attempt {
    let lease = Lease { owner: owner.into(), until: now + 100 };
    Attempt { now, lease, again: false, code: "1".into(), catalog: "c".into(), by: None }
}

fn running(checkpoint: Option<Checkpoint>) -> Load {
    let (load, begun) = Load::begin(None, &object(), &attempt("one", 0));
    assert_eq!(begun, run(1, 0, None));
    Load { checkpoint, ..load.unwrap() }
}

fn checkpoint() -> Checkpoint {
    Checkpoint { offset: 10, ordinal: 2, line: Some(3), summary: Summary::default() }
}

fn begin(load: Load, attempt: &Attempt) -> BeginOutcome {
    // Whoever asks for a replay may not know what the first notification said.
    let object = ObjectRef { sequencer: None, created: 9, ..object() };
    match Load::begin(Some(load), &object, attempt).1 {
        BeginOutcome::Run { attempt, edition, reading, object, checkpoint, .. } => {
            BeginOutcome::Run { attempt, edition, reading, object, checkpoint, prior: PriorState::default() }
        }
        begun => begun,
    }
}

#[test]
fn a_load_is_held_until_its_lease_ends() {
    assert_eq!(begin(running(None), &attempt("two", 99)), BeginOutcome::Busy);
    assert_eq!(begin(running(None), &attempt("two", 100)), run(2, 0, None));
}

#[test]
fn a_lost_answer_is_given_again() {
    assert_eq!(begin(running(None), &attempt("one", 50)), run(1, 0, None));
}

#[test]
fn the_next_attempt_goes_on_at_the_checkpoint_of_the_same_catalog() {
    let begun = run(2, 0, Some(checkpoint()));
    assert_eq!(begin(running(Some(checkpoint())), &attempt("two", 100)), begun);
    for changed in [
        Attempt { catalog: "other".into(), ..attempt("two", 100) },
        Attempt { code: "2".into(), ..attempt("two", 100) },
    ] {
        let begun = run(2, 1, None);
        assert_eq!(begin(running(Some(checkpoint())), &changed), begun);
    }
}

#[test]
fn settled_loads_run_only_when_asked_for_again() {
    for &status in Status::ALL {
        let load = Load { status, lease: None, ..running(Some(checkpoint())) };
        let plain = begin(load.clone(), &attempt("two", 1));
        let again = begin(load, &Attempt { again: true, ..attempt("two", 1) });
        match status {
            Status::Running => {
                assert_eq!(plain, run(2, 0, Some(checkpoint())));
                assert_eq!(again, plain);
            }
            Status::Failed => assert_eq!(plain, run(2, 0, None)),
            _ => {
                assert_eq!(plain, BeginOutcome::AlreadyDone(status));
                assert_eq!(again, run(2, 0, None));
            }
        }
    }
}

#[test]
fn words_are_read_back() {
    assert!(Status::ALL.iter().copied().all(|status| Status::from_word(status.as_str()) == Some(status)));
    assert_eq!(Status::from_word("stuck"), None);
}
