//! The command line: the same line as the Lambda, from a terminal.
//!
//! The modules stand in the order in which an invocation meets them, then a command each.

mod arguments;
mod settings;
mod profile;
mod signals;
mod run_by;
mod input;
mod console;
mod progress;
mod outcome;
mod reject;
mod database;
mod other_catalogs;
mod dictionary;
mod origin;
mod cloud;
mod kept_out;
mod needs_bundle;
mod rows;
mod load;
mod check;
mod schema;
mod status;
mod compartment;
mod exports;
mod forget;
mod export;
mod find;
mod original;
mod archive;
mod replay;
mod work;
mod push;
mod explain;
mod shell;
mod listing;
mod known_loads;
mod comparison;
mod archived;
mod queue_sender;
mod backfill;
mod audit;
mod index;
mod tidy;

use std::future::Future;
use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::CommandFactory as _;

use arguments::{Arguments, Command};
use outcome::Outcome;

fn main() -> ExitCode {
    let (arguments, profile) = match Arguments::read() {
        Ok(read) => read,
        Err(exit) => return exit,
    };
    let tell_profile = || {
        if let Some(profile) = &profile {
            console::line(&format!("flatfire: settings of {profile}"));
        }
    };
    let is_seen = std::io::stderr().is_terminal();
    if is_seen {
        tell_profile();
    }
    let outcome = match arguments.command {
        Command::Rows(arguments) => wait_for(rows::run(arguments)),
        Command::Load(arguments) => wait_for(load::run(arguments)),
        Command::Check(arguments) => check::run(&arguments),
        Command::Schema(arguments) => wait_for(schema::run(arguments)),
        Command::Status(arguments) => wait_for(status::run(arguments)),
        Command::Forget(arguments) => wait_for(forget::run(arguments)),
        Command::Export(arguments) => wait_for(export::run(arguments)),
        Command::Find(arguments) => wait_for(find::run(arguments)),
        Command::Original(arguments) => wait_for(original::run(arguments)),
        Command::Archive(arguments) => wait_for(archive::run(arguments)),
        Command::Replay(arguments) => wait_for(replay::run(arguments)),
        Command::Push(arguments) => wait_for(push::run(arguments)),
        Command::Work(arguments) => wait_for(work::run(arguments)),
        Command::Backfill(arguments) => wait_for(backfill::run(arguments)),
        Command::Audit(arguments) => wait_for(audit::run(arguments)),
        Command::Index(arguments) => wait_for(index::run(arguments)),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Completions(arguments) => shell::completions(&arguments, Arguments::command()),
        Command::Man(arguments) => shell::man(&arguments, Arguments::command()),
        Command::Tidy(arguments) => wait_for(tidy::run(arguments)),
    };
    let outcome = outcome.unwrap_or_else(|error| {
        console::error(&error);
        Outcome::Failed
    });
    if outcome == Outcome::Failed && !is_seen {
        tell_profile();
    }
    outcome.into()
}

fn wait_for(command: impl Future<Output = anyhow::Result<Outcome>>) -> anyhow::Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(command);
    // Standard input may still be waited for on a thread of its own; nobody needs what it has to say.
    runtime.shutdown_background();
    outcome
}
