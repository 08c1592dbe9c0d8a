//! What a file is known by in the ledger: its content, so that it is the same load wherever its times change.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use pipeline::object::{Pin, hex};
use sha2::{Digest as _, Sha256};

const READ_BYTES: usize = 256 << 10;

/// The SHA-256 of a file's content, where an object of a bucket has its `ETag`.
pub(super) async fn of_content(path: &Path) -> io::Result<Pin> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || digest(&path)).await.map_err(io::Error::other)?
}

fn digest(path: &Path) -> io::Result<Pin> {
    let (mut file, mut buffer, mut digest) = (File::open(path)?, vec![0; READ_BYTES], Sha256::new());
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(Pin::ETag(hex(&digest.finalize(), 32))),
            length => digest.update(buffer.get(..length).unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::of_content;
    use pipeline::object::Pin;

    #[tokio::test]
    async fn a_pin_is_the_content_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        std::fs::write(&path, "abc").unwrap();
        let pin = of_content(&path).await.unwrap();
        // FIPS 180-4, the example of one block.
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(pin, Pin::ETag(known.to_owned()));
        assert!(of_content(&folder.path().join("b.json")).await.is_err());
    }
}
