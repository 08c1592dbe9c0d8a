//! SQL schemas: [`FieldSchema`]s in the form that MongoDB's SQL interface reads from the collection `__sql_schemas`, and
//! how writers extend them.

use std::collections::{BTreeMap, BTreeSet};

use bson::{Bson, Document, doc};
use flatten::dictionary::MAX_MADE_UP;
use flatten::row::{Cells, ColumnId, NameList, TableId, Value};
use serde_json::Value as Json;

use crate::encode::{HASH_FIELD, RECEIVED, is_anchor};
use pipeline::batch::{Fate, WriteBatch};
use pipeline::object::Pin;
use pipeline::store::schema::{FieldSchema, FieldType, FieldTypes};

/// Says in a document of [`SQL_SCHEMAS`] that the table has fields for which the schema had no room.
pub(crate) const LEFT_OUT: &str = "leftOut";

/// What a field costs in a document beside its name, at most, in bytes.
const FIELD_BYTES: usize = 256;

/// What the fields of one table take at most: a document ends at 16 MiB.
const MAX_BYTES: usize = 12 << 20;

/// A longer path of a field is left out, in bytes: only lists inside each other have one.
const MAX_PATH_BYTES: usize = 4_096;

/// A path of more steps is left out: a database takes about a hundred levels.
const MAX_STEPS: usize = 90;

/// Returns the alias of a type that `bsonType` takes: `string`, `int` …
const fn alias(cell: FieldType) -> &'static str {
    match cell {
        FieldType::Text => "string",
        FieldType::Int => "int",
        FieldType::Long => "long",
        FieldType::Decimal => "decimal",
        FieldType::Double => "double",
        FieldType::Boolean => "bool",
        FieldType::Date => "date",
        FieldType::Object => "object",
        FieldType::Array => "array",
        FieldType::Null => "null",
    }
}

fn aliases(types: FieldTypes) -> Vec<&'static str> {
    types.iter().map(alias).collect()
}

fn of_aliases<'a>(aliases: impl IntoIterator<Item = &'a str>) -> FieldTypes {
    let of_alias = |text: &str| FieldType::ALL.iter().copied().find(|cell| alias(*cell) == text);
    aliases.into_iter().filter_map(of_alias).fold(FieldTypes::default(), FieldTypes::with)
}

/// Reads a JSON schema: `bsonType`, `properties` and `items`.
fn read_field(document: &Document) -> FieldSchema {
    let mut field = FieldSchema::default();
    match document.get("bsonType") {
        Some(Bson::String(alias)) => field.types = of_aliases([alias.as_str()]),
        Some(Bson::Array(aliases)) => field.types = of_aliases(aliases.iter().filter_map(Bson::as_str)),
        _ => {}
    }
    if let Ok(properties) = document.get_document("properties") {
        let properties = properties.iter().filter_map(|(name, inside)| Some((name, inside.as_document()?)));
        field.properties = properties.map(|(name, inside)| (name.clone(), read_field(inside))).collect();
    }
    field.items = document.get_document("items").ok().map(|items| Box::new(read_field(items)));
    field
}

/// Reads the schema in a document of [`SQL_SCHEMAS`]; `None`: it has none.
pub(crate) fn read_table(document: &Document) -> Option<FieldSchema> {
    let schema = document.get_document("schema").and_then(|schema| schema.get_document("jsonSchema"));
    schema.ok().map(read_field)
}

/// Returns the document of `__sql_schemas` that describes a table with this root.
#[must_use]
pub fn table_document(table: &str, root: &FieldSchema) -> Document {
    doc! { "_id": table, "schema": { "version": 1_i64, "jsonSchema": root_json_schema(root) } }
}

/// Returns the document of `__sql_schemas` that describes a table with this root, as JSON.
#[must_use]
pub fn table_json(table: &str, root: &FieldSchema) -> Json {
    json(table_document(table, root))
}

/// Returns the `$jsonSchema` of a validator for a table with this root, as JSON.
#[must_use]
pub fn validator_json(root: &FieldSchema) -> Json {
    let mut schema = root_json_schema(root);
    schema.insert("required", vec!["_id"]);
    json(schema)
}

/// Returns the JSON schema of a table with this root.
#[must_use]
pub fn root_json_schema(root: &FieldSchema) -> Document {
    let mut schema = json_schema(root);
    schema.insert("bsonType", "object");
    schema
}

/// Returns the schema as JSON. The types stand in an array even where there is one, so that a writer can add to it.
fn json_schema(field: &FieldSchema) -> Document {
    let mut schema = Document::new();
    if !field.types.is_empty() {
        schema.insert("bsonType", aliases(field.types));
    }
    if !field.properties.is_empty() {
        let property = |(name, field): (&String, &FieldSchema)| (name.clone(), json_schema(field).into());
        schema.insert("properties", field.properties.iter().map(property).collect::<Document>());
    }
    if let Some(items) = &field.items {
        schema.insert("items", json_schema(items));
    }
    schema
}

/// Returns a value of a schema as JSON: a text, number, list or document.
fn json(document: Document) -> Json {
    document.into_iter().map(|(name, value)| (name, json_of(value))).collect()
}

fn json_of(value: Bson) -> Json {
    match value {
        Bson::String(text) => text.into(),
        Bson::Int32(number) => number.into(),
        Bson::Int64(number) => number.into(),
        Bson::Array(items) => items.into_iter().map(json_of).collect(),
        Bson::Document(inside) => json(inside),
        _ => Json::Null,
    }
}

/// Adds types to the field at a path such as `properties.name.items.properties.given`.
#[cfg(any(test, feature = "simulation"))]
fn add_at(root: &mut FieldSchema, path: &str, types: FieldTypes) {
    let (mut field, mut steps) = (root, path.split('.'));
    while let Some(step) = steps.next() {
        field = if step == "items" {
            field.items_mut()
        } else {
            field.property_mut(steps.next().unwrap_or_default())
        };
    }
    field.types = field.types.and(types);
}

/// Returns how many fields there are below a field, and about how many bytes they take in a document.
fn size(field: &FieldSchema) -> (usize, usize) {
    let inside = field.properties.iter().map(|(name, field)| {
        let (fields, bytes) = size(field);
        (fields + 1, bytes + name.len() + FIELD_BYTES)
    });
    let items = field.items.iter().map(|items| size(items));
    inside.chain(items).fold((0, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1))
}

/// The schema of a table, as far as a writer knows that it stands.
#[derive(Debug, Default)]
pub(crate) struct KnownSchema {
    root: FieldSchema,
    fields: usize,
    bytes: usize,
    /// Whether the database has been told that fields were left out.
    has_told: bool,
}

/// What a schema lacks.
#[derive(Debug, Default)]
pub(crate) struct Additions {
    fields: Vec<(String, FieldTypes)>,
    /// Whether there is no room for some.
    leaves_out: bool,
}

impl KnownSchema {
    /// Reads a document of [`SQL_SCHEMAS`].
    pub(crate) fn read(document: &Document) -> Self {
        let root = read_table(document).unwrap_or_default();
        let (fields, bytes) = size(&root);
        Self { root, fields, bytes, has_told: document.get_bool(LEFT_OUT).unwrap_or_default() }
    }

    pub(crate) const fn root(&self) -> &FieldSchema {
        &self.root
    }

    /// Returns what this schema lacks of another, as far as there is room; at most so many fields.
    pub(crate) fn additions(&self, wanted: &FieldSchema, most: usize) -> Additions {
        let mut search = Search { fields: self.fields, bytes: self.bytes, most, found: Additions::default() };
        search.inside(Some(&self.root), wanted, "", 0);
        search.found
    }

    /// Takes everything of another schema for known.
    pub(crate) fn unite(&mut self, wanted: &FieldSchema) {
        self.root.unite(wanted);
        (self.fields, self.bytes) = size(&self.root);
    }

    /// Enters what the database has been told.
    #[cfg(any(test, feature = "simulation"))]
    pub(crate) fn enter(&mut self, additions: &Additions) {
        for (path, types) in &additions.fields {
            add_at(&mut self.root, path, *types);
        }
        (self.fields, self.bytes) = size(&self.root);
        self.has_told |= additions.leaves_out;
    }
}

impl Additions {
    /// Returns whether the database need not be told anything.
    pub(crate) const fn is_needless(&self, known: &KnownSchema) -> bool {
        self.fields.is_empty() && (known.has_told || !self.leaves_out)
    }

    /// Returns the update that adds them: other writers may add to the same document at the same time.
    ///
    /// `{q: {_id: table}, u: {$addToSet: {"….bsonType": {$each: […]}}, $setOnInsert}, upsert: true}`
    pub(crate) fn statement(&self, table: &str) -> Document {
        let add = |(path, types): &(String, FieldTypes)| {
            (format!("schema.jsonSchema.{path}.bsonType"), doc! { "$each": aliases(*types) }.into())
        };
        let adds: Document = self.fields.iter().map(add).collect();
        let mut update =
            doc! { "$setOnInsert": { "schema.version": 1_i64, "schema.jsonSchema.bsonType": "object" } };
        if !adds.is_empty() {
            update.insert("$addToSet", adds);
        }
        if self.leaves_out {
            update.insert("$set", doc! { LEFT_OUT: true });
        }
        doc! { "q": { "_id": table }, "u": update, "upsert": true }
    }
}

/// A search for what a schema lacks.
struct Search {
    fields: usize,
    bytes: usize,
    most: usize,
    found: Additions,
}

impl Search {
    fn field(&mut self, known: Option<&FieldSchema>, wanted: &FieldSchema, path: &str, steps: usize) {
        let types = wanted.types.without(known.map(|known| known.types).unwrap_or_default());
        if !types.is_empty() && self.found.fields.len() < self.most {
            self.found.fields.push((path.to_owned(), types));
        }
        self.inside(known, wanted, path, steps);
    }

    fn inside(&mut self, known: Option<&FieldSchema>, wanted: &FieldSchema, path: &str, steps: usize) {
        let dot = if path.is_empty() { "" } else { "." };
        for (name, field) in &wanted.properties {
            let known = known.and_then(|known| known.properties.get(name));
            let has_more = known.is_none_or(|known| known != field);
            if has_more && self.has_room(known.is_some(), name, path.len(), steps) {
                self.field(known, field, &format!("{path}{dot}properties.{name}"), steps + 2);
            }
        }
        if let Some(items) = &wanted.items {
            let known = known.and_then(|known| known.items.as_deref());
            self.field(known, items, &format!("{path}{dot}items"), steps + 1);
        }
    }

    /// Takes room for a field that is not known yet.
    fn has_room(&mut self, is_known: bool, name: &str, path_bytes: usize, steps: usize) -> bool {
        if is_known {
            return true;
        }
        // The rows of a table that has this many fields were made to have them; their names go on in the rows alone.
        let is_writable = !name.is_empty() && !name.contains(['.', '\0']) && !name.starts_with('$');
        let has_room = is_writable
            && self.fields < MAX_MADE_UP
            && self.bytes + name.len() + FIELD_BYTES <= MAX_BYTES
            && path_bytes + name.len() <= MAX_PATH_BYTES
            && steps < MAX_STEPS;
        if has_room {
            self.fields += 1;
            self.bytes += name.len() + FIELD_BYTES;
        } else {
            self.found.leaves_out = true;
        }
        has_room
    }
}

/// Returns the schemas of the documents that a batch writes and completes, by table.
pub(crate) fn schemas_of(batch: &WriteBatch) -> BTreeMap<String, FieldSchema> {
    let mut tables: BTreeMap<TableId, Seen> = BTreeMap::new();
    let mut versioned: BTreeMap<TableId, bool> = BTreeMap::new();
    let mut hashed: BTreeSet<TableId> = BTreeSet::new();
    for resource in &batch.resources {
        let Fate::Rows(range) = &resource.fate else { continue };
        let is_versioned = matches!(resource.source.object.pin, Pin::VersionId(_));
        for row in batch.rows.range(range.clone()) {
            tables.entry(row.table()).or_default().record(row.cells());
            *versioned.entry(row.table()).or_default() |= is_versioned;
            if resource.hash.is_some() && is_anchor(&batch.names, row, resource) {
                hashed.insert(row.table());
            }
        }
    }
    let mut schemas: BTreeMap<String, FieldSchema> = BTreeMap::new();
    for (table, seen) in tables {
        let mut schema = provenance(versioned.get(&table).copied().unwrap_or_default());
        if hashed.contains(&table) {
            schema.property_mut(HASH_FIELD).add(FieldType::Text);
        }
        seen.enter(&batch.names, &mut schema);
        schemas.entry(batch.names.table(table).to_owned()).or_default().unite(&schema);
    }
    for completion in &batch.completions {
        let schema = schemas.entry(completion.table.clone()).or_default();
        complete(schema, &completion.path);
    }
    schemas
}

/// Returns the fields that every row has beside its cells.
fn provenance(is_versioned: bool) -> FieldSchema {
    let mut root = FieldSchema::default();
    for name in ["_id", "_version", "_load"] {
        root.property_mut(name).add(FieldType::Text);
    }
    root.property_mut(RECEIVED).add(FieldType::Date);
    let source = root.property_mut("_source");
    source.add(FieldType::Object);
    for name in ["bucket", "key"].into_iter().chain(is_versioned.then_some("versionId")) {
        source.property_mut(name).add(FieldType::Text);
    }
    for name in ["ordinal", "offset", "length"] {
        source.property_mut(name).add(FieldType::Long);
    }
    root
}

/// Enters the text that a completion writes: numbers in its path are places in lists, and the last one says that the
/// text goes behind the items of the list.
fn complete(root: &mut FieldSchema, path: &str) {
    let mut field = root;
    for (index, step) in path.split('.').enumerate() {
        if step.bytes().all(|byte| byte.is_ascii_digit()) {
            field.add(FieldType::Array);
            field = field.items_mut();
        } else {
            if index > 0 {
                field.add(FieldType::Object);
            }
            field = field.property_mut(step);
        }
    }
    field.add(FieldType::Text);
}

/// What cells hold, by column.
#[derive(Debug, Default)]
struct Seen {
    types: FieldTypes,
    columns: BTreeMap<ColumnId, Self>,
    items: Option<Box<Self>>,
}

impl Seen {
    /// Adds the cells of a record. A cell that waits for a key is not written; a completion writes it.
    fn record(&mut self, cells: Cells<'_>) {
        for (column, value) in cells {
            if !matches!(value, Value::Pending(_)) {
                self.columns.entry(column).or_default().value(value);
            }
        }
    }

    fn value(&mut self, value: Value<'_>) {
        let cell = match value {
            Value::Null | Value::Pending(_) | Value::PendingOrNull(_) => FieldType::Null,
            Value::Boolean(_) => FieldType::Boolean,
            Value::Integer(_) => FieldType::Int,
            Value::Long(_) => FieldType::Long,
            Value::Decimal(_) => FieldType::Decimal,
            Value::Double(_) => FieldType::Double,
            Value::Text(_) => FieldType::Text,
            Value::Instant(_) => FieldType::Date,
            Value::List(cells) => {
                let items = cells.filter(|(_, item)| !matches!(item, Value::Pending(_)));
                items.for_each(|(_, item)| self.items.get_or_insert_default().value(item));
                FieldType::Array
            }
            Value::Record(cells) => {
                self.record(cells);
                FieldType::Object
            }
        };
        self.types = self.types.with(cell);
    }

    fn enter(&self, names: &NameList, field: &mut FieldSchema) {
        field.types = field.types.and(self.types);
        for (column, inside) in &self.columns {
            inside.enter(names, field.property_mut(names.column(*column)));
        }
        if let Some(items) = &self.items {
            items.enter(names, field.items_mut());
        }
    }
}

#[cfg(test)]
mod tests {
    use bson::{Document, doc};

    use super::{
        FieldSchema, FieldType, KnownSchema, MAX_MADE_UP, MAX_STEPS, complete, root_json_schema,
        table_document,
    };

    fn table(fields: usize) -> FieldSchema {
        let mut root = FieldSchema::default();
        (0..fields).for_each(|number| root.property_mut(&format!("c{number}")).add(FieldType::Text));
        root
    }

    #[test]
    fn only_what_is_new_is_added() {
        let mut known = KnownSchema::default();
        let mut wanted = table(1);
        known.enter(&known.additions(&wanted, usize::MAX));
        assert!(known.additions(&wanted, usize::MAX).is_needless(&known));
        wanted.property_mut("c0").add(FieldType::Int);
        let list = wanted.property_mut("list");
        list.add(FieldType::Array);
        list.items_mut().add(FieldType::Object);
        list.items_mut().property_mut("items").add(FieldType::Null);
        let additions = known.additions(&wanted, usize::MAX);
        let update = additions.statement("Patient").get_document("u").unwrap().clone();
        let expected = doc! {
            "schema.jsonSchema.properties.c0.bsonType": { "$each": ["int"] },
            "schema.jsonSchema.properties.list.bsonType": { "$each": ["array"] },
            "schema.jsonSchema.properties.list.items.bsonType": { "$each": ["object"] },
            "schema.jsonSchema.properties.list.items.properties.items.bsonType": { "$each": ["null"] },
        };
        assert_eq!(update.get_document("$addToSet").unwrap(), &expected);
        known.enter(&additions);
        assert_eq!(known.root(), &wanted);
    }

    #[test]
    fn some_at_a_time_come_to_the_same() {
        let wanted = table(10);
        let mut known = KnownSchema::default();
        for _ in 0..4 {
            known.enter(&known.additions(&wanted, 3));
        }
        assert_eq!(known.root(), &wanted);
    }

    #[test]
    fn a_table_has_so_many_fields_and_says_that_there_are_more() {
        let mut known = KnownSchema::default();
        let wanted = table(MAX_MADE_UP + 5);
        let additions = known.additions(&wanted, usize::MAX);
        assert!(additions.statement("T").get_document("u").unwrap().contains_key("$set"));
        known.enter(&additions);
        assert_eq!(known.root().properties.len(), MAX_MADE_UP);
        assert!(known.additions(&wanted, usize::MAX).is_needless(&known));
        let bytes = bson::serialize_to_vec(&table_document("T", known.root())).unwrap().len();
        assert!(bytes < 12 << 20, "{bytes}");
    }

    #[test]
    fn long_names_and_deep_lists_end_below_the_limits_of_a_document() {
        let mut wanted = FieldSchema::default();
        let mut field = &mut wanted;
        for _ in 0..MAX_STEPS {
            field = field.property_mut("a");
            field.add(FieldType::Array);
            field = field.items_mut();
            field.add(FieldType::Object);
        }
        for number in 0..MAX_MADE_UP {
            wanted.property_mut(&format!("{}{number}", "n".repeat(2_000))).add(FieldType::Text);
        }
        let mut known = KnownSchema::default();
        let additions = known.additions(&wanted, usize::MAX);
        known.enter(&additions);
        let bytes = bson::serialize_to_vec(&table_document("T", known.root())).unwrap().len();
        assert!(bytes < 14 << 20, "{bytes}");
        assert!(additions.leaves_out && depth(&table_document("T", known.root())) < 100);
    }

    fn depth(document: &Document) -> usize {
        document.values().filter_map(bson::Bson::as_document).map(depth).max().unwrap_or_default() + 1
    }

    #[test]
    fn completions_add_texts_in_rows_records_and_lists() {
        let mut root = FieldSchema::default();
        complete(&mut root, "subject_key");
        complete(&mut root, "result_keys.3");
        complete(&mut root, "component.12.valueReference_key");
        let properties = root_json_schema(&root).get_document("properties").unwrap().clone();
        let expected = doc! {
            "component": { "bsonType": ["array"], "items": {
                "bsonType": ["object"], "properties": { "valueReference_key": { "bsonType": ["string"] } },
            } },
            "result_keys": { "bsonType": ["array"], "items": { "bsonType": ["string"] } },
            "subject_key": { "bsonType": ["string"] },
        };
        assert_eq!(properties, expected);
    }

    #[test]
    fn what_is_written_is_read() {
        let mut root = table(2);
        root.property_mut("c1").add(FieldType::Decimal);
        complete(&mut root, "list.0.key");
        let read = KnownSchema::read(&table_document("T", &root));
        assert_eq!(read.root().properties, root.properties);
    }
}
