//! Resources of all types, made up from the element tables and from the cases, and changed at random.

use std::fs;
use std::path::Path;

use flatten::model::{Datatype, Primitive, Release, TypeId, type_named};
use serde_json::{Map, Value as Json, json};

/// A small generator of random numbers (xorshift64*): the same seed gives the same resource anywhere.
pub(crate) struct Random(u64);

impl Random {
    fn of(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).unwrap()
    }

    fn chance(&mut self, of_hundred: u64) -> bool {
        self.next() % 100 < of_hundred
    }

    fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// What resources are made from.
pub(crate) struct Bases {
    cases: Vec<Json>,
    types: Vec<TypeId>,
}

pub(crate) fn bases() -> Bases {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/automatic");
    let mut folders: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    let cases = folders.iter().map(|folder| fs::read(folder.join("resource.json")).unwrap());
    let cases: Vec<Json> = cases.filter_map(|text| serde_json::from_slice(&text).ok()).collect();
    let table = include_str!("../../src/model/elements.txt");
    let types = table.lines().filter_map(|line| line.strip_prefix('=')?.strip_suffix(" resource"));
    let types: Vec<TypeId> = types.filter_map(type_named).collect();
    assert!(cases.len() > 100 && types.len() > 150, "{} {}", cases.len(), types.len());
    Bases { cases: cases.into_iter().filter(is_plain).collect(), types }
}

/// Bundles and Parameters hold resources that are records of their own.
fn is_plain(resource: &Json) -> bool {
    !matches!(resource["resourceType"].as_str(), None | Some("Bundle" | "Parameters"))
}

/// Returns the resource of a seed.
pub(crate) fn resource(bases: &Bases, seed: u64) -> Json {
    let mut random = Random::of(seed);
    let mut resource = if random.chance(60) {
        let release = *random.pick(Release::ALL);
        let carrier = *random.pick(&bases.types);
        let mut members = object(carrier, release, &mut random, 0);
        members.insert("resourceType".to_owned(), carrier.name().into());
        members.insert("id".to_owned(), "x".into());
        Json::Object(members)
    } else {
        random.pick(&bases.cases).clone()
    };
    for _ in 0..random.below(8) {
        let depth = random.below(5);
        change(&mut resource, bases, &mut random, depth);
    }
    let mut count = 0;
    make_unique(&mut resource, "", &mut random, &mut count);
    resource
}

fn object(carrier: TypeId, release: Release, random: &mut Random, depth: usize) -> Map<String, Json> {
    let mut members = Map::new();
    for element in carrier.elements() {
        let is_inherited = matches!(
            element.name,
            "id" | "extension"
                | "modifierExtension"
                | "contained"
                | "meta"
                | "text"
                | "implicitRules"
                | "language"
        );
        let Some(used) = element.uses.iter().find(|used| used.releases.contains(release)) else { continue };
        // Types have up to a hundred elements.
        let share = if is_inherited { 3 } else { [30, 35, 30, 20, 10][depth.min(4)] };
        let has_choice =
            used.choice.is_some_and(|base| members.keys().any(|name: &String| name.starts_with(base)));
        if !random.chance(share) || has_choice {
            continue;
        }
        let count = if used.many { 1 + random.below(3) } else { 1 };
        let values: Vec<Json> =
            (0..count).filter_map(|_| value(used.datatype, release, random, depth + 1)).collect();
        if let Some(first) = values.first() {
            members.insert(element.name.to_owned(), if used.many { json!(values) } else { first.clone() });
        }
    }
    members
}

fn value(datatype: Datatype, release: Release, random: &mut Random, depth: usize) -> Option<Json> {
    match datatype {
        Datatype::Resource => None,
        Datatype::Complex(carrier) if carrier.name() == "Extension" => Some(extension(random)),
        Datatype::Complex(carrier) => (depth < 5)
            .then(|| object(carrier, release, random, depth))
            .filter(|members| !members.is_empty())
            .map(Json::Object),
        Datatype::Primitive(primitive) => Some(match primitive.system() {
            Primitive::Boolean => random.chance(50).into(),
            Primitive::Integer => 7.into(),
            Primitive::Decimal => json!(1.5),
            Primitive::Integer64 => "8".into(),
            Primitive::Date | Primitive::DateTime => "2026-01-05T10:00:00Z".into(),
            Primitive::Time => "10:00:00".into(),
            _ => "text".into(),
        }),
    }
}

fn extension(random: &mut Random) -> Json {
    let url = *random.pick(&[
        "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
        "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race",
        "https://a.example/favourite-colour",
        "https://b.example/favourite-colour",
        "https://a.example/code",
        "https://a.example/name",
        "https://a.example/value",
        "/",
        "",
        "plain",
    ]);
    let inside = match random.below(5) {
        0 => {
            json!({"extension": [{"url": "inner", "valueString": "text"}, {"url": "other", "valueCode": "text"}]})
        }
        1 => json!({"valueCodeableConcept": {"coding": [{"code": "text"}], "text": "text"}}),
        2 => json!({"valueDateTime": "2026-01-05"}),
        3 => json!({"valueReference": {"reference": "Patient/text"}}),
        _ => json!({"valueString": "text"}),
    };
    let mut extension = Map::new();
    extension.insert("url".to_owned(), url.into());
    extension.extend(inside.as_object().unwrap().clone());
    Json::Object(extension)
}

fn is_fixed(name: &str) -> bool {
    matches!(name, "resourceType" | "contained" | "id")
}

/// Changes one thing, some levels down.
fn change(value: &mut Json, bases: &Bases, random: &mut Random, depth: usize) {
    if depth > 0 {
        let inner = match value {
            Json::Array(items) if !items.is_empty() => {
                let at = random.below(items.len());
                items.get_mut(at)
            }
            Json::Object(members) if !members.is_empty() => {
                let at = random.below(members.len());
                members.iter_mut().nth(at).filter(|(name, _)| !is_fixed(name)).map(|(_, value)| value)
            }
            _ => None,
        };
        if let Some(inner) = inner {
            return change(inner, bases, random, depth - 1);
        }
    }
    match value {
        Json::Object(members) => change_object(members, bases, random),
        Json::Array(items) => change_array(items, random),
        scalar => {
            *scalar = match random.below(6) {
                0 => json!([scalar.clone()]),
                1 => json!(3),
                2 => json!("text"),
                3 => json!(true),
                4 => json!({"strange": "text"}),
                _ => Json::Null,
            }
        }
    }
}

fn change_array(items: &mut Vec<Json>, random: &mut Random) {
    match random.below(5) {
        0 => items.extend(items.clone()),
        1 => items.insert(0, json!({})),
        2 => items.push(Json::Null),
        3 => items.insert(0, json!({"strange": "text"})),
        _ => {
            items.pop();
        }
    }
}

fn change_object(members: &mut Map<String, Json>, bases: &Bases, random: &mut Random) {
    let strange = *random.pick(&[
        "strange",
        "key",
        "keys",
        "codings",
        "at",
        "deceased",
        "a_b",
        "$set",
        "a.b",
        "",
        "_class",
        "count",
        "values",
        "abcdef",
        "fhir_comments",
        "identifier",
        "value",
        "type",
    ]);
    // Without a type and an id there is nothing to look at.
    let names: Vec<&String> =
        members.keys().filter(|name| !matches!(&***name, "resourceType" | "id")).collect();
    let name = if names.is_empty() { "strange".to_owned() } else { (*random.pick(&names)).clone() };
    match random.below(8) {
        0 => drop(members.insert(strange.to_owned(), "text".into())),
        1 => drop(members.insert(strange.to_owned(), json!({"a": "text", "b": ["text", {"c": "text"}]}))),
        2 => drop(members.insert(strange.to_owned(), json!(["text", "text"]))),
        3 => {
            let one = extension(random);
            match members.entry("extension").or_insert_with(|| json!([])) {
                Json::Array(all) => all.push(one),
                other => *other = json!([one]),
            }
        }
        4 if !name.starts_with('_') => {
            drop(members.insert(format!("_{name}"), json!({"id": "text", "extension": [extension(random)]})));
        }
        5 => {
            if let Some(value) = members.get_mut(&name) {
                *value = if let Json::Array(items) = value {
                    items.pop().unwrap_or_default()
                } else {
                    json!([value.clone()])
                };
            }
        }
        6 => drop(members.remove(&name)),
        7 => {
            // A member of another resource, of whatever type and release.
            let other = random.pick(&bases.cases).as_object().unwrap();
            if let Some((name, value)) = other.iter().nth(random.below(other.len()))
                && !matches!(&**name, "resourceType" | "contained" | "id")
            {
                members.insert(name.clone(), value.clone());
            }
        }
        _ => drop(members.insert(name, Json::Null)),
    }
}

/// Gives almost every text and number a value of its own: what stands twice in the rows of one is told from what stands
/// once.
fn make_unique(value: &mut Json, name: &str, random: &mut Random, count: &mut u32) {
    match value {
        Json::Object(members) => {
            for (name, value) in members.iter_mut() {
                make_unique(value, name, random, count);
            }
        }
        Json::Array(items) => items.iter_mut().for_each(|item| make_unique(item, name, random, count)),
        Json::String(text) if !matches!(name, "resourceType" | "url" | "id") && random.chance(90) => {
            *count += 1;
            *text = format!("{text}-{count}");
        }
        Json::Number(number) if random.chance(90) => {
            *count += 1;
            *number = if number.is_f64() { json!(f64::from(*count) + 0.25) } else { json!(*count) }
                .as_number()
                .unwrap()
                .clone();
        }
        _ => {}
    }
}
