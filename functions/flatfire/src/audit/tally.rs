//! The sums of an audit, by day and by what became of an object version.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
pub(super) use pipeline::audit::{AuditVerdict, VerdictCounts};

/// The sums of an audit.
#[derive(Debug, Default)]
pub(super) struct AuditSums {
    days: BTreeMap<String, VerdictCounts>,
    all: VerdictCounts,
    /// Loads that the ledger had of the selected objects when the audit began.
    in_ledger: u64,
    /// Versions of which the ledger knew something.
    known: u64,
}

impl AuditSums {
    /// Begins with what the ledger has.
    pub(super) fn new(in_ledger: u64) -> Self {
        Self { in_ledger, ..Self::default() }
    }

    /// Adds a version that was made at that moment, in milliseconds since 1970-01-01T00:00:00Z.
    pub(super) fn add(&mut self, created: i64, verdict: AuditVerdict, is_known: bool) {
        let day = self.days.entry(day(created)).or_default();
        *day.entry(verdict).or_default() += 1;
        *self.all.entry(verdict).or_default() += 1;
        self.known += u64::from(is_known);
    }

    /// Returns how many versions were added.
    pub(super) fn total(&self) -> u64 {
        self.all.values().sum()
    }

    /// Returns the sums of each day, in UTC.
    pub(super) const fn days(&self) -> &BTreeMap<String, VerdictCounts> {
        &self.days
    }

    /// Returns the sums over all days.
    pub(super) const fn all(&self) -> &VerdictCounts {
        &self.all
    }

    /// Returns how many loads the ledger had whose object version was not listed any more. Loads that begin while an
    /// audit runs make it too small.
    pub(super) const fn deleted_since(&self) -> u64 {
        self.in_ledger.saturating_sub(self.known)
    }

    /// Returns whether everything is in.
    pub(super) fn is_complete(&self) -> bool {
        !self.all.keys().any(|verdict| verdict.is_open())
    }
}

fn day(created: i64) -> String {
    let moment = Timestamp::from_millisecond(created).unwrap_or_default();
    moment.to_zoned(TimeZone::UTC).date().to_string()
}

#[cfg(test)]
mod tests {
    use super::{AuditSums, AuditVerdict};

    #[test]
    fn sums_are_by_day_and_only_what_is_open_makes_them_incomplete() {
        let mut tally = AuditSums::new(6);
        let day = 86_400_000;
        tally.add(day - 1, AuditVerdict::Done, true);
        tally.add(day, AuditVerdict::Partial, true);
        tally.add(day, AuditVerdict::Gone, true);
        assert!(tally.is_complete());
        let days: Vec<&str> = tally.days().keys().map(String::as_str).collect();
        assert_eq!(days, ["1970-01-01", "1970-01-02"]);
        assert_eq!((tally.total(), tally.deleted_since()), (3, 3));
        for &open in AuditVerdict::ALL {
            let mut tally = AuditSums::default();
            tally.add(0, open, false);
            let is_in = matches!(
                open,
                AuditVerdict::Done | AuditVerdict::Partial | AuditVerdict::Superseded | AuditVerdict::Gone
            );
            assert_eq!(tally.is_complete(), is_in, "{}", open.as_str());
        }
    }
}
