//! `flatfire archive`: resources that went whole to the archive, and their way back.

mod restore;

use std::ops::ControlFlow;

use clap::{Args, Subcommand};
use comfy_table::{CellAlignment, Table, presets};
use pipeline::store::admin::ArchivedEntry;
use pipeline::store::{Store, StoreError};

use crate::console;
use crate::outcome::Outcome;
use crate::settings::Destination;

use restore::Restore;

/// List archived resources, print them, or put them back into the tables.
#[derive(Debug, Args)]
pub(crate) struct Archive {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the types that are archived, or the resources of one type
    List(List),
    /// Print archived resources as they came, one after the other
    Show(Show),
    /// Put archived resources back into the tables
    Restore(Restore),
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    destination: Destination,
    /// List the resources of this type; `Unknown` has those of all types that nobody knows
    #[arg(value_name = "TYPE")]
    resource_type: Option<String>,
}

#[derive(Debug, Args)]
struct Show {
    #[command(flatten)]
    destination: Destination,
    /// The resources, as `AuditEvent/123`
    #[arg(required = true, value_name = "TYPE/ID")]
    keys: Vec<String>,
}

/// Does what is asked for.
pub(crate) async fn run(arguments: Archive) -> anyhow::Result<Outcome> {
    match arguments.command {
        Command::List(list) => print_list(&list).await,
        Command::Show(show) => print_resources(&show).await,
        Command::Restore(restore) => restore::run(restore).await,
    }
}

async fn print_list(list: &List) -> anyhow::Result<Outcome> {
    let store = list.destination.connect().await?;
    let Some(resource_type) = &list.resource_type else {
        let text = types(&*store).await?;
        console::print(&text)?;
        return Ok(Outcome::Done);
    };
    let mut printed = Ok(());
    let mut print = |entry: ArchivedEntry| {
        printed = console::print(&listed(&entry));
        if printed.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    store.visit_archived(resource_type, &mut print).await?;
    printed?;
    Ok(Outcome::Done)
}

fn listed(ArchivedEntry { key, source }: &ArchivedEntry) -> String {
    format!("{key}\t{}/{}\trecord {}", source.bucket, source.key, source.ordinal)
}

async fn types(store: &dyn Store) -> Result<String, StoreError> {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(["type", "resources"]);
    for (name, count) in store.count_archived().await? {
        table.add_row([name, count.to_string()]);
    }
    if let Some(column) = table.column_mut(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    Ok(if table.is_empty() { "nothing is archived".to_owned() } else { table.to_string() })
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
