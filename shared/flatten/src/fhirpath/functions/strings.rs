//! Functions on text, FHIRPath section 5.6. Positions and lengths are counted in characters.

use std::borrow::Cow;

use crate::fhirpath::item::{Item, PathError};
use crate::fhirpath::machine::Machine;
use crate::fhirpath::program::{Argument, Call};

pub(super) fn contains<'m>(
    m: &mut Machine<'m>,
    call: &'m Call,
    base: usize,
    focus: Item,
) -> Result<(), PathError> {
    ask(m, (call, focus), base, |text, part| text.contains(part))
}

pub(super) fn starts_with<'m>(
    m: &mut Machine<'m>,
    call: &'m Call,
    base: usize,
    focus: Item,
) -> Result<(), PathError> {
    ask(m, (call, focus), base, |text, part| text.starts_with(part))
}

pub(super) fn ends_with<'m>(
    m: &mut Machine<'m>,
    call: &'m Call,
    base: usize,
    focus: Item,
) -> Result<(), PathError> {
    ask(m, (call, focus), base, |text, part| text.ends_with(part))
}

pub(super) fn matches<'m>(
    m: &mut Machine<'m>,
    call: &'m Call,
    base: usize,
    _: Item,
) -> Result<(), PathError> {
    let text = m.text_at(base)?;
    let pattern = match call.arguments.first() {
        Some(Argument::Pattern(index)) => m.pattern(*index),
        _ => None,
    };
    let answer = text.zip(pattern).map(|(text, pattern)| pattern.is_match(&text));
    m.answer(base, answer)
}

pub(super) fn length<'m>(m: &mut Machine<'m>, _: &'m Call, base: usize, _: Item) -> Result<(), PathError> {
    let text = m.text_at(base)?;
    m.truncate(base);
    if let Some(text) = text {
        m.push(Item::integer(text.chars().count()));
    }
    Ok(())
}

pub(super) fn lower<'m>(m: &mut Machine<'m>, _: &'m Call, base: usize, _: Item) -> Result<(), PathError> {
    change(m, base, str::to_lowercase)
}

pub(super) fn upper<'m>(m: &mut Machine<'m>, _: &'m Call, base: usize, _: Item) -> Result<(), PathError> {
    change(m, base, str::to_uppercase)
}

pub(super) fn trim<'m>(m: &mut Machine<'m>, _: &'m Call, base: usize, _: Item) -> Result<(), PathError> {
    change(m, base, |text| text.trim().to_owned())
}

pub(super) fn substring<'m>(
    m: &mut Machine<'m>,
    call: &'m Call,
    base: usize,
    focus: Item,
) -> Result<(), PathError> {
    let text = m.text_at(base)?;
    let start = m.whole(call.op(0), focus)?;
    let length = if call.arguments.len() > 1 { m.whole(call.op(1), focus)?.unwrap_or(0) } else { i128::MAX };
    m.truncate(base);
    let (Some(text), Some(start)) = (text, start) else { return Ok(()) };
    let Ok(start) = usize::try_from(start) else { return Ok(()) };
    let Some((begin, _)) = text.char_indices().nth(start) else { return Ok(()) };
    let tail = text.get(begin..).unwrap_or_default();
    let count = usize::try_from(length.max(0)).unwrap_or(usize::MAX);
    let end = tail.char_indices().nth(count).map_or(tail.len(), |(end, _)| end);
    m.push_text(tail.get(..end).unwrap_or_default());
    Ok(())
}

pub(super) fn replace<'m>(
    m: &mut Machine<'m>,
    call: &'m Call,
    base: usize,
    focus: Item,
) -> Result<(), PathError> {
    let (text, pattern) = (m.text_at(base)?, m.text(call.op(0), focus)?);
    let substitute = m.text(call.op(1), focus)?;
    m.truncate(base);
    if let (Some(text), Some(pattern), Some(substitute)) = (text, pattern, substitute) {
        m.push_text(&text.replace(&*pattern, &substitute));
    }
    Ok(())
}

pub(super) fn split<'m>(
    m: &mut Machine<'m>,
    call: &'m Call,
    base: usize,
    focus: Item,
) -> Result<(), PathError> {
    let (text, separator) = (m.text_at(base)?, m.text(call.op(0), focus)?);
    m.truncate(base);
    let (Some(text), Some(separator)) = (text, separator) else { return Ok(()) };
    if separator.is_empty() {
        m.push_text(&text);
    } else {
        text.split(&*separator).for_each(|part| m.push_text(part));
    }
    Ok(())
}

/// Joins texts. An empty collection gives an empty collection, not the empty text.
pub(super) fn join<'m>(
    m: &mut Machine<'m>,
    call: &'m Call,
    base: usize,
    focus: Item,
) -> Result<(), PathError> {
    let end = m.len();
    let separator =
        if call.arguments.is_empty() { Some(Cow::Borrowed("")) } else { m.text(call.op(0), focus)? };
    let mut joined = String::new();
    for index in base..end {
        if index > base {
            joined.push_str(separator.as_deref().unwrap_or_default());
        }
        joined.push_str(&m.text_of(m.at(index))?);
    }
    m.truncate(base);
    if end > base && separator.is_some() {
        m.push_text(&joined);
    }
    Ok(())
}

fn ask<'m>(
    m: &mut Machine<'m>,
    (call, focus): (&'m Call, Item),
    base: usize,
    compare: fn(&str, &str) -> bool,
) -> Result<(), PathError> {
    let text = m.text_at(base)?;
    let part = m.text(call.op(0), focus)?;
    m.answer(base, text.zip(part).map(|(text, part)| compare(&text, &part)))
}

fn change(m: &mut Machine<'_>, base: usize, change: fn(&str) -> String) -> Result<(), PathError> {
    let text = m.text_at(base)?;
    m.truncate(base);
    if let Some(text) = text {
        m.push_text(&change(&text));
    }
    Ok(())
}
