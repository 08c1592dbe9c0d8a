//! The database of tests: the one of `MONGODB_URI`, else one that the test starts for itself.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A running server.
pub(crate) struct Endpoint {
    /// Its connection string; options can be added with `&`.
    pub(crate) uri: String,
    /// Ends with the test that started it.
    own: Option<(Child, tempfile::TempDir)>,
}

impl Endpoint {
    /// The server of that connection string, or one of its own, to be connected to with options of a query string.
    ///
    /// # Panics
    /// Where there is no database: a test without its server fails.
    pub(crate) fn get(given: Option<String>, options: &str) -> Self {
        let (uri, own) = given.map_or_else(start, |uri| (uri, None));
        let separator = if uri.contains('?') { '&' } else { '?' };
        Self { uri: format!("{uri}{separator}{options}"), own }
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        if let Some((child, _)) = &mut self.own {
            child.kill().and_then(|()| child.wait()).ok();
        }
    }
}

fn start() -> (String, Option<(Child, tempfile::TempDir)>) {
    let program = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../.tools/cloud/bin/secantusd-py");
    assert!(program.exists(), "no database: run `cargo xtask test`, or set MONGODB_URI");
    let directory = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut command = Command::new(program);
    command.args([
        "--host",
        "127.0.0.1",
        "--port",
        &port.to_string(),
        "--enable-test-commands",
        "--storage-path",
    ]);
    command.arg(directory.path().join("data")).env("HOME", directory.path());
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for(port, Duration::from_mins(1));
    (format!("mongodb://127.0.0.1:{port}/?directConnection=true"), Some((child, directory)))
}

fn free_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr()).unwrap().port()
}

/// The server says nothing when it is ready; it takes connections then.
fn wait_for(port: u16, within: Duration) {
    let begun = std::time::Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(begun.elapsed() < within, "the database takes no connections");
        std::thread::sleep(Duration::from_millis(50));
    }
}
