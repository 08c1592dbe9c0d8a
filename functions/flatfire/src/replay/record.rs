//! One record of an object, by its exact bytes.

use pipeline::decode::{Decoder, Frame, Limits};
use pipeline::interrupted::Interrupted;
use pipeline::object::ObjectRef;
use pipeline::source::{Opened, ReadFailure, Storage};

/// What compressed data begins with: gzip (RFC 1952, section 2.3.1) and zstd (RFC 8878, section 3.1.1).
const COMPRESSED: [&[u8]; 2] = [&[0x1f, 0x8b], &[0x28, 0xb5, 0x2f, 0xfd]];

/// The bytes from `offset` on, `length` of them, counted after decompression; `None`: the object is gone, or has no
/// such record. Of an object that is not compressed nothing else is read.
pub(super) async fn bytes(
    storage: &Storage,
    object: &ObjectRef,
    offset: u64,
    length: u64,
) -> Result<Option<Vec<u8>>, Interrupted> {
    let read = async {
        let mut opened = storage.open(object, 0).await?;
        let first = opened.next_chunk().await?.unwrap_or_default();
        if COMPRESSED.iter().any(|magic| first.starts_with(magic)) {
            return decoded(opened, &first, offset, length).await;
        }
        drop(opened);
        range(storage.open(object, offset).await?, length).await
    };
    match read.await {
        Ok(bytes) => Ok(bytes),
        Err(ReadFailure::Gone) => Ok(None),
        Err(ReadFailure::Interrupted(interrupted)) => Err(interrupted),
    }
}

/// The first bytes of what is read, so many of them.
async fn range(mut opened: Opened, length: u64) -> Result<Option<Vec<u8>>, ReadFailure> {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let mut bytes = Vec::new();
    while bytes.len() < length {
        let Some(chunk) = opened.next_chunk().await? else { return Ok(None) };
        bytes.extend_from_slice(&chunk);
    }
    bytes.truncate(length);
    Ok(Some(bytes))
}

/// Compressed data is read from its beginning, until the record comes.
async fn decoded(
    mut opened: Opened,
    first: &[u8],
    offset: u64,
    length: u64,
) -> Result<Option<Vec<u8>>, ReadFailure> {
    let mut decoder = Decoder::new(Limits::default());
    decoder.push(first);
    loop {
        while let Some(frame) = decoder.next() {
            let (place, bytes) = match frame {
                Frame::Resource { place, bytes } | Frame::Entry { place, bytes, .. } => (place, bytes),
                Frame::BundleEnd { .. } | Frame::Broken { .. } => continue,
            };
            if offset >= place.offset && offset + length <= place.offset + place.length {
                let start = usize::try_from(offset - place.offset).unwrap_or(usize::MAX);
                let end = start.saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
                return Ok(bytes.get(start..end).map(<[u8]>::to_vec));
            }
        }
        match opened.next_chunk().await? {
            Some(chunk) => decoder.push(&chunk),
            None => return Ok(None),
        }
    }
}
