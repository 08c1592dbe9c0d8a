//! The files to upload: their names, their keys, and whether they are still written to.

use std::fs::{self, File, Metadata};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;

use crate::input::is_expected;

/// A file to upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LocalFile {
    /// Where it is.
    pub(super) path: PathBuf,
    /// Its path within the folder.
    pub(super) relative: PathBuf,
    /// The same with slashes: the end of its key.
    pub(super) key: String,
    /// How it was when it was looked at.
    pub(super) stamp: Stamp,
}

/// Tells a file from what it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    /// In bytes.
    pub(super) size: u64,
    modified: SystemTime,
}

/// The files of some paths.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// In the order of their keys.
    pub(super) files: Vec<LocalFile>,
    /// What cannot be uploaded, and why.
    pub(super) unreadable: Vec<(PathBuf, String)>,
    /// How many files are left out because nothing is in them.
    pub(super) empty: u64,
    /// Files of folders that are left out because neither name nor content is that of a FHIR file.
    pub(super) passed_over: Vec<PathBuf>,
}

/// Looks for files: those that are named, and all of folders and their folders but hidden ones and those in `left_out`.
/// A linked folder is not entered: it might lead back.
pub(super) fn find(paths: &[PathBuf], left_out: Option<&Path>) -> anyhow::Result<Found> {
    let left_out = left_out.and_then(|folder| folder.canonicalize().ok());
    let mut found = Found::default();
    for path in paths {
        let metadata = fs::metadata(path).with_context(|| path.display().to_string())?;
        if metadata.is_dir() {
            found.enter(path, left_out.as_deref())?;
        } else if !metadata.is_file() {
            found.unreadable.push((path.clone(), "it is neither a file nor a folder".to_owned()));
        } else {
            let folder = path.parent().unwrap_or(Path::new(""));
            found.add(folder, path.clone(), &metadata);
        }
    }
    found.files.sort_by(|one, other| (&one.key, &one.path).cmp(&(&other.key, &other.path)));
    found.files.dedup_by(|one, other| one.path == other.path);
    found.leave_out_repeated_keys();
    Ok(found)
}

impl Found {
    /// Looks at the files of a folder and its folders.
    fn enter(&mut self, folder: &Path, left_out: Option<&Path>) -> anyhow::Result<()> {
        let mut folders = vec![folder.to_owned()];
        while let Some(inside) = folders.pop() {
            let entries = match fs::read_dir(&inside) {
                Ok(entries) => entries,
                Err(error) if inside == folder => {
                    return Err(error).with_context(|| inside.display().to_string());
                }
                Err(error) => {
                    self.unreadable.push((inside, error.to_string()));
                    continue;
                }
            };
            for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
                let is_hidden =
                    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
                if is_hidden || (left_out.is_some() && path.canonicalize().ok().as_deref() == left_out) {
                    continue;
                }
                match fs::metadata(&path) {
                    Ok(metadata) if metadata.is_dir() && path.is_symlink() => {}
                    Ok(metadata) if metadata.is_dir() => folders.push(path),
                    Ok(metadata) if metadata.is_file() && metadata.len() > 0 && is_other(&path) => {
                        self.passed_over.push(path);
                    }
                    Ok(metadata) => self.add(folder, path, &metadata),
                    Err(error) => self.unreadable.push((path, error.to_string())),
                }
            }
        }
        Ok(())
    }

    /// Adds a file whose key is its path within the folder.
    fn add(&mut self, folder: &Path, path: PathBuf, metadata: &Metadata) {
        if !metadata.is_file() {
            return;
        }
        if metadata.len() == 0 {
            self.empty += 1;
            return;
        }
        let Ok(relative) = path.strip_prefix(folder).map(Path::to_owned) else { return };
        let parts: Option<Vec<&str>> = relative.iter().map(|part| part.to_str()).collect();
        let Some(key) = parts.map(|parts| parts.join("/")) else {
            self.unreadable.push((path, "its name is not UTF-8; rename it".to_owned()));
            return;
        };
        let stamp = Stamp::of(metadata);
        self.files.push(LocalFile { path, relative, key, stamp });
    }

    /// Leaves out files whose key another file has: one of them would replace the other. The files are sorted.
    fn leave_out_repeated_keys(&mut self) {
        let mut before: Option<LocalFile> = None;
        let (mut kept, mut repeated) = (Vec::new(), Vec::new());
        for file in std::mem::take(&mut self.files) {
            match &before {
                Some(first) if first.key == file.key => {
                    let reason =
                        format!("{} has the same key; push it to another prefix", first.path.display());
                    repeated.push((file.path, reason));
                }
                _ => {
                    before = Some(file.clone());
                    kept.push(file);
                }
            }
        }
        self.files = kept;
        self.unreadable.extend(repeated);
    }
}

/// What a file begins with that may hold FHIR JSON: a value, the mark of UTF-8, a record of a text sequence, gzip, zstd.
const BEGINNINGS: [&[u8]; 6] = [b"{", b"[", b"\xef\xbb\xbf", b"\x1e", b"\x1f\x8b", b"\x28\xb5\x2f\xfd"];

/// Returns whether a file is something else, such as a README: its name is not that of a FHIR file, and it does not begin
/// like one. What cannot be read is told at its upload.
fn is_other(path: &Path) -> bool {
    if is_expected(path) {
        return false;
    }
    let mut beginning = Vec::new();
    let is_read = File::open(path).and_then(|file| file.take(1_024).read_to_end(&mut beginning)).is_ok();
    let text = beginning.trim_ascii_start();
    is_read && !BEGINNINGS.iter().any(|of_fhir| text.starts_with(of_fhir))
}

impl LocalFile {
    /// Returns whether nothing has written to the file for so long. A time in the future counts as long ago.
    pub(super) fn is_stable(&self, quiet: Duration) -> bool {
        self.stamp.modified.elapsed().map_or(true, |since| since >= quiet)
    }

    /// Returns whether the file is as it was when it was looked at.
    pub(super) fn is_as_it_was(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|metadata| Stamp::of(&metadata) == self.stamp)
    }
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self { size: metadata.len(), modified: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH) }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::find;

    #[test]
    fn keys_are_paths_within_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("day 1+ü/.git")).unwrap();
        fs::create_dir_all(folder.path().join("sent")).unwrap();
        for name in ["b.json", "day 1+ü/a.ndjson", "day 1+ü/.git/x", ".hidden.json", "sent/old.json"] {
            fs::write(folder.path().join(name), "{}").unwrap();
        }
        fs::write(folder.path().join("empty.json"), "").unwrap();
        let paths = [folder.path().to_owned()];
        let found = find(&paths, Some(&folder.path().join("sent"))).unwrap();
        let keys: Vec<_> = found.files.iter().map(|file| file.key.as_str()).collect();
        assert_eq!((&keys[..], found.empty), (&["b.json", "day 1+ü/a.ndjson"][..], 1));
        let file = &found.files[0];
        assert!(file.is_stable(Duration::ZERO) && !file.is_stable(Duration::from_hours(1)));
        assert!(file.is_as_it_was());
        fs::write(&file.path, "{ }").unwrap();
        assert!(!file.is_as_it_was());
    }

    #[test]
    fn several_paths_are_files_and_folders_without_two_of_a_key() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["one", "two"] {
            fs::create_dir_all(folder.path().join(name).join("deep")).unwrap();
            fs::write(folder.path().join(name).join("deep/a.json"), "{}").unwrap();
        }
        fs::write(folder.path().join("two/b.json"), "{}").unwrap();
        fs::write(folder.path().join("empty.json"), "").unwrap();
        let at = |name: &str| folder.path().join(name);
        let paths = [at("one"), at("two/b.json"), at("two"), at("two/b.json"), at("empty.json")];
        let found = find(&paths, None).unwrap();
        let keys: Vec<_> = found.files.iter().map(|file| file.key.as_str()).collect();
        assert_eq!((&keys[..], found.empty), (&["b.json", "deep/a.json"][..], 1));
        let [(path, reason)] = &found.unreadable[..] else { panic!("{found:?}") };
        assert!(
            *path == at("two/deep/a.json") && reason.contains("one/deep/a.json has the same key"),
            "{reason}"
        );
        assert!(find(&[at("none")], None).is_err());
        let device = find(&["/dev/null".into()], None).unwrap();
        assert!(device.files.is_empty() && device.unreadable[0].1.contains("neither a file"), "{device:?}");
    }
}
