//! A handler on the bench: a load that does as it is told, a queue that takes notes, a log that is kept.

use std::collections::BTreeMap;
use std::future::pending;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use futures::FutureExt as _;
use pipeline::interrupted::Interrupted;
use pipeline::notification::{Event, form_encode};
use pipeline::summary::Summary;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::super::{Handler, Invocation, InvocationFailure};
use crate::audit::{AuditRequest, AuditStep, Auditor};
use crate::log::{FunctionLog, json_lines};
use crate::log_names::LogKeys;
use crate::log_names::{LogHash, LogNames};
use crate::queue::Queue;
use crate::settings::LogLevel;
use crate::watched::{LargeObjects, Watched};
use pipeline::audit::VerdictCounts;
use pipeline::ledger::Status;
use pipeline::load::{Deadline, Loaded};

/// What the load of an object does.
#[derive(Debug, Clone)]
pub(super) enum LoadScript {
    Done(Status),
    Interrupted(Interrupted),
    Panic,
    /// It panics before there is a task of its own to panic.
    PanicOutside,
    /// It never ends: the function is killed.
    Kill,
    /// It takes so long, and has met its deadline then.
    Slow(Duration),
}

/// The version of every object, in the form that S3 gives it.
pub(super) const VERSION: &str = "3HL4kqtJlcpXroDTDmJ.rmSpXd3dIbrH";

/// The queue of a worker. The double answers for it as well.
pub(super) const LARGE_OBJECT_QUEUE: &str = "http://localhost/1/large";

type Calls = Arc<Mutex<Vec<(String, Value)>>>;

/// The handler and everything around it. Objects without a script of their own are loaded.
pub(super) struct Bench {
    scripts: BTreeMap<String, LoadScript>,
    begun: Arc<Mutex<Vec<(Event, Deadline)>>>,
    audit: Result<AuditStep, Interrupted>,
    audits: Arc<Mutex<Vec<AuditRequest>>>,
    calls: Calls,
    queue_url: Option<String>,
    refuses: Arc<Mutex<bool>>,
    watched: Watched,
    large_objects: Option<LargeObjects>,
    log_keys: LogKeys,
    log_level: LogLevel,
    log: Log,
}

impl Bench {
    pub(super) async fn new(scripts: &[(&str, LoadScript)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let queue_url = format!("http://{}/1/q", listener.local_addr().unwrap());
        let (calls, refuses) = (Calls::default(), Arc::new(Mutex::new(false)));
        tokio::spawn(serve(listener, Arc::clone(&calls), Arc::clone(&refuses)));
        Self {
            scripts: scripts.iter().map(|(key, script)| ((*key).to_owned(), script.clone())).collect(),
            begun: Arc::default(),
            audit: Ok(AuditStep::Finished(VerdictCounts::new())),
            audits: Arc::default(),
            calls,
            queue_url: Some(queue_url),
            refuses,
            watched: Watched::new("clinic", "in/"),
            large_objects: None,
            log_keys: LogKeys::Hash,
            log_level: LogLevel::Debug,
            log: Log::default(),
        }
    }

    pub(super) fn with_a_refusing_queue(self) -> Self {
        *self.refuses.lock().unwrap() = true;
        self
    }

    pub(super) fn with_large_objects(self, above: u64) -> Self {
        Self { large_objects: Some(LargeObjects { queue_url: LARGE_OBJECT_QUEUE.to_owned(), above }), ..self }
    }

    pub(super) fn without_a_queue(self) -> Self {
        Self { queue_url: None, ..self }
    }

    pub(super) fn with_log(self, log_keys: LogKeys, log_level: LogLevel) -> Self {
        Self { log_keys, log_level, ..self }
    }

    pub(super) fn watching(self, bucket: &str, prefix: &str) -> Self {
        Self { watched: Watched::new(bucket, prefix), ..self }
    }

    pub(super) async fn handle(&self, event: Value) -> Result<Value, InvocationFailure> {
        self.handle_until(event, Instant::now() + Duration::from_mins(1)).await
    }

    pub(super) async fn handle_until(
        &self,
        event: Value,
        deadline: Instant,
    ) -> Result<Value, InvocationFailure> {
        let (scripts, begun) = (self.scripts.clone(), Arc::clone(&self.begun));
        let load = move |event: Event, deadline: Deadline| {
            let script = scripts.get(&event.object.key).cloned().unwrap_or(LoadScript::Done(Status::Done));
            begun.lock().unwrap().push((event, deadline));
            assert!(!matches!(script, LoadScript::PanicOutside), "CANARY in a panic");
            async move { meet(script).await }
        };
        let (watched, hash) = (self.watched.clone(), LogHash::new("secret"));
        let log = FunctionLog::new(LogNames { keys: self.log_keys, hash, watched: watched.clone() }, None);
        let (queue, large_objects) = (self.queue(), self.large_objects.clone());
        let handler = Handler { load, auditor: self.auditor(), queue, watched, large_objects, log };
        let _logging = tracing::subscriber::set_default(json_lines(self.log_level, self.log.clone()));
        let deadline = Deadline::new(deadline, Duration::from_secs(1));
        handler.handle(event, &Invocation { request_id: "request".into(), deadline }).await
    }

    /// Returns what was begun to load, in order.
    pub(super) fn loaded(&self) -> Vec<Event> {
        self.begun.lock().unwrap().iter().map(|(event, _)| event.clone()).collect()
    }

    pub(super) fn deadlines(&self) -> Vec<Instant> {
        self.begun.lock().unwrap().iter().map(|(_, deadline)| deadline.stop).collect()
    }

    /// Returns what the queue was asked: operations with their bodies.
    pub(super) fn calls(&self) -> Vec<(String, Value)> {
        self.calls.lock().unwrap().clone()
    }

    pub(super) fn log(&self) -> String {
        String::from_utf8(self.log.0.lock().unwrap().clone()).unwrap()
    }

    /// Returns the log's lines with this message; all of them for none.
    pub(super) fn lines(&self, message: &str) -> Vec<Value> {
        let log = self.log();
        let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| message.is_empty() || line["message"] == message).collect()
    }

    /// Its audits do what they are told, and note what they were asked.
    fn auditor(&self) -> Auditor {
        let (step, asked) = (self.audit.clone(), Arc::clone(&self.audits));
        Auditor::new(move |request, _| {
            asked.lock().unwrap().push(request);
            futures::future::ready(step.clone()).boxed()
        })
    }

    /// Returns what audits were asked.
    pub(super) fn audits(&self) -> Vec<AuditRequest> {
        self.audits.lock().unwrap().clone()
    }

    pub(super) fn auditing(self, audit: Result<AuditStep, Interrupted>) -> Self {
        Self { audit, ..self }
    }

    fn queue(&self) -> Queue {
        let endpoint = self.queue_url.as_deref().unwrap_or("http://127.0.0.1:9");
        let config = aws_sdk_sqs::config::Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
            .retry_config(RetryConfig::disabled())
            .endpoint_url(endpoint.trim_end_matches("/1/q"));
        Queue::new(aws_sdk_sqs::Client::from_conf(config.build()), self.queue_url.clone())
    }
}

async fn meet(script: LoadScript) -> Result<Loaded, Interrupted> {
    match script {
        LoadScript::Kill => pending().await,
        LoadScript::Slow(time) => {
            tokio::time::sleep(time).await;
            Err(Interrupted::Deadline)
        }
        LoadScript::Done(status) => Ok(Loaded { status, summary: summary() }),
        LoadScript::Interrupted(interrupted) => Err(interrupted),
        LoadScript::Panic | LoadScript::PanicOutside => panic!("CANARY in a panic"),
    }
}

fn summary() -> Summary {
    let codes = BTreeMap::from([("invalid-json".to_owned(), 1)]);
    Summary { bytes: 1024, records: 12, loaded: 11, rejected: 1, rows: 22, codes, ..Summary::default() }
}

pub(super) fn s3_record(key: &str) -> Value {
    json!({
        "eventVersion": "2.1", "eventSource": "aws:s3", "eventTime": "2026-01-05T10:00:00.123Z",
        "eventName": "ObjectCreated:Put",
        "s3": {
            "bucket": {"name": "clinic"},
            "object": {"key": form_encode(key), "size": 1024, "eTag": "abc", "versionId": VERSION,
                "sequencer": "00",
            },
        },
    })
}

/// A log that is kept in memory.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl tracing_subscriber::fmt::MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// Answers as SQS does, as far as its JSON protocol concerns two operations.
async fn serve(listener: TcpListener, calls: Calls, refuses: Arc<Mutex<bool>>) {
    loop {
        let (mut connection, _) = listener.accept().await.unwrap();
        let Some(call) = read_call(&mut connection).await else { continue };
        calls.lock().unwrap().push(call);
        let (status, body) =
            if *refuses.lock().unwrap() { (500, "{}") } else { (200, r#"{"MessageId": "m"}"#) };
        let head = format!("HTTP/1.1 {status} Answer\r\ncontent-type: application/x-amz-json-1.0\r\n");
        let answer = format!("{head}content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
        connection.write_all(answer.as_bytes()).await.unwrap();
    }
}

async fn read_call(connection: &mut TcpStream) -> Option<(String, Value)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(connection.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let mut body = vec![0; header("content-length").unwrap().parse().unwrap()];
    connection.read_exact(&mut body).await.unwrap();
    let operation = header("x-amz-target").unwrap().rsplit('.').next().unwrap();
    let known = ["ChangeMessageVisibility", "DeleteMessage", "SendMessage"];
    let operation = known.iter().find(|known| known.eq_ignore_ascii_case(operation)).unwrap();
    Some(((*operation).to_owned(), serde_json::from_slice(&body).unwrap()))
}
