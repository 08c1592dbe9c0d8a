//! Compiles the views of `views/` and the checks of `checks.json` into the function, so that what is deployed is what was tested.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

#[allow(clippy::disallowed_methods, reason = "cargo tells a build script its paths in the environment")]
fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../views");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut paths = Vec::new();
    if folder.is_dir() {
        for entry in fs::read_dir(&folder)? {
            paths.push(entry?.path());
        }
    }
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    let mut code = String::from(
        "/// Every view of the deployment: its file and its text.\npub(crate) const VIEWS: &[(&str, &str)] = &[\n",
    );
    for path in paths {
        let path = path.canonicalize()?;
        let name = path.file_name().and_then(|name| name.to_str()).ok_or("a view's file name is no UTF-8")?;
        writeln!(code, "    ({name:?}, include_str!({:?})),", path.display().to_string())?;
    }
    code.push_str("];\n");
    let checks = folder.with_file_name("checks.json");
    println!("cargo::rerun-if-changed={}", checks.display());
    code.push_str("/// The checks of the deployment: their file and its text.\n");
    let checks = checks.canonicalize()?;
    writeln!(
        code,
        "pub(crate) const CHECKS: (&str, &str) = (\"checks.json\", include_str!({:?}));",
        checks.display().to_string()
    )?;
    fs::write(Path::new(&env::var("OUT_DIR")?).join("views.rs"), code)?;
    Ok(())
}
