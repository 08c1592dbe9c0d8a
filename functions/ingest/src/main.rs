//! The Lambda: settings → clients → handler. Nothing connects before the first notification comes.

mod catalog;
mod connection;
mod handler;
mod load;
mod log_names;
mod queue;
mod report;
mod settings;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::anyhow;
use aws_config::BehaviorVersion;
use aws_config::timeout::TimeoutConfig;
use lambda_runtime::{Context, LambdaEvent, service_fn};
use pipeline::load::Deadline;
use pipeline::source::{S3, Storage};
use serde_json::Value;

use handler::{Handler, Invocation};
use load::Loader;
use log_names::LogNames;
use queue::Queue;
use report::Report;
use settings::Settings;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let settings = Settings::from_environment()?;
    report::start(settings.log_level)?;
    let aws = aws_config::defaults(BehaviorVersion::latest()).timeout_config(limits()).load().await;
    let s3 = S3::new(aws_sdk_s3::config::Builder::from(&aws).force_path_style(settings.path_style));
    let queue = Queue::new(aws_sdk_sqs::Client::new(&aws), settings.queue_url.clone());
    let watched = settings.watched.clone();
    let report = Report::new(LogNames {
        keys: settings.log_keys,
        hash: settings.log_hash.clone(),
        watched: watched.clone(),
    });
    let secrets = aws_sdk_secretsmanager::Client::new(&aws);
    let loader = Arc::new(Loader::new(Storage::S3(s3), secrets, settings));
    let load = move |event, deadline| {
        let loader = Arc::clone(&loader);
        async move { loader.load(event, deadline).await }
    };
    let handler = Handler { load, queue, watched, report };
    let handler = &handler;
    let service = service_fn(|event: LambdaEvent<Value>| async move {
        let invocation = invocation(&event.context);
        handler.handle(event.payload, &invocation).await
    });
    lambda_runtime::run(service).await.map_err(|error| anyhow!(error))
}

/// The queue and the secrets answer at once or not at all.
fn limits() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .operation_timeout(Duration::from_secs(5))
        .build()
}

/// How long an invocation is taken to last whose deadline was over before it began. Lambda never says that;
/// `cargo lambda watch` always does, because it states a duration where a moment belongs.
const WITHOUT_DEADLINE: Duration = Duration::from_mins(10);

/// Work stops a fifth of the time before Lambda's deadline, or 20 seconds: enough for the writes under way, the
/// checkpoint and the messages to the queue. The last third of that is for the messages alone.
#[allow(clippy::disallowed_methods, reason = "Lambda states its deadline as a time of day; this is the edge")]
fn invocation(context: &Context) -> Invocation {
    let remaining = context.deadline().duration_since(SystemTime::now()).unwrap_or(WITHOUT_DEADLINE);
    let usable = remaining.saturating_sub(Duration::from_secs(20)).max(remaining * 4 / 5);
    let stop = Instant::now() + usable;
    let deadline = Deadline::new(stop, remaining.saturating_sub(usable) * 2 / 3);
    Invocation { request_id: context.request_id.clone(), deadline }
}
