//! The page `docs/analysts.md`: each block of code on it runs, and its answers are right.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::database::TestDatabase;

/// The test's programs stand in the folder `analysts`: `hospital.py` makes the files, `run.py` runs the page and
/// compares it with `expected.py`.
#[tokio::test]
async fn every_answer_on_the_page_for_analysts_is_right() {
    let database = TestDatabase::of("analysts").await;
    let folder = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let programs = root.join("tests/command_line/analysts");
    fs::copy(programs.join("hospital.py"), folder.path().join("hospital.py")).unwrap();

    let python = python(root);
    let mut run = Command::new(&python);
    run.args(["-B", "-X", "utf8"]).arg(programs.join("run.py")).arg(root.join("../../docs/analysts.md"));
    run.current_dir(folder.path()).env("MONGODB_URI", &database.uri).env("PATH", search_path(&python));
    let output = run.output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}\n{stderr}");
    assert!(stdout.ends_with("25 questions and 5 statements are answered as expected\n"), "{stdout}");
    database.remove().await;
}

fn python(root: &Path) -> PathBuf {
    let python = root.join("../../.tools/analysts/bin/python");
    assert!(python.exists(), "no pandas: run `cargo xtask tools`");
    python
}

/// Returns the search path with `flatfire` and `python3` of this test in front.
fn search_path(python: &Path) -> OsString {
    let flatfire = Path::new(env!("CARGO_BIN_EXE_flatfire"));
    #[allow(clippy::disallowed_methods, reason = "the blocks of the page are run by the machine's shell")]
    let rest = env::var_os("PATH").unwrap_or_default();
    let own = [flatfire, python].map(|program| program.parent().unwrap().to_path_buf());
    env::join_paths(own.into_iter().chain(env::split_paths(&rest))).unwrap()
}
