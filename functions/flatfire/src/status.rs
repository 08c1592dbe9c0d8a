//! `flatfire status`: what the ledger knows of loads.

mod arguments;
mod explained;
mod json;
mod list;
mod page;
mod queues;
mod words;

use pipeline::ledger::LoadFilter;
use pipeline::store::Store;
use pipeline::store::overview::{KeyPattern, LoadPeriod};

use crate::console;
use crate::exports::{self, ExportForm};
use crate::outcome::Outcome;

use list::table;

pub(crate) use arguments::StatusArguments;
pub(crate) use words::{LoadKind, status};

/// Prints what is asked for.
pub(crate) async fn run(arguments: StatusArguments) -> anyhow::Result<Outcome> {
    let store = arguments.destination.connect().await?;
    if arguments.exports.exports {
        let form = ExportForm { is_json: arguments.json, limit: arguments.limit as usize };
        return exports::run(&*store, form, arguments.load.as_deref()).await;
    }
    if let Some(name) = &arguments.load {
        let mut loads = crate::input::loads_named(&*store, name).await?;
        let wanted = arguments.wanted.map(LoadKind::wanted);
        loads.retain(|load| wanted.is_none_or(|wanted| wanted.includes(load)));
        if !loads.is_empty() {
            for load in &loads {
                let text = if arguments.json {
                    json::load(load).to_string()
                } else {
                    explained::explained(&*store, load).await?
                };
                console::print(&text)?;
            }
            return Ok(Outcome::Done);
        }
    }
    if arguments.load.is_some() || arguments.wanted.is_some() {
        return list(&arguments, &*store).await;
    }
    page::print(&*store, &arguments).await
}

/// Prints the loads that the arguments ask for.
async fn list(arguments: &StatusArguments, store: &dyn Store) -> anyhow::Result<Outcome> {
    let period = LoadPeriod {
        since: arguments.since,
        until: None,
        keys: arguments.load.as_deref().map(KeyPattern::new),
    };
    let filters: Vec<LoadFilter> = arguments.wanted.map(LoadKind::wanted).into_iter().collect();
    let loads = store.latest_loads(&period, &filters, arguments.limit).await?;
    if loads.is_empty() && arguments.load.is_some() {
        anyhow::bail!(
            "the ledger knows no such load; give the `_id` of one, the key of its object, or a part of the key"
        );
    }
    if arguments.json {
        for load in &loads {
            console::print(&json::load(load).to_string())?;
        }
    } else {
        console::print(&if loads.is_empty() { "no loads".to_owned() } else { table(&loads) })?;
    }
    Ok(Outcome::Done)
}
