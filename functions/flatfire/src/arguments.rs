//! The arguments of the program: one command with its own.

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

#[cfg(feature = "mongodb")]
use crate::archive::ArchiveArguments;
#[cfg(feature = "s3")]
use crate::audit::AuditArguments;
#[cfg(feature = "s3")]
use crate::backfill::BackfillArguments;
use crate::check::CheckArguments;
use crate::console;
use crate::explain::ExplainArguments;
#[cfg(feature = "mongodb")]
use crate::export::ExportArguments;
#[cfg(feature = "s3")]
use crate::find::FindArguments;
#[cfg(feature = "mongodb")]
use crate::forget::ForgetArguments;
#[cfg(feature = "mongodb")]
use crate::index::IndexArguments;
#[cfg(feature = "mongodb")]
use crate::load::LoadArguments;
#[cfg(feature = "s3")]
use crate::original::OriginalArguments;
use crate::profile::{ProfileChoice, SettingsProfile, without_empty_variables};
#[cfg(feature = "s3")]
use crate::push::PushArguments;
#[cfg(feature = "mongodb")]
use crate::quality::QualityArguments;
#[cfg(feature = "s3")]
use crate::replay::ReplayArguments;
#[cfg(feature = "mongodb")]
use crate::report::ReportArguments;
use crate::rows::RowsArguments;
use crate::schema::SchemaArguments;
use crate::shell::{CompletionsArguments, ManArguments};
#[cfg(feature = "mongodb")]
use crate::show::ShowArguments;
#[cfg(feature = "s3")]
use crate::status::StatusArguments;
#[cfg(feature = "mongodb")]
use crate::tidy::TidyArguments;
#[cfg(feature = "s3")]
use crate::work::WorkArguments;

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
    Rows(RowsArguments),
    /// Load FHIR files into a database
    #[cfg(feature = "mongodb")]
    Load(LoadArguments),
    /// Compile views and print the tables they make, or every mistake in them
    Check(CheckArguments),
    /// Print the schema of the tables that views make, or of all tables of a database
    Schema(SchemaArguments),
    /// Show how loading goes and the latest loads, or explain one
    #[cfg(feature = "s3")]
    Status(StatusArguments),
    /// Print rows of a table, or list the tables
    #[cfg(feature = "mongodb")]
    Show(ShowArguments),
    /// Write a page about the database for people: loads, failures, exports, erasures, tables
    #[cfg(feature = "mongodb")]
    Report(ReportArguments),
    /// Erase resources for good, and keep them out of the tables
    #[cfg(feature = "mongodb")]
    Forget(ForgetArguments),
    /// Write everything that stands of a patient, for a subject access request
    #[cfg(feature = "mongodb")]
    Export(ExportArguments),
    /// Find the records of a resource in original files
    #[cfg(feature = "s3")]
    Find(FindArguments),
    /// Print the exact bytes that a row came from
    #[cfg(feature = "s3")]
    Original(OriginalArguments),
    /// List archived resources, print them, or put them back into the tables
    #[cfg(feature = "mongodb")]
    Archive(ArchiveArguments),
    /// Load again: whole loads, rejected records, or the messages of a dead-letter queue
    #[cfg(feature = "s3")]
    Replay(ReplayArguments),
    /// Upload files of a folder to a bucket
    #[cfg(feature = "s3")]
    Push(PushArguments),
    /// Load the objects that a queue announces
    #[cfg(feature = "s3")]
    Work(WorkArguments),
    /// Explain a code: of rejects, interruptions, loads, checks, alarms or the log
    Explain(ExplainArguments),
    /// Load what a bucket already holds, by the function or here
    #[cfg(feature = "s3")]
    Backfill(BackfillArguments),
    /// Compare a bucket with the ledger: is everything in?
    #[cfg(feature = "s3")]
    Audit(AuditArguments),
    /// Count what is probably wrong in the tables and in the ledger
    #[cfg(feature = "mongodb")]
    Quality(QualityArguments),
    /// Build the indexes of tables that stand
    #[cfg(feature = "mongodb")]
    Index(IndexArguments),
    /// List, and remove, what earlier versions named after what senders made up
    #[cfg(feature = "mongodb")]
    Tidy(TidyArguments),
    /// Print the completions of a shell
    Completions(CompletionsArguments),
    /// Print the manual page
    Man(ManArguments),
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
    let Some(profile) = SettingsProfile::find(&program, &given)? else { return Ok((program, None)) };
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
