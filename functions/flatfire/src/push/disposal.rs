//! What becomes of a file here once it is where it should be.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use super::files::LocalFile;

/// Whether a file is deleted, moved or left alone after its upload.
#[derive(Debug, Args)]
pub(super) struct Disposal {
    /// Delete a file here once it is uploaded; with --to, once its rows stand
    #[arg(long, conflicts_with = "move_to")]
    delete_after: bool,
    /// Move a file there once it is uploaded; with --to, once its rows stand
    #[arg(long, value_name = "DIR")]
    pub(super) move_to: Option<PathBuf>,
}

impl Disposal {
    /// Deletes or moves an uploaded file, if that is asked for and the file has not changed since.
    pub(super) fn put_away(&self, file: &LocalFile) -> anyhow::Result<()> {
        if !(self.delete_after || self.move_to.is_some()) || !file.is_as_it_was() {
            return Ok(());
        }
        let Some(folder) = &self.move_to else {
            return std::fs::remove_file(&file.path).context("uploaded, but cannot be deleted");
        };
        let to = folder.join(&file.relative);
        if let Some(parent) = to.parent() {
            std::fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
        }
        // Another disk cannot take a file by its name alone.
        if std::fs::rename(&file.path, &to).is_err() {
            std::fs::copy(&file.path, &to).context("uploaded, but cannot be moved")?;
            std::fs::remove_file(&file.path).context("copied, but cannot be deleted")?;
        }
        Ok(())
    }
}
