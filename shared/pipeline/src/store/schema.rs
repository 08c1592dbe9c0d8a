//! The schema of a table: its fields and the types of their values.
//!
//! A schema says what rows hold: it is worked out from the cells of rows, not from FHIR. Schemas only grow, and two of
//! them are united field by field and type by type, so that several writers can extend one.

use std::collections::BTreeMap;

use strum::VariantArray;

/// The type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, VariantArray)]
pub enum FieldType {
    /// Text.
    Text,
    /// A 32-bit integer.
    Int,
    /// A 64-bit integer.
    Long,
    /// An IEEE 754-2008 decimal128.
    Decimal,
    /// An IEEE 754 binary64.
    Double,
    /// A truth value.
    Boolean,
    /// A moment.
    Date,
    /// A sub-document.
    Object,
    /// A list.
    Array,
    /// An empty value.
    Null,
}

impl FieldType {
    /// All types, in a fixed order.
    pub const ALL: &'static [Self] = Self::VARIANTS;
}

/// A set of types.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FieldTypes(u16);

impl FieldTypes {
    /// Returns the same types and one more.
    #[must_use]
    pub const fn with(self, cell: FieldType) -> Self {
        Self(self.0 | 1 << cell as u16)
    }

    /// Returns whether a type is among them.
    #[must_use]
    pub const fn has(self, cell: FieldType) -> bool {
        self.0 & 1 << cell as u16 != 0
    }

    /// Returns whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns the types in a fixed order.
    pub fn iter(self) -> impl Iterator<Item = FieldType> {
        FieldType::ALL.iter().copied().filter(move |cell| self.has(*cell))
    }

    /// Returns these types and others.
    #[must_use]
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Returns these types without others.
    #[must_use]
    pub const fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }
}

/// What a field of a table's rows holds. The root of a table is a field as well, of the type object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldSchema {
    /// The types of its values.
    pub types: FieldTypes,
    /// The fields of its sub-documents.
    pub properties: BTreeMap<String, Self>,
    /// The items of its lists.
    pub items: Option<Box<Self>>,
}

impl FieldSchema {
    /// Returns a field of one type.
    #[must_use]
    pub fn of(cell: FieldType) -> Self {
        Self { types: FieldTypes::default().with(cell), ..Self::default() }
    }

    /// Adds a type.
    pub const fn add(&mut self, cell: FieldType) {
        self.types = self.types.with(cell);
    }

    /// Returns the field of the items, which is made if it is not there.
    pub fn items_mut(&mut self) -> &mut Self {
        self.items.get_or_insert_default()
    }

    /// Returns a field of the sub-documents, which is made if it is not there.
    pub fn property_mut(&mut self, name: &str) -> &mut Self {
        if !self.properties.contains_key(name) {
            self.properties.insert(name.to_owned(), Self::default());
        }
        self.properties.entry(name.to_owned()).or_default()
    }

    /// Adds everything that another schema has.
    pub fn unite(&mut self, other: &Self) {
        self.types = self.types.and(other.types);
        for (name, field) in &other.properties {
            self.property_mut(name).unite(field);
        }
        if let Some(items) = &other.items {
            self.items_mut().unite(items);
        }
    }
}
