//! A local server that cannot outlive its owner, also when the owner is killed.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::tools::Tools;
use crate::workspace;

/// How long a server is given to end before it is killed; `py/leash.py` insists after half of it.
const STOP_WITHIN: Duration = Duration::from_secs(12);
const POLL_EVERY: Duration = Duration::from_millis(50);
/// How much of a server's log an error shows.
const LOG_TAIL_LINES: usize = 15;

/// For how long the servers run.
#[derive(Debug, Clone)]
pub enum Lifetime {
    /// Until the [`Leash`] is dropped or its process is gone.
    Owner,
    /// Until this file is removed.
    File(PathBuf),
}

/// One running server.
#[derive(Debug)]
pub struct Leash {
    child: Child,
    name: String,
    log: PathBuf,
    lifetime: Lifetime,
}

/// Where a server runs, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct ServerPlace<'a> {
    /// The tools that hold it.
    pub tools: &'a Tools,
    /// Where it writes.
    pub directory: &'a Path,
    /// For how long it runs.
    pub lifetime: &'a Lifetime,
}

impl Leash {
    /// Starts a server whose output goes to `<directory>/<name>.log`. It inherits only what `server` sets itself.
    ///
    /// # Errors
    /// When the program or its log cannot be opened.
    pub fn tie(place: ServerPlace<'_>, server: &Command, name: &str) -> Result<Self> {
        let ServerPlace { tools, directory, lifetime } = place;
        let log = directory.join(format!("{name}.log"));
        let output = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut leash = Command::new(tools.cloud_program("python"));
        leash.arg(workspace::root().join("xtask/py/leash.py"));
        match lifetime {
            Lifetime::Owner => leash.arg("--stdin").stdin(Stdio::piped()),
            Lifetime::File(path) => leash.arg("--file").arg(path).stdin(Stdio::null()),
        };
        leash.arg("--").arg(server.get_program()).args(server.get_args()).current_dir(directory).env_clear();
        leash.envs(server.get_envs().filter_map(|(key, value)| Some((key, value?))));
        let child = leash.stdout(output.try_clone()?).stderr(output).spawn();
        let child = child.with_context(|| format!("cannot start {name}"))?;
        Ok(Self { child, name: name.to_owned(), log, lifetime: lifetime.clone() })
    }

    /// Fails, with the end of its log, once the server has ended by itself.
    ///
    /// # Errors
    /// Exactly then.
    pub fn ensure_running(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} ended with {status}:\n{}", self.name, self.log_tail()),
        }
    }

    /// Returns the last lines that the server wrote.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = text.lines().collect();
        lines.iter().skip(lines.len().saturating_sub(LOG_TAIL_LINES)).copied().collect::<Vec<_>>().join("\n")
    }

    fn stop(&mut self) {
        drop(self.child.stdin.take());
        let deadline = Instant::now() + STOP_WITHIN;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(POLL_EVERY);
        }
        // Both fail only when the process is gone, which is what is wanted.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        if matches!(self.lifetime, Lifetime::Owner) {
            self.stop();
        }
    }
}

/// Waits until every server of this directory has ended. Each leash, and all that it started, holds the lock of its
/// log; the system lets go of it also when the machine is switched off.
///
/// # Errors
/// When one is still running after the time it is given.
pub(super) fn wait_until_ended(directory: &Path) -> Result<()> {
    let deadline = Instant::now() + STOP_WITHIN;
    while any_is_running(directory)? {
        if Instant::now() > deadline {
            bail!("a server of {} does not end; see its log there", directory.display());
        }
        std::thread::sleep(POLL_EVERY);
    }
    Ok(())
}

/// Returns whether a server of this directory is still running.
///
/// # Errors
/// When one of its logs cannot be opened.
pub fn any_is_running(directory: &Path) -> Result<bool> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Ok(false) };
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "log")
            && File::open(path)?.try_lock().is_err()
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns a loopback port that was free a moment ago.
///
/// # Errors
/// When the system has none.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
