//! Compiling operators: chains of them, the types that they can work on, and the type of the result.

use std::collections::BTreeSet;

use crate::model::{Datatype, Primitive};

use super::InvalidPath;
use super::calendar::Amount;
use super::compile::{Compiled, CompiledPath, Compiler, PathScope};
use super::decimal::Decimal;
use super::literal::Literal;
use super::program::{ChainLink, Op};
use super::syntax::{BinaryOperator, Syntax, SyntaxKind, SyntaxLink};
use super::types::{StaticType, TypeSet};

/// What arithmetic tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Operand {
    Number,
    Text,
    /// A date, a dateTime or a time.
    Temporal,
    Quantity,
    /// Nothing that can be calculated with.
    Other,
}

impl Compiler<'_> {
    /// Compiles operators that bind equally tightly.
    pub(super) fn chain(&mut self, first: &Syntax, links: &[SyntaxLink], scope: PathScope<'_>) -> Compiled {
        let CompiledPath { op: first, mut of } = self.expression(first, scope)?;
        let mut compiled = Vec::with_capacity(links.len());
        for link in links {
            let right = self.expression(&link.operand, scope)?;
            self.check_operands(link, &of, &right.of)?;
            let result = self.result(link.operator, &of, &right.of);
            let is_arithmetic = link.operator.binding() >= BinaryOperator::Add.binding();
            let is_integer = is_arithmetic && self.is_integer(&result);
            compiled.push(ChainLink { operator: link.operator, operand: right.op, is_integer });
            of = result;
        }
        let op = match self.literals(&first, &compiled) {
            Some(literals) => Op::Literals(literals),
            None => Op::Chain { first: Box::new(first), links: compiled.into() },
        };
        Ok(CompiledPath { op, of })
    }

    /// Returns the literals of a union of texts, such as a list of codes, which are compared once, when the path is compiled.
    fn literals(&self, first: &Op, links: &[ChainLink]) -> Option<Box<[u32]>> {
        if links.iter().any(|link| link.operator != BinaryOperator::Union) {
            return None;
        }
        let (mut texts, mut literals) = (BTreeSet::new(), Vec::new());
        for op in std::iter::once(first).chain(links.iter().map(|link| &link.operand)) {
            let Op::Literal(index) = *op else { return None };
            let (Literal::Text { text, .. }, _) = self.pool.literal(index)? else { return None };
            if texts.insert(text.as_str()) {
                literals.push(index);
            }
        }
        Some(literals.into())
    }

    /// Returns what is known of an operator's result.
    fn result(&mut self, operator: BinaryOperator, left: &StaticType, right: &StaticType) -> StaticType {
        match operator {
            BinaryOperator::Union => left.clone().join(right, false),
            BinaryOperator::Concatenate => self.one(Primitive::String),
            BinaryOperator::Divide => self.one(Primitive::Decimal),
            BinaryOperator::IntegerDivide => self.one(Primitive::Integer),
            BinaryOperator::Add | BinaryOperator::Subtract if self.is_moved(left, right) => self.moved(left),
            BinaryOperator::Add
            | BinaryOperator::Subtract
            | BinaryOperator::Multiply
            | BinaryOperator::Remainder => {
                let operand = self.sum(left, right);
                self.one(operand)
            }
            _ => self.one(Primitive::Boolean),
        }
    }

    /// Returns whether nothing can work but a date or a time that is moved by a quantity.
    fn is_moved(&self, left: &StaticType, right: &StaticType) -> bool {
        let (left, right) = (self.operands(left), self.operands(right));
        let are_numbers = left.contains(&Operand::Number) && right.contains(&Operand::Number);
        left.contains(&Operand::Temporal) && right.contains(&Operand::Quantity) && !are_numbers
    }

    /// Returns the types of a date or a time that is moved: its own.
    fn moved(&mut self, left: &StaticType) -> StaticType {
        let mut found = StaticType { sets: Vec::new(), single: true };
        for set in left.sets.clone() {
            let types = self.pool.datatypes(set).clone();
            let temporals =
                types.primitives().filter(|primitive| operand_of(*primitive) == Operand::Temporal);
            let kept = if types.is_unknown() {
                TypeSet::UNKNOWN
            } else {
                TypeSet::of(temporals.map(Datatype::Primitive))
            };
            if types.is_unknown() || !kept.is_unknown() {
                let kept = self.pool.set(kept);
                found = found.join(&StaticType::one(kept), true);
            }
        }
        found
    }

    /// Returns the type of a sum, difference or product: text if both are, an integer if both are, else a decimal.
    fn sum(&self, left: &StaticType, right: &StaticType) -> Primitive {
        let is_text = |of: &StaticType| self.operands(of).iter().all(|operand| *operand == Operand::Text);
        if self.is_integer(left) && self.is_integer(right) {
            Primitive::Integer
        } else if is_text(left) && is_text(right) {
            Primitive::String
        } else {
            Primitive::Decimal
        }
    }

    /// Returns whether nothing but integers can stand there.
    pub(super) fn is_integer(&self, of: &StaticType) -> bool {
        of.sets.iter().all(|&set| {
            let types = self.pool.datatypes(set);
            !types.is_unknown()
                && types.datatypes().iter().all(|datatype| {
                    matches!(datatype, Datatype::Primitive(primitive) if primitive.system() == Primitive::Integer)
                })
        })
    }

    /// Returns what arithmetic can meet; everything where something is unknown.
    fn operands(&self, of: &StaticType) -> BTreeSet<Operand> {
        let mut found = BTreeSet::new();
        for &set in &of.sets {
            let types = self.pool.datatypes(set);
            if types.is_unknown() {
                found.extend([Operand::Number, Operand::Text, Operand::Temporal, Operand::Quantity]);
            }
            found.extend(types.datatypes().iter().map(|datatype| match datatype {
                Datatype::Primitive(primitive) => operand_of(*primitive),
                Datatype::Complex(_) if is_quantity(*datatype) => Operand::Quantity,
                Datatype::Complex(_) | Datatype::Resource => Operand::Other,
            }));
        }
        found
    }

    /// Refuses arithmetic that works on none of the types that can stand on its sides.
    fn check_operands(
        &self,
        link: &SyntaxLink,
        left: &StaticType,
        right: &StaticType,
    ) -> Result<(), InvalidPath> {
        let works: fn(Operand, Operand) -> bool = match link.operator {
            BinaryOperator::Add => |left, right| {
                left == right && matches!(left, Operand::Number | Operand::Text)
                    || (left, right) == (Operand::Temporal, Operand::Quantity)
            },
            BinaryOperator::Subtract => |left, right| {
                (left, right) == (Operand::Number, Operand::Number)
                    || (left, right) == (Operand::Temporal, Operand::Quantity)
            },
            BinaryOperator::Multiply
            | BinaryOperator::Divide
            | BinaryOperator::IntegerDivide
            | BinaryOperator::Remainder => |left, right| (left, right) == (Operand::Number, Operand::Number),
            _ => return Ok(()),
        };
        let (lefts, rights) = (self.operands(left), self.operands(right));
        let is_possible = lefts.is_empty()
            || rights.is_empty()
            || lefts.iter().any(|left| rights.iter().any(|right| works(*left, *right)));
        if !is_possible {
            let (left, right) = (self.describe(left), self.describe(right));
            let expected = format!("types that the operator works on; these are {left} and {right}");
            return Err(InvalidPath::new(link.at, expected));
        }
        match &link.operand.kind {
            SyntaxKind::Quantity { unit, .. } if Amount::of(Decimal::ZERO, unit).is_none() => Err(
                InvalidPath::new(link.operand.at, "a unit of time, because a date or a time is moved by it"),
            ),
            _ => Ok(()),
        }
    }

    /// Refuses the negative of what can be no number.
    pub(super) fn check_number(&self, at: usize, of: &StaticType) -> Result<(), InvalidPath> {
        let operands = self.operands(of);
        if operands.is_empty() || operands.contains(&Operand::Number) {
            return Ok(());
        }
        Err(InvalidPath::new(at, format!("a number behind `-`; what stands there is {}", self.describe(of))))
    }
}

fn operand_of(primitive: Primitive) -> Operand {
    match (primitive, primitive.system()) {
        (_, Primitive::Integer | Primitive::Integer64 | Primitive::Decimal) => Operand::Number,
        (_, Primitive::Boolean) => Operand::Other,
        (Primitive::Instant, _) | (_, Primitive::Date | Primitive::DateTime | Primitive::Time) => {
            Operand::Temporal
        }
        _ => Operand::Text,
    }
}

/// Returns whether a datatype is Quantity or a kind of it.
fn is_quantity(datatype: Datatype) -> bool {
    const QUANTITIES: [&str; 8] =
        ["Quantity", "SimpleQuantity", "MoneyQuantity", "Age", "Count", "Distance", "Duration", "Money"];
    QUANTITIES.contains(&datatype.name())
}
