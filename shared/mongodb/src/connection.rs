//! The connection to the database: opened at first use, every command tried again while that helps.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use backon::{ExponentialBuilder, Retryable};
use bson::{Document, RawDocumentBuf};
use mongodb::Client;
use mongodb::error::{Error, ErrorKind};
use mongodb::options::ClientOptions;
use tokio::sync::OnceCell;

use pipeline::erasure::ErasureMarks;
use pipeline::interrupted::Interrupted;

use super::group_commit::{GroupAnswer, GroupCommit};
use super::refusal::{Refusal, RefusedCommand};
use super::trouble::{Trouble, command_code, lost_an_answer, write_errors};

/// A member that is shutting down or starting answers a log-in with an error, which the driver tells like a wrong
/// password. Where log-ins have succeeded before, they are tried again for so long.
const LOG_IN_AGAIN_WITHIN: Duration = Duration::from_secs(5);
/// The queue's concurrency times this must stay below what the database takes.
const MAX_CONNECTIONS: u32 = 8;
/// Thawed environments find idle connections dead; those that sat this long are not tried at all.
const MAX_IDLE: Duration = Duration::from_mins(1);
/// The server's own databases: a connection string names one of them for the log-in, as `mongodb://u:p@host/admin`.
const OWN_DATABASES: [&str; 3] = ["admin", "config", "local"];
/// The database of connection strings that name none.
const DEFAULT_DATABASE: &str = "fhir";
const SERVER_SELECTION: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(10);
/// Once a database has answered, it is looked for so many times longer: an election usually takes ten to twenty
/// seconds.
const SELECTIONS_OF_AN_ELECTION: u32 = 3;

/// How long a server may work on a command whose answer was lost. A load that is abandoned at its deadline keeps its
/// lease for as long.
const UNANSWERED_RUNS_FOR: Duration = Duration::from_secs(10);

/// Why there is no connection, before anything was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// The connection string is none. It holds a password, so nothing of it is repeated.
    #[error("the connection string cannot be read; it looks like mongodb://host:27017/database")]
    InvalidUri,
    /// The name of a `mongodb+srv` host could not be resolved now.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

/// A client and the name of its database. Cloning shares the connections.
#[derive(Clone)]
pub struct Connection {
    client: Client,
    database: String,
    has_user: bool,
    /// Whether it has ever answered, for all clones.
    has_answered: Arc<AtomicBool>,
    /// How long a primary is looked for in a database that has answered.
    election: Duration,
    /// What makes the marks of erased resources, once it was needed.
    secret: Arc<OnceCell<ErasureMarks>>,
    groups: Arc<GroupCommit>,
}

/// What is known of the tries of a command.
#[derive(Debug)]
struct Tries {
    begun: Instant,
    /// A server may have received one of them.
    was_sent: AtomicBool,
    /// A server that did not answer may still be at work on one of them.
    is_unanswered: AtomicBool,
}

/// Prepares a connection; nothing is connected before the first command. Options in the connection string come
/// before the defaults: 8 connections, 60 s of idling, 10 s to find a server.
///
/// `database` comes before the database that the connection string names; without either it is `fhir`. The server's own
/// databases count as none.
pub async fn connect(uri: &str, database: Option<&str>) -> Result<Connection, ConnectError> {
    let mut options = ClientOptions::parse(uri).await.map_err(|error| match &*error.kind {
        ErrorKind::DnsResolve { .. } => ConnectError::Interrupted(Trouble::of_error(&error).into()),
        _ => ConnectError::InvalidUri,
    })?;
    options.app_name.get_or_insert_with(|| "flatfire".to_owned());
    options.max_pool_size.get_or_insert(MAX_CONNECTIONS);
    options.max_idle_time.get_or_insert(MAX_IDLE);
    let selection = *options.server_selection_timeout.get_or_insert(SERVER_SELECTION);
    options.connect_timeout.get_or_insert(CONNECT);
    let named = options.default_database.clone().filter(|name| !OWN_DATABASES.contains(&name.as_str()));
    let database = database.map(str::to_owned).or(named).filter(|name| !name.is_empty());
    let database = database.unwrap_or_else(|| DEFAULT_DATABASE.to_owned());
    let has_user = options.credential.is_some();
    let client = Client::with_options(options).map_err(|_| ConnectError::InvalidUri)?;
    let (has_answered, election) = (Arc::default(), selection * SELECTIONS_OF_AN_ELECTION);
    Ok(Connection {
        client,
        database,
        has_user,
        has_answered,
        election,
        secret: Arc::default(),
        groups: Arc::default(),
    })
}

impl Connection {
    /// Returns the database's name.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    pub(crate) const fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn secret(&self) -> &OnceCell<ErasureMarks> {
        &self.secret
    }

    /// Runs a command, again and again while its trouble is transient: seven times within some ten seconds, with
    /// jitter. Where no server takes writes, that is looked for as long as an election may take. Commands must bear
    /// being run twice. The answer may hold write errors that are not transient.
    pub(crate) async fn run(&self, database: &str, command: RawDocumentBuf) -> Result<Document, Trouble> {
        self.try_to_run(database, command, None, &Tries::begin()).await
    }

    /// Runs a command as [`run`](Self::run) does, at first [with others](GroupCommit) that come at the same moment.
    pub(crate) async fn run_in_group(
        &self,
        database: &str,
        command: RawDocumentBuf,
    ) -> Result<Document, Trouble> {
        self.try_in_group(database, command, &Tries::begin()).await
    }

    /// Runs a command that writes rows, as [`run`](Self::run) does; an insert at first [with others](GroupCommit).
    ///
    /// A server that did not answer may still carry the command out. So a failure is returned only when the server has
    /// had [the time](UNANSWERED_RUNS_FOR) for that: the caller gives its lease up then, and a command that came later
    /// would change what the next attempt has written.
    pub(crate) async fn run_write(
        &self,
        database: &str,
        command: RawDocumentBuf,
    ) -> Result<Document, Trouble> {
        let tries = Tries::begin();
        let is_insert = self.target(database, &command).command == "insert";
        let outcome = if is_insert {
            self.try_in_group(database, command, &tries).await
        } else {
            self.try_to_run(database, command, None, &tries).await
        };
        if outcome.is_err() && tries.is_unanswered.into_inner() {
            tokio::time::sleep(UNANSWERED_RUNS_FOR).await;
        }
        outcome
    }

    async fn try_in_group(
        &self,
        database: &str,
        command: RawDocumentBuf,
        tries: &Tries,
    ) -> Result<Document, Trouble> {
        let first = match self.groups.send(&self.client, database, &command).await {
            GroupAnswer::Tried(outcome) => Some(outcome),
            GroupAnswer::Undivided => {
                tries.was_sent.store(true, Ordering::Relaxed);
                None
            }
            GroupAnswer::Lost => {
                tries.was_sent.store(true, Ordering::Relaxed);
                tries.is_unanswered.store(true, Ordering::Relaxed);
                None
            }
            GroupAnswer::Unsent => None,
        };
        self.try_to_run(database, command, first, tries).await
    }

    /// Runs a command as [`run`](Self::run) does, and notes what is known of its tries. The outcome of the first try may
    /// be known already.
    async fn try_to_run(
        &self,
        database: &str,
        command: RawDocumentBuf,
        mut first: Option<Result<Document, Error>>,
        tries: &Tries,
    ) -> Result<Document, Trouble> {
        let target = self.target(database, &command);
        let client = self.client.database(database);
        let Tries { begun, was_sent, is_unanswered } = tries;
        let attempt = || {
            let known = first.take();
            async {
                let answer = match known {
                    Some(outcome) => outcome,
                    None => client.run_raw_command(command.clone()).await,
                };
                let answer = answer.map_err(|error| {
                    let trouble = self.trouble(&error, target, *begun);
                    was_sent.fetch_or(!matches!(trouble, Trouble::Unreachable(_)), Ordering::Relaxed);
                    is_unanswered.fetch_or(lost_an_answer(&error), Ordering::Relaxed);
                    trouble
                })?;
                self.has_answered.store(true, Ordering::Relaxed);
                was_sent.store(true, Ordering::Relaxed);
                refuse_transient(&answer, target)?;
                Ok(answer)
            }
        };
        let is_worth_another_try = |trouble: &Trouble| match trouble {
            Trouble::Unreachable(_) => {
                self.has_answered.load(Ordering::Relaxed) && begun.elapsed() < self.election
            }
            trouble => trouble.is_worth_another_try(),
        };
        match attempt.retry(backoff()).when(is_worth_another_try).await {
            // An earlier try may have reached a server.
            Err(Trouble::Unreachable(code)) if was_sent.load(Ordering::Relaxed) => {
                Err(Trouble::Transient(code))
            }
            outcome => outcome,
        }
    }

    fn trouble(&self, error: &Error, target: RefusedCommand<'_>, begun: Instant) -> Trouble {
        let trouble = Trouble::of_error(error);
        let is_log_in = matches!(&*error.kind, ErrorKind::Authentication { .. });
        match trouble {
            Trouble::Stop(Refusal { code, .. })
                if is_log_in
                    && self.has_answered.load(Ordering::Relaxed)
                    && begun.elapsed() < LOG_IN_AGAIN_WITHIN =>
            {
                Trouble::Transient(code)
            }
            trouble => refused(trouble, command_code(error), target),
        }
    }

    fn target<'a>(&self, database: &'a str, command: &'a RawDocumentBuf) -> RefusedCommand<'a> {
        let first = command.iter().next().and_then(Result::ok);
        let (command, collection) =
            first.map_or(("command", None), |(name, value)| (name.as_str(), value.as_str()));
        RefusedCommand { command, collection, database, has_user: self.has_user }
    }
}

impl Tries {
    fn begin() -> Self {
        Self { begun: Instant::now(), was_sent: AtomicBool::default(), is_unanswered: AtomicBool::default() }
    }
}

/// Says in a refusal which command was refused.
fn refused(trouble: Trouble, code: Option<i32>, target: RefusedCommand<'_>) -> Trouble {
    match (trouble, code) {
        (Trouble::Stop(_), Some(code)) => Trouble::Stop(Refusal::at(code, target)),
        (trouble, _) => trouble,
    }
}

fn backoff() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(3))
        .with_max_times(6)
        .with_jitter()
}

/// Fails if another attempt may help. An answer that says `ok` may still hold statements that failed, or writes that
/// are not durable yet.
fn refuse_transient(answer: &Document, target: RefusedCommand<'_>) -> Result<(), Trouble> {
    for (_, code) in write_errors(answer) {
        match Trouble::of_code(code) {
            Trouble::Duplicate | Trouble::Document(_) => {}
            trouble => return Err(refused(trouble, Some(code), target)),
        }
    }
    match answer.get_document("writeConcernError") {
        Ok(error) => Err(Trouble::of_write_concern(error.get_i32("code").unwrap_or_default())),
        Err(_) => Ok(()),
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Connection").field("database", &self.database).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::connect;

    #[tokio::test]
    async fn the_database_is_the_given_one_or_the_connection_string_s() {
        for (uri, given, expected) in [
            ("mongodb://u:p@h:27017/clinic?authSource=admin", None, "clinic"),
            ("mongodb://h/clinic", Some("other"), "other"),
            ("mongodb://u:p@h/admin", None, "fhir"),
            ("mongodb://u:p@h/local", None, "fhir"),
            ("mongodb://h/?tls=true", None, "fhir"),
            ("mongodb://h", None, "fhir"),
        ] {
            assert_eq!(connect(uri, given).await.unwrap().database(), expected, "{uri}");
        }
    }
}
