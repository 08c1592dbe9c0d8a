//! The attempts at a load before its latest one, as its entry remembers them.

use crate::requester::Requester;

use super::Interruption;
use super::load::{Load, Status};

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
}
