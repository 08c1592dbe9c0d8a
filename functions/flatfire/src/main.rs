//! The command line: the same line as the Lambda, from a terminal.
//!
//! The modules stand in the order in which an invocation meets them.

mod settings;
mod input;
mod console;
mod outcome;
mod reject;
mod database;
mod rows;
mod load;

use std::process::ExitCode;

use settings::{Command, Settings};

fn main() -> ExitCode {
    let settings = match Settings::from_arguments() {
        Ok(settings) => settings,
        Err(exit) => return exit,
    };
    let outcome = run(settings).unwrap_or_else(|error| {
        console::error(&error);
        outcome::Outcome::Failed
    });
    outcome.into()
}

fn run(settings: Settings) -> anyhow::Result<outcome::Outcome> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        match settings.command {
            Command::Rows(arguments) => rows::run(arguments).await,
            Command::Load(arguments) => load::run(arguments).await,
        }
    });
    // Standard input may still be waited for on a thread of its own; nobody needs what it has to say.
    runtime.shutdown_background();
    outcome
}
