//! The whole product on this machine: a database, a local cloud, and the template deployed into it.

mod cloud;
mod database;
mod deployment;
mod leash;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

pub use cloud::{ACCESS_KEY, LocalCloud, REGION, SECRET_KEY};
pub use database::{Database, find_mongod};
pub use deployment::{Deployment, Outputs, Stack, cloud_command};
pub use leash::{Leash, Lifetime, ServerPlace, any_is_running, free_port};

use crate::settings::ChoreSettings;
use crate::tools::Tools;
use crate::workspace;

/// An environment that ends with the value. Fields stand in the order in which they must go: the servers, then the
/// directory they wrote to.
#[derive(Debug)]
pub struct LocalEnvironment {
    _servers: Servers,
    directory: TempDir,
    deployment: Deployment,
}

impl LocalEnvironment {
    /// Starts the servers in a private directory and deploys the template with this function.
    ///
    /// # Errors
    /// When a server does not start or the template is refused.
    pub async fn start(tools: &Tools, settings: &ChoreSettings, bootstrap: &Path) -> Result<Self> {
        let directory = TempDir::with_prefix("flatfire-")?;
        let place = ServerPlace { tools, directory: directory.path(), lifetime: &Lifetime::Owner };
        let servers = Servers::start(settings, place, false).await?;
        let deployment = servers.deploy(tools, bootstrap, servers.demo_stack())?;
        Ok(Self { _servers: servers, directory, deployment })
    }

    /// Returns what was deployed and where it is reached.
    #[must_use]
    pub fn deployment(&self) -> &Deployment {
        &self.deployment
    }

    /// Returns the private directory of the servers; gone with this value.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }
}

/// The two servers. The cloud stands first because it goes first: its functions use the database.
#[derive(Debug)]
pub struct Servers {
    /// The local cloud.
    pub cloud: LocalCloud,
    /// The database.
    pub database: Database,
}

impl Servers {
    /// Starts both.
    ///
    /// # Errors
    /// When one does not start.
    pub async fn start(
        settings: &ChoreSettings,
        place: ServerPlace<'_>,
        test_commands: bool,
    ) -> Result<Self> {
        let database = Database::start(settings, place, test_commands)?;
        let cloud = LocalCloud::start(settings, place).await?;
        Ok(Self { cloud, database })
    }

    /// Deploys the template with this function.
    ///
    /// # Errors
    /// When the template is refused.
    pub fn deploy(&self, tools: &Tools, bootstrap: &Path, stack: Stack) -> Result<Deployment> {
        deployment::deploy(tools, &self.cloud, bootstrap, stack)
    }

    fn demo_stack(&self) -> Stack {
        Stack {
            name: "flatfire".to_owned(),
            bucket: workspace::BUCKET.to_owned(),
            mongodb_uri: self.database.uri().to_owned(),
            database: workspace::DATABASE.to_owned(),
            parameters: Vec::new(),
            queue_for_worker: false,
        }
    }
}

/// An environment that outlives the command that started it: the servers run as long as its file exists.
#[derive(Debug)]
pub struct KeptEnvironment {
    directory: PathBuf,
}

impl KeptEnvironment {
    /// Returns the one kept environment of this checkout.
    #[must_use]
    pub fn of_this_checkout() -> Self {
        Self { directory: workspace::tools_directory().join("demo") }
    }

    /// Starts it; when anything fails, what was started ends.
    ///
    /// # Errors
    /// When one is running already, a server does not start, or the template is refused.
    pub async fn start(
        &self,
        tools: &Tools,
        settings: &ChoreSettings,
        bootstrap: &Path,
    ) -> Result<Deployment> {
        if self.file().exists() {
            bail!("a demo is running already, or its machine was switched off; `cargo xtask stop` ends it");
        }
        std::fs::create_dir_all(&self.directory)?;
        std::fs::write(self.file(), "")?;
        let started = self.start_servers(tools, settings, bootstrap).await;
        if started.is_err() {
            std::fs::remove_file(self.file()).ok();
        }
        started
    }

    /// Returns what is running.
    ///
    /// # Errors
    /// When nothing is.
    pub fn deployment(&self) -> Result<Deployment> {
        let text = std::fs::read_to_string(self.file())
            .context("no demo is running; `cargo xtask demo --keep` does")?;
        serde_json::from_str(&text).context("the demo has not finished starting")
    }

    /// Ends the servers, waits until they are gone and removes their data. Ending nothing is no error.
    ///
    /// # Errors
    /// When the data cannot be removed.
    pub fn stop(&self) -> Result<()> {
        std::fs::remove_file(self.file()).ok();
        leash::wait_until_ended(&self.directory)?;
        match std::fs::remove_dir_all(&self.directory) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    async fn start_servers(
        &self,
        tools: &Tools,
        settings: &ChoreSettings,
        bootstrap: &Path,
    ) -> Result<Deployment> {
        let place = ServerPlace { tools, directory: &self.directory, lifetime: &Lifetime::File(self.file()) };
        let servers = Servers::start(settings, place, false).await?;
        let deployment = servers.deploy(tools, bootstrap, servers.demo_stack())?;
        self.write_function_environment(&deployment)?;
        std::fs::write(self.file(), serde_json::to_string_pretty(&deployment)?)?;
        Ok(deployment)
    }

    /// Returns the same environment in the two spellings that the two tools read.
    fn write_function_environment(&self, deployment: &Deployment) -> Result<()> {
        let variables = deployment.function_environment().into_iter();
        let by_name: serde_json::Map<_, _> =
            variables.map(|(name, value)| (name.to_owned(), value.into())).collect();
        let for_sam = serde_json::json!({ "IngestFunction": by_name });
        std::fs::write(self.directory.join("env.json"), serde_json::to_string_pretty(&for_sam)?)?;
        Ok(std::fs::write(self.directory.join("function.env"), deployment.environment_file())?)
    }

    fn file(&self) -> PathBuf {
        self.directory.join("running.json")
    }
}
