//! Checks everything; what continuous integration runs.

use std::process::Command;

use anyhow::{Context, Result};

use crate::bootstrap;
use crate::settings::Settings;
use crate::steps::{Steps, run_command};
use crate::tools::Tools;
use crate::workspace;

/// Formatting, lints, the template, the function as Lambda runs it, then every test.
///
/// # Errors
/// At the first step that fails.
pub fn run(settings: &Settings) -> Result<()> {
    let mut steps = Steps::default();
    steps.run("Check the formatting", || run_command(cargo().args(["fmt", "--all", "--check"])))?;
    let tools = steps.run("Install the tools", || Tools::install(settings))?;
    steps.run("Check the template", || check_template(&tools, settings))?;
    steps.run("Run clippy", || {
        run_command(cargo().args([
            "clippy",
            "--locked",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]))
    })?;
    steps.run("Build the function for Lambda", || bootstrap::build(&tools, settings).map(drop))?;
    steps.run("Build the stack as `sam deploy` would", || sam_build(&tools, settings))?;
    steps.run("Run the tests", || run_tests(settings))?;
    steps.run("Run the documentation's examples", || {
        run_command(cargo().args(["test", "--locked", "--doc"]))
    })?;
    steps.print_summary();
    Ok(())
}

fn check_template(tools: &Tools, settings: &Settings) -> Result<()> {
    run_command(tools.build_command("cfn-lint", settings).arg("template.yaml"))?;
    // Validation asks no account anything, but the command wants to know a region.
    let mut sam = tools.build_command("sam", settings);
    run_command(sam.args(["validate", "--lint", "--region", "us-east-1"]))
}

/// For this machine's architecture: it shares the build that the tests use.
fn sam_build(tools: &Tools, settings: &Settings) -> Result<()> {
    let architecture = format!("Architecture={}", bootstrap::architecture());
    run_command(tools.build_command("sam", settings).args(["build", "--parameter-overrides", &architecture]))
}

/// `cargo nextest` where it is installed, else `cargo test`: the same tests.
fn run_tests(settings: &Settings) -> Result<()> {
    if settings.find_program("cargo-nextest").is_some() {
        return run_command(cargo().args(["nextest", "run", "--locked", "--workspace", "--no-fail-fast"]));
    }
    run_command(cargo().args([
        "test",
        "--locked",
        "--workspace",
        "--no-fail-fast",
        "--bins",
        "--lib",
        "--tests",
    ]))
    .context("`cargo nextest` is not installed, so this was `cargo test`")
}

fn cargo() -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(workspace::root());
    cargo
}
