//! Functions on collections: existence, filtering, subsetting, combining, types and extensions.

#![expect(clippy::unnecessary_wraps, reason = "every function of the table has one signature")]

use crate::fhirpath::comparison::Distinct;
use crate::fhirpath::item::{ElementRef, Item, PathError};
use crate::fhirpath::machine::Machine;
use crate::fhirpath::program::{Call, TypeTest};

/// Collections longer than this are not made distinct: of dates and quantities every one is compared with every other.
const DISTINCT_ITEMS: usize = 10_000;

pub(super) fn exists<'m>(
    m: &mut Machine<'m>,
    call: &'m Call,
    base: usize,
    focus: Item,
) -> Result<(), PathError> {
    if !call.arguments.is_empty() {
        filter(m, call, base, focus)?;
    }
    let found = m.len() > base;
    m.answer(base, Some(found))
}

pub(super) fn empty<'m>(m: &mut Machine<'m>, _: &'m Call, base: usize, _: Item) -> Result<(), PathError> {
    let found = m.len() > base;
    m.answer(base, Some(!found))
}

pub(super) fn all<'m>(m: &mut Machine<'m>, call: &'m Call, base: usize, _: Item) -> Result<(), PathError> {
    let mut answer = true;
    for index in base..m.len() {
        answer &= m.condition(call.op(0), m.at(index))? == Some(true);
    }
    m.answer(base, Some(answer))
}

pub(super) fn not<'m>(m: &mut Machine<'m>, _: &'m Call, base: usize, _: Item) -> Result<(), PathError> {
    let answer = m.truth(base)?;
    m.answer(base, answer.map(|answer| !answer))
}

/// Runs `where`, which is a word of Rust.
pub(super) fn filter<'m>(m: &mut Machine<'m>, call: &'m Call, base: usize, _: Item) -> Result<(), PathError> {
    m.each(base, |m, item| {
        if m.condition(call.op(0), item)? == Some(true) {
            m.push(item);
        }
        Ok(())
    })
}

pub(super) fn select<'m>(m: &mut Machine<'m>, call: &'m Call, base: usize, _: Item) -> Result<(), PathError> {
    m.each(base, |m, item| m.run(call.op(0), item))
}

pub(super) fn count<'m>(m: &mut Machine<'m>, _: &'m Call, base: usize, _: Item) -> Result<(), PathError> {
    let count = m.len() - base;
    m.truncate(base);
    m.push(Item::integer(count));
    Ok(())
}

pub(super) fn first<'m>(m: &mut Machine<'m>, _: &'m Call, base: usize, _: Item) -> Result<(), PathError> {
    m.truncate(base + 1);
    Ok(())
}

pub(super) fn last<'m>(m: &mut Machine<'m>, _: &'m Call, base: usize, _: Item) -> Result<(), PathError> {
    let before_last = m.len().saturating_sub(1);
    m.remove(base..before_last.max(base));
    Ok(())
}

pub(super) fn tail<'m>(m: &mut Machine<'m>, _: &'m Call, base: usize, _: Item) -> Result<(), PathError> {
    let second = m.len().min(base + 1);
    m.remove(base..second);
    Ok(())
}

pub(super) fn skip<'m>(
    m: &mut Machine<'m>,
    call: &'m Call,
    base: usize,
    focus: Item,
) -> Result<(), PathError> {
    if let Some(count) = m.whole(call.op(0), focus)? {
        let kept = base + usize::try_from(count).unwrap_or(0).min(m.len() - base);
        m.remove(base..kept);
    }
    Ok(())
}

pub(super) fn take<'m>(
    m: &mut Machine<'m>,
    call: &'m Call,
    base: usize,
    focus: Item,
) -> Result<(), PathError> {
    let count = m.whole(call.op(0), focus)?.unwrap_or(0);
    let kept = usize::try_from(count).unwrap_or(0).min(m.len() - base);
    m.truncate(base + kept);
    Ok(())
}

pub(super) fn combine<'m>(
    m: &mut Machine<'m>,
    call: &'m Call,
    _: usize,
    focus: Item,
) -> Result<(), PathError> {
    m.run(call.op(0), focus)
}

pub(super) fn distinct<'m>(m: &mut Machine<'m>, _: &'m Call, base: usize, _: Item) -> Result<(), PathError> {
    make_distinct(m, base)
}

/// Keeps the first of items that are equal.
pub(in crate::fhirpath) fn make_distinct(m: &mut Machine<'_>, base: usize) -> Result<(), PathError> {
    let end = m.len();
    if end - base > DISTINCT_ITEMS {
        return Err(PathError::TOO_LARGE);
    }
    if end - base > 1 {
        m.expect_known(base)?;
        let mut distinct = Distinct::default();
        for index in base..end {
            let item = m.at(index);
            if distinct.insert(m.value(item)?) {
                m.push(item);
            }
        }
        m.remove(base..end);
    }
    Ok(())
}

pub(super) fn iif<'m>(m: &mut Machine<'m>, call: &'m Call, base: usize, _: Item) -> Result<(), PathError> {
    let item = m.single(base)?.unwrap_or(Item::Nothing);
    m.truncate(base);
    let branch = if m.condition(call.op(0), item)? == Some(true) { 1 } else { 2 };
    m.run(call.op(branch), item)
}

/// Runs `ofType` and `as`.
pub(in crate::fhirpath) fn of_type<'m>(
    m: &mut Machine<'m>,
    call: &'m Call,
    base: usize,
    _: Item,
) -> Result<(), PathError> {
    let Some(test) = call.type_test() else { return Ok(()) };
    m.each(base, |m, item| {
        if passes(m, item, test) {
            m.push(match item {
                Item::Element(element) if !test.system => {
                    Item::Element(ElementRef { set: test.to, ..element })
                }
                item => item,
            });
        }
        Ok(())
    })
}

pub(in crate::fhirpath) fn is<'m>(
    m: &mut Machine<'m>,
    call: &'m Call,
    base: usize,
    _: Item,
) -> Result<(), PathError> {
    let answer = match (m.single(base)?, call.type_test()) {
        (Some(item), Some(test)) => Some(passes(m, item, test)),
        _ => None,
    };
    m.answer(base, answer)
}

fn passes(m: &Machine<'_>, item: Item, test: &TypeTest) -> bool {
    match item {
        Item::Element(element) => m.element_is(element, test),
        item => m.computed_value_is(item, test),
    }
}

pub(super) fn extension<'m>(
    m: &mut Machine<'m>,
    call: &'m Call,
    base: usize,
    focus: Item,
) -> Result<(), PathError> {
    let argument = m.len();
    m.run(call.op(0), focus)?;
    let url = m.text_at(argument)?;
    m.truncate(argument);
    let Some(url) = url else {
        m.truncate(base);
        return Ok(());
    };
    m.each(base, |m, item| {
        if let Item::Element(element) = item {
            m.push_extensions(element, &url);
        }
        Ok(())
    })
}
