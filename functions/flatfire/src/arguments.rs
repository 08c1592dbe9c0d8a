//! The arguments of the program: one command with its own.

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

#[cfg(feature = "mongodb")]
use crate::archive::Archive;
#[cfg(feature = "s3")]
use crate::audit::Audit;
#[cfg(feature = "s3")]
use crate::backfill::Backfill;
use crate::check::Check;
use crate::console;
use crate::explain::Explain;
#[cfg(feature = "mongodb")]
use crate::export::Export;
#[cfg(feature = "s3")]
use crate::find::Find;
#[cfg(feature = "mongodb")]
use crate::forget::Forget;
#[cfg(feature = "mongodb")]
use crate::index::Index;
#[cfg(feature = "mongodb")]
use crate::load::Load;
#[cfg(feature = "s3")]
use crate::original::Original;
use crate::profile::{Profile, ProfileChoice, without_empty_variables};
#[cfg(feature = "s3")]
use crate::push::Push;
#[cfg(feature = "s3")]
use crate::replay::Replay;
use crate::rows::Rows;
use crate::schema::Schema;
use crate::shell::{Completions, Man};
#[cfg(feature = "s3")]
use crate::status::Status;
#[cfg(feature = "mongodb")]
use crate::tidy::Tidy;
#[cfg(feature = "s3")]
use crate::work::Work;

/// FHIR files to readable rows.
#[derive(Debug, Parser)]
#[command(name = "flatfire", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    profile: ProfileChoice,
}

const EXIT_CODES: &str = "\
Options come before the environment, the environment before the profile: a file flatfire.toml with settings for all
commands (docs/local-folder.md).

Exit codes: 0 done, 2 partial (some records were set aside), 1 failed, 130 ended by Ctrl-C or SIGTERM.";

/// What can be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print the rows of FHIR files to standard output
    Rows(Rows),
    /// Load FHIR files into a database
    #[cfg(feature = "mongodb")]
    Load(Load),
    /// Compile views and print the tables they make, or every mistake in them
    Check(Check),
    /// Print the schema of the tables that views make, or of all tables of a database
    Schema(Schema),
    /// Show how loading goes and the latest loads, or explain one
    #[cfg(feature = "s3")]
    Status(Status),
    /// Erase resources for good, and keep them out of the tables
    #[cfg(feature = "mongodb")]
    Forget(Forget),
    /// Write everything that stands of a patient, for a subject access request
    #[cfg(feature = "mongodb")]
    Export(Export),
    /// Find the records of a resource in original files
    #[cfg(feature = "s3")]
    Find(Find),
    /// Print the exact bytes that a row came from
    #[cfg(feature = "s3")]
    Original(Original),
    /// List archived resources, print them, or put them back into the tables
    #[cfg(feature = "mongodb")]
    Archive(Archive),
    /// Load again: whole loads, rejected records, or the messages of a dead-letter queue
    #[cfg(feature = "s3")]
    Replay(Replay),
    /// Upload files of a folder to a bucket
    #[cfg(feature = "s3")]
    Push(Push),
    /// Load the objects that a queue announces
    #[cfg(feature = "s3")]
    Work(Work),
    /// Explain a code: of rejects, interruptions, loads, checks, alarms or the log
    Explain(Explain),
    /// Load what a bucket already holds, by the function or here
    #[cfg(feature = "s3")]
    Backfill(Backfill),
    /// Compare a bucket with the ledger: is everything in?
    #[cfg(feature = "s3")]
    Audit(Audit),
    /// Build the indexes of tables that stand
    #[cfg(feature = "mongodb")]
    Index(Index),
    /// List, and remove, what earlier versions named after what senders made up
    #[cfg(feature = "mongodb")]
    Tidy(Tidy),
    /// Print the completions of a shell
    Completions(Completions),
    /// Print the manual page
    Man(Man),
}

impl Arguments {
    /// Reads arguments, environment and profile, and returns which profile it was. What was asked for instead of a
    /// command (help, the version) is answered here, and so are wrong arguments: then the exit code is all that is left.
    pub(crate) fn read() -> Result<(Self, Option<String>), ExitCode> {
        let program = without_empty_variables(Self::command());
        let (program, profile) = with_profile(program).map_err(|error| {
            console::error(&error);
            ExitCode::FAILURE
        })?;
        let arguments = program.try_get_matches().and_then(|given| Self::from_arg_matches(&given));
        let arguments = arguments.map_err(|error| {
            error.print().ok();
            // Clap's own code for wrong usage is 2, which means `partial` here.
            if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        })?;
        Ok((arguments, profile))
    }
}

/// Fills in the profile that the arguments choose, and returns where it stands.
fn with_profile(program: clap::Command) -> anyhow::Result<(clap::Command, Option<String>)> {
    // What is wrong with the arguments is told once they are read with the profile.
    let Ok(given) = program.clone().ignore_errors(true).try_get_matches() else { return Ok((program, None)) };
    let Some(profile) = Profile::find(&program, &given)? else { return Ok((program, None)) };
    let label = profile.label.clone();
    Ok((profile.fill(program, &given)?, Some(label)))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::{CommandFactory as _, Parser as _};

    use super::{Arguments, Command};

    #[test]
    fn the_arguments_contradict_nothing() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_mistake_is_reported_at_once() {
        let arguments = ["flatfire", "rows", "--inactive", "patient", "--inactive", "Patient where (", "-"];
        let more = ["--extension-names", "no/such/file", "--views", "no/such/folder"];
        let Command::Rows(rows) = Arguments::parse_from(arguments.iter().chain(&more)).command else {
            panic!("these are the arguments of `rows`");
        };
        let message = rows.flattening.catalog(Some(Path::new("no/such/gates"))).unwrap_err().to_string();
        for part in [
            "`patient`",
            "`Patient where (`",
            "--extension-names no/such/file:",
            "no/such/folder: ",
            "--gates no/such/gates: ",
        ] {
            assert!(message.contains(part), "{part} is missing in:\n{message}");
        }
    }
}
