//! Conditions as expressions of an aggregation.

use std::collections::BTreeMap;

use bson::{Bson, DateTime, Document, doc};
use pipeline::store::quality::{DATE_LENGTH, MOMENT_SUFFIX, RowCondition, TextTest};

use crate::admin::selection::literal;

/// Where columns are looked up: in the row, or in a record of a list.
#[derive(Clone, Copy)]
pub(super) struct Scope {
    depth: usize,
}

impl Scope {
    /// The row itself.
    pub(super) const ROW: Self = Self { depth: 0 };

    /// Returns the expression of a column's value.
    pub(super) fn field(self, column: &str) -> String {
        match self.depth {
            0 => format!("${column}"),
            _ => format!("$${}.{column}", self.variable()),
        }
    }

    /// Returns the name of the variable that a record of a list has.
    pub(super) fn variable(self) -> String {
        format!("item{}", self.depth)
    }

    /// Returns where the columns of records stand, of a list in this place.
    pub(super) const fn inside(self) -> Self {
        Self { depth: self.depth + 1 }
    }

    fn moment(self, date: &str) -> String {
        self.field(&format!("{date}{MOMENT_SUFFIX}"))
    }
}

/// Returns the expression that is true where the condition holds.
pub(super) fn expression(condition: &RowCondition, scope: Scope) -> Document {
    let all = |conditions: &[RowCondition]| {
        conditions.iter().map(|one| expression(one, scope)).collect::<Vec<Document>>()
    };
    match condition {
        RowCondition::Present(column) => present(scope.field(column)),
        RowCondition::All(conditions) => doc! { "$and": all(conditions) },
        RowCondition::Any(conditions) => doc! { "$or": all(conditions) },
        RowCondition::Not(condition) => doc! { "$not": [expression(condition, scope)] },
        RowCondition::AnyItem(list, condition) => {
            let inside = scope.inside();
            let holds = expression(condition, inside);
            any_of(&scope.field(list), &inside.variable(), &holds)
        }
        RowCondition::Text(column, test) => passes(&scope.field(column), test),
        RowCondition::AnyText(column, test) => {
            let inside = scope.inside();
            let holds = passes(&format!("$${}", inside.variable()), test);
            any_of(&scope.field(column), &inside.variable(), &holds)
        }
        RowCondition::Below(column, bound) => {
            let field = scope.field(column);
            doc! { "$and": [present(field.clone()), { "$lt": [field, *bound] }] }
        }
        RowCondition::Above(column, bound) => {
            let field = scope.field(column);
            // Numbers come before texts.
            doc! { "$and": [{ "$gt": [&field, *bound] }, { "$lt": [&field, ""] }] }
        }
        RowCondition::Before(column, bound) => {
            let field = scope.field(column);
            doc! { "$and": [present(field.clone()), { "$lt": [field, DateTime::from_millis(*bound)] }] }
        }
        RowCondition::After(column, bound) => {
            doc! { "$gt": [scope.field(column), DateTime::from_millis(*bound)] }
        }
        RowCondition::Earlier { date, than } => {
            certainly_before((scope.field(date), scope.moment(date)), (scope.field(than), scope.moment(than)))
        }
    }
}

/// Returns the expression of [`is_certainly_before`](pipeline::store::quality::is_certainly_before), of two dates with
/// their moments.
pub(super) fn certainly_before((date, at): (String, String), (than, than_at): (String, String)) -> Document {
    let length = i64::try_from(DATE_LENGTH).unwrap_or(i64::MAX);
    let of = |text: &str| doc! { "$strLenCP": { "$ifNull": [text, ""] } };
    let shorter = doc! { "$min": [of(&date), of(&than), length] };
    let begin = |text: &str| doc! { "$substrCP": [text, 0, "$$length"] };
    let by_day = doc! { "$let": {
        "vars": { "length": shorter },
        "in": { "$lt": [begin(&date), begin(&than)] },
    } };
    let have_times = doc! { "$and": [{ "$gt": [of(&date), length] }, { "$gt": [of(&than), length] }] };
    let in_order = doc! { "$and": [present(at.clone()), { "$lt": [at, than_at] }] };
    doc! { "$and": [in_order, { "$or": [have_times, by_day] }] }
}

/// Returns the condition of a value that is there. Nothing and null come before every other value.
pub(super) fn present(field: String) -> Document {
    doc! { "$gt": [field, Bson::Null] }
}

fn any_of(list: &str, variable: &str, holds: &Document) -> Document {
    let items = doc! { "$cond": [{ "$isArray": [list] }, list, []] };
    doc! { "$anyElementTrue": [{ "$map": { "input": items, "as": variable, "in": holds } }] }
}

fn passes(field: &str, test: &TextTest) -> Document {
    let is_text = doc! { "$eq": [{ "$type": field }, "string"] };
    let length = doc! { "$strLenCP": field };
    let holds = match test {
        TextTest::OneOf(texts) => return doc! { "$in": [field, texts.clone()] },
        TextTest::OneOfAnyCase(texts) => {
            doc! { "$in": [{ "$toLower": field }, texts.to_vec()] }
        }
        TextTest::HasLength(wanted) => doc! { "$eq": [length, number(*wanted)] },
        TextTest::IsLongerThan(bound) => doc! { "$gt": [length, number(*bound)] },
        TextTest::At(place, part) => {
            let found = doc! { "$substrCP": [field, number(*place), number(part.chars().count())] };
            doc! { "$eq": [found, *part] }
        }
        TextTest::Contains(_)
        | TextTest::Blank
        | TextTest::HasDigit
        | TextTest::HasOtherThanPrintableAscii => {
            doc! { "$regexMatch": { "input": field, "regex": pattern(test).unwrap_or_default() } }
        }
    };
    doc! { "$and": [is_text, holds] }
}

fn number(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

/// Returns the regular expression of a test that is one.
fn pattern(test: &TextTest) -> Option<String> {
    match test {
        TextTest::Contains(parts) => Some(one_of(parts)),
        TextTest::Blank => Some(r"\A[ \t\n\f\r]*\z".to_owned()),
        TextTest::HasDigit => Some("[0-9]".to_owned()),
        TextTest::HasOtherThanPrintableAscii => Some("[^!-~]".to_owned()),
        _ => None,
    }
}

/// Returns the regular expression of one of some texts. Those that differ in the last character alone share the others,
/// which a server tries once.
fn one_of(parts: &[&str]) -> String {
    let mut ends: BTreeMap<&str, String> = BTreeMap::new();
    for part in parts {
        let last = part.char_indices().last().map_or(0, |(at, _)| at);
        let (begin, end) = part.split_at(last);
        ends.entry(begin).or_default().push_str(&literal(end));
    }
    let all = ends.iter().map(|(begin, ends)| format!("{}[{ends}]", literal(begin)));
    all.collect::<Vec<_>>().join("|")
}
