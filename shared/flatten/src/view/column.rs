//! Columns: their names, what stands in their cells, and how that follows from path, declaration and tag.

use crate::decimals::Decimals;
use crate::fhirpath::{Pool, StaticType};
use crate::model::{Datatype, Primitive};

/// A column of a compiled view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The name.
    pub name: String,
    /// The FHIRPath that fills it; in a union, that of the first branch.
    pub path: String,
    /// The FHIR datatype, declared or inferred; `None` where the path may yield several.
    pub datatype: Option<Primitive>,
    /// Whether its cells are arrays.
    pub collection: bool,
    /// What stands in a cell, or in the items of its array.
    pub cell: CellType,
    /// What a tag `ansi/type` says, for SQL.
    pub ansi_type: Option<String>,
    /// Whether it holds keys that join.
    pub key: Option<KeyColumn>,
    /// The tags as written.
    pub tags: Vec<Tag>,
}

/// A tag of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// The name, such as `ansi/type`.
    pub name: String,
    /// The value.
    pub value: String,
}

/// The columns that tables are joined by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyColumn {
    /// `getResourceKey()`: the key of the row's own resource.
    Resource,
    /// `getReferenceKey()`: the key of another one.
    Reference,
}

/// What stands in a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

impl CellType {
    /// Returns the cells of a FHIR datatype.
    #[must_use]
    pub const fn of(primitive: Primitive) -> Self {
        match (primitive, primitive.system()) {
            (Primitive::Instant, _) => Self::Timestamp,
            (Primitive::Base64Binary, _) => Self::Binary,
            (_, Primitive::Boolean) => Self::Boolean,
            (_, Primitive::Integer) => Self::Integer,
            (_, Primitive::Integer64) => Self::Long,
            (_, Primitive::Decimal) => Self::Decimal,
            _ => Self::Text,
        }
    }

    /// Returns the name in listings.
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

    /// Returns the cells of the same values where decimals are written like that.
    pub(super) const fn with_decimals(self, decimals: Decimals) -> Self {
        match (self, decimals) {
            (Self::Decimal, Decimals::Double) => Self::Double,
            _ => self,
        }
    }

    /// Returns the cells that hold both, where two branches of a union meet.
    pub(super) fn join(self, other: Self) -> Option<Self> {
        use CellType::{Decimal, Integer, Long};
        match (self, other) {
            (one, other) if one == other => Some(one),
            (Integer, Long) | (Long, Integer) => Some(Long),
            (Integer | Long, Decimal) | (Decimal, Integer | Long) => Some(Decimal),
            _ => None,
        }
    }

    /// Returns whether values of a datatype can stand in such cells.
    fn takes(self, primitive: Primitive) -> bool {
        let own = Self::of(primitive);
        match self {
            Self::Text => true,
            Self::Boolean => own == Self::Boolean,
            Self::Integer | Self::Long | Self::Decimal | Self::Double => {
                matches!(own, Self::Integer | Self::Long | Self::Decimal)
            }
            Self::Timestamp => {
                matches!(primitive, Primitive::Instant | Primitive::DateTime | Primitive::Date)
            }
            Self::Binary => own == Self::Binary || own == Self::Text,
        }
    }

    /// Returns the cells of an SQL type as a tag `ansi/type` names it, such as `DECIMAL(10, 2)`.
    fn of_ansi(name: &str) -> Option<Self> {
        let name = name.split('(').next().unwrap_or_default().trim().to_ascii_uppercase();
        Some(match name.as_str() {
            "BOOLEAN" => Self::Boolean,
            "SMALLINT" | "INTEGER" | "INT" => Self::Integer,
            "BIGINT" => Self::Long,
            "DECIMAL" | "DEC" | "NUMERIC" | "REAL" | "FLOAT" | "DOUBLE PRECISION" => Self::Decimal,
            "TIMESTAMP" | "TIMESTAMP WITH TIME ZONE" | "TIMESTAMP WITHOUT TIME ZONE" => Self::Timestamp,
            "BINARY" | "BINARY VARYING" | "VARBINARY" | "BINARY LARGE OBJECT" | "BLOB" => Self::Binary,
            "CHARACTER"
            | "CHAR"
            | "CHARACTER VARYING"
            | "CHAR VARYING"
            | "VARCHAR"
            | "NATIONAL CHARACTER"
            | "NATIONAL CHARACTER VARYING"
            | "CHARACTER LARGE OBJECT"
            | "CLOB"
            | "DATE"
            | "TIME"
            | "TIME WITH TIME ZONE"
            | "TIME WITHOUT TIME ZONE" => Self::Text,
            _ => return None,
        })
    }
}

/// Returns the datatype that a column declares: a name of FHIR, a name of `System`, or the URL of either.
pub(super) fn declared(name: &str) -> Option<Primitive> {
    let bare = name.rsplit('/').next().unwrap_or_default();
    let system = bare.strip_prefix("System.").unwrap_or(bare);
    Primitive::named(bare).or_else(|| {
        Some(match system {
            "Boolean" => Primitive::Boolean,
            "Integer" => Primitive::Integer,
            "Long" => Primitive::Integer64,
            "Decimal" => Primitive::Decimal,
            "String" => Primitive::String,
            "Date" => Primitive::Date,
            "DateTime" => Primitive::DateTime,
            "Time" => Primitive::Time,
            _ => return None,
        })
    })
}

/// What a column turns out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Resolved {
    pub(super) datatype: Option<Primitive>,
    pub(super) cell: CellType,
}

/// Settles a column from its declared type, its tag and what is known of its path; or says which part of the
/// definition cannot be, and what it should be.
pub(super) fn resolve(
    pool: &Pool,
    of: &StaticType,
    declared_type: Option<&str>,
    ansi_type: Option<&str>,
) -> Result<Resolved, (&'static str, String)> {
    let mut inferred: Vec<Primitive> =
        of.sets.iter().flat_map(|&set| pool.datatypes(set).primitives()).collect();
    inferred.sort_unstable();
    inferred.dedup();
    let unknown = of.sets.iter().any(|&set| pool.datatypes(set).is_unknown());
    let complex = of.sets.iter().flat_map(|&set| pool.datatypes(set).datatypes());
    let complex: Vec<&str> =
        complex.filter(|kind| !matches!(kind, Datatype::Primitive(_))).map(|kind| kind.name()).collect();
    if inferred.is_empty() && !unknown && !complex.is_empty() {
        return Err((
            "path",
            format!("a path to a primitive value; this one leads to {}", complex.join(" or ")),
        ));
    }
    let named = match declared_type {
        None => None,
        Some(name) => Some(declared(name).ok_or_else(|| ("type", "a primitive type of FHIR".to_owned()))?),
    };
    let possible =
        |cell: CellType| unknown || inferred.is_empty() || inferred.iter().any(|&kind| cell.takes(kind));
    let leads = || {
        let kinds: Vec<&str> = inferred.iter().map(|kind| kind.name()).collect();
        kinds.join(" or ")
    };
    if let Some(named) = named
        && !possible(CellType::of(named))
    {
        return Err(("type", format!("a type that the path can give, which is {}", leads())));
    }
    let datatype = named.or(match inferred.as_slice() {
        [only] if !unknown => Some(*only),
        _ => None,
    });
    let usual = datatype.map_or_else(|| common(&inferred, unknown), CellType::of);
    let cell = match ansi_type {
        None => usual,
        Some(name) => {
            let cell = CellType::of_ansi(name)
                .ok_or_else(|| ("tag", "an SQL type in the tag `ansi/type`".to_owned()))?;
            if !possible(cell) {
                return Err(("tag", format!("an SQL type in the tag `ansi/type` that can hold {}", leads())));
            }
            cell
        }
    };
    Ok(Resolved { datatype, cell })
}

/// Returns the cells that hold all of the types, or text.
fn common(inferred: &[Primitive], unknown: bool) -> CellType {
    let mut cells = inferred.iter().map(|&kind| CellType::of(kind));
    match cells.next() {
        Some(first) if !unknown => cells.try_fold(first, CellType::join).unwrap_or(CellType::Text),
        _ => CellType::Text,
    }
}
