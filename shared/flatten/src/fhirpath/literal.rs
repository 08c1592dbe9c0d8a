//! Literals of paths and constants of views: values that are known before any resource is.

use serde_json::Value as Json;

use crate::model::Primitive;

use super::InvalidPath;
use super::decimal::Decimal;
use super::syntax::{Syntax, SyntaxKind};
use super::temporal::{Temporal, TemporalKind};
use super::types::TypeSet;

/// A value that is known when a path is compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Literal {
    Boolean(bool),
    Number { value: Decimal, primitive: Primitive },
    Text { text: String, primitive: Primitive },
    Temporal { text: String, temporal: Temporal, primitive: Primitive },
    Quantity { value: Decimal, unit: String },
}

impl Literal {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into(), primitive: Primitive::String }
    }

    /// Returns a date, dateTime or time as it stands behind `@`.
    pub(super) fn temporal(text: &str) -> Option<Self> {
        let temporal = Temporal::literal(text)?;
        let primitive = match temporal.kind {
            TemporalKind::Date => Primitive::Date,
            TemporalKind::DateTime => Primitive::DateTime,
            TemporalKind::Time => Primitive::Time,
        };
        let text = text.strip_prefix('T').or_else(|| text.strip_suffix('T')).unwrap_or(text).to_owned();
        Some(Self::Temporal { text, temporal, primitive })
    }

    /// Returns the digits of a number literal: an integer, or a decimal where there is a point.
    pub(super) fn number(digits: &str) -> Option<Self> {
        let value = Decimal::parse(digits)?;
        let primitive = if value.is_written_whole() { Primitive::Integer } else { Primitive::Decimal };
        Some(Self::Number { value, primitive })
    }

    /// Returns a literal of the syntax tree as a value.
    pub(super) fn of(syntax: &Syntax) -> Result<Self, InvalidPath> {
        let found = match &syntax.kind {
            SyntaxKind::Boolean(value) => Some(Self::Boolean(*value)),
            SyntaxKind::Number(digits) => Self::number(digits),
            SyntaxKind::Text(text) => Some(Self::text(text.clone())),
            SyntaxKind::Temporal(text) => Self::temporal(text),
            SyntaxKind::Quantity { value, unit } => {
                Decimal::parse(value).map(|value| Self::Quantity { value, unit: unit.clone() })
            }
            _ => None,
        };
        let expected = match &syntax.kind {
            SyntaxKind::Temporal(_) => "a date, a dateTime or a time that exists, such as @2024-02-29",
            _ => "a number of at most 38 digits",
        };
        found.ok_or_else(|| InvalidPath::new(syntax.at, expected))
    }

    pub(super) fn type_set(&self) -> TypeSet {
        match self {
            Self::Boolean(_) => TypeSet::primitive(Primitive::Boolean),
            Self::Number { primitive, .. }
            | Self::Text { primitive, .. }
            | Self::Temporal { primitive, .. } => TypeSet::primitive(*primitive),
            Self::Quantity { .. } => TypeSet::quantity(),
        }
    }
}

/// Returns the constant of a view: the value behind `value[x]`, whose datatype is `x`. `None` where the JSON is no
/// such value, or where a constant cannot have that type.
pub(crate) fn constant(primitive: Primitive, json: &Json) -> Option<Literal> {
    let text = || json.as_str().map(str::to_owned);
    match primitive {
        Primitive::Boolean => json.as_bool().map(Literal::Boolean),
        _ if primitive.system() == Primitive::Integer => {
            let number = json.as_i64()?;
            let least = match primitive {
                Primitive::PositiveInt => 1,
                Primitive::UnsignedInt => 0,
                _ => i64::from(i32::MIN),
            };
            let fits = (least..=i64::from(i32::MAX)).contains(&number);
            fits.then(|| Literal::Number { value: Decimal::integer(number.into()), primitive })
        }
        Primitive::Integer64 => {
            let number = json.as_i64().or_else(|| json.as_str()?.parse().ok())?;
            Some(Literal::Number { value: Decimal::integer(number.into()), primitive })
        }
        Primitive::Decimal => {
            let value = json.is_number().then(|| Decimal::parse(&json.to_string()))??;
            Some(Literal::Number { value, primitive })
        }
        Primitive::Date => temporal(text()?, TemporalKind::Date, primitive),
        Primitive::DateTime | Primitive::Instant => temporal(text()?, TemporalKind::DateTime, primitive),
        Primitive::Time => temporal(text()?, TemporalKind::Time, primitive),
        Primitive::Xhtml => None,
        _ => Some(Literal::Text { text: text()?, primitive }),
    }
}

fn temporal(text: String, kind: TemporalKind, primitive: Primitive) -> Option<Literal> {
    let temporal = Temporal::parse(&text, kind)?;
    Some(Literal::Temporal { text, temporal, primitive })
}
