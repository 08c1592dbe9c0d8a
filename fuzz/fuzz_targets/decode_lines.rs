//! Any bytes in the place of one line of NDJSON: the lines around it are framed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pipeline::decode::{Decoder, Frame, Limits};

const GOOD: [&str; 4] = [
    r#"{"resourceType":"Patient","id":"1","name":[{"family":"A{\"]"}]}"#,
    r#"{"id":"2","meta":{"profile":["entry"]},"resourceType":"Observation"}"#,
    r#"{"resourceType":"List","entry":[{"item":{"reference":"Patient/3"}}]}"#,
    r#"{"resourceType":"Patient","id":"4"}"#,
];

fuzz_target!(|input: &[u8]| {
    let Some((position, line)) = input.split_first() else { return };
    // A line has no newline, and a zero byte or a byte order mark of UTF-16 would be the whole file's.
    if line.iter().any(|byte| matches!(byte, b'\n' | 0 | 0xFE | 0xFF)) {
        return;
    }
    let position = usize::from(*position) % (GOOD.len() + 1);
    let mut lines: Vec<&[u8]> = GOOD.iter().map(|text| text.as_bytes()).collect();
    lines.insert(position, line);
    let file = lines.join(b"\n".as_slice());
    // Compressed data is another matter. A skippable frame of Zstandard begins with any of `P*M` to `_*M` and 0x18
    // (RFC 8878, section 3.1.2).
    let is_skippable =
        file.first().is_some_and(|byte| byte >> 4 == 5) && file.get(1..4) == Some(&[0x2A, 0x4D, 0x18]);
    if is_skippable || file.starts_with(&[0x1F, 0x8B]) || file.starts_with(&[0x28, 0xB5, 0x2F, 0xFD]) {
        return;
    }
    let mut decoder = Decoder::new(Limits::default());
    decoder.push(&file);
    decoder.finish();
    let mut expected = GOOD.iter().peekable();
    while let Some(frame) = decoder.next() {
        if let Frame::Resource { bytes, .. } = frame {
            expected.next_if(|text| text.as_bytes() == bytes);
        }
    }
    assert_eq!(expected.next(), None, "a good line is lost");
});
