//! How fast an object is cut into frames: bytes a second of the inflated stream, every frame counted.

use std::hint::black_box;
use std::io::Write;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pipeline::decode::{Decoder, DecoderLimits, Frame};

/// Large enough not to fit into a processor's caches.
const OBJECT_BYTES: usize = 32 << 20;
/// What the pipeline pushes at once.
const CHUNK_BYTES: usize = 256 << 10;

/// What must come out of an object.
#[derive(Debug, PartialEq, Eq, Default)]
struct Counts {
    resources: usize,
    entries: usize,
    bundles: usize,
    broken: usize,
    /// The bytes of all resources and entries.
    bytes: usize,
}

fn decode(raw: &[u8]) -> Counts {
    let mut decoder = Decoder::new(DecoderLimits::default());
    let mut counts = Counts::default();
    for chunk in raw.chunks(CHUNK_BYTES) {
        decoder.push(chunk);
        count(&mut decoder, &mut counts);
    }
    decoder.finish();
    count(&mut decoder, &mut counts);
    counts
}

fn count(decoder: &mut Decoder, counts: &mut Counts) {
    while let Some(frame) = decoder.next() {
        match black_box(frame) {
            Frame::Resource { bytes, .. } => {
                counts.resources += 1;
                counts.bytes += bytes.len();
            }
            Frame::Entry { bytes, .. } => {
                counts.entries += 1;
                counts.bytes += bytes.len();
            }
            Frame::BundleEnd { .. } => counts.bundles += 1,
            Frame::Broken { .. } => counts.broken += 1,
        }
    }
}

/// Observations of about 800 bytes, as a server exports them; the type stands first or in the middle.
fn observations(type_first: bool) -> Vec<String> {
    let (first, later) = if type_first {
        (r#""resourceType":"Observation","#, "")
    } else {
        ("", r#""resourceType":"Observation","#)
    };
    let one = |number: usize| {
        format!(
            concat!(
                r#"{{{}"id":"o{}","meta":{{"versionId":"1","lastUpdated":"2026-01-05T10:00:00.000+00:00","profile":"#,
                r#"["http://hl7.org/fhir/us/core/StructureDefinition/us-core-observation-lab"]}},"status":"final","#,
                r#""category":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/observation-category","#,
                r#""code":"laboratory","display":"Laboratory"}}]}}],{}"code":{{"coding":[{{"system":"http://loinc.org","#,
                r#""code":"2339-0","display":"Glucose \"Bld\""}}],"text":"Glucose"}},"subject":{{"reference":"Patient/{}"}},"#,
                r#""effectiveDateTime":"2026-01-05T09:{:02}:00+01:00","issued":"2026-01-05T10:00:00.000+01:00","#,
                r#""valueQuantity":{{"value":{}.50,"unit":"mg/dL","system":"http://unitsofmeasure.org","code":"mg/dL"}}}}"#
            ),
            first,
            number,
            later,
            number % 977,
            number % 60,
            60 + number % 90
        )
    };
    let mut all = Vec::new();
    let mut total = 0;
    while total < OBJECT_BYTES {
        let text = one(all.len());
        total += text.len();
        all.push(text);
    }
    all
}

fn bench(criterion: &mut Criterion, name: &str, raw: &[u8], inflated_bytes: usize, expected: &Counts) {
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Bytes(inflated_bytes as u64));
    group.sample_size(20);
    assert_eq!(decode(raw), *expected, "{name}");
    group.bench_function(name, |bencher| bencher.iter(|| assert_eq!(decode(black_box(raw)), *expected)));
    group.finish();
}

fn decode_objects(criterion: &mut Criterion) {
    for (name, type_first) in [("ndjson", true), ("ndjson, type in the middle", false)] {
        let resources = observations(type_first);
        let bytes = resources.iter().map(String::len).sum();
        let counts = Counts { resources: resources.len(), bytes, ..Counts::default() };
        let file = resources.join("\n");
        bench(criterion, name, file.as_bytes(), file.len(), &counts);
        if type_first {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            assert!(encoder.write_all(file.as_bytes()).is_ok());
            let packed = encoder.finish().unwrap_or_default();
            bench(criterion, "ndjson, gzip", &packed, file.len(), &counts);
        }
    }
    let entries: Vec<String> = observations(true)
        .into_iter()
        .enumerate()
        .map(|(number, resource)| format!(r#"{{"fullUrl":"urn:uuid:{number:032}","resource":{resource}}}"#))
        .collect();
    let bytes = entries.iter().map(String::len).sum();
    let counts = Counts { entries: entries.len(), bundles: 1, bytes, ..Counts::default() };
    let one_line = format!(r#"{{"resourceType":"Bundle","entry":[{}]}}"#, entries.join(","));
    bench(criterion, "bundle on one line", one_line.as_bytes(), one_line.len(), &counts);
    let type_last = format!(r#"{{"entry":[{}],"resourceType":"Bundle"}}"#, entries.join(","));
    bench(criterion, "bundle, type last", type_last.as_bytes(), type_last.len(), &counts);
    pretty_bundle(criterion, &entries);
}

fn pretty_bundle(criterion: &mut Criterion, entries: &[String]) {
    let entries: Vec<String> = entries.iter().take(entries.len() / 2).map(|entry| pretty(entry)).collect();
    let bytes = entries.iter().map(String::len).sum();
    let counts = Counts { entries: entries.len(), bundles: 1, bytes, ..Counts::default() };
    let file = format!(
        "{{\n  \"resourceType\": \"Bundle\",\n  \"entry\": [\n    {}\n  ]\n}}\n",
        entries.join(",\n    ")
    );
    bench(criterion, "bundle, pretty-printed", file.as_bytes(), file.len(), &counts);
}

/// Indents JSON by two spaces a level, as the common servers do.
fn pretty(compact: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(compact).unwrap_or_default();
    serde_json::to_string_pretty(&value).unwrap_or_default().replace('\n', "\n    ")
}

criterion_group!(benches, decode_objects);
criterion_main!(benches);
