//! The arguments of the program: one command with its own.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[cfg(feature = "mongodb")]
use crate::archive::Archive;
#[cfg(feature = "s3")]
use crate::audit::Audit;
#[cfg(feature = "s3")]
use crate::backfill::Backfill;
use crate::check::Check;
use crate::explain::Explain;
#[cfg(feature = "s3")]
use crate::find::Find;
#[cfg(feature = "mongodb")]
use crate::forget::Forget;
#[cfg(feature = "mongodb")]
use crate::index::Index;
#[cfg(feature = "mongodb")]
use crate::load::Load;
#[cfg(feature = "s3")]
use crate::push::Push;
#[cfg(feature = "s3")]
use crate::replay::Replay;
use crate::rows::Rows;
use crate::schema::Schema;
use crate::shell::{Completions, Man};
#[cfg(feature = "mongodb")]
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
}

const EXIT_CODES: &str = "Exit codes: 0 done, 2 partial (some records were set aside), 1 failed.";

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
    /// Show loads, the latest first, or explain one
    #[cfg(feature = "mongodb")]
    Status(Status),
    /// Erase resources for good, and keep them out of the tables
    #[cfg(feature = "mongodb")]
    Forget(Forget),
    /// Find the records of a resource in original files
    #[cfg(feature = "s3")]
    Find(Find),
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
    /// Explain a code of a reject or of a load
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
    /// Reads arguments and environment. What was asked for instead of a command (help, the version) is answered here,
    /// and so are arguments that are none: then the exit code is all that is left to do.
    pub(crate) fn read() -> Result<Self, ExitCode> {
        Self::try_parse().map_err(|error| {
            error.print().ok();
            // Clap's own code for wrong usage is 2, which means `partial` here.
            if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        })
    }
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
