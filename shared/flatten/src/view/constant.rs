//! The constants of a view: typed, present once, and none that hides a name of the language.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use crate::fhirpath::{Literal, Pool, constant};
use crate::model::Primitive;

use super::definition::join;
use super::invalid::Mistake;
use crate::row::is_portable_name;

/// Names that paths give a meaning of their own.
const RESERVED: [&str; 4] = ["context", "resource", "rowIndex", "ucum"];

/// Puts the constants into the pool, by name.
pub(super) fn bind(
    constants: &[(String, Map<String, Json>)],
    pool: &mut Pool,
    mistakes: &mut Vec<Mistake>,
) -> BTreeMap<String, u32> {
    let mut bound = BTreeMap::new();
    for (place, object) in constants {
        let name = object.get("name").and_then(Json::as_str).unwrap_or_default();
        if !is_portable_name(name) || RESERVED.contains(&name) {
            let expected = format!("a name of letters, digits and `_`, none of {}", RESERVED.join(", "));
            mistakes.push(Mistake::new(join(place, "name"), expected));
        }
        match value(place, object) {
            Ok(literal) => {
                let known = bound.insert(name.to_owned(), pool.add_literal(literal)).is_some();
                if known {
                    mistakes.push(Mistake::new(join(place, "name"), "a name that no other constant has"));
                }
            }
            Err(mistake) => {
                // It is bound all the same, so that its uses are not reported as well.
                bound.entry(name.to_owned()).or_insert_with(|| pool.add_literal(Literal::Boolean(false)));
                mistakes.push(mistake);
            }
        }
    }
    bound
}

fn value(place: &str, object: &Map<String, Json>) -> Result<Literal, Mistake> {
    let mut values = object.iter().filter(|(member, _)| member.starts_with("value"));
    let (Some((member, json)), None) = (values.next(), values.next()) else {
        return Err(Mistake::new(join(place, "value[x]"), "exactly one value, such as `valueString`"));
    };
    let primitive = Primitive::ALL.iter().copied().find(|primitive| {
        let suffix = member.strip_prefix("value").unwrap_or_default();
        let (first, rest) = primitive.name().split_at(1);
        suffix.strip_prefix(first.to_ascii_uppercase().as_str()) == Some(rest)
    });
    let literal = primitive.and_then(|primitive| constant(primitive, json));
    let expected = || match primitive {
        Some(primitive) => format!("a value of the type {}", primitive.name()),
        None => "a member named for a primitive type, such as `valueString`".to_owned(),
    };
    literal.ok_or_else(|| Mistake::new(join(place, member), expected()))
}
