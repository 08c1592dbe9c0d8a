//! Compression changes nothing about the frames; a cut or corrupt stream costs its tail.

use proptest::prelude::*;

use super::super::{BrokenFrame, Compression, Decoder, DecoderLimits, FramePlace};
use super::{Owned, check_places, decode_with, gzip, patient, zstd};

/// Returns a file in which every kind of frame occurs.
fn mixed() -> String {
    let entries: Vec<String> =
        (0..20).map(|number| format!(r#"{{"resource":{}}}"#, patient(number))).collect();
    let bundle = format!(r#"{{"type":"batch","entry":[{}],"resourceType":"Bundle"}}"#, entries.join(","));
    [patient(1), bundle, "broken".to_owned(), patient(2), r#"{"resourceType":"Pa"#.to_owned(), patient(3)]
        .join("\n")
}

fn frames_of(raw: &[u8], chunk_bytes: usize) -> Vec<(FramePlace, Owned)> {
    decode_with(raw, chunk_bytes, DecoderLimits::default())
}

fn packed(kind: usize, bytes: &[u8]) -> Vec<u8> {
    let (head, tail) = bytes.split_at(bytes.len() / 3);
    match kind {
        0 => bytes.to_vec(),
        1 => gzip(bytes),
        2 => [gzip(head), gzip(b""), gzip(tail)].concat(),
        3 => zstd(bytes),
        // A skippable frame between two others.
        4 => [zstd(head), vec![0x53, 0x2A, 0x4D, 0x18, 3, 0, 0, 0, 9, 9, 9], zstd(tail)].concat(),
        _ => [gzip(bytes), vec![0; 512]].concat(),
    }
}

proptest! {
    #[test]
    fn neither_packing_nor_chunks_matter(kind in 0_usize..6, chunk in prop_oneof![1_usize..40, 40_usize..5000]) {
        let plain = mixed();
        let expected = frames_of(plain.as_bytes(), usize::MAX);
        check_places(plain.as_bytes(), &expected);
        prop_assert_eq!(frames_of(&packed(kind, plain.as_bytes()), chunk), expected);
    }

    #[test]
    fn a_cut_stream_keeps_what_was_whole(kind in 1_usize..5, keep in 0.0_f64..1.0, chunk in 1_usize..700) {
        let plain = mixed();
        let whole = frames_of(plain.as_bytes(), usize::MAX);
        let raw = packed(kind, plain.as_bytes());
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a share")]
        let cut = &raw[..((raw.len() as f64 * keep) as usize).max(4)];
        let frames = frames_of(cut, chunk);
        check_prefix(&frames, &whole);
        prop_assert_eq!(&frames, &frames_of(cut, usize::MAX));
    }

    #[test]
    fn a_corrupt_stream_keeps_what_was_whole(kind in 1_usize..5, at: prop::sample::Index, bit in 0_u32..8, chunk in 1_usize..700) {
        let plain = mixed();
        let mut raw = packed(kind, plain.as_bytes());
        // Neither the magic, without which it is another file, nor header fields that have no effect.
        let at = 10 + at.index(raw.len() - 10);
        raw[at] ^= 1 << bit;
        prop_assert_eq!(frames_of(&raw, chunk), frames_of(&raw, usize::MAX));
    }
}

/// Checks that all frames but the last are the whole file's. The last one tells what happened, if anything is missing.
fn check_prefix(frames: &[(FramePlace, Owned)], whole: &[(FramePlace, Owned)]) {
    if frames == whole {
        return;
    }
    let ((_, last), before) = frames.split_last().unwrap();
    if let Some(first_difference) = before.iter().zip(whole).position(|(frame, expected)| frame != expected) {
        // A line of text that was cut is still a broken line.
        assert_eq!(first_difference, before.len() - 1);
        assert_eq!(before.last().unwrap().1, Owned::Broken(BrokenFrame::NotJson));
    }
    // Between two members nothing shows that another was to follow.
    assert!(
        matches!(
            last,
            Owned::Broken(BrokenFrame::CutCompression | BrokenFrame::TrailingData | BrokenFrame::Truncated)
        ),
        "{last:?}"
    );
    let told =
        frames.iter().filter(|(_, frame)| *frame == Owned::Broken(BrokenFrame::CutCompression)).count();
    assert!(told <= 1);
}

#[test]
fn a_cut_is_told_once_with_its_place() {
    let plain: String = (0..8000).map(|number| patient(number) + "\n").collect();
    for raw in [gzip(plain.as_bytes()), zstd(plain.as_bytes())] {
        for length in [raw.len() / 2, raw.len() - 1] {
            let frames = frames_of(&raw[..length], 10_000);
            let ((place, last), before) = frames.split_last().unwrap();
            assert_eq!(*last, Owned::Broken(BrokenFrame::CutCompression));
            assert!(
                before
                    .iter()
                    .enumerate()
                    .all(|(number, (_, frame))| *frame == Owned::Resource(patient(number)))
            );
            let end = before.last().map_or(0, |(place, _)| place.offset + place.length);
            assert!(before.len() > 100 && (end..=end + 1).contains(&place.offset));
        }
    }
}

#[test]
fn a_cut_before_any_content_is_told() {
    for length in 2..=10 {
        assert_eq!(
            frames_of(&gzip(b"{}")[..length], 1),
            [(
                FramePlace { ordinal: 0, offset: 0, length: 0, line: 1 },
                Owned::Broken(BrokenFrame::CutCompression)
            )]
        );
    }
}

#[test]
fn a_flipped_bit_is_found_by_the_checksum() {
    let plain: String = (0..100).map(|number| patient(number) + "\n").collect();
    let mut raw = gzip(plain.as_bytes());
    let checksum = raw.len() - 8;
    raw[checksum] ^= 1;
    let frames = frames_of(&raw, 100);
    assert_eq!(frames.len(), 101);
    assert_eq!(frames.last().unwrap().1, Owned::Broken(BrokenFrame::CorruptCompression));
}

/// A Zstandard frame of a raw block, which is sound, and one of a type that does not exist.
#[test]
fn a_corrupt_block_leaves_the_block_before_it() {
    let line = b"{\"a\":1}\n";
    let header = [0x28, 0xB5, 0x2F, 0xFD, 0x00, 0x58, 8 << 3, 0, 0];
    let raw = [header.as_slice(), line, &[7, 0, 0, 1, 2, 3]].concat();
    for chunk_bytes in [1, 5, 9, 100] {
        let frames: Vec<Owned> = frames_of(&raw, chunk_bytes).into_iter().map(|(_, frame)| frame).collect();
        let expected =
            [Owned::Resource("{\"a\":1}".to_owned()), Owned::Broken(BrokenFrame::CorruptCompression)];
        assert_eq!(frames, expected, "chunks of {chunk_bytes}");
    }
}

#[test]
fn other_data_behind_is_told() {
    for raw in [gzip(b"{}\n"), zstd(b"{}\n")] {
        for tail in [b"x".as_slice(), b"{\"a\":1}", &[0, 0, 0, 7, 7, 7, 7]] {
            let frames = frames_of(&[raw.as_slice(), tail].concat(), 3);
            let kinds: Vec<&Owned> = frames.iter().map(|(_, frame)| frame).collect();
            assert_eq!(kinds, [&Owned::Resource("{}".to_owned()), &Owned::Broken(BrokenFrame::TrailingData)]);
        }
    }
}

#[test]
fn the_packing_is_told() {
    for (raw, expected) in [
        (b"{}".to_vec(), Compression::Plain),
        (b"\x1F".to_vec(), Compression::Plain),
        (gzip(b"{}"), Compression::Gzip),
        (zstd(b"{}"), Compression::Zstd),
    ] {
        let mut decoder = Decoder::new(DecoderLimits::default());
        for byte in &raw {
            decoder.push(&[*byte]);
        }
        decoder.finish();
        while decoder.next().is_some() {}
        assert_eq!(decoder.summary().compression, expected);
    }
}
