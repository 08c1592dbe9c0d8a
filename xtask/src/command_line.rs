//! The command line of the product, `flatfire`, with the demo as its database and its AWS.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use crate::bootstrap;
use crate::local_environment::{ACCESS_KEY, Deployment, REGION, SECRET_KEY};
use crate::settings::ChoreSettings;

/// The command line as the demo built it.
#[derive(Debug)]
pub struct CommandLine<'a> {
    program: PathBuf,
    settings: &'a ChoreSettings,
    deployment: &'a Deployment,
}

impl<'a> CommandLine<'a> {
    /// Finds the program that the demo built.
    ///
    /// # Errors
    /// When it is gone.
    pub fn find(settings: &'a ChoreSettings, deployment: &'a Deployment) -> Result<Self> {
        let program = bootstrap::command_line(settings);
        if !program.is_file() {
            bail!(
                "{} is gone; `cargo xtask stop` and `cargo xtask demo --keep` build it again",
                program.display()
            );
        }
        Ok(Self::of(program, settings, deployment))
    }

    /// Takes a program that was built in another way.
    #[must_use]
    pub fn of(program: PathBuf, settings: &'a ChoreSettings, deployment: &'a Deployment) -> Self {
        Self { program, settings, deployment }
    }

    /// Returns the deployment that it runs on.
    #[must_use]
    pub const fn deployment(&self) -> &'a Deployment {
        self.deployment
    }

    /// Runs a command whose output the caller sees, and returns its exit code; `None` if a signal ended it.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn run(&self, arguments: &[impl AsRef<OsStr>]) -> Result<Option<u8>> {
        let mut command = self.command();
        let status = command.args(arguments).status().await;
        let status = status.with_context(|| format!("cannot start {}", self.program.display()))?;
        Ok(status.code().map(|code| u8::try_from(code).unwrap_or(1)))
    }

    /// Runs it as [`CommandLine::run`] does, without a pager, for output between that of other steps. `expected` are
    /// the exit codes with which it has done what it should.
    ///
    /// # Errors
    /// When it does not start, or ends in another way.
    pub async fn show(&self, arguments: &[impl AsRef<OsStr>], expected: &[i32]) -> Result<()> {
        let mut command = self.command();
        let status = command.args(arguments).env("PAGER", "").stdin(Stdio::null()).status().await;
        let status = status.with_context(|| format!("cannot start {}", self.program.display()))?;
        if !status.code().is_some_and(|code| expected.contains(&code)) {
            let command = arguments.first().map(|argument| argument.as_ref().to_string_lossy());
            bail!("`flatfire {}` ended with {status}", command.unwrap_or_default());
        }
        Ok(())
    }

    /// Returns the environment holds the demo's addresses, and nothing that could lead to another database or to a real
    /// cloud.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.env_clear().envs(self.settings.terminal.clone());
        command.env("MONGODB_URI", self.deployment.database_uri());
        command.env("AWS_ENDPOINT_URL", &self.deployment.endpoint).env("AWS_REGION", REGION);
        command.env("AWS_ACCESS_KEY_ID", ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
        command.kill_on_drop(true);
        command
    }
}

/// Returns the exit code of this program after a command of the product.
#[must_use]
pub fn exit_code(code: Option<u8>) -> ExitCode {
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}
