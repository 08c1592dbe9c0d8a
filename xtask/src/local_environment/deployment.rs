//! Deploys the template into the local cloud, uploads files and reads the function's log.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::cloud::{ACCESS_KEY, LocalCloud, REGION, SECRET_KEY};
use crate::bootstrap::architecture;
use crate::steps::command_output;
use crate::tools::Tools;
use crate::workspace;

/// What was deployed and where it is reached.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Deployment {
    /// Where the local cloud is reached.
    pub endpoint: String,
    /// Where the database is reached.
    pub mongodb_uri: String,
    /// The database that holds the rows.
    pub database: String,
    /// The template's outputs.
    pub outputs: Outputs,
}

/// The outputs of `template.yaml`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Outputs {
    /// The bucket.
    pub bucket_name: String,
    /// `s3://` bucket and prefix.
    pub upload_to: String,
    /// The queue of notifications.
    pub queue_url: String,
    /// The queue of the notifications that failed every attempt.
    pub dead_letter_queue_url: String,
    /// The queue of large objects, if the stack has one.
    #[serde(default)]
    pub large_object_queue_url: Option<String>,
    /// The function's name.
    pub function_name: String,
    /// The function's log.
    pub log_group_name: String,
}

impl Deployment {
    /// Returns the connection string with the name of the database.
    #[must_use]
    pub fn database_uri(&self) -> String {
        let (scheme, rest) = self.mongodb_uri.split_once("://").unwrap_or_default();
        let (before, options) = rest.split_once('?').unwrap_or((rest, ""));
        let hosts = before.split('/').next().unwrap_or_default();
        format!("{scheme}://{hosts}/{}?{options}", self.database)
    }

    /// Returns what the function needs in its environment when it runs beside the local cloud instead of in it, under
    /// `cargo lambda watch` or `sam local invoke`.
    #[must_use]
    pub fn function_environment(&self) -> Vec<(&'static str, &str)> {
        vec![
            ("MONGODB_URI", &self.mongodb_uri),
            ("MONGODB_SECRET_ARN", ""),
            ("MONGODB_DATABASE", &self.database),
            ("WATCHED_BUCKET", &self.outputs.bucket_name),
            ("WATCHED_PREFIX", workspace::PREFIX),
            ("WATCHED_SUFFIX", ""),
            ("QUEUE_URL", &self.outputs.queue_url),
            ("LOG_KEYS", "plain"),
            ("LOG_LEVEL", "debug"),
            ("AWS_ENDPOINT_URL", &self.endpoint),
        ]
    }

    /// Writes [`Deployment::function_environment`] as `cargo lambda watch --env-file` reads it, with the credentials
    /// that only `sam` brings along by itself. Values stand in quotes, because it takes no other that holds an `=`.
    #[must_use]
    pub fn environment_file(&self) -> String {
        let credentials = [
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
            ("AWS_REGION", REGION),
        ];
        let given = self.function_environment().into_iter().filter(|(_, value)| !value.is_empty());
        let lines: Vec<String> =
            given.chain(credentials).map(|(name, value)| format!("{name}=\"{value}\"\n")).collect();
        lines.concat()
    }

    /// Returns the variables that the template gives the function.
    ///
    /// # Errors
    /// When the cloud does not answer.
    pub fn environment_in_template(&self, tools: &Tools) -> Result<BTreeMap<String, String>> {
        let mut command = cloud_command(tools, &self.endpoint);
        parsed(&command_output(command.args(["environment", "--function", &self.outputs.function_name]))?)
    }

    /// Returns the messages of the function's log, oldest first.
    ///
    /// # Errors
    /// When the cloud does not answer.
    pub fn function_log(&self, tools: &Tools) -> Result<Vec<String>> {
        let mut command = cloud_command(tools, &self.endpoint);
        parsed(&command_output(command.args(["log", "--group", &self.outputs.log_group_name]))?)
    }
}

/// Returns the script that speaks to the local cloud, with the environment of an AWS client and nothing else that could
/// make it speak to a real one.
#[must_use]
pub fn cloud_command(tools: &Tools, endpoint: &str) -> Command {
    let mut command = Command::new(tools.cloud_program("python"));
    command.env_clear().env("AWS_ENDPOINT_URL", endpoint).env("AWS_DEFAULT_REGION", REGION);
    command.env("AWS_ACCESS_KEY_ID", ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
    command.arg(workspace::root().join("xtask/py/cloud.py"));
    command
}

/// One deployment of the template. Each has resources of its own, so that several can stand side by side in one
/// local cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stack {
    /// The stack's name; its resources carry it.
    pub name: String,
    /// The bucket to make.
    pub bucket: String,
    /// Where the function finds the database.
    pub mongodb_uri: String,
    /// The database that receives the rows.
    pub database: String,
    /// Further parameters of the template.
    pub parameters: Vec<(String, String)>,
    /// Leaves the queue of the notifications to a worker: the function is deployed, and nothing feeds it.
    pub queue_for_worker: bool,
}

/// Puts the code into a bucket, the connection string into a secret, and creates the stack.
pub(super) fn deploy(
    tools: &Tools,
    cloud: &LocalCloud,
    bootstrap: &Path,
    stack: Stack,
) -> Result<Deployment> {
    let mut command = cloud_command(tools, cloud.endpoint());
    command
        .args(["deploy", "--stack", &stack.name, "--template"])
        .arg(workspace::root().join("template.yaml"));
    command.arg("--bootstrap").arg(bootstrap);
    for (name, value) in [
        ("BucketName", stack.bucket.as_str()),
        ("WatchedPrefix", workspace::PREFIX),
        ("DatabaseName", &stack.database),
        ("Architecture", architecture()),
        ("TimeoutSeconds", "60"),
        ("MaximumConcurrency", "2"),
    ] {
        command.args(["--parameter", &format!("{name}={value}")]);
    }
    if stack.queue_for_worker {
        command.arg("--queue-for-worker");
    }
    for (name, value) in &stack.parameters {
        command.args(["--parameter", &format!("{name}={value}")]);
    }
    let outputs = parsed(&output_with_input(&mut command, &stack.mongodb_uri)?)?;
    Ok(Deployment {
        endpoint: cloud.endpoint().to_owned(),
        mongodb_uri: stack.mongodb_uri,
        database: stack.database,
        outputs,
    })
}

/// Returns the connection string goes through a pipe: other people on the machine can read a command line.
fn output_with_input(command: &mut Command, input: &str) -> Result<String> {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("cannot start python")?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("the template could not be deployed into the local cloud; its own words stand above");
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn parsed<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).context("xtask/py/cloud.py answered what this program does not understand")
}
