//! Columns of a field: the column of the value, the columns derived from it, and those that the members of a choice
//! share.

use crate::automatic::naming::joined;
use crate::model::{Datatype, Element, TypeId};
use crate::row::{ColumnId, Names};

/// Names what a column is derived from a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Derived {
    /// The moment of a date or time.
    At,
    /// The text as written, where the value's column cannot have it.
    Text,
    /// The number of items.
    Count,
    /// The key of a reference's target.
    Key,
    /// The type of a reference's target.
    Type,
    /// The codings as `system|code`.
    Codings,
    /// The identifiers as `system|value`.
    Values,
    /// The keys of the targets of several references.
    Keys,
    /// The identifier by which a reference names its target.
    Identifier,
    /// The size of data that is not inlined.
    Size,
    /// The SHA-256 of data that is not inlined.
    Sha256,
}

/// How many [`Derived`] there are.
const DERIVED: usize = 11;

/// The columns of a field. A derived column is named when it is first filled: most fields need one or none.
#[derive(Debug)]
pub(crate) struct Columns {
    pub(crate) value: ColumnId,
    derived: [Option<ColumnId>; DERIVED],
    name: Box<str>,
    /// The extension whose value this is.
    extension: Option<Box<str>>,
    /// Whether an element has the name with the tail `text`, so that the derived column is called `written`.
    has_text_element: bool,
    /// Whether an element has the name with the tail `count`, so that the derived column is called `items`.
    has_count_element: bool,
}

impl Columns {
    /// Returns the columns of a field called `name`.
    pub(crate) fn of(name: &str, names: &mut Names) -> Self {
        Self {
            value: names.column(name),
            derived: [None; DERIVED],
            name: name.into(),
            extension: None,
            has_text_element: false,
            has_count_element: false,
        }
    }

    /// Returns the columns of an extension's value. The size of its data is called like an attachment's, because
    /// another extension's name may end in `Size`.
    pub(crate) fn of_extension_value(name: &str, extension: &str, names: &mut Names) -> Self {
        Self { extension: Some(extension.into()), ..Self::of(name, names) }
    }

    /// Returns the columns with derived names that differ from the elements of `element`, which the object around it
    /// may have in another release.
    pub(crate) fn without_clashes(self, element: &Element, types_in_other_releases: &[TypeId]) -> Self {
        let others = types_in_other_releases.iter().filter_map(|other_type| other_type.element(element.name));
        let has =
            |member| [*element].into_iter().chain(others.clone()).any(|known| has_member(&known, member));
        let is_primitive = element.uses.iter().any(|used| matches!(used.datatype, Datatype::Primitive(_)));
        let is_backbone = complex(element).any(TypeId::is_backbone);
        Self {
            has_text_element: is_primitive && has("text"),
            has_count_element: is_backbone && has("count"),
            ..self
        }
    }

    /// Returns a derived column, and names it if it has no name yet.
    pub(crate) fn derive(&mut self, derived: Derived, names: &mut Names) -> ColumnId {
        if let Some(Some(column)) = self.derived.get(derived as usize) {
            return *column;
        }
        let column = names.column(&self.name_of(derived));
        if let Some(known) = self.derived.get_mut(derived as usize) {
            *known = Some(column);
        }
        column
    }

    /// Returns a derived column that has been named.
    pub(crate) fn derived(&self, derived: Derived) -> Option<ColumnId> {
        self.derived.get(derived as usize).copied().flatten()
    }

    fn name_of(&self, derived: Derived) -> String {
        let tail = match derived {
            Derived::At => "at",
            Derived::Text if self.has_text_element => "written",
            Derived::Text => "text",
            Derived::Count if self.has_count_element => "items",
            Derived::Count => "count",
            Derived::Key => "key",
            Derived::Type => "type",
            Derived::Codings => "codings",
            Derived::Values => "values",
            Derived::Keys => "keys",
            Derived::Identifier => "identifier",
            Derived::Size => "Size",
            Derived::Sha256 => "Sha256",
        };
        match (derived, &self.extension) {
            (Derived::Size | Derived::Sha256, Some(extension)) => joined(extension, &format!("data{tail}")),
            (Derived::Size | Derived::Sha256, None) => format!("{}{tail}", self.name),
            _ => joined(&self.name, tail),
        }
    }
}

/// Choices that are a boolean or something more precise. A column says whether they hold.
const YES_OR_NO_CHOICES: [&str; 5] = ["abatement", "asNeeded", "deceased", "multipleBirth", "reported"];

/// The columns of a choice (`value[x]`) that one of its members fills.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChoiceColumns {
    /// Says which member there is, by its datatype.
    pub(crate) type_column: ColumnId,
    pub(crate) datatype: &'static str,
    /// The moment, where the choice has moments among its types.
    pub(crate) at: Option<ColumnId>,
    /// Says whether the choice holds.
    pub(crate) yes_or_no: Option<YesOrNo>,
    /// Whether the member is one of the choice only where it is not an array.
    pub(crate) only_single: bool,
}

/// The column that says whether a choice holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct YesOrNo {
    pub(crate) column: ColumnId,
    pub(crate) base: &'static str,
    /// Whether a release that has no choice here has an element of the base's name.
    pub(crate) is_base_an_element: bool,
}

impl ChoiceColumns {
    /// Returns the columns that `element` fills, a member of the choice `base` of a type.
    pub(crate) fn of(
        (type_id, base): (TypeId, &'static str),
        element: &Element,
        prefix: &str,
        names: &mut Names,
    ) -> Self {
        let chosen = element.uses.iter().find(|used| used.choice.is_some());
        let is_moment =
            |datatype| matches!(datatype, Datatype::Primitive(primitive) if primitive.is_moment());
        let is_period = element.uses.iter().any(|used| used.datatype.name() == "Period");
        let says_moment = is_period || element.uses.iter().any(|used| is_moment(used.datatype));
        let has_moments =
            || type_id.choices(base).flat_map(|member| member.uses).any(|used| is_moment(used.datatype));
        let at = (says_moment && has_moments()).then(|| names.column(&joined(&joined(prefix, base), "at")));
        let is_base_an_element = type_id.element(base).is_some();
        let yes_or_no = YES_OR_NO_CHOICES.contains(&base).then(|| YesOrNo {
            column: names.column(&joined(prefix, base)),
            base,
            is_base_an_element,
        });
        Self {
            type_column: names.column(&choice_type_column(type_id, prefix, base)),
            datatype: chosen.map_or("", |used| used.datatype.name()),
            at,
            yes_or_no,
            only_single: element.uses.iter().any(|used| used.many && used.choice.is_none()),
        }
    }
}

/// Returns the name of the column that says which member of a choice there is: `<base>_type`, or `<base>_choice` where
/// some release has an element of the base's name with a `type` of its own.
fn choice_type_column(type_id: TypeId, prefix: &str, base: &str) -> String {
    let is_taken = type_id.element(base).is_some_and(|element| has_member(&element, "type"));
    joined(&joined(prefix, base), if is_taken { "choice" } else { "type" })
}

fn has_member(element: &Element, name: &str) -> bool {
    complex(element).any(|datatype| datatype.element(name).is_some())
}

/// Returns the types of the objects that an element can hold, by release.
fn complex(element: &Element) -> impl Iterator<Item = TypeId> {
    element.uses.iter().filter_map(|used| match used.datatype {
        Datatype::Complex(complex) => Some(complex),
        Datatype::Primitive(_) | Datatype::Resource => None,
    })
}
