//! Batches by description: keys, versions and row ids in, batches out.

use std::sync::Arc;

use flatten::defect::{Defect, DefectCode};
use flatten::row::{ITEM, Names, Rows};
use pipeline::batch::{Completion, Fate, Reason, Reject, ResourceWrite, WriteBatch};
use pipeline::erasure::ErasureMarks;
use pipeline::object::{ObjectRef, Pin, Source};
use pipeline::summary::Summary;
use pipeline::version::Version;

/// The tables that have one row a patient. Rows in `names` come besides; no table takes audit events.
const TABLES: [&str; 2] = ["Patient", "active"];

/// One version of one resource.
#[derive(Debug, Clone)]
pub(crate) struct Write {
    pub(crate) key: String,
    pub(crate) version: u64,
    pub(crate) shape: Shape,
}

/// What a version consists of.
#[derive(Debug, Clone)]
pub(crate) enum Shape {
    /// Rows: the main one or not, and so many in `names`; with three of them also one in `active`.
    Rows {
        main: bool,
        names: usize,
    },
    /// A main row with keys that are not known yet, at the top, in a record of a list, and in a list.
    Pending,
    Deleted,
    Archived,
    /// Not a version: somebody erases the resource.
    Erased,
}

/// A batch to be built.
#[derive(Debug, Clone, Default)]
pub(crate) struct BatchSpec {
    pub(crate) writes: Vec<Write>,
    /// Key, version, path and the target's key.
    pub(crate) completions: Vec<(&'static str, u64, &'static str, &'static str)>,
    /// Ordinals of records that are set aside.
    pub(crate) rejects: Vec<u64>,
    /// Ordinals of records that one view cannot take.
    pub(crate) view_defects: Vec<u64>,
    pub(crate) reading: u32,
}

pub(crate) fn rows(key: &str, version: u64, names: usize) -> Write {
    Write { key: key.to_owned(), version, shape: Shape::Rows { main: true, names } }
}

pub(crate) fn suffixed(key: &str, version: u64, names: usize) -> Write {
    Write { key: key.to_owned(), version, shape: Shape::Rows { main: false, names } }
}

pub(crate) fn pending(key: &str, version: u64) -> Write {
    Write { key: key.to_owned(), version, shape: Shape::Pending }
}

pub(crate) fn deleted(key: &str, version: u64) -> Write {
    Write { key: key.to_owned(), version, shape: Shape::Deleted }
}

pub(crate) fn archived(key: &str, version: u64) -> Write {
    Write { key: key.to_owned(), version, shape: Shape::Archived }
}

pub(crate) fn erased(key: &str) -> Write {
    Write { key: key.to_owned(), version: 0, shape: Shape::Erased }
}

/// Returns the batch with the marks of a store.
pub(crate) fn marked(mut batch: WriteBatch, marks: &ErasureMarks) -> WriteBatch {
    for resource in &mut batch.resources {
        if let Fate::Erased { mark } = &mut resource.fate {
            *mark = marks.of_resource(&resource.key);
        }
    }
    batch
}

pub(crate) fn batch(writes: impl Into<Vec<Write>>) -> BatchSpec {
    BatchSpec { writes: writes.into(), ..BatchSpec::default() }
}

/// Returns how many were loaded, superseded, deleted, archived and rejected.
pub(crate) fn counts(summary: &Summary) -> [u64; 5] {
    [summary.loaded, summary.superseded, summary.deleted, summary.archived, summary.rejected]
}

impl BatchSpec {
    /// Returns how many records have a fate of their own.
    pub(crate) fn records(&self) -> u64 {
        (self.writes.len() + self.rejects.len()) as u64
    }

    pub(crate) fn build(&self) -> WriteBatch {
        let (mut names, mut arena) = (Names::default(), Rows::default());
        let resources = self.writes.iter().map(|write| write.build(&mut names, &mut arena)).collect();
        let completions = self.completions.iter().map(|&(key, version, path, target)| Completion {
            table: "Patient".to_owned(),
            row: key.to_owned(),
            version: token(version),
            path: path.to_owned(),
            key: target.to_owned(),
        });
        let rejects = (self.rejects.iter().map(|&ordinal| reject(ordinal, None)))
            .chain(self.view_defects.iter().map(|&ordinal| reject(ordinal, Some("names"))));
        WriteBatch {
            names: names.list(),
            rows: arena,
            resources,
            completions: completions.collect(),
            rejects: rejects.collect(),
            reading: self.reading,
            ..WriteBatch::default()
        }
    }
}

impl Write {
    fn build(&self, names: &mut Names, arena: &mut Rows) -> ResourceWrite {
        let start = arena.len();
        match self.shape {
            Shape::Rows { main, names: count } => {
                if main {
                    self.row(names, arena, "Patient", &self.key);
                }
                if main && count == 3 {
                    self.row(names, arena, "active", &self.key);
                }
                for number in 0..count {
                    self.row(names, arena, "names", &format!("{}#{number}", self.key));
                }
            }
            Shape::Pending => self.pending_row(names, arena),
            Shape::Deleted | Shape::Archived | Shape::Erased => {}
        }
        let fate = match self.shape {
            Shape::Deleted => Fate::Deleted,
            // Each store has marks of its own: see `marked`.
            Shape::Erased => Fate::Erased { mark: String::new() },
            Shape::Archived => Fate::Archived(format!("{{\"n\": {}.0}}", self.version).into_bytes()),
            Shape::Rows { .. } | Shape::Pending => Fate::Rows(start..arena.len()),
        };
        let resource_type = self.key.split('/').next().unwrap();
        let tables: &[&str] = if resource_type == "AuditEvent" { &[] } else { &TABLES };
        ResourceWrite {
            hash: None,
            key: self.key.clone(),
            resource_type: resource_type.into(),
            version: if matches!(fate, Fate::Erased { .. }) {
                Version::erased()
            } else {
                token(self.version)
            },
            source: source(self.version),
            tables: tables.iter().map(|&table| table.to_owned()).collect(),
            fate,
        }
    }

    fn row(&self, names: &mut Names, arena: &mut Rows, table: &str, id: &str) {
        let row = arena.begin_row(names.table(table), id);
        arena.long(names.column("n"), i64::try_from(self.version).unwrap());
        arena.decimal(names.column("value"), "1.50");
        arena.end_row(row);
    }

    fn pending_row(&self, names: &mut Names, arena: &mut Rows) {
        let key = names.column("subject_key");
        let row = arena.begin_row(names.table("Patient"), &self.key);
        arena.pending(key, "urn:uuid:1");
        let list = arena.open_list(names.column("link"));
        for _ in 0..2 {
            let record = arena.open_record(ITEM);
            arena.pending(key, "urn:uuid:1");
            arena.boolean(names.column("active"), true);
            arena.pending(names.column("other_key"), "urn:uuid:2");
            arena.close(record);
        }
        arena.close(list);
        let list = arena.open_list(names.column("keys"));
        arena.text(ITEM, "Patient/8");
        arena.pending(ITEM, "urn:uuid:1");
        arena.close(list);
        arena.end_row(row);
    }
}

/// Returns the only object of these tests; the ordinal is the version.
fn source(ordinal: u64) -> Source {
    let object = ObjectRef {
        bucket: "clinic".into(),
        key: "in/day 1.ndjson".into(),
        pin: Pin::VersionId("v1".into()),
        sequencer: Some("0A".into()),
        created: 7,
        size: None,
    };
    Source { object: Arc::new(object), ordinal, offset: 100 * ordinal, length: 99, line: ordinal + 1 }
}

fn token(version: u64) -> Version {
    Version::new(Some(i128::from(version)), &source(version))
}

fn reject(ordinal: u64, view: Option<&str>) -> Reject {
    let defect = Defect::at(DefectCode::TooDeep, "/a/?/b", 17);
    Reject {
        source: source(ordinal),
        resource: view.map(|_| "Patient/1".to_owned()),
        sha256: Some("00".repeat(32)),
        version: Some(token(ordinal)),
        reason: Reason::Defect { view: view.map(str::to_owned), defect },
    }
}

/// Returns a row with every kind of value.
pub(crate) fn every_value() -> WriteBatch {
    let (mut names, mut arena) = (Names::default(), Rows::default());
    let row = arena.begin_row(names.table("Observation"), "Observation/v");
    arena.null(names.column("empty"));
    arena.boolean(names.column("yes"), true);
    arena.integer(names.column("integer"), i32::MIN);
    arena.long(names.column("long"), i64::MAX);
    arena.decimal(names.column("decimal"), "-120.50");
    arena.double(names.column("double"), 120.5);
    arena.text(names.column("text"), "a\"\\\u{0}\n\u{1F600}ü");
    arena.instant(names.column("instant"), 1_767_607_200_120);
    let list = arena.open_list(names.column("list"));
    for number in 0..12 {
        arena.integer(ITEM, number);
    }
    arena.close(list);
    let list = arena.open_list(names.column("doubles"));
    for value in [0.0, -0.0, 80.0, 1e-7, 6.02e23, f64::MAX, 5e-324] {
        arena.double(ITEM, value);
    }
    arena.close(list);
    let record = arena.open_record(names.column("record"));
    let inner = arena.open_list(names.column("inner"));
    let empty = arena.open_record(ITEM);
    arena.close(empty);
    arena.close(inner);
    arena.close(record);
    arena.end_row(row);
    let resource = ResourceWrite {
        hash: None,
        key: "Observation/v".into(),
        resource_type: "Observation".into(),
        version: token(3),
        source: source(3),
        tables: Arc::from(["Observation".to_owned()]),
        fate: Fate::Rows(0..1),
    };
    WriteBatch { names: names.list(), rows: arena, resources: vec![resource], ..WriteBatch::default() }
}

/// The same with its members in the order of their names.
pub(crate) const EVERY_VALUE: &str = r#"{"_id":"Observation/v","_load":"clinic/in/day 1.ndjson@v1","_received":"1970-01-01T00:00:00.007Z",
"_source":{"bucket":"clinic","key":"in/day 1.ndjson","length":99,"offset":300,"ordinal":3,"versionId":"v1"},
"_version":"0000040000000000000000000003.0A000000000000000000000000000000.14d8de5697181886.0000000006000000",
"decimal":-120.50,"double":120.5,
"doubles":[0.0,-0.0,80.0,1e-7,6.02e23,1.7976931348623157e308,5e-324],"empty":null,"instant":"2026-01-05T10:00:00.120Z","integer":-2147483648,
"list":[0,1,2,3,4,5,6,7,8,9,10,11],"long":9223372036854775807,"record":{"inner":[{}]},
"text":"a\"\\\u0000\n😀ü","yes":true}"#;
