//! Compiled paths: small trees of operations over element names, and the pool of what they share.

use regex::Regex;

use crate::model::{Datatype, type_named};

use super::functions::FunctionRun;
use super::literal::Literal;
use super::syntax::BinaryOperator;
use super::types::{ScalarForm, SetId, TypeSet};

/// What the paths of one view share: type sets, literals and regular expressions.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    sets: Vec<TypeSet>,
    forms: Vec<ScalarForm>,
    literals: Vec<(Literal, SetId)>,
    patterns: Vec<Regex>,
    extension: Option<SetId>,
}

static UNKNOWN: TypeSet = TypeSet::UNKNOWN;

impl Pool {
    pub(crate) fn set(&mut self, set: TypeSet) -> SetId {
        let index = self.sets.iter().position(|known| *known == set).unwrap_or_else(|| {
            self.forms.push(set.form());
            self.sets.push(set);
            self.sets.len() - 1
        });
        SetId(u16::try_from(index).unwrap_or(u16::MAX))
    }

    /// Returns the datatypes behind an id; those of another pool's id are unknown.
    pub(crate) fn datatypes(&self, id: SetId) -> &TypeSet {
        self.sets.get(usize::from(id.0)).unwrap_or(&UNKNOWN)
    }

    pub(super) fn form(&self, id: SetId) -> ScalarForm {
        self.forms.get(usize::from(id.0)).copied().unwrap_or(ScalarForm::Plain)
    }

    pub(crate) fn add_literal(&mut self, literal: Literal) -> u32 {
        let set = self.set(literal.type_set());
        self.literals.push((literal, set));
        u32::try_from(self.literals.len() - 1).unwrap_or(u32::MAX)
    }

    pub(super) fn literal(&self, index: u32) -> Option<&(Literal, SetId)> {
        self.literals.get(index as usize)
    }

    /// Returns the set of extensions, once a path has asked for them.
    pub(super) fn extension(&self) -> SetId {
        self.extension.unwrap_or(SetId(u16::MAX))
    }

    pub(super) fn add_extension(&mut self) -> SetId {
        let set = self.set(TypeSet::of(type_named("Extension").map(Datatype::Complex)));
        *self.extension.insert(set)
    }

    pub(super) fn add_pattern(&mut self, pattern: Regex) -> usize {
        self.patterns.push(pattern);
        self.patterns.len() - 1
    }

    pub(super) fn pattern(&self, index: usize) -> Option<&Regex> {
        self.patterns.get(index)
    }
}

/// An operation; running it yields items.
#[derive(Debug)]
pub(crate) enum Op {
    /// `{}`
    Nothing,
    /// The item that the path is run on, `$this`.
    Focus,
    /// The item that the whole path was started on, `%context`.
    Start,
    /// The resource, `%resource`.
    Resource,
    /// `%rowIndex`
    RowIndex,
    /// A literal or a constant of the pool.
    Literal(u32),
    /// Names one after the other from the focus, the most common path by far.
    Walk(Box<[Key]>),
    /// What stands first, and steps over all of its items.
    Path { start: Box<Op>, steps: Box<[PathStep]> },
    Negate {
        operand: Box<Op>,
        /// Whether the result is an integer, which has 32 bits.
        is_integer: bool,
    },
    /// Operators that bind equally tightly, from left to right.
    Chain { first: Box<Op>, links: Box<[ChainLink]> },
    /// Literals no two of which are equal.
    Literals(Box<[u32]>),
}

/// An operator of a chain and its right side.
#[derive(Debug)]
pub(crate) struct ChainLink {
    pub(super) operator: BinaryOperator,
    pub(super) operand: Op,
    /// Whether the result is an integer, which has 32 bits.
    pub(super) is_integer: bool,
}

/// An element by one JSON name, of one set of types.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) name: Box<str>,
    pub(crate) to: SetId,
    /// Whether the first item alone is wanted.
    pub(crate) first: bool,
}

#[derive(Debug)]
pub(crate) enum PathStep {
    Key(Key),
    Member(Box<MemberStep>),
    Index(Box<Op>),
    Call(Box<Call>),
}

/// An element by a name that may stand for several JSON names or types.
#[derive(Debug)]
pub(crate) struct MemberStep {
    /// The name in the path, with which all of its JSON names begin.
    pub(super) name: Box<str>,
    /// The JSON names, by the type set of the item that has them.
    pub(super) routes: Vec<Route>,
    /// Whether the first route is for every item.
    pub(super) any: bool,
    pub(super) companions: Companions,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    pub(super) from: SetId,
    /// Sorted by name, so that a choice of fifty is found by searching.
    pub(super) keys: Vec<(Box<str>, SetId)>,
}

/// What happens to the companions (`_birthDate`) of primitives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Companions {
    /// They are not needed.
    Ignored,
    /// They go along with the values, because something later asks for extensions of primitives.
    Carried,
    /// The next step asks for extensions: they count even without a value.
    Counted,
}

impl Op {
    /// Returns the names that the path begins with, where it begins at the focus.
    pub(crate) fn leading_walk(&self) -> Option<&[Key]> {
        match self {
            Self::Walk(keys) => Some(keys),
            Self::Path { start, .. } => match &**start {
                Self::Walk(keys) => Some(keys),
                _ => None,
            },
            _ => None,
        }
    }

    /// Returns how the path's one result can be read off what its leading names led to, without running it.
    pub(crate) fn shortcut(&self) -> Option<Shortcut> {
        match self {
            Self::Walk(keys) => keys.last().map(|key| Shortcut::Element(key.to)),
            Self::Path { start, steps } => match (&**start, &**steps) {
                (Self::Focus, [PathStep::Call(call)]) if call.name == "getResourceKey" => {
                    Some(Shortcut::ResourceKey)
                }
                (Self::Walk(keys), [PathStep::Call(call)]) if call.name == "getReferenceKey" => {
                    let wanted = call.type_test().map(|test| test.datatype.name());
                    keys.last().map(|key| Shortcut::ReferenceKey { set: key.to, wanted })
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// Returns whether the path ends in keys: those of references (`true`) or those of resources (`false`).
    pub(crate) fn last_key(&self) -> Option<bool> {
        let Self::Path { steps, .. } = self else { return None };
        for step in steps.iter().rev() {
            match step {
                PathStep::Call(call) => match call.name {
                    "getReferenceKey" => return Some(true),
                    "getResourceKey" => return Some(false),
                    "first" | "last" | "distinct" | "where" | "take" | "skip" | "tail" => {}
                    _ => return None,
                },
                PathStep::Index(_) => {}
                PathStep::Key(_) | PathStep::Member(_) => return None,
            }
        }
        None
    }
}

static NOTHING: Op = Op::Nothing;

impl Call {
    /// Returns the path in an argument; nothing where the argument was left out.
    pub(super) fn op(&self, argument: usize) -> &Op {
        match self.arguments.get(argument) {
            Some(Argument::Op(op)) => op,
            _ => &NOTHING,
        }
    }

    /// Returns the type in the first argument.
    pub(super) fn type_test(&self) -> Option<&TypeTest> {
        match self.arguments.first() {
            Some(Argument::Type(test)) => Some(test),
            _ => None,
        }
    }
}

/// The most common paths of columns.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shortcut {
    /// Names alone.
    Element(SetId),
    /// `getResourceKey()`
    ResourceKey,
    /// Names, then `getReferenceKey(wanted)`.
    ReferenceKey { set: SetId, wanted: Option<&'static str> },
}

/// A function with its arguments.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) name: &'static str,
    pub(super) run: FunctionRun,
    pub(super) arguments: Vec<Argument>,
}

#[derive(Debug)]
pub(super) enum Argument {
    /// Run where the call stands, or once for each item: the function decides.
    Op(Op),
    Type(TypeTest),
    /// A regular expression of the pool.
    Pattern(usize),
}

/// A type that items are tested for.
#[derive(Debug, Clone)]
pub(super) struct TypeTest {
    pub(super) datatype: Datatype,
    /// What an item is once it has passed.
    pub(super) to: SetId,
    /// A type of `System`, which the primitives of FHIR that convert to it count as.
    pub(super) system: bool,
}

impl TypeTest {
    /// Returns whether a place of these types may have the type.
    pub(super) fn admits(&self, types: &TypeSet) -> bool {
        match self.datatype {
            Datatype::Primitive(wanted) if self.system => {
                types.primitives().any(|primitive| primitive.system() == wanted)
            }
            datatype => types.contains(datatype),
        }
    }
}
