//! What needs a container engine: the worker's image, and the function under `sam local invoke`.

use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::bootstrap::{self, BuildProfile};
use crate::settings::ChoreSettings;
use crate::steps::{Steps, run_command};
use crate::tools::Tools;
use crate::workspace;

/// What the function answers to each sample event.
const ANSWERS: &str = "tests/tests/flatfire/answers.json";

/// The function as `sam build` leaves it.
const SAM_BUILT: &str = ".aws-sam/build/IngestFunction/bootstrap";

/// The script that invokes the function.
const SAM_INVOKE: &str = "xtask/py/sam_invoke.py";

/// Runs the worker in a container, and the function as `sam local invoke` does, where an engine answers.
///
/// # Errors
/// At the first step that fails.
pub(crate) fn check(tools: &Tools, settings: &ChoreSettings, steps: &mut Steps) -> Result<()> {
    if !engine_answers() {
        steps.note_not_run("the worker in a container", "no container engine answers");
        steps.note_not_run("sample events by `sam local invoke`", "no container engine answers");
        return Ok(());
    }
    steps.run("Run the worker in a container", || {
        let mut script = tools.cloud_command("python", settings);
        let program = workspace::root().join("target/debug/flatfire");
        run_command(script.arg("xtask/py/worker_container.py").arg("--binary").arg(program))
    })?;
    steps.run("Run the function with every sample event by `sam local invoke`", || {
        let mut script = tools.cloud_command("python", settings);
        run_command(script.args([SAM_INVOKE, "--expect", ANSWERS, "--function", SAM_BUILT]))
    })
}

/// Builds the function as it is deployed, and invokes it with sample events. `options` are those of the script.
///
/// # Errors
/// When no engine answers, or a step fails.
pub fn sam_invoke(settings: &ChoreSettings, steps: &mut Steps, options: &[String]) -> Result<()> {
    if !engine_answers() {
        bail!("no container engine answers; `docker version` says why");
    }
    let tools = steps.run("Install the tools", || Tools::install(settings))?;
    let mut script = tools.cloud_command("python", settings);
    script.arg(SAM_INVOKE);
    if !options.iter().any(|option| option.starts_with("--function")) {
        let function = steps.run("Build the function for Lambda", || {
            bootstrap::build(&tools, settings, BuildProfile::Release)
        })?;
        script.arg("--function").arg(function);
    }
    run_command(script.args(options))
}

fn engine_answers() -> bool {
    let mut engine = Command::new("docker");
    let answer = engine.arg("info").stdout(Stdio::null()).stderr(Stdio::null()).status();
    answer.is_ok_and(|status| status.success())
}
