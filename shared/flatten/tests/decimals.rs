//! Decimals as doubles: in columns, in lists and in views, compared as numbers that are written out in full.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test stops where something is wrong"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use flatten::automatic::Settings;
use flatten::catalog::{Catalog, CatalogFlattener, Choices, Flattened};
use flatten::decimals::Decimals;
use flatten::json::{Limits, Tape};
use flatten::links::Links;
use flatten::resource::Resource;
use flatten::row::{Rows, Value};
use flatten::view::schema;
use proptest::prelude::*;

const VIEW: &str = r#"{"name":"values","resource":"Observation","select":[{"column":[
    {"name":"value","path":"value.ofType(Quantity).value"},
    {"name":"tagged","path":"value.ofType(Quantity).value","tag":[{"name":"ansi/type","value":"DECIMAL(10, 2)"}]},
    {"name":"shown","path":"value.ofType(Quantity).value.toString()"}]}]}"#;

const CALCULATED: &str = r#"{"name":"calculated","resource":"Observation","select":[{"column":[
    {"name":"double","path":"value.ofType(Quantity).value * 2"},
    {"name":"all","path":"value.ofType(Quantity).value | component.value.ofType(Quantity).value","collection":true}]}]}"#;

fn catalog(decimals: Decimals) -> Arc<Catalog> {
    let automatic = Settings { decimals, ..Settings::default() };
    let views = [("values.json", VIEW), ("calculated.json", CALCULATED)];
    let views = views.map(|(file, view)| (file.to_owned(), view.to_owned())).to_vec();
    Arc::new(Catalog::compile(Choices { automatic, views, ..Choices::default() }).unwrap())
}

/// A cell that tells types apart.
#[derive(Debug, Clone, PartialEq)]
enum Cell {
    Decimal(String),
    Double(f64),
    Text(String),
    List(Vec<Cell>),
}

fn cell(value: Value<'_>) -> Option<Cell> {
    Some(match value {
        Value::Decimal(digits) => Cell::Decimal(digits.to_owned()),
        Value::Double(value) => Cell::Double(value),
        Value::Text(text) => Cell::Text(text.to_owned()),
        Value::List(items) => Cell::List(items.filter_map(|(_, item)| cell(item)).collect()),
        _ => return None,
    })
}

/// Returns the cells of a resource by table and column, and the types of the columns.
fn flattened(decimals: Decimals, resource: &str) -> (BTreeMap<String, Cell>, BTreeMap<String, String>) {
    let mut flattener = CatalogFlattener::new(catalog(decimals));
    let (mut tape, mut rows) = (Tape::default(), Rows::default());
    let document = tape.parse(resource.as_bytes(), Limits::default()).unwrap();
    let resource = Resource::read(document.root()).unwrap();
    let outcome = flattener.flatten(&resource, "Observation/1", &Links::default(), &mut rows).unwrap();
    assert!(matches!(outcome, Flattened::Rows(_)), "{outcome:?}");
    flattener.count(&rows);
    let names = flattener.names();
    let cells =
        rows.iter().flat_map(|row| row.cells().map(move |(column, value)| (row.table(), column, value)));
    let cells = cells.filter_map(|(table, column, value)| {
        Some((format!("{}.{}", names.table(table), names.column(column)), cell(value)?))
    });
    let cells = cells.collect();
    let types = flattener.take_dictionary();
    let types = types
        .columns()
        .map(|column| (format!("{}.{}", column.table, column.name), column.meaning.column_type.to_string()));
    (cells, types.collect())
}

fn observation(value: &str) -> String {
    format!(
        r#"{{"resourceType":"Observation","id":"1","valueQuantity":{{"value":{value}}},"list":[{value},0.5],
            "component":[{{"valueQuantity":{{"value":0.25}}}}]}}"#
    )
}

/// Returns a number without exponent, zeros in front of it and zeros behind it.
fn written_out(number: &str) -> String {
    let (sign, unsigned) = number.strip_prefix('-').map_or(("", number), |unsigned| ("-", unsigned));
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let exponent: i64 = exponent.parse().unwrap();
    let (mut whole, mut fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole.to_owned(), fraction.to_owned()),
        None => (mantissa.to_owned(), String::new()),
    };
    for _ in 0..exponent {
        whole.push(if fraction.is_empty() { '0' } else { fraction.remove(0) });
    }
    for _ in exponent..0 {
        fraction.insert(0, whole.pop().unwrap_or('0'));
    }
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    if whole.is_empty() && fraction.is_empty() { "0".to_owned() } else { format!("{sign}{whole}.{fraction}") }
}

/// Returns what is printed of a double by other code than that of this crate.
fn printed(value: f64) -> String {
    serde_json::Number::from_f64(value).unwrap().to_string()
}

#[test]
fn views_have_the_nearest_double_and_calculate_exactly() {
    let (cells, types) = flattened(Decimals::Double, &observation("9007199254740993.50"));
    let double = Cell::Double(9_007_199_254_740_994.0);
    assert_eq!(cells["values.value"], double);
    assert_eq!(cells["values.tagged"], double);
    assert_eq!(cells["calculated.double"], Cell::Double(18_014_398_509_481_988.0));
    assert_eq!(cells["calculated.all"], Cell::List(vec![double, Cell::Double(0.25)]));
    assert_eq!(cells["values.shown"], Cell::Text("9007199254740993.50".to_owned()));
    for (column, kind) in [("values.value", "double"), ("values.tagged", "double"), ("values.shown", "text")]
    {
        assert_eq!(types[column], kind, "{column}");
    }
    assert_eq!(types["calculated.all"], "double[]");
    let (cells, _) = flattened(Decimals::Double, &observation("-1e400"));
    assert_eq!(cells["values.value"], Cell::Text("-1e400".to_owned()));
}

#[test]
fn schemas_of_views_say_double() {
    let of = |decimals| {
        let catalog = catalog(decimals);
        let plans = || catalog.plans().iter();
        let json: String = plans().map(|plan| schema::json_schema(plan).to_string()).collect();
        let sql: String = plans().map(|plan| schema::sql(plan)).collect();
        (json, sql, plans().map(|plan| schema::columns(plan)).collect::<String>())
    };
    let (json, sql, columns) = of(Decimals::Double);
    assert!(json.contains(r#"["double","string","null"]"#) && !json.contains(r#"["decimal""#), "{json}");
    assert!(
        sql.contains(r#""value" DOUBLE PRECISION,"#) && sql.contains(r#""tagged" DECIMAL(10, 2)"#),
        "{sql}"
    );
    assert!(columns.contains("calculated\tall\tdouble[]\t"), "{columns}");
    let (json, sql, columns) = of(Decimals::Exact);
    assert!(!json.contains(r#"["double""#) && !sql.contains("DOUBLE") && columns.contains("\tdecimal[]\t"));
}

#[test]
fn the_dictionary_says_double() {
    let types = |decimals| flattened(decimals, &observation("0.12345678901234567890")).1;
    let doubles = types(Decimals::Double);
    for column in ["valueQuantity_value", "component.valueQuantity_value"] {
        assert_eq!(doubles[&format!("Observation.{column}")], "double", "{column}");
        assert_eq!(types(Decimals::Exact)[&format!("Observation.{column}")], "decimal", "{column}");
    }
    assert_eq!(doubles["Observation.valueQuantity_value_text"], "text");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Decimals of any length, and those that lie close to a double.
    #[test]
    fn a_double_and_the_text_beside_it_give_the_number(
        text in prop_oneof![
            2 => "-?(0|[1-9][0-9]{0,8})(\\.[0-9]{1,8})?([eE][+-]?[0-9]{1,2})?",
            2 => "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?",
            1 => "-?[1-9]\\.[0-9]{0,20}5[eE](-3[0-4][0-9]|30[0-9])",
            2 => (any::<f64>(), "[0-9]{0,3}").prop_filter_map("JSON has finite numbers alone", |(value, digits)| {
                let text = value.is_finite().then(|| format!("{value:e}"))?;
                let (mantissa, exponent) = text.split_once('e')?;
                let point = if mantissa.contains('.') { "" } else { ".0" };
                Some(format!("{mantissa}{point}{digits}e{exponent}"))
            }),
        ]
    ) {
        let (cells, _) = flattened(Decimals::Double, &observation(&text));
        let (value, beside) = (cells.get("Observation.valueQuantity_value"), cells.get("Observation.valueQuantity_value_text"));
        let double = match value {
            Some(Cell::Double(double)) => Some(*double),
            None => None,
            Some(other) => panic!("{text}: {other:?}"),
        };
        prop_assert_eq!(double, text.parse::<f64>().ok().filter(|double| double.is_finite()), "{}", text);
        let is_same = double.is_some_and(|double| written_out(&printed(double)) == written_out(&text));
        let expected = (!is_same).then(|| Cell::Text(text.clone()));
        prop_assert_eq!(beside, expected.as_ref(), "{}", text);
        let item = double.filter(|_| is_same).map_or_else(|| Cell::Text(text.clone()), Cell::Double);
        prop_assert_eq!(&cells["Observation.list"], &Cell::List(vec![item, Cell::Double(0.5)]), "{}", text);
        let in_view = double.map_or_else(|| Cell::Text(text.clone()), Cell::Double);
        prop_assert_eq!(&cells["values.value"], &in_view, "{}", text);
    }
}
