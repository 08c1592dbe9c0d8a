//! Memory and limits: nothing that an object holds makes the decoder hold more than one resource.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::super::{BrokenFrame, Decoder, DecoderLimits};
use super::{Owned, check_places, decode_with, gzip, patient, zstd};

const LIMITS: DecoderLimits = DecoderLimits { max_resource_bytes: 100 };

/// Returns the most that the buffer ever held while `raw` passed in chunks of 64 KiB.
fn peak_bytes(raw: &[u8], limits: DecoderLimits) -> (usize, u64) {
    let mut decoder = Decoder::new(limits);
    let mut peak = 0;
    for chunk in raw.chunks(64 << 10) {
        decoder.push(chunk);
        while decoder.next().is_some() {
            peak = peak.max(decoder.window.capacity());
        }
        peak = peak.max(decoder.window.capacity());
    }
    decoder.finish();
    while decoder.next().is_some() {}
    (peak.max(decoder.window.capacity()), decoder.summary().frames)
}

#[test]
fn a_bomb_does_not_fill_the_memory() {
    let limits = DecoderLimits { max_resource_bytes: 64 << 10 };
    let bound = (64 + 256) << 10;
    let spaces = vec![b' '; 1 << 20];
    let string = format!("{{\"a\":\"{}\"}}\n{{}}", "x".repeat(1 << 20));
    let text = "t".repeat(1 << 20);
    let lines = "{\"resourceType\":\"Patient\"}\n".repeat(38_000);
    for (name, plain, frames) in [
        ("white space", spaces.as_slice(), 0),
        ("a giant string", string.as_bytes(), 2),
        ("text", text.as_bytes(), 1),
        ("lines", lines.as_bytes(), 38_000),
        ("an array of spaces", [b"[", spaces.as_slice(), b"]"].concat().as_slice(), 0),
        ("a string as an element", format!("[\"{text}\",{{}}]").as_bytes(), 2),
        ("a number as an element", format!("[{text},{{}}]").as_bytes(), 2),
    ] {
        for raw in [plain.to_vec(), gzip(plain), zstd(plain)] {
            let (peak, counted) = peak_bytes(&raw, limits);
            assert!(peak <= bound, "{name}: {peak}");
            assert_eq!(counted, frames, "{name}");
        }
    }
}

#[test]
fn a_bundle_of_any_size_passes_in_bounded_memory() {
    let entry = format!("{{\"resource\":{}}}", patient(1));
    for (open, between, close) in [
        ("{\"resourceType\":\"Bundle\",\"entry\":[", ",", "]}"),
        ("{\"entry\":[", ",", "],\"resourceType\":\"Bundle\"}"),
        ("{\n  \"resourceType\": \"Bundle\",\n  \"entry\": [\n    ", ",\n    ", "\n  ]\n}\n"),
        ("{\"resourceType\":\"Bundle\",\"entry\":[\n", ",\n", "\n]}"),
    ] {
        let bundle = [open, vec![entry.as_str(); 20_000].join(between).as_str(), close].concat();
        let (peak, frames) = peak_bytes(bundle.as_bytes(), DecoderLimits { max_resource_bytes: 1 << 20 });
        assert_eq!(frames, 20_001);
        assert!(peak <= 400 << 10, "{open}: {peak}");
    }
}

#[test]
fn the_memory_of_a_giant_is_given_back() {
    let giant = format!("{{\"a\":\"{}\"}}\n", "x".repeat(5 << 20));
    let mut decoder = Decoder::new(DecoderLimits::default());
    giant.as_bytes().chunks(1 << 20).for_each(|chunk| decoder.push(chunk));
    assert!(decoder.next().is_some());
    assert!(decoder.next().is_none());
    decoder.push(b"{}\n");
    assert!(decoder.next().is_some());
    assert!(decoder.window.capacity() < 1 << 20);
}

#[test]
fn what_is_too_large_is_passed_over_and_the_rest_goes_on() {
    let big = |head: &str| format!("{{{head}\"a\":[{{\"x\":\"{}\"}}]}}", "y".repeat(100));
    let (large, small) = (big(""), r#"{"b":2}"#);
    let entry = r#"{"search":{}}"#;
    let too_large = || Owned::Broken(BrokenFrame::TooLarge);
    let resource = || Owned::Resource(small.to_owned());
    let entries = || Owned::Entry(0, entry.to_owned());
    let end = |envelope: &str| Owned::BundleEnd(0, envelope.to_owned());
    let typed = r#"{"resourceType":"Bundle"}"#;
    let many = vec![entry; 20].join(",");
    for (input, expected) in [
        (format!("{large}\n{small}\n"), vec![too_large(), resource()]),
        (
            format!("{small}\n{small}\n{large}\n{small}"),
            vec![resource(), resource(), too_large(), resource()],
        ),
        (
            format!("{small}\n{small}\n{}\n{small}", &large[..110]),
            vec![resource(), resource(), too_large(), resource()],
        ),
        (format!("[{large},{small}]"), vec![too_large(), resource()]),
        (format!("{}\n{small}", big("\n")), vec![too_large(), resource()]),
        (large[..110].to_owned(), vec![too_large()]),
        (format!("{}\n{small}\n{small}", &large[..110]), vec![too_large(), resource(), resource()]),
        (
            format!(r#"{{"resourceType":"Bundle","entry":[{entry},{large},{entry}]}}"#),
            vec![entries(), too_large(), entries(), end(typed)],
        ),
        // The first keys tell the Bundle before the limit is reached.
        (
            format!(r#"{{"entry":[{many}],"resourceType":"Bundle"}}"#),
            [vec![entries(); 20], vec![end(typed)]].concat(),
        ),
        // Nothing tells it before.
        (
            format!(r#"{{"entry":[{}],"resourceType":"Bundle"}} {small}"#, vec!["{}"; 50].join(",")),
            vec![too_large(), resource()],
        ),
        // What follows the entries is too large, alone or with what came before them.
        (
            format!(r#"{{"resourceType":"Bundle","entry":[{entry}],"x":{large}}}{small}"#),
            vec![entries(), too_large(), resource()],
        ),
        (
            format!(
                r#"{{"resourceType":"Bundle","id":"{0}","entry":[{entry}],"x":"{0}"}}{small}"#,
                "i".repeat(40)
            ),
            vec![entries(), too_large(), resource()],
        ),
    ] {
        for chunk_bytes in [1, 10, 1000] {
            let frames = decode_with(input.as_bytes(), chunk_bytes, LIMITS);
            check_places(input.as_bytes(), &frames);
            let frames: Vec<Owned> = frames.into_iter().map(|(_, frame)| frame).collect();
            assert_eq!(frames, expected, "{input} in chunks of {chunk_bytes}");
        }
    }
}

proptest! {
    #[test]
    fn a_limit_gives_the_same_frames_in_any_chunks(
        parts in prop::collection::vec((0_usize..6, 0_usize..80), 1..12), max_resource_bytes in 1_usize..200, chunk in 1_usize..300,
    ) {
        let mut text = String::new();
        for (kind, size) in parts {
            match kind {
                0 => writeln!(text, "{{\"a\":\"{}\"}}", "{\n".repeat(size)).unwrap(),
                1 => writeln!(text, "{{\"entry\":[{{\"id\":\"{}\"}},\n{{\"resource\":1}}]}}", "x".repeat(size)).unwrap(),
                2 => writeln!(text, "{{\n{}}}", " ".repeat(size)).unwrap(),
                3 => write!(text, "{{\"a\":[\n{}{{\"x\":1}},\n{{", "{\"y\":2},\n".repeat(size / 10)).unwrap(),
                4 => writeln!(text, "{}", "[".repeat(size / 10)).unwrap(),
                _ => writeln!(text, "{}", patient(size)).unwrap(),
            }
        }
        let limits = DecoderLimits { max_resource_bytes };
        let frames = decode_with(text.as_bytes(), chunk, limits);
        check_places(text.as_bytes(), &frames);
        prop_assert_eq!(frames, decode_with(text.as_bytes(), usize::MAX, limits));
    }
}

/// Lines that each may hold what follows would have everything read again at every line.
#[test]
fn a_file_made_to_be_read_again_and_again_ends() {
    let file = "{\"a\":[\n".repeat(20_000);
    let mut decoder = Decoder::new(DecoderLimits { max_resource_bytes: 1 << 20 });
    decoder.push(file.as_bytes());
    decoder.finish();
    let mut frames = 0;
    while decoder.next().is_some() {
        frames += 1;
    }
    assert!(frames > 8, "{frames}");
    assert!(decoder.framer.reread_bytes <= (1 << 20) + 8 * file.len() as u64);
}
