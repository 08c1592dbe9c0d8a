//! What a file is known by in the ledger: its content, so that it is the same load wherever its times change.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use pipeline::object::{Pin, hex};
use sha2::{Digest as _, Sha256};

const READ_BYTES: usize = 256 << 10;

/// What gzip and Zstandard files begin with.
const COMPRESSED: [&[u8]; 2] = [&[0x1f, 0x8b], &[0x28, 0xb5, 0x2f, 0xfd]];

/// A file's content.
#[derive(Debug)]
pub(super) struct Content {
    /// Its SHA-256, where an object of a bucket has its `ETag`.
    pub(super) pin: Pin,
    /// Whether it may inflate to much more.
    pub(super) is_compressed: bool,
}

/// Reads a file once.
pub(super) async fn of_content(path: &Path) -> io::Result<Content> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || digest(&path)).await.map_err(io::Error::other)?
}

fn digest(path: &Path) -> io::Result<Content> {
    let mut file = File::open(path)?;
    let size = usize::try_from(file.metadata()?.len()).unwrap_or(READ_BYTES);
    let mut buffer = vec![0; size.clamp(1, READ_BYTES)];
    let (mut digest, mut is_compressed) = (Sha256::new(), None);
    loop {
        let length = file.read(&mut buffer)?;
        let read = buffer.get(..length).unwrap_or_default();
        if read.is_empty() {
            let pin = Pin::ETag(hex(&digest.finalize(), 32));
            return Ok(Content { pin, is_compressed: is_compressed.unwrap_or_default() });
        }
        is_compressed.get_or_insert_with(|| COMPRESSED.iter().any(|magic| read.starts_with(magic)));
        digest.update(read);
    }
}

#[cfg(test)]
mod tests {
    use super::{Content, of_content};
    use pipeline::object::Pin;

    #[tokio::test]
    async fn a_pin_is_the_content_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        std::fs::write(&path, "abc").unwrap();
        let Content { pin, is_compressed } = of_content(&path).await.unwrap();
        assert!(!is_compressed);
        // FIPS 180-4, the example of one block.
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(pin, Pin::ETag(known.to_owned()));
        std::fs::write(&path, [0x1f, 0x8b, 0]).unwrap();
        assert!(of_content(&path).await.unwrap().is_compressed);
        assert!(of_content(&folder.path().join("b.json")).await.is_err());
    }
}
