//! Shows the whole line on this machine: files go in, tables come out.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::bootstrap::{self, BuildProfile};
use crate::local_line::{ACCESS_KEY, Deployment, KeptLine, LocalLine, REGION, SECRET_KEY};
use crate::report::{self, ReportDocument};
use crate::settings::ChoreSettings;
use crate::steps::Steps;
use crate::tools::Tools;
use crate::workspace;

/// From nothing to tables; with `keep` the line stays up for more files.
///
/// # Errors
/// When a step fails; the message names the step and what to do.
pub async fn run(settings: &ChoreSettings, keep: bool) -> Result<()> {
    let mut steps = Steps::default();
    let tools = steps.run("Install the tools", || Tools::install(settings))?;
    let zip = steps
        .run("Build the function for Lambda", || bootstrap::build(&tools, settings, BuildProfile::Demo))?;
    let title = "Start the database and the local cloud, deploy template.yaml";
    if keep {
        let line = KeptLine::of_this_checkout();
        let deployment = steps.wait_for(title, line.start(&tools, settings, &zip)).await?;
        load_samples(&mut steps, &tools, &deployment).await?;
        steps.print_summary();
        print_how_to_go_on(&deployment);
    } else {
        let start = LocalLine::start(&tools, settings, &zip);
        let line = steps.wait_for(title, start).await?;
        load_samples(&mut steps, &tools, line.deployment()).await?;
        steps.print_summary();
        println!("\nEverything is stopped again. To keep it running and load more: cargo xtask demo --keep");
    }
    Ok(())
}

/// Uploads files to the kept line, waits for them and shows everything.
///
/// # Errors
/// When none is running, or a load fails.
pub async fn upload(files: &[PathBuf]) -> Result<()> {
    let deployment = KeptLine::of_this_checkout().deployment()?;
    load(&mut Steps::default(), &Tools::find()?, &deployment, files).await
}

/// Shows what the kept line holds.
///
/// # Errors
/// When none is running.
pub fn show() -> Result<()> {
    let deployment = KeptLine::of_this_checkout().deployment()?;
    report::print(&Tools::find()?, &deployment)
}

async fn load_samples(steps: &mut Steps, tools: &Tools, deployment: &Deployment) -> Result<()> {
    load(steps, tools, deployment, &sample_files()?).await
}

async fn load(steps: &mut Steps, tools: &Tools, deployment: &Deployment, files: &[PathBuf]) -> Result<()> {
    let title = format!("Upload {} files to {}", files.len(), deployment.outputs.upload_to);
    let uploads = steps.run(&title, || deployment.upload(tools, files))?;
    let loads = report::wait_for_loads(tools, deployment, &uploads);
    let loads = steps.wait_for("Wait for the ledger", loads).await;
    let loads = loads.and_then(|loads| none_failed(&loads)).with_context(|| last_words(tools, deployment));
    report::print(tools, deployment)?;
    loads
}

/// `partial` is a result, and the demo has one on purpose; `failed` is not.
fn none_failed(loads: &[ReportDocument]) -> Result<()> {
    let failed = loads.iter().filter(|load| load.get("status").is_some_and(|status| status == "failed"));
    let keys: Vec<&str> = failed.filter_map(|load| load.get("key")?.as_str()).collect();
    if !keys.is_empty() {
        bail!("the function could not load {}", keys.join(", "));
    }
    Ok(())
}

fn last_words(tools: &Tools, deployment: &Deployment) -> String {
    let log = deployment.function_log(tools).unwrap_or_default();
    format!("the last that the function logged:\n{}", log.join("\n"))
}

/// The files of `samples/`, in the order of their names, without the page about them.
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

fn print_how_to_go_on(deployment: &Deployment) {
    let Deployment { endpoint, mongodb_uri, database, outputs } = deployment;
    println!(
        "
It is still running.
  load more      cargo xtask upload FILE…
                 or any S3 client: AWS_ACCESS_KEY_ID={ACCESS_KEY} AWS_SECRET_ACCESS_KEY={SECRET_KEY} \\
                   aws --endpoint-url {endpoint} --region {REGION} s3 cp FILE {upload_to}
  look again     cargo xtask show
  look further   mongosh '{mongodb_uri}' (or Compass), then: use {database}
  run the function yourself (with .tools/build/bin on the PATH)
                 cargo lambda watch --env-file .tools/demo/function.env
                 cargo lambda invoke ingest --data-file events/s3-put.json
                 as SAM runs it, with servers of its own; needs a container engine:
                 .tools/cloud/bin/python xtask/py/sam_invoke.py events/s3-put-unversioned.json
  stop           cargo xtask stop",
        upload_to = outputs.upload_to,
    );
}
