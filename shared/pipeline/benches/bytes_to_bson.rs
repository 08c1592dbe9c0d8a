//! The whole pipeline but the network: an object's bytes to BSON documents, against `serde_json::Value` parsing of the
//! same bytes in the same run.
//!
//! The answers are asserted: as many documents as `serde_json` finds resources. The corpus is Synthea NDJSON and
//! HL7's R4 examples where they stand beside the project, and observations that the benchmark writes itself.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a benchmark stops where something is wrong"
)]

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flatten::catalog::Catalog;
use mongodb_store::encode::{BsonWriter, RowEncoder};
use pipeline::assemble::{Assembler, BatchLimits};
use pipeline::batch::Fate;
use pipeline::decode::{Decoder, DecoderLimits, Frame, FramePlace};
use pipeline::object::{ObjectRef, Pin};
use serde_json::Value;

/// What is pushed at once.
const CHUNK_BYTES: usize = 256 << 10;

/// Returns the resources of a folder, one a line.
fn folder(path: &str) -> Option<Vec<u8>> {
    let mut paths: Vec<_> = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path))
        .ok()?
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let mut lines = Vec::new();
    for path in paths {
        let bytes = fs::read(&path).unwrap();
        let is_lines = path.extension().is_some_and(|extension| extension == "ndjson");
        let texts: Vec<&[u8]> =
            if is_lines { bytes.split(|byte| *byte == b'\n').collect() } else { vec![&bytes] };
        for text in texts {
            // Whitespace is kept: it is part of what has to be read.
            if serde_json::from_slice::<Value>(text).is_ok_and(|value| {
                value["resourceType"].is_string()
                    && value["resourceType"] != "Bundle"
                    && value["resourceType"] != "Parameters"
            }) {
                lines.extend_from_slice(text);
                lines.push(b'\n');
            }
        }
    }
    Some(lines)
}

fn observations() -> Vec<u8> {
    let line = |number: u32| {
        format!(
            concat!(
                r#"{{"resourceType":"Observation","id":"{0:08}","meta":{{"lastUpdated":"2026-01-05T10:00:00.000Z"}},"status":"final","#,
                r#""category":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs","display":"Vital signs"}}]}}],"#,
                r#""code":{{"coding":[{{"system":"http://loinc.org","code":"8480-6","display":"Systolic blood pressure"}}],"text":"Systolic blood pressure"}},"#,
                r#""subject":{{"reference":"Patient/{1}"}},"encounter":{{"reference":"Encounter/{0}"}},"effectiveDateTime":"2026-01-05T09:58:00+01:00","#,
                r#""issued":"2026-01-05T09:58:00.123+01:00","valueQuantity":{{"value":{2}.50,"unit":"mmHg","system":"http://unitsofmeasure.org","code":"mm[Hg]"}}}}"#,
            ),
            number,
            number % 97,
            90 + number % 80
        )
    };
    (0..4_000).flat_map(|number| (line(number) + "\n").into_bytes()).collect()
}

fn to_bson(bytes: &[u8], catalog: &Arc<Catalog>, object: &Arc<ObjectRef>, writer: &mut BsonWriter) -> usize {
    let mut decoder = Decoder::new(DecoderLimits::default());
    let mut assembler = Assembler::new(Arc::clone(object), Arc::clone(catalog), BatchLimits::default());
    let mut documents = 0;
    let mut drain = |decoder: &mut Decoder, assembler: &mut Assembler, last: bool| {
        while let Some(frame) = decoder.next() {
            assembler.add_frame(&frame);
            if assembler.is_full() {
                documents += encode(assembler, writer);
            }
        }
        if last {
            documents += encode(assembler, writer);
        }
    };
    for chunk in bytes.chunks(CHUNK_BYTES) {
        decoder.push(chunk);
        drain(&mut decoder, &mut assembler, false);
    }
    decoder.finish();
    drain(&mut decoder, &mut assembler, true);
    assembler.recycle();
    documents
}

fn records(bytes: &[u8]) -> Vec<&[u8]> {
    let mut values = serde_json::Deserializer::from_slice(bytes).into_iter::<serde::de::IgnoredAny>();
    let mut records = Vec::new();
    let mut start = 0;
    while values.next().is_some_and(|value| value.is_ok()) {
        records.push(bytes[start..values.byte_offset()].trim_ascii());
        start = values.byte_offset();
    }
    records
}

/// Records that are cut out already, by an assembler that has met their shapes: what a long file costs by the record.
fn records_to_bson(records: &[&[u8]], assembler: &mut Assembler, writer: &mut BsonWriter) -> usize {
    let mut documents = 0;
    for (ordinal, &bytes) in (0..).zip(records) {
        let place = FramePlace { ordinal, offset: 0, length: bytes.len() as u64, line: ordinal + 1 };
        assembler.add_frame(&Frame::Resource { place, bytes });
        if assembler.is_full() {
            documents += encode(assembler, writer);
        }
    }
    documents + encode(assembler, writer)
}

fn encode(assembler: &mut Assembler, writer: &mut BsonWriter) -> usize {
    let Some(batch) = assembler.take_batch() else { return 0 };
    let mut encoder = RowEncoder::new(&batch.names);
    for resource in &batch.resources {
        if let Fate::Rows(rows) = &resource.fate {
            for row in batch.rows.range(rows.clone()) {
                writer.clear();
                encoder.row(writer, row, resource);
                black_box(writer.as_slice());
            }
        }
    }
    batch.resources.len()
}

fn line(criterion: &mut Criterion) {
    let object = Arc::new(ObjectRef {
        bucket: "clinic".into(),
        key: "incoming/day1.ndjson".into(),
        pin: Pin::Latest,
        sequencer: None,
        created: 0,
        size: None,
    });
    let catalog: Arc<Catalog> = Arc::default();
    let corpora = [
        ("synthea", folder("../shared/fhir/samples/derived-synthea-r4-ndjson")),
        ("hl7-r4", folder("../shared/fhir/samples/hl7-r4-examples")),
        ("observations", Some(observations())),
    ];
    for (name, bytes) in corpora {
        let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) else { continue };
        let values = || serde_json::Deserializer::from_slice(&bytes).into_iter::<Value>().map(Result::unwrap);
        let mut writer = BsonWriter::default();
        let expected = values().count();
        assert_eq!(to_bson(&bytes, &catalog, &object, &mut writer), expected, "a document a resource");
        let mut group = criterion.benchmark_group(format!("bytes_to_bson/{name}"));
        group.throughput(Throughput::Bytes(bytes.len() as u64)).sample_size(20);
        group.bench_function("serde_json::Value", |bencher| {
            bencher.iter(|| values().map(black_box).count());
        });
        let records = records(&bytes);
        let mut assembler = Assembler::new(Arc::clone(&object), Arc::clone(&catalog), BatchLimits::default());
        group.bench_function("records to BSON", |bencher| {
            bencher.iter(|| assert_eq!(records_to_bson(&records, &mut assembler, &mut writer), expected));
        });
        group.bench_function("bytes to BSON", |bencher| {
            bencher.iter(|| assert_eq!(to_bson(&bytes, &catalog, &object, &mut writer), expected));
        });
        group.finish();
    }
}

criterion_group!(benches, line);
criterion_main!(benches);
