//! Files at random: records as NDJSON, a Bundle or an array, compressed or not, whole or cut.

use std::fmt::Write as _;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use crate::content::Record;

/// Returns a file of these records. A large one is read in several chunks, so that a load can stop in the middle of it.
pub(crate) fn file(random: &mut StdRng, records: &[Record], is_large: bool) -> Vec<u8> {
    let mut text = match random.random_range(0..6) {
        0 | 1 => lines(random, records, is_large),
        2 => array(random, records, is_large),
        _ => bundle(random, records, is_large),
    };
    if random.random_bool(0.1) {
        text.truncate(random.random_range(0..text.len()));
    }
    let mut bytes = packed(random, text.into_bytes(), is_large);
    if random.random_bool(0.05) {
        bytes.truncate(random.random_range(1..=bytes.len().max(1)));
    }
    bytes
}

/// Returns white space, which costs nothing but its bytes.
fn gap(random: &mut StdRng, is_large: bool) -> String {
    if is_large && random.random_bool(0.4) {
        " ".repeat(random.random_range(100_000..300_000))
    } else {
        String::new()
    }
}

fn lines(random: &mut StdRng, records: &[Record], is_large: bool) -> String {
    let mut text = String::new();
    for record in records {
        text += &gap(random, is_large);
        match record {
            Record::Resource { json, .. } => text += json,
            Record::Deletion { .. } => {
                write!(
                    text,
                    "{{\"resourceType\":\"Bundle\",\"type\":\"transaction\",\"entry\":[{}]}}",
                    entry(record)
                )
                .unwrap();
            }
            Record::Broken { line, .. } => text += line,
        }
        text.push('\n');
    }
    text
}

fn array(random: &mut StdRng, records: &[Record], is_large: bool) -> String {
    let elements = records.iter().map(|record| {
        let element = match record {
            Record::Resource { json, .. } => json.clone(),
            Record::Deletion { .. } => format!(
                "{{\"resourceType\":\"Parameters\",\"parameter\":[{{\"name\":\"x\",\"resource\":{{\"resourceType\":\"Bundle\",\
                 \"type\":\"batch\",\"entry\":[{}]}}}}]}}",
                entry(record)
            ),
            Record::Broken { element, .. } => (*element).to_owned(),
        };
        gap(random, is_large) + &element
    });
    format!("[{}]", elements.collect::<Vec<_>>().join(",\n"))
}

/// Sometimes with a Bundle inside, and with its own members before or behind its entries.
fn bundle(random: &mut StdRng, records: &[Record], is_large: bool) -> String {
    let nested = random.random_bool(0.2).then(|| random.random_range(0..records.len()));
    let entries = records.iter().enumerate().map(|(number, record)| {
        let entry = entry(record);
        let entry = if nested == Some(number) {
            format!("{{\"resource\":{{\"resourceType\":\"Bundle\",\"type\":\"batch\",\"entry\":[{entry}]}}}}")
        } else {
            entry
        };
        gap(random, is_large) + &entry
    });
    let entries = entries.collect::<Vec<_>>().join(",");
    let times = [
        "",
        ",\"meta\":{\"lastUpdated\":\"2025-01-01T00:00:00Z\"}",
        ",\"timestamp\":\"2025-06-30T11:00:00Z\"",
    ];
    let time = times.choose(random).unwrap();
    let kind = ["history", "transaction", "batch", "searchset"].choose(random).unwrap();
    let head = format!("\"resourceType\":\"Bundle\",\"id\":\"b\",\"type\":\"{kind}\"");
    match random.random_range(0..3) {
        0 => format!("{{{head}{time},\"entry\":[{entries}]}}"),
        1 => format!("{{{head},\"entry\":[{entries}]{time}}}"),
        _ => format!("{{\"entry\":[{entries}],\n{head}{time}}}\n"),
    }
}

fn entry(record: &Record) -> String {
    let response = |moment: Option<&str>| {
        let moment = moment.map(|moment| format!(",\"response\":{{\"lastModified\":\"{moment}\"}}"));
        moment.unwrap_or_default()
    };
    match record {
        Record::Resource { json, full_url, modified } => {
            let full_url = full_url.as_ref().map(|url| format!("\"fullUrl\":\"{url}\",")).unwrap_or_default();
            let response = response(*modified);
            format!(
                "{{{full_url}\"resource\":{json},\"request\":{{\"method\":\"put\",\"url\":\"x\"}}{response}}}"
            )
        }
        Record::Deletion { key, moment, method, is_carried } => {
            let (kind, id) = key.split_once('/').unwrap();
            let carried = format!("\"resource\":{{\"resourceType\":\"{kind}\",\"id\":\"{id}\"}},");
            let carried = if *is_carried { &carried } else { "" };
            let response = response(*moment);
            format!("{{{carried}\"request\":{{\"method\":\"{method}\",\"url\":\"{key}\"}}{response}}}")
        }
        Record::Broken { element, .. } => (*element).to_owned(),
    }
}

/// Returns the file compressed, perhaps. A large file is not made smaller, or it would be a small one.
fn packed(random: &mut StdRng, bytes: Vec<u8>, is_large: bool) -> Vec<u8> {
    let level = if is_large { Compression::none() } else { Compression::fast() };
    match random.random_range(0..6) {
        0 => gzip(&bytes, level),
        1 => {
            let (first, second) = bytes.split_at(bytes.len() / 2);
            [gzip(first, level), gzip(second, level)].concat()
        }
        2 if !is_large => zstd::bulk::compress(&bytes, 1).unwrap(),
        _ => bytes,
    }
}

fn gzip(bytes: &[u8], level: Compression) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), level);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
