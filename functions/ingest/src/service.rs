//! The whole of the function: settings → clients → handler. Nothing connects before the first message comes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::timeout::TimeoutConfig;
use aws_lambda_events::event::sqs::SqsMessage;
use futures::FutureExt;
use futures::future::BoxFuture;
use pipeline::interrupted::Interrupted;
use pipeline::load::{Deadline, Loaded};
use pipeline::notification::Event;
use pipeline::source::{S3, Storage};
use serde_json::Value;

use crate::audit::{self, Auditor};
use crate::handler::Handler;
use crate::invocation::{Invocation, InvocationFailure};
use crate::load::{LoadTime, Loader};
use crate::log::FunctionLog;
use crate::log_names::LogNames;
use crate::queue::Queue;
use crate::settings::FunctionSettings;

/// Loads one object.
type LoadFunction =
    Box<dyn Fn(Event, Deadline) -> BoxFuture<'static, Result<Loaded, Interrupted>> + Send + Sync>;

/// Handles messages.
pub struct Service {
    handler: Handler<LoadFunction>,
}

impl Service {
    /// Makes a service. It reads the credentials of AWS where the AWS command line finds them.
    pub async fn new(settings: FunctionSettings, time: LoadTime) -> Self {
        let aws = aws_config::defaults(BehaviorVersion::latest()).timeout_config(limits()).load().await;
        let s3_config = aws_sdk_s3::config::Builder::from(&aws).force_path_style(settings.path_style);
        let list_client = aws_sdk_s3::Client::from_conf(s3_config.clone().build());
        let s3 = S3::new(s3_config);
        let queue = Queue::new(aws_sdk_sqs::Client::new(&aws), settings.queue_url.clone());
        let (watched, large_objects) = (settings.watched.clone(), settings.large_objects.clone());
        let names =
            LogNames { keys: settings.log_keys, hash: settings.log_hash.clone(), watched: watched.clone() };
        let log = FunctionLog::new(names, settings.stack.clone());
        let secrets = aws_sdk_secretsmanager::Client::new(&aws);
        let loader = Arc::new(Loader::new(Storage::S3(s3), secrets, settings, time));
        let audit_loader = Arc::clone(&loader);
        let auditor = Auditor::new(move |request, deadline| {
            let (loader, s3) = (Arc::clone(&audit_loader), list_client.clone());
            async move { audit::run(&loader, &s3, request, deadline).await }.boxed()
        });
        let load: LoadFunction = Box::new(move |event, deadline| {
            let loader = Arc::clone(&loader);
            async move { loader.load(event, deadline).await }.boxed()
        });
        Self { handler: Handler { load, auditor, queue, watched, large_objects, log } }
    }

    /// Handles the event of one invocation: a batch of SQS, or a notification by itself. The answer to a batch names
    /// the messages that are to come again.
    pub async fn handle(&self, event: Value, invocation: &Invocation) -> Result<Value, InvocationFailure> {
        self.handler.handle(event, invocation).boxed().await
    }

    /// Handles one message. Returns whether it is done and may be deleted; a message that failed is hidden for a while
    /// and comes again.
    pub(crate) async fn handle_message(&self, message: SqsMessage, invocation: &Invocation) -> bool {
        self.handler.handle_alone(message, invocation).boxed().await
    }

    pub(crate) const fn queue(&self) -> &Queue {
        &self.handler.queue
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Service").finish_non_exhaustive()
    }
}

/// Returns the limits of requests. The queue and the secrets answer at once or not at all. A request that waits for
/// messages has a limit of its own.
fn limits() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .operation_timeout(Duration::from_secs(5))
        .build()
}
