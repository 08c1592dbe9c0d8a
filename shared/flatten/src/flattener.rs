//! The library in one type: JSON in, rows with names and values out.

use std::sync::Arc;

use serde_json::Value as Json;

use crate::automatic::{Automatic, Settings};
use crate::defect::Defect;
use crate::fhirpath::Context;
use crate::json::{Limits, Tape};
use crate::resource::Resource;
use crate::row::{Cells, ColumnId, NameList, Names, Row, Rows, Value};
use crate::view::{Evaluator, InvalidView, Plan, Unanswered, ViewSet};

/// Flattens resources of any release of FHIR, one JSON text at a time.
///
/// ```
/// use flatten::automatic::Settings;
/// use flatten::{CellValue, Flattener};
///
/// let rows = Flattener::new(Settings::default())
///     .flatten_json(br#"{"resourceType": "Patient", "id": "p1", "birthDate": "1970-05-01"}"#)?;
/// assert_eq!(rows[0].table, "Patient");
/// assert_eq!(rows[0].key, "Patient/p1");
/// assert_eq!(rows[0].get("birthDate"), Some(&CellValue::Text("1970-05-01".to_owned())));
/// # Ok::<(), flatten::defect::Defect>(())
/// ```
///
/// A flattener caches the columns of every path, so one that is used again is faster. A file of many resources takes
/// less memory through [`Automatic`] and [`Rows`], which copy no text, and a deployment with archive rules, checks and
/// Bundles uses the [`catalog`](crate::catalog).
#[derive(Debug)]
pub struct Flattener {
    automatic: Option<Automatic>,
    views: ViewSet,
    evaluator: Evaluator,
    names: Names,
    tape: Tape,
    rows: Rows,
}

/// A row of one table.
#[derive(Debug, Clone, PartialEq)]
pub struct TableRow {
    /// The table's name: the resource type, `<Type>_<path>` for child tables, or the name of a view.
    pub table: String,
    /// The row's key, which no other row of the table has: `Patient/p1`.
    pub key: String,
    /// The columns that have a cell, in the order of the resource, or of the view.
    pub columns: Vec<(String, CellValue)>,
}

/// The value of a cell.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum CellValue {
    /// A column without a value.
    Null,
    /// FHIR `boolean`.
    Boolean(bool),
    /// FHIR `integer`, `positiveInt`, `unsignedInt`.
    Integer(i32),
    /// FHIR `integer64`.
    Long(i64),
    /// FHIR `decimal`, its digits as written.
    Decimal(String),
    /// FHIR `decimal` as the nearest double, if the settings ask for doubles.
    Double(f64),
    /// Text.
    Text(String),
    /// A moment, in milliseconds since 1970-01-01T00:00:00Z.
    Instant(i64),
    /// The items of a repeating element.
    List(Vec<Self>),
    /// A sub-document in a list.
    Record(Vec<(String, Self)>),
}

impl Flattener {
    /// Returns a flattener that makes automatic rows.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self::of(Some(Automatic::new(settings)), Names::default(), ViewSet::default())
    }

    /// Returns a flattener that makes the rows of `ViewDefinition`s (SQL on FHIR), and no automatic rows.
    ///
    /// ```
    /// use flatten::{CellValue, Flattener};
    ///
    /// let view = serde_json::json!({
    ///     "name": "patient_name",
    ///     "resource": "Patient",
    ///     "select": [{"forEach": "name", "column": [{"name": "family", "path": "family"}]}],
    /// });
    /// let mut flattener = Flattener::for_views([&view]).unwrap();
    /// let patient = br#"{"resourceType": "Patient", "id": "p1", "name": [{"family": "A"}, {"family": "B"}]}"#;
    /// let rows = flattener.flatten_json(patient)?;
    /// assert_eq!(rows.len(), 2);
    /// assert_eq!(rows[1].get("family"), Some(&CellValue::Text("B".to_owned())));
    /// # Ok::<(), flatten::defect::Defect>(())
    /// ```
    pub fn for_views<'v>(views: impl IntoIterator<Item = &'v Json>) -> Result<Self, InvalidView> {
        let plans = views.into_iter().map(|view| Plan::compile(view).map(Arc::new));
        let plans: Vec<Arc<Plan>> = plans.collect::<Result<_, _>>()?;
        let mut names = Names::default();
        let views = ViewSet::new(plans, &mut names);
        Ok(Self::of(None, names, views))
    }

    /// Flattens one resource and returns its rows. The resource's own row comes first; the rows of child tables and
    /// contained resources follow.
    ///
    /// Fails if the text is not JSON, is not a resource, or breaks one of the rules in
    /// [`DefectCode`](crate::defect::DefectCode). An error tells the rule and the place, but never quotes the resource.
    ///
    /// ```
    /// use flatten::Flattener;
    /// use flatten::defect::DefectCode;
    ///
    /// let patient = br#"{"resourceType": "Patient", "name": "a text"}"#;
    /// let defect = Flattener::default().flatten_json(patient).unwrap_err();
    /// assert_eq!(defect.code, DefectCode::ObjectExpected);
    /// assert_eq!(defect.to_string(), "object-expected at /name (byte 37)");
    /// ```
    ///
    /// A Bundle becomes the rows of the Bundle itself, with the keys of its entries: flatten its entries one by one, or
    /// use the [`catalog`](crate::catalog), which also follows references between entries.
    pub fn flatten_json(&mut self, json: &[u8]) -> Result<Vec<TableRow>, Defect> {
        self.rows.clear();
        let document = self.tape.parse(json, Limits::default())?;
        let resource = Resource::read(document.root())?;
        let key = resource.key(None, None);
        let context = Context::of(&key);
        if let Some(automatic) = &mut self.automatic {
            automatic.flatten(&resource, &context, &mut self.names, &mut self.rows)?;
        }
        for view in self.views.of_type(resource.resource_type()) {
            match self.evaluator.run(view, resource.node(), &context, &mut self.rows) {
                // No key comes later, because the context has no links.
                Ok(_) | Err(Unanswered::KeyComesLater) => {}
                Err(Unanswered::Defect(defect)) => return Err(defect),
            }
        }
        let names = self.names.list();
        Ok(self.rows.iter().map(|row| TableRow::of(row, &names)).collect())
    }

    fn of(automatic: Option<Automatic>, names: Names, views: ViewSet) -> Self {
        let (evaluator, tape, rows) = (Evaluator::default(), Tape::default(), Rows::default());
        Self { automatic, views, evaluator, names, tape, rows }
    }
}

impl Default for Flattener {
    fn default() -> Self {
        Self::new(Settings::default())
    }
}

impl TableRow {
    /// Returns the value of a column; `None` if the row has no such cell.
    #[must_use]
    pub fn get(&self, column: &str) -> Option<&CellValue> {
        self.columns.iter().find(|(name, _)| name == column).map(|(_, value)| value)
    }

    /// Copies a row of an arena. A cell that waits for a key is left out, in a list too; in a view's row it is null.
    #[must_use]
    pub fn of(row: Row<'_>, names: &NameList) -> Self {
        Self {
            table: names.table(row.table()).to_owned(),
            key: row.key().to_owned(),
            columns: record(row.cells(), names),
        }
    }
}

impl CellValue {
    fn of(value: Value<'_>, names: &NameList) -> Self {
        match value {
            Value::Null | Value::PendingOrNull(_) | Value::Pending(_) => Self::Null,
            Value::Boolean(value) => Self::Boolean(value),
            Value::Integer(value) => Self::Integer(value),
            Value::Long(value) => Self::Long(value),
            Value::Decimal(digits) => Self::Decimal(digits.to_owned()),
            Value::Double(value) => Self::Double(value),
            Value::Text(text) => Self::Text(text.to_owned()),
            Value::Instant(milliseconds) => Self::Instant(milliseconds),
            Value::List(items) => Self::List(known(items).map(|(_, value)| Self::of(value, names)).collect()),
            Value::Record(cells) => Self::Record(record(cells, names)),
        }
    }
}

fn record(cells: Cells<'_>, names: &NameList) -> Vec<(String, CellValue)> {
    known(cells)
        .map(|(column, value)| (names.column(column).to_owned(), CellValue::of(value, names)))
        .collect()
}

fn known(cells: Cells<'_>) -> impl Iterator<Item = (ColumnId, Value<'_>)> {
    cells.filter(|(_, value)| !matches!(value, Value::Pending(_)))
}
