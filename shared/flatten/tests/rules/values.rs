//! What stands in a cell: primitives, moments and references.

use serde_json::{Value, json};

use crate::json::{number, text};
use crate::model::{Model, Use, hex_digest};
use crate::oracle::has_list;

/// Base64 text above this is replaced.
const INLINE_BYTES: usize = 256 << 10;

/// What a scalar is where one of the datatypes belongs.
pub(crate) enum Scalar {
    /// A cell, and the text beside it.
    Cell(Value, Option<String>),
    /// A value of the wrong type as text.
    Wrong(String),
    /// Base64 above the limit: size and digest.
    Large(Value, Value),
    OutOfRange,
}

pub(crate) fn scalar(uses: &[Use], value: &Value) -> Scalar {
    if is_of_text_and_others(uses) {
        let is_wrong = value.is_boolean() && !uses.iter().any(|used| used.datatype == "boolean")
            || number(value).is_some() && !uses.iter().any(is_number);
        let text = as_written(value);
        return if is_wrong { Scalar::Wrong(text) } else { Scalar::Cell(text.into(), None) };
    }
    let types = uses.iter().filter(|used| used.is_primitive());
    let found: Vec<Scalar> = types.filter_map(|used| of_type(used.datatype, value)).collect();
    // A number that needs 64 bits has them where some release does; others are integers where some release says so.
    let rank = |found: &Scalar| match found {
        Scalar::OutOfRange => 2,
        Scalar::Cell(cell, _) if number(value).is_some() && cell.get("$numberLong").is_some() => 1,
        _ => 0,
    };
    let fits = found.into_iter().min_by_key(rank);
    fits.unwrap_or_else(|| Scalar::Wrong(as_written(value)))
}

fn is_number(used: &Use) -> bool {
    ["integer", "positiveInt", "unsignedInt", "integer64", "decimal"].contains(&used.datatype)
}

/// Whether releases disagree about text: the column is text then, unless some release has an array of objects.
fn is_of_text_and_others(uses: &[Use]) -> bool {
    let is_other = |used: &Use| used.datatype == "boolean" || is_number(used);
    let primitives = || uses.iter().filter(|used| used.is_primitive());
    primitives().any(is_other) && !primitives().all(is_other) && has_list(uses).is_some()
}

/// Returns whether an item may stand in a list.
pub(crate) fn fits(uses: &[Use], item: &Value) -> bool {
    item.is_null() || !item.is_array() && !item.is_object() && !matches!(scalar(uses, item), Scalar::Wrong(_))
}

fn of_type(datatype: &str, value: &Value) -> Option<Scalar> {
    let cell = match datatype {
        "boolean" => value.as_bool().map(Value::Bool),
        "integer" | "positiveInt" | "unsignedInt" => {
            let digits = number(value).filter(|digits| is_whole(digits))?;
            return Some(
                digits.parse::<i32>().map_or(Scalar::OutOfRange, |whole| Scalar::Cell(whole.into(), None)),
            );
        }
        "integer64" => {
            let digits = number(value).or(text(value)).filter(|digits| is_whole(digits))?;
            let long = digits.parse::<i64>();
            return Some(long.map_or(Scalar::OutOfRange, |long| {
                Scalar::Cell(json!({"$numberLong": long.to_string()}), None)
            }));
        }
        "decimal" => return number(value).map(decimal),
        "base64Binary" if text(value).is_some_and(|text| text.len() > INLINE_BYTES) => {
            let text = text(value)?;
            let size = json!({"$numberLong": text.len().to_string()});
            return Some(Scalar::Large(size, hex_digest(text.as_bytes()).into()));
        }
        _ => text(value).map(Value::from),
    };
    cell.map(|cell| Scalar::Cell(cell, None))
}

fn is_whole(digits: &str) -> bool {
    let digits = digits.strip_prefix('-').unwrap_or(digits);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns a number where a release says decimal, or where none knows the element.
pub(crate) fn decimal(digits: &str) -> Scalar {
    let (mantissa, exponent) = digits.split_once(['e', 'E']).unwrap_or((digits, "0"));
    let significant = mantissa.replace(['-', '.'], "");
    let significant = significant.trim_start_matches('0').len();
    let is_in_range =
        exponent.parse::<i64>().is_ok_and(|exponent| exponent.abs() < 6000) && mantissa.len() < 100;
    match (is_in_range, significant > 34) {
        (false, _) => Scalar::Wrong(digits.to_owned()),
        (true, false) => Scalar::Cell(json!({"$numberDecimal": digits}), None),
        (true, true) => Scalar::Cell(json!({"$numberDecimal": digits}), Some(digits.to_owned())),
    }
}

/// Returns an item of a list: there is no column for a text beside it.
pub(crate) fn in_list(scalar: Scalar, value: &Value) -> Option<Value> {
    match scalar {
        Scalar::Cell(_, Some(text)) => Some(text.into()),
        Scalar::Cell(cell, None) => Some(cell),
        Scalar::Large(size, digest) => Some(json!({"dataSize": size, "dataSha256": digest})),
        Scalar::Wrong(_) => Some(by_shape(value)),
        Scalar::OutOfRange => None,
    }
}

/// Returns a scalar as what it is.
pub(crate) fn by_shape(value: &Value) -> Value {
    match number(value).map(decimal) {
        Some(Scalar::Cell(cell, None)) => cell,
        Some(_) => as_written(value).into(),
        None => value.clone(),
    }
}

fn as_written(value: &Value) -> String {
    number(value).or(text(value)).map_or_else(|| value.to_string(), str::to_owned)
}

/// Returns the earliest moment that a date, dateTime or instant can mean, in milliseconds.
pub(crate) fn moment(text: &str) -> Option<i64> {
    let (date, time) = text.split_once('T').map_or((text, None), |(date, time)| (date, Some(time)));
    let mut parts = date.split('-');
    let year = digits(parts.next()?, 4)?;
    let month = parts.next().map_or(Some(1), |month| digits(month, 2))?;
    let day = parts.next().map_or(Some(1), |day| digits(day, 2))?;
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if parts.next().is_some() || !(1..=length).contains(&day) || time.is_some() && date.len() != 10 {
        return None;
    }
    Some(days(year, month, day) * 86_400_000 + time.map_or(Some(0), milliseconds)?)
}

/// Days since 1970: a year begins in March here, so that the leap day is its last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

/// Returns the time of day with its zone.
fn milliseconds(text: &str) -> Option<i64> {
    let at = text.find(['Z', '+', '-']).unwrap_or(text.len());
    let (clock, zone) = text.split_at(at);
    let offset = match zone.split_at_checked(1) {
        None | Some(("Z", "")) => 0,
        Some((sign, zone)) => {
            let (hours, minutes) = zone.split_once(':')?;
            let minutes = digits(hours, 2)? * 60 + digits(minutes, 2).filter(|minutes| *minutes < 60)?;
            if sign == "+" && minutes <= 14 * 60 {
                minutes
            } else if sign == "-" && minutes <= 14 * 60 {
                -minutes
            } else {
                return None;
            }
        }
    };
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut parts = clock.split(':');
    let hour = digits(parts.next()?, 2).filter(|hour| *hour < 24)?;
    let minute = digits(parts.next()?, 2).filter(|minute| *minute < 60)?;
    let second = parts.next().map_or(Some(0), |second| digits(second, 2)).filter(|second| *second <= 60)?;
    let thousandths = digits(&format!("{fraction}00")[..3], 3)?;
    let is_fraction = fraction.bytes().all(|byte| byte.is_ascii_digit()) && !fraction.is_empty();
    let in_minute = if second == 60 { 59_999 } else { second * 1000 + thousandths };
    (is_fraction && parts.next().is_none()).then_some(((hour * 60 + minute) - offset) * 60_000 + in_minute)
}

fn digits(text: &str, length: usize) -> Option<i64> {
    (text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

pub(crate) fn date(milliseconds: i64) -> Value {
    json!({"$date": milliseconds})
}

/// Returns `system|value`, unless both say nothing or one is no text.
pub(crate) fn pair(object: &serde_json::Map<String, Value>, second: &str) -> Option<String> {
    let part = |name: &str| match object.get(name) {
        None | Some(Value::Null) => Some(""),
        Some(value) => text(value),
    };
    let pair = format!("{}|{}", part("system")?, part(second)?);
    (pair != "|").then_some(pair)
}

/// What a reference says by its text.
#[derive(Default)]
pub(crate) struct Target<'t> {
    pub(crate) kind: Option<&'t str>,
    pub(crate) key: Option<String>,
    pub(crate) identifier: Option<String>,
}

/// Returns a reference that names nothing inside its own resource. Without a Bundle no URN has a key.
pub(crate) fn target<'t>(model: &Model, text: &'t str) -> Target<'t> {
    if let Some((kind, query)) = text.split_once('?') {
        let kind = kind.rsplit('/').next().filter(|kind| model.is_resource(kind));
        let identifier = query.strip_prefix("identifier=").filter(|value| !value.contains(['&', ',']));
        let identifier =
            identifier.filter(|value| value.split_once('|').is_some_and(|(_, value)| !value.is_empty()));
        return Target {
            kind,
            key: None,
            identifier: identifier.filter(|_| kind.is_some()).map(str::to_owned),
        };
    }
    let bare = text.split('#').next().unwrap();
    let bare = bare.split_once("/_history/").map_or(bare, |(bare, _)| bare);
    let mut parts = bare.rsplit('/');
    let (id, kind) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let is_other_uri = text.split_once(':').is_some_and(|(scheme, _)| {
        scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) && !scheme.starts_with("http")
    });
    let is_target = is_type(kind) && (parts.next().is_none() || model.is_resource(kind));
    if !is_target || !is_id(id) || is_other_uri {
        return Target::default();
    }
    Target { kind: Some(kind), key: Some(format!("{kind}/{id}")), identifier: None }
}

fn is_type(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

pub(crate) fn is_id(id: &str) -> bool {
    let is_in_id = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:|".contains(&byte);
    (1..=256).contains(&id.len()) && id.bytes().all(is_in_id)
}
