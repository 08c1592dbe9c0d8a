//! One deployment of the template in the local cloud, and what a test does with it.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::types::builders::NotificationConfigurationBuilder;
use aws_sdk_s3::types::{
    BucketVersioningStatus, EventBridgeConfiguration, NotificationConfiguration, StorageClass,
    VersioningConfiguration,
};
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, QueueAttributeName};
use mongodb::bson::{Document, doc};
use mongodb::{Client, Database};
use serde_json::{Value, json};
use xtask::command_line::CommandLine;
use xtask::demo::{UploadEnd, upload_by};
use xtask::local_environment::{self, ACCESS_KEY, Deployment, REGION, SECRET_KEY};
use xtask::workspace;

use crate::runner::{Runner, Workers};
use crate::servers::{HINT, TestEnvironment, environment};
use crate::tables::{Tables, text};
use crate::{PATIENCE, ended, eventually};

/// A message of a worker that was killed comes again after so many seconds.
const HIDDEN_SECONDS: &str = "12";

/// A deployment of its own: bucket, queues, function and database.
#[derive(Debug)]
pub struct Stack {
    /// What was deployed.
    pub deployment: Deployment,
    s3: aws_sdk_s3::Client,
    sqs: aws_sdk_sqs::Client,
    database: Database,
    archive: Database,
    runner: Runner,
    /// Workers at the queue that the function would read.
    workers: Workers,
    /// Workers at the queue of large objects, if the stack has one.
    large_object_workers: Option<Workers>,
}

/// One object version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// The decoded key.
    pub key: String,
    /// The version that the bucket gave it.
    pub version: String,
    /// Its size in bytes.
    pub size: u64,
}

/// A database beside that of a stack.
#[derive(Debug)]
pub struct Beside {
    /// Where it is, as the command line takes it.
    pub uri: String,
    database: Database,
}

impl Beside {
    /// Returns everything in it.
    pub async fn tables(&self) -> Tables {
        let mut tables = Tables::default();
        tables.read("", &self.database).await;
        tables
    }
}

/// What the command line did.
#[derive(Debug)]
pub struct Ran {
    /// The exit code.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it told a person.
    pub stderr: String,
}

/// A bucket that exists before a stack does. It keeps no versions and tells nobody of its uploads.
#[derive(Debug)]
pub struct Bucket {
    name: String,
    s3: aws_sdk_s3::Client,
}

impl Bucket {
    /// Makes the bucket that the stack of this name uses.
    pub async fn make(stack: &str) -> Self {
        let name = format!("flatfire-test-{stack}");
        let s3 = s3(environment().await.servers.cloud.endpoint());
        s3.create_bucket().bucket(&name).send().await.unwrap();
        Self { name, s3 }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Keeps versions from now on.
    pub async fn keep_versions(&self) {
        let versioning = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        let versions = self.s3.put_bucket_versioning().bucket(&self.name);
        versions.versioning_configuration(versioning).send().await.unwrap();
    }

    /// Sends events to `EventBridge` from now on.
    pub async fn announce_uploads(&self) {
        self.notify(
            NotificationConfiguration::builder()
                .event_bridge_configuration(EventBridgeConfiguration::builder().build()),
        )
        .await;
    }

    /// Sends no events from now on.
    pub async fn keep_uploads_quiet(&self) {
        self.notify(NotificationConfiguration::builder()).await;
    }

    async fn notify(&self, configuration: NotificationConfigurationBuilder) {
        let notifications = self.s3.put_bucket_notification_configuration().bucket(&self.name);
        notifications.notification_configuration(configuration.build()).send().await.unwrap();
    }

    /// Puts an object under the watched prefix; returns its version if it has one.
    pub async fn put(&self, name: &str, bytes: impl Into<Vec<u8>>) -> Option<String> {
        self.put_in_class(name, bytes, StorageClass::Standard).await
    }

    /// Uploads as [`Bucket::put`], in a storage class.
    pub async fn put_in_class(
        &self,
        name: &str,
        bytes: impl Into<Vec<u8>>,
        class: StorageClass,
    ) -> Option<String> {
        let key = format!("{}{name}", workspace::PREFIX);
        let request = self.s3.put_object().bucket(&self.name).key(key).body(bytes.into().into());
        let answer = request.storage_class(class).send().await.unwrap();
        answer.version_id().map(str::to_owned)
    }

    /// Puts an object anywhere.
    pub async fn put_at(&self, key: &str, bytes: impl Into<Vec<u8>>) {
        let request = self.s3.put_object().bucket(&self.name).key(key).body(bytes.into().into());
        request.send().await.unwrap();
    }

    /// Removes exactly this version of an object under the watched prefix.
    pub async fn remove(&self, name: &str, version: &str) {
        let key = format!("{}{name}", workspace::PREFIX);
        let request = self.s3.delete_object().bucket(&self.name).key(key).version_id(version);
        request.send().await.unwrap();
    }
}

impl Stack {
    /// Deploys the template; `name` is the stack's, the bucket's and the database's.
    pub async fn deploy(name: &str) -> Self {
        let uri = environment().await.servers.database.uri();
        Self::deploy_with(name, uri, &[]).await
    }

    /// Deploys as [`Stack::deploy`], over a bucket that exists already. From now on it sends its events to
    /// `EventBridge`.
    pub async fn deploy_over(name: &str, bucket: &Bucket) -> Self {
        Self::deploy_over_with(name, bucket, &[]).await
    }

    /// Deploys as [`Stack::deploy_over`], with parameters of the template.
    pub async fn deploy_over_with(name: &str, bucket: &Bucket, parameters: &[(&str, &str)]) -> Self {
        bucket.announce_uploads().await;
        let uri = environment().await.servers.database.uri();
        let own = [("MakeBucket", "no"), ("BatchSize", "10")];
        Self::deploy_with(name, uri, &[&own[..], parameters].concat()).await
    }

    /// Deploys as [`Stack::deploy`], with the database as the function is to reach it and with parameters of the
    /// template.
    pub async fn deploy_with(name: &str, mongodb_uri: &str, parameters: &[(&str, &str)]) -> Self {
        Self::deploy_for(Runner::Function, name, mongodb_uri, parameters).await
    }

    /// Deploys a stack whose notifications go to this runner.
    pub(crate) async fn deploy_for(
        runner: Runner,
        name: &str,
        mongodb_uri: &str,
        parameters: &[(&str, &str)],
    ) -> Self {
        let environment = environment().await;
        let database = format!("flatfire-test-{name}");
        let client = Client::with_uri_str(environment.servers.database.uri()).await.unwrap();
        let archive = client.database(&format!("{database}_archive"));
        // A database that outlives its tests may hold the rows of an earlier run.
        client.database(&database).drop().await.unwrap();
        archive.drop().await.unwrap();
        let parameters = parameters.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let bucket =
            if name == workspace::BUCKET { name.to_owned() } else { format!("flatfire-test-{name}") };
        let wanted = local_environment::Stack {
            name: format!("test-{name}"),
            bucket,
            mongodb_uri: mongodb_uri.to_owned(),
            database,
            parameters,
            queue_for_worker: runner == Runner::Worker,
        };
        let deployment = run_blocking(move || environment.deploy(wanted)).await;
        let outputs = &deployment.outputs;
        let workers = |url: &String, suffix: &str| Workers::new(format!("{name}{suffix}"), url.clone());
        let stack = Self {
            s3: s3(&deployment.endpoint),
            sqs: sqs(&deployment.endpoint),
            database: client.database(&deployment.database),
            archive,
            runner,
            workers: workers(&outputs.queue_url, ""),
            large_object_workers: outputs.large_object_queue_url.as_ref().map(|url| workers(url, "-large")),
            deployment,
        };
        if runner == Runner::Worker {
            stack.start_worker().await;
        }
        stack
    }

    /// Starts a worker at the queue of the notifications, as whatever runs workers does after one has ended.
    pub async fn start_worker(&self) {
        self.workers.start(&self.worker_command(&[]).await).await;
    }

    /// Starts a worker at the queue of large objects.
    pub async fn start_worker_of_large_objects(&self) {
        let queue_url = self.deployment.outputs.large_object_queue_url.as_deref().unwrap();
        // As `deploy/worker/template.yaml` says: what the worker gets, it loads.
        let own = [("QUEUE_URL", queue_url), ("LARGE_OBJECT_QUEUE_URL", ""), ("LARGE_OBJECT_MEGABYTES", "")];
        let command = self.worker_command(&own).await;
        self.large_object_workers.as_ref().unwrap().start(&command).await;
    }

    /// Returns the command of a worker that has the variables of the function, but for these.
    async fn worker_command(&self, own: &[(&str, &str)]) -> std::process::Command {
        let (environment, deployment) = (environment().await, self.deployment.clone());
        let variables =
            run_blocking(move || deployment.environment_in_template(&environment.tools).unwrap()).await;
        let mut command = self.flatfire_command(&["work", "--hidden", HIDDEN_SECONDS]).into_std();
        command.envs(variables).envs(own.iter().copied());
        command
    }

    /// Returns where rows are that are to be compared with those of a stack: an empty database beside its own.
    pub async fn database_beside(&self, name: &str) -> Beside {
        let client = Client::with_uri_str(&self.deployment.mongodb_uri).await.unwrap();
        let database = client.database(&format!("{}-{name}", self.database.name()));
        database.drop().await.unwrap();
        Beside { uri: self.uri_of(database.name()), database }
    }

    /// Returns the bucket's name.
    #[must_use]
    pub fn bucket(&self) -> &str {
        &self.deployment.outputs.bucket_name
    }

    /// Returns where the rows are, as the command line takes it.
    #[must_use]
    pub fn uri(&self) -> String {
        self.uri_of(self.database.name())
    }

    fn uri_of(&self, database: &str) -> String {
        let uri = self.deployment.mongodb_uri.as_str();
        let (server, options) = uri.split_once("/?").unwrap_or((uri.trim_end_matches('/'), ""));
        format!("{server}/{database}?{options}")
    }

    /// Runs the command line with the local cloud as its AWS.
    pub async fn flatfire(&self, arguments: &[&str]) -> Ran {
        let output = ended(self.flatfire_command(arguments).spawn().unwrap()).await;
        Ran {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Returns the command line with the local cloud as its AWS, not started yet; what it writes is kept.
    #[must_use]
    pub fn flatfire_command(&self, arguments: &[&str]) -> tokio::process::Command {
        let cloud = [
            ("AWS_ENDPOINT_URL", self.deployment.endpoint.as_str()),
            ("AWS_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
        ];
        let mut command = tokio::process::Command::new(program());
        command.args(arguments).env_clear().envs(cloud);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    /// Uploads files and folders as `cargo xtask upload` does, with or without `--log`.
    pub async fn upload_as_chore(&self, paths: &[PathBuf], log: bool) -> UploadEnd {
        let command_line = CommandLine::of(program(), &environment().await.settings, &self.deployment);
        upload_by(&command_line, paths, log).await.unwrap()
    }

    /// Makes a queue that nobody reads.
    pub async fn make_queue(&self, name: &str) -> String {
        self.sqs.create_queue().queue_name(name).send().await.unwrap().queue_url().unwrap().to_owned()
    }

    /// Takes all messages of a queue that nobody else reads.
    pub async fn take_messages(&self, queue_url: &str) -> Vec<String> {
        let mut bodies = Vec::new();
        loop {
            let request = self.sqs.receive_message().queue_url(queue_url).max_number_of_messages(10);
            let answer = request.send().await.unwrap();
            if answer.messages().is_empty() {
                return bodies;
            }
            let read = answer.messages().iter().enumerate().map(|(index, message)| {
                let entry = DeleteMessageBatchRequestEntry::builder().id(index.to_string());
                entry.receipt_handle(message.receipt_handle().unwrap()).build().unwrap()
            });
            let delete = self.sqs.delete_message_batch().queue_url(queue_url);
            delete.set_entries(Some(read.collect())).send().await.unwrap();
            bodies.extend(answer.messages().iter().map(|message| message.body().unwrap().to_owned()));
        }
    }

    /// Returns the database of the rows.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Returns the database of archived resources.
    #[must_use]
    pub fn archive(&self) -> &Database {
        &self.archive
    }

    /// Puts an object under the watched prefix; S3 announces it.
    pub async fn upload(&self, name: &str, bytes: impl Into<Vec<u8>>) -> Upload {
        self.put(&format!("{}{name}", workspace::PREFIX), bytes).await
    }

    /// Puts an object anywhere in the bucket.
    pub async fn put(&self, key: &str, bytes: impl Into<Vec<u8>>) -> Upload {
        let bytes = bytes.into();
        let size = bytes.len() as u64;
        let request = self.s3.put_object().bucket(self.bucket()).key(key).body(bytes.into());
        let version = request.send().await.unwrap().version_id().unwrap().to_owned();
        Upload { key: key.to_owned(), version, size }
    }

    /// Returns the keys of all object versions, one for each version.
    pub async fn keys_of_all_versions(&self) -> Vec<String> {
        let (mut keys, mut next) = (Vec::new(), None);
        loop {
            let request = self.s3.list_object_versions().bucket(self.bucket());
            let page = request.set_key_marker(next).send().await.unwrap();
            keys.extend(page.versions().iter().filter_map(|version| version.key().map(str::to_owned)));
            next = page.next_key_marker().map(str::to_owned);
            if next.is_none() {
                return keys;
            }
        }
    }

    /// Removes exactly this object version.
    pub async fn remove(&self, upload: &Upload) {
        let request = self.s3.delete_object().bucket(self.bucket()).key(&upload.key);
        request.version_id(&upload.version).send().await.unwrap();
    }

    /// Sends a message to the queue from which the function is fed.
    pub async fn send(&self, body: &str) {
        let request = self.sqs.send_message().queue_url(&self.deployment.outputs.queue_url);
        request.message_body(body).send().await.unwrap();
    }

    /// Sends a message to the dead-letter queue, as the queue does after the last attempt.
    pub async fn bury(&self, body: &str) {
        let request = self.sqs.send_message().queue_url(&self.deployment.outputs.dead_letter_queue_url);
        request.message_body(body).send().await.unwrap();
    }

    /// Announces an object version once more, as S3 does when it is not sure that it did.
    pub async fn announce_again(&self, upload: &Upload, sequencer: &str) {
        self.send(&self.notification(upload, sequencer)).await;
    }

    /// Returns what S3 says of an object version.
    #[must_use]
    pub fn notification(&self, upload: &Upload, sequencer: &str) -> String {
        let encoded = pipeline::notification::form_encode(&upload.key);
        let record = json!({
            "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
            "eventTime": "2026-01-05T10:00:00.000Z",
            "s3": { "bucket": { "name": self.bucket() }, "object": {
                "key": encoded, "size": upload.size, "versionId": upload.version, "sequencer": sequencer,
            } },
        });
        json!({ "Records": [record] }).to_string()
    }

    /// Sets for how long a message that was received is hidden.
    pub async fn hide_messages_for(&self, seconds: u32) {
        let request = self.sqs.set_queue_attributes().queue_url(&self.deployment.outputs.queue_url);
        let request = request.attributes(QueueAttributeName::VisibilityTimeout, seconds.to_string());
        request.send().await.unwrap();
    }

    /// Returns how many messages wait or are being worked on.
    pub async fn messages(&self) -> u64 {
        self.count(&self.deployment.outputs.queue_url).await
    }

    /// Returns the body of a message that failed every attempt.
    pub async fn dead_letter(&self) -> String {
        let url = &self.deployment.outputs.dead_letter_queue_url;
        eventually("a message in the dead-letter queue", async || {
            let answer = self.sqs.receive_message().queue_url(url).send().await.unwrap();
            answer.messages().first().map(|message| message.body().unwrap().to_owned())
        })
        .await
    }

    /// Returns how many large objects wait or are being loaded.
    pub async fn large_object_messages(&self) -> u64 {
        self.count(self.deployment.outputs.large_object_queue_url.as_ref().unwrap()).await
    }

    /// Returns how many messages failed every attempt.
    pub async fn dead_letters(&self) -> u64 {
        self.count(&self.deployment.outputs.dead_letter_queue_url).await
    }

    async fn count(&self, url: &str) -> u64 {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ];
        let request = self.sqs.get_queue_attributes().queue_url(url);
        let answer = request.set_attribute_names(Some(names.to_vec())).send().await.unwrap();
        let counts = answer.attributes().unwrap();
        names.iter().map(|name| counts[name].parse::<u64>().unwrap()).sum()
    }

    /// Waits until every message was acknowledged.
    pub async fn quiet(&self) {
        eventually("an empty queue", async || (self.messages().await == 0).then_some(())).await;
    }

    /// Waits until the ledger has come to an end with this object version, and returns its entry.
    pub async fn settled(&self, upload: &Upload) -> Document {
        let what = format!("the end of the load of {}", upload.key);
        let settled = eventually(&what, async || {
            let load = self.load(upload).await?;
            (text(&load, "status") != "running").then_some(load)
        });
        if let Ok(load) = tokio::time::timeout(PATIENCE.mul_f32(0.9), settled).await {
            return load;
        }
        let (load, log) = (self.load(upload).await, self.log().await.join("\n"));
        panic!("not: {what}; the ledger says {load:?}; the log:\n{log}");
    }

    /// Returns the ledger's entry of an object version as it stands.
    pub async fn load(&self, upload: &Upload) -> Option<Document> {
        let this_version = doc! { "bucket": self.bucket(), "key": &upload.key, "versionId": &upload.version };
        self.database.collection("_loads").find_one(this_version).await.unwrap()
    }

    /// Returns everything in the database and in its archive.
    pub async fn tables(&self) -> Tables {
        let mut tables = Tables::default();
        tables.read("", &self.database).await;
        tables.read("_archive/", &self.archive).await;
        tables
    }

    /// Returns everything that the function, or the workers in its place, have logged.
    pub async fn log(&self) -> Vec<String> {
        match self.runner {
            Runner::Function => self.deployment.function_log(&environment().await.tools).unwrap(),
            Runner::Worker => self.workers.log().await,
        }
    }

    /// Returns those lines of the log that have this message.
    pub async fn log_lines(&self, message: &str) -> Vec<Value> {
        lines_with(&self.log().await, message)
    }

    /// Returns the lines with this message that the workers at the queue of large objects have logged.
    pub async fn large_object_log_lines(&self, message: &str) -> Vec<Value> {
        lines_with(&self.large_object_workers.as_ref().unwrap().log().await, message)
    }

    /// Returns the processes in which the function, or the worker in its place, runs.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        let name = format!("AWS_LAMBDA_FUNCTION_NAME={}", self.deployment.outputs.function_name);
        let endpoint = format!("AWS_ENDPOINT_URL={}", self.deployment.endpoint);
        match self.runner {
            Runner::Function => processes_with(&[name, endpoint]),
            Runner::Worker => self.workers.processes(),
        }
    }
}

/// Returns the processes whose environment has all of these variables.
pub(crate) fn processes_with(variables: &[String]) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let process: u32 = entry.unwrap().file_name().to_str()?.parse().ok()?;
        let environment = std::fs::read(format!("/proc/{process}/environ")).ok()?;
        let has = |wanted: &String| environment.split(|byte| *byte == 0).any(|it| it == wanted.as_bytes());
        variables.iter().all(has).then_some(process)
    });
    processes.collect()
}

fn lines_with(log: &[String], message: &str) -> Vec<Value> {
    let lines = log.iter().flat_map(|event| event.lines());
    let lines = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["message"] == message).collect()
}

impl TestEnvironment {
    fn deploy(&self, stack: local_environment::Stack) -> Deployment {
        self.servers.deploy(&self.tools, &self.bootstrap, stack).unwrap_or_else(|error| panic!("{error:#}"))
    }
}

/// Runs what waits for other programs on a thread of its own, beside the tasks of the test. The driver takes a server for dead that it
/// cannot ask for seconds.
async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

/// Returns the command line, which Cargo builds with the other tests into the directory above that of the tests.
fn program() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let program = tests.parent().and_then(Path::parent).unwrap().join("flatfire");
    assert!(program.exists(), "{} is not built; {HINT}", program.display());
    program
}

fn credentials() -> Credentials {
    Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "local")
}

fn s3(endpoint: &str) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::config::Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .credentials_provider(credentials())
        .endpoint_url(endpoint)
        .force_path_style(true);
    aws_sdk_s3::Client::from_conf(config.build())
}

fn sqs(endpoint: &str) -> aws_sdk_sqs::Client {
    let config = aws_sdk_sqs::config::Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .credentials_provider(credentials())
        .endpoint_url(endpoint);
    aws_sdk_sqs::Client::from_conf(config.build())
}
