//! The local cloud: S3, SQS, Lambda, `CloudFormation` and Secrets Manager on one loopback port.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::leash::{Leash, ServerPlace, free_port};
use crate::settings::ChoreSettings;
use crate::workspace;

const READY_WITHIN: Duration = Duration::from_mins(1);
const ASK_EVERY: Duration = Duration::from_millis(100);
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The region that the local cloud plays.
pub const REGION: &str = "us-east-1";
/// The local cloud's account; as an access key it selects that account.
pub const ACCESS_KEY: &str = "000000000000";
/// Not a secret: the local cloud knows no other.
pub const SECRET_KEY: &str = "local";

/// A local cloud that answers.
#[derive(Debug)]
pub struct LocalCloud {
    endpoint: String,
    server: Leash,
}

impl LocalCloud {
    /// Starts the cloud and waits until it answers.
    ///
    /// # Errors
    /// When it does not start or does not answer in time; with the end of its log.
    pub async fn start(settings: &ChoreSettings, place: ServerPlace<'_>) -> Result<Self> {
        let port = free_port()?;
        let endpoint = format!("http://127.0.0.1:{port}");
        let mut command = ministack(settings, place, port);
        command.env("AWS_ENDPOINT_URL", &endpoint);
        let mut server = Leash::tie(place, &command, "ministack")?;
        let deadline = Instant::now() + READY_WITHIN;
        while !answers(port).await {
            server.ensure_running()?;
            if Instant::now() > deadline {
                bail!("the local cloud does not answer after {READY_WITHIN:?}:\n{}", server.log_tail());
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
        Ok(Self { endpoint, server })
    }

    /// Returns where every service of the cloud is reached.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Returns the end of the cloud's log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        self.server.log_tail()
    }
}

/// Returns the functions inherit the cloud's environment, so it holds nothing of the caller's: no credentials, no
/// settings. `AUTH` makes the cloud enforce the roles and policies of the template.
fn ministack(settings: &ChoreSettings, place: ServerPlace<'_>, port: u16) -> Command {
    let ServerPlace { tools, directory, .. } = place;
    let mut command = Command::new(tools.cloud_program("python"));
    command.arg(workspace::root().join("xtask/py/serve_cloud.py")).arg(port.to_string());
    command.env("PATH", &settings.search_path).env("HOME", directory).env("TMPDIR", directory);
    command.env("MINISTACK_HOST", "127.0.0.1").env("GATEWAY_PORT", port.to_string());
    command.env("MINISTACK_REGION", REGION).env("MINISTACK_ACCOUNT_ID", ACCESS_KEY);
    command.env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
    command.env("AUTH", "true").env("LAMBDA_EXECUTOR", "local").env("LOG_LEVEL", "INFO");
    command
}

async fn answers(port: u16) -> bool {
    timeout(ANSWER_WITHIN, ask_health(port)).await.is_ok_and(|answer| answer.unwrap_or(false))
}

async fn ask_health(port: u16) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream
        .write_all(b"GET /_ministack/health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        .await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer.starts_with(b"HTTP/1.1 200"))
}
