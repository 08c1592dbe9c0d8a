//! Benchmarks of the whole command line, beside other programs.

use std::process::Command;

use anyhow::Result;
use clap::Subcommand;

use crate::settings::Settings;
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
}

/// Builds what is measured, makes the data, compares the answers and prints the ratios.
///
/// # Errors
/// When something cannot be built, or when the answers differ.
pub fn run(settings: &Settings, bench: Bench) -> Result<()> {
    let Bench::Rows { repetitions } = bench;
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

fn build(settings: &Settings) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--locked", "--quiet", "--release", "--target-dir", "target"]);
    cargo.current_dir(workspace::root()).env("PATH", &settings.search_path);
    cargo
}
