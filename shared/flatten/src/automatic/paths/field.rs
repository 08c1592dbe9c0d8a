//! Fields: what is known of a member's position before any value is seen there.

use crate::check;
use crate::column_type::{CellType, ColumnType};
use crate::decimals::Decimals;
use crate::json::{JsonKind, Node};
use crate::model::{Datatype, Element, Primitive, TypeId};
use crate::row::{ColumnId, Names};

use super::columns::{ChoiceColumns, Columns};
use super::member::{FieldId, ObjectPathId};
use super::object_types::ObjectTypes;

/// The systems of a `ContactPoint` (R5 value set contact-point-system), each a column of its best-ranked value.
pub(crate) const TELECOM_SYSTEMS: [&str; 7] = ["phone", "fax", "email", "pager", "url", "sms", "other"];

/// The columns of [`TELECOM_SYSTEMS`].
pub(crate) type TelecomColumns = [ColumnId; TELECOM_SYSTEMS.len()];

/// A member's position in an object, such as `Patient.name.family`.
#[expect(clippy::struct_excessive_bools, reason = "independent facts about one member")]
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: Box<str>,
    pub(super) scalars: ScalarKinds,
    /// The types of the objects that can stand here.
    pub(super) types: ObjectTypes,
    pub(super) columns: Columns,
    pub(super) choice: Option<ChoiceColumns>,
    /// Whether the column holds a list of scalars, or every release has an array of objects here.
    pub(super) is_array: bool,
    /// The type of the column of an element that has scalars; `None` where anything may stand.
    pub(super) column_type: Option<ColumnType>,
    pub(super) telecoms: Option<TelecomColumns>,
    pub(super) is_resource: bool,
    /// The codes of the element's required binding.
    pub(super) codes: &'static [&'static str],
    /// The bits of [`check::required`] that a value here meets.
    pub(super) mandatory_bits: u8,
    /// Where the companion of a primitive goes.
    pub(super) companion: Option<ObjectPathId>,
    /// Where a concept's primary coding goes.
    pub(super) elided_coding: Option<ObjectPathId>,
    /// The list of labels that are written whole.
    pub(super) whole_labels: Option<FieldId>,
    /// Whether this is the position of an extension, nested by its own URL.
    pub(super) is_extension: bool,
    /// Where it is the value of an extension, the name of that extension's columns.
    pub(super) value_of_extension: Option<Box<str>>,
    /// Whether some release has the element. Extensions are known.
    pub(super) is_known: bool,
    /// Whether FHIR or the settings name every step of the path, so that a table may be called by it.
    pub(super) may_name_table: bool,
}

impl Field {
    /// Returns a field called `name` that holds nothing yet.
    pub(super) fn of(name: &str, names: &mut Names) -> Self {
        Self {
            name: name.into(),
            scalars: ScalarKinds::default(),
            types: ObjectTypes::default(),
            columns: Columns::of(name, names),
            choice: None,
            is_array: false,
            column_type: None,
            telecoms: None,
            is_resource: false,
            codes: &[],
            mandatory_bits: 0,
            companion: None,
            elided_coding: None,
            whole_labels: None,
            is_extension: false,
            value_of_extension: None,
            is_known: true,
            may_name_table: false,
        }
    }

    /// Adds what the model says of an element of a type.
    pub(super) fn add_element(&mut self, type_id: TypeId, element: &Element) {
        self.column_type = match ColumnType::of_element(element, Decimals::Exact) {
            ColumnType::Records | ColumnType::Json | ColumnType::Any => None,
            scalars => Some(scalars),
        };
        self.is_array = match self.column_type {
            Some(column_type) => matches!(column_type, ColumnType::List(_)),
            None => element.uses.iter().all(|used| used.many),
        };
        self.codes = check::required_codes(type_id.name(), element.name).unwrap_or_default();
        if !self.codes.is_empty() {
            self.scalars = self.scalars.or(ScalarKinds::CODED);
        }
        for used in element.uses {
            match used.datatype {
                Datatype::Primitive(primitive) => self.scalars = self.scalars.or(ScalarKinds::of(primitive)),
                Datatype::Complex(inner) => self.types.add_modelled(element, inner),
                Datatype::Resource => self.is_resource = true,
            }
        }
        let is_text = matches!(self.column_type, Some(ColumnType::One(CellType::Text)));
        if is_text && self.scalars.has(ScalarKinds::BOOLEAN.or(ScalarKinds::NUMBER)) {
            self.scalars = self.scalars.or(ScalarKinds::AS_TEXT);
        }
    }
}

/// The facts about a field that every value asks for, in eight bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FieldFlags {
    /// The column of the value itself.
    pub(crate) column: ColumnId,
    pub(crate) scalars: ScalarKinds,
    /// The bits of [`check::required`] that a value here meets.
    pub(crate) mandatory_bits: u8,
    bits: u8,
}

const RESOURCE: u8 = 1;
const ONLY_OBJECTS: u8 = 1 << 1;
const CHOICE: u8 = 1 << 2;
const MODELLED: u8 = 1 << 3;
const ARRAY: u8 = 1 << 4;
const ONE_SCALAR: u8 = 1 << 5;
const SCALAR_LIST: u8 = 1 << 6;
const OBJECTS: u8 = 1 << 7;

impl FieldFlags {
    pub(super) fn of(field: &Field) -> Self {
        let only_objects = field.scalars.none() && (field.types.has_modelled() || field.is_extension);
        let bits = [
            (field.is_resource, RESOURCE),
            (only_objects, ONLY_OBJECTS),
            (field.choice.is_some(), CHOICE),
            (field.is_known && !field.is_extension, MODELLED),
            (field.is_array, ARRAY),
            (matches!(field.column_type, Some(ColumnType::One(_))), ONE_SCALAR),
            (matches!(field.column_type, Some(ColumnType::List(_))), SCALAR_LIST),
            (field.types.has_modelled(), OBJECTS),
        ];
        Self {
            column: field.columns.value,
            scalars: field.scalars,
            mandatory_bits: field.mandatory_bits,
            bits: bits.iter().filter(|(holds, _)| *holds).fold(0, |bits, (_, bit)| bits | bit),
        }
    }

    /// Returns whether the member is a whole resource.
    pub(crate) const fn is_resource(self) -> bool {
        self.bits & RESOURCE != 0
    }

    /// Returns whether only objects may stand here.
    pub(crate) const fn only_objects(self) -> bool {
        self.bits & ONLY_OBJECTS != 0
    }

    /// Returns whether it is a member of a choice.
    pub(crate) const fn is_choice(self) -> bool {
        self.bits & CHOICE != 0
    }

    /// Returns whether the model has the element.
    pub(crate) const fn is_modelled(self) -> bool {
        self.bits & MODELLED != 0
    }

    /// Returns whether the column holds one scalar, so that an array cannot stand in it.
    pub(crate) const fn is_one_scalar(self) -> bool {
        self.bits & ONE_SCALAR != 0
    }

    /// Returns whether the column holds a list of scalars.
    pub(crate) const fn is_scalar_list(self) -> bool {
        self.bits & SCALAR_LIST != 0
    }

    /// Returns whether some release has an object here.
    pub(crate) const fn has_objects(self) -> bool {
        self.bits & OBJECTS != 0
    }

    /// Returns whether an array belongs here. A single value is then read as an array of one.
    pub(crate) const fn is_array(self) -> bool {
        self.bits & ARRAY != 0
    }

    /// Returns whether a string here is text and nothing else.
    pub(crate) fn is_text(self) -> bool {
        self.scalars == ScalarKinds::TEXT && self.bits & (RESOURCE | ARRAY) == 0
    }
}

/// The kinds of scalars that a field may hold: a set, because releases differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ScalarKinds(u16);

impl ScalarKinds {
    pub(crate) const BOOLEAN: Self = Self(1);
    pub(crate) const INTEGER: Self = Self(1 << 1);
    pub(crate) const LONG: Self = Self(1 << 2);
    pub(crate) const DECIMAL: Self = Self(1 << 3);
    /// A date, dateTime or instant: the text as written, and the moment beside it.
    pub(crate) const MOMENT: Self = Self(1 << 4);
    pub(crate) const BINARY: Self = Self(1 << 5);
    pub(crate) const TEXT: Self = Self(1 << 6);
    /// The text is a code of a value set that is known.
    pub(crate) const CODED: Self = Self(1 << 7);
    /// A time of day, which is text.
    pub(crate) const TIME: Self = Self(1 << 8);
    /// Some release has a whole number here that may be 0, or less.
    pub(crate) const ZERO: Self = Self(1 << 9);
    pub(crate) const NEGATIVE: Self = Self(1 << 10);
    /// Some release has text here and another a boolean or a number: all are written as text.
    pub(crate) const AS_TEXT: Self = Self(1 << 11);

    pub(crate) const NUMBER: Self = Self::INTEGER.or(Self::LONG).or(Self::DECIMAL);
    /// What JSON writes as a string.
    const WRITTEN: Self = Self::TEXT.or(Self::MOMENT).or(Self::TIME).or(Self::BINARY);

    pub(super) const UNKNOWN: Self = Self::BOOLEAN.or(Self::DECIMAL).or(Self::TEXT);

    /// Returns the union of two sets.
    pub(crate) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns the kinds that a primitive is written as.
    pub(super) const fn of(primitive: Primitive) -> Self {
        match (primitive, primitive.system()) {
            (Primitive::Base64Binary, _) => Self::BINARY,
            (Primitive::PositiveInt, _) => Self::INTEGER,
            (Primitive::UnsignedInt, _) => Self::INTEGER.or(Self::ZERO),
            (_, Primitive::Boolean) => Self::BOOLEAN,
            (_, Primitive::Integer) => Self::INTEGER.or(Self::ZERO).or(Self::NEGATIVE),
            (_, Primitive::Integer64) => Self::LONG.or(Self::ZERO).or(Self::NEGATIVE),
            (_, Primitive::Decimal) => Self::DECIMAL,
            (_, Primitive::Date | Primitive::DateTime) => Self::MOMENT,
            (_, Primitive::Time) => Self::TIME,
            _ => Self::TEXT,
        }
    }

    /// Returns whether some of these kinds are among them.
    pub(crate) const fn has(self, some: Self) -> bool {
        self.0 & some.0 != 0
    }

    /// Returns whether an item may stand in a list of these kinds.
    pub(crate) fn accepts_item(self, item: Node<'_>) -> bool {
        let is_whole = |digits: &str| {
            let digits = digits.strip_prefix('-').unwrap_or(digits);
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
        };
        match item.kind() {
            JsonKind::Null => true,
            JsonKind::String => {
                self.has(Self::WRITTEN)
                    || self.has(Self::LONG) && item.text().is_some_and(|digits| is_whole(&digits))
            }
            JsonKind::Number => self.has(Self::DECIMAL) || self.has(Self::NUMBER) && is_whole(item.raw()),
            JsonKind::True | JsonKind::False => self.has(Self::BOOLEAN),
            JsonKind::Array | JsonKind::Object => false,
        }
    }

    /// Returns whether no release has a primitive here.
    pub(crate) const fn none(self) -> bool {
        self.0 == 0
    }
}
