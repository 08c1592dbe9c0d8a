//! What the environment says, read in this one place.

use std::ffi::OsString;

/// The settings of the chores. Everything else is an argument or a fact of the repository.
#[derive(Debug, Clone)]
pub struct ChoreSettings {
    /// The database to use instead of a local one (`MONGODB_URI`).
    pub mongodb_uri: Option<String>,
    /// Where programs are looked for (`PATH`).
    pub search_path: OsString,
    /// The caller's home directory (`HOME`): the servers' only other inheritance.
    pub home: OsString,
    /// What a program on the caller's terminal needs.
    pub terminal: Vec<(&'static str, OsString)>,
    /// What cargo must be told to find the same toolchain and the same build again.
    pub toolchain: Vec<(&'static str, OsString)>,
}

const TOOLCHAIN: [&str; 6] =
    ["CARGO_HOME", "CARGO_TARGET_DIR", "RUSTFLAGS", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "RUSTC_WRAPPER"];

const TERMINAL: [&str; 11] =
    ["COLORTERM", "HOME", "LANG", "LC_ALL", "LESS", "LOGNAME", "NO_COLOR", "PAGER", "PATH", "TERM", "USER"];

impl ChoreSettings {
    /// Reads the environment; an empty `MONGODB_URI` counts as none.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "this is the one file that reads the environment")]
    pub fn from_environment() -> Self {
        Self {
            mongodb_uri: std::env::var("MONGODB_URI").ok().filter(|uri| !uri.is_empty()),
            search_path: std::env::var_os("PATH").unwrap_or_default(),
            home: std::env::var_os("HOME").unwrap_or_default(),
            terminal: variables(&TERMINAL),
            toolchain: variables(&TOOLCHAIN),
        }
    }

    /// Returns the first executable of this name on the search path.
    #[must_use]
    pub fn find_program(&self, name: &str) -> Option<std::path::PathBuf> {
        std::env::split_paths(&self.search_path).map(|folder| folder.join(name)).find(|path| path.is_file())
    }
}

#[allow(clippy::disallowed_methods, reason = "this is the one file that reads the environment")]
fn variables(names: &[&'static str]) -> Vec<(&'static str, OsString)> {
    names.iter().filter_map(|name| Some((*name, std::env::var_os(name)?))).collect()
}
