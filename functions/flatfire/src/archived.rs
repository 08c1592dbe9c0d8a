//! Objects in Glacier: they must be restored before they can be read.

use std::fs::File;
use std::path::Path;

use anyhow::Context as _;
use pipeline::notification::form_encode;
use pipeline::object::{ObjectRef, Pin};
use serde_json::json;

use crate::console;

/// Commands that are printed. For more objects S3 Batch Operations is the tool.
const PRINTED: u64 = 20;

/// Lists objects apart.
pub(crate) struct ArchivedObjects {
    /// A manifest of S3 Batch Operations: bucket, key and version in CSV.
    list: Option<csv::Writer<File>>,
    count: u64,
    is_json: bool,
}

impl ArchivedObjects {
    /// Collects objects of archive classes. With a path, all are written to a file that S3 Batch Operations takes.
    pub(crate) fn new(path: Option<&Path>, is_json: bool) -> anyhow::Result<Self> {
        let open = |path: &Path| {
            let file = File::create(path).with_context(|| format!("--archived {}", path.display()))?;
            anyhow::Ok(csv::WriterBuilder::new().has_headers(false).from_writer(file))
        };
        Ok(Self { list: path.map(open).transpose()?, count: 0, is_json })
    }

    /// Returns how many there are.
    pub(crate) const fn count(&self) -> u64 {
        self.count
    }

    /// Prints the command that restores an object, for the first ones, and adds it to the file.
    pub(crate) fn add(&mut self, object: &ObjectRef) -> anyhow::Result<()> {
        if self.count < PRINTED {
            let command = restore_command(object);
            if self.is_json {
                console::print_json(&json!({ "load": object.load_id(), "restore": command }))?;
            } else {
                console::print(&command)?;
            }
        }
        self.count += 1;
        if let Some(list) = &mut self.list {
            let version = version_of(object).unwrap_or_default();
            let line = [object.bucket.as_str(), &form_encode(&object.key), version];
            list.write_record(line).context("--archived: the file cannot be written")?;
        }
        Ok(())
    }

    /// Says how many there are and what is to do.
    pub(crate) fn finish(&mut self) -> anyhow::Result<()> {
        if let Some(list) = &mut self.list {
            list.flush().context("--archived: the file cannot be written")?;
        }
        if self.count > 0 {
            console::line(&format!(
                "flatfire: {} in Glacier, not sent; restore them, then run this again{}",
                self.count,
                if self.count > PRINTED && self.list.is_none() {
                    format!("; the commands for the first {PRINTED} are printed, --archived FILE lists all")
                } else {
                    String::new()
                }
            ));
        }
        Ok(())
    }
}

/// Returns the command of AWS that restores an object for a week.
pub(crate) fn restore_command(object: &ObjectRef) -> String {
    let version =
        version_of(object).map(|version| format!(" --version-id {}", quoted(version))).unwrap_or_default();
    format!(
        "aws s3api restore-object --bucket {} --key {}{version} \
         --restore-request 'Days=7,GlacierJobParameters={{Tier=Bulk}}'",
        object.bucket,
        quoted(&object.key)
    )
}

fn version_of(object: &ObjectRef) -> Option<&str> {
    match &object.pin {
        Pin::VersionId(version) => Some(version),
        Pin::ETag(_) | Pin::Latest => None,
    }
}

/// Quotes a text for a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use pipeline::object::{ObjectRef, Pin};

    use super::{ArchivedObjects, restore_command};

    fn object(pin: Pin) -> ObjectRef {
        let (bucket, key) = ("b".to_owned(), "in/it's, old.json".to_owned());
        ObjectRef { bucket, key, pin, sequencer: None, created: 0, size: Some(1) }
    }

    #[test]
    fn the_command_names_exactly_the_version() {
        let command = restore_command(&object(Pin::VersionId("v1".to_owned())));
        assert!(command.contains(r"--bucket b --key 'in/it'\''s, old.json' --version-id 'v1' "), "{command}");
        assert!(!restore_command(&object(Pin::ETag("t".to_owned()))).contains("--version-id"));
    }

    #[test]
    fn the_list_is_a_manifest_of_batch_operations() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut archived = ArchivedObjects::new(Some(file.path()), false).unwrap();
        archived.add(&object(Pin::VersionId("v1".to_owned()))).unwrap();
        archived.finish().unwrap();
        assert_eq!(std::fs::read_to_string(file.path()).unwrap(), "b,in/it%27s%2C+old.json,v1\n");
    }
}
