//! How fast rows become BSON: bytes a second of the documents, against the way through the driver's values.

use std::hint::black_box;
use std::sync::Arc;

use bson::{Decimal128, Document, doc};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flatten::row::{ITEM, Names, Rows};
use mongodb_store::encode::{BsonWriter, RowEncoder};
use pipeline::batch::{Fate, ResourceWrite, WriteBatch};
use pipeline::object::{ObjectRef, Pin, Source};
use pipeline::version::Version;

const ROWS: u64 = 2_000;

fn source(ordinal: u64) -> Source {
    let object = ObjectRef {
        bucket: "clinic".into(),
        key: "incoming/day1.ndjson".into(),
        pin: Pin::VersionId("3sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY".into()),
        sequencer: Some("0055AED6DCD90281E5".into()),
        created: 1_767_607_200_000,
        size: None,
    };
    Source { object: Arc::new(object), ordinal, offset: ordinal * 900, length: 899, line: ordinal + 1 }
}

/// Observations of one value, as automatic rows have them.
fn batch() -> WriteBatch {
    let (mut names, mut rows) = (Names::default(), Rows::default());
    let object = source(0).object;
    let mut resources = Vec::new();
    for ordinal in 0..ROWS {
        let key = format!("Observation/{ordinal:08}");
        let start = rows.len();
        let row = rows.begin_row(names.table("Observation"), &key);
        rows.text(names.column("id"), &key[12..]);
        rows.text(names.column("status"), "final");
        rows.text(names.column("code_system"), "http://loinc.org");
        rows.text(names.column("code_code"), "8480-6");
        rows.text(names.column("code_display"), "Systolic blood pressure");
        let codings = rows.open_list(names.column("code_codings"));
        rows.text(ITEM, "http://loinc.org|8480-6");
        rows.close(codings);
        rows.text(names.column("subject_reference"), "Patient/p1");
        rows.text(names.column("subject_key"), "Patient/p1");
        rows.text(names.column("effectiveDateTime"), "2026-01-05T09:58:00Z");
        rows.instant(names.column("effectiveDateTime_at"), 1_767_607_080_000);
        rows.decimal(names.column("valueQuantity_value"), "120.50");
        rows.text(names.column("valueQuantity_unit"), "mmHg");
        rows.integer(names.column("component_count"), 0);
        rows.end_row(row);
        let source = Source { object: Arc::clone(&object), ..source(ordinal) };
        resources.push(ResourceWrite {
            hash: None,
            resource_type: "Observation".into(),
            version: Version::new(None, &source),
            tables: Arc::from(["Observation".to_owned()]),
            fate: Fate::Rows(start..rows.len()),
            key,
            source,
        });
    }
    WriteBatch { names: names.list(), rows, resources, ..WriteBatch::default() }
}

fn encode(batch: &WriteBatch, writer: &mut BsonWriter) -> usize {
    writer.clear();
    let mut encoder = RowEncoder::new(&batch.names);
    for (row, resource) in batch.rows.iter().zip(&batch.resources) {
        encoder.row(writer, row, resource);
    }
    writer.len()
}

/// Returns one row as the driver's value.
fn document(ordinal: u64, resource: &ResourceWrite) -> Document {
    doc! {
        "_id": &resource.key,
        "id": &resource.key[12..],
        "status": "final",
        "code_system": "http://loinc.org",
        "code_code": "8480-6",
        "code_display": "Systolic blood pressure",
        "code_codings": ["http://loinc.org|8480-6"],
        "subject_reference": "Patient/p1",
        "subject_key": "Patient/p1",
        "effectiveDateTime": "2026-01-05T09:58:00Z",
        "effectiveDateTime_at": bson::DateTime::from_millis(1_767_607_080_000),
        "valueQuantity_value": "120.50".parse::<Decimal128>().unwrap_or_else(|error| panic!("{error}")),
        "valueQuantity_unit": "mmHg",
        "component_count": 0,
        "_version": resource.version.as_str(),
        "_source": {
            "bucket": "clinic",
            "key": "incoming/day1.ndjson",
            "versionId": "3sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY",
            "ordinal": i64::try_from(ordinal).unwrap_or(i64::MAX),
            "offset": i64::try_from(resource.source.offset).unwrap_or(i64::MAX),
            "length": 899_i64,
        },
        "_load": resource.source.object.load_id(),
        "_received": bson::DateTime::from_millis(resource.source.object.created),
    }
}

fn through_values(batch: &WriteBatch, bytes: &mut Vec<u8>) -> usize {
    bytes.clear();
    for (ordinal, resource) in (0..).zip(&batch.resources) {
        bson::serialize_to_buffer(&document(ordinal, resource), bytes)
            .unwrap_or_else(|error| panic!("{error}"));
    }
    bytes.len()
}

fn bench(criterion: &mut Criterion) {
    let batch = batch();
    let (mut writer, mut bytes) = (BsonWriter::default(), Vec::new());
    let length = encode(&batch, &mut writer);
    assert_eq!(length, through_values(&batch, &mut bytes));
    assert!(writer.as_slice() == bytes, "both ways lead to the same bytes");
    let mut group = criterion.benchmark_group("bson");
    group.throughput(Throughput::Bytes(length as u64));
    group.bench_function("cells", |bencher| {
        bencher.iter(|| assert_eq!(encode(black_box(&batch), &mut writer), length));
    });
    group.bench_function("values", |bencher| {
        bencher.iter(|| assert_eq!(through_values(black_box(&batch), &mut bytes), length));
    });
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
