//! One record of an object, by its exact bytes.

use std::io::{self, Write};

use flate2::write::MultiGzDecoder;
use pipeline::interrupted::Interrupted;
use pipeline::object::ObjectRef;
use pipeline::source::{Opened, ReadFailure, Storage};
use zstd::stream::write::Decoder as ZstdDecoder;

/// What gzip data begins with (RFC 1952, section 2.3.1).
const GZIP: &[u8] = &[0x1f, 0x8b];
/// What zstd data begins with (RFC 8878, section 3.1.1).
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// Returns the bytes from `offset` on, `length` of them, counted after decompression; `None`: the object has no such
/// record. Of an object that is not compressed nothing else is read.
pub(crate) async fn record_bytes(
    storage: &Storage,
    object: &ObjectRef,
    offset: u64,
    length: u64,
) -> Result<Option<Vec<u8>>, ReadFailure> {
    let mut opened = storage.open(object, 0).await?;
    let first = opened.next_chunk().await?.unwrap_or_default();
    let cut = RangeWriter {
        before: offset,
        length: usize::try_from(length).unwrap_or(usize::MAX),
        bytes: Vec::new(),
    };
    if first.starts_with(GZIP) {
        return inflated(opened, &first, RecordInflater::Gzip(Box::new(MultiGzDecoder::new(cut)))).await;
    }
    if first.starts_with(ZSTD) {
        let decoder = ZstdDecoder::new(cut).map_err(|_| undecodable())?;
        return inflated(opened, &first, RecordInflater::Zstd(decoder)).await;
    }
    drop(opened);
    range(storage.open(object, offset).await?, cut.length).await
}

/// Returns the first bytes of what is read, so many of them.
async fn range(mut opened: Opened, length: usize) -> Result<Option<Vec<u8>>, ReadFailure> {
    let mut bytes = Vec::new();
    while bytes.len() < length {
        let Some(chunk) = opened.next_chunk().await? else { return Ok(None) };
        bytes.extend_from_slice(&chunk);
    }
    bytes.truncate(length);
    Ok(Some(bytes))
}

/// Inflates the data. Compressed data is read from its beginning, until the record comes.
async fn inflated(
    mut opened: Opened,
    first: &[u8],
    mut inflater: RecordInflater,
) -> Result<Option<Vec<u8>>, ReadFailure> {
    inflater.push(first)?;
    while !inflater.cut().is_whole() {
        match opened.next_chunk().await? {
            Some(chunk) => inflater.push(&chunk)?,
            None => break,
        }
    }
    let cut = inflater.cut();
    Ok(cut.is_whole().then(|| std::mem::take(&mut cut.bytes)))
}

/// Decompresses what it is given and passes on what comes out.
enum RecordInflater {
    Gzip(Box<MultiGzDecoder<RangeWriter>>),
    Zstd(ZstdDecoder<'static, RangeWriter>),
}

impl RecordInflater {
    /// Adds bytes. What follows the record does not matter, even if it cannot be decompressed.
    fn push(&mut self, bytes: &[u8]) -> Result<(), ReadFailure> {
        let pushed = match self {
            Self::Gzip(decoder) => decoder.write_all(bytes).and_then(|()| decoder.flush()),
            Self::Zstd(decoder) => decoder.write_all(bytes).and_then(|()| decoder.flush()),
        };
        if pushed.is_err() && !self.cut().is_whole() { Err(undecodable()) } else { Ok(()) }
    }

    fn cut(&mut self) -> &mut RangeWriter {
        match self {
            Self::Gzip(decoder) => decoder.get_mut(),
            Self::Zstd(decoder) => decoder.get_mut(),
        }
    }
}

fn undecodable() -> ReadFailure {
    Interrupted::Read { code: "undecodable".to_owned() }.into()
}

/// Keeps a range of the bytes that are written to it.
struct RangeWriter {
    /// So many bytes are still to come before it.
    before: u64,
    length: usize,
    bytes: Vec<u8>,
}

impl RangeWriter {
    const fn is_whole(&self) -> bool {
        self.before == 0 && self.bytes.len() >= self.length
    }
}

impl Write for RangeWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let skipped = self.before.min(bytes.len() as u64);
        self.before -= skipped;
        let rest = bytes.iter().skip(usize::try_from(skipped).unwrap_or(bytes.len()));
        self.bytes.extend(rest.take(self.length - self.bytes.len()));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use pipeline::object::{ObjectRef, Pin};
    use pipeline::source::Storage;

    use super::record_bytes;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[tokio::test]
    async fn any_range_comes_out_of_any_compression_in_any_number_of_parts() {
        let text: Vec<u8> =
            (0..700_000_u64).map(|number| u8::try_from(number * number / 7 % 251).unwrap()).collect();
        let (one, two) = text.split_at(300_000);
        let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 3).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let forms = [
            text.clone(),
            gzip(&text),
            [gzip(one), gzip(two)].concat(),
            zstd(&text),
            [zstd(one), zstd(two)].concat(),
            [gzip(&text), b"no gzip".to_vec()].concat(),
        ];
        let (bucket, key, pin) = ("file".to_owned(), "a".to_owned(), Pin::Latest);
        let object = ObjectRef { bucket, key, pin, sequencer: None, created: 0, size: None };
        for (form, bytes) in forms.iter().enumerate() {
            std::fs::write(&path, bytes).unwrap();
            let storage = Storage::File(path.clone());
            for (offset, length) in
                [(0, 1), (0, 700_000), (299_990, 20), (699_999, 1), (300_000, 0), (12_345, 500_000)]
            {
                let cut = record_bytes(&storage, &object, offset as u64, length as u64).await.unwrap();
                assert!(cut.as_deref() == Some(&text[offset..offset + length]), "{form} {offset} {length}");
            }
            if form < 5 {
                assert_eq!(record_bytes(&storage, &object, 699_999, 2).await.unwrap(), None, "{form}");
            }
        }
        let cut_off = &forms[1][..forms[1].len() / 2];
        std::fs::write(&path, cut_off).unwrap();
        assert_eq!(record_bytes(&Storage::File(path), &object, 690_000, 10).await.unwrap(), None);
    }
}
