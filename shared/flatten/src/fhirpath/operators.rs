//! The operators, FHIRPath section 6, with three-valued logic: nothing stands for "unknown".

use std::cmp::Ordering;

use super::calendar::{Amount, NotApplicable};
use super::comparison::{compare, equal};
use super::decimal::Decimal;
use super::functions::make_distinct;
use super::item::{Item, ItemValue, PathError};
use super::machine::Machine;
use super::program::{ChainLink, Op};
use super::syntax::BinaryOperator;

impl<'m> Machine<'m> {
    /// Runs the operands on the focus, applies the operators from left to right and leaves the result on the stack.
    pub(super) fn chain(
        &mut self,
        first: &'m Op,
        links: &'m [ChainLink],
        focus: Item,
    ) -> Result<(), PathError> {
        let base = self.len();
        self.run(first, focus)?;
        if let [ChainLink { operator: BinaryOperator::Union, .. }, ..] = links {
            // What binds as tightly as a union is a union.
            links.iter().try_for_each(|link| self.run(&link.operand, focus))?;
            return make_distinct(self, base);
        }
        links.iter().try_for_each(|link| self.link(base, link, focus))
    }

    /// Applies an operator to what stands from `base` on and to its right side.
    fn link(&mut self, base: usize, link: &'m ChainLink, focus: Item) -> Result<(), PathError> {
        let operator = link.operator;
        if let BinaryOperator::And | BinaryOperator::Or | BinaryOperator::Xor | BinaryOperator::Implies =
            operator
        {
            let left = self.truth(base)?;
            self.truncate(base);
            let answer = self.logic(operator, left, &link.operand, focus)?;
            return self.answer(base, answer);
        }
        let middle = self.len();
        self.run(&link.operand, focus)?;
        self.expect_known(base)?;
        match operator {
            BinaryOperator::Equal => {
                let answer = self.equal(base, middle)?;
                self.answer(base, answer)
            }
            BinaryOperator::NotEqual => {
                let answer = self.equal(base, middle)?;
                self.answer(base, answer.map(|answer| !answer))
            }
            BinaryOperator::In => self.member_of(base, base..middle, middle..self.len()),
            BinaryOperator::Contains => self.member_of(base, middle..self.len(), base..middle),
            BinaryOperator::Less
            | BinaryOperator::LessOrEqual
            | BinaryOperator::Greater
            | BinaryOperator::GreaterOrEqual => {
                let order = self.pair(base, middle)?.map(|(a, b)| compare(&a, &b)).transpose()?.flatten();
                self.answer(base, order.map(|order| holds(operator, order)))
            }
            BinaryOperator::Concatenate => self.concatenate(base, middle),
            _ => self.arithmetic(link, base, middle),
        }
    }

    pub(super) fn negate(&mut self, base: usize, is_integer: bool) -> Result<(), PathError> {
        let negated = match self.single_value(base)? {
            None => return Ok(()),
            Some(ItemValue::Number(number)) => number.negate(),
            Some(_) => return Err(self.fault_at(base)),
        };
        self.truncate(base);
        self.push_number(negated.filter(|number| !is_integer || number.fits_integer()));
        Ok(())
    }

    /// Applies Kleene's logic. The right side is not run where the left one decides.
    fn logic(
        &mut self,
        operator: BinaryOperator,
        left: Option<bool>,
        right: &'m Op,
        focus: Item,
    ) -> Result<Option<bool>, PathError> {
        match (operator, left) {
            (BinaryOperator::And, Some(false)) => return Ok(Some(false)),
            (BinaryOperator::Or, Some(true)) | (BinaryOperator::Implies, Some(false)) => {
                return Ok(Some(true));
            }
            _ => {}
        }
        let right = self.condition(right, focus)?;
        Ok(match operator {
            BinaryOperator::And => match (left, right) {
                (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            },
            BinaryOperator::Or => match (left, right) {
                (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
            BinaryOperator::Implies => match (left, right) {
                (_, Some(true)) => Some(true),
                (Some(true), Some(false)) => Some(false),
                _ => None,
            },
            _ => left.zip(right).map(|(left, right)| left != right),
        })
    }

    /// Returns whether the items of two collections are equal, in order; `None` where one is empty.
    fn equal(&self, base: usize, middle: usize) -> Result<Option<bool>, PathError> {
        let (left, right) = (base..middle, middle..self.len());
        if left.is_empty() || right.is_empty() {
            return Ok(None);
        }
        if left.len() != right.len() {
            return Ok(Some(false));
        }
        let mut answer = Some(true);
        for (left, right) in left.zip(right) {
            match self.equal_items(self.at(left), self.at(right))? {
                Some(false) => return Ok(Some(false)),
                None => answer = None,
                Some(true) => {}
            }
        }
        Ok(answer)
    }

    pub(super) fn equal_items(&self, left: Item, right: Item) -> Result<Option<bool>, PathError> {
        Ok(equal(&self.value(left)?, &self.value(right)?))
    }

    fn member_of(
        &mut self,
        base: usize,
        one: std::ops::Range<usize>,
        many: std::ops::Range<usize>,
    ) -> Result<(), PathError> {
        if one.is_empty() {
            return self.answer(base, None);
        }
        if one.len() > 1 {
            return Err(self.fault_at(one.start + 1));
        }
        let item = self.at(one.start);
        let mut found = false;
        for index in many {
            found = found || self.equal_items(item, self.at(index))? == Some(true);
        }
        self.answer(base, Some(found))
    }

    /// Returns the two single operands; `None` where one is missing.
    fn pair(&self, base: usize, middle: usize) -> Result<Option<(ItemValue<'m>, ItemValue<'m>)>, PathError> {
        if middle - base > 1 {
            return Err(self.fault_at(base + 1));
        }
        let right = self.single_value(middle)?;
        match right {
            Some(right) if middle > base => Ok(Some((self.value(self.at(base))?, right))),
            _ => Ok(None),
        }
    }

    fn arithmetic(&mut self, link: &ChainLink, base: usize, middle: usize) -> Result<(), PathError> {
        let (operator, fault) = (link.operator, self.fault_at(base));
        let result = match self.pair(base, middle)? {
            None => None,
            Some((ItemValue::Number(left), ItemValue::Number(right))) => calculate(operator, left, right),
            Some((ItemValue::Text(left), ItemValue::Text(right))) if operator == BinaryOperator::Add => {
                self.append_text(base, &left, &right);
                return Ok(());
            }
            Some((ItemValue::Temporal(text, temporal), ItemValue::Quantity(quantity))) => {
                let amount = match operator {
                    BinaryOperator::Add => Some(quantity.value),
                    BinaryOperator::Subtract => quantity.value.negate(),
                    _ => return Err(fault),
                };
                let amount = amount.and_then(|amount| Amount::of(amount, &quantity.unit)).ok_or(fault)?;
                let moved = temporal.plus(&text, amount).map_err(|NotApplicable| fault)?;
                self.truncate(base);
                if let Some(moved) = moved {
                    self.push_temporal(&moved, temporal.kind);
                }
                return Ok(());
            }
            Some(_) => return Err(fault),
        };
        self.truncate(base);
        // An integer beyond 32 bits is not a value.
        self.push_number(result.filter(|number| !link.is_integer || number.fits_integer()));
        Ok(())
    }

    /// Runs `&`, for which nothing is the empty text.
    fn concatenate(&mut self, base: usize, middle: usize) -> Result<(), PathError> {
        if middle - base > 1 {
            return Err(self.fault_at(base + 1));
        }
        let right = self.text_at(middle)?.unwrap_or_default();
        let left = if middle > base { self.text_of(self.at(base))? } else { "".into() };
        if middle == base {
            self.truncate(base);
        }
        self.append_text(base, &left, &right);
        Ok(())
    }
}

fn calculate(operator: BinaryOperator, left: Decimal, right: Decimal) -> Option<Decimal> {
    match operator {
        BinaryOperator::Add => left.add(right),
        BinaryOperator::Subtract => left.subtract(right),
        BinaryOperator::Multiply => left.multiply(right),
        BinaryOperator::Divide => left.divide(right),
        BinaryOperator::IntegerDivide => left.divide_whole(right),
        BinaryOperator::Remainder => left.remainder(right),
        _ => None,
    }
}

const fn holds(operator: BinaryOperator, order: Ordering) -> bool {
    match operator {
        BinaryOperator::Less => order.is_lt(),
        BinaryOperator::LessOrEqual => order.is_le(),
        BinaryOperator::Greater => order.is_gt(),
        _ => order.is_ge(),
    }
}
