//! Prints figures of the code and the docs.

use std::process::Command;

use anyhow::Result;

use crate::settings::ChoreSettings;
use crate::steps::run_command;
use crate::tools::find_python;
use crate::workspace;

/// Runs the script that measures the code; it needs Python alone.
///
/// # Errors
/// Without Python or git, or for a revision that does not exist.
pub fn run(settings: &ChoreSettings, options: &[String]) -> Result<()> {
    let mut python = Command::new(find_python(settings)?);
    python.current_dir(workspace::root());
    run_command(python.arg("xtask/py/code_metrics.py").args(options))
}
