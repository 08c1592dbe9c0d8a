//! The whole product on this machine: a database, a local cloud, and the template deployed into it.

mod cloud;
mod database;
mod deployment;
mod leash;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

pub use cloud::{ACCESS_KEY, Cloud, REGION, SECRET_KEY};
pub use database::{Database, connect};
pub use deployment::{Deployment, Uploaded, cloud_command};
pub use leash::{Leash, Lifetime, free_port};

use crate::settings::Settings;
use crate::tools::Tools;
use crate::workspace;

/// A line that ends with the value. Fields stand in the order in which they must go: the cloud with its functions,
/// the database, then the directory they wrote to.
#[derive(Debug)]
pub struct LocalLine {
    cloud: Cloud,
    database: Database,
    directory: TempDir,
    deployment: Deployment,
}

impl LocalLine {
    /// Starts the servers in a private directory and deploys the template with this function; rows go into
    /// `database_name`. Failpoints are allowed in a database that is started here.
    ///
    /// # Errors
    /// When a server does not start or the template is refused.
    pub async fn start(
        tools: &Tools,
        settings: &Settings,
        bootstrap: &Path,
        database_name: &str,
    ) -> Result<Self> {
        let directory = TempDir::with_prefix("flatfire-")?;
        let servers = Servers::start(tools, settings, directory.path(), &Lifetime::Owner, true).await?;
        let Servers { cloud, database } = servers;
        let deployment = deployment::deploy(tools, &cloud, &database, bootstrap, database_name)?;
        Ok(Self { cloud, database, directory, deployment })
    }

    /// What was deployed and where it is reached.
    #[must_use]
    pub fn deployment(&self) -> &Deployment {
        &self.deployment
    }

    /// The end of the cloud's log, for the person who has to find out what went wrong.
    #[must_use]
    pub fn cloud_log_tail(&self) -> String {
        self.cloud.log_tail()
    }

    /// What kind of database it is, in a word.
    #[must_use]
    pub fn database_description(&self) -> &str {
        self.database.description()
    }

    /// The private directory of the servers; gone with this value.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }
}

/// The two servers before anything is deployed.
#[derive(Debug)]
pub struct Servers {
    /// The local cloud.
    pub cloud: Cloud,
    /// The database.
    pub database: Database,
}

impl Servers {
    /// Starts both.
    ///
    /// # Errors
    /// When one does not start.
    pub async fn start(
        tools: &Tools,
        settings: &Settings,
        directory: &Path,
        lifetime: &Lifetime,
        test_commands: bool,
    ) -> Result<Self> {
        let database = Database::start(tools, settings, directory, lifetime, test_commands).await?;
        let cloud = Cloud::start(tools, settings, directory, lifetime).await?;
        Ok(Self { cloud, database })
    }
}

/// A line that outlives the command that started it: the servers run as long as its file exists.
#[derive(Debug)]
pub struct KeptLine {
    directory: PathBuf,
}

impl KeptLine {
    /// The one kept line of this checkout.
    #[must_use]
    pub fn of_this_checkout() -> Self {
        Self { directory: workspace::tools_directory().join("demo") }
    }

    /// Starts it; when anything fails, what was started ends.
    ///
    /// # Errors
    /// When one is running already, a server does not start, or the template is refused.
    pub async fn start(&self, tools: &Tools, settings: &Settings, bootstrap: &Path) -> Result<Deployment> {
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

    /// What is running.
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
        settings: &Settings,
        bootstrap: &Path,
    ) -> Result<Deployment> {
        let lifetime = Lifetime::File(self.file());
        let servers = Servers::start(tools, settings, &self.directory, &lifetime, false).await?;
        let Servers { cloud, database } = &servers;
        let deployment = deployment::deploy(tools, cloud, database, bootstrap, workspace::DATABASE)?;
        self.write_function_environment(&deployment)?;
        std::fs::write(self.file(), serde_json::to_string_pretty(&deployment)?)?;
        Ok(deployment)
    }

    /// The same environment in the two spellings that the two tools read; only `sam` knows credentials of its own.
    fn write_function_environment(&self, deployment: &Deployment) -> Result<()> {
        let variables = deployment.function_environment();
        let by_name: serde_json::Map<_, _> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
        let for_sam = serde_json::json!({ "IngestFunction": by_name });
        std::fs::write(self.directory.join("env.json"), serde_json::to_string_pretty(&for_sam)?)?;
        let credentials = [
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
            ("AWS_REGION", REGION),
        ];
        let given = variables.into_iter().filter(|(_, value)| !value.is_empty()).chain(credentials);
        let lines: Vec<String> = given.map(|(name, value)| format!("{name}={value}\n")).collect();
        Ok(std::fs::write(self.directory.join("function.env"), lines.concat())?)
    }

    fn file(&self) -> PathBuf {
        self.directory.join("running.json")
    }
}
