//! How long rows, entries of the ledger and rejects are kept.
//!
//! ```
//! use flatten::model::ResourceTypes;
//! use pipeline::retention::RowRetention;
//!
//! let rows = RowRetention::read("Observation=3650,AuditEvent=400,*=0", &ResourceTypes::default())?;
//! assert_eq!(rows.days_of("Observation"), Some(3650));
//! assert_eq!(rows.days_of("Patient"), None);
//! # Ok::<(), pipeline::retention::InvalidRetention>(())
//! ```

use std::collections::BTreeMap;
use std::str::FromStr;

use flatten::model::ResourceTypes;
use thiserror::Error;

/// A database counts seconds in a 32-bit number: these are the days in it.
pub const MAX_DAYS: u32 = 24_855;

/// Messages of a queue live 14 days, and an object may be announced again all that time.
pub const MIN_LEDGER_DAYS: u32 = 30;

/// The record of an export goes so many days before the entries of the ledger that it is compared with.
const EXPORT_DAYS_LESS: u32 = 15;

/// Stands for every type that has no rule of its own.
const OTHERS: &str = "*";

/// How long everything is kept that grows with every file. Of what has no setting, the database keeps the one that it
/// has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RetentionPolicy {
    /// The rows, from the creation of the object that brought them.
    pub rows: Option<RowRetention>,
    /// The settled entries of the ledger, from their end, and the records of exports.
    pub ledger: Option<KeptDays>,
    /// The rejects, from the beginning of the latest attempt that met them.
    pub rejects: Option<KeptDays>,
}

impl RetentionPolicy {
    /// Returns how many days the record of a Bulk Data export is kept; `None`: for ever. It goes before the entries of
    /// its files, which would else be reported as missing.
    #[must_use]
    pub fn export_days(&self) -> Option<u32> {
        self.ledger?.days().map(|days| days.saturating_sub(EXPORT_DAYS_LESS))
    }
}

/// Days until something is deleted, or for ever.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeptDays(Option<u32>);

impl KeptDays {
    /// Reads a number of days for rejects; 0 is for ever.
    pub fn of_rejects(text: &str) -> Result<Self, InvalidRetention> {
        days(text).map(Self)
    }

    /// Reads a number of days for entries of the ledger; 0 is for ever.
    pub fn of_ledger(text: &str) -> Result<Self, InvalidRetention> {
        match days(text)? {
            Some(days) if days < MIN_LEDGER_DAYS => Err(InvalidRetention::LedgerTooShort),
            days => Ok(Self(days)),
        }
    }

    /// Returns how many days; `None`: for ever.
    #[must_use]
    pub const fn days(self) -> Option<u32> {
        self.0
    }
}

/// How long the rows of each resource type are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowRetention {
    by_type: BTreeMap<String, Option<u32>>,
    others: Option<u32>,
}

/// What is wrong with a setting of retention.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidRetention {
    /// A number of days is not one.
    #[error("`{0}`: give a whole number of days from 0, which is for ever, to {MAX_DAYS}")]
    NoDays(String),
    /// The entries of the ledger would go while their objects can still be announced.
    #[error("give 0, which is for ever, or from {MIN_LEDGER_DAYS} days: messages live 14 days")]
    LedgerTooShort,
    /// A rule does not look like one.
    #[error("`{0}`: a rule is TYPE=DAYS, as in Observation=3650,*=0")]
    NoRule(String),
    /// Neither FHIR nor the deployment has that type.
    #[error("`{0}`: no resource type of that name has tables")]
    NoType(String),
    /// A type has two rules.
    #[error("`{0}`: there are two rules for it")]
    Twice(String),
}

impl RowRetention {
    /// Reads rules `TYPE=DAYS`, separated by commas or white space. The type `*` stands for all others, 0 days for ever.
    ///
    /// Fails at the first mistake.
    pub fn read(text: &str, types: &ResourceTypes) -> Result<Self, InvalidRetention> {
        text.parse::<Self>()?.checked(types)
    }

    /// Checks that every rule is for a type that has tables.
    pub fn checked(self, types: &ResourceTypes) -> Result<Self, InvalidRetention> {
        match self.by_type.keys().find(|name| !types.contains(name)) {
            Some(unknown) => Err(InvalidRetention::NoType(unknown.clone())),
            None => Ok(self),
        }
    }

    /// Returns how many days the rows of a resource type are kept, with those of its contained resources and child
    /// tables; `None`: for ever.
    #[must_use]
    pub fn days_of(&self, resource_type: &str) -> Option<u32> {
        self.by_type.get(resource_type).copied().unwrap_or(self.others)
    }

    /// Returns whether rows of every type are kept for ever.
    #[must_use]
    pub fn keeps_all(&self) -> bool {
        self.others.is_none() && self.by_type.values().all(Option::is_none)
    }
}

impl FromStr for RowRetention {
    type Err = InvalidRetention;

    /// Reads the rules, whatever their types are called.
    fn from_str(text: &str) -> Result<Self, InvalidRetention> {
        let mut rules = BTreeMap::new();
        for rule in text.split(|c: char| c == ',' || c.is_whitespace()).filter(|rule| !rule.is_empty()) {
            let (name, number) =
                rule.split_once('=').ok_or_else(|| InvalidRetention::NoRule(rule.to_owned()))?;
            if rules.insert(name.to_owned(), days(number)?).is_some() {
                return Err(InvalidRetention::Twice(name.to_owned()));
            }
        }
        let others = rules.remove(OTHERS).flatten();
        Ok(Self { by_type: rules, others })
    }
}

/// Reads a number of days; 0 is for ever.
fn days(text: &str) -> Result<Option<u32>, InvalidRetention> {
    match u32::from_str(text) {
        Ok(0) => Ok(None),
        Ok(days @ 1..=MAX_DAYS) => Ok(Some(days)),
        _ => Err(InvalidRetention::NoDays(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use flatten::model::ResourceTypes;

    use super::{InvalidRetention, KeptDays, RetentionPolicy, RowRetention};

    fn read(text: &str) -> Result<RowRetention, InvalidRetention> {
        RowRetention::read(text, &ResourceTypes::read("Rocket"))
    }

    #[test]
    fn a_rule_of_a_type_comes_before_that_of_all_others() {
        let rows = read("Observation=3650, AuditEvent=400\n*=10 Patient=0,Rocket=1,").unwrap();
        let days = ["Observation", "AuditEvent", "Patient", "Rocket", "Claim"].map(|name| rows.days_of(name));
        assert_eq!(days, [Some(3650), Some(400), None, Some(1), Some(10)]);
        assert!(!rows.keeps_all());
        for nothing in ["", " , ", "*=0", "*=0,Patient=0"] {
            let rows = read(nothing).unwrap();
            assert!(rows.keeps_all() && rows.days_of("Patient").is_none(), "{nothing:?}");
        }
    }

    #[test]
    fn a_wrong_rule_is_told_with_its_words() {
        for (text, message) in [
            ("Observation", "`Observation`: a rule is TYPE=DAYS, as in Observation=3650,*=0"),
            ("Observation=1,observation=1", "`observation`: no resource type of that name has tables"),
            ("=1", "``: no resource type of that name has tables"),
            ("Patient=1,*=2,Patient=1", "`Patient`: there are two rules for it"),
            ("*=1,*=1", "`*`: there are two rules for it"),
            ("Patient=x", "`x`: give a whole number of days from 0, which is for ever, to 24855"),
            ("Patient=-1", "`-1`: give a whole number of days from 0, which is for ever, to 24855"),
            ("Patient=24856", "`24856`: give a whole number of days from 0, which is for ever, to 24855"),
            ("Patient=1=2", "`1=2`: give a whole number of days from 0, which is for ever, to 24855"),
        ] {
            assert_eq!(read(text).unwrap_err().to_string(), message, "{text}");
        }
        assert_eq!(read("*=24855").unwrap().days_of("Patient"), Some(24_855));
    }

    #[test]
    fn entries_of_the_ledger_outlive_the_messages_and_the_records_of_exports() {
        assert_eq!(KeptDays::of_ledger("29"), Err(InvalidRetention::LedgerTooShort));
        assert_eq!(KeptDays::of_ledger("0").unwrap().days(), None);
        assert_eq!(KeptDays::of_rejects("1").unwrap().days(), Some(1));
        assert!(KeptDays::of_rejects("").is_err());
        let ledger = Some(KeptDays::of_ledger("30").unwrap());
        let policy = RetentionPolicy { ledger, ..RetentionPolicy::default() };
        assert_eq!(policy.export_days(), Some(15));
        assert_eq!(RetentionPolicy::default().export_days(), None);
    }
}
