//! The servers of the local environment, started once a process.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::TempDir;
use tokio::sync::OnceCell;
use xtask::bootstrap;
use xtask::local_environment::{Lifetime, ServerPlace, Servers, any_is_running};
use xtask::settings::ChoreSettings;
use xtask::tools::Tools;
use xtask::workspace;

pub(crate) const HINT: &str =
    "run `cargo xtask test`: it installs the tools, builds the function and starts what is missing";

/// Everything that the tests share.
#[derive(Debug)]
pub struct TestEnvironment {
    /// The pinned tools.
    pub tools: Tools,
    /// The environment of this process.
    pub settings: ChoreSettings,
    /// The database and the local cloud. They end with this process.
    pub servers: Servers,
    /// The function as Lambda runs it.
    pub bootstrap: PathBuf,
    directory: TempDir,
}

impl TestEnvironment {
    /// Returns where the servers write their logs.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }
}

/// Returns the environment of this process, started when it is first asked for.
///
/// # Panics
/// When something of it is missing; the message says which command brings it.
pub async fn environment() -> &'static TestEnvironment {
    static ENVIRONMENT: OnceCell<TestEnvironment> = OnceCell::const_new();
    ENVIRONMENT
        .get_or_init(|| async { start().await.context(HINT).unwrap_or_else(|error| panic!("{error:#}")) })
        .await
}

async fn start() -> Result<TestEnvironment> {
    let settings = ChoreSettings::from_environment();
    let tools = Tools::find()?;
    let bootstrap = bootstrap::existing()?;
    let directory = new_directory()?;
    let place = ServerPlace { tools: &tools, directory: directory.path(), lifetime: &Lifetime::Owner };
    let servers = Servers::start(&settings, place, true).await?;
    Ok(TestEnvironment { tools, settings, servers, bootstrap, directory })
}

/// Returns a directory for the servers. Nothing is dropped when a process of tests ends, so each removes what earlier
/// ones left behind.
fn new_directory() -> Result<TempDir> {
    let parent = workspace::root().join("target/tests");
    std::fs::create_dir_all(&parent)?;
    for entry in std::fs::read_dir(&parent)? {
        let earlier = entry?.path();
        if !any_is_running(&earlier).unwrap_or(true) {
            // Another process may be removing it as well.
            std::fs::remove_dir_all(earlier).ok();
        }
    }
    TempDir::with_prefix_in("line-", parent).context("cannot make a directory under target/")
}
