//! `elements.txt`: its types are found once, a type's elements when they are first needed.
//!
//! A process that sees forty types pays for forty of more than a thousand: nothing is indexed at a cold start that
//! the input does not need.

use std::sync::{LazyLock, OnceLock};

use super::element::{Datatype, Element, TypeId, TypeKind, Use};
use super::release::Releases;

/// The text that `cargo xtask model` makes; its first lines say how to read it.
const TEXT: &str = include_str!("elements.txt");

/// Stands before every type and nowhere else.
const TYPE: u8 = b'=';

/// The types, by name.
static TYPES: LazyLock<Vec<TypeRow>> = LazyLock::new(|| TypeRow::all(TEXT));

/// Only error paths ask for a name without its type, so these are sorted when the first does.
static ELEMENT_NAMES: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let lines = TYPES.iter().flat_map(|row| row.text.lines());
    let mut names: Vec<&str> = lines.filter_map(|line| line.split(' ').next()).collect();
    names.sort_unstable();
    names.dedup();
    names
});

struct TypeRow {
    name: &'static str,
    prefix: u64,
    kind: TypeKind,
    /// A line an element.
    text: &'static str,
    elements: OnceLock<Elements>,
}

/// A type's elements by name and their uses, newest first.
#[derive(Default)]
struct Elements {
    rows: Vec<ElementRow>,
    uses: Vec<Use>,
}

struct ElementRow {
    name: &'static str,
    /// Where in [`Elements::uses`] its uses begin; they end where the next row's begin.
    first_use: usize,
}

pub(super) fn type_named(name: &str) -> Option<TypeId> {
    let prefix = prefix(name);
    let order = |row: &TypeRow| row.prefix.cmp(&prefix).then_with(|| row.name.cmp(name));
    let at = TYPES.binary_search_by(order).ok()?;
    u16::try_from(at).ok().map(TypeId)
}

/// Returns the first eight bytes of a name as a number: names with different ones have the order of these numbers.
fn prefix(name: &str) -> u64 {
    let bytes = name.as_bytes();
    bytes.first_chunk().map_or_else(
        || bytes.iter().rev().fold(0, |word, byte| word >> 8 | u64::from(*byte) << 56),
        |first| u64::from_be_bytes(*first),
    )
}

/// Returns the names of all types.
pub(super) fn type_names() -> impl Iterator<Item = &'static str> {
    TYPES.iter().map(|row| row.name)
}

pub(super) fn name(id: TypeId) -> &'static str {
    row(id).map_or("", |row| row.name)
}

pub(super) fn kind(id: TypeId) -> TypeKind {
    row(id).map_or(TypeKind::Abstract, |row| row.kind)
}

pub(super) fn elements(id: TypeId) -> impl Iterator<Item = Element> {
    let elements = row(id).map(TypeRow::elements);
    elements.into_iter().flat_map(|elements| (0..elements.rows.len()).filter_map(|at| elements.element(at)))
}

pub(super) fn element(id: TypeId, name: &str) -> Option<Element> {
    let elements = row(id)?.elements();
    let at = elements.rows.binary_search_by(|row| row.name.cmp(name)).ok()?;
    elements.element(at)
}

/// Returns the elements whose names begin with `base` and go on.
pub(super) fn elements_after(id: TypeId, base: &str) -> impl Iterator<Item = Element> {
    let elements = row(id).map(TypeRow::elements);
    elements.into_iter().flat_map(move |elements| {
        let first = elements.rows.partition_point(|row| row.name <= base);
        let named = (first..).map_while(|at| elements.element(at));
        named.take_while(move |element| element.name.starts_with(base))
    })
}

pub(super) fn is_element_name(name: &str) -> bool {
    ELEMENT_NAMES.binary_search(&name).is_ok()
}

/// Returns whether some type has a choice of that name. Reads the whole table.
pub(super) fn is_choice(name: &str) -> bool {
    let mut uses = TYPES.iter().flat_map(|row| row.elements().uses.iter());
    uses.any(|used| used.choice == Some(name))
}

fn row(id: TypeId) -> Option<&'static TypeRow> {
    TYPES.get(usize::from(id.0))
}

impl TypeRow {
    fn all(text: &'static str) -> Vec<Self> {
        let mut starts = memchr::memchr_iter(TYPE, text.as_bytes()).peekable();
        let mut rows = Vec::new();
        while let Some(start) = starts.next() {
            let end = starts.peek().copied().unwrap_or(text.len());
            rows.extend(text.get(start + 1..end).and_then(Self::read));
        }
        rows
    }

    fn read(text: &'static str) -> Option<Self> {
        let (head, text) = text.split_once('\n')?;
        let (name, kind) = head.split_once(' ')?;
        let kind = match kind {
            "resource" => TypeKind::Resource,
            "datatype" => TypeKind::Datatype,
            "backbone" => TypeKind::Backbone,
            "primitive" => TypeKind::Primitive,
            _ => TypeKind::Abstract,
        };
        Some(Self { name, prefix: prefix(name), kind, text, elements: OnceLock::new() })
    }

    fn elements(&self) -> &Elements {
        self.elements.get_or_init(|| Elements::read(self.text))
    }
}

impl Elements {
    fn read(text: &'static str) -> Self {
        let mut elements = Self::default();
        for line in text.lines() {
            let (name, uses) = line.split_once(' ').unwrap_or((line, ""));
            elements.rows.push(ElementRow { name, first_use: elements.uses.len() });
            elements.uses.extend(uses.split(' ').filter_map(|word| Use::read(name, word)));
        }
        elements
    }

    fn element(&'static self, at: usize) -> Option<Element> {
        let row = self.rows.get(at)?;
        let end = self.rows.get(at + 1).map_or(self.uses.len(), |next| next.first_use);
        let uses = self.uses.get(row.first_use..end).unwrap_or_default();
        Some(Element { name: row.name, choice: uses.first().and_then(|newest| newest.choice), uses })
    }
}

impl Use {
    fn read(name: &'static str, word: &'static str) -> Option<Self> {
        let (fact, releases) = match word.split_once(':') {
            Some((fact, signs)) => (fact, Releases::from_signs(signs)),
            None => (word, Releases::ALL),
        };
        let (fact, is_choice) = fact.strip_suffix('?').map_or((fact, false), |fact| (fact, true));
        let (datatype, many) = fact.strip_suffix('*').map_or((fact, false), |fact| (fact, true));
        // A choice is spelled as its base and its datatype.
        let base = name.len().checked_sub(datatype.len()).and_then(|bytes| name.get(..bytes));
        Some(Self {
            datatype: Datatype::named(datatype)?,
            many,
            choice: base.filter(|_| is_choice),
            releases,
        })
    }
}
