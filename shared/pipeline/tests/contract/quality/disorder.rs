//! The clinic in disorder: texts of every kind, and elements that are missing, at random.

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, IteratorRandom as _};
use rand::{Rng as _, SeedableRng as _};
use serde_json::Value;

use super::clinic::Clinic;

/// Empty, broken and whole texts, of ASCII and of other characters.
const TEXTS: [&str; 12] = [
    "",
    " ",
    "\t\n ",
    " x",
    "Zürich",
    "Âge",
    "Ängström Â°C",
    "MÃ¼ller",
    "dâ€™Or",
    "Stra\u{fffd}e",
    "東京",
    "plain",
];

/// Elements of free text.
const TEXT_ELEMENTS: [&str; 9] =
    ["city", "display", "family", "given", "line", "name", "text", "unit", "valueString"];

/// What a resource must have to be loaded.
const KEPT: [&str; 2] = ["resourceType", "id"];

/// Returns the clinic of a seed in disorder.
pub(super) fn in_disorder(seed: u64) -> Vec<Value> {
    let (mut random, mut resources) = (StdRng::seed_from_u64(seed), Clinic::new(seed).resources);
    for resource in &mut resources {
        disturb(resource, false, &mut random);
    }
    resources
}

fn disturb(value: &mut Value, is_text: bool, random: &mut StdRng) {
    match value {
        Value::String(text) if is_text && random.random_ratio(1, 6) => {
            TEXTS.choose(random).copied().unwrap_or_default().clone_into(text);
        }
        Value::Array(items) => items.iter_mut().for_each(|item| disturb(item, is_text, random)),
        Value::Object(members) => {
            if members.len() > 1 && random.random_ratio(1, 20) {
                let names = members.keys().filter(|name| !KEPT.contains(&name.as_str()));
                let lost = names.choose(random).cloned();
                lost.and_then(|name| members.remove(&name));
            }
            for (name, member) in members {
                disturb(member, TEXT_ELEMENTS.contains(&name.as_str()), random);
            }
        }
        _ => {}
    }
}
