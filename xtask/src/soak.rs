//! The long run: thousands of random histories of deliveries, each against the oracle of a clean load.

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use clap::Args;
use tempfile::TempDir;

use crate::local_environment::{Database, Lifetime, ServerPlace};
use crate::settings::ChoreSettings;
use crate::steps::{Steps, run_command};
use crate::test::{MONGOD, mongod_for_tests};
use crate::tools::Tools;
use crate::workspace;

/// Of so many histories one is played on a database as well: there they take several times as long.
const IN_MEMORY_PER_DATABASE: u64 = 50;

/// How long, and from where on.
#[derive(Debug, Clone, Args)]
pub struct Soak {
    /// Random histories in the simulation of MongoDB; a fiftieth of them on a database besides.
    #[arg(long, default_value_t = 10_000)]
    histories: u64,
    /// Random histories on a replica set of three whose primary is killed and steps down; a fiftieth of the others if
    /// left out.
    #[arg(long)]
    replica_histories: Option<u64>,
    /// The seed of the first history, those of the others follow it; a new one for every run if left out.
    #[arg(long)]
    seed: Option<u64>,
}

/// Plays the histories; what was injected is counted and printed, and a history that goes wrong is printed with its
/// seed.
///
/// # Errors
/// At the first history that does not end like a clean load.
pub fn run(settings: &ChoreSettings, soak: &Soak) -> Result<()> {
    let mut steps = Steps::default();
    let tools = steps.run("Install the tools", || Tools::install(settings))?;
    steps.run("Build the test", || run_command(oracle(settings).arg("--no-run")))?;
    let seed = soak.seed.unwrap_or_else(seed_of_now);
    let in_database = soak.histories.div_ceil(IN_MEMORY_PER_DATABASE);
    println!("    seed {seed}: to repeat it, add --seed {seed}");
    let title = format!("Play {} histories in memory", soak.histories);
    steps.run(&title, || {
        let (variable, test) = ("FLATFIRE_HISTORIES", "in_the_simulation");
        run_command(&mut play(settings, seed, Histories { variable, count: soak.histories, test }))
    })?;
    let directory = TempDir::with_prefix("flatfire-")?;
    let place = ServerPlace { tools: &tools, directory: directory.path(), lifetime: &Lifetime::Owner };
    let database = Database::start(settings, place, true)?;
    let title = format!("Play {in_database} histories on {}", database.description());
    steps.run(&title, || {
        let (variable, test) = ("FLATFIRE_DATABASE_HISTORIES", "in_the_database");
        let mut oracle = play(settings, seed, Histories { variable, count: in_database, test });
        run_command(oracle.env("MONGODB_URI", database.uri()))
    })?;
    drop(database);
    let on_replica_set = soak.replica_histories.unwrap_or(in_database);
    let mongod = mongod_for_tests(&tools, settings, &mut steps);
    steps.run(&format!("Play {on_replica_set} histories on a replica set"), || {
        let (variable, test) = ("FLATFIRE_REPLICA_HISTORIES", "on_a_replica_set");
        let mut oracle = play(settings, seed, Histories { variable, count: on_replica_set, test });
        run_command(oracle.env(MONGOD, &mongod))
    })?;
    steps.print_summary();
    Ok(())
}

/// Histories that a test plays.
#[derive(Clone, Copy)]
struct Histories {
    /// The variable that says how many.
    variable: &'static str,
    count: u64,
    test: &'static str,
}

/// Returns the command that plays so many histories.
fn play(settings: &ChoreSettings, seed: u64, histories: Histories) -> Command {
    let Histories { variable, count, test } = histories;
    let mut command = oracle(settings);
    command.args(["--", "--nocapture", test]);
    command.env("FLATFIRE_SEED", seed.to_string()).env("FLATFIRE_PROGRESS", "1");
    command.env(variable, count.to_string());
    command
}

/// Returns `cargo test` of the whole workspace's build: what is built here is not built again.
fn oracle(settings: &ChoreSettings) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.args(["test", "--locked", "--quiet", "--workspace", "--test", "oracle"]);
    cargo.current_dir(workspace::root()).env("PATH", &settings.search_path);
    cargo
}

/// Returns a seed that is short enough to be copied by hand.
#[allow(clippy::disallowed_methods, reason = "a command line is an edge: any seed will do")]
fn seed_of_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() % 1_000_000_000
}
