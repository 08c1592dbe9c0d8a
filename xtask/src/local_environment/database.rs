//! The database of the local environment: the one that is given, else a `mongod` of the machine or of the tools, else
//! `SecantusDB` of the tools.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::leash::{Leash, ServerPlace, free_port};
use crate::settings::ChoreSettings;
use crate::tools::{Tools, mongod_version};

const READY_WITHIN: Duration = Duration::from_mins(1);
/// The program that asks; the driver for Python comes with the tools.
const ASK: &str = include_str!("ask.py");

/// A database that answers.
#[derive(Debug)]
pub struct Database {
    uri: String,
    description: String,
    server: Option<Leash>,
}

/// Keeps the journal of a new, small database at 10 MB instead of 300 MB.
const SMALL_JOURNAL: &str = "log=(enabled=true,prealloc=false,file_max=10MB,path=journal)";

/// How a server on this machine is started.
struct LocalServer {
    name: &'static str,
    description: String,
    command: Command,
    /// A `mongod` becomes a replica set, for transactions and majority writes, only when told to.
    replica_set: Option<Value>,
}

impl Database {
    /// Starts a database, or takes the one that `MONGODB_URI` names, and waits until it takes writes.
    /// `test_commands` allows failpoints in a database that is started here.
    ///
    /// # Errors
    /// When it does not start or does not answer in time; with the end of its log.
    pub fn start(settings: &ChoreSettings, place: ServerPlace<'_>, test_commands: bool) -> Result<Self> {
        let ServerPlace { tools, directory, .. } = place;
        if let Some(uri) = &settings.mongodb_uri {
            let mut given = Self { uri: uri.clone(), description: "MONGODB_URI".to_owned(), server: None };
            given.wait_until_writable(tools, None)?;
            println!("    the database is the one of MONGODB_URI");
            return Ok(given);
        }
        let port = free_port()?;
        let local = match find_mongod(tools, settings) {
            Some(mongod) => mongod_server(&mongod, port, directory, test_commands)?,
            None => secantus_server(tools, port, directory, test_commands),
        };
        let LocalServer { name, description, mut command, replica_set } = local;
        command.env("PATH", &settings.search_path).env("HOME", directory);
        let server = Leash::tie(place, &command, name)?;
        let uri = format!("mongodb://127.0.0.1:{port}/?directConnection=true");
        let mut database = Self { uri, description, server: Some(server) };
        database.wait_until_writable(tools, replica_set.as_ref())?;
        println!("    the database is {}", database.description);
        Ok(database)
    }

    /// Returns the connection string.
    #[must_use]
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Returns which database it is, for a person.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }

    fn wait_until_writable(&mut self, tools: &Tools, replica_set: Option<&Value>) -> Result<()> {
        let seconds = READY_WITHIN.as_secs().to_string();
        let replica_set = replica_set.map(Value::to_string);
        let mut arguments = vec!["ready", &seconds];
        arguments.extend(replica_set.as_deref());
        let ready: Result<Value> = ask(tools, &self.uri, &arguments);
        if let (Err(_), Some(server)) = (&ready, &mut self.server) {
            server.ensure_running()?;
        }
        ready.map(drop)
    }
}

/// Asks a database: `ask.py` says what it can be asked.
///
/// # Errors
/// When it does not answer.
fn ask<T: DeserializeOwned>(tools: &Tools, uri: &str, arguments: &[&str]) -> Result<T> {
    let mut command = Command::new(tools.cloud_program("python"));
    command.args(["-c", ASK]).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut asking = command.spawn().context("Python of the tools does not start")?;
    if let Some(mut input) = asking.stdin.take() {
        writeln!(input, "{uri}")?;
    }
    let output = asking.wait_with_output()?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    serde_json::from_slice(&output.stdout).context("the answer of the database cannot be read")
}

/// Finds a `mongod` that runs, with its version: first on the search path, then in the tools.
#[must_use]
pub fn find_mongod(tools: &Tools, settings: &ChoreSettings) -> Option<(PathBuf, String)> {
    let candidates = settings.find_program("mongod").into_iter().chain([tools.cloud_program("mongod")]);
    candidates.into_iter().find_map(|mongod| Some((mongod.clone(), mongod_version(&mongod)?)))
}

fn mongod_server(
    (mongod, version): &(PathBuf, String),
    port: u16,
    directory: &Path,
    test_commands: bool,
) -> Result<LocalServer> {
    let data = directory.join("mongod");
    std::fs::create_dir_all(&data)?;
    let mut command = Command::new(mongod);
    command.args(["--bind_ip", "127.0.0.1", "--nounixsocket", "--port", &port.to_string()]);
    command.args(["--replSet", "flatfire", "--wiredTigerEngineConfigString", SMALL_JOURNAL, "--dbpath"]);
    command.arg(data);
    if test_commands {
        command.args(["--setParameter", "enableTestCommands=1"]);
    }
    let member = json!({ "_id": 0, "host": format!("127.0.0.1:{port}") });
    let replica_set = Some(json!({ "_id": "flatfire", "members": [member] }));
    let description = format!("mongod {version} ({})", mongod.display());
    Ok(LocalServer { name: "mongod", description, command, replica_set })
}

fn secantus_server(tools: &Tools, port: u16, directory: &Path, test_commands: bool) -> LocalServer {
    let mut command = Command::new(tools.cloud_program("secantusd-py"));
    command.args([
        "--host",
        "127.0.0.1",
        "--port",
        &port.to_string(),
        "--log-level",
        "WARNING",
        "--storage-path",
    ]);
    command.arg(directory.join("secantus"));
    if test_commands {
        command.arg("--enable-test-commands");
    }
    let description =
        "SecantusDB, which stands in for MongoDB because no mongod runs on this machine".to_owned();
    LocalServer { name: "secantusd-py", description, command, replica_set: None }
}
