//! Files given on the command line: what each is called, where its bytes are, what a folder stands for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use pipeline::ledger::Load;
use pipeline::object::{ObjectRef, Pin};
use pipeline::source::Storage;
use pipeline::store::{Store, StoreError};
use process::milliseconds_now;

use crate::console;
use crate::outcome::Outcome;

/// One file, or standard input.
#[derive(Debug)]
pub(crate) struct Input {
    /// The path as given; `-` for standard input.
    pub(crate) name: String,
    /// The path without links, `.` and `..`, which the ledger knows it by.
    pub(crate) canonical: String,
    /// Where its bytes are.
    pub(crate) storage: Storage,
    /// Its size in bytes, where it has one before it ends.
    pub(crate) bytes: Option<u64>,
    /// When it was last changed: milliseconds since 1970-01-01T00:00:00Z.
    pub(crate) modified: i64,
}

/// Everything that the arguments name.
#[derive(Debug, Default)]
pub(crate) struct Inputs {
    /// What to read, in the order of the arguments; the files of a folder in the order of their names.
    pub(crate) readable: Vec<Input>,
    /// What cannot be read, by name, and why.
    pub(crate) unreadable: Vec<(String, String)>,
    /// Files of folders that no FHIR data is expected in, by their names.
    pub(crate) passed_over: Vec<String>,
}

/// What FHIR files are called. It matters in folders alone: what a file holds is seen by its content.
const EXTENSIONS: [&str; 3] = ["json", "ndjson", "jsonl"];
const COMPRESSED: [&str; 3] = ["gz", "zst", "zstd"];

impl Inputs {
    /// Looks at everything that the arguments name.
    pub(crate) fn find(paths: &[PathBuf]) -> Self {
        let mut found = Self::default();
        for path in paths {
            if path.as_os_str() == "-" {
                found.readable.push(Input::standard_input());
            } else {
                found.add(path, true);
            }
        }
        // A link, or another spelling, is not another file.
        let mut seen = BTreeSet::new();
        found.readable.retain(|input| input.bytes.is_none() || seen.insert(input.canonical.clone()));
        found
    }

    /// Says what is not read, and how much of a failure that is.
    pub(crate) fn report(&self) -> Outcome {
        for (name, reason) in &self.unreadable {
            console::file_error(name, reason);
        }
        for name in &self.passed_over {
            console::line(&format!("flatfire: {name}: passed over, its name is not that of a FHIR file"));
        }
        if self.unreadable.is_empty() { Outcome::Done } else { Outcome::Failed }
    }

    /// Returns the names as given, by the canonical ones.
    pub(crate) fn names(&self) -> BTreeMap<String, String> {
        self.readable.iter().map(|input| (input.canonical.clone(), input.name.clone())).collect()
    }

    fn add(&mut self, path: &Path, is_named: bool) {
        let name = path.display().to_string();
        let outcome = fs::metadata(path).and_then(|metadata| {
            if metadata.is_dir() {
                return self.add_folder(path);
            }
            if is_named || is_expected(path) {
                self.readable.push(Input::file(path, &metadata));
            } else {
                self.passed_over.push(name.clone());
            }
            Ok(())
        });
        if let Err(error) = outcome {
            self.unreadable.push((name, error.to_string()));
        }
    }

    /// Adds all files of a folder and its folders. A linked folder is not entered: it might lead back.
    fn add_folder(&mut self, folder: &Path) -> io::Result<()> {
        let entries = fs::read_dir(folder)?;
        let mut entries = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
        entries.retain(|path| !(is_hidden(path) || path.is_symlink() && path.is_dir()));
        entries.sort();
        for path in entries {
            self.add(&path, false);
        }
        Ok(())
    }
}

impl Input {
    fn standard_input() -> Self {
        Self {
            name: "-".to_owned(),
            canonical: "-".to_owned(),
            storage: Storage::StandardInput,
            bytes: None,
            modified: milliseconds_now(),
        }
    }

    fn file(path: &Path, metadata: &Metadata) -> Self {
        let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Self {
            name: path.display().to_string(),
            canonical: canonical(path),
            storage: Storage::File(path.to_owned()),
            bytes: metadata.is_file().then_some(metadata.len()),
            // No file is newer than now, whatever a tool that keeps times has said: nothing could correct it.
            modified: modified
                .map_or(0, |time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
                .min(milliseconds_now()),
        }
    }

    /// Returns the object that it is to the pipeline: bucket `file`, its canonical path as the key, its last change as
    /// its time. That also stands where S3 has the sequencer: of two contents of one file the later one counts, also
    /// where both say the same of their resources' last update.
    pub(crate) fn object(&self, pin: Pin) -> Arc<ObjectRef> {
        Arc::new(ObjectRef {
            bucket: "file".to_owned(),
            key: self.canonical.clone(),
            pin,
            sequencer: Some(format!("{:016X}", self.modified.max(0))),
            created: self.modified,
            size: self.bytes,
        })
    }
}

/// Returns the path by which the ledger knows a file, however it is spelled.
fn canonical(path: &Path) -> String {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

/// Returns the loads that a text names: by their id, by the key of their object, or by any spelling of a file's path.
pub(crate) async fn loads_named(store: &dyn Store, name: &str) -> Result<Vec<Load>, StoreError> {
    let loads = store.loads_named(name).await?;
    let path = canonical(Path::new(name));
    if loads.is_empty() && path != name { store.loads_named(&path).await } else { Ok(loads) }
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// Returns whether a name is that of a FHIR file.
pub(crate) fn is_expected(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let name = COMPRESSED.iter().find_map(|ending| cut(&name, ending)).unwrap_or(&name);
    EXTENSIONS.iter().any(|ending| cut(name, ending).is_some())
}

/// Returns the name without its extension, if it is this one.
fn cut<'a>(name: &'a str, extension: &str) -> Option<&'a str> {
    name.strip_suffix(extension)?.strip_suffix('.')
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{Inputs, is_expected};

    #[test]
    fn a_folder_is_its_fhir_files_in_the_order_of_their_names() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("b/.git")).unwrap();
        for name in ["c.json", "b/2.ndjson.gz", "b/1.JSONL", "b/README.md", "b/.git/x.json", "a.json.zst"] {
            fs::write(folder.path().join(name), "{}").unwrap();
        }
        let found = Inputs::find(&[folder.path().to_owned(), folder.path().join("b/README.md")]);
        let relative =
            |name: &String| Path::new(name).strip_prefix(folder.path()).unwrap().display().to_string();
        let names: Vec<_> = found.readable.iter().map(|input| relative(&input.name)).collect();
        assert_eq!(names, ["a.json.zst", "b/1.JSONL", "b/2.ndjson.gz", "c.json", "b/README.md"]);
        assert_eq!(found.passed_over.iter().map(relative).collect::<Vec<_>>(), ["b/README.md"]);
        assert!(found.unreadable.is_empty());
    }

    #[test]
    fn what_is_not_there_is_named() {
        let found = Inputs::find(&["no/such/file.json".into(), "-".into()]);
        assert_eq!(found.unreadable.first().map(|(name, _)| name.as_str()), Some("no/such/file.json"));
        assert_eq!(found.readable.len(), 1);
    }

    #[test]
    fn extensions_may_be_doubled_but_not_alone() {
        assert!(is_expected(Path::new("x.ndjson")) && is_expected(Path::new("x.json.gz")));
        assert!(!is_expected(Path::new("x.gz")) && !is_expected(Path::new("json")));
    }
}
