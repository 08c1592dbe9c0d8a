//! Where releases give an element different types of objects, nothing foreign beside its members costs a column.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Map, Value as Json, json};

use super::paths::{PathCache, Paths};
use super::{Automatic, Settings};
use crate::fhirpath::Context;
use crate::json::{Limits, Tape};
use crate::model::tests::every_type;
use crate::model::{Datatype, Element, Primitive, Release, TypeId};
use crate::resource::Resource;
use crate::row::{Cells, NameList, Names, Rows, Value};

/// The way from a resource to a type: each element, and whether it is an array.
type Path = (TypeId, Vec<(&'static str, bool)>);

fn complex(element: &Element) -> Vec<TypeId> {
    let mut found = Vec::new();
    for used in element.uses {
        if let Datatype::Complex(complex) = used.datatype
            && !found.contains(&complex)
        {
            found.push(complex);
        }
    }
    found
}

/// Returns a way to every type that resources have. Elements of one type come first: they leave no doubt.
fn paths() -> BTreeMap<&'static str, Path> {
    let mut paths: BTreeMap<&str, Path> = BTreeMap::new();
    for may_differ in [false, true] {
        let mut queue: VecDeque<(TypeId, Path)> = VecDeque::new();
        for resource in every_type().filter(|id| id.is_resource() && id.name() != "Parameters") {
            paths.entry(resource.name()).or_insert((resource, Vec::new()));
        }
        for path in paths.iter().map(|(name, path)| (crate::model::type_named(name).unwrap(), path.clone())) {
            queue.push_back(path);
        }
        while let Some((of, (root, steps))) = queue.pop_front() {
            for element in of.elements().filter(|element| element.name != "extension") {
                let types = complex(&element);
                for used in element.uses.iter().filter(|_| may_differ || types.len() == 1) {
                    let Datatype::Complex(inner) = used.datatype else { continue };
                    if matches!(inner.name(), "Extension" | "Meta") || paths.contains_key(inner.name()) {
                        continue;
                    }
                    let path = (root, [&steps[..], &[(element.name, used.many)]].concat());
                    paths.insert(inner.name(), path.clone());
                    queue.push_back((inner, path));
                }
            }
        }
    }
    paths
}

fn primitive(primitive: Primitive) -> Json {
    match primitive.system() {
        Primitive::Boolean => json!(true),
        Primitive::Integer => json!(3),
        Primitive::Decimal => json!(1.5),
        Primitive::Integer64 => json!("7"),
        Primitive::Date | Primitive::DateTime => json!("2026-01-05"),
        Primitive::Time => json!("10:00:00"),
        _ => json!("text"),
    }
}

fn sample(datatype: Datatype, depth: usize) -> Option<Json> {
    let type_id = match datatype {
        Datatype::Primitive(known) => return Some(primitive(known)),
        Datatype::Resource => return None,
        Datatype::Complex(type_id) => type_id,
    };
    if type_id.name() == "Reference" {
        return Some(json!({"reference": "Patient/1"}));
    }
    let own = |element: &Element| !matches!(element.name, "id" | "extension" | "modifierExtension");
    let elements: Vec<Element> = type_id.elements().filter(own).collect();
    let scalar = elements.iter().find(|element| matches!(element.newest().datatype, Datatype::Primitive(_)));
    let element = scalar.or_else(|| elements.first().filter(|_| depth < 4))?;
    let value = sample(element.newest().datatype, depth + 1)?;
    Some(json!({element.name: if element.newest().many { json!([value]) } else { value }}))
}

/// Returns some members that only one of several types has.
fn members(shape: TypeId, others: &[TypeId]) -> Map<String, Json> {
    let has = |other: &TypeId, name: &str, is_object: bool| {
        let uses = other.element(name).map(|element| element.uses).unwrap_or_default();
        uses.iter().any(|used| matches!(used.datatype, Datatype::Primitive(_)) != is_object)
    };
    let mut members = Map::new();
    for element in shape.elements().filter(|element| element.choice.is_none()) {
        for used in element.uses {
            if members.len() >= 4 {
                return members;
            }
            let is_object = !matches!(used.datatype, Datatype::Primitive(_));
            if others.iter().any(|other| other != &shape && has(other, element.name, is_object)) {
                continue;
            }
            if let Some(value) = sample(used.datatype, 0) {
                members.insert(element.name.to_owned(), if used.many { json!([value]) } else { value });
            }
        }
    }
    members
}

/// Returns the resource with these items at the end of a path.
fn resource(path: &Path, element: &str, items: Vec<Json>, many: bool) -> Json {
    let (root, steps) = path;
    let mut value = if many { Json::Array(items) } else { items.into_iter().next_back().unwrap() };
    let mut name = element;
    for (step, many) in steps.iter().rev() {
        value = json!({name: value});
        value = if *many { json!([value]) } else { value };
        name = step;
    }
    json!({"resourceType": root.name(), "id": "1", name: value})
}

/// Returns every value of the rows, with its columns joined; lists leave no trace.
fn leaves(resource: &Json) -> Result<Vec<String>, String> {
    let text = resource.to_string();
    let mut tape = Tape::default();
    let document = tape.parse(text.as_bytes(), Limits::default()).unwrap();
    let resource = Resource::read(document.root()).unwrap();
    let (mut names, mut rows) = (Names::default(), Rows::default());
    let mut automatic = Automatic::new(Settings::default());
    automatic
        .flatten(&resource, &Context::of("key"), &mut names, &mut rows)
        .map_err(|defect| format!("{defect:?}"))?;
    let list = names.list();
    let mut found = Vec::new();
    for row in rows.range(0..rows.len()) {
        gather(&list, row.cells(), list.table(row.table()), &mut found);
    }
    found.sort();
    Ok(found)
}

fn gather(names: &NameList, cells: Cells<'_>, prefix: &str, found: &mut Vec<String>) {
    for (column, value) in cells {
        let path = format!("{prefix}.{}", names.column(column));
        match value {
            Value::List(inner) | Value::Record(inner) => gather(names, inner, &path, found),
            Value::Null => {}
            // How many items there are does not matter here.
            _ if path.ends_with("_count") || path.ends_with("_unknown") => {}
            value => found.push(format!("{path}={value:?}")),
        }
    }
}

/// Returns what may stand beside the members of an object.
fn foreign(object: &Map<String, Json>, others: &[TypeId]) -> Vec<(&'static str, Map<String, Json>)> {
    let absent = json!([{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]);
    let beside = |added: Json, is_first: bool| {
        let added = added.as_object().unwrap().clone();
        let (first, second) = if is_first { (added, object.clone()) } else { (object.clone(), added) };
        first.into_iter().chain(second).collect::<Map<_, _>>()
    };
    let scalar = object.iter().find(|(_, value)| !value.is_object() && !value.is_array());
    let null =
        others.iter().flat_map(|other| other.elements()).find(|element| !object.contains_key(element.name));
    let mut all = vec![
        ("unknown scalar first", beside(json!({"strange": "foreign"}), true)),
        ("unknown scalar last", beside(json!({"strange": "foreign"}), false)),
        ("unknown object first", beside(json!({"strange": {"inner": "foreign"}}), true)),
        ("unknown object last", beside(json!({"strange": {"inner": "foreign"}}), false)),
        ("unknown null", beside(json!({"strange": null}), true)),
        ("unknown companion", beside(json!({"_strange": {"id": "foreign"}}), true)),
        ("comments", beside(json!({"fhir_comments": ["foreign"]}), true)),
        ("extension", beside(json!({"extension": absent}), true)),
        ("id", beside(json!({"id": "i"}), true)),
    ];
    if let Some(element) = null {
        all.push(("null of another release", beside(json!({element.name: null}), true)));
    }
    if let Some((name, _)) = scalar {
        all.push(("companion", beside(json!({format!("_{name}"): {"id": "foreign"}}), true)));
    }
    all
}

fn silent_items() -> Vec<Json> {
    let absent = json!([{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]);
    vec![
        json!({}),
        json!(null),
        json!({"id": "a"}),
        json!({"extension": absent}),
        json!({"strange": "foreign"}),
    ]
}

/// Returns whether every leaf of one row stands in another, as often.
fn keeps(all: &[String], some: &[String]) -> Vec<String> {
    let mut rest = all.to_vec();
    let mut missing = Vec::new();
    for leaf in some {
        match rest.iter().position(|other| other == leaf) {
            Some(at) => drop(rest.swap_remove(at)),
            None => missing.push(leaf.clone()),
        }
    }
    missing
}

/// What was tried of the elements, and what went wrong.
#[derive(Default)]
struct Trial {
    cases: usize,
    wrong: Vec<String>,
}

impl Trial {
    /// Compares the rows of an object of one type with those of the same object and something beside it.
    fn compare(&mut self, path: &Path, of: TypeId, element: &Element, type_id: TypeId) {
        let types = complex(element);
        let object = members(type_id, &types);
        if object.is_empty() {
            return;
        }
        let is_array =
            element.uses.iter().find(|used| used.datatype == Datatype::Complex(type_id)).unwrap().many;
        let name = format!("{}.{} as {}", of.name(), element.name, type_id.name());
        let plain = resource(path, element.name, vec![object.clone().into()], is_array);
        let expected = match leaves(&plain) {
            Ok(leaves) => leaves,
            Err(defect) => return self.wrong.push(format!("{name}: {plain}: {defect}")),
        };
        let one = |object: Map<String, Json>| resource(path, element.name, vec![object.into()], is_array);
        let mut variants: Vec<(&str, Json)> =
            foreign(&object, &types).into_iter().map(|(what, object)| (what, one(object))).collect();
        for silent in silent_items().into_iter().filter(|_| is_array) {
            let items = vec![silent, object.clone().into()];
            variants.push(("silent item first", resource(path, element.name, items, true)));
        }
        for (what, variant) in variants {
            self.cases += 1;
            let missing = leaves(&variant).map(|found| keeps(&found, &expected));
            match missing {
                Err(defect) => self.wrong.push(format!("{name}, {what}: {variant}: {defect}")),
                Ok(missing) if missing.is_empty() => {}
                Ok(missing) => self.wrong.push(format!("{name}, {what}: {variant}: {missing:?}")),
            }
        }
    }
}

#[test]
fn nothing_foreign_costs_a_column_where_releases_disagree() {
    let paths = paths();
    let (mut elements, mut trial) = (0, Trial::default());
    for of in every_type() {
        let Some(path) = paths.get(of.name()) else { continue };
        for element in of.elements() {
            let types = complex(&element);
            if types.len() < 2 {
                continue;
            }
            elements += 1;
            for &type_id in &types {
                trial.compare(path, of, &element, type_id);
            }
        }
    }
    let Trial { cases, wrong } = trial;
    let first: Vec<String> = wrong.iter().take(40).cloned().collect();
    assert!(wrong.is_empty(), "{} of {cases}:\n{}", wrong.len(), first.join("\n"));
    assert!(elements >= 167 && cases > 4_000, "{elements} {cases}");
}

/// What the members leave open is R4's.
#[test]
fn what_is_undecided_is_r4s() {
    for of in every_type() {
        for element in of.elements() {
            let types = complex(&element);
            let in_r4: Vec<_> = element
                .uses
                .iter()
                .filter(|used| used.releases.contains(Release::R4))
                .filter_map(|used| match used.datatype {
                    Datatype::Complex(type_id) => Some(type_id),
                    _ => None,
                })
                .collect();
            let ([_, _, ..], [expected]) = (&types[..], &in_r4[..]) else { continue };
            let (mut cache, mut names, settings) =
                (PathCache::default(), Names::default(), Settings::default());
            let mut paths = Paths::new(&mut cache, &settings, &mut names);
            let path = paths.test_root(of);
            let field = paths.element(path, element.name).unwrap();
            for text in ["{}", r#"{"id":"a"}"#, r#"{"strange":1}"#] {
                let mut tape = Tape::default();
                let document = tape.parse(text.as_bytes(), Limits::default()).unwrap();
                let found = paths.type_of(field, crate::json::Node::once(document.root()));
                assert_eq!(found, Some(*expected), "{}.{} {text}", of.name(), element.name);
            }
        }
    }
}
