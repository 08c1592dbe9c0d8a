//! Running the program that Cargo built.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// What a run said.
#[derive(Debug)]
pub struct Ran {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Returns the program with arguments, not started yet.
pub fn flatfire(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flatfire"));
    // That of the tests themselves.
    command.env_remove("MONGODB_URI");
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub fn run(arguments: &[&str]) -> Ran {
    flatfire(arguments).output().unwrap().into()
}

/// Runs it with a text on standard input. The program may end before it has read all of it.
pub fn run_with_input(arguments: &[&str], input: &str) -> Ran {
    let mut command = flatfire(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).ok();
    child.wait_with_output().unwrap().into()
}

/// Returns the canonical path of one of the project's own samples.
pub fn sample(name: &str) -> String {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples");
    std::fs::canonicalize(samples).unwrap().join(name).display().to_string()
}

/// Returns a file in a folder.
pub fn path_of(folder: &tempfile::TempDir, name: &str) -> String {
    folder.path().join(name).display().to_string()
}
