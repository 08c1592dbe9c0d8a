//! `flatfire export`: everything that stands of one patient, for the patient.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use flatten::TableRow;
use pipeline::print::{archived_line, row_line};
use pipeline::store::Store;

use crate::compartment::{self, Compartment};
use crate::console;
use crate::forget::resource_key;
use crate::outcome::Outcome;
use crate::settings::Destination;

/// Write everything that stands of a patient, for a subject access request.
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(crate) struct ExportArguments {
    #[command(flatten)]
    destination: Destination,
    /// The patient, as `Patient/123`
    #[arg(long, value_name = "TYPE/ID")]
    patient: String,
    /// Write these types too, though they may speak of others; such as `Group,List`
    #[arg(long, value_name = "TYPES", value_delimiter = ',')]
    types: Vec<String>,
    /// A folder that is made for one file a table; without it all lines go to standard output
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

const NOTES: &str = "\
A line of JSON is written for each row: `_table`, `_id`, the cells as `flatfire rows` prints them, and `_source`, which says
where the row came from. Archived resources are lines of the table `_archive`, with their text as it came.

The rows are those of the patient's compartment, HL7's of FHIR R4 and R5. What also names another patient, or contains
one, is listed on standard error and not written; so are Group, List, CareTeam, Provenance and AuditEvent, unless --types
names them.

Rejected records are not rows: see `flatfire status` and `flatfire find`.

Exit codes: 0 written, 2 nothing stands of the patient, 1 failed.";

/// Writes what the arguments name.
pub(crate) async fn run(arguments: ExportArguments) -> anyhow::Result<Outcome> {
    let patient = resource_key(&arguments.patient)?;
    if !patient.starts_with("Patient/") {
        bail!("--patient: {patient} is no patient");
    }
    let store = arguments.destination.connect().await?;
    compartment::check_types(&*store, &arguments.types).await?;
    let mut lines = match &arguments.out {
        Some(folder) => ExportWriter::InFolder(ExportFolder::make(folder)?),
        None => ExportWriter::Together(BufWriter::new(io::stdout())),
    };
    let types = arguments.types.iter().cloned().collect();
    let found = compartment::of(&*store, &patient, &types).await?;
    let written = written(&*store, &found, &mut lines).await?;
    lines.flush()?;
    report(&patient, &found, &written);
    Ok(if written.is_empty() { Outcome::Partial } else { Outcome::Done })
}

/// Writes the rows and the archived resources of a compartment. Returns how many, by table.
async fn written(
    store: &dyn Store,
    found: &Compartment,
    lines: &mut ExportWriter,
) -> anyhow::Result<BTreeMap<String, u64>> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut outcome = Ok(());
    let mut write = |row: TableRow| {
        outcome = lines.write(&row.table, row_line(&row));
        *counts.entry(row.table).or_default() += 1;
        if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    store.visit_rows(&found.members, &mut write).await?;
    outcome.context("the rows cannot be written")?;
    for key in &found.members {
        if let Some(archived) = store.find_archived(key).await? {
            lines.write(ARCHIVE, archived_line(&archived)).context("the rows cannot be written")?;
            *counts.entry(ARCHIVE.to_owned()).or_default() += 1;
        }
    }
    Ok(counts)
}

const ARCHIVE: &str = "_archive";

fn report(patient: &str, found: &Compartment, written: &BTreeMap<String, u64>) {
    for (key, reason) in &found.spared {
        console::line(&format!("{key}: not written: {reason}"));
    }
    if written.is_empty() {
        console::line(&format!("flatfire: {patient}: nothing of it stands anywhere"));
    } else {
        let tables = written.iter().map(|(table, count)| format!("{count} in {table}"));
        console::line(&format!("{patient}: {}", tables.collect::<Vec<_>>().join(", ")));
    }
}

/// Where lines go.
enum ExportWriter {
    Together(BufWriter<io::Stdout>),
    InFolder(ExportFolder),
}

impl ExportWriter {
    fn write(&mut self, table: &str, mut line: Vec<u8>) -> io::Result<()> {
        line.push(b'\n');
        match self {
            Self::Together(out) => out.write_all(&line),
            Self::InFolder(folder) => folder.file_of(table)?.write_all(&line),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Together(out) => out.flush(),
            Self::InFolder(folder) => folder.files.values_mut().try_for_each(Write::flush),
        }
    }
}

/// A folder with a file for each table.
struct ExportFolder {
    path: PathBuf,
    files: BTreeMap<String, BufWriter<File>>,
}

impl ExportFolder {
    /// Makes the folder. What stands in one already might be of another patient.
    fn make(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        fs::create_dir_all(path).with_context(|| format!("--out {shown}: it cannot be made"))?;
        let mut entries = fs::read_dir(path).with_context(|| format!("--out {shown}: it cannot be read"))?;
        if entries.next().is_some() {
            bail!("--out {shown}: it is not empty; name a folder that is, or one that is yet to be made");
        }
        Ok(Self { path: path.to_owned(), files: BTreeMap::new() })
    }

    fn file_of(&mut self, table: &str) -> io::Result<&mut BufWriter<File>> {
        if !self.files.contains_key(table) {
            let file = new_file(&self.path.join(format!("{table}.ndjson")))?;
            self.files.insert(table.to_owned(), BufWriter::new(file));
        }
        self.files.get_mut(table).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// Makes a file that only its owner can read, on systems with owners.
fn new_file(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
