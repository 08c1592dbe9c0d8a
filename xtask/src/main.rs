//! `cargo xtask`: the project's own chores from a terminal; wiring only.

#![allow(clippy::print_stdout, reason = "this is a command line")]

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use xtask::bootstrap::BuildProfile;
use xtask::local_environment::KeptEnvironment;
use xtask::settings::ChoreSettings;
use xtask::steps::Steps;
use xtask::tools::Tools;
use xtask::{bench, bootstrap, containers, demo, metrics, model, soak, test};

/// The project's own chores. They need Rust, Python 3.10 or newer with `venv`, and a C compiler.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct ChoreArguments {
    #[command(subcommand)]
    command: XtaskCommand,
}

#[derive(Debug, Subcommand)]
enum XtaskCommand {
    #[command(flatten)]
    Chore(Chore),
    #[command(flatten)]
    OnDemo(OnDemo),
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Install the pinned tools under .tools/; instant when they are there.
    Tools,
    /// Build the function as Lambda runs it.
    Build,
    /// Show the whole pipeline on this machine: files go in, tables come out. Needs no AWS account and no Docker.
    Demo {
        /// Leave it running for more files; `cargo xtask stop` ends it.
        #[arg(long)]
        keep: bool,
    },
    /// End the demo that was left running and remove its data.
    Stop,
    /// Make the tables of FHIR's elements and extensions that the library carries, from HL7's.
    Model {
        /// The folder with elements-<release>.tsv and hl7-extensions.tsv; beside the checkout if left out.
        folder: Option<PathBuf>,
    },
    /// Check everything: format, lints, tests, the end-to-end tests through the local cloud, the template.
    Test,
    /// Print figures of the code and the docs: lengths, names that stand twice, circles of imports, words.
    Metrics {
        /// What `xtask/py/code_metrics.py` takes: --at REVISION (may be repeated), --names, --circles, --functions.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// Build the function, and run it with sample events as `sam local invoke` does, with a database and a cloud of its
    /// own. Needs Docker.
    SamInvoke {
        /// What `xtask/py/sam_invoke.py` takes: events such as events/s3-put.json, --local-base, --verbose, --expect.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// Play thousands of random histories of deliveries, with every kind of failure, against a clean load.
    Soak(soak::Soak),
    /// Measure the command line beside other programs, after their answers were compared.
    #[command(subcommand)]
    Bench(bench::Bench),
}

/// What runs a command of `flatfire`, and ends with its exit code.
#[derive(Debug, Subcommand)]
enum OnDemo {
    /// Upload files and folders to the demo that was left running, and wait for their rows. Exits like `flatfire load`.
    Upload {
        /// FHIR files, or folders: the keys of their files are the paths within the folder. Empty files are left out.
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        /// Print what the function logged meanwhile.
        #[arg(long)]
        log: bool,
    },
    /// List the tables of the demo that was left running, or print rows of one: `flatfire show`.
    Show {
        /// What `flatfire show` takes: TABLE, --rows N, --columns a,b, --all, --json.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Run any other command of `flatfire` on the demo that was left running, such as `status`.
    Flatfire {
        /// The command and its arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let command = ChoreArguments::parse().command;
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    // A command of `flatfire` ends by itself at Ctrl-C, and says what is still open.
    let ends_at_interrupt = matches!(command, XtaskCommand::Chore(_));
    // Whichever way it ends, the servers of an unfinished chore are dropped here and end with it.
    tokio::select! {
        outcome = run(command) => outcome,
        _ = interrupted.recv(), if ends_at_interrupt => bail!("interrupted"),
        _ = terminated.recv() => bail!("terminated"),
    }
}

async fn run(command: XtaskCommand) -> Result<ExitCode> {
    let settings = ChoreSettings::from_environment();
    match command {
        XtaskCommand::Chore(chore) => run_chore(&settings, chore).await.map(|()| ExitCode::SUCCESS),
        XtaskCommand::OnDemo(OnDemo::Upload { paths, log }) => demo::upload(&settings, &paths, log).await,
        XtaskCommand::OnDemo(OnDemo::Show { mut arguments }) => {
            arguments.insert(0, "show".into());
            demo::run_command_line(&settings, &arguments).await
        }
        XtaskCommand::OnDemo(OnDemo::Flatfire { arguments }) => {
            demo::run_command_line(&settings, &arguments).await
        }
    }
}

async fn run_chore(settings: &ChoreSettings, chore: Chore) -> Result<()> {
    let mut steps = Steps::default();
    match chore {
        Chore::Tools => steps.run("Install the tools", || Tools::install_for_tests(settings)).map(drop),
        Chore::Build => {
            let tools = steps.run("Install the tools", || Tools::install(settings))?;
            let zip = steps.run("Build the function for Lambda", || {
                bootstrap::build(&tools, settings, BuildProfile::Release)
            })?;
            println!("    {}", zip.display());
            Ok(())
        }
        Chore::Demo { keep } => demo::run(settings, keep).await,
        Chore::Stop => KeptEnvironment::of_this_checkout().stop(),
        Chore::Model { folder } => model::run(&folder.unwrap_or_else(model::default_folder)),
        Chore::Test => test::run(settings),
        Chore::Metrics { options } => metrics::run(settings, &options),
        Chore::SamInvoke { options } => containers::sam_invoke(settings, &mut steps, &options),
        Chore::Soak(soak) => soak::run(settings, &soak),
        Chore::Bench(bench) => bench::run(settings, bench),
    }
}
