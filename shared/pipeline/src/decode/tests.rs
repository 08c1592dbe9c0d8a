//! Tests of the decoder: bytes in, frames out, and whatever must hold for all of them.

mod bounds;
mod broken_lines;
mod cases;
mod compression;
mod formats;
mod generated;
mod samples;
mod steps;

use std::io::Write;

use super::{BrokenFrame, Decoder, DecoderLimits, Frame, FramePlace};

/// A frame that owns its bytes, to be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Owned {
    Resource(String),
    Entry(u64, String),
    BundleEnd(u64, String),
    Broken(BrokenFrame),
}

/// Frames and their places, of a plain object whose lines are taken whole wherever they are an object.
pub(super) fn decode_lines(raw: &[u8], chunk_bytes: usize) -> Vec<(FramePlace, Owned)> {
    let mut decoder = Decoder::new(DecoderLimits::default());
    let mut frames = Vec::new();
    let mut drain = |decoder: &mut Decoder| {
        loop {
            if let Some((place, line)) = decoder.line_ahead().filter(|(_, line)| is_resource(line)) {
                frames.push((place, Owned::Resource(String::from_utf8_lossy(line).into_owned())));
                decoder.consume_line(place);
            } else if let Some(frame) = decoder.next() {
                frames.push((frame.place(), owned(&frame)));
            } else {
                break;
            }
        }
    };
    for chunk in raw.chunks(chunk_bytes) {
        decoder.push(chunk);
        drain(&mut decoder);
    }
    decoder.finish();
    drain(&mut decoder);
    frames
}

/// Returns whether a line is one object whose type comes first, and no Bundle.
fn is_resource(line: &[u8]) -> bool {
    let is_first = line.starts_with(b"{\"resourceType\":");
    let object = serde_json::from_slice::<serde_json::Value>(line);
    is_first
        && object.is_ok_and(|object| object["resourceType"] != "Bundle" && object["resourceType"].is_string())
}

/// Frames and their places, of `raw` pushed in chunks of `chunk_bytes`.
pub(super) fn decode_with(raw: &[u8], chunk_bytes: usize, limits: DecoderLimits) -> Vec<(FramePlace, Owned)> {
    let mut decoder = Decoder::new(limits);
    let mut frames = Vec::new();
    let mut drain = |decoder: &mut Decoder| {
        while let Some(frame) = decoder.next() {
            frames.push((frame.place(), owned(&frame)));
        }
    };
    for chunk in raw.chunks(chunk_bytes.max(1)) {
        decoder.push(chunk);
        drain(&mut decoder);
    }
    decoder.finish();
    drain(&mut decoder);
    assert!(decoder.next().is_none(), "the end is the end");
    assert_eq!(decoder.summary().bytes_in, raw.len() as u64);
    assert_eq!(decoder.summary().frames, frames.len() as u64);
    frames
}

/// Returns the frames of a plain object, after checking that every place is true.
pub(super) fn decode(plain: &[u8], chunk_bytes: usize) -> Vec<Owned> {
    let frames = decode_with(plain, chunk_bytes, DecoderLimits::default());
    check_places(plain, &frames);
    frames.into_iter().map(|(_, frame)| frame).collect()
}

/// Offsets, lengths, lines and ordinals against the inflated bytes; no two ranges overlap.
pub(super) fn check_places(inflated: &[u8], frames: &[(FramePlace, Owned)]) {
    let (mut end, mut counted, mut line) = (0, 0, 1);
    for (ordinal, (place, frame)) in frames.iter().enumerate() {
        assert_eq!(place.ordinal, ordinal as u64);
        assert!(place.offset >= end, "{frame:?} at {place:?} overlaps the one before, which ends at {end}");
        end = place.offset + place.length;
        let (from, to) = (usize::try_from(place.offset).unwrap(), usize::try_from(end).unwrap());
        let bytes = inflated.get(from..to).unwrap_or_else(|| panic!("{place:?} is outside of the object"));
        line += memchr::memchr_iter(b'\n', &inflated[counted..from]).count() as u64;
        counted = from;
        assert_eq!(place.line, line, "{frame:?} at {place:?}");
        if let Owned::Resource(text) | Owned::Entry(_, text) = frame {
            assert_eq!(text.as_bytes(), String::from_utf8_lossy(bytes).as_bytes());
            assert!(text.starts_with('{') && text.ends_with(['}', ']']));
        }
    }
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

/// Returns a JSON resource that is easy to tell from others.
pub(super) fn patient(number: usize) -> String {
    format!(r#"{{"resourceType":"Patient","id":"p{number}","name":[{{"given":["A{{","\"]\\"]}}]}}"#)
}

fn owned(frame: &Frame<'_>) -> Owned {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match frame {
        Frame::Resource { bytes, .. } => Owned::Resource(text(bytes)),
        Frame::Entry { bytes, bundle, .. } => Owned::Entry(*bundle, text(bytes)),
        Frame::BundleEnd { envelope, bundle, .. } => Owned::BundleEnd(*bundle, text(envelope)),
        Frame::Broken { reason, .. } => Owned::Broken(*reason),
    }
}
