//! Replica sets of `mongod`s that a test starts on this machine, kills and starts again.

#![allow(dead_code, reason = "each program of tests uses a part of it")]

use std::fmt::Write as _;
use std::fs::File;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mongodb::Client;
use mongodb::bson::{Document, doc};
use mongodb::options::ClientOptions;

/// Servers of a test's own; they end with this value, and with the test's process, however that ends.
#[derive(Debug)]
pub(crate) struct ReplicaSet {
    mongod: PathBuf,
    members: Vec<Member>,
    /// The key file by which members know each other where users have passwords.
    key_file: Option<PathBuf>,
    /// The user and the password of the test's own commands.
    user: Option<(String, String)>,
    directory: tempfile::TempDir,
}

/// A server, running or killed.
#[derive(Debug)]
struct Member {
    port: u16,
    /// A shell that kills its server as soon as its standard input is closed.
    process: Option<Child>,
}

/// What a member says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// It takes writes.
    Primary,
    /// It copies what the primary writes.
    Secondary,
    /// It does not answer, or is neither at the moment.
    Neither,
}

const NAME: &str = "tests";
const READY_WITHIN: Duration = Duration::from_mins(5);
const ASK_EVERY: Duration = Duration::from_millis(50);
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// Another process may take a free port before the server does.
const ATTEMPTS: usize = 3;
/// Keeps the journal of a new, small database at 10 MB instead of 300 MB.
const SMALL_JOURNAL: &str = "log=(enabled=true,prealloc=false,file_max=10MB,path=journal)";
/// Runs a server until standard input is closed, and kills it without warning then.
const UNTIL_CLOSED: &str = r#""$@" & server=$!; read -r _; kill -9 $server; wait"#;

/// Returns the `mongod` to start: the given one, that of the `PATH`, or that of `.tools/`. `None`: the caller says with
/// the word `none` that none runs on this machine, and the test says that it was not run.
///
/// # Panics
/// Where there is none and nobody said so: a test without its server fails.
pub(crate) fn find_mongod(given: Option<&str>) -> Option<PathBuf> {
    match given {
        Some("none") => {
            not_run();
            return None;
        }
        Some(path) if !path.is_empty() => return Some(PathBuf::from(path)),
        Some(_) | None => {}
    }
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/cloud/bin/mongod");
    let runs = |mongod: &PathBuf| {
        let version =
            Command::new(mongod).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        version.is_ok_and(|status| status.success())
    };
    let found = [PathBuf::from("mongod"), tools].into_iter().find(runs);
    assert!(
        found.is_some(),
        "no mongod: run `cargo xtask tools`, or set FLATFIRE_MONGOD to its path; FLATFIRE_MONGOD=none leaves these tests out"
    );
    found
}

#[allow(clippy::print_stdout, reason = "a test that is left out says so")]
fn not_run() {
    println!("NOT RUN: FLATFIRE_MONGOD=none says that no mongod runs on this machine");
}

impl ReplicaSet {
    /// Starts so many servers and waits until one of them takes writes. With a `key`, users need passwords; the first
    /// user can be made from this machine without one.
    pub(crate) fn start(mongod: &Path, members: usize, key: Option<&str>) -> Self {
        for _ in 0..ATTEMPTS {
            let mut set = Self::prepared(mongod, members, key);
            (0..members).for_each(|member| set.restart(member));
            if set.initiate() && set.wait_for_primary() {
                return set;
            }
        }
        panic!("{} took no writes in {ATTEMPTS} attempts", mongod.display());
    }

    fn prepared(mongod: &Path, members: usize, key: Option<&str>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let key_file = key.map(|key| {
            use std::os::unix::fs::PermissionsExt as _;
            let path = directory.path().join("key");
            std::fs::write(&path, key).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            path
        });
        let members = free_ports(members).into_iter().map(|port| Member { port, process: None }).collect();
        Self { mongod: mongod.to_owned(), members, key_file, user: None, directory }
    }

    /// Makes the first user of a set with a key, an administrator. The test's own commands go by that name from now on.
    pub(crate) fn add_administrator(&mut self, name: &str, password: &str) {
        let primary = self.primary().unwrap();
        let majority = i32::try_from(self.members() / 2 + 1).unwrap();
        let user = doc! {
            "createUser": name, "pwd": password, "roles": ["root"], "writeConcern": { "w": majority },
        };
        assert!(
            self.ask(primary, user).is_some(),
            "from this machine the first user can be made without one"
        );
        self.user = Some((name.to_owned(), password.to_owned()));
    }

    /// Returns the connection string of the administrator, or of nobody; options can be added with `&`.
    pub(crate) fn uri(&self) -> String {
        match &self.user {
            Some((name, password)) => self.uri_of(name, password, ""),
            None => self.uri_of_nobody(""),
        }
    }

    /// Returns the connection string of a user, with a database.
    pub(crate) fn uri_of(&self, user: &str, password: &str, database: &str) -> String {
        let uri = self.uri_of_nobody(database);
        uri.replace("mongodb://", &format!("mongodb://{user}:{password}@")) + "&authSource=admin"
    }

    /// Returns the connection string without a user.
    pub(crate) fn uri_of_nobody(&self, database: &str) -> String {
        let hosts: Vec<_> = self.members.iter().map(|member| format!("127.0.0.1:{}", member.port)).collect();
        format!("mongodb://{}/{database}?replicaSet={NAME}", hosts.join(","))
    }

    pub(crate) fn members(&self) -> usize {
        self.members.len()
    }

    /// Starts a member that was killed, or never started.
    pub(crate) fn restart(&mut self, member: usize) {
        let port = self.members[member].port.to_string();
        let data = self.directory.path().join(&port);
        std::fs::create_dir_all(&data).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", UNTIL_CLOSED, "sh"]).arg(&self.mongod);
        command.args(["--bind_ip", "127.0.0.1", "--nounixsocket", "--port", &port, "--replSet", NAME]);
        command.args(["--wiredTigerEngineConfigString", SMALL_JOURNAL, "--wiredTigerCacheSizeGB", "0.25"]);
        // What was written since the last checkpoint is done again after a kill: a minute of it, without this.
        command.args(["--syncdelay", "2"]);
        // What has expired is deleted within a second, and not within a minute.
        command.args(["--setParameter", "ttlMonitorSleepSecs=1"]);
        command.args(["--setParameter", "enableTestCommands=1", "--dbpath"]).arg(data);
        if let Some(key_file) = &self.key_file {
            command.arg("--keyFile").arg(key_file);
        }
        command.env("HOME", self.directory.path());
        let log = File::options().create(true).append(true).open(self.log(member)).unwrap();
        command.stdin(Stdio::piped()).stdout(log).stderr(Stdio::null());
        self.members[member].process = Some(command.spawn().unwrap());
    }

    /// Kills a member as `kill -9` does, and waits until it is gone.
    pub(crate) fn kill(&mut self, member: usize) {
        self.members[member].end();
    }

    /// Returns what a member says it is.
    pub(crate) fn role(&self, member: usize) -> Role {
        // Without a user: a member that is starting lets nobody log in.
        let Some(hello) = ask(self.members[member].port, None, doc! { "hello": 1 }) else {
            return Role::Neither;
        };
        let is = |name| hello.get_bool(name).unwrap_or(false);
        match (is("isWritablePrimary"), is("secondary")) {
            (true, _) => Role::Primary,
            (false, true) => Role::Secondary,
            (false, false) => Role::Neither,
        }
    }

    fn log(&self, member: usize) -> PathBuf {
        self.directory.path().join(format!("{}.log", self.members[member].port))
    }

    /// Returns what the members are, and the last that they wrote: for a test that fails.
    pub(crate) fn described(&self) -> String {
        let mut text = String::new();
        for member in 0..self.members() {
            let log = std::fs::read(self.log(member)).unwrap_or_default();
            let log = String::from_utf8_lossy(&log);
            let last: Vec<&str> = log.lines().rev().take(10).collect();
            writeln!(text, "member {member}: {:?}; its log, latest first:", self.role(member)).unwrap();
            writeln!(text, "{}", last.join("\n")).unwrap();
        }
        text
    }

    pub(crate) fn primary(&self) -> Option<usize> {
        (0..self.members()).find(|member| self.role(*member) == Role::Primary)
    }

    /// Waits until one member takes writes and all others that run copy them; `false`: it takes too long.
    pub(crate) fn wait_for_primary(&self) -> bool {
        let deadline = Instant::now() + READY_WITHIN;
        while Instant::now() < deadline {
            let running = (0..self.members()).filter(|member| self.members[*member].process.is_some());
            let roles: Vec<_> = running.map(|member| self.role(member)).collect();
            if roles.contains(&Role::Primary) && !roles.contains(&Role::Neither) {
                return true;
            }
            std::thread::sleep(ASK_EVERY);
        }
        false
    }

    /// Runs a command on one member; `None`: it does not answer, or refuses.
    pub(crate) fn ask(&self, member: usize, command: Document) -> Option<Document> {
        ask(self.members[member].port, self.user.as_ref(), command)
    }

    /// Initiates the replica set. Returns `false` if a server did not start.
    fn initiate(&self) -> bool {
        let members: Vec<_> = (0_i32..)
            .zip(&self.members)
            .map(|(id, member)| doc! { "_id": id, "host": format!("127.0.0.1:{}", member.port) })
            .collect();
        let settings = doc! { "electionTimeoutMillis": 1_000, "heartbeatIntervalMillis": 200 };
        let configuration = doc! { "_id": NAME, "members": members, "settings": settings };
        let deadline = Instant::now() + READY_WITHIN;
        while Instant::now() < deadline {
            if self.ask(0, doc! { "replSetInitiate": configuration.clone() }).is_some() {
                return true;
            }
            std::thread::sleep(ASK_EVERY);
        }
        false
    }
}

impl Member {
    fn end(&mut self) {
        if let Some(mut process) = self.process.take() {
            drop(process.stdin.take());
            process.wait().ok();
        }
    }
}

impl Drop for ReplicaSet {
    fn drop(&mut self) {
        self.members.iter_mut().for_each(Member::end);
    }
}

/// Ports below those that the system gives to outgoing connections: one of these would take the port of a member that
/// is killed.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// Ports that are free at the same time.
fn free_ports(count: usize) -> Vec<u16> {
    let mut listeners = Vec::new();
    while listeners.len() < count {
        let random = RandomState::new().build_hasher().finish();
        let offset = u16::try_from(random % u64::from(PORTS.end - PORTS.start)).unwrap();
        listeners.extend(TcpListener::bind(("127.0.0.1", PORTS.start + offset)));
    }
    listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}

/// Runs one command. A thread and a runtime of its own let tests call this inside their runtime and outside.
fn ask(port: u16, user: Option<&(String, String)>, command: Document) -> Option<Document> {
    let user = user.map(|(name, password)| format!("{name}:{password}@")).unwrap_or_default();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let uri = format!("mongodb://{user}127.0.0.1:{port}/?directConnection=true");
            let mut options = ClientOptions::parse(uri).await.unwrap();
            options.server_selection_timeout = Some(ANSWER_WITHIN);
            let client = Client::with_options(options).unwrap();
            client.database("admin").run_command(command).await.ok()
        })
    });
    thread.join().unwrap()
}
