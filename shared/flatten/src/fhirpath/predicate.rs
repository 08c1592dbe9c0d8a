//! Predicates: yes-or-no questions to a resource, for archive rules and checks.

use std::collections::BTreeMap;

use crate::json::Node;
use crate::model::{Datatype, Primitive, type_named};

use super::InvalidPath;
use super::compile::{CompiledPath, Compiler};
use super::item::Unanswered;
use super::machine::{Context, Machine, Scratch};
use super::program::{Op, Pool};
use super::types::{SetId, StaticType, TypeSet};

/// A compiled condition on resources of one type.
#[derive(Debug)]
pub struct Predicate {
    pool: Pool,
    op: Op,
    resource: SetId,
    text: String,
}

impl Predicate {
    /// Compiles a condition on resources of the given type. An element that no release has is a mistake: such a
    /// condition would hold for no resource, or for all.
    pub fn compile(resource_type: &str, path: &str) -> Result<Self, InvalidPath> {
        let once = Self::compile_with(resource_type, path, false)?;
        match once {
            (predicate, false) => Ok(predicate),
            (_, true) => Ok(Self::compile_with(resource_type, path, true)?.0),
        }
    }

    /// Returns what the condition says of a resource; `None` where it says nothing. A result that is neither one boolean
    /// nor empty is a defect whose path is the condition.
    pub fn holds(
        &self,
        resource: Node<'_>,
        context: &Context<'_>,
        scratch: &mut Scratch,
    ) -> Result<Option<bool>, Unanswered> {
        let mut machine = Machine::new(&self.pool, (resource, self.resource), *context, scratch);
        let focus = machine.resource();
        machine
            .start(&self.op, focus)
            .and_then(|()| machine.filter_result(0))
            .map_err(|fault| fault.named(self.text.clone()))
    }

    /// Returns the condition as written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the predicate, and whether it has to be compiled again with companions carried.
    fn compile_with(resource_type: &str, path: &str, carry: bool) -> Result<(Self, bool), InvalidPath> {
        let mut pool = Pool::default();
        let resource = pool.set(TypeSet::of(type_named(resource_type).map(Datatype::Complex)));
        let of = StaticType { sets: vec![resource], single: true };
        let constants = BTreeMap::new();
        let mut compiler = Compiler {
            pool: &mut pool,
            constants: &constants,
            resource: of.clone(),
            has_rows: false,
            carry,
            wants_carry: false,
            unknown: Vec::new(),
        };
        let CompiledPath { op, of } = compiler.compile(path, &of)?;
        if let Some(unknown) = compiler.unknown.into_iter().next() {
            return Err(unknown);
        }
        let again = compiler.wants_carry && !carry;
        if !can_be_boolean(&pool, &of) {
            return Err(InvalidPath::new(0, "a condition, which is true or false"));
        }
        Ok((Self { pool, op, resource, text: path.to_owned() }, again))
    }
}

/// Returns whether a path may yield a boolean.
pub(crate) fn can_be_boolean(pool: &Pool, of: &StaticType) -> bool {
    of.sets.iter().any(|&set| {
        let types = pool.datatypes(set);
        types.is_unknown() || types.primitives().any(|primitive| primitive == Primitive::Boolean)
    })
}
