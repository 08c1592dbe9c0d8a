//! What data checks ask of a store in memory: every answer follows from the cells, one row after the other.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use flatten::CellValue;
use flatten::model::is_resource_type;

use crate::store::StoreError;
use crate::store::overview::{Folder, LoadPeriod};
use crate::store::quality::{
    GroupQuestion, LoadDays, MOMENT_SUFFIX, QualityStore, ReferenceKeyColumn, RepetitionQuestion,
    RowCondition, RowGroup, Share, SubjectComparison, SubjectQuestion, TextTest, is_certainly_before,
};

use super::{MemoryStore, StoredResources, lock};

const DAY: i64 = 86_400_000;

/// The cells of a row, or of a record.
type RowCells = [(String, CellValue)];

#[async_trait]
impl QualityStore for MemoryStore {
    async fn count_matches(&self, table: &str, conditions: &[RowCondition]) -> Result<Vec<u64>, StoreError> {
        let stored = lock(&self.rows);
        let count =
            |condition| rows_of(&stored, table).filter(|(_, cells)| holds(condition, cells)).count() as u64;
        Ok(conditions.iter().map(count).collect())
    }

    async fn group_rows(&self, table: &str, question: &GroupQuestion) -> Result<Vec<RowGroup>, StoreError> {
        let stored = lock(&self.rows);
        let mut groups: BTreeMap<(Vec<Option<String>>, i32), u64> = BTreeMap::new();
        for (_, cells) in rows_of(&stored, table) {
            if let Some(power) = number(cells, &question.power_of).and_then(power_of_ten) {
                let key = question.columns.iter().map(|column| text(cells, column).map(str::to_owned));
                *groups.entry((key.collect(), power)).or_default() += 1;
            }
        }
        Ok(groups.into_iter().map(|((key, power), rows)| RowGroup { key, power, rows }).collect())
    }

    async fn count_repeated(&self, table: &str, question: &RepetitionQuestion) -> Result<Share, StoreError> {
        let stored = lock(&self.rows);
        let rows = rows_of(&stored, table).filter(|(_, cells)| holds(&question.condition, cells));
        let values = rows.filter_map(|(_, cells)| {
            let columns = question.columns.iter().chain(&question.number);
            columns.map(|column| value(cells, column).map(|cell| format!("{cell:?}"))).collect()
        });
        Ok(repeated(values))
    }

    async fn count_shared(&self, table: &str, column: &str) -> Result<Share, StoreError> {
        let stored = lock(&self.rows);
        let values = rows_of(&stored, table).flat_map(|(_, cells)| {
            let texts: BTreeSet<&str> = value(cells, column).into_iter().flat_map(texts).collect();
            // Without a system, or without a value, it identifies nothing.
            texts.into_iter().filter(|text| !text.starts_with('|') && !text.ends_with('|'))
        });
        Ok(repeated(values.map(|text| vec![text.to_owned()])))
    }

    async fn count_dangling(
        &self,
        table: &str,
        column: &ReferenceKeyColumn,
    ) -> Result<BTreeMap<String, Share>, StoreError> {
        let stored = lock(&self.rows);
        let mut shares: BTreeMap<String, Share> = BTreeMap::new();
        for (_, cells) in rows_of(&stored, table) {
            visit_keys(cells, &column.0, &mut |key| {
                let Some((resource_type, _)) = key.split_once('/').filter(|_| !key.contains('#')) else {
                    return;
                };
                let is_known = is_resource_type(resource_type)
                    || stored.types.iter().any(|known| known == resource_type);
                let share = shares.entry(if is_known { resource_type } else { "" }.to_owned()).or_default();
                share.of += 1;
                let place = (resource_type.to_owned(), key.to_owned());
                let stands = stored.resources.get(key).is_some_and(|target| target.rows.contains_key(&place));
                share.count += u64::from(!stands);
            });
        }
        Ok(shares)
    }

    async fn count_beside_subject(
        &self,
        table: &str,
        question: &SubjectQuestion,
    ) -> Result<Vec<u64>, StoreError> {
        let stored = lock(&self.rows);
        let subjects: BTreeMap<&str, &RowCells> = rows_of(&stored, question.subjects).collect();
        let count = |comparison: &SubjectComparison| {
            let is_counted = |cells: &RowCells| {
                let subject = text(cells, &question.key).and_then(|key| subjects.get(key))?;
                let dates = (date(cells, &comparison.date)?, date(subject, comparison.subject_date)?);
                Some(comparison.order.holds(dates.0, dates.1) && holds(&comparison.condition, cells))
            };
            let rows = rows_of(&stored, table);
            rows.filter(|(_, cells)| is_counted(cells) == Some(true)).count() as u64
        };
        Ok(question.comparisons.iter().map(count).collect())
    }

    async fn load_days(&self, period: &LoadPeriod) -> Result<LoadDays, StoreError> {
        let mut days = LoadDays::default();
        for load in lock(&self.loads).values().filter(|load| period.includes(load)) {
            let day = load.begun.div_euclid(DAY);
            let folder = days.folders.entry((Folder::of(load), day)).or_default();
            folder.loads += 1;
            folder.records += load.summary.records;
            folder.rejected += load.summary.rejected;
            for (resource_type, count) in &load.summary.types {
                *days.types.entry((resource_type.clone(), day)).or_default() += count;
            }
        }
        Ok(days)
    }
}

/// Returns the rows of a table, by their keys.
fn rows_of<'s>(stored: &'s StoredResources, table: &str) -> impl Iterator<Item = (&'s str, &'s RowCells)> {
    let rows = stored.resources.values().flat_map(|resource| &resource.rows);
    rows.filter(move |((name, _), _)| name == table).map(|((_, key), row)| (key.as_str(), &*row.cells))
}

fn value<'c>(cells: &'c RowCells, column: &str) -> Option<&'c CellValue> {
    let cell = cells.iter().find(|(name, _)| name == column);
    cell.map(|(_, value)| value).filter(|value| **value != CellValue::Null)
}

fn text<'c>(cells: &'c RowCells, column: &str) -> Option<&'c str> {
    match value(cells, column)? {
        CellValue::Text(text) => Some(text),
        _ => None,
    }
}

fn texts(cell: &CellValue) -> Vec<&str> {
    match cell {
        CellValue::Text(text) => vec![text],
        CellValue::List(items) => items.iter().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

fn moment(cells: &RowCells, column: &str) -> Option<i64> {
    match value(cells, column)? {
        CellValue::Instant(at) => Some(*at),
        _ => None,
    }
}

fn date<'c>(cells: &'c RowCells, column: &str) -> Option<(&'c str, i64)> {
    Some((text(cells, column)?, moment(cells, &format!("{column}{MOMENT_SUFFIX}"))?))
}

fn number(cells: &RowCells, column: &str) -> Option<f64> {
    match value(cells, column)? {
        CellValue::Integer(number) => Some(f64::from(*number)),
        CellValue::Long(number) => number.to_string().parse().ok(),
        CellValue::Decimal(digits) => digits.parse().ok(),
        CellValue::Double(number) => Some(*number),
        _ => None,
    }
}

/// Returns the power of ten of a number above zero.
#[expect(clippy::cast_possible_truncation, reason = "the powers of doubles are a few hundred")]
fn power_of_ten(number: f64) -> Option<i32> {
    (number > 0.0 && number.is_finite()).then(|| number.log10().floor() as i32)
}

fn holds(condition: &RowCondition, cells: &RowCells) -> bool {
    let number_is = |column: &str, bound: i64, order| {
        let bound = bound.to_string().parse::<f64>().ok();
        number(cells, column).and_then(|number| number.partial_cmp(&bound?)) == Some(order)
    };
    match condition {
        RowCondition::Present(column) => value(cells, column).is_some(),
        RowCondition::All(conditions) => conditions.iter().all(|condition| holds(condition, cells)),
        RowCondition::Any(conditions) => conditions.iter().any(|condition| holds(condition, cells)),
        RowCondition::Not(condition) => !holds(condition, cells),
        RowCondition::AnyItem(list, condition) => match value(cells, list) {
            Some(CellValue::List(items)) => items.iter().any(|item| match item {
                CellValue::Record(cells) => holds(condition, cells),
                _ => false,
            }),
            _ => false,
        },
        RowCondition::Text(column, test) => text(cells, column).is_some_and(|text| passes(test, text)),
        RowCondition::AnyText(column, test) => match value(cells, column) {
            Some(CellValue::List(items)) => items.iter().flat_map(texts).any(|text| passes(test, text)),
            _ => false,
        },
        RowCondition::Below(column, bound) => number_is(column, *bound, std::cmp::Ordering::Less),
        RowCondition::Above(column, bound) => number_is(column, *bound, std::cmp::Ordering::Greater),
        RowCondition::Before(column, bound) => moment(cells, column).is_some_and(|at| at < *bound),
        RowCondition::After(column, bound) => moment(cells, column).is_some_and(|at| at > *bound),
        RowCondition::Earlier { date: one, than } => {
            let dates = date(cells, one).zip(date(cells, than));
            dates.is_some_and(|(one, than)| is_certainly_before(one, than))
        }
    }
}

fn passes(test: &TextTest, text: &str) -> bool {
    match test {
        TextTest::OneOf(texts) => texts.iter().any(|known| known == text),
        TextTest::OneOfAnyCase(texts) => texts.contains(&&*text.to_ascii_lowercase()),
        TextTest::Contains(parts) => parts.iter().any(|part| text.contains(part)),
        TextTest::Blank => text.bytes().all(|byte| byte.is_ascii_whitespace()),
        TextTest::HasDigit => text.bytes().any(|byte| byte.is_ascii_digit()),
        TextTest::HasOtherThanPrintableAscii => text.bytes().any(|byte| !byte.is_ascii_graphic()),
        TextTest::HasLength(length) => text.chars().count() == *length,
        TextTest::IsLongerThan(length) => text.chars().count() > *length,
        TextTest::At(place, part) => {
            let rest: String = text.chars().skip(*place).collect();
            rest.starts_with(part)
        }
    }
}

/// Counts the values that stand more than once.
fn repeated(values: impl Iterator<Item = Vec<String>>) -> Share {
    let mut counts: BTreeMap<Vec<String>, u64> = BTreeMap::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    let of = counts.values().sum();
    Share { count: counts.into_values().filter(|count| *count > 1).sum(), of }
}

/// Visits each key at a path of columns through lists once a row, or once a record.
fn visit_keys<'c>(cells: &'c RowCells, path: &str, visit: &mut impl FnMut(&'c str)) {
    let Some((list, rest)) = path.split_once('.') else {
        let keys: BTreeSet<&str> = value(cells, path).into_iter().flat_map(texts).collect();
        keys.into_iter().for_each(visit);
        return;
    };
    if let Some(CellValue::List(items)) = value(cells, list) {
        for item in items {
            if let CellValue::Record(cells) = item {
                visit_keys(cells, rest, visit);
            }
        }
    }
}
