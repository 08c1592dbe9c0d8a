//! A load: what the ledger knows of one object version, and how that may change.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use strum::VariantArray;

use crate::interrupted::Interrupted;
use crate::object::{ObjectRef, Pin};
use crate::requester::Requester;
use crate::summary::Summary;

/// The status of a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, VariantArray)]
pub enum Status {
    /// A function holds it, or held it when it was interrupted.
    Running,
    /// Everything in the object is in the tables.
    Done,
    /// As done, but some records were set aside.
    Partial,
    /// No attempt can succeed until an operator acts.
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
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// Returns the word in the ledger.
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

    /// Returns the status of a word of the ledger.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|status| status.as_str() == word)
    }

    /// Returns whether another notification of the object version needs no work.
    #[must_use]
    pub const fn is_settled(self) -> bool {
        match self {
            Self::Done | Self::Partial | Self::Superseded | Self::Gone | Self::Refused => true,
            Self::Running | Self::Failed => false,
        }
    }
}

/// Which loads are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadFilter {
    /// Those of that status.
    Of(Status),
    /// Those whose last attempt was killed: see [`Load::is_stuck`].
    Stuck {
        /// Now, in milliseconds since 1970-01-01T00:00:00Z.
        now: i64,
    },
}

impl LoadFilter {
    /// Returns whether a load is among them.
    #[must_use]
    pub fn includes(self, load: &Load) -> bool {
        match self {
            Self::Of(status) => load.status == status,
            Self::Stuck { now } => load.is_stuck(now),
        }
    }
}

/// Who works on a load, and until when all others must wait.
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
    /// The line on which the offset stands, from 1, where reading can begin there: in NDJSON that is not compressed.
    pub line: Option<u64>,
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
    /// The load's status.
    pub status: Status,
    /// How often it was begun. The number of the latest attempt fences off all earlier ones.
    pub attempts: u32,
    /// Who works on it; none once it has ended.
    pub lease: Option<Lease>,
    /// When the latest attempt began, in milliseconds since 1970-01-01T00:00:00Z.
    pub begun: i64,
    /// When the load ended.
    pub ended: Option<i64>,
    /// When it ended for the first time: a replay does not change that.
    pub first_ended: Option<i64>,
    /// When the latest attempt was interrupted, and has said so.
    pub interrupted: Option<i64>,
    /// Who asked for the latest attempt.
    pub by: Option<Requester>,
    /// The attempts before the latest: the first, and the latest of the others.
    pub history: Vec<EarlierAttempt>,
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
    /// How often it was taken over from an attempt that had not said how it ended: a function that was killed.
    pub killed: u32,
    /// By when the last of those had ended, in milliseconds since 1970-01-01T00:00:00Z.
    pub last_killed_at: Option<i64>,
    /// How many attempts in a row had an invocation's time for it and got no record further.
    pub stalls: u32,
    /// Whether rows of it may be in the tables: an attempt has written, or was killed.
    pub may_have_rows: bool,
    /// Whether it has ended with its columns in the dictionary: to a replay they are not new again.
    pub has_columns: bool,
    /// Counts the changes of this entry; every change names the one it changes.
    pub revision: u64,
}

/// Who begins a load, when, and with what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Now, in milliseconds since 1970-01-01T00:00:00Z.
    pub now: i64,
    /// For the time that the attempt may take.
    pub lease: Lease,
    /// Load it even if it is settled: a replay.
    pub again: bool,
    /// Version of the code.
    pub code: String,
    /// Version of the catalog of tables.
    pub catalog: String,
    /// Who asked for it.
    pub by: Option<Requester>,
}

/// The answer to an attempt that wants to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is one a load")]
pub enum BeginOutcome {
    /// Load it.
    Run {
        /// The number that later calls must name.
        attempt: u32,
        /// The edition of the rows.
        edition: u32,
        /// The reading of its rejects.
        reading: u32,
        /// The object as its first notification told of it, so that its versions are the same at every attempt.
        object: Arc<ObjectRef>,
        /// Where to go on.
        checkpoint: Option<Checkpoint>,
        /// What earlier attempts have left.
        prior: PriorState,
    },
    /// Nothing is left to do.
    AlreadyDone(Status),
    /// Another function holds it.
    Busy,
    /// The lease was asked for and the answer is missing: the ledger may say that this attempt holds the object.
    Unanswered(Interrupted),
}

/// What earlier attempts at a load have left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PriorState {
    /// [`Load::stalls`]
    pub stalls: u32,
    /// [`Load::may_have_rows`]
    pub may_have_rows: bool,
    /// How it was settled before it was asked for again, if its rows are in the tables.
    pub settled: Option<(Status, Summary)>,
}

/// The most earlier attempts that an entry remembers: the first, and the latest of the others.
pub const MAX_EARLIER_ATTEMPTS: usize = 20;

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptEnd {
    /// It ended the load.
    Settled(Status),
    /// It was interrupted, and said why.
    Interrupted,
    /// It was killed, or has not said for too long that it is alive.
    Killed,
}

impl AttemptEnd {
    const INTERRUPTED: &str = "interrupted";
    const KILLED: &str = "killed";

    /// Returns the word in the ledger.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Settled(status) => status.as_str(),
            Self::Interrupted => Self::INTERRUPTED,
            Self::Killed => Self::KILLED,
        }
    }

    /// Returns the end of that word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            Self::INTERRUPTED => Some(Self::Interrupted),
            Self::KILLED => Some(Self::Killed),
            word => Status::from_word(word).map(Self::Settled),
        }
    }
}

/// An attempt that others have followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierAttempt {
    /// Its number, from 1.
    pub number: u32,
    /// When it began, in milliseconds since 1970-01-01T00:00:00Z.
    pub begun: i64,
    /// When it ended; of one that was killed, by when.
    pub ended: Option<i64>,
    /// How it ended.
    pub end: AttemptEnd,
    /// Why it failed or was interrupted: codes only.
    pub problem: Option<String>,
    /// Version of the code.
    pub code: String,
    /// Who asked for it.
    pub by: Option<Requester>,
}

/// Why an attempt stops before the end, and when.
#[derive(Debug, Clone, Copy)]
pub struct Interruption<'a> {
    /// Why.
    pub by: &'a Interrupted,
    /// When, in milliseconds since 1970-01-01T00:00:00Z.
    pub at: i64,
}

impl Load {
    /// Notes why and when the latest attempt was interrupted.
    pub(super) fn note(&mut self, Interruption { by, at }: Interruption<'_>) {
        self.problem = Some(by.to_string());
        self.interrupted = Some(at);
    }

    /// Returns the attempts before the one that begins at `now`.
    pub(super) fn history_at(&self, now: i64) -> Vec<EarlierAttempt> {
        let (end, ended) = match self.status {
            Status::Running if self.is_stuck(now) => {
                (AttemptEnd::Killed, self.lease.as_ref().map(|lease| lease.until))
            }
            Status::Running => (AttemptEnd::Interrupted, self.interrupted),
            status => (AttemptEnd::Settled(status), self.ended),
        };
        let mut history = self.history.clone();
        if history.len() >= MAX_EARLIER_ATTEMPTS {
            history.drain(1..=history.len() + 1 - MAX_EARLIER_ATTEMPTS);
        }
        let Self { attempts: number, begun, problem, code, by, .. } = self.clone();
        history.push(EarlierAttempt { number, begun, ended, end, problem, code, by });
        history
    }

    /// Returns when the load ended, if nothing is left to do: from then on its entry is kept as long as the settings
    /// say.
    #[must_use]
    pub fn settled_at(&self) -> Option<i64> {
        self.ended.filter(|_| self.status.is_settled())
    }

    /// Returns whether the attempt that holds it was killed, or has not renewed its lease for too long.
    #[must_use]
    pub fn is_stuck(&self, now: i64) -> bool {
        self.status == Status::Running
            && self.problem.is_none()
            && self.lease.as_ref().is_some_and(|lease| lease.until <= now)
    }

    /// Begins a load that may have been begun before: what to write, if anything, and what to answer.
    pub(super) fn begin(
        known: Option<Self>,
        object: &ObjectRef,
        attempt: &Attempt,
    ) -> (Option<Self>, BeginOutcome) {
        let Some(known) = known else {
            let (load, prior) = (Self::first(object, attempt), PriorState::default());
            let Self { attempts: attempt, edition, reading, .. } = load;
            let (object, checkpoint) = (Arc::new(object.clone()), None);
            return (Some(load), BeginOutcome::Run { attempt, edition, reading, object, checkpoint, prior });
        };
        let object = &known.object(object);
        if known.status.is_settled() && !attempt.again {
            let status = known.status;
            return (None, BeginOutcome::AlreadyDone(status));
        }
        if let Some(lease) = known.lease.as_ref().filter(|_| known.status == Status::Running) {
            if lease.owner == attempt.lease.owner {
                // The answer to this very call was lost on its way.
                let prior = known.prior();
                let Self { attempts: attempt, edition, reading, checkpoint, .. } = known;
                let object = Arc::clone(object);
                return (None, BeginOutcome::Run { attempt, edition, reading, object, checkpoint, prior });
            }
            if lease.until > attempt.now {
                return (None, BeginOutcome::Busy);
            }
        }
        let was_killed = known.is_stuck(attempt.now);
        let mut prior = known.prior();
        prior.may_have_rows |= was_killed;
        let history = known.history_at(attempt.now);
        let lease_end = known.lease.as_ref().map(|lease| lease.until);
        let is_other = known.code != attempt.code || known.catalog != attempt.catalog;
        let checkpoint = known.checkpoint.filter(|_| known.status == Status::Running && !is_other);
        let next = Self {
            attempts: known.attempts + 1,
            edition: known.edition + u32::from(is_other),
            reading: if checkpoint.is_some() { known.reading } else { known.attempts + 1 },
            checkpoint: checkpoint.clone(),
            killed: known.killed + u32::from(was_killed),
            last_killed_at: if was_killed { lease_end } else { known.last_killed_at },
            stalls: if is_other { 0 } else { known.stalls },
            may_have_rows: prior.may_have_rows,
            has_columns: known.has_columns,
            first_ended: known.first_ended.or(known.ended),
            history,
            revision: known.revision,
            ..Self::first(object, attempt)
        };
        let Self { attempts: attempt, edition, reading, .. } = next;
        let object = Arc::clone(object);
        prior.stalls = next.stalls;
        (Some(next), BeginOutcome::Run { attempt, edition, reading, object, checkpoint, prior })
    }

    fn prior(&self) -> PriorState {
        let has_rows = matches!(self.status, Status::Done | Status::Partial | Status::Superseded);
        PriorState {
            stalls: self.stalls,
            may_have_rows: self.may_have_rows || has_rows || self.checkpoint.is_some(),
            settled: has_rows.then(|| (self.status, self.summary.clone())),
        }
    }

    /// Returns the object as the first notification described it.
    fn object(&self, object: &ObjectRef) -> Arc<ObjectRef> {
        Arc::new(ObjectRef { created: self.created, sequencer: self.sequencer.clone(), ..object.clone() })
    }

    fn first(object: &ObjectRef, attempt: &Attempt) -> Self {
        let (version_id, etag) = match &object.pin {
            Pin::VersionId(version) => (Some(version.clone()), None),
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
            first_ended: None,
            interrupted: None,
            by: attempt.by.clone().and_then(Requester::checked),
            history: Vec::new(),
            summary: Summary::default(),
            problem: None,
            code: attempt.code.clone(),
            catalog: attempt.catalog.clone(),
            edition: 0,
            reading: 1,
            checkpoint: None,
            killed: 0,
            last_killed_at: None,
            stalls: 0,
            may_have_rows: false,
            has_columns: false,
            revision: 0,
        }
    }

    /// Returns whether an attempt of that owner holds the load.
    pub(super) fn is_leased_to(&self, owner: &str) -> bool {
        self.status == Status::Running && self.lease.as_ref().is_some_and(|lease| lease.owner == owner)
    }

    /// Returns whether that attempt still holds the load.
    pub(super) fn is_held_by(&self, attempt: u32) -> bool {
        self.attempts == attempt && self.status == Status::Running
    }
}
