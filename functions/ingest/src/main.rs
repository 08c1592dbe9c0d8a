//! The Lambda: the service, fed by the runtime.

use std::time::{Duration, Instant, SystemTime};

use anyhow::anyhow;
use ingest::{FunctionSettings, Invocation, InvocationFailure, LoadTime, Service, start_log};
use lambda_runtime::{Context, Diagnostic, LambdaEvent, service_fn};
use pipeline::load::Deadline;
use serde_json::Value;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let settings = FunctionSettings::from_environment()?;
    start_log(settings.log_level)?;
    let service = &Service::new(settings, LoadTime::UntilDeadline).await;
    let handle = service_fn(|event: LambdaEvent<Value>| async move {
        let invocation = invocation(&event.context);
        service.handle(event.payload, &invocation).await.map_err(|failure| diagnostic(&failure))
    });
    lambda_runtime::run(handle).await.map_err(|error| anyhow!(error))
}

fn diagnostic(failure: &InvocationFailure) -> Diagnostic {
    Diagnostic { error_type: failure.error_type().to_owned(), error_message: failure.to_string() }
}

/// How long an invocation is taken to last whose deadline was over before it began. Lambda never says that;
/// `cargo lambda watch` always does, because it states a duration where a moment belongs.
const WITHOUT_DEADLINE: Duration = Duration::from_mins(10);

/// Reads the limits of an invocation. Work stops a fifth of the time before Lambda's deadline, or 20 seconds: enough
/// for the writes under way, the checkpoint and the messages to the queue. The last third of that is for the messages
/// alone.
#[allow(clippy::disallowed_methods, reason = "Lambda states its deadline as a time of day; this is the edge")]
fn invocation(context: &Context) -> Invocation {
    let remaining = context.deadline().duration_since(SystemTime::now()).unwrap_or(WITHOUT_DEADLINE);
    let usable = remaining.saturating_sub(Duration::from_secs(20)).max(remaining * 4 / 5);
    let stop = Instant::now() + usable;
    let deadline = Deadline::new(stop, remaining.saturating_sub(usable) * 2 / 3);
    Invocation { request_id: context.request_id.clone(), deadline }
}
