//! Cells and expectations in one form that can be compared: types count, ways of writing a number do not.

use flatten::json::{JsonKind, Node};
use flatten::row::{Cells, Value};

/// Returns a cell that was written; `exact` where the digits of decimals count as written.
pub(crate) fn of_cell(value: Value<'_>, exact: bool) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Boolean(value) => format!("boolean {value}"),
        Value::Integer(value) => format!("number {value}"),
        Value::Long(value) => format!("number {value}"),
        Value::Decimal(digits) if exact => format!("digits {digits}"),
        Value::Decimal(digits) => format!("number {}", number(digits)),
        Value::Double(value) => format!("double {value:?}"),
        Value::Text(text) => format!("text {text}"),
        Value::Instant(milliseconds) => format!("instant {milliseconds}"),
        Value::Pending(urn) | Value::PendingOrNull(urn) => format!("pending {urn}"),
        Value::List(items) => of_items(items, exact),
        Value::Record(_) => "record".to_owned(),
    }
}

fn of_items(items: Cells<'_>, exact: bool) -> String {
    let items: Vec<String> = items.map(|(_, value)| of_cell(value, exact)).collect();
    format!("[{}]", items.join(", "))
}

/// Returns what a case expects: JSON values, and `{"digits": …}`, `{"instant": …}`, `{"pending": …}` for what JSON
/// cannot say.
pub(crate) fn of_expectation(node: Node<'_>) -> String {
    match node.kind() {
        JsonKind::Null => "null".to_owned(),
        JsonKind::True | JsonKind::False => format!("boolean {}", node.raw()),
        JsonKind::Number => format!("number {}", number(node.raw())),
        JsonKind::String => format!("text {}", node.text().unwrap()),
        JsonKind::Array => format!("[{}]", node.items().map(of_expectation).collect::<Vec<_>>().join(", ")),
        JsonKind::Object => {
            let (name, value) = node.members().next().expect("an object names one thing");
            match name.raw() {
                "digits" => format!("digits {}", value.text().unwrap()),
                "instant" => format!("instant {}", value.raw()),
                "pending" => format!("pending {}", value.raw()),
                other => panic!("{other} is nothing a case can expect"),
            }
        }
    }
}

/// Digits without what does not change the number.
fn number(digits: &str) -> String {
    let digits =
        if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits };
    if digits == "-0" { "0".to_owned() } else { digits.to_owned() }
}
