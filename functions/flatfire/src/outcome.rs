//! How a command ended, and the exit code that says so.

use std::process::ExitCode;

use pipeline::summary::Summary;

/// The outcome of a command; of two, the worse one counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// Everything that was asked for stands: exit code 0.
    Done,
    /// It stands, but some records were set aside: exit code 2.
    Partial,
    /// It does not stand: exit code 1.
    Failed,
    /// The user ended it: exit code 130, as of a program that SIGINT ends.
    Interrupted,
}

impl Outcome {
    /// Returns the outcome of having read this much.
    pub(crate) const fn of(summary: &Summary) -> Self {
        match (summary.rejected, summary.view_defects) {
            (0, 0) => Self::Done,
            (rejected, _) if rejected > 0 && rejected == summary.records => Self::Failed,
            _ => Self::Partial,
        }
    }
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::SUCCESS,
            Outcome::Failed => Self::from(1),
            Outcome::Partial => Self::from(2),
            Outcome::Interrupted => Self::from(130),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Outcome;
    use pipeline::summary::Summary;

    fn outcome(records: u64, rejected: u64, view_defects: u64) -> Outcome {
        let loaded = records - rejected;
        Outcome::of(&Summary { records, loaded, rejected, view_defects, ..Summary::default() })
    }

    #[test]
    fn follows_from_what_was_rejected() {
        assert_eq!(outcome(0, 0, 0), Outcome::Done);
        assert_eq!(outcome(2, 0, 0), Outcome::Done);
        assert_eq!(outcome(2, 0, 1), Outcome::Partial);
        assert_eq!(outcome(2, 1, 0), Outcome::Partial);
        assert_eq!(outcome(2, 2, 0), Outcome::Failed);
    }

    #[test]
    fn the_worse_one_counts() {
        assert_eq!(Outcome::Done.max(Outcome::Partial), Outcome::Partial);
        assert_eq!(Outcome::Failed.max(Outcome::Partial), Outcome::Failed);
        assert_eq!(Outcome::Failed.max(Outcome::Interrupted), Outcome::Interrupted);
    }
}
