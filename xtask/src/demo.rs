//! Shows the whole pipeline on this machine: files go in, tables come out.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::bootstrap::{self, BuildProfile};
use crate::command_line::{CommandLine, exit_code};
use crate::local_environment::{
    ACCESS_KEY, Deployment, KeptEnvironment, LocalEnvironment, REGION, SECRET_KEY,
};
use crate::settings::ChoreSettings;
use crate::steps::Steps;
use crate::tools::Tools;
use crate::workspace;

/// The tables that the demo shows rows of, and how many.
const SHOWN_TABLES: [&str; 2] = ["Patient", "Observation"];
const SHOWN_ROWS: &str = "4";
/// The sample of which one record is broken, in the bucket.
const BROKEN_SAMPLE: &str = "incoming/patients-with-a-broken-line.ndjson";

/// Runs the demo, from nothing to tables; with `keep` the environment stays up for more files.
///
/// # Errors
/// When a step fails; the message names the step and what to do.
pub async fn run(settings: &ChoreSettings, keep: bool) -> Result<()> {
    let mut steps = Steps::default();
    let tools = steps.run("Install the tools", || Tools::install(settings))?;
    let zip = steps.run("Build the function and the command line", || {
        bootstrap::build(&tools, settings, BuildProfile::Demo)
    })?;
    let title = "Start a database and a local cloud, deploy template.yaml";
    if keep {
        let environment = KeptEnvironment::of_this_checkout();
        let deployment = steps.wait_for(title, environment.start(&tools, settings, &zip)).await?;
        load_samples(&mut steps, settings, &tools, &deployment).await?;
        steps.print_summary();
        print_what_is_next(&deployment);
    } else {
        let start = LocalEnvironment::start(&tools, settings, &zip);
        let environment = steps.wait_for(title, start).await?;
        load_samples(&mut steps, settings, &tools, environment.deployment()).await?;
        steps.print_summary();
        println!("\nEverything is stopped again; the report stands in {}.", report().display());
        println!("To keep it running and load files of yours: cargo xtask demo --keep");
    }
    Ok(())
}

/// Runs a command of the product on the demo that was left running.
///
/// # Errors
/// When none is running.
pub async fn run_command_line(settings: &ChoreSettings, arguments: &[OsString]) -> Result<ExitCode> {
    let deployment = KeptEnvironment::of_this_checkout().deployment()?;
    Ok(exit_code(CommandLine::find(settings, &deployment)?.run(arguments).await?))
}

/// Uploads files and folders to the demo that was left running, and waits for their rows. With `log` it prints what the
/// function logged meanwhile.
///
/// # Errors
/// When none is running.
pub async fn upload(settings: &ChoreSettings, paths: &[PathBuf], log: bool) -> Result<ExitCode> {
    let deployment = KeptEnvironment::of_this_checkout().deployment()?;
    let ended = upload_by(&CommandLine::find(settings, &deployment)?, paths, log).await?;
    for line in &ended.log {
        println!("{line}");
    }
    Ok(exit_code(ended.code))
}

/// How an upload ended.
#[derive(Debug, PartialEq, Eq)]
pub struct UploadEnd {
    /// The exit code; `None` if a signal ended it.
    pub code: Option<u8>,
    /// What the function logged meanwhile, if that was asked for.
    pub log: Vec<String>,
}

/// Uploads files and folders by a command line to its deployment, and waits for their rows.
///
/// # Errors
/// When the command does not start, or the log cannot be read.
pub async fn upload_by(command_line: &CommandLine<'_>, paths: &[PathBuf], log: bool) -> Result<UploadEnd> {
    let deployment = command_line.deployment();
    let lines_of_log = || if log { deployment.function_log(&Tools::find()?) } else { Ok(Vec::new()) };
    let before = lines_of_log()?.len();
    let code = command_line.run(&upload_arguments(deployment, paths)).await?;
    let log = lines_of_log()?.into_iter().skip(before).collect();
    Ok(UploadEnd { code, log })
}

/// Returns the arguments of the upload. Files that were copied a moment ago are whole, so nothing waits for them. A name
/// may begin with a dash.
fn upload_arguments(deployment: &Deployment, paths: &[PathBuf]) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = ["push", "--stable-for", "0", "--to", "--"].map(OsString::from).into();
    arguments.extend(paths.iter().map(OsString::from));
    arguments.push(deployment.outputs.upload_to.clone().into());
    arguments
}

async fn load_samples(
    steps: &mut Steps,
    settings: &ChoreSettings,
    tools: &Tools,
    deployment: &Deployment,
) -> Result<()> {
    let command_line = CommandLine::find(settings, deployment)?;
    let files = sample_files()?;
    let title =
        format!("Upload {} files to {}, wait for their rows", files.len(), deployment.outputs.upload_to);
    let arguments = upload_arguments(deployment, &files);
    // One of the samples is broken on purpose: 2 says that some records are missing.
    let loaded = steps.wait_for(&title, command_line.show(&arguments, &[0, 2])).await;
    loaded.with_context(|| last_words(tools, deployment))?;
    look(steps, &command_line).await?;
    write_report(steps, &command_line).await
}

/// Shows what a person would look at: the tables, a few rows, and why a record is missing.
async fn look(steps: &mut Steps, command_line: &CommandLine<'_>) -> Result<()> {
    let look = async {
        command_line.show(&["show"], &[0]).await?;
        for table in SHOWN_TABLES {
            println!();
            command_line.show(&["show", table, "--rows", SHOWN_ROWS], &[0]).await?;
        }
        println!();
        command_line.show(&["status", BROKEN_SAMPLE], &[0]).await
    };
    steps.wait_for("Look at the tables, at rows, and at the file with a broken line", look).await
}

/// Writes the report of what was loaded. It stays when the demo ends.
async fn write_report(steps: &mut Steps, command_line: &CommandLine<'_>) -> Result<()> {
    let report = report();
    // That of an earlier demo.
    std::fs::remove_file(&report).ok();
    let title = format!("Write the report of the samples to {}", report.display());
    let arguments = [OsStr::new("report"), OsStr::new("--out"), report.as_os_str()];
    steps.wait_for(&title, command_line.show(&arguments, &[0])).await
}

/// Returns where the report is written.
fn report() -> PathBuf {
    workspace::root().join("target/demo-report.html")
}

fn last_words(tools: &Tools, deployment: &Deployment) -> String {
    let log = deployment.function_log(tools).unwrap_or_default();
    format!("the last that the function logged:\n{}", log.join("\n"))
}

/// Returns the files of `samples/`, in the order of their names, without the page about them.
///
/// # Errors
/// When the folder cannot be read.
pub fn sample_files() -> Result<Vec<PathBuf>> {
    let folder = workspace::root().join("samples");
    let entries = std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    files.retain(|file| !has_extension(file, "md"));
    files.sort();
    Ok(files)
}

fn has_extension(file: &Path, extension: &str) -> bool {
    file.extension().is_some_and(|found| found == extension)
}

fn print_what_is_next(deployment: &Deployment) {
    let Deployment { endpoint, mongodb_uri, database, outputs } = deployment;
    println!(
        "
It is still running. Next:
  cargo xtask upload FILE-OR-FOLDER…   load files of yours, and wait for their rows
  cargo xtask show                     the tables; with a name, its rows: cargo xtask show Observation
  cargo xtask flatfire status          what became of the files; with the key of one, why
  cargo xtask flatfire report --out report.html
                                       a page about everything that is loaded; that of the samples stands in
                                       {report}
  cargo xtask stop                     end it and remove its data

Other programs reach it as well:
  mongosh '{mongodb_uri}' (or Compass), then: use {database}
  AWS_ACCESS_KEY_ID={ACCESS_KEY} AWS_SECRET_ACCESS_KEY={SECRET_KEY} \\
    aws --endpoint-url {endpoint} --region {REGION} s3 cp FILE {upload_to}
The README says under \"Developing\" how to run the function by itself.",
        upload_to = outputs.upload_to,
        report = report().display(),
    );
}
