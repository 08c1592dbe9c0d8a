//! Counts that data checks ask a store for. A question is data; each store has its own way to answer it.
//!
//! Columns of a question stand in the dictionary of columns, with the type of cells that the question takes for granted.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::AddAssign;

use async_trait::async_trait;

use super::admin::StoreError;
use super::overview::{Folder, LoadPeriod};

/// What is appended to the column of a date for its moment.
pub const MOMENT_SUFFIX: &str = "_at";

/// Characters of a date without a time.
pub const DATE_LENGTH: usize = 10;

/// What a row does or does not fulfil. Columns are those of the row; inside [`AnyItem`](Self::AnyItem) those of the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowCondition {
    /// The column has a value.
    Present(String),
    /// All of them hold; so does an empty list.
    All(Vec<Self>),
    /// One of them holds.
    Any(Vec<Self>),
    /// It does not hold.
    Not(Box<Self>),
    /// It holds for a record of the list in this column.
    AnyItem(String, Box<Self>),
    /// The text passes the test.
    Text(String, TextTest),
    /// A text of the list passes the test.
    AnyText(String, TextTest),
    /// The number is below.
    Below(String, i64),
    /// The number is above.
    Above(String, i64),
    /// The moment is before this one, in milliseconds since 1970-01-01T00:00:00Z.
    Before(String, i64),
    /// The moment is after this one, in milliseconds since 1970-01-01T00:00:00Z.
    After(String, i64),
    /// One date is certainly before another one: see [`is_certainly_before`].
    Earlier {
        /// The column of the earlier date, as written; its moment is beside it.
        date: String,
        /// The column of the later date.
        than: String,
    },
}

/// What a text is looked at for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextTest {
    /// It is one of these.
    OneOf(Vec<String>),
    /// It is one of these in upper or lower case; they are in lower case and ASCII.
    OneOfAnyCase(&'static [&'static str]),
    /// It has one of these in it.
    Contains(&'static [&'static str]),
    /// It is empty or has only white space of ASCII.
    Blank,
    /// It has a digit.
    HasDigit,
    /// It has a character outside `!` to `~` of ASCII.
    HasOtherThanPrintableAscii,
    /// It has exactly so many characters.
    HasLength(usize),
    /// It has more characters.
    IsLongerThan(usize),
    /// This stands in it behind so many characters.
    At(usize, &'static str),
}

/// Returns whether a date is before another one whatever the parts mean that neither of both has. `date` and `than` are
/// texts with their earliest moments.
#[must_use]
pub fn is_certainly_before((date, at): (&str, i64), (than, than_at): (&str, i64)) -> bool {
    let length = date.len().min(than.len()).min(DATE_LENGTH);
    let both_have_times = date.len() > DATE_LENGTH && than.len() > DATE_LENGTH;
    at < than_at && (both_have_times || date.get(..length) < than.get(..length))
}

/// Asks how many rows there are for each combination of values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupQuestion {
    /// The columns of texts.
    pub columns: Vec<String>,
    /// The column of a number, of which the power of ten counts; rows without a number above zero are left out.
    pub power_of: String,
}

/// Rows with the same values.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowGroup {
    /// The texts in the order of the question; `None`: no value.
    pub key: Vec<Option<String>>,
    /// The power of ten of the number: 1 from 10 to below 100.
    pub power: i32,
    /// How many rows.
    pub rows: u64,
}

/// Asks how many rows have the same values as another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepetitionQuestion {
    /// The columns, which all have a value in the rows that count.
    pub columns: Vec<String>,
    /// The column of a number that is the same too, in its digits as written.
    pub number: Option<String>,
    /// What the rows that count fulfil besides.
    pub condition: RowCondition,
}

/// How many, and of how many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share {
    /// How many.
    pub count: u64,
    /// Of how many.
    pub of: u64,
}

impl AddAssign for Share {
    fn add_assign(&mut self, other: Self) {
        self.count += other.count;
        self.of += other.of;
    }
}

/// Where the keys of references stand: a column of the row, or one in the records of lists, such as
/// `participant.individual_key`. A list of keys is one of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReferenceKeyColumn(pub String);

/// Asks how many rows have a date that cannot be right beside that of the resource that they refer to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectQuestion {
    /// The column of the key of the subject.
    pub key: String,
    /// The table of subjects.
    pub subjects: &'static str,
    /// What is compared.
    pub comparisons: Vec<SubjectComparison>,
}

/// A date of a row beside one of its subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectComparison {
    /// The column of the row's date, as written; its moment is beside it.
    pub date: String,
    /// The column of the subject's date.
    pub subject_date: &'static str,
    /// How the dates stand in the rows that are counted.
    pub order: SubjectOrder,
    /// What the rows that count fulfil besides.
    pub condition: RowCondition,
}

/// The order of a row's date and its subject's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubjectOrder {
    /// The row's is certainly before.
    Before,
    /// The row's is certainly after, by more than so many milliseconds.
    AfterBy(i64),
}

impl SubjectOrder {
    /// Returns whether two dates, each as written and with its earliest moment, stand in this order.
    #[must_use]
    pub fn holds(self, date: (&str, i64), subject: (&str, i64)) -> bool {
        match self {
            Self::Before => is_certainly_before(date, subject),
            Self::AfterBy(margin) => {
                is_certainly_before(subject, date) && date.1.saturating_sub(subject.1) > margin
            }
        }
    }
}

/// The loads by day: days are counted from 1970-01-01 in UTC, and a load belongs to the day on which its latest attempt
/// began.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadDays {
    /// By folder and day.
    pub folders: BTreeMap<(Folder, i64), FolderDay>,
    /// Loaded resources by type and day.
    pub types: BTreeMap<(String, i64), u64>,
}

/// The loads of a folder on a day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FolderDay {
    /// How many loads.
    pub loads: u64,
    /// Records that were read.
    pub records: u64,
    /// Rejected records.
    pub rejected: u64,
}

/// Answers the questions of data checks. Every method reads whole tables, and fails as those of
/// [`Admin`](super::Admin) do. A table that is not there is empty.
#[async_trait]
pub trait QualityStore: Debug + Send + Sync {
    /// Counts the rows of a table that fulfil each of some conditions.
    async fn count_matches(&self, table: &str, conditions: &[RowCondition]) -> Result<Vec<u64>, StoreError>;

    /// Counts the rows of each combination of values.
    async fn group_rows(&self, table: &str, question: &GroupQuestion) -> Result<Vec<RowGroup>, StoreError>;

    /// Counts the rows that share all values of a question with another row.
    async fn count_repeated(&self, table: &str, question: &RepetitionQuestion) -> Result<Share, StoreError>;

    /// Counts the values in a column of lists that another row has too: each row once a value.
    async fn count_shared(&self, table: &str, column: &str) -> Result<Share, StoreError>;

    /// Counts, by the type that is referred to, the references to resources that are in no table. A row, or a record in
    /// it, counts once for each key. References to contained resources are left out. Types that neither FHIR nor the
    /// store has count together, under an empty name: senders can name any number of them.
    async fn count_dangling(
        &self,
        table: &str,
        column: &ReferenceKeyColumn,
    ) -> Result<BTreeMap<String, Share>, StoreError>;

    /// Counts the rows that each of the comparisons holds for.
    async fn count_beside_subject(
        &self,
        table: &str,
        question: &SubjectQuestion,
    ) -> Result<Vec<u64>, StoreError>;

    /// Sums the loads of a period by day.
    async fn load_days(&self, period: &LoadPeriod) -> Result<LoadDays, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::{SubjectOrder, is_certainly_before};

    const DAY: i64 = 86_400_000;

    #[test]
    fn a_date_is_before_another_one_only_if_nothing_unknown_could_change_that() {
        let day = |number: i64| number * DAY;
        for (date, than, expected) in [
            (("2020-01-01", day(0)), ("2020-01-02", day(1)), true),
            (("2020-01-02", day(1)), ("2020-01-01", day(0)), false),
            (("2020", day(0)), ("2020-05", day(121)), false),
            (("2019", day(-365)), ("2020-05", day(121)), true),
            (("2020-01-01", day(0)), ("2020-01-01T08:00:00Z", day(0) + 1), false),
            (("2020-01-01T07:00:00Z", 7), ("2020-01-01T08:00:00Z", 8), true),
            (("2020-01-01T23:00:00-05:00", day(1) + 4), ("2020-01-02", day(1)), false),
        ] {
            assert_eq!(is_certainly_before(date, than), expected, "{date:?} {than:?}");
        }
    }

    #[test]
    fn a_date_after_the_subjects_is_so_by_more_than_the_margin() {
        let order = SubjectOrder::AfterBy(DAY);
        assert!(!order.holds(("2020-01-02", DAY), ("2020-01-01", 0)));
        assert!(order.holds(("2020-01-03", 2 * DAY), ("2020-01-01", 0)));
        assert!(!order.holds(("2020-05-03", 123 * DAY), ("2020", 0)));
    }
}
