//! Builds the function as Lambda runs it: the release `bootstrap`, linked against Lambda's C library.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::settings::Settings;
use crate::steps::run_command;
use crate::tools::Tools;
use crate::workspace;

/// Builds the function for this machine's architecture and returns the zip that is uploaded.
///
/// # Errors
/// When the build fails, or this machine cannot run what Lambda runs (only Linux can).
pub fn build(tools: &Tools, settings: &Settings) -> Result<PathBuf> {
    if !cfg!(target_os = "linux") {
        bail!(
            "the local cloud runs the function's Linux binary itself, so this needs Linux (or WSL on Windows)"
        );
    }
    let mut cargo_lambda = tools.build_command("cargo-lambda", settings);
    cargo_lambda.args(["lambda", "build", "--release", "--locked", "--package", "ingest"]);
    // A place of its own: `sam build` replaces what stands in cargo-lambda's.
    cargo_lambda.args(["--output-format", "zip", "--lambda-dir"]).arg(directory());
    run_command(&mut cargo_lambda)?;
    existing()
}

/// The zip of the last build.
///
/// # Errors
/// When there has been none.
pub fn existing() -> Result<PathBuf> {
    let zip = directory().join("ingest/bootstrap.zip");
    if !zip.is_file() {
        bail!("the function is not built for Lambda yet; run `cargo xtask build`");
    }
    Ok(zip)
}

fn directory() -> PathBuf {
    workspace::root().join("target/local-line")
}

/// This machine's architecture by Lambda's name for it.
#[must_use]
pub fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" }
}
