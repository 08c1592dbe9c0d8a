//! `flatfire archive`: resources that went whole to the archive, and their way back.

mod restore;

use clap::{Args, Subcommand};
use comfy_table::{CellAlignment, Table, presets};
use flatten::model::UNKNOWN_TYPE;
use futures::TryStreamExt as _;
use mongodb::bson::{Document, doc};

use crate::console;
use crate::database::{Database, DatabaseError, archived_text};
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
    let database = list.destination.connect().await?;
    let Some(resource_type) = &list.resource_type else {
        let text = types(&database).await?;
        console::print(&text)?;
        return Ok(Outcome::Done);
    };
    let fields = doc! { "_source.bucket": 1, "_source.key": 1, "_source.ordinal": 1 };
    for resources in database.archives_of(resource_type) {
        let of_type = if resources.name() == UNKNOWN_TYPE && resource_type != UNKNOWN_TYPE {
            doc! { "resourceType": resource_type }
        } else {
            doc! {}
        };
        let found = resources.find(of_type).projection(fields.clone()).sort(doc! { "_id": 1 }).await;
        let mut found = found.map_err(DatabaseError::from)?;
        while let Some(resource) = found.try_next().await.map_err(DatabaseError::from)? {
            console::print(&listed(&resource))?;
        }
    }
    Ok(Outcome::Done)
}

fn listed(resource: &Document) -> String {
    let source = resource.get_document("_source").cloned().unwrap_or_default();
    let text = |name| source.get_str(name).unwrap_or_default().to_owned();
    let ordinal = source.get_i64("ordinal").unwrap_or_default();
    let id = resource.get_str("_id").unwrap_or_default();
    format!("{id}\t{}/{}\trecord {ordinal}", text("bucket"), text("key"))
}

async fn types(database: &Database) -> Result<String, DatabaseError> {
    let mut names = database.archive.list_collection_names().await?;
    names.retain(|name| !name.starts_with('_') && !name.starts_with("system."));
    names.sort();
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(["type", "resources"]);
    for name in names {
        let count = database.archive.collection::<Document>(&name).count_documents(doc! {}).await?;
        if count > 0 {
            table.add_row([name, count.to_string()]);
        }
    }
    if let Some(column) = table.column_mut(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    Ok(if table.is_empty() { "nothing is archived".to_owned() } else { table.to_string() })
}

async fn print_resources(show: &Show) -> anyhow::Result<Outcome> {
    let database = show.destination.connect().await?;
    let mut outcome = Outcome::Done;
    for key in &show.keys {
        let archived = database.archived(key).await?;
        if let Some(text) = archived.as_ref().and_then(|(resource, _)| archived_text(resource)) {
            console::print(&String::from_utf8_lossy(&text))?;
        } else {
            console::line(&format!("flatfire: {key}: not in the archive"));
            outcome = Outcome::Failed;
        }
    }
    Ok(outcome)
}
