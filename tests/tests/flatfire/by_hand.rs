//! The function under `cargo lambda watch`, fed with every sample notification by `cargo lambda invoke`, as the README
//! says.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;

use flatfire_tests::{Stack, TestEnvironment, environment, eventually, text};
use serde_json::Value;
use xtask::demo::sample_files;
use xtask::local_environment::{Leash, Lifetime, ServerPlace, free_port};
use xtask::workspace;

/// Returns what the function answers to each file of `events/`, in this order; `sam_invoke.py` expects the same. The
/// versions that the samples name are not in the bucket, so their objects are gone; the one that is pinned by its
/// `ETag` is there.
pub(crate) fn events() -> Vec<(String, Value)> {
    let answers: Vec<Value> = serde_json::from_str(include_str!("answers.json")).unwrap();
    let pair = |line: &Value| (line["event"].as_str().unwrap().to_owned(), line["answer"].clone());
    answers.iter().map(pair).collect()
}

#[tokio::test]
async fn cargo_lambda_runs_the_function_with_every_sample_notification() {
    let stack = Stack::deploy(workspace::BUCKET).await;
    for file in sample_files().unwrap() {
        let name = file.file_name().unwrap().to_str().unwrap();
        let upload = stack.upload(name, std::fs::read(&file).unwrap()).await;
        stack.settled(&upload).await;
    }
    let servers = environment().await;
    let watch = Watch::start(servers, &stack).await;
    for (event, expected) in events() {
        let answer = watch.invoke(servers, &event);
        assert_eq!(answer, expected, "{event}\n{}", watch.server.log_tail());
    }
    let bundle = stack.tables().await;
    let by_hand = bundle.rows("_loads").filter(|load| load.contains_key("etag"));
    assert_eq!(by_hand.map(|load| text(load, "status")).collect::<Vec<_>>(), ["done"]);
}

/// A running `cargo lambda watch`.
struct Watch {
    server: Leash,
    port: u16,
}

impl Watch {
    async fn start(servers: &TestEnvironment, stack: &Stack) -> Self {
        let directory = tempfile::tempdir_in(servers.directory()).unwrap().keep();
        let environment = directory.join("function.env");
        std::fs::write(&environment, stack.deployment.environment_file()).unwrap();
        let port = free_port().unwrap();
        let mut command = servers.tools.build_command("cargo-lambda", &servers.settings);
        command.env("HOME", &servers.settings.home).envs(servers.settings.toolchain.clone());
        command.args(["lambda", "watch", "--ignore-changes", "--invoke-address", "127.0.0.1"]);
        command.args(["--invoke-port", &port.to_string(), "--env-file"]).arg(environment);
        command.arg("--manifest-path").arg(workspace::root().join("Cargo.toml"));
        let place = ServerPlace { tools: &servers.tools, directory: &directory, lifetime: &Lifetime::Owner };
        let server = Leash::tie(place, &command, "cargo-lambda").unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        eventually("cargo lambda watch", async || TcpStream::connect(address).ok()).await;
        Self { server, port }
    }

    fn invoke(&self, servers: &TestEnvironment, event: &str) -> Value {
        let mut command: Command = servers.tools.build_command("cargo-lambda", &servers.settings);
        command.args(["lambda", "invoke", "ingest", "--invoke-address", "127.0.0.1"]);
        command.args(["--invoke-port", &self.port.to_string(), "--data-file"]);
        let output = command.arg(workspace::root().join("events").join(event)).output().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        serde_json::from_str(&printed).unwrap_or_else(|_| {
            let complaint = String::from_utf8_lossy(&output.stderr);
            panic!("{event}: {printed}{complaint}\n{}", self.server.log_tail())
        })
    }
}
