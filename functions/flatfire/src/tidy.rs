//! `flatfire tidy`: collections that earlier versions named after what senders made up.

use std::io::{IsTerminal as _, Write as _};

use anyhow::bail;
use clap::Args;
use pipeline::store::Store;
use pipeline::store::outdated::{MadeUpKind, MadeUpTable, MissingNote, Outdated};
use serde_json::{Value, json};

use crate::console;
use crate::outcome::Outcome;
use crate::settings::Destination;

/// List, and remove, what earlier versions named after what senders made up.
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(crate) struct TidyArguments {
    #[command(flatten)]
    destination: Destination,
    /// Resource types that have tables although no release of FHIR has them, by comma or space: those of the function
    #[arg(long, value_name = "TYPES", default_value = "", hide_default_value = true)]
    resource_types: String,
    /// Move and remove what is listed; on a terminal it asks first
    #[arg(long)]
    remove: bool,
    /// Do not ask
    #[arg(long, requires = "remove")]
    yes: bool,
    /// Print what is listed as one JSON object: `collections`, `missingNotes` and `earlierNotes`
    #[arg(long)]
    json: bool,
}

const NOTES: &str = "\
Archived resources of types that nobody knows go to the archive's collection `Unknown`, contained ones to
`Unknown_contained`; then their own collections are dropped. Child tables of elements that FHIR does not have are
dropped: their files, loaded again, have the values in `_unknown`. Notes and entries of `_columns` that name them go too.
Collections whose documents do not look like Flatfire's are never touched.

Every other table is noted in `_tables`, so that newer versions and deletions reach it whichever program writes them.

Without --remove nothing is changed.

Exit codes: 0 done, 1 failed.";

/// Lists what is there, and removes it when asked to.
pub(crate) async fn run(arguments: TidyArguments) -> anyhow::Result<Outcome> {
    let store = arguments.destination.connect().await?;
    let types = arguments.resource_types.split([',', ' ']).filter(|name| !name.is_empty());
    let types: Vec<String> = types.map(str::to_owned).collect();
    let found = store.find_outdated(&types).await?;
    if arguments.json {
        console::print_json(&described(&found))?;
    } else {
        print(&found)?;
    }
    if found.is_empty() {
        return Ok(Outcome::Done);
    }
    if !arguments.remove {
        console::line("flatfire: nothing was changed; with --remove it is");
        return Ok(Outcome::Done);
    }
    if !arguments.yes && !is_wanted()? {
        bail!("nothing was changed");
    }
    carry_out(&*store, &found).await
}

fn described(found: &Outdated) -> Value {
    let collection = |table: &MadeUpTable| {
        let kind = match table.kind {
            MadeUpKind::Archive => "archive",
            MadeUpKind::Contained => "contained",
            MadeUpKind::Child => "child",
        };
        json!({ "name": table.name, "kind": kind, "documents": table.documents })
    };
    let note = |note: &MissingNote| json!({ "table": note.table, "resourceType": note.resource_type });
    json!({
        "collections": found.made_up.iter().map(collection).collect::<Vec<_>>(),
        "missingNotes": found.missing_notes.iter().map(note).collect::<Vec<_>>(),
        "earlierNotes": found.earlier_notes,
    })
}

fn print(found: &Outdated) -> std::io::Result<()> {
    for table in &found.made_up {
        let what = match table.kind {
            MadeUpKind::Archive => "archived resources of a type that nobody knows, to be moved to Unknown",
            MadeUpKind::Contained => {
                "contained resources of a type that nobody knows, to be moved to Unknown_contained"
            }
            MadeUpKind::Child => "rows of an element that FHIR does not have, to be removed",
        };
        console::print(&format!("{}\t{} {what}", table.name, table.documents))?;
    }
    for note in &found.missing_notes {
        console::print(&format!("{}\trows of {}, to be noted in _tables", note.table, note.resource_type))?;
    }
    if found.earlier_notes > 0 {
        console::print(&format!("_side_tables\t{} notes, to be moved to _tables", found.earlier_notes))?;
    }
    let documents: u64 = found.made_up.iter().map(|table| table.documents).sum();
    console::line(&format!(
        "flatfire: {} collections with {documents} documents named after what senders made up, {} tables without a note",
        found.made_up.len(),
        found.missing_notes.len(),
    ));
    Ok(())
}

/// Asks on a terminal; without a terminal there is no answer.
fn is_wanted() -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        bail!("there is no terminal to ask on; with --yes it does not ask");
    }
    write!(std::io::stderr(), "Move and remove all of this? [y/N] ")?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

async fn carry_out(store: &dyn Store, found: &Outdated) -> anyhow::Result<Outcome> {
    store.note_tables(found).await?;
    let mut outcome = Outcome::Done;
    for table in &found.made_up {
        if !store.remove_made_up(table).await? {
            console::line(&format!("flatfire: {}: somebody writes to it; run this again", table.name));
            outcome = Outcome::Failed;
        }
    }
    store.forget_made_up(found).await?;
    console::line(&format!("flatfire: {} collections removed", found.made_up.len()));
    Ok(outcome)
}
