//! `flatfire find`: where the records of a resource stand in original files.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use flatten::catalog::{Catalog, Choices, Tables};
use pipeline::assemble::{Assembler, BatchLimits};
use pipeline::batch::{Fate, ResourceWrite, WriteBatch};
use pipeline::decode::{Decoder, DecoderLimits};
use pipeline::object::{ObjectRef, Pin};
use pipeline::source::{ReadFailure, Storage};
use serde_json::{Value, json};

use crate::cloud::Cloud;
use crate::console;
use crate::forget::resource_key;
use crate::input::Inputs;
use crate::outcome::Outcome;

/// Find the records of a resource in original files.
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(crate) struct FindArguments {
    /// The resource, as `Patient/123`
    #[arg(value_name = "TYPE/ID")]
    key: String,
    /// Where the files are: `s3://bucket/prefix`, or a folder or file; may be given again
    #[arg(long = "in", value_name = "PLACE", required = true)]
    places: Vec<String>,
    /// Print JSON, an object a line: one for each record, at the end one with the sums
    #[arg(long)]
    json: bool,
}

const NOTES: &str = "\
Every file is read, in a bucket with versions every version of it. One line is printed for each record: its object, its
version, the line on which it begins, its first and last byte, and whether it is the resource or a DELETE entry. Lines
and bytes are counted after decompression. A record that another resource contains, or a reference, is not one of it.

Exit codes: 0 found, 2 not found, 1 failed (some file or record could not be read, and may be of it too).";

/// An object to read.
struct Candidate {
    storage: Storage,
    object: Arc<ObjectRef>,
}

/// What a search has met.
#[derive(Debug, Default)]
struct Met {
    records: u64,
    unreadable: u64,
    failed: u64,
    /// Records are printed as JSON.
    is_json: bool,
}

/// Looks through everything that the arguments name.
pub(crate) async fn run(arguments: FindArguments) -> anyhow::Result<Outcome> {
    let key = resource_key(&arguments.key)?;
    // Without tables nothing is flattened: only keys are of interest.
    let choices = Choices { tables: Tables::Views, ..Choices::default() };
    let catalog = Arc::new(Catalog::compile(choices).map_err(|invalid| anyhow::anyhow!("{invalid}"))?);
    let Some(candidates) = candidates(&arguments.places).await? else { return Ok(Outcome::Failed) };
    let mut met = Met { is_json: arguments.json, ..Met::default() };
    for (number, candidate) in (1..).zip(&candidates) {
        let name = name_of(&candidate.object);
        console::line(&format!("reading {number} of {}: {name}", candidates.len()));
        if let Err(reason) = search(candidate, &catalog, &key, &mut met).await? {
            console::file_error(&name, &reason);
            met.failed += 1;
        }
    }
    if met.unreadable > 0 {
        console::line(&format!("{} records could not be read; they may be of it too", met.unreadable));
    }
    if met.is_json {
        console::print_json(&json!({
            "resource": key, "records": met.records, "objects": candidates.len(),
            "unreadableRecords": met.unreadable, "unreadableObjects": met.failed,
        }))?;
    }
    console::line(&format!("{key}: {} records in {} objects read", met.records, candidates.len()));
    Ok(match met {
        Met { failed: 1.., .. } | Met { unreadable: 1.., .. } => Outcome::Failed,
        Met { records: 0, .. } => Outcome::Partial,
        Met { .. } => Outcome::Done,
    })
}

/// Returns the objects to read; `None`: some place cannot be read, which has been told.
async fn candidates(places: &[String]) -> anyhow::Result<Option<Vec<Candidate>>> {
    let mut candidates = Vec::new();
    for place in places {
        if let Some(address) = place.strip_prefix("s3://") {
            let (bucket, prefix) = address.split_once('/').unwrap_or((address, ""));
            let cloud = Cloud::new().await;
            let versions = cloud.versions(bucket, prefix).await?;
            let storage = cloud.storage();
            candidates.extend(
                versions
                    .into_iter()
                    .map(|object| Candidate { storage: storage.clone(), object: Arc::new(object) }),
            );
        } else {
            let inputs = Inputs::find(&[PathBuf::from(place)]);
            if inputs.report() != Outcome::Done {
                return Ok(None);
            }
            candidates.extend(inputs.readable.iter().map(|input| Candidate {
                storage: input.storage.clone(),
                object: input.object(Pin::Latest),
            }));
        }
    }
    Ok(Some(candidates))
}

/// Prints the records of the resource in one object. The inner error says why the object could not be read.
async fn search(
    candidate: &Candidate,
    catalog: &Arc<Catalog>,
    key: &str,
    met: &mut Met,
) -> anyhow::Result<Result<(), String>> {
    let mut opened = match candidate.storage.open(&candidate.object, 0).await {
        Ok(opened) => opened,
        Err(failure) => return Ok(Err(explained(&failure))),
    };
    let mut decoder = Decoder::new(DecoderLimits::default());
    let mut assembler =
        Assembler::new(Arc::clone(&candidate.object), Arc::clone(catalog), BatchLimits::default());
    loop {
        let chunk = match opened.next_chunk().await {
            Ok(chunk) => chunk,
            Err(failure) => return Ok(Err(explained(&failure))),
        };
        match &chunk {
            Some(chunk) => decoder.push(chunk),
            None => decoder.finish(),
        }
        while let Some(frame) = decoder.next() {
            assembler.add_frame(&frame);
            drain(&mut assembler, key, met)?;
        }
        if chunk.is_none() {
            assembler.end();
            drain(&mut assembler, key, met)?;
            report(assembler.take_batch(), key, met)?;
            return Ok(assembler.fault().map_err(|interrupted| console::explained(&interrupted)));
        }
    }
}

/// Reports full batches, and what waited for the end of its Bundle. The keys that come later are not needed.
fn drain(assembler: &mut Assembler, key: &str, met: &mut Met) -> anyhow::Result<()> {
    loop {
        if assembler.is_full() {
            report(assembler.take_batch(), key, met)?;
        }
        assembler.take_completions();
        if !assembler.is_waiting() {
            return Ok(());
        }
        assembler.flush_waiting();
    }
}

fn report(batch: Option<WriteBatch>, key: &str, met: &mut Met) -> anyhow::Result<()> {
    let Some(batch) = batch else { return Ok(()) };
    met.unreadable += batch.rejects.len() as u64;
    for record in batch.resources.iter().filter(|record| record.key == key) {
        met.records += 1;
        if met.is_json {
            console::print_json(&described(record))?;
        } else {
            console::print(&line(record))?;
        }
    }
    Ok(())
}

fn described(record: &ResourceWrite) -> Value {
    let source = &record.source;
    let version = match &source.object.pin {
        Pin::VersionId(version) => Some(version),
        Pin::ETag(_) | Pin::Latest => None,
    };
    json!({
        "bucket": source.object.bucket, "key": source.object.key, "versionId": version, "line": source.line,
        "firstByte": source.offset, "lastByte": source.offset + source.length.saturating_sub(1),
        "isDeletion": matches!(record.fate, Fate::Deleted),
    })
}

fn line(record: &ResourceWrite) -> String {
    let source = &record.source;
    let what = if matches!(record.fate, Fate::Deleted) { "DELETE entry" } else { "resource" };
    let version = match &source.object.pin {
        Pin::VersionId(version) => format!("version {version}\t"),
        Pin::ETag(_) | Pin::Latest => String::new(),
    };
    let last = source.offset + source.length.saturating_sub(1);
    format!(
        "{}\t{version}line {}\tbytes {}-{last}\t{what}",
        name_of(&source.object),
        source.line,
        source.offset
    )
}

fn name_of(object: &ObjectRef) -> String {
    if object.bucket == "file" {
        object.key.clone()
    } else {
        format!("s3://{}/{}", object.bucket, object.key)
    }
}

fn explained(failure: &ReadFailure) -> String {
    match failure {
        ReadFailure::Gone => failure.to_string(),
        ReadFailure::Interrupted(interrupted) => console::explained(interrupted),
    }
}
