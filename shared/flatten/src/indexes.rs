//! Which columns of automatic tables get an index in a database, by the element tables and before any data.
//!
//! ```
//! use flatten::indexes::Indexes;
//!
//! let columns = Indexes::Keys.columns("Condition");
//! assert!(columns.iter().any(|column| column == "subject_key"));
//! assert!(columns.iter().any(|column| column == "code_codings"));
//! assert!(Indexes::None.columns("Condition").is_empty());
//! ```

use crate::model::{self, Datatype, Element, Release, TypeId, Use};

/// Which columns of automatic tables get an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Indexes {
    /// The keys that joins use, identifiers, the code of the resource, and the columns by which Flatfire searches.
    #[default]
    Keys,
    /// These, and every other key, all codings, identifiers and moments of the row.
    All,
    /// None but that on `_id`.
    None,
}

/// A collection of MongoDB has at most 64 indexes. With the one on `_id` these are 60, so that some are left to others.
pub const MAX_COLUMNS: usize = 59;

/// Elements that refer to the patient.
const PATIENTS: [&str; 5] = ["subject", "patient", "beneficiary", "individual", "for"];
/// Elements that refer to the encounter.
const ENCOUNTERS: [&str; 2] = ["encounter", "context"];
/// Other elements that joins use.
const OTHERS: [&str; 19] = [
    "actor",
    "author",
    "basedOn",
    "condition",
    "generalPractitioner",
    "insurer",
    "managingOrganization",
    "medication",
    "medicationReference",
    "member",
    "organization",
    "partOf",
    "performer",
    "practitioner",
    "provider",
    "requester",
    "result",
    "serviceProvider",
    "specimen",
];
/// Elements that say what a resource is about.
const CODES: [&str; 4] = ["code", "medication", "medicationCodeableConcept", "vaccineCode"];

impl Indexes {
    /// Returns the columns of an automatic table that get an index each, at most [`MAX_COLUMNS`].
    ///
    /// `table` is the table of a resource type (`Patient`), of its contained resources (`Patient_contained`) or a child
    /// table (`Patient_name`). Child tables of extensions have the columns that all child tables have.
    #[must_use]
    pub fn columns(self, table: &str) -> Vec<String> {
        let (table, mut columns) = (Table::named(table), IndexedColumns::default());
        if self == Self::None {
            return columns.0;
        }
        match table.kind {
            TableKind::Resource => {}
            TableKind::Contained => columns.add("_container".to_owned()),
            TableKind::Child { .. } => columns.add("_parent".to_owned()),
        }
        // `forget` asks every table which rows a load has brought.
        columns.add("_load".to_owned());
        if self == Self::All || table.has_keys() {
            table.types.iter().for_each(|&carrier| columns.add_keys(carrier));
        }
        if self == Self::All {
            table.types.iter().for_each(|&carrier| columns.add_all(carrier));
        }
        columns.0
    }
}

/// A table and the types that its rows can have.
struct Table {
    kind: TableKind,
    types: Vec<TypeId>,
}

/// What the rows of a table are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TableKind {
    Resource,
    Contained,
    Child { of_contained: bool },
}

impl Table {
    /// Reads the name of a table: a resource type and the names of elements.
    fn named(table: &str) -> Self {
        let mut parts = table.split('_').peekable();
        let mut types: Vec<TypeId> = parts.next().and_then(model::type_named).into_iter().collect();
        let is_contained = parts.next_if_eq(&"contained").is_some();
        let mut kind = if is_contained { TableKind::Contained } else { TableKind::Resource };
        for part in parts {
            kind = TableKind::Child { of_contained: is_contained };
            let elements = types.iter().filter_map(|carrier| carrier.element(part));
            types = elements.flat_map(complex).collect();
            types.sort_unstable();
            types.dedup();
        }
        Self { kind, types }
    }

    /// Returns whether others refer to these rows or join them by their keys. Contained resources have no life of their
    /// own.
    fn has_keys(&self) -> bool {
        matches!(self.kind, TableKind::Resource | TableKind::Child { of_contained: false })
    }
}

/// Returns the types of the objects that an element can hold.
fn complex(element: Element) -> impl Iterator<Item = TypeId> {
    element.uses.iter().filter_map(|used| match used.datatype {
        Datatype::Complex(complex) => Some(complex),
        Datatype::Primitive(_) | Datatype::Resource => None,
    })
}

/// Returns the column of one kind that an element of a type has, if it has one.
type ColumnOf = fn(TypeId, (&str, Use)) -> Option<String>;

/// Names of columns, each once.
#[derive(Default)]
struct IndexedColumns(Vec<String>);

impl IndexedColumns {
    fn add(&mut self, column: String) {
        if self.0.len() < MAX_COLUMNS && !self.0.contains(&column) {
            self.0.push(column);
        }
    }

    fn add_keys(&mut self, carrier: TypeId) {
        match carrier.name() {
            "Reference" => return self.add("key".to_owned()),
            "CodeableReference" => return self.add("reference_key".to_owned()),
            _ if !carrier.is_resource() && !carrier.is_backbone() => return,
            _ => {}
        }
        let named = |name: &&str| carrier.element(name);
        for element in PATIENTS.iter().chain(&ENCOUNTERS).chain(&OTHERS).filter_map(named) {
            published(&element).filter_map(key_column).for_each(|column| self.add(column));
        }
        if let Some(identifier) = carrier.element("identifier").filter(|_| carrier.is_resource()) {
            published(&identifier).filter_map(identifier_column).for_each(|column| self.add(column));
        }
        for code in CODES.iter().filter_map(named) {
            published(&code).filter_map(codings_column).for_each(|column| self.add(column));
        }
    }

    fn add_all(&mut self, carrier: TypeId) {
        match carrier.name() {
            "CodeableConcept" => self.add("codings".to_owned()),
            "Identifier" => self.add("value".to_owned()),
            _ => {}
        }
        // The kinds come one after the other, so that the commonest questions have their index where there are too many.
        let kinds: [ColumnOf; 4] = [
            |_, named| key_column(named),
            |_, named| identifier_column(named),
            |_, named| codings_column(named),
            moment_column,
        ];
        for column_of in kinds {
            self.add_kind(carrier, "", column_of);
        }
    }

    /// Adds the columns of one kind, also those of objects that stand alone in the row.
    fn add_kind(&mut self, carrier: TypeId, prefix: &str, column_of: ColumnOf) {
        for element in carrier.elements() {
            for (name, used) in uses(&element) {
                if let Some(column) = column_of(carrier, (name, used)) {
                    self.add(format!("{prefix}{column}"));
                }
                match used.datatype {
                    Datatype::Complex(inner) if prefix.is_empty() && !used.many && inner.is_backbone() => {
                        self.add_kind(inner, &format!("{name}_"), column_of);
                    }
                    _ => {}
                }
            }
        }
    }
}

fn uses(element: &Element) -> impl Iterator<Item = (&'static str, Use)> {
    let name = element.name;
    element.uses.iter().map(move |&used| (name, used))
}

/// Returns the uses that a published release has: what a draft says may change.
fn published(element: &Element) -> impl Iterator<Item = (&'static str, Use)> {
    uses(element).filter(|(_, used)| used.releases.newest() != Some(Release::R6))
}

/// Returns the column of the key that a reference has.
fn key_column((name, used): (&str, Use)) -> Option<String> {
    match (used.datatype.name(), used.many) {
        ("Reference", false) => Some(format!("{name}_key")),
        ("Reference", true) => Some(format!("{name}_keys")),
        ("CodeableReference", _) => Some(format!("{name}_reference_key")),
        _ => None,
    }
}

fn identifier_column((name, used): (&str, Use)) -> Option<String> {
    let is_identifier = used.datatype.name() == "Identifier";
    is_identifier.then(|| format!("{name}_{}", if used.many { "values" } else { "value" }))
}

/// Returns the column of all codings, `system|code`.
fn codings_column((name, used): (&str, Use)) -> Option<String> {
    match (used.datatype.name(), used.many) {
        ("CodeableConcept", _) | ("Coding", true) => Some(format!("{name}_codings")),
        ("CodeableReference", _) => Some(format!("{name}_concept_codings")),
        _ => None,
    }
}

/// Returns the column of the moment. The members of a choice share one.
fn moment_column(carrier: TypeId, (name, used): (&str, Use)) -> Option<String> {
    let is_moment = |datatype| matches!(datatype, Datatype::Primitive(primitive) if primitive.is_moment());
    let is_period = used.datatype.name() == "Period" && !used.many;
    if !is_moment(used.datatype) && !is_period {
        return (used.datatype.name() == "Meta").then(|| format!("{name}_lastUpdated_at"));
    }
    let has_moments = |base: &&str| {
        carrier.choices(base).flat_map(|member| member.uses).any(|used| is_moment(used.datatype))
    };
    match used.choice.filter(has_moments) {
        Some(base) => Some(format!("{base}_at")),
        None if is_period => Some(format!("{name}_start_at")),
        None => Some(format!("{name}_at")),
    }
}

#[cfg(test)]
mod tests {
    use super::{Indexes, MAX_COLUMNS};

    #[test]
    fn keys_are_what_joins_and_searches_use() {
        let cases = [
            (
                "Observation",
                "_load subject_key encounter_key context_key basedOn_keys partOf_keys performer_keys specimen_key \
                 identifier_values code_codings",
            ),
            ("Patient", "_load generalPractitioner_keys managingOrganization_key identifier_values"),
            (
                "Immunization",
                "_load patient_key encounter_key basedOn_keys performer_key requester_key \
                 identifier_values vaccineCode_codings",
            ),
            (
                "MedicationRequest",
                "_load subject_key encounter_key context_key basedOn_keys medication_reference_key \
                 medicationReference_key performer_keys performer_key requester_key identifier_values \
                 medication_concept_codings medicationCodeableConcept_codings",
            ),
            ("Observation_contained", "_container _load"),
            ("Unknown_contained", "_container _load"),
            ("Rocket", "_load"),
            ("Encounter_participant", "_parent _load individual_key actor_key"),
            ("Encounter_diagnosis", "_parent _load condition_reference_key condition_key"),
            ("Observation_performer", "_parent _load key"),
            ("Observation_code_coding", "_parent _load"),
            ("Observation_contained_performer", "_parent _load"),
            ("Patient_patientCitizenship", "_parent _load"),
        ];
        for (table, columns) in cases {
            assert_eq!(Indexes::Keys.columns(table).join(" "), columns, "{table}");
            assert!(Indexes::None.columns(table).is_empty(), "{table}");
        }
    }

    #[test]
    fn all_has_every_key_codings_and_moments() {
        let columns = Indexes::All.columns("Observation");
        for column in [
            "device_key",
            "focus_keys",
            "category_codings",
            "effective_at",
            "issued_at",
            "meta_lastUpdated_at",
        ] {
            assert!(columns.iter().any(|known| known == column), "{column} is missing in {columns:?}");
        }
        assert!(Indexes::All.columns("Encounter").contains(&"hospitalization_origin_key".to_owned()));
        assert!(Indexes::All.columns("Encounter_type").contains(&"codings".to_owned()));
        assert!(Indexes::All.columns("Encounter").contains(&"period_start_at".to_owned()));
    }

    #[test]
    fn no_table_has_more_than_the_database_takes() {
        let lines = include_str!("model/elements.txt").lines();
        let names = lines.filter_map(|line| line.strip_prefix('=')?.split(' ').next());
        for name in names {
            let table = name.replace('.', "_");
            for table in [table.clone(), format!("{table}_contained")] {
                let (keys, all) = (Indexes::Keys.columns(&table), Indexes::All.columns(&table));
                assert!(keys.len() <= 20 && all.len() <= MAX_COLUMNS, "{table}: {keys:?} {all:?}");
                assert!(keys.iter().all(|column| all.contains(column)), "{table}: {keys:?} {all:?}");
            }
        }
    }
}
