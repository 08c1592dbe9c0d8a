//! From an element's name to the JSON names that it may stand for, by the types of what has it.

use crate::model::{Datatype, Primitive, type_named};

use super::program::{Companions, MemberStep, Pool, Route};
use super::types::{SetId, StaticType, TypeSet};

/// What a name leads to.
pub(super) struct MemberTarget {
    pub(super) member: MemberStep,
    pub(super) of: StaticType,
    /// Whether some release knows the element, or nothing is known of what it is looked for in.
    pub(super) known: bool,
}

/// Resolves the element `name` of what `from` may be. `None` where nothing that `from` may be can have it,
/// because all of it is primitive.
pub(super) fn resolve(pool: &mut Pool, from: &StaticType, name: &str) -> Option<MemberTarget> {
    let mut routes = Vec::new();
    let mut single = from.single;
    let known = from.sets.iter().any(|&set| knows(pool.datatypes(set), name));
    for &set in &from.sets {
        let types = pool.datatypes(set);
        if known && !types.is_unknown() && !knows(types, name) {
            // Where one of the places has the element, the others that are known are not asked to guess.
            continue;
        }
        let (keys, one) = keys(&pool.datatypes(set).clone(), name);
        single &= one;
        if !keys.is_empty() {
            let mut keys: Vec<(Box<str>, SetId)> =
                keys.into_iter().map(|(key, types)| (key, pool.set(types))).collect();
            keys.sort_unstable();
            routes.push(Route { from: set, keys });
        }
    }
    if routes.is_empty() && !from.sets.is_empty() {
        return None;
    }
    let mut sets: Vec<SetId> = routes.iter().flat_map(|route| route.keys.iter().map(|(_, to)| *to)).collect();
    sets.sort_unstable();
    sets.dedup();
    let alike = routes.iter().all(|route| Some(&route.keys) == routes.first().map(|first| &first.keys));
    let any = alike && routes.len() == from.sets.len();
    if any {
        routes.truncate(1);
    }
    let member = MemberStep { name: name.into(), routes, any, companions: Companions::Ignored };
    let known = known || from.sets.iter().all(|&set| pool.datatypes(set).is_unknown());
    Some(MemberTarget { member, of: StaticType { sets, single }, known })
}

/// Returns whether some release gives one of these types the element, or a choice of that name.
fn knows(types: &TypeSet, name: &str) -> bool {
    types.datatypes().iter().any(|datatype| match datatype {
        Datatype::Complex(owner) => owner.element(name).is_some() || owner.choices(name).next().is_some(),
        Datatype::Primitive(_) => matches!(name, "id" | "extension"),
        Datatype::Resource => false,
    })
}

/// Returns the JSON names of an element, what stands there, and whether that is never an array.
fn keys(types: &TypeSet, name: &str) -> (Vec<(Box<str>, TypeSet)>, bool) {
    let mut keys: Vec<(Box<str>, TypeSet)> = Vec::new();
    let mut single = true;
    let mut complex = types.is_unknown();
    for &datatype in types.datatypes() {
        match datatype {
            Datatype::Complex(owner) => {
                complex = true;
                for element in owner.element(name).into_iter().chain(owner.choices(name)) {
                    single &= element.uses.iter().all(|known| !known.many);
                    let stands = TypeSet::of(element.uses.iter().map(|known| known.datatype));
                    add(&mut keys, element.name, stands);
                }
            }
            Datatype::Primitive(_) => match name {
                "extension" => {
                    single = false;
                    add(&mut keys, name, TypeSet::of(type_named("Extension").map(Datatype::Complex)));
                }
                "id" => add(&mut keys, name, TypeSet::primitive(Primitive::String)),
                _ => {}
            },
            Datatype::Resource => complex = true,
        }
    }
    if keys.is_empty() && complex { (open_keys(name), false) } else { (keys, single) }
}

fn add(keys: &mut Vec<(Box<str>, TypeSet)>, name: &str, stands: TypeSet) {
    match keys.iter_mut().find(|(key, _)| **key == *name) {
        Some((_, known)) if known.is_unknown() || stands.is_unknown() => *known = TypeSet::UNKNOWN,
        Some((_, known)) => {
            *known = TypeSet::of(known.datatypes().iter().chain(stands.datatypes()).copied());
        }
        None => keys.push((name.into(), stands)),
    }
}

/// Returns what a name may stand for where no release knows the element: itself, or a choice of any datatype that
/// an extension can have.
fn open_keys(name: &str) -> Vec<(Box<str>, TypeSet)> {
    let mut keys = vec![(name.into(), TypeSet::UNKNOWN)];
    let choices = type_named("Extension").into_iter().flat_map(|extension| extension.choices("value"));
    for choice in choices {
        let Some(suffix) = choice.name.strip_prefix("value") else { continue };
        let stands = TypeSet::of(choice.uses.iter().map(|known| known.datatype));
        keys.push((format!("{name}{suffix}").into(), stands));
    }
    keys
}
