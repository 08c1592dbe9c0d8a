//! Benchmarks of the whole command line, beside other programs.

use std::process::Command;

use anyhow::Result;
use clap::Subcommand;
use tempfile::TempDir;

use crate::local_environment::{Database, Lifetime, ServerPlace};
use crate::settings::ChoreSettings;
use crate::steps::{Steps, run_command};
use crate::tools::Tools;
use crate::workspace;

/// What is measured.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum Bench {
    /// `flatfire rows`: a view as CSV beside `DuckDB`, automatic rows beside `serde_json::Value`.
    Rows {
        /// How often each program runs; the fastest run counts.
        #[arg(long, default_value_t = 9)]
        repetitions: u32,
    },
    /// `flatfire load` of files that are new, the same again, changed or small.
    Loads {
        /// How many Observations.
        #[arg(long, default_value_t = 55_000)]
        rows: u64,
    },
    /// `flatfire load` with and without indexes, and questions by `subject_key`.
    Indexes {
        /// How many Observations.
        #[arg(long, default_value_t = 2_000_000)]
        rows: u64,
    },
    /// `flatfire quality` and `flatfire report` on ten tables with seeded defects.
    Quality {
        /// How many rows.
        #[arg(long, default_value_t = 2_000_000)]
        rows: u64,
    },
}

/// Builds what is measured, makes the data, checks the answers and prints the figures.
///
/// # Errors
/// When something cannot be built, or when the answers are wrong.
pub fn run(settings: &ChoreSettings, bench: Bench) -> Result<()> {
    match bench {
        Bench::Rows { repetitions } => rows(settings, repetitions),
        Bench::Loads { rows } => on_database(settings, "bench_loads.py", rows),
        Bench::Indexes { rows } => on_database(settings, "bench_indexes.py", rows),
        Bench::Quality { rows } => on_database(settings, "bench_quality.py", rows),
    }
}

fn rows(settings: &ChoreSettings, repetitions: u32) -> Result<()> {
    let mut steps = Steps::default();
    steps.run("Install the tools", || Tools::install_for_tests(settings))?;
    steps.run("Build flatfire and the parser", || {
        run_command(build(settings).args(["-p", "flatfire"]))?;
        run_command(build(settings).args(["-p", "flatfire-flatten", "--example", "parse_values"]))
    })?;
    steps.run("Measure", || {
        let built = workspace::root().join("target/release");
        let mut python = Command::new(workspace::tools_directory().join("analysts/bin/python"));
        python.arg(workspace::root().join("xtask/py/bench_rows.py"));
        python.args([built.join("flatfire"), built.join("examples/parse_values")]);
        run_command(python.arg(repetitions.to_string()))
    })
}

/// Runs a script of measurements with the command line and a database.
fn on_database(settings: &ChoreSettings, script: &str, rows: u64) -> Result<()> {
    let mut steps = Steps::default();
    let tools = steps.run("Install the tools", || Tools::install(settings))?;
    steps.run("Build flatfire", || run_command(build(settings).args(["-p", "flatfire"])))?;
    let directory = TempDir::with_prefix("flatfire-")?;
    let place = ServerPlace { tools: &tools, directory: directory.path(), lifetime: &Lifetime::Owner };
    let database = Database::start(settings, place, false)?;
    steps.run(&format!("Measure on {}", database.description()), || {
        let mut python = Command::new(workspace::tools_directory().join("cloud/bin/python"));
        python.arg(workspace::root().join("xtask/py").join(script));
        python.arg(workspace::root().join("target/release/flatfire"));
        run_command(python.arg(database.uri()).arg(rows.to_string()))
    })
}

fn build(settings: &ChoreSettings) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--locked", "--quiet", "--release", "--target-dir", "target"]);
    cargo.current_dir(workspace::root()).env("PATH", &settings.search_path);
    cargo
}
