//! The database of tests: the one of `MONGODB_URI`, else one that the test starts for itself: the `mongod` on the
//! `PATH` or of `.tools/`, else `SecantusDB`.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mongodb::Client;
use mongodb::bson::{Document, doc};
use mongodb::options::ClientOptions;

/// A running server.
pub(crate) struct Endpoint {
    /// Its connection string; options can be added with `&`.
    pub(crate) uri: String,
    /// The server that the test started; it ends with this value.
    _own: Option<OwnServer>,
}

struct OwnServer {
    child: Child,
    directory: tempfile::TempDir,
}

/// Whether a server takes writes by itself, or must be told to become a replica set of one member first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Mongod,
    Secantus,
}

const WRITABLE_WITHIN: Duration = Duration::from_mins(1);
const ASK_EVERY: Duration = Duration::from_millis(50);
/// Another process may take a free port before the server does.
const ATTEMPTS: usize = 5;
/// Keeps the journal of a new, small database at 10 MB instead of 300 MB.
const SMALL_JOURNAL: &str = "log=(enabled=true,prealloc=false,file_max=10MB,path=journal)";

impl Endpoint {
    /// Returns the given server, or starts one, and waits until it takes writes. `options` are added to the
    /// connection string.
    ///
    /// # Panics
    /// Where there is no database: a test without its server fails.
    pub(crate) fn get(given: Option<String>, options: &str) -> Self {
        let given = given.filter(|uri| !uri.is_empty()).map(|uri| (uri, None));
        let (uri, own) = given.unwrap_or_else(start);
        let separator = if uri.contains('?') { '&' } else { '?' };
        Self { uri: format!("{uri}{separator}{options}"), _own: own }
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        self.child.kill().and_then(|()| self.child.wait()).ok();
    }
}

fn start() -> (String, Option<OwnServer>) {
    let (program, kind) = find_program();
    for _ in 0..ATTEMPTS {
        let port = free_port();
        let mut server = spawn(&program, kind, port);
        let uri = format!("mongodb://127.0.0.1:{port}/?directConnection=true");
        if wait_until_writable(&mut server, kind, port, &uri) {
            return (uri, Some(server));
        }
    }
    panic!("{} ended {ATTEMPTS} times before it took writes", program.display());
}

fn find_program() -> (PathBuf, Kind) {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/cloud/bin");
    for mongod in [PathBuf::from("mongod"), tools.join("mongod")] {
        let version =
            Command::new(&mongod).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if version.is_ok_and(|status| status.success()) {
            return (mongod, Kind::Mongod);
        }
    }
    let secantus = tools.join("secantusd-py");
    assert!(secantus.exists(), "no database: run `cargo xtask tools`, or set MONGODB_URI");
    (secantus, Kind::Secantus)
}

fn spawn(program: &Path, kind: Kind, port: u16) -> OwnServer {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let port = port.to_string();
    let mut command = Command::new(program);
    match kind {
        Kind::Mongod => {
            command.args(["--bind_ip", "127.0.0.1", "--nounixsocket", "--port", &port]);
            command.args(["--replSet", "tests", "--wiredTigerEngineConfigString", SMALL_JOURNAL]);
            command.args(["--setParameter", "enableTestCommands=1", "--dbpath"]);
        }
        Kind::Secantus => {
            command.args([
                "--host",
                "127.0.0.1",
                "--port",
                &port,
                "--enable-test-commands",
                "--storage-path",
            ]);
        }
    }
    command.arg(data).env("HOME", directory.path()).stdout(Stdio::null()).stderr(Stdio::null());
    OwnServer { child: command.spawn().unwrap(), directory }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr()).unwrap().port()
}

/// Returns `false` when the server has ended, for instance because its port was taken.
fn wait_until_writable(server: &mut OwnServer, kind: Kind, port: u16, uri: &str) -> bool {
    let member = doc! { "_id": 0, "host": format!("127.0.0.1:{port}") };
    let replica_set = doc! { "replSetInitiate": { "_id": "tests", "members": [member] } };
    let deadline = Instant::now() + WRITABLE_WITHIN;
    loop {
        if server.child.try_wait().unwrap().is_some() {
            return false;
        }
        match ask(uri, doc! { "hello": 1 }) {
            Some(hello) if hello.get_bool("isWritablePrimary").unwrap_or(false) => return true,
            // It answers that it is initiated already, or not ready: both are asked again.
            Some(_) if kind == Kind::Mongod => drop(ask(uri, replica_set.clone())),
            Some(_) | None => {}
        }
        let waited = server.directory.path().display();
        assert!(
            Instant::now() < deadline,
            "the database in {waited} takes no writes after {WRITABLE_WITHIN:?}"
        );
        std::thread::sleep(ASK_EVERY);
    }
}

/// Runs one command. A thread and a runtime of its own let tests call this inside their runtime and outside.
fn ask(uri: &str, command: Document) -> Option<Document> {
    let uri = uri.to_owned();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut options = ClientOptions::parse(&uri).await.unwrap();
            options.server_selection_timeout = Some(Duration::from_secs(2));
            let client = Client::with_options(options).unwrap();
            client.database("admin").run_command(command).await.ok()
        })
    });
    thread.join().unwrap()
}
