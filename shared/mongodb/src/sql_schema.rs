//! SQL schemas: the fields of a table's documents and the BSON types that stand in them, in the form that MongoDB's SQL
//! interface reads from the collection `__sql_schemas`.
//!
//! A schema says what documents hold: it is worked out from the cells of rows, not from FHIR. Schemas only grow, and
//! two of them are united field by field and type by type, so that several writers can extend one.

use std::collections::{BTreeMap, BTreeSet};

use bson::{Bson, Document, doc};
use flatten::dictionary::MAX_MADE_UP;
use flatten::row::{Cells, ColumnId, NameList, TableId, Value};

use crate::encode::is_anchor;
use crate::records::HASH_FIELD;
use pipeline::batch::{Fate, WriteBatch};
use pipeline::object::Pin;

/// The collection of the schemas: `{_id: table, schema: {version: 1, jsonSchema: {bsonType: "object", properties}}}`.
pub const SQL_SCHEMAS: &str = "__sql_schemas";

/// Says in a document of [`SQL_SCHEMAS`] that the table has fields for which the schema had no room.
pub const LEFT_OUT: &str = "leftOut";

/// What a field costs in a document beside its name, at most, in bytes.
const FIELD_BYTES: usize = 256;

/// What the fields of one table take at most: a document ends at 16 MiB.
const MAX_BYTES: usize = 12 << 20;

/// A longer path of a field is left out, in bytes: only lists inside each other have one.
const MAX_PATH_BYTES: usize = 4_096;

/// A path of more steps is left out: a database takes about a hundred levels.
const MAX_STEPS: usize = 90;

/// A BSON type, by the alias that `bsonType` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CellType {
    /// Text.
    Text,
    /// A 32-bit integer.
    Int,
    /// A 64-bit integer.
    Long,
    /// An IEEE 754-2008 decimal128.
    Decimal,
    /// An IEEE 754 binary64.
    Double,
    /// A truth value.
    Boolean,
    /// A moment.
    Date,
    /// A sub-document.
    Object,
    /// A list.
    Array,
    /// An empty value.
    Null,
}

impl CellType {
    const ALL: [Self; 10] = [
        Self::Text,
        Self::Int,
        Self::Long,
        Self::Decimal,
        Self::Double,
        Self::Boolean,
        Self::Date,
        Self::Object,
        Self::Array,
        Self::Null,
    ];

    /// Returns the alias: `string`, `int` …
    #[must_use]
    pub const fn alias(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Int => "int",
            Self::Long => "long",
            Self::Decimal => "decimal",
            Self::Double => "double",
            Self::Boolean => "bool",
            Self::Date => "date",
            Self::Object => "object",
            Self::Array => "array",
            Self::Null => "null",
        }
    }

    fn of_alias(alias: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cell| cell.alias() == alias)
    }
}

/// Some BSON types.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CellTypes(u16);

impl CellTypes {
    /// Returns the same types and one more.
    #[must_use]
    pub const fn with(self, cell: CellType) -> Self {
        Self(self.0 | 1 << cell as u16)
    }

    /// Returns whether a type is among them.
    #[must_use]
    pub const fn has(self, cell: CellType) -> bool {
        self.0 & 1 << cell as u16 != 0
    }

    /// Returns whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns the types in a fixed order.
    pub fn iter(self) -> impl Iterator<Item = CellType> {
        CellType::ALL.into_iter().filter(move |cell| self.has(*cell))
    }

    fn aliases(self) -> Vec<&'static str> {
        self.iter().map(CellType::alias).collect()
    }

    const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    const fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }
}

/// What stands in a field of a table's documents. The root of a table is a field as well, of the type object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldSchema {
    /// The types of its values.
    pub types: CellTypes,
    /// The fields of its sub-documents.
    pub properties: BTreeMap<String, Self>,
    /// The items of its lists.
    pub items: Option<Box<Self>>,
}

impl FieldSchema {
    /// Returns a field of one type.
    #[must_use]
    pub fn of(cell: CellType) -> Self {
        Self { types: CellTypes::default().with(cell), ..Self::default() }
    }

    /// Adds a type.
    pub const fn add(&mut self, cell: CellType) {
        self.types = self.types.with(cell);
    }

    /// Returns the field of the items, which is made if it is not there.
    pub fn items_mut(&mut self) -> &mut Self {
        self.items.get_or_insert_default()
    }

    /// Returns a field of the sub-documents, which is made if it is not there.
    pub fn property_mut(&mut self, name: &str) -> &mut Self {
        if !self.properties.contains_key(name) {
            self.properties.insert(name.to_owned(), Self::default());
        }
        self.properties.entry(name.to_owned()).or_default()
    }

    /// Adds everything that another schema has.
    pub fn unite(&mut self, other: &Self) {
        self.types = self.types.and(other.types);
        for (name, field) in &other.properties {
            self.property_mut(name).unite(field);
        }
        if let Some(items) = &other.items {
            self.items_mut().unite(items);
        }
    }

    /// Reads a JSON schema: `bsonType`, `properties` and `items`.
    #[must_use]
    pub fn read(document: &Document) -> Self {
        let mut field = Self::default();
        match document.get("bsonType") {
            Some(Bson::String(alias)) => field.types = of_aliases([alias.as_str()]),
            Some(Bson::Array(aliases)) => field.types = of_aliases(aliases.iter().filter_map(Bson::as_str)),
            _ => {}
        }
        if let Ok(properties) = document.get_document("properties") {
            let properties =
                properties.iter().filter_map(|(name, inside)| Some((name, inside.as_document()?)));
            field.properties = properties.map(|(name, inside)| (name.clone(), Self::read(inside))).collect();
        }
        field.items = document.get_document("items").ok().map(|items| Box::new(Self::read(items)));
        field
    }

    /// Returns the document of [`SQL_SCHEMAS`] that describes a table whose root this is.
    #[must_use]
    pub fn table_document(&self, table: &str) -> Document {
        doc! { "_id": table, "schema": { "version": 1_i64, "jsonSchema": self.root_json_schema() } }
    }

    /// Returns the JSON schema of a table whose root this is.
    #[must_use]
    pub fn root_json_schema(&self) -> Document {
        let mut schema = self.json_schema();
        schema.insert("bsonType", "object");
        schema
    }

    /// The types stand in an array even where there is one, so that a writer can add to it.
    fn json_schema(&self) -> Document {
        let mut schema = Document::new();
        if !self.types.is_empty() {
            schema.insert("bsonType", self.types.aliases());
        }
        if !self.properties.is_empty() {
            let property = |(name, field): (&String, &Self)| (name.clone(), field.json_schema().into());
            schema.insert("properties", self.properties.iter().map(property).collect::<Document>());
        }
        if let Some(items) = &self.items {
            schema.insert("items", items.json_schema());
        }
        schema
    }

    /// Adds types to the field at a path such as `properties.name.items.properties.given`.
    #[cfg(any(test, feature = "simulation"))]
    fn add_at(&mut self, path: &str, types: CellTypes) {
        let (mut field, mut steps) = (self, path.split('.'));
        while let Some(step) = steps.next() {
            field = if step == "items" {
                field.items_mut()
            } else {
                field.property_mut(steps.next().unwrap_or_default())
            };
        }
        field.types = field.types.and(types);
    }

    /// Returns how many fields there are below this one, and about how many bytes they take.
    fn size(&self) -> (usize, usize) {
        let inside = self.properties.iter().map(|(name, field)| {
            let (fields, bytes) = field.size();
            (fields + 1, bytes + name.len() + FIELD_BYTES)
        });
        let items = self.items.iter().map(|items| items.size());
        inside.chain(items).fold((0, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1))
    }
}

fn of_aliases<'a>(aliases: impl IntoIterator<Item = &'a str>) -> CellTypes {
    aliases.into_iter().filter_map(CellType::of_alias).fold(CellTypes::default(), CellTypes::with)
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
    fields: Vec<(String, CellTypes)>,
    /// Whether there is no room for some.
    leaves_out: bool,
}

impl KnownSchema {
    /// Reads a document of [`SQL_SCHEMAS`].
    pub(crate) fn read(document: &Document) -> Self {
        let schema = document.get_document("schema").and_then(|schema| schema.get_document("jsonSchema"));
        let root = schema.map(FieldSchema::read).unwrap_or_default();
        let (fields, bytes) = root.size();
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
        (self.fields, self.bytes) = self.root.size();
    }

    /// Enters what the database has been told.
    #[cfg(any(test, feature = "simulation"))]
    pub(crate) fn enter(&mut self, additions: &Additions) {
        for (path, types) in &additions.fields {
            self.root.add_at(path, *types);
        }
        (self.fields, self.bytes) = self.root.size();
        self.has_told |= additions.leaves_out;
    }
}

impl Additions {
    /// Returns whether the database need not be told anything.
    pub(crate) const fn is_settled(&self, known: &KnownSchema) -> bool {
        self.fields.is_empty() && (known.has_told || !self.leaves_out)
    }

    /// Returns the update that adds them: other writers may add to the same document at the same time.
    ///
    /// `{q: {_id: table}, u: {$addToSet: {"….bsonType": {$each: […]}}, $setOnInsert}, upsert: true}`
    pub(crate) fn statement(&self, table: &str) -> Document {
        let add = |(path, types): &(String, CellTypes)| {
            (format!("schema.jsonSchema.{path}.bsonType"), doc! { "$each": types.aliases() }.into())
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
        let is_versioned = matches!(resource.source.object.pin, Pin::Version(_));
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
            schema.property_mut(HASH_FIELD).add(CellType::Text);
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

/// The fields that every row has beside its cells.
fn provenance(is_versioned: bool) -> FieldSchema {
    let mut root = FieldSchema::default();
    for name in ["_id", "_version", "_load"] {
        root.property_mut(name).add(CellType::Text);
    }
    let source = root.property_mut("_source");
    source.add(CellType::Object);
    for name in ["bucket", "key"].into_iter().chain(is_versioned.then_some("versionId")) {
        source.property_mut(name).add(CellType::Text);
    }
    for name in ["ordinal", "offset", "length"] {
        source.property_mut(name).add(CellType::Long);
    }
    root
}

/// Enters the text that a completion writes: numbers in its path are places in lists, and the last one says that the
/// text goes behind the items of the list.
fn complete(root: &mut FieldSchema, path: &str) {
    let mut field = root;
    for (index, step) in path.split('.').enumerate() {
        if step.bytes().all(|byte| byte.is_ascii_digit()) {
            field.add(CellType::Array);
            field = field.items_mut();
        } else {
            if index > 0 {
                field.add(CellType::Object);
            }
            field = field.property_mut(step);
        }
    }
    field.add(CellType::Text);
}

/// What cells hold, by column.
#[derive(Debug, Default)]
struct Seen {
    types: CellTypes,
    columns: BTreeMap<ColumnId, Self>,
    items: Option<Box<Self>>,
}

impl Seen {
    /// A cell that waits for a key is not written; a completion writes it.
    fn record(&mut self, cells: Cells<'_>) {
        for (column, value) in cells {
            if !matches!(value, Value::Pending(_)) {
                self.columns.entry(column).or_default().value(value);
            }
        }
    }

    fn value(&mut self, value: Value<'_>) {
        let cell = match value {
            Value::Null | Value::Pending(_) | Value::PendingOrNull(_) => CellType::Null,
            Value::Boolean(_) => CellType::Boolean,
            Value::Integer(_) => CellType::Int,
            Value::Long(_) => CellType::Long,
            Value::Decimal(_) => CellType::Decimal,
            Value::Double(_) => CellType::Double,
            Value::Text(_) => CellType::Text,
            Value::Instant(_) => CellType::Date,
            Value::List(cells) => {
                let items = cells.filter(|(_, item)| !matches!(item, Value::Pending(_)));
                items.for_each(|(_, item)| self.items.get_or_insert_default().value(item));
                CellType::Array
            }
            Value::Record(cells) => {
                self.record(cells);
                CellType::Object
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

    use super::{CellType, FieldSchema, KnownSchema, MAX_MADE_UP, MAX_STEPS, complete};

    fn table(fields: usize) -> FieldSchema {
        let mut root = FieldSchema::default();
        (0..fields).for_each(|number| root.property_mut(&format!("c{number}")).add(CellType::Text));
        root
    }

    #[test]
    fn only_what_is_new_is_added() {
        let mut known = KnownSchema::default();
        let mut wanted = table(1);
        known.enter(&known.additions(&wanted, usize::MAX));
        assert!(known.additions(&wanted, usize::MAX).is_settled(&known));
        wanted.property_mut("c0").add(CellType::Int);
        let list = wanted.property_mut("list");
        list.add(CellType::Array);
        list.items_mut().add(CellType::Object);
        list.items_mut().property_mut("items").add(CellType::Null);
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
        assert!(known.additions(&wanted, usize::MAX).is_settled(&known));
        let bytes = bson::serialize_to_vec(&known.root().table_document("T")).unwrap().len();
        assert!(bytes < 12 << 20, "{bytes}");
    }

    #[test]
    fn long_names_and_deep_lists_end_below_the_limits_of_a_document() {
        let mut wanted = FieldSchema::default();
        let mut field = &mut wanted;
        for _ in 0..MAX_STEPS {
            field = field.property_mut("a");
            field.add(CellType::Array);
            field = field.items_mut();
            field.add(CellType::Object);
        }
        for number in 0..MAX_MADE_UP {
            wanted.property_mut(&format!("{}{number}", "n".repeat(2_000))).add(CellType::Text);
        }
        let mut known = KnownSchema::default();
        let additions = known.additions(&wanted, usize::MAX);
        known.enter(&additions);
        let bytes = bson::serialize_to_vec(&known.root().table_document("T")).unwrap().len();
        assert!(bytes < 14 << 20, "{bytes}");
        assert!(additions.leaves_out && depth(&known.root().table_document("T")) < 100);
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
        let properties = root.root_json_schema().get_document("properties").unwrap().clone();
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
        root.property_mut("c1").add(CellType::Decimal);
        complete(&mut root, "list.0.key");
        let read = KnownSchema::read(&root.table_document("T"));
        assert_eq!(read.root().properties, root.properties);
    }
}
