//! The steps of all checks: each asks a store one thing and judges the answer.

use std::collections::BTreeMap;

use flatten::model::is_resource_type;

use crate::store::quality::{
    DATE_LENGTH, GroupQuestion, QualityStore, ReferenceKeyColumn, RepetitionQuestion, RowCondition, Share,
    SubjectComparison, SubjectOrder, SubjectQuestion, TextTest,
};
use crate::store::{Store, StoreError};

use super::catalogue::QualityCheck;
use super::elements::{CheckedTable, CheckedTables};
use super::facts::{REPETITIONS, SUBJECTS};
use super::finding::QualityFinding;
use super::rows::{RowCheck, RowChecks, has_passed, midnight};
use super::{feeds, values};

const DAY: i64 = 86_400_000;

const PATIENTS: &str = "Patient";

/// Fewer times in a column do not show that it never has any.
const LEAST_TIMES: u64 = 100;

/// One question to the store.
#[derive(Debug)]
pub(super) enum QualityStep<'t> {
    /// The checks of single rows, and the columns of dates that may all be at midnight.
    Rows { table: &'t CheckedTable, checks: Vec<RowCheck>, dates: Vec<String> },
    /// References to nothing.
    Keys { table: &'t CheckedTable, column: ReferenceKeyColumn },
    /// Identifiers of several resources.
    Identifiers { table: &'t CheckedTable },
    /// Rows that say the same.
    Repetition { table: &'t CheckedTable, check: QualityCheck, question: RepetitionQuestion },
    /// Dates beside those of the patient.
    Patients { table: &'t CheckedTable, question: SubjectQuestion, checks: Vec<QualityCheck> },
    /// Units and values.
    Values { table: &'t CheckedTable, question: GroupQuestion },
    /// What came, by day.
    Feeds { today: i64 },
}

impl<'t> QualityStep<'t> {
    /// Returns all steps.
    pub(super) fn all(tables: &'t CheckedTables, today: i64) -> Vec<Self> {
        let mut steps = vec![Self::Feeds { today }];
        for table in tables.iter() {
            let checks = RowChecks::of_table(table, today);
            let dates = past_dates(table).into_iter().map(|(date, _)| date).collect();
            steps.push(Self::Rows { table, checks, dates });
            let keys = table.key_columns().into_iter().map(ReferenceKeyColumn);
            steps.extend(keys.map(|column| Self::Keys { table, column }));
            if let Some(question) = values::question(table) {
                steps.push(Self::Values { table, question });
            }
            if table.is_of_resources() {
                steps.extend(of_resources(tables, table));
            }
        }
        steps
    }

    /// Returns the table that is asked.
    pub(super) fn table(&self) -> &str {
        match self {
            Self::Rows { table, .. }
            | Self::Keys { table, .. }
            | Self::Identifiers { table }
            | Self::Repetition { table, .. }
            | Self::Patients { table, .. }
            | Self::Values { table, .. } => &table.name,
            Self::Feeds { .. } => "_loads",
        }
    }

    /// Returns whether the step reads every text of a table or compares whole rows, which takes longest.
    pub(super) const fn reads_every_text(&self) -> bool {
        matches!(self, Self::Rows { .. } | Self::Repetition { .. })
    }

    /// Asks and judges. References to types that the archive holds do not count as dangling.
    pub(super) async fn run(
        &self,
        store: &(impl Store + ?Sized),
        archived: &BTreeMap<String, u64>,
    ) -> Result<Vec<QualityFinding>, StoreError> {
        match self {
            Self::Rows { table, checks, dates } => count_matches(store, table, checks, dates).await,
            Self::Keys { table, column } => {
                let mut shares = store.count_dangling(&table.name, column).await?;
                shares.retain(|name, share| share.count > 0 && !archived.contains_key(name));
                Ok(dangling(table, column, &shares).into_iter().collect())
            }
            Self::Identifiers { table } => {
                let share = store.count_shared(&table.name, "identifier_values").await?;
                Ok(finding(QualityCheck::DuplicateIdentifier, table, "identifier", share)
                    .into_iter()
                    .collect())
            }
            Self::Repetition { table, check, question } => {
                let share = store.count_repeated(&table.name, question).await?;
                let column = question.columns.first().map_or("", String::as_str);
                Ok(finding(*check, table, column, share).into_iter().collect())
            }
            Self::Patients { table, question, checks } => {
                let counts = store.count_beside_subject(&table.name, question).await?;
                let of = total(store, table).await?;
                let found = checks.iter().zip(&question.comparisons).zip(counts);
                let found = found.filter_map(|((check, comparison), count)| {
                    finding(*check, table, &comparison.date, Share { count, of })
                });
                Ok(found.collect())
            }
            Self::Values { table, question } => {
                Ok(values::findings(table, &store.group_rows(&table.name, question).await?))
            }
            Self::Feeds { today } => {
                Ok(feeds::findings(&store.load_days(&feeds::period(*today)).await?, *today))
            }
        }
    }
}

/// Returns the steps that only tables of whole resources have.
fn of_resources<'t>(tables: &'t CheckedTables, table: &'t CheckedTable) -> Vec<QualityStep<'t>> {
    let mut steps = Vec::new();
    if table.has("identifier_values") {
        steps.push(QualityStep::Identifiers { table });
    }
    for (_, columns, number) in REPETITIONS.iter().filter(|(resource_type, ..)| *resource_type == table.name)
    {
        if columns.iter().chain(number).all(|column| table.has(column)) {
            let number = number.map(str::to_owned);
            let columns = columns.iter().map(|&column| column.to_owned()).collect();
            let question = RepetitionQuestion { columns, number, condition: RowCondition::All(Vec::new()) };
            steps.push(QualityStep::Repetition { table, check: QualityCheck::RepeatedResource, question });
        }
    }
    if table.name == PATIENTS {
        steps.extend(same_patients(table));
    }
    if let Some(patients) = tables.named(PATIENTS) {
        steps.extend(beside_patients(patients, table));
    }
    steps
}

/// Patients without an identifier who are alike.
fn same_patients(table: &CheckedTable) -> Option<QualityStep<'_>> {
    let columns = ["name_family", "name_given", "birthDate", "gender"];
    if !columns.iter().all(|column| table.has(column)) {
        return None;
    }
    let is_day = RowCondition::Text("birthDate".to_owned(), TextTest::HasLength(DATE_LENGTH));
    let mut conditions = vec![is_day];
    if table.has("identifier_values") {
        let identified = RowCondition::Present("identifier_values".to_owned());
        conditions.push(RowCondition::Not(Box::new(identified)));
    }
    let question = RepetitionQuestion {
        columns: columns.map(str::to_owned).to_vec(),
        number: None,
        condition: RowCondition::All(conditions),
    };
    Some(QualityStep::Repetition { table, check: QualityCheck::DuplicatePatient, question })
}

/// Returns the past dates of a table, with what a row fulfils whose date has passed.
fn past_dates(table: &CheckedTable) -> Vec<(String, RowCondition)> {
    let elements = table.scalar_elements();
    let dates = elements.iter().filter_map(|element| {
        let date = element.date_column(table)?;
        Some((date.to_owned(), has_passed(table, &element.path)?))
    });
    dates.collect()
}

fn beside_patients<'t>(patients: &CheckedTable, table: &'t CheckedTable) -> Option<QualityStep<'t>> {
    let (_, subjects) = SUBJECTS.iter().find(|(resource_type, _)| *resource_type == table.name)?;
    let key = subjects.iter().map(|subject| format!("{subject}_key")).find(|key| table.has(key))?;
    let (mut comparisons, mut checks) = (Vec::new(), Vec::new());
    for (date, condition) in past_dates(table) {
        if patients.has("birthDate_at") {
            let (order, subject_date) = (SubjectOrder::Before, "birthDate");
            checks.push(QualityCheck::BeforeBirth);
            comparisons.push(SubjectComparison {
                date: date.clone(),
                subject_date,
                order,
                condition: condition.clone(),
            });
        }
        if table.name == "Encounter" && patients.has("deceasedDateTime_at") {
            let (order, subject_date) = (SubjectOrder::AfterBy(DAY), "deceasedDateTime");
            checks.push(QualityCheck::AfterDeath);
            comparisons.push(SubjectComparison { date, subject_date, order, condition });
        }
    }
    let question = SubjectQuestion { key, subjects: PATIENTS, comparisons };
    (!checks.is_empty()).then_some(QualityStep::Patients { table, question, checks })
}

async fn count_matches(
    store: &(impl QualityStore + ?Sized),
    table: &CheckedTable,
    checks: &[RowCheck],
    dates: &[String],
) -> Result<Vec<QualityFinding>, StoreError> {
    let mut conditions = vec![RowCondition::All(Vec::new())];
    conditions.extend(checks.iter().map(|check| check.condition.clone()));
    conditions.extend(dates.iter().flat_map(|date| midnight(date)));
    let mut counts = store.count_matches(&table.name, &conditions).await?.into_iter();
    let of = counts.next().unwrap_or_default();
    let mut findings = Vec::new();
    for check in checks {
        let count = counts.next().unwrap_or_default();
        findings.extend(finding(check.check, table, &check.column, Share { count, of }));
    }
    for date in dates {
        let (of, count) = (counts.next().unwrap_or_default(), counts.next().unwrap_or_default());
        if of >= LEAST_TIMES && count * 2 > of {
            findings.extend(finding(QualityCheck::MidnightTimes, table, date, Share { count, of }));
        }
    }
    Ok(findings)
}

async fn total(store: &(impl QualityStore + ?Sized), table: &CheckedTable) -> Result<u64, StoreError> {
    let counts = store.count_matches(&table.name, &[RowCondition::All(Vec::new())]).await?;
    Ok(counts.first().copied().unwrap_or_default())
}

fn finding(check: QualityCheck, table: &CheckedTable, column: &str, share: Share) -> Option<QualityFinding> {
    let Share { count, of } = share;
    (count > 0).then(|| QualityFinding {
        check: check.code(),
        table: table.name.clone(),
        column: column.to_owned(),
        count,
        of,
        detail: None,
    })
}

fn dangling(
    table: &CheckedTable,
    column: &ReferenceKeyColumn,
    shares: &BTreeMap<String, Share>,
) -> Option<QualityFinding> {
    let (mut sum, mut targets) = (Share::default(), BTreeMap::<&str, u64>::new());
    for (name, share) in shares {
        sum += *share;
        *targets.entry(if is_resource_type(name) { name } else { "another type" }).or_default() +=
            share.count;
    }
    let targets = targets.iter().map(|(resource_type, count)| format!("{resource_type} {count}"));
    let detail = Some(targets.collect::<Vec<_>>().join(", "));
    finding(QualityCheck::DanglingReference, table, &column.0, sum)
        .map(|found| QualityFinding { detail, ..found })
}
