//! The type of a column: known from FHIR's element tables, or from a view's definition, before any value is read.

use std::fmt;
use std::str::FromStr;

use strum::VariantArray;

use crate::decimals::Decimals;
use crate::model::{Datatype, Element, Primitive};
use crate::row::{Cells, Value};

/// The type of a single value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, VariantArray)]
pub enum CellType {
    /// A truth value.
    Boolean,
    /// A 32-bit integer.
    Integer,
    /// A 64-bit integer.
    Long,
    /// A decimal with its digits as written.
    Decimal,
    /// A decimal as the nearest double.
    Double,
    /// A moment.
    Timestamp,
    /// Bytes, as text in base64.
    Binary,
    /// Text; dates and times are text as written.
    Text,
}

/// The type of a column.
///
/// ```
/// use flatten::column_type::{CellType, ColumnType};
/// use flatten::decimals::Decimals;
/// use flatten::model;
///
/// let name = model::type_named("HumanName").unwrap();
/// let given = ColumnType::of_element(&name.element("given").unwrap(), Decimals::Exact);
/// assert_eq!(given, ColumnType::List(CellType::Text));
/// assert_eq!(given.to_string(), "text[]");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ColumnType {
    /// A single value.
    One(CellType),
    /// A list of values.
    List(CellType),
    /// A list of records.
    Records,
    /// A JSON document, as text.
    Json,
    /// A value of any type: FHIR does not say which.
    Any,
}

impl CellType {
    /// All types.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// Returns the type's name: `boolean`, `integer` …
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Long => "long",
            Self::Decimal => "decimal",
            Self::Double => "double",
            Self::Timestamp => "timestamp",
            Self::Binary => "binary",
            Self::Text => "text",
        }
    }

    /// Returns the type of the same values where decimals are written like that.
    pub(crate) const fn with_decimals(self, decimals: Decimals) -> Self {
        match (self, decimals) {
            (Self::Decimal, Decimals::Double) => Self::Double,
            _ => self,
        }
    }

    /// Returns the type that holds both as they are: the same, or one of numbers.
    #[must_use]
    pub fn widen(self, other: Self) -> Option<Self> {
        use CellType::{Decimal, Double, Integer, Long};
        match (self, other) {
            (one, other) if one == other => Some(one),
            (Integer, Long) | (Long, Integer) => Some(Long),
            (Integer | Long | Decimal | Double, Integer | Long | Decimal | Double) => Some(Decimal),
            _ => None,
        }
    }

    /// Returns the type that holds both: one of numbers, else text.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        self.widen(other).unwrap_or(Self::Text)
    }

    /// Returns the type in which automatic rows hold a primitive.
    const fn automatic(primitive: Primitive) -> Self {
        match primitive.system() {
            Primitive::Boolean => Self::Boolean,
            Primitive::Integer => Self::Integer,
            Primitive::Integer64 => Self::Long,
            Primitive::Decimal => Self::Decimal,
            // The moment of a date or an instant stands in a column of its own.
            _ => match primitive {
                Primitive::Base64Binary => Self::Binary,
                _ => Self::Text,
            },
        }
    }

    /// Returns whether a value may stand in a cell of this type. Types of numbers take the smaller ones. A decimal that
    /// the database's type cannot hold is text in lists and views.
    fn accepts(self, value: Value<'_>) -> bool {
        match value {
            Value::Null => true,
            Value::Boolean(_) => self == Self::Boolean,
            Value::Integer(_) => matches!(self, Self::Integer | Self::Long | Self::Decimal),
            Value::Long(_) => matches!(self, Self::Long | Self::Decimal),
            Value::Decimal(_) => self == Self::Decimal,
            Value::Double(_) => matches!(self, Self::Double | Self::Decimal),
            Value::Instant(_) => self == Self::Timestamp,
            Value::Text(text) => match self {
                Self::Text | Self::Binary => true,
                Self::Decimal | Self::Double => is_number(text),
                _ => false,
            },
            Value::Pending(_) | Value::PendingOrNull(_) => self == Self::Text,
            Value::List(_) | Value::Record(_) => false,
        }
    }
}

impl ColumnType {
    /// Returns the type of an element's own column in automatic rows.
    ///
    /// Where releases disagree on the primitive, the type of numbers that holds all counts, else text; where they
    /// disagree on the array, the newest release with a primitive. A primitive in one release and an array of objects
    /// in another can be [`Any`](Self::Any).
    #[must_use]
    pub fn of_element(element: &Element, decimals: Decimals) -> Self {
        let mut primitives = element.uses.iter().filter_map(|used| match used.datatype {
            Datatype::Primitive(primitive) => Some((CellType::automatic(primitive), used.many)),
            Datatype::Complex(_) | Datatype::Resource => None,
        });
        let Some((newest, many)) = primitives.next() else { return Self::Records };
        let is_object = |datatype| !matches!(datatype, Datatype::Primitive(_));
        if element.uses.iter().any(|used| used.many && is_object(used.datatype)) {
            return Self::Any;
        }
        let cell = primitives.fold(newest, |cell, (other, _)| cell.join(other)).with_decimals(decimals);
        if many { Self::List(cell) } else { Self::One(cell) }
    }

    /// Returns the type that holds the values of both. The order of several makes no difference.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        match (self, other) {
            (one, other) if one == other => one,
            (Self::One(one), Self::One(other)) => Self::One(one.join(other)),
            (Self::List(one), Self::List(other)) => Self::List(one.join(other)),
            (Self::Json, Self::One(_)) | (Self::One(_), Self::Json) => Self::Json,
            _ => Self::Any,
        }
    }

    /// Returns whether a cell may stand in a column of this type. `Null` may everywhere.
    #[must_use]
    pub fn accepts(self, value: Value<'_>) -> bool {
        match (self, value) {
            (Self::Any, _) | (_, Value::Null) => true,
            (Self::Json, value) => matches!(value, Value::Text(_)),
            (Self::One(cell), value) => cell.accepts(value),
            (Self::List(cell), Value::List(mut items)) => items.all(|(_, item)| cell.accepts(item)),
            (Self::Records, Value::List(items)) => are_records(items),
            (Self::List(_) | Self::Records, _) => false,
        }
    }
}

/// Returns whether the items of a list are records, or lists of them.
fn are_records(mut items: Cells<'_>) -> bool {
    items.all(|(_, item)| match item {
        Value::Null | Value::Record(_) => true,
        Value::List(inside) => are_records(inside),
        _ => false,
    })
}

fn is_number(text: &str) -> bool {
    text.starts_with(|first: char| first == '-' || first.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte))
}

impl fmt::Display for ColumnType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(cell) => formatter.write_str(cell.name()),
            Self::List(cell) => write!(formatter, "{}[]", cell.name()),
            Self::Records => formatter.write_str("record[]"),
            Self::Json => formatter.write_str("json"),
            Self::Any => formatter.write_str("any"),
        }
    }
}

/// The text names no type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no type of a column has this name")]
pub struct InvalidColumnType;

impl FromStr for ColumnType {
    type Err = InvalidColumnType;

    /// Reads what [`Display`](fmt::Display) writes. Several types with `|` between, as earlier versions wrote them, are
    /// [joined](Self::join).
    fn from_str(text: &str) -> Result<Self, InvalidColumnType> {
        match text {
            "record[]" => return Ok(Self::Records),
            "json" => return Ok(Self::Json),
            "any" => return Ok(Self::Any),
            _ => {}
        }
        let (words, is_list) = text.strip_suffix("[]").map_or((text, false), |words| (words, true));
        let cell = |word: &str| CellType::ALL.iter().copied().find(|cell| cell.name() == word);
        let cells: Option<Vec<CellType>> = words.split('|').map(cell).collect();
        let cell = cells.and_then(|cells| cells.into_iter().reduce(CellType::join));
        let cell = cell.ok_or(InvalidColumnType)?;
        Ok(if is_list { Self::List(cell) } else { Self::One(cell) })
    }
}

#[cfg(test)]
mod tests {
    use super::{CellType, ColumnType, InvalidColumnType};

    fn all() -> Vec<ColumnType> {
        let others = [ColumnType::Records, ColumnType::Json, ColumnType::Any];
        let lists = CellType::ALL.iter().copied().map(ColumnType::List);
        CellType::ALL.iter().copied().map(ColumnType::One).chain(lists).chain(others).collect()
    }

    #[test]
    fn the_order_of_joined_types_makes_no_difference() {
        for one in all() {
            assert_eq!(one.join(one), one);
            for two in all() {
                assert_eq!(one.join(two), two.join(one));
                assert_eq!(one.join(two).join(two), one.join(two));
                for three in all() {
                    assert_eq!(one.join(two).join(three), one.join(two.join(three)), "{one} {two} {three}");
                }
            }
        }
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for column in all() {
            assert_eq!(column.to_string().parse(), Ok(column));
        }
        for (text, expected) in [
            ("integer|long", "long"),
            ("decimal|double", "decimal"),
            ("integer|text", "text"),
            ("boolean|text[]", "text[]"),
        ] {
            assert_eq!(text.parse::<ColumnType>().unwrap().to_string(), expected);
        }
        for text in ["", "[]", "record", "text|", "Text"] {
            assert_eq!(text.parse::<ColumnType>(), Err(InvalidColumnType), "{text}");
        }
    }
}
