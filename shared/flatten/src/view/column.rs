//! Columns: their names, what stands in their cells, and how that follows from path, declaration and tag.

use crate::column_type::{CellType, ColumnType};
use crate::fhirpath::{Pool, StaticType};
use crate::model::{Datatype, Primitive};

/// A column of a compiled view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewColumn {
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

impl ViewColumn {
    /// Returns the column's type.
    #[must_use]
    pub const fn column_type(&self) -> ColumnType {
        if self.collection { ColumnType::List(self.cell) } else { ColumnType::One(self.cell) }
    }
}

/// Returns the type in which views hold a primitive.
const fn cell_of(primitive: Primitive) -> CellType {
    match (primitive, primitive.system()) {
        (Primitive::Instant, _) => CellType::Timestamp,
        (Primitive::Base64Binary, _) => CellType::Binary,
        (_, Primitive::Boolean) => CellType::Boolean,
        (_, Primitive::Integer) => CellType::Integer,
        (_, Primitive::Integer64) => CellType::Long,
        (_, Primitive::Decimal) => CellType::Decimal,
        _ => CellType::Text,
    }
}

/// Returns whether values of a primitive can be written to such cells.
fn can_hold(cell: CellType, primitive: Primitive) -> bool {
    let own = cell_of(primitive);
    match cell {
        CellType::Text => true,
        CellType::Boolean => own == CellType::Boolean,
        CellType::Integer | CellType::Long | CellType::Decimal | CellType::Double => {
            matches!(own, CellType::Integer | CellType::Long | CellType::Decimal)
        }
        CellType::Timestamp => {
            matches!(primitive, Primitive::Instant | Primitive::DateTime | Primitive::Date)
        }
        CellType::Binary => own == CellType::Binary || own == CellType::Text,
    }
}

/// Returns the cells of an SQL type as a tag `ansi/type` names it, such as `DECIMAL(10, 2)`.
fn cell_of_ansi(name: &str) -> Option<CellType> {
    let name = name.split('(').next().unwrap_or_default().trim().to_ascii_uppercase();
    Some(match name.as_str() {
        "BOOLEAN" => CellType::Boolean,
        "SMALLINT" | "INTEGER" | "INT" => CellType::Integer,
        "BIGINT" => CellType::Long,
        "DECIMAL" | "DEC" | "NUMERIC" | "REAL" | "FLOAT" | "DOUBLE PRECISION" => CellType::Decimal,
        "TIMESTAMP" | "TIMESTAMP WITH TIME ZONE" | "TIMESTAMP WITHOUT TIME ZONE" => CellType::Timestamp,
        "BINARY" | "BINARY VARYING" | "VARBINARY" | "BINARY LARGE OBJECT" | "BLOB" => CellType::Binary,
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
        | "TIME WITHOUT TIME ZONE" => CellType::Text,
        _ => return None,
    })
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

/// Types a column by its declared type, its tag and what is known of its path; or says which part of the
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
    let complex: Vec<&str> = complex
        .filter(|datatype| !matches!(datatype, Datatype::Primitive(_)))
        .map(|datatype| datatype.name())
        .collect();
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
    let possible = |cell: CellType| {
        unknown || inferred.is_empty() || inferred.iter().any(|&datatype| can_hold(cell, datatype))
    };
    let leads = || {
        let names: Vec<&str> = inferred.iter().map(|datatype| datatype.name()).collect();
        names.join(" or ")
    };
    if let Some(named) = named
        && !possible(cell_of(named))
    {
        return Err(("type", format!("a type that the path can give, which is {}", leads())));
    }
    let datatype = named.or(match inferred.as_slice() {
        [only] if !unknown => Some(*only),
        _ => None,
    });
    let usual = datatype.map_or_else(|| common(&inferred, unknown), cell_of);
    let cell = match ansi_type {
        None => usual,
        Some(name) => {
            let cell =
                cell_of_ansi(name).ok_or_else(|| ("tag", "an SQL type in the tag `ansi/type`".to_owned()))?;
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
    let mut cells = inferred.iter().map(|&datatype| cell_of(datatype));
    match cells.next() {
        Some(first) if !unknown => cells.fold(first, CellType::join),
        _ => CellType::Text,
    }
}
