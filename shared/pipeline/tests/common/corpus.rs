//! The files of the feature `corpus`: public FHIR samples that stand beside the repository.

use std::path::{Path, PathBuf};

/// Returns the folder of the public samples.
///
/// # Panics
/// Without the folder: a test of the feature never passes without its data.
pub(crate) fn public_samples() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fhir/samples");
    assert!(folder.is_dir(), "the feature `corpus` needs the public samples in {}", folder.display());
    folder
}
