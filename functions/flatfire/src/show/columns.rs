//! Which columns people care for, in which order, by the names of a table's columns alone.
//!
//! Columns of one element become one column of the printed table: `code_display`, `code_text` and `code_code` are `code`.
//! So do the columns of an element of several types: `valueQuantity_value` and `valueString` are `value`.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;
use flatten::{CellValue, TableRow};

/// A column of the printed table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ShownColumn {
    pub(super) heading: String,
    /// The first that a row has is printed.
    pub(super) sources: Vec<CellSource>,
    /// Whether it is bound to be whole: a moment that is cut is another one.
    pub(super) is_whole: bool,
}

/// Where a printed text comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CellSource {
    /// The key of the row.
    Key,
    /// The cell of a column.
    Cell(String),
    /// A number, with the comparator of another column before it: `< 5`.
    Compared {
        /// The column of the number.
        number: String,
        /// The column of the comparator.
        comparator: String,
    },
    /// Given names and family name of the element.
    Name(String),
}

/// The heading of the row's own key.
const KEY: &str = "key";

/// Elements that say whom a row is about, most telling first.
const PERSONS: [&str; 10] = [
    "name",
    "family",
    "given",
    "subject",
    "patient",
    "beneficiary",
    "individual",
    "for",
    "member",
    "candidate",
];
/// Elements that say what a row is about. The first that a table has stands before its values, others behind the dates.
const CODES: [&str; 13] = [
    "code",
    "question",
    "medication",
    "vaccine",
    "vaccinecode",
    "product",
    "productorservice",
    "service",
    "title",
    "type",
    "class",
    "category",
    "description",
];
/// Elements that say how much. Quantities and amounts of money count as such whatever they are called.
const VALUES: [&str; 3] = ["value", "answer", "dose"];
/// Elements that say how it stands.
const STATUSES: [&str; 5] = ["status", "clinicalstatus", "gender", "active", "intent"];

/// The parts of an element that can stand for it, most readable first. `""` is the element itself.
const PARTS: [&str; 7] = ["display", "text", "", "value", "code", "key", "reference"];
/// From here on a part is a key.
const FIRST_KEY_PART: usize = 5;
/// The parts that are the unit of a number.
const UNITS: [&str; 3] = ["unit", "currency", "code"];
/// Endings of columns that are there for queries.
const BOOKKEEPING: [&str; 8] =
    ["_system", "_codings", "_tokens", "_count", "_use", "_version", "_userSelected", "_comparator"];

/// What a column of the printed table says; the order is that of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Person,
    Code,
    Value,
    Status,
    Date,
    FurtherCode,
    Rest,
    Key,
}

/// An element: the columns that become one.
#[derive(Debug, Default)]
struct ShownElement {
    /// Columns with the place of their part in [`PARTS`].
    parts: Vec<(usize, CellSource)>,
    units: Vec<String>,
    /// In how many rows it has something, at least.
    filled: usize,
    is_moment: bool,
}

/// The columns of rows that have a single value somewhere.
struct ColumnNames<'a> {
    /// In how many rows each has one, in the order in which they appear.
    singles: Vec<(&'a str, usize)>,
    all: BTreeSet<&'a str>,
}

/// Returns the columns of the printed table, the most interesting first.
pub(super) fn of(rows: &[TableRow]) -> Vec<ShownColumn> {
    let names = ColumnNames::of(rows);
    let mut order: Vec<String> = Vec::new();
    let mut elements: BTreeMap<String, ShownElement> = BTreeMap::new();
    for &(name, filled) in names.singles.iter().filter(|(name, _)| !names.is_bookkeeping(name)) {
        let (element, part) = names.place(name);
        if !elements.contains_key(&element) {
            order.push(element.clone());
        }
        elements.entry(element).or_default().add(&names, (name, part), filled);
    }
    let mut ranked: Vec<_> = order
        .into_iter()
        .filter_map(|heading| {
            let element = elements.remove(&heading)?;
            (!element.parts.is_empty()).then(|| (element.order(&heading), heading, element))
        })
        .collect();
    ranked.sort_by_key(|(order, ..)| *order);
    for ((rank, ..), ..) in ranked.iter_mut().filter(|((rank, ..), ..)| *rank == Rank::Code).skip(1) {
        *rank = Rank::FurtherCode;
    }
    ranked.sort_by_key(|(order, ..)| *order);
    let columns = ranked.into_iter().flat_map(|(_, heading, element)| element.columns(heading));
    columns.chain([ShownColumn::of_key()]).collect()
}

/// Returns the columns of these names: of the table, or headings of the printed table.
pub(super) fn named(
    names: &[String],
    shown: &[ShownColumn],
    rows: &[TableRow],
) -> anyhow::Result<Vec<ShownColumn>> {
    let all = ColumnNames::of(rows).all;
    let mut chosen = Vec::new();
    for name in names {
        if all.contains(name.as_str()) {
            let sources = vec![CellSource::Cell(name.clone())];
            chosen.push(ShownColumn { heading: name.clone(), sources, is_whole: false });
        } else if name == "_id" {
            chosen.push(ShownColumn::of_key());
        } else if let Some(column) = shown.iter().find(|column| column.heading == *name) {
            chosen.push(column.clone());
        } else {
            let all: Vec<&str> = all.into_iter().collect();
            bail!("the rows have no column `{name}`; they have: {}", all.join(", "));
        }
    }
    Ok(chosen)
}

impl ShownColumn {
    fn of_key() -> Self {
        Self { heading: KEY.to_owned(), sources: vec![CellSource::Key], is_whole: false }
    }
}

impl<'a> ColumnNames<'a> {
    fn of(rows: &'a [TableRow]) -> Self {
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        let mut singles: Vec<(&str, usize)> = Vec::new();
        let cells = || rows.iter().flat_map(|row| &row.columns);
        for (name, value) in cells() {
            if matches!(value, CellValue::List(_) | CellValue::Record(_) | CellValue::Null) {
                continue;
            }
            let place = *places.entry(name).or_insert(singles.len());
            match singles.get_mut(place) {
                Some((_, filled)) => *filled += 1,
                None => singles.push((name, 1)),
            }
        }
        Self { singles, all: cells().map(|(name, _)| name.as_str()).collect() }
    }

    fn has(&self, stem: &str, part: &str) -> bool {
        self.all.contains(format!("{stem}_{part}").as_str())
    }

    /// Returns whether a column is there for queries, or says what others say.
    fn is_bookkeeping(&self, name: &str) -> bool {
        let is_own = name.starts_with('_') || name.starts_with("meta_") || name.starts_with("text_");
        let is_companion = match name.rsplit_once('_') {
            Some((stem, "at")) => self.all.contains(stem) || self.is_choice(stem),
            Some((stem, "type")) => {
                self.has(stem, KEY) || self.has(stem, "reference") || self.is_choice(stem)
            }
            // The end of a period that stands for an element of several types.
            Some((stem, "end")) => self.choice_of(stem).is_some(),
            _ => false,
        };
        let is_for_queries = BOOKKEEPING.iter().any(|ending| name.ends_with(ending));
        is_own || is_companion || is_for_queries || ["id", "implicitRules", "comparator"].contains(&name)
    }

    /// Returns whether this is an element of several types: `value` beside `value_type` and `valueString`.
    fn is_choice(&self, stem: &str) -> bool {
        let is_typed = |name: &&str| {
            name.strip_prefix(stem)
                .is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_uppercase()))
        };
        self.has(stem, "type") && self.all.iter().any(is_typed)
    }

    /// Returns the element of several types that an element is a form of: `value` of `valueQuantity`.
    fn choice_of(&self, element: &str) -> Option<String> {
        let capitals = element.char_indices().filter(|(_, letter)| letter.is_ascii_uppercase());
        let stems = capitals.filter_map(|(at, _)| element.get(..at));
        stems
            .filter(|stem| !stem.is_empty() && !element.contains('_'))
            .find(|stem| self.is_choice(stem))
            .map(str::to_owned)
    }

    /// Returns the element of a column, and which part of it the column is.
    fn place(&self, name: &'a str) -> (String, &'a str) {
        let (stem, part) = match name.rsplit_once('_') {
            Some((stem, "start")) if self.choice_of(stem).is_some() => (stem, ""),
            Some((stem, part @ ("unit" | "currency"))) if self.has(stem, "value") => (stem, part),
            Some((stem, part @ ("given" | "family"))) if self.has(stem, "family") => (stem, part),
            Some((stem, part)) if PARTS.contains(&part) => (stem, part),
            None if name == "unit" && self.all.contains("value") => ("value", "unit"),
            _ => (name, ""),
        };
        (self.choice_of(stem).unwrap_or_else(|| stem.to_owned()), part)
    }
}

impl ShownElement {
    fn add(&mut self, names: &ColumnNames<'_>, (name, part): (&str, &str), filled: usize) {
        let stem = name.strip_suffix(part).and_then(|stem| stem.strip_suffix('_')).unwrap_or(name);
        let is_of_number = UNITS.contains(&part) && (names.has(stem, "value") || name == "unit");
        if is_of_number {
            self.units.push(name.to_owned());
            return;
        }
        self.filled = self.filled.max(filled);
        self.is_moment |= names.has(name, "at");
        if ["given", "family"].contains(&part) {
            let source = CellSource::Name(stem.to_owned());
            if !self.parts.iter().any(|(_, other)| *other == source) {
                self.parts.push((2, source));
            }
            return;
        }
        let place = PARTS.iter().position(|known| *known == part).unwrap_or(2);
        let comparator = if name == "value" { "comparator".to_owned() } else { format!("{stem}_comparator") };
        let is_compared = names.all.contains(comparator.as_str()) && ["", "value"].contains(&part);
        let name = name.to_owned();
        let source = if is_compared {
            CellSource::Compared { number: name, comparator }
        } else {
            CellSource::Cell(name)
        };
        self.parts.push((place, source));
    }

    /// Returns what decides the place of the element: its rank, its place among those, and for the rest in how many
    /// rows it has nothing.
    fn order(&self, heading: &str) -> (Rank, usize, usize) {
        let plain: String =
            heading.chars().filter(|letter| *letter != '_').collect::<String>().to_ascii_lowercase();
        let place = |known: &[&str]| known.iter().position(|known| *known == plain);
        if let Some(place) = place(&PERSONS) {
            return (Rank::Person, place, 0);
        }
        if let Some(place) = place(&CODES) {
            return (Rank::Code, place, 0);
        }
        if let Some(place) = place(&VALUES) {
            return (Rank::Value, place, 0);
        }
        if !self.units.is_empty() || (heading.starts_with("value") && !self.is_moment) {
            return (Rank::Value, VALUES.len(), 0);
        }
        if let Some(place) = place(&STATUSES) {
            return (Rank::Status, place, 0);
        }
        let rank = match self {
            _ if self.is_moment => Rank::Date,
            _ if self.parts.iter().all(|(place, _)| *place >= FIRST_KEY_PART) => Rank::Key,
            _ => Rank::Rest,
        };
        (rank, 0, if rank == Rank::Rest { usize::MAX - self.filled } else { 0 })
    }

    /// Returns the column of the element, and that of its units.
    fn columns(mut self, heading: String) -> Vec<ShownColumn> {
        self.parts.sort_by_key(|(place, _)| *place);
        let sources = self.parts.into_iter().map(|(_, source)| source).collect();
        let unit_heading = if heading == "value" { "unit".to_owned() } else { format!("{heading}_unit") };
        let units = ShownColumn {
            heading: unit_heading,
            sources: self.units.into_iter().map(CellSource::Cell).collect(),
            is_whole: false,
        };
        let is_whole = self.is_moment;
        let column = ShownColumn { heading, sources, is_whole };
        if units.sources.is_empty() { vec![column] } else { vec![column, units] }
    }
}

#[cfg(test)]
mod tests {
    use flatten::{CellValue, Flattener, TableRow};

    use super::super::cells::printed;
    use super::{named, of};

    /// Returns the headings of the rows of these resources, and what their first row prints.
    fn printed_of(resources: &[&str]) -> Vec<(String, String)> {
        let mut flattener = Flattener::default();
        let rows: Vec<TableRow> =
            resources.iter().flat_map(|json| flattener.flatten_json(json.as_bytes()).unwrap()).collect();
        let columns = of(&rows);
        columns.iter().map(|column| (column.heading.clone(), printed(&rows[0], column).text)).collect()
    }

    fn is(printed: &[(String, String)], expected: &[(&str, &str)]) {
        let printed: Vec<_> =
            printed.iter().map(|(heading, text)| (heading.as_str(), text.as_str())).collect();
        assert_eq!(printed, expected);
    }

    #[test]
    fn an_observation_is_person_code_value_status_and_date() {
        let printed = printed_of(&[
            r#"{"resourceType":"Observation","id":"o1","status":"final",
            "code":{"coding":[{"system":"http://loinc.org","code":"8867-4","display":"Heart rate"}]},
            "subject":{"reference":"Patient/p1"},"encounter":{"reference":"Encounter/e1"},
            "effectiveDateTime":"2026-01-05T08:00:00Z",
            "valueQuantity":{"value":101,"unit":"/min","system":"http://unitsofmeasure.org","code":"/min"}}"#,
            r#"{"resourceType":"Observation","status":"final","code":{"text":"Smoker"},"valueString":"no",
            "effectivePeriod":{"start":"2026-01-05","end":"2026-02-01"}}"#,
        ]);
        is(
            &printed,
            &[
                ("subject", "Patient/p1"),
                ("code", "Heart rate"),
                ("value", "101"),
                ("unit", "/min"),
                ("status", "final"),
                ("effective", "2026-01-05 08:00Z"),
                ("encounter", "Encounter/e1"),
                ("key", "Observation/o1"),
            ],
        );
    }

    #[test]
    fn a_value_is_printed_with_its_comparator() {
        let printed =
            printed_of(&[r#"{"resourceType":"Observation","id":"o1","status":"final","code":{"text":"CRP"},
            "valueQuantity":{"comparator":"<","value":5.0,"unit":"mg/L"}}"#]);
        assert_eq!(printed[1], ("value".to_owned(), "< 5.0".to_owned()));
    }

    #[test]
    fn a_patient_is_its_name() {
        let printed = printed_of(&[
            r#"{"resourceType":"Patient","id":"p1","active":true,"gender":"female","birthDate":"1988-07",
            "name":[{"use":"official","family":"Lindqvist","given":["Maja","Elin"]}],
            "identifier":[{"system":"urn:example:mrn","value":"4711"}],
            "address":[{"city":"Umeå"}],"managingOrganization":{"reference":"Organization/o1"}}"#,
        ]);
        is(
            &printed,
            &[
                ("name", "Maja Elin Lindqvist"),
                ("gender", "female"),
                ("active", "true"),
                ("birthDate", "1988-07"),
                ("identifier", "4711"),
                ("address_city", "Umeå"),
                ("managingOrganization", "Organization/o1"),
                ("key", "Patient/p1"),
            ],
        );
    }

    #[test]
    fn an_amount_has_its_currency() {
        let printed = printed_of(&[
            r#"{"resourceType":"Claim","id":"c1","status":"active","type":{"coding":[{"code":"oral"}]},
            "patient":{"reference":"Patient/p1","display":"Maja"},"created":"2026-01-05",
            "total":{"value":12.50,"currency":"EUR"}}"#,
        ]);
        is(
            &printed,
            &[
                ("patient", "Maja"),
                ("type", "oral"),
                ("total", "12.50"),
                ("total_unit", "EUR"),
                ("status", "active"),
                ("created", "2026-01-05"),
                ("key", "Claim/c1"),
            ],
        );
    }

    #[test]
    fn the_columns_of_a_view_follow_the_same_rule() {
        let names = [
            "observation_key",
            "id",
            "status",
            "patient_key",
            "effective",
            "effective_at",
            "code_system",
            "code",
            "code_display",
            "value",
            "comparator",
            "unit",
            "value_text",
        ];
        let text = |name: &str| (name.to_owned(), CellValue::Text(format!("<{name}>")));
        let row =
            TableRow { table: "v".into(), key: "Observation/1".into(), columns: names.map(text).to_vec() };
        let printed: Vec<_> = of(std::slice::from_ref(&row))
            .iter()
            .map(|column| (column.heading.clone(), printed(&row, column).text))
            .collect();
        is(
            &printed,
            &[
                ("patient", "<patient_key>"),
                ("code", "<code_display>"),
                ("value", "<value_text>"),
                ("unit", "<unit>"),
                ("status", "<status>"),
                ("effective", "<effective>"),
                ("observation", "<observation_key>"),
                ("key", "Observation/1"),
            ],
        );
    }

    #[test]
    fn columns_are_named_as_in_the_table_or_by_heading() {
        let cell = |name: &str| (name.to_owned(), CellValue::Text(name.to_owned()));
        let columns = ["code_code", "code_display", "_source"].map(cell).to_vec();
        let rows = [TableRow { table: "t".into(), key: "k".into(), columns }];
        let shown = of(&rows);
        let chosen = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            let chosen = named(&names, &shown, &rows)?;
            let printed = chosen.iter().map(|column| printed(&rows[0], column).text);
            anyhow::Ok(printed.collect::<Vec<_>>())
        };
        assert_eq!(
            chosen(&["code_code", "code", "_id", "_source"]).unwrap(),
            ["code_code", "code_display", "k", "_source"]
        );
        let message = chosen(&["cod"]).unwrap_err().to_string();
        assert_eq!(message, "the rows have no column `cod`; they have: _source, code_code, code_display");
    }
}
