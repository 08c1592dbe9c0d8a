//! A load: what the ledger knows of one object version, and how that may change.

use std::sync::Arc;

use crate::object::{ObjectRef, Pin};
use crate::summary::Summary;

/// Where a load stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// A function holds it, or held it when it was interrupted.
    Running,
    /// Everything in the object stands in the tables.
    Done,
    /// As done, but some records were set aside.
    Partial,
    /// Nothing helps until somebody does something.
    Failed,
    /// A newer version of the object was loaded already.
    Superseded,
    /// The object version no longer exists.
    Gone,
    /// A gate set the whole object aside: nothing of it was written.
    Refused,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Running, Self::Done, Self::Partial, Self::Failed, Self::Superseded, Self::Gone, Self::Refused];

    /// The word in the ledger.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Superseded => "superseded",
            Self::Gone => "gone",
            Self::Refused => "refused",
        }
    }

    /// The status of that word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// Whether another notification of the object version needs no work.
    #[must_use]
    pub const fn is_settled(self) -> bool {
        match self {
            Self::Done | Self::Partial | Self::Superseded | Self::Gone | Self::Refused => true,
            Self::Running | Self::Failed => false,
        }
    }
}

/// Who works on a load, and how long nobody else may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Different for every attempt anywhere: the ids of the invocation and of the message, or a random one.
    pub owner: String,
    /// Milliseconds since 1970-01-01T00:00:00Z; a moment by which the owner has stopped for certain.
    pub until: i64,
}

/// Up to where everything is durable, so that the next attempt goes on there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The first byte that was not handled, in the inflated object.
    pub offset: u64,
    /// The ordinal of the next record.
    pub ordinal: u64,
    /// The line of the next record, from 1.
    pub line: u64,
    /// What became of everything before.
    pub summary: Summary,
}

/// What the ledger knows of one object version: codes, counts and times, nothing that a resource said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// [`ObjectRef::load_id`]
    pub id: String,
    /// The object.
    pub bucket: String,
    /// Its key.
    pub key: String,
    /// Its version, where the bucket has versions.
    pub version_id: Option<String>,
    /// Its `ETag`, where the bucket has none.
    pub etag: Option<String>,
    /// When the object was made: as the first notification said, and as S3 said once the load has ended.
    pub created: i64,
    /// [`ObjectRef::sequencer`], as the first notification said.
    pub sequencer: Option<String>,
    /// Where the load stands.
    pub status: Status,
    /// How often it was begun. The number of the latest attempt fences off all earlier ones.
    pub attempts: u32,
    /// Who works on it; none once it has ended.
    pub lease: Option<Lease>,
    /// When the latest attempt began, in milliseconds since 1970-01-01T00:00:00Z.
    pub begun: i64,
    /// When the load ended.
    pub ended: Option<i64>,
    /// What became of its records, once it has ended.
    pub summary: Summary,
    /// Why it failed or was interrupted: codes only.
    pub problem: Option<String>,
    /// Version of the code.
    pub code: String,
    /// Version of the catalog of tables.
    pub catalog: String,
    /// How often its rows were made anew under other code or another catalog: part of their versions, so that rows
    /// of a later edition replace those of an earlier one.
    pub edition: u32,
    /// The number of the attempt that began the latest reading: those that go on at a checkpoint read on for it.
    pub reading: u32,
    /// From where an interrupted load goes on.
    pub checkpoint: Option<Checkpoint>,
    /// Whether its rows are counted in the dictionary of columns already: a replay counts nothing again.
    pub is_counted: bool,
    /// Counts the changes of this entry; every change names the one it changes.
    pub(super) revision: u64,
}

/// Who begins a load, when, and with what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Now, in milliseconds since 1970-01-01T00:00:00Z.
    pub now: i64,
    /// For the time that the attempt may take.
    pub lease: Lease,
    /// Load it even if it is settled: somebody asks for a replay.
    pub again: bool,
    /// Version of the code.
    pub code: String,
    /// Version of the catalog of tables.
    pub catalog: String,
}

/// The answer to who wants to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is one a load")]
pub enum Begun {
    /// Load it.
    Run {
        /// The number that later calls must name.
        attempt: u32,
        /// The edition of the rows.
        edition: u32,
        /// The reading that its rejects are of.
        reading: u32,
        /// The object as its first notification told of it, so that its versions are the same at every attempt.
        object: Arc<ObjectRef>,
        /// Where to go on.
        checkpoint: Option<Checkpoint>,
    },
    /// Nothing is left to do.
    AlreadyDone(Status),
    /// Another function holds it.
    Busy,
}

impl Load {
    /// Begins a load that may have been begun before: what to write, if anything, and what to answer.
    pub(super) fn begin(known: Option<Self>, object: &ObjectRef, attempt: &Attempt) -> (Option<Self>, Begun) {
        let Some(known) = known else {
            let load = Self::first(object, attempt);
            let object = Arc::new(object.clone());
            return (Some(load), Begun::Run { attempt: 1, edition: 0, reading: 1, object, checkpoint: None });
        };
        let object = &known.object(object);
        if known.status.is_settled() && !attempt.again {
            let status = known.status;
            return (None, Begun::AlreadyDone(status));
        }
        if let Some(lease) = known.lease.as_ref().filter(|_| known.status == Status::Running) {
            if lease.owner == attempt.lease.owner {
                // The answer to this very call was lost on its way.
                let Self { attempts: attempt, edition, reading, checkpoint, .. } = known;
                let object = Arc::clone(object);
                return (None, Begun::Run { attempt, edition, reading, object, checkpoint });
            }
            if lease.until > attempt.now {
                return (None, Begun::Busy);
            }
        }
        let is_other = known.code != attempt.code || known.catalog != attempt.catalog;
        let checkpoint = known.checkpoint.filter(|_| known.status == Status::Running && !is_other);
        let next = Self {
            attempts: known.attempts + 1,
            edition: known.edition + u32::from(is_other),
            reading: if checkpoint.is_some() { known.reading } else { known.attempts + 1 },
            checkpoint: checkpoint.clone(),
            is_counted: known.is_counted,
            revision: known.revision,
            ..Self::first(object, attempt)
        };
        let Self { attempts: attempt, edition, reading, .. } = next;
        let object = Arc::clone(object);
        (Some(next), Begun::Run { attempt, edition, reading, object, checkpoint })
    }

    /// The object as the first notification told of it.
    fn object(&self, object: &ObjectRef) -> Arc<ObjectRef> {
        Arc::new(ObjectRef { created: self.created, sequencer: self.sequencer.clone(), ..object.clone() })
    }

    fn first(object: &ObjectRef, attempt: &Attempt) -> Self {
        let (version_id, etag) = match &object.pin {
            Pin::Version(version) => (Some(version.clone()), None),
            Pin::ETag(tag) => (None, Some(tag.clone())),
            Pin::Latest => (None, None),
        };
        Self {
            id: object.load_id(),
            bucket: object.bucket.clone(),
            key: object.key.clone(),
            version_id,
            etag,
            created: object.created,
            sequencer: object.sequencer.clone(),
            status: Status::Running,
            attempts: 1,
            lease: Some(attempt.lease.clone()),
            begun: attempt.now,
            ended: None,
            summary: Summary::default(),
            problem: None,
            code: attempt.code.clone(),
            catalog: attempt.catalog.clone(),
            edition: 0,
            reading: 1,
            checkpoint: None,
            is_counted: false,
            revision: 0,
        }
    }

    /// Whether that attempt still holds the load.
    pub(super) fn is_held_by(&self, attempt: u32) -> bool {
        self.attempts == attempt && self.status == Status::Running
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Attempt, Begun, Checkpoint, Lease, Load, Status};
    use crate::object::{ObjectRef, Pin};
    use crate::summary::Summary;

    fn object() -> ObjectRef {
        let (pin, sequencer) = (Pin::Version("v1".into()), Some("0055".into()));
        ObjectRef { bucket: "b".into(), key: "k".into(), pin, sequencer, created: 7, size: None }
    }

    fn run(attempt: u32, edition: u32, checkpoint: Option<Checkpoint>) -> Begun {
        // In these tests the first attempt leaves the checkpoint.
        let reading = if checkpoint.is_some() { 1 } else { attempt };
        Begun::Run { attempt, edition, reading, object: Arc::new(object()), checkpoint }
    }

    fn attempt(owner: &str, now: i64) -> Attempt {
        let lease = Lease { owner: owner.into(), until: now + 100 };
        Attempt { now, lease, again: false, code: "1".into(), catalog: "c".into() }
    }

    fn running(checkpoint: Option<Checkpoint>) -> Load {
        let (load, begun) = Load::begin(None, &object(), &attempt("one", 0));
        assert_eq!(begun, run(1, 0, None));
        Load { checkpoint, ..load.unwrap() }
    }

    fn checkpoint() -> Checkpoint {
        Checkpoint { offset: 10, ordinal: 2, line: 3, summary: Summary::default() }
    }

    fn begin(load: Load, attempt: &Attempt) -> Begun {
        // Whoever asks for a replay may not know what the first notification said.
        let object = ObjectRef { sequencer: None, created: 9, ..object() };
        Load::begin(Some(load), &object, attempt).1
    }

    #[test]
    fn a_load_is_held_until_its_lease_ends() {
        assert_eq!(begin(running(None), &attempt("two", 99)), Begun::Busy);
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
        for status in Status::ALL {
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
                    assert_eq!(plain, Begun::AlreadyDone(status));
                    assert_eq!(again, run(2, 0, None));
                }
            }
        }
    }

    #[test]
    fn words_are_read_back() {
        assert!(Status::ALL.into_iter().all(|status| Status::from_word(status.as_str()) == Some(status)));
        assert_eq!(Status::from_word("stuck"), None);
    }
}
