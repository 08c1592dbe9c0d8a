//! Parsing and flattening against `serde_json::Value` parsing of the same bytes, in the same run.
//!
//! The answers are asserted before anything is timed. The corpus is Synthea NDJSON and HL7's R4 examples where
//! they stand beside the project, and the project's own `samples/` otherwise.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test stops where something is wrong"
)]

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flatten::automatic::{Automatic, Settings};
use flatten::catalog::{Catalog, CatalogFlattener, Choices, Tables};
use flatten::fhirpath::Context;
use flatten::json::{Limits, Tape};
use flatten::links::Links;
use flatten::resource::Resource;
use flatten::row::{Names, Rows};

/// Returns the resources of every file of a folder, one a line.
fn corpus(folder: &str) -> Option<Vec<Vec<u8>>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder);
    let mut paths: Vec<_> = fs::read_dir(folder).ok()?.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut resources = Vec::new();
    for path in paths {
        let bytes = fs::read(&path).unwrap();
        if path.extension().is_some_and(|extension| extension == "ndjson") {
            let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
            resources.extend(lines.filter(|line| !line.is_empty()).map(<[u8]>::to_vec));
        } else {
            resources.push(bytes);
        }
    }
    resources.retain(|resource| {
        serde_json::from_slice::<serde_json::Value>(resource)
            .is_ok_and(|value| value["resourceType"].is_string())
    });
    Some(resources)
}

fn flatten_all(
    resources: &[Vec<u8>],
    automatic: &mut Automatic,
    names: &mut Names,
    tape: &mut Tape,
    rows: &mut Rows,
) -> usize {
    let mut count = 0;
    for bytes in resources {
        let document = tape.parse(bytes, Limits::default()).unwrap();
        let resource = Resource::read(document.root()).unwrap();
        let key = resource.key(None, None);
        rows.clear();
        automatic.flatten(&resource, &Context::of(&key), names, rows).unwrap();
        count += rows.len();
    }
    count
}

fn rows(criterion: &mut Criterion) {
    let folders = [
        ("synthea", "../shared/fhir/samples/derived-synthea-r4-ndjson"),
        ("hl7-r4", "../shared/fhir/samples/hl7-r4-examples"),
        ("own", "samples"),
    ];
    for (name, folder) in folders {
        let Some(resources) = corpus(folder).filter(|resources| !resources.is_empty()) else { continue };
        let bytes: usize = resources.iter().map(Vec::len).sum();
        let (mut automatic, mut names) = (Automatic::new(Settings::default()), Names::default());
        let (mut tape, mut arena) = (Tape::default(), Rows::default());
        let count = flatten_all(&resources, &mut automatic, &mut names, &mut tape, &mut arena);
        assert!(count >= resources.len(), "every resource has a row");

        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(bytes as u64)).sample_size(20);
        group.bench_function("serde_json::Value", |bencher| {
            bencher.iter(|| {
                for resource in &resources {
                    black_box(serde_json::from_slice::<serde_json::Value>(resource).unwrap());
                }
            });
        });
        group.bench_function("sonic_rs::Value", |bencher| {
            bencher.iter(|| {
                for resource in &resources {
                    black_box(
                        sonic_rs::Deserializer::from_slice(resource)
                            .use_rawnumber()
                            .deserialize::<sonic_rs::Value>()
                            .unwrap(),
                    );
                }
            });
        });
        group.bench_function("tape", |bencher| {
            bencher.iter(|| {
                for resource in &resources {
                    black_box(tape.parse(resource, Limits::default()).unwrap());
                }
            });
        });
        group.bench_function("tape and automatic rows", |bencher| {
            bencher.iter(|| {
                assert_eq!(flatten_all(&resources, &mut automatic, &mut names, &mut tape, &mut arena), count);
            });
        });
        let choices = Choices { tables: Tables::Automatic, ..Choices::default() };
        let catalog = Arc::new(Catalog::compile(choices).unwrap());
        for (name, is_counted) in [("flattener", false), ("flattener and dictionary", true)] {
            let mut flattener = CatalogFlattener::new(Arc::clone(&catalog));
            group.bench_function(name, |bencher| {
                bencher.iter(|| batches(&resources, &mut flattener, &mut tape, &mut arena, is_counted));
            });
        }
        group.finish();
    }
}

/// Makes the rows of whole batches, as the pipeline makes them, counted into the dictionary or not.
fn batches(
    resources: &[Vec<u8>],
    flattener: &mut CatalogFlattener,
    tape: &mut Tape,
    rows: &mut Rows,
    is_counted: bool,
) {
    rows.clear();
    for bytes in resources {
        let document = tape.parse(bytes, Limits::default()).unwrap();
        let resource = Resource::read(document.root()).unwrap();
        let key = resource.key(None, None);
        flattener.flatten(&resource, &key, &Links::default(), rows).unwrap();
        if rows.bytes() > 4 << 20 {
            if is_counted {
                flattener.count(rows);
            }
            rows.clear();
        }
    }
}

criterion_group!(benches, rows);
criterion_main!(benches);
