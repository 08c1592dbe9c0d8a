//! Builds the function as Lambda runs it: a `bootstrap` that is linked against Lambda's C library.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::settings::ChoreSettings;
use crate::steps::run_command;
use crate::tools::Tools;
use crate::workspace;

/// The profile of a build: what a deployment runs, or the same code built in less time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuildProfile {
    /// What is deployed and tested.
    Release,
    /// What the demo runs.
    Demo,
}

impl BuildProfile {
    const fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Demo => "demo",
        }
    }

    /// Returns the place of its zip. `sam build` replaces what stands in cargo-lambda's own.
    fn directory(self) -> PathBuf {
        let directory = match self {
            Self::Release => "target/local-environment",
            Self::Demo => "target/demo-environment",
        };
        workspace::root().join(directory)
    }

    fn zip(self) -> PathBuf {
        self.directory().join("ingest/bootstrap.zip")
    }
}

/// Builds the function for this machine's architecture and returns the zip that is uploaded. The demo's build has the
/// command line besides: they share most of their dependencies, so that both take little longer than one.
///
/// # Errors
/// When the build fails, or this machine cannot run what Lambda runs (only Linux can).
pub fn build(tools: &Tools, settings: &ChoreSettings, profile: BuildProfile) -> Result<PathBuf> {
    if !cfg!(target_os = "linux") {
        bail!(
            "the local cloud runs the function's Linux binary itself, so this needs Linux (or WSL on Windows)"
        );
    }
    let mut cargo_lambda = tools.build_command("cargo-lambda", settings);
    cargo_lambda.args(["lambda", "build", "--profile", profile.name(), "--locked", "--package", "ingest"]);
    if profile == BuildProfile::Demo {
        cargo_lambda.args(["--package", "flatfire"]);
    }
    cargo_lambda.args(["--output-format", "zip", "--lambda-dir"]).arg(profile.directory());
    run_command(&mut cargo_lambda)?;
    let zip = profile.zip();
    if !zip.is_file() {
        bail!("cargo-lambda wrote no {}", zip.display());
    }
    Ok(zip)
}

/// Returns where the demo's build puts the command line.
#[must_use]
pub fn command_line(settings: &ChoreSettings) -> PathBuf {
    let own = settings.toolchain.iter().find(|(name, _)| *name == "CARGO_TARGET_DIR");
    let target = own.map_or_else(|| PathBuf::from("target"), |(_, directory)| PathBuf::from(directory));
    let architecture = std::env::consts::ARCH;
    let built = target.join(format!("{architecture}-unknown-linux-gnu")).join(BuildProfile::Demo.name());
    workspace::root().join(built).join("flatfire")
}

/// Returns the zip of the last release build.
///
/// # Errors
/// When there has been none.
pub fn existing() -> Result<PathBuf> {
    let zip = BuildProfile::Release.zip();
    if !zip.is_file() {
        bail!("the function is not built for Lambda yet; run `cargo xtask build`");
    }
    Ok(zip)
}

/// Returns this machine's architecture by Lambda's name for it.
#[must_use]
pub fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" }
}
