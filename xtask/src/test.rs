//! Checks everything; what continuous integration runs.

use std::ffi::{OsStr, OsString};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::bootstrap::{self, BuildProfile};
use crate::containers;
use crate::local_environment::{Database, Lifetime, ServerPlace, find_mongod};
use crate::settings::ChoreSettings;
use crate::steps::{Steps, run_command};
use crate::tools::Tools;
use crate::workspace;

/// The package of the end-to-end tests; it has no features of its own, so leaving it out changes no build.
const END_TO_END: &str = "flatfire-tests";

/// The feature of tests over public files that are not in the repository. All tests are built with it or all without,
/// because another set of features builds the crates again; the function is built without, as it is deployed.
const CORPUS: [&str; 2] = ["--features", "flatfire-flatten/corpus,flatfire-pipeline/corpus,xtask/corpus"];

/// What these tests read, from the repository's root.
const CORPUS_FOLDERS: [&str; 3] =
    ["../shared/fhir/samples", "../shared/fhir/model", "../shared/sql-on-fhir/tests"];

/// The end-to-end tests wait more than they work.
const END_TO_END_AT_ONCE: &str = "--test-threads=8";

/// Checks formatting, lints, the template, the function as Lambda runs it, then every test. What this machine cannot
/// run is said when its turn comes, and again at the end.
///
/// Cargo builds three times: to check (clippy), to test, and to release. Commands name the whole workspace, because the
/// same dependencies with other features would be built again.
///
/// # Errors
/// At the first step that fails.
pub fn run(settings: &ChoreSettings) -> Result<()> {
    let mut steps = Steps::default();
    steps.run("Check the formatting", || run_command(cargo().args(["fmt", "--all", "--check"])))?;
    let tools = steps.run("Install the tools", || Tools::install_for_tests(settings))?;
    steps.run("Check the template", || check_template(&tools, settings))?;
    steps.run("Check licences and sources of crates", || {
        run_command(cargo_deny(&tools, settings).args(["check", "bans", "licenses", "sources"]))
    })?;
    check_advisories(&tools, settings, &mut steps)?;
    steps.run("Run clippy", run_clippy)?;
    steps.run("Check the combinations of features", check_features)?;
    let features = corpus_features(&mut steps);
    let mongod = mongod_for_tests(&tools, settings, &mut steps);
    steps.run("Build the tests", || {
        run_command(cargo().args(["test", "--locked", "--workspace", "--tests", "--no-run"]).args(features))
    })?;
    steps.run("Run the unit, contract and property tests", || {
        run_tests(&tools, settings, features, &mongod)
    })?;
    steps.run("Run the documentation's examples", || {
        run_command(cargo().args(["test", "--locked", "--workspace", "--doc"]).args(features))
    })?;
    steps.run("Build the function for Lambda", || {
        bootstrap::build(&tools, settings, BuildProfile::Release).map(drop)
    })?;
    steps.run("Build the stack as `sam deploy` would", || sam_build(&tools, settings))?;
    steps.run("Build the function as `cargo lambda watch` does", || {
        run_command(cargo().args(["build", "--locked", "--bin", "ingest"]))
    })?;
    steps.run("Run the end-to-end tests", || {
        run_command(
            cargo()
                .args(["test", "--locked", "--workspace", "--test", "flatfire"])
                .args(features)
                .args(["--", END_TO_END_AT_ONCE]),
        )
    })?;
    containers::check(&tools, settings, &mut steps)?;
    check_report(&tools, settings, &mut steps)?;
    steps.print_summary();
    Ok(())
}

/// What Chromium is called.
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Opens the pages of `flatfire report` in Chromium, where there is one.
fn check_report(tools: &Tools, settings: &ChoreSettings, steps: &mut Steps) -> Result<()> {
    let Some(browser) = BROWSERS.iter().find_map(|name| settings.find_program(name)) else {
        steps.note_not_run("the report in a browser", "Chromium is not installed");
        return Ok(());
    };
    steps.run("Open the report in Chromium", || {
        let directory = TempDir::with_prefix("flatfire-")?;
        let place = ServerPlace { tools, directory: directory.path(), lifetime: &Lifetime::Owner };
        let database = Database::start(settings, place, false)?;
        let mut script = tools.cloud_command("python", settings);
        let program = workspace::root().join("target/debug/flatfire");
        script.arg("xtask/py/check_report.py").arg("--binary").arg(program);
        run_command(script.args(["--uri", database.uri()]).arg("--chromium").arg(browser))
    })
}

/// Checks the template as it stands, and with combinations of its parameters.
fn check_template(tools: &Tools, settings: &ChoreSettings) -> Result<()> {
    run_command(tools.build_command("python", settings).arg("xtask/py/check_template.py"))
}

/// Checks the crates against the advisory database, where it can be fetched.
fn check_advisories(tools: &Tools, settings: &ChoreSettings, steps: &mut Steps) -> Result<()> {
    let mut fetch = cargo_deny(tools, settings);
    fetch.args(["fetch", "db"]).stdout(Stdio::null()).stderr(Stdio::null());
    // A network that swallows everything is no network.
    fetch.env("GIT_HTTP_LOW_SPEED_LIMIT", "1000").env("GIT_HTTP_LOW_SPEED_TIME", "20");
    if !fetch.status().context("cannot start cargo-deny")?.success() {
        steps.note_not_run("the check of advisories", "the advisory database cannot be fetched here");
        return Ok(());
    }
    steps.run("Check advisories of crates", || {
        run_command(cargo_deny(tools, settings).args(["check", "--disable-fetch", "advisories"]))
    })
}

/// Returns the pinned cargo-deny. It shows errors alone: what `deny.toml` only warns of is read by hand.
fn cargo_deny(tools: &Tools, settings: &ChoreSettings) -> Command {
    let mut command = tools.build_command("cargo-deny", settings);
    command.args(["--locked", "--log-level", "error"]);
    command
}

fn run_clippy() -> Result<()> {
    let mut clippy = cargo();
    clippy.args(["clippy", "--locked", "--workspace", "--all-targets"]).args(CORPUS);
    run_command(clippy.args(["--", "-D", "warnings"]))
}

/// Combinations of features beside the default ones: `flatfire rows` needs no database and no cloud.
const FEATURES: [&[&str]; 4] = [
    &["--package", "flatfire-pipeline"],
    &["--package", "ingest"],
    &["--package", "flatfire"],
    &["--package", "flatfire", "--features", "mongodb"],
];

fn check_features() -> Result<()> {
    FEATURES.iter().try_for_each(|features| {
        run_command(cargo().args(["check", "--locked", "--no-default-features"]).args(*features))
    })
}

/// Builds with SAM for this machine's architecture: it shares the build that the tests use.
fn sam_build(tools: &Tools, settings: &ChoreSettings) -> Result<()> {
    let architecture = format!("Architecture={}", bootstrap::architecture());
    run_command(tools.build_command("sam", settings).args(["build", "--parameter-overrides", &architecture]))
}

/// Returns everything but the end-to-end tests, which have their own step. The tests that need a database share one.
fn run_tests(tools: &Tools, settings: &ChoreSettings, features: &[&str], mongod: &OsStr) -> Result<()> {
    let directory = TempDir::with_prefix("flatfire-")?;
    let place = ServerPlace { tools, directory: directory.path(), lifetime: &Lifetime::Owner };
    let database = Database::start(settings, place, true)?;
    let nextest = settings.find_program("cargo-nextest").is_some();
    let mut command = cargo();
    command.args(test_arguments(nextest)).args(features);
    command.env("MONGODB_URI", database.uri()).env(MONGOD, mongod);
    run_command(&mut command)
}

/// The variable that names the `mongod` of the tests that start servers of their own.
pub(crate) const MONGOD: &str = "FLATFIRE_MONGOD";

/// Returns the path of the `mongod` that tests start, or `none` where none runs: those tests are left out then.
pub(crate) fn mongod_for_tests(tools: &Tools, settings: &ChoreSettings, steps: &mut Steps) -> OsString {
    if let Some((mongod, _)) = find_mongod(tools, settings) {
        return mongod.into_os_string();
    }
    steps.note_not_run("tests on replica sets, and of users and rights", "no mongod runs on this machine");
    OsString::from("none")
}

/// Returns the arguments that add the tests over public files, or none where the files are missing.
fn corpus_features(steps: &mut Steps) -> &'static [&'static str] {
    let missing = CORPUS_FOLDERS.into_iter().find(|folder| !workspace::root().join(folder).is_dir());
    let Some(folder) = missing else { return &CORPUS };
    steps.note_not_run(
        "tests of the feature `corpus` (public FHIR files, HL7's SQL on FHIR cases)",
        &format!("{folder} is not there"),
    );
    &[]
}

/// Returns the arguments of cargo that run the tests: with cargo-nextest, which runs them faster, or without.
fn test_arguments(nextest: bool) -> Vec<&'static str> {
    let runner = if nextest { ["nextest", "run"].as_slice() } else { &["test"] };
    let selection = ["--tests", "--locked", "--workspace", "--exclude", END_TO_END, "--no-fail-fast"];
    [runner, &selection].concat()
}

fn cargo() -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(workspace::root());
    cargo
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asked for its help, cargo reads all arguments and builds nothing.
    #[test]
    fn cargo_takes_the_arguments_that_need_no_nextest() {
        let mut command = Command::new(env!("CARGO"));
        let output = command.args(test_arguments(false)).arg("-h").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    #[test]
    fn no_form_says_an_option_twice() {
        for nextest in [false, true] {
            let arguments = test_arguments(nextest);
            let options: Vec<_> = arguments.iter().filter(|argument| argument.starts_with("--")).collect();
            let mut once = options.clone();
            once.sort();
            once.dedup();
            assert_eq!(once.len(), options.len(), "{arguments:?} says an option twice");
        }
    }
}
