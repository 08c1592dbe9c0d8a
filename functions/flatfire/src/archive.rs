//! `flatfire archive`: resources that went whole to the archive, and their way back.

mod restore;

use std::ops::ControlFlow;

use clap::{Args, Subcommand};
use comfy_table::CellAlignment;
use pipeline::store::Store;
use pipeline::store::admin::ArchivedEntry;
use serde_json::{Value, json};

use crate::console;
use crate::outcome::Outcome;
use crate::settings::Destination;

use restore::Restore;

/// List archived resources, print them, or put them back into the tables.
#[derive(Debug, Args)]
pub(crate) struct ArchiveArguments {
    #[command(subcommand)]
    command: ArchiveCommand,
}

#[derive(Debug, Subcommand)]
enum ArchiveCommand {
    /// List the types that are archived, or the resources of one type
    List(List),
    /// Print archived resources as they came, one after the other
    Show(Show),
    /// Put archived resources back into the tables
    Restore(Box<Restore>),
}

#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 done, 1 failed.")]
struct List {
    #[command(flatten)]
    destination: Destination,
    /// List the resources of this type; `Unknown` has those of all types that nobody knows
    #[arg(value_name = "TYPE")]
    resource_type: Option<String>,
    /// Print JSON, an object a line: `type` and `resources`, or `resource`, `bucket`, `key` and `record`
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 all of them are printed, 1 some are not in the archive.")]
struct Show {
    #[command(flatten)]
    destination: Destination,
    /// The resources, as `AuditEvent/123`
    #[arg(required = true, value_name = "TYPE/ID")]
    keys: Vec<String>,
}

/// Does what is asked for.
pub(crate) async fn run(arguments: ArchiveArguments) -> anyhow::Result<Outcome> {
    match arguments.command {
        ArchiveCommand::List(list) => print_list(&list).await,
        ArchiveCommand::Show(show) => print_resources(&show).await,
        ArchiveCommand::Restore(restore) => restore::run(*restore).await,
    }
}

async fn print_list(list: &List) -> anyhow::Result<Outcome> {
    let store = list.destination.connect().await?;
    let Some(resource_type) = &list.resource_type else {
        print_types(&*store, list.json).await?;
        return Ok(Outcome::Done);
    };
    let mut printed = Ok(());
    let mut print = |entry: ArchivedEntry| {
        printed =
            if list.json { console::print_json(&described(&entry)) } else { console::print(&listed(&entry)) };
        if printed.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    store.visit_archived(resource_type, &mut print).await?;
    printed?;
    Ok(Outcome::Done)
}

fn listed(ArchivedEntry { key, source }: &ArchivedEntry) -> String {
    format!("{key}\t{}/{}\trecord {}", source.bucket, source.key, source.ordinal)
}

fn described(ArchivedEntry { key, source }: &ArchivedEntry) -> Value {
    json!({ "resource": key, "bucket": source.bucket, "key": source.key, "record": source.ordinal })
}

async fn print_types(store: &dyn Store, is_json: bool) -> anyhow::Result<()> {
    let types = store.count_archived().await?;
    if is_json {
        let line = |(name, count): (&String, &u64)| json!({ "type": name, "resources": count });
        return Ok(types.iter().map(line).try_for_each(|line| console::print_json(&line))?);
    }
    if types.is_empty() {
        return Ok(console::print("nothing is archived")?);
    }
    let mut table = console::table();
    table.set_header(["type", "resources"]);
    table.add_rows(types.into_iter().map(|(name, count)| [name, count.to_string()]));
    if let Some(column) = table.column_mut(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    Ok(console::print(&table.to_string())?)
}

async fn print_resources(show: &Show) -> anyhow::Result<Outcome> {
    let store = show.destination.connect().await?;
    let mut outcome = Outcome::Done;
    for key in &show.keys {
        let archived = store.find_archived(key).await?;
        if let Some(text) = archived.and_then(|archived| archived.text) {
            console::print(&String::from_utf8_lossy(&text))?;
        } else {
            console::line(&format!("flatfire: {key}: not in the archive"));
            outcome = Outcome::Failed;
        }
    }
    Ok(outcome)
}
