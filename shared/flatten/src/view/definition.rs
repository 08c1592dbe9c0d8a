//! Reading a ViewDefinition: JSON into the parts that matter, with every mistake of its form.

use serde_json::{Map, Value as Json};

use crate::model::ResourceTypes;
use crate::row::is_portable_name;

use super::invalid::Mistake;

/// A ViewDefinition as written, each part with the place it stands at.
#[derive(Debug, Default)]
pub(super) struct Definition {
    pub(super) name: String,
    pub(super) resource: String,
    pub(super) constants: Vec<(String, Map<String, Json>)>,
    pub(super) conditions: Vec<DefinitionPath>,
    pub(super) selects: Vec<SelectDefinition>,
}

#[derive(Debug)]
pub(super) struct SelectDefinition {
    pub(super) place: String,
    pub(super) iteration: Iteration,
    pub(super) columns: Vec<ColumnDefinition>,
    pub(super) selects: Vec<SelectDefinition>,
    pub(super) branches: Vec<SelectDefinition>,
}

/// Which of the four ways a select goes over the items of a path.
#[derive(Debug)]
pub(super) enum Iteration {
    /// Once, on the item that the select stands in.
    Once,
    /// `forEach`
    Each(DefinitionPath),
    /// `forEachOrNull`
    EachOrNull(DefinitionPath),
    /// `repeat`
    Repeat(Vec<DefinitionPath>),
}

/// A path and the element of the definition that it stands in.
#[derive(Debug, Clone)]
pub(super) struct DefinitionPath {
    pub(super) element: String,
    pub(super) text: String,
}

#[derive(Debug)]
pub(super) struct ColumnDefinition {
    pub(super) place: String,
    pub(super) name: String,
    pub(super) path: DefinitionPath,
    pub(super) declared: Option<String>,
    pub(super) collection: bool,
    pub(super) tags: Vec<(String, String)>,
}

/// How deep selects may stand inside one another.
const DEPTH: usize = 32;
/// How many selects a view may have: each costs the evaluator a little of its thread's stack.
const SELECTS: usize = 200;

/// What may stand in a select; anything else is a slip of the pen that would lose rows.
const SELECT_MEMBERS: [&str; 8] =
    ["column", "select", "forEach", "forEachOrNull", "repeat", "unionAll", "id", "extension"];
const COLUMN_MEMBERS: [&str; 9] =
    ["path", "name", "type", "collection", "description", "tag", "tags", "id", "extension"];

/// Reads a definition and collects what is wrong with its form.
#[derive(Debug, Default)]
pub(super) struct DefinitionReader {
    pub(super) mistakes: Vec<Mistake>,
    selects: usize,
    types: ResourceTypes,
}

impl DefinitionReader {
    /// Returns a reader of views for these resource types.
    pub(super) fn of(types: &ResourceTypes) -> Self {
        Self { types: types.clone(), ..Self::default() }
    }

    /// Returns the definition, as far as it can be read.
    pub(super) fn definition(&mut self, view: &Json) -> Definition {
        let Some(view) = view.as_object() else {
            self.mistake("", "a JSON object");
            return Definition::default();
        };
        if let Some(resource_type) = view.get("resourceType") {
            let known = resource_type
                .as_str()
                .is_some_and(|name| name == "ViewDefinition" || name.ends_with("/ViewDefinition"));
            if !known {
                self.mistake("resourceType", "`ViewDefinition`, or nothing");
            }
        }
        let name = self.text(view, "", "name", NAME).unwrap_or_default();
        if !name.is_empty() && !is_portable_name(&name) {
            self.mistake("name", NAME);
        }
        if self.types.contains_in_any_case(&name) {
            self.mistake(
                "name",
                "a name that is no resource type in any case of letters, because the automatic rows have that table; \
                 name the view in the plural",
            );
        }
        let resource = self.text(view, "", "resource", "a resource type").unwrap_or_default();
        if !resource.is_empty() && !self.types.contains(&resource) {
            self.mistake(
                "resource",
                "a resource type of some FHIR release, or one that RESOURCE_TYPES names",
            );
        }
        let constants =
            self.objects(view, "", "constant").into_iter().map(|(at, object)| (at, object.clone())).collect();
        let conditions = self.objects(view, "", "where");
        let conditions = conditions.into_iter().filter_map(|(at, object)| {
            self.only(object, &at, &["path", "description", "id", "extension"]);
            self.path(object, &at, "path")
        });
        let conditions = conditions.collect();
        let selects = self.selects(view, "", "select", 0);
        if selects.is_empty() {
            self.mistake("select", "at least one select");
        }
        Definition { name, resource, constants, conditions, selects }
    }

    fn selects(
        &mut self,
        owner: &Map<String, Json>,
        at: &str,
        member: &str,
        depth: usize,
    ) -> Vec<SelectDefinition> {
        let objects = self.objects(owner, at, member);
        self.selects += objects.len();
        if depth >= DEPTH || self.selects > SELECTS {
            if !objects.is_empty() {
                self.mistake(&join(at, member), "at most 200 selects, at most 32 inside one another");
            }
            return Vec::new();
        }
        objects.into_iter().map(|(place, object)| self.select(object, place, depth)).collect()
    }

    fn select(&mut self, select: &Map<String, Json>, place: String, depth: usize) -> SelectDefinition {
        self.only(select, &place, &SELECT_MEMBERS);
        let iteration = self.iteration(select, &place);
        let columns = self.objects(select, &place, "column");
        let columns = columns.into_iter().filter_map(|(at, column)| self.column(column, at)).collect();
        let selects = self.selects(select, &place, "select", depth + 1);
        let branches = self.selects(select, &place, "unionAll", depth + 1);
        if !["column", "select", "unionAll"].iter().any(|member| select.contains_key(*member)) {
            self.mistake(&place, "`column`, `select` or `unionAll`");
        }
        SelectDefinition { place, iteration, columns, selects, branches }
    }

    fn iteration(&mut self, select: &Map<String, Json>, place: &str) -> Iteration {
        let given =
            ["forEach", "forEachOrNull", "repeat"].iter().filter(|member| select.contains_key(**member));
        if given.count() > 1 {
            self.mistake(place, "only one of `forEach`, `forEachOrNull` and `repeat`");
        }
        if select.contains_key("forEach") {
            self.path(select, place, "forEach").map_or(Iteration::Once, Iteration::Each)
        } else if select.contains_key("forEachOrNull") {
            self.path(select, place, "forEachOrNull").map_or(Iteration::Once, Iteration::EachOrNull)
        } else if let Some(repeat) = select.get("repeat") {
            let at = join(place, "repeat");
            let paths = repeat.as_array().map(Vec::as_slice).unwrap_or_default();
            if paths.is_empty() || !paths.iter().all(Json::is_string) {
                self.mistake(&at, "an array of paths");
            }
            let path = |(index, path): (usize, &Json)| {
                Some(DefinitionPath { element: format!("{at}[{index}]"), text: path.as_str()?.to_owned() })
            };
            Iteration::Repeat(paths.iter().enumerate().filter_map(path).collect())
        } else {
            Iteration::Once
        }
    }

    fn column(&mut self, column: &Map<String, Json>, place: String) -> Option<ColumnDefinition> {
        self.only(column, &place, &COLUMN_MEMBERS);
        let name = self.text(column, &place, "name", NAME);
        if name.as_deref().is_some_and(|name| !is_portable_name(name)) {
            self.mistake(&join(&place, "name"), NAME);
        }
        let path = self.path(column, &place, "path");
        let declared = match column.get("type") {
            None => None,
            Some(_) => self.text(column, &place, "type", "the name of a type"),
        };
        let collection = match column.get("collection") {
            None => false,
            Some(Json::Bool(collection)) => *collection,
            Some(_) => {
                self.mistake(&join(&place, "collection"), "true or false");
                false
            }
        };
        let mut tags = Vec::new();
        for member in ["tag", "tags"] {
            for (at, tag) in self.objects(column, &place, member) {
                let name = self.text(tag, &at, "name", "the name of a tag");
                let value = self.text(tag, &at, "value", "the value of a tag");
                tags.extend(name.zip(value));
            }
        }
        Some(ColumnDefinition { place, name: name?, path: path?, declared, collection, tags })
    }

    /// Returns the objects of an array member, each with its place.
    fn objects<'j>(
        &mut self,
        owner: &'j Map<String, Json>,
        at: &str,
        member: &str,
    ) -> Vec<(String, &'j Map<String, Json>)> {
        let place = join(at, member);
        let Some(value) = owner.get(member) else { return Vec::new() };
        let Some(items) = value.as_array() else {
            self.mistake(&place, "an array");
            return Vec::new();
        };
        let mut objects = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let at = format!("{place}[{index}]");
            match item.as_object() {
                Some(object) => objects.push((at, object)),
                None => self.mistake(&at, "an object"),
            }
        }
        objects
    }

    fn path(&mut self, owner: &Map<String, Json>, at: &str, member: &str) -> Option<DefinitionPath> {
        let text = self.text(owner, at, member, "a path in quotes")?;
        Some(DefinitionPath { element: join(at, member), text })
    }

    fn text(&mut self, owner: &Map<String, Json>, at: &str, member: &str, expected: &str) -> Option<String> {
        let text = owner.get(member).and_then(Json::as_str).filter(|text| !text.is_empty());
        if text.is_none() {
            self.mistake(&join(at, member), expected);
        }
        text.map(str::to_owned)
    }

    fn only(&mut self, object: &Map<String, Json>, at: &str, known: &[&str]) {
        for name in object.keys().filter(|name| !known.contains(&name.as_str()) && !name.starts_with('_')) {
            self.mistake(&join(at, name), format!("one of the members {}", known.join(", ")));
        }
    }

    fn mistake(&mut self, element: &str, expected: impl Into<String>) {
        self.mistakes.push(Mistake::new(element, expected));
    }
}

const NAME: &str = "a name of letters, digits and `_` that begins with a letter";

pub(super) fn join(at: &str, member: &str) -> String {
    if at.is_empty() { member.to_owned() } else { format!("{at}.{member}") }
}
