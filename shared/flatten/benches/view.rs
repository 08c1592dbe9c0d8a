//! A view of eight columns over Observations, and ten of them at once, against `serde_json::Value` parsing of the
//! same bytes in the same run. Rows are written as CSV bytes; the answers are asserted before anything is timed.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test stops where something is wrong"
)]

use std::hint::black_box;
use std::io::Write as _;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flatten::fhirpath::Context;
use flatten::json::{Limits, Tape};
use flatten::row::{Names, Rows, Value};
use flatten::view::{Evaluator, Plan, ViewSet};
use serde_json::{Value as Json, json};

/// Observations as Synthea writes them, about 800 bytes each.
fn observations(count: usize) -> Vec<u8> {
    let mut lines = Vec::new();
    for n in 0..count {
        let (code, display, unit) = [
            ("8302-2", "Body Height", "cm"),
            ("29463-7", "Body Weight", "kg"),
            ("2339-0", "Glucose [Mass/volume] in Blood", "mg/dL"),
            ("72514-3", "Pain severity - 0-10 verbal numeric rating [Score] - Reported", "{score}"),
        ][n % 4];
        let observation = json!({
            "resourceType": "Observation",
            "id": format!("9ab8da79-87d8-4e5a-8135-{n:012}"),
            "status": "final",
            "category": [{"coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/observation-category",
                "code": "vital-signs",
                "display": "vital-signs",
            }]}],
            "code": {
                "coding": [{"system": "http://loinc.org", "code": code, "display": display}],
                "text": display,
            },
            "subject": {"reference": format!("Patient/fc200fa2-12c9-4276-ba4a-{:012}", n / 50)},
            "encounter": {"reference": format!("Encounter/0e9fa186-0480-432c-97e2-{:012}", n / 10)},
            "effectiveDateTime": "2019-06-13T04:38:16+00:00",
            "issued": "2019-06-13T04:38:16.610+00:00",
            "valueQuantity": {
                "value": 55.421_822_547_204_336,
                "unit": unit,
                "system": "http://unitsofmeasure.org",
                "code": unit,
            },
            "meta": {"tag": [{"system": "https://smarthealthit.org/tags", "code": "synthea-5-2019"}]},
        });
        serde_json::to_writer(&mut lines, &observation).unwrap();
        lines.push(b'\n');
    }
    lines
}

/// Returns the eight columns that analysts ask for first.
fn view(name: &str) -> Plan {
    let columns = [
        ("id", "getResourceKey()"),
        ("status", "status"),
        ("code", "code.coding.first().code"),
        ("code_system", "code.coding.first().system"),
        ("code_display", "code.coding.first().display"),
        ("patient_key", "subject.getReferenceKey(Patient)"),
        ("effective", "effective.ofType(dateTime)"),
        ("value", "value.ofType(Quantity).value"),
        ("unit", "value.ofType(Quantity).unit"),
    ];
    let columns: Vec<Json> = columns.iter().map(|(name, path)| json!({"name": name, "path": path})).collect();
    let view = json!({"name": name, "resource": "Observation", "select": [{"column": columns}]});
    Plan::compile(&view).unwrap()
}

/// Everything one worker needs for a set of views.
struct Line {
    views: ViewSet,
    evaluator: Evaluator,
    tape: Tape,
    rows: Rows,
    csv: Vec<u8>,
}

impl Line {
    fn new(views: usize) -> Self {
        let mut names = Names::default();
        let plans = (0..views).map(|n| Arc::new(view(&format!("observation_{n}"))));
        let views = ViewSet::new(plans, &mut names);
        Self {
            views,
            evaluator: Evaluator::default(),
            tape: Tape::default(),
            rows: Rows::default(),
            csv: Vec::new(),
        }
    }

    /// Turns NDJSON into CSV. Returns the number of rows.
    fn run(&mut self, ndjson: &[u8]) -> usize {
        self.csv.clear();
        let mut count = 0;
        let mut key = String::new();
        for line in lines(ndjson) {
            let document = self.tape.parse(line, Limits::default()).unwrap();
            let root = document.root();
            key.clear();
            key.push_str("Observation/");
            root.get("id").unwrap().push_text(&mut key);
            self.rows.clear();
            let context = Context::of(&key);
            let evaluated = self.evaluator.run_all(&self.views, root, &context, &mut self.rows).unwrap();
            count += evaluated.rows;
            assert!(evaluated.defects.is_empty());
            write_csv(&self.rows, &mut self.csv);
        }
        count
    }
}

/// Writes every cell as it is, then looks once at the whole row for what has to stand in quotes.
fn write_csv(rows: &Rows, csv: &mut Vec<u8>) {
    for row in rows.iter() {
        let start = csv.len();
        let mut columns = 0;
        for (_, value) in row.cells() {
            if columns > 0 {
                csv.push(b',');
            }
            columns += 1;
            write_cell(value, csv, false);
        }
        let written = &csv[start..];
        if special(written) + 1 != columns {
            csv.truncate(start);
            for (index, (_, value)) in row.cells().enumerate() {
                if index > 0 {
                    csv.push(b',');
                }
                write_cell(value, csv, true);
            }
        }
        csv.push(b'\n');
    }
}

/// Returns how many bytes mean something in CSV; a chunk of 255 cannot overflow its count.
fn special(bytes: &[u8]) -> usize {
    let count = |chunk: &[u8]| {
        let mark = |byte: &u8| u8::from(matches!(byte, b',' | b'"' | b'\n' | b'\r'));
        usize::from(chunk.iter().map(mark).sum::<u8>())
    };
    bytes.chunks(255).map(count).sum()
}

fn write_cell(value: Value<'_>, csv: &mut Vec<u8>, quoted: bool) {
    match value {
        Value::Text(text) if quoted => {
            csv.push(b'"');
            csv.extend_from_slice(text.replace('"', "\"\"").as_bytes());
            csv.push(b'"');
        }
        Value::Text(text) => csv.extend_from_slice(text.as_bytes()),
        Value::Decimal(digits) => csv.extend_from_slice(digits.as_bytes()),
        Value::Double(value) => write!(csv, "{value:?}").unwrap(),
        Value::Boolean(value) => write!(csv, "{value}").unwrap(),
        Value::Integer(value) => write!(csv, "{value}").unwrap(),
        Value::Long(value) | Value::Instant(value) => write!(csv, "{value}").unwrap(),
        Value::Null | Value::Pending(_) | Value::PendingOrNull(_) | Value::List(_) | Value::Record(_) => {}
    }
}

fn lines(ndjson: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut start = 0;
    memchr::memchr_iter(b'\n', ndjson).map(move |end| &ndjson[std::mem::replace(&mut start, end + 1)..end])
}

fn parse_values(ndjson: &[u8]) {
    for line in lines(ndjson) {
        black_box(serde_json::from_slice::<Json>(line).unwrap());
    }
}

fn parse_tapes(ndjson: &[u8], tape: &mut Tape) {
    for line in lines(ndjson) {
        black_box(tape.parse(line, Limits::default()).unwrap());
    }
}

fn bench(criterion: &mut Criterion) {
    let ndjson = observations(2_000);
    let (mut one, mut ten) = (Line::new(1), Line::new(10));
    assert_eq!(one.run(&ndjson), 2_000);
    assert_eq!(ten.run(&ndjson), 20_000);
    let first = one.csv.split(|byte| *byte == b'\n').next().unwrap();
    assert_eq!(
        std::str::from_utf8(first).unwrap(),
        "Observation/9ab8da79-87d8-4e5a-8135-000000000000,final,8302-2,http://loinc.org,Body Height,\
         Patient/fc200fa2-12c9-4276-ba4a-000000000000,2019-06-13T04:38:16+00:00,55.421822547204336,cm"
    );
    let mut group = criterion.benchmark_group("observation view");
    group.throughput(Throughput::Bytes(ndjson.len() as u64));
    group.bench_function("serde_json::Value alone", |bencher| {
        bencher.iter(|| parse_values(black_box(&ndjson)))
    });
    let mut tape = Tape::default();
    group.bench_function("tape alone", |bencher| bencher.iter(|| parse_tapes(black_box(&ndjson), &mut tape)));
    group.bench_function("one view to CSV", |bencher| bencher.iter(|| one.run(black_box(&ndjson))));
    group.bench_function("ten views to CSV", |bencher| bencher.iter(|| ten.run(black_box(&ndjson))));
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
