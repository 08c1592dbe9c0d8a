//! Any bytes as an object: no panic, true places, and the same frames however the bytes arrive.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pipeline::decode::{BrokenFrame, Decoder, Frame, Limits, Place};

/// Small enough that a short input exceeds it.
const LIMITS: Limits = Limits { max_resource_bytes: 300 };

#[derive(Debug, PartialEq)]
enum Owned {
    Bytes(Vec<u8>),
    Envelope(Vec<u8>),
    Broken(BrokenFrame),
}

fn decode(object: &[u8], chunk_bytes: usize) -> Vec<(Place, Owned)> {
    let mut decoder = Decoder::new(LIMITS);
    let mut frames = Vec::new();
    for chunk in object.chunks(chunk_bytes) {
        decoder.push(chunk);
        drain(&mut decoder, &mut frames);
    }
    decoder.finish();
    drain(&mut decoder, &mut frames);
    let summary = decoder.summary();
    assert_eq!((summary.bytes_in, summary.frames), (object.len() as u64, frames.len() as u64));
    frames
}

fn drain(decoder: &mut Decoder, frames: &mut Vec<(Place, Owned)>) {
    while let Some(frame) = decoder.next() {
        let owned = match &frame {
            Frame::Resource { bytes, .. } | Frame::Entry { bytes, .. } => Owned::Bytes(bytes.to_vec()),
            Frame::BundleEnd { envelope, .. } => Owned::Envelope(envelope.to_vec()),
            Frame::Broken { reason, .. } => Owned::Broken(*reason),
        };
        frames.push((frame.place(), owned));
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((chunk_bytes, object)) = input.split_first() else { return };
    let frames = decode(object, usize::MAX);
    assert_eq!(decode(object, 1 + usize::from(*chunk_bytes)), frames);
    let mut end = 0;
    for (ordinal, (place, owned)) in frames.iter().enumerate() {
        assert_eq!(place.ordinal, ordinal as u64);
        assert!(place.offset >= end, "two ranges overlap");
        end = place.offset + place.length;
        if let Owned::Bytes(bytes) = owned {
            assert!(bytes.starts_with(b"{") && bytes.len() as u64 == place.length);
        }
    }
});
