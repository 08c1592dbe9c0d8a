//! The command line: the same pipeline as the function's, from a terminal.
//!
//! There is a module for each command, and some that commands share. Without the feature `mongodb`
//! there is no database, and without `s3` no bucket and no queue: `rows`, `check`, `schema` and `explain` need neither.

#![cfg_attr(
    not(feature = "s3"),
    allow(dead_code, reason = "the commands that are left out share modules with the others")
)]

mod arguments;
mod settings;
mod profile;
#[cfg(feature = "mongodb")]
mod signals;
#[cfg(feature = "mongodb")]
mod run_by;
mod input;
mod console;
mod progress;
mod outcome;
mod reject;
#[cfg(feature = "mongodb")]
mod database;
#[cfg(feature = "mongodb")]
mod other_catalogs;
#[cfg(feature = "mongodb")]
mod dictionary;
#[cfg(feature = "mongodb")]
mod origin;
#[cfg(feature = "s3")]
mod cloud;
#[cfg(feature = "mongodb")]
mod kept_out;
#[cfg(feature = "mongodb")]
mod needs_bundle;
mod rows;
#[cfg(feature = "mongodb")]
mod load;
mod check;
mod schema;
#[cfg(feature = "s3")]
mod status;
#[cfg(feature = "mongodb")]
mod pager;
#[cfg(feature = "mongodb")]
mod show;
#[cfg(feature = "mongodb")]
mod compartment;
#[cfg(feature = "s3")]
mod exports;
#[cfg(feature = "mongodb")]
mod forget;
#[cfg(feature = "mongodb")]
mod export;
#[cfg(feature = "s3")]
mod find;
#[cfg(feature = "s3")]
mod original;
#[cfg(feature = "mongodb")]
mod archive;
#[cfg(feature = "s3")]
mod replay;
#[cfg(feature = "s3")]
mod work;
#[cfg(feature = "s3")]
mod push;
mod explain;
mod shell;
#[cfg(feature = "s3")]
mod listing;
#[cfg(feature = "s3")]
mod known_loads;
#[cfg(feature = "s3")]
mod comparison;
#[cfg(feature = "mongodb")]
mod archived;
#[cfg(feature = "s3")]
mod queue_sender;
#[cfg(feature = "s3")]
mod backfill;
#[cfg(feature = "s3")]
mod audit;
#[cfg(feature = "mongodb")]
mod quality;
#[cfg(feature = "mongodb")]
mod index;
#[cfg(feature = "mongodb")]
mod tidy;
#[cfg(feature = "mongodb")]
mod report;

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
    let outcome = run(arguments.command).unwrap_or_else(|error| {
        console::error(&error);
        Outcome::Failed
    });
    if outcome == Outcome::Failed && !is_seen {
        tell_profile();
    }
    outcome.into()
}

/// Runs a command.
fn run(command: Command) -> anyhow::Result<Outcome> {
    match command {
        Command::Rows(arguments) => wait_for(rows::run(arguments)),
        #[cfg(feature = "mongodb")]
        Command::Load(arguments) => wait_for(load::run(arguments)),
        Command::Check(arguments) => check::run(&arguments),
        Command::Schema(arguments) => wait_for(schema::run(arguments)),
        #[cfg(feature = "s3")]
        Command::Status(arguments) => wait_for(status::run(arguments)),
        #[cfg(feature = "mongodb")]
        Command::Show(arguments) => wait_for(show::run(arguments)),
        #[cfg(feature = "mongodb")]
        Command::Forget(arguments) => wait_for(forget::run(arguments)),
        #[cfg(feature = "mongodb")]
        Command::Export(arguments) => wait_for(export::run(arguments)),
        #[cfg(feature = "s3")]
        Command::Find(arguments) => wait_for(find::run(arguments)),
        #[cfg(feature = "s3")]
        Command::Original(arguments) => wait_for(original::run(arguments)),
        #[cfg(feature = "mongodb")]
        Command::Archive(arguments) => wait_for(archive::run(arguments)),
        #[cfg(feature = "s3")]
        Command::Replay(arguments) => wait_for(replay::run(arguments)),
        #[cfg(feature = "s3")]
        Command::Push(arguments) => wait_for(push::run(arguments)),
        #[cfg(feature = "s3")]
        Command::Work(arguments) => wait_for(work::run(arguments)),
        #[cfg(feature = "s3")]
        Command::Backfill(arguments) => wait_for(backfill::run(arguments)),
        #[cfg(feature = "s3")]
        Command::Audit(arguments) => wait_for(audit::run(arguments)),
        #[cfg(feature = "mongodb")]
        Command::Quality(arguments) => wait_for(quality::run(arguments)),
        #[cfg(feature = "mongodb")]
        Command::Index(arguments) => wait_for(index::run(arguments)),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Completions(arguments) => shell::completions(&arguments, Arguments::command()),
        Command::Man(arguments) => shell::man(&arguments, Arguments::command()),
        #[cfg(feature = "mongodb")]
        Command::Report(arguments) => wait_for(report::run(arguments)),
        #[cfg(feature = "mongodb")]
        Command::Tidy(arguments) => wait_for(tidy::run(arguments)),
    }
}

fn wait_for(command: impl Future<Output = anyhow::Result<Outcome>>) -> anyhow::Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(command);
    // Standard input may still be waited for on its own thread, whose result is not needed.
    runtime.shutdown_background();
    outcome
}
