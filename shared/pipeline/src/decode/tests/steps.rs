//! Steps: the decoder lets its caller look at the clock, asks before it holds much, and goes on in the middle.

use super::super::{BrokenFrame, Decoder, DecoderLimits, FramePlace, LARGE_BYTES, Step};
use super::{Owned, decode_with, gzip, owned, patient, zstd};

/// What came between frames, and the frames, of an object that is pushed whole.
#[derive(Debug, Default)]
struct Steps {
    pauses: u64,
    permits: u64,
    frames: Vec<Owned>,
    inflated_bytes: u64,
}

fn steps(raw: &[u8], chunk_bytes: usize, limits: DecoderLimits) -> Steps {
    let mut decoder = Decoder::new(limits);
    let (mut steps, mut chunks) = (Steps::default(), raw.chunks(chunk_bytes));
    let (mut at, mut is_finished) = (0, false);
    loop {
        match decoder.step() {
            Step::Frame(frame) => steps.frames.push(owned(&frame)),
            Step::Pause => steps.pauses += 1,
            Step::NeedsPermit => {
                steps.permits += 1;
                decoder.allow_large(true);
            }
            Step::NeedsBytes if is_finished => break,
            Step::NeedsBytes => {
                let chunk = chunks.next();
                is_finished = chunk.is_none();
                decoder.push(chunk.unwrap_or_default());
                if is_finished {
                    decoder.finish();
                }
            }
        }
        let end = decoder.summary().bytes_out;
        assert!(end - at <= (4 << 20) + (256 << 10) + chunk_bytes as u64, "{} bytes in one step", end - at);
        at = end;
        if !decoder.is_large() {
            decoder.allow_large(false);
        }
    }
    steps.inflated_bytes = decoder.summary().bytes_out;
    steps
}

#[test]
fn nothing_that_inflates_keeps_the_caller_from_the_clock() {
    let size = 24 << 20;
    for (name, plain, last) in [
        ("white space", vec![b' '; size], None),
        ("newlines", vec![b'\n'; size], None),
        ("text", vec![b't'; size], Some(BrokenFrame::NotJson)),
        ("a string", [b"{\"a\":\"", vec![b'x'; size].as_slice()].concat(), Some(BrokenFrame::TooLarge)),
    ] {
        for raw in [gzip(&plain), zstd(&plain)] {
            let steps = steps(&raw, 256 << 10, DecoderLimits { max_resource_bytes: 4 << 20 });
            assert!(steps.pauses >= 4, "{name}: {steps:?}");
            assert_eq!(steps.frames.last(), last.map(Owned::Broken).as_ref(), "{name}");
            assert_eq!(steps.inflated_bytes, plain.len() as u64, "{name}");
        }
    }
}

#[test]
fn what_inflates_too_much_is_not_inflated_on() {
    let limits = DecoderLimits { max_resource_bytes: 64 << 10 };
    let line = patient(1) + "\n";
    let bomb = [line.as_bytes(), &vec![b' '; 32 << 20], line.as_bytes()].concat();
    let raw = zstd(&bomb);
    for chunk_bytes in [100, 1 << 20] {
        let steps = steps(&raw, chunk_bytes, limits);
        let expected = [Owned::Resource(patient(1)), Owned::Broken(BrokenFrame::InflatesTooMuch)];
        assert_eq!(steps.frames, expected);
        let most = limits.max_inflated_bytes(raw.len() as u64) + (256 << 10);
        assert!(steps.inflated_bytes <= most, "{} of {most}", steps.inflated_bytes);
    }
    // The same within what is allowed: at the default, 1 GiB and 200 times what is stored.
    assert_eq!(decode_with(&raw, 1 << 20, DecoderLimits::default()).len(), 2);
    assert_eq!(DecoderLimits::default().max_inflated_bytes(10), (1 << 30) + 2_000);
}

#[test]
fn a_large_value_needs_a_permit_and_others_do_not() {
    let limits = DecoderLimits { max_resource_bytes: 16 << 20 };
    let value = |bytes: usize| format!("{{\"a\":\"{}\"}}\n", "x".repeat(bytes));
    for (text, permits) in [
        (value(LARGE_BYTES - 1_000).repeat(2), 0),
        (value(LARGE_BYTES + (1 << 20)) + &value(10) + &value(LARGE_BYTES + (1 << 20)), 2),
        (patient(1).repeat(100_000), 0),
        (" ".repeat(2 * LARGE_BYTES), 0),
        // Longer than the limit: passed over, nothing of it is held.
        (value(20 << 20), 1),
    ] {
        for raw in [text.as_bytes().to_vec(), gzip(text.as_bytes())] {
            assert_eq!(steps(&raw, 64 << 10, limits).permits, permits, "{}", text.len());
        }
    }
}

/// Returns the header of a Zstandard frame with that window, and one raw block.
fn zstd_with_window(window: u8) -> Vec<u8> {
    let text = b"{\"a\":1}\n";
    let block = [u8::try_from(text.len() << 3 | 1).unwrap(), 0, 0];
    [[0x28, 0xB5, 0x2F, 0xFD, 0x00, window].as_slice(), &block, text].concat()
}

#[test]
fn large_windows_need_a_permit_and_giant_ones_are_refused() {
    let one = [Owned::Resource("{\"a\":1}".to_owned())];
    let refused = [Owned::Broken(BrokenFrame::WindowTooLarge)];
    // The exponent of the window stands above three bits of mantissa; it counts from 10.
    for (log, mantissa, permits, frames) in [
        (20, 0, 0, one.as_slice()),
        (23, 0, 0, &one),
        (23, 1, 1, &one),
        (27, 0, 1, &one),
        (27, 1, 0, &refused),
        (31, 0, 0, &refused),
        (41, 7, 0, &refused),
    ] {
        for chunk_bytes in [1, 5, 1000] {
            let raw = zstd_with_window((log - 10) << 3 | mantissa);
            let steps = steps(&raw, chunk_bytes, DecoderLimits::default());
            assert_eq!(
                (steps.permits, steps.frames.as_slice()),
                (permits, frames),
                "2^{log} and {mantissa}/8"
            );
        }
    }
    // A frame of one segment, as `zstd` writes files whose size it knows: its size is its window.
    let line = "x".repeat(LARGE_BYTES + 1);
    let segment = zstd::bulk::compress(line.as_bytes(), 1).unwrap();
    assert!(steps(&segment, 1 << 20, DecoderLimits::default()).permits <= 1);
}

fn rest(decoder: &mut Decoder, raw: &[u8]) -> Vec<(FramePlace, Owned)> {
    let mut frames = Vec::new();
    let mut drain = |decoder: &mut Decoder| {
        while let Some(frame) = decoder.next() {
            frames.push((frame.place(), owned(&frame)));
        }
    };
    for chunk in raw.chunks(50) {
        decoder.push(chunk);
        drain(decoder);
    }
    decoder.finish();
    drain(decoder);
    frames
}

#[test]
fn a_decoder_goes_on_in_the_middle_of_lines_as_if_it_had_read_all() {
    let bundle = r#"{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Patient"}},{"item":1}]}"#;
    let text = [
        patient(0),
        patient(1),
        "broken".to_owned(),
        patient(2) + " \r",
        String::new(),
        patient(3) + &patient(4),
        bundle.to_owned(),
        r#"{"resourceType":"Pa"#.to_owned(),
        "{\n  \"resourceType\": \"Patient\"\n}".to_owned(),
        "text\n".repeat(20),
        patient(5),
        "[{\"a\":1},{\"b\":2}]".to_owned(),
        "\u{feff}".to_owned() + &patient(6) + " text",
        patient(7),
    ]
    .join("\n");
    let whole = decode_with(text.as_bytes(), 1_000, DecoderLimits::default());
    let mut points = Vec::new();
    let mut decoder = Decoder::new(DecoderLimits::default());
    decoder.push(text.as_bytes());
    while decoder.next().is_some() {
        points.extend(decoder.resume_point());
    }
    assert!(points.len() >= 8, "{points:?}");
    for point in points {
        let from = usize::try_from(point.offset).unwrap();
        let mut decoder = Decoder::resume(DecoderLimits::default(), point);
        let frames = rest(&mut decoder, &text.as_bytes()[from..]);
        let expected = &whole[usize::try_from(point.ordinal).unwrap()..];
        // Bundles are numbered anew.
        let plain = |frames: &[(FramePlace, Owned)]| format!("{frames:?}").replace("Entry(1", "Entry(0");
        assert_eq!(plain(&frames), plain(expected), "{point:?}");
        let summary = decoder.summary();
        assert_eq!((summary.bytes_in, summary.bytes_out), (text.len() as u64, text.len() as u64));
        assert_eq!(summary.frames, whole.len() as u64);
    }
}

#[test]
fn nothing_else_can_be_entered_in_the_middle() {
    let lines = format!("{}\n{}\n{}\n", patient(1), patient(2), patient(3));
    let entry = r#"{"resource":{"resourceType":"Patient"}}"#;
    for raw in [
        gzip(lines.as_bytes()),
        zstd(lines.as_bytes()),
        format!("[{}]", lines.trim_end().replace('\n', ",\n")).into_bytes(),
        format!("{{\"resourceType\":\"Bundle\",\"entry\":[{entry},\n{entry}]}}").into_bytes(),
        "{\n\"a\":1\n}\n{\n\"a\":1\n}\n".as_bytes().to_vec(),
    ] {
        let mut decoder = Decoder::new(DecoderLimits::default());
        decoder.push(&raw);
        decoder.finish();
        while decoder.next().is_some() {
            assert_eq!(decoder.resume_point(), None);
        }
    }
}
