//! `elements.txt`, indexed once into sorted arrays.

use std::sync::LazyLock;

use super::{Datatype, Element, Primitive, Releases, TypeId, TypeKind, Use};

/// The text that `cargo xtask model` makes; its first lines say how to read it.
const TEXT: &str = include_str!("elements.txt");

/// What an element without uses would say. The table has none; a test holds it to that.
pub(super) const NO_USE: Use = Use {
    datatype: Datatype::Primitive(Primitive::String),
    many: false,
    choice: None,
    releases: Releases::ALL,
};

static TABLE: LazyLock<Table> = LazyLock::new(|| Table::read(TEXT));

/// Only error paths ask for a name without its type, so these are sorted when the first does.
static ELEMENT_NAMES: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let mut names: Vec<&str> = TABLE.elements.iter().map(|row| row.name).collect();
    names.sort_unstable();
    names.dedup();
    names
});

/// Types by name, their elements by name, their uses newest first. A row's children run from its first to the
/// next row's first.
#[derive(Default)]
struct Table {
    types: Vec<TypeRow>,
    elements: Vec<ElementRow>,
    uses: Vec<Use>,
}

struct TypeRow {
    name: &'static str,
    kind: TypeKind,
    first_element: u32,
}

struct ElementRow {
    name: &'static str,
    first_use: u32,
}

pub(super) fn type_named(name: &str) -> Option<TypeId> {
    TABLE.type_named(name)
}

pub(super) fn name(id: TypeId) -> &'static str {
    TABLE.types.get(usize::from(id.0)).map_or("", |row| row.name)
}

pub(super) fn kind(id: TypeId) -> TypeKind {
    TABLE.types.get(usize::from(id.0)).map_or(TypeKind::Abstract, |row| row.kind)
}

pub(super) fn elements(id: TypeId) -> impl Iterator<Item = Element> {
    let table = &*TABLE;
    let (first, rows) = table.elements_of(id);
    (first..).zip(rows).map(|(at, row)| table.element_at(at, row))
}

pub(super) fn element(id: TypeId, name: &str) -> Option<Element> {
    let table = &*TABLE;
    let (first, rows) = table.elements_of(id);
    let at = rows.binary_search_by(|row| row.name.cmp(name)).ok()?;
    rows.get(at).map(|row| table.element_at(first + at, row))
}

pub(super) fn is_element_name(name: &str) -> bool {
    ELEMENT_NAMES.binary_search(&name).is_ok()
}

impl Table {
    /// The types stand first, because an element may be of a type further down.
    fn read(text: &'static str) -> Self {
        let mut table = Self::default();
        let lines = || text.lines().filter(|line| !line.starts_with('#'));
        table.types = lines().filter_map(TypeRow::read).collect();
        let mut known = Datatypes::default();
        let mut types = 0..;
        for line in lines() {
            if let Some(element) = line.strip_prefix(' ') {
                table.read_element(element, &mut known);
            } else if let Some(row) = types.next().and_then(|at: usize| table.types.get_mut(at)) {
                row.first_element = index(table.elements.len());
            }
        }
        table
    }

    fn read_element(&mut self, line: &'static str, known: &mut Datatypes) {
        let mut words = line.split(' ');
        let Some(name) = words.next() else { return };
        self.elements.push(ElementRow { name, first_use: index(self.uses.len()) });
        for word in words {
            let read = self.read_use(name, word, known);
            self.uses.extend(read);
        }
    }

    fn read_use(&self, name: &'static str, word: &'static str, known: &mut Datatypes) -> Option<Use> {
        let (fact, releases) = match word.split_once(':') {
            Some((fact, signs)) => (fact, Releases::from_signs(signs)),
            None => (word, Releases::ALL),
        };
        let (fact, is_choice) = fact.strip_suffix('?').map_or((fact, false), |fact| (fact, true));
        let (datatype, many) = fact.strip_suffix('*').map_or((fact, false), |fact| (fact, true));
        // A choice is spelled as its base and its datatype.
        let base = name.len().checked_sub(datatype.len()).and_then(|bytes| name.get(..bytes));
        let choice = base.filter(|_| is_choice);
        Some(Use { datatype: known.get_or(datatype, || self.datatype(datatype))?, many, choice, releases })
    }

    fn datatype(&self, name: &str) -> Option<Datatype> {
        match name {
            "Resource" => Some(Datatype::Resource),
            _ => Primitive::named(name)
                .map(Datatype::Primitive)
                .or_else(|| self.type_named(name).map(Datatype::Complex)),
        }
    }

    fn type_named(&self, name: &str) -> Option<TypeId> {
        let at = self.types.binary_search_by(|row| row.name.cmp(name)).ok()?;
        u16::try_from(at).ok().map(TypeId)
    }

    fn elements_of(&self, id: TypeId) -> (usize, &[ElementRow]) {
        let at = usize::from(id.0);
        let start = |row: &TypeRow| row.first_element as usize;
        let first = self.types.get(at).map_or(self.elements.len(), start);
        let end = self.types.get(at + 1).map_or(self.elements.len(), start);
        (first, self.elements.get(first..end).unwrap_or_default())
    }

    fn element_at(&'static self, at: usize, row: &ElementRow) -> Element {
        let end = self.elements.get(at + 1).map_or(self.uses.len(), |next| next.first_use as usize);
        let uses = self.uses.get(row.first_use as usize..end).unwrap_or_default();
        Element { name: row.name, choice: uses.first().and_then(|newest| newest.choice), uses }
    }
}

impl TypeRow {
    fn read(line: &'static str) -> Option<Self> {
        let (name, kind) = line.split_once(' ').filter(|(name, _)| !name.is_empty())?;
        let kind = match kind {
            "resource" => TypeKind::Resource,
            "datatype" => TypeKind::Datatype,
            "backbone" => TypeKind::Backbone,
            "primitive" => TypeKind::Primitive,
            _ => TypeKind::Abstract,
        };
        Some(Self { name, kind, first_element: 0 })
    }
}

/// The datatypes met last, by a cheap hash of the name: a few dozen names make nearly all of fifteen thousand uses.
struct Datatypes([Option<(&'static str, Datatype)>; 256]);

impl Default for Datatypes {
    fn default() -> Self {
        Self([None; 256])
    }
}

impl Datatypes {
    fn get_or(&mut self, name: &'static str, find: impl FnOnce() -> Option<Datatype>) -> Option<Datatype> {
        let mixed = name.bytes().fold(0_u8, |mixed, byte| mixed.rotate_left(3) ^ byte);
        let place = self.0.get_mut(usize::from(mixed))?;
        match place {
            Some((known, datatype)) if *known == name => Some(*datatype),
            _ => {
                let datatype = find()?;
                *place = Some((name, datatype));
                Some(datatype)
            }
        }
    }
}

/// The table has far fewer than 2³² rows.
fn index(rows: usize) -> u32 {
    u32::try_from(rows).unwrap_or(u32::MAX)
}
