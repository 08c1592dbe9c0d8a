//! Files that are not FHIR: one broken frame each, and no resource is lost to a wrong guess.

use super::super::{BrokenFrame, DecoderLimits};
use super::{Owned, decode_with, gzip, patient, zstd};

const CHUNKS: [usize; 4] = [1, 3, 100, 1 << 20];

fn frames(raw: &[u8], chunk_bytes: usize) -> Vec<Owned> {
    decode_with(raw, chunk_bytes, DecoderLimits::default()).into_iter().map(|(_, frame)| frame).collect()
}

fn is_one(raw: &[u8], reason: BrokenFrame) {
    for raw in [raw.to_vec(), gzip(raw)] {
        for chunk_bytes in CHUNKS {
            let found = frames(&raw, chunk_bytes);
            assert_eq!(
                found,
                [Owned::Broken(reason)],
                "{}",
                String::from_utf8_lossy(&raw[..raw.len().min(80)])
            );
        }
    }
}

/// Returns a text longer than the head that is looked at, and than the lines of text that are told one by one.
fn many_lines(head: &str, line: &str) -> String {
    format!("{head}{}", line.repeat(500))
}

#[test]
fn a_file_of_another_format_is_one_reject_with_its_code() {
    let xml = many_lines(
        "<?xml version=\"1.0\"?>\n<Bundle xmlns=\"http://hl7.org/fhir\">\n",
        "<entry>\n  <fullUrl value=\"urn:x\"/>\n[1] a list\n{ color: red }\n",
    );
    let hl7 = many_lines("MSH|^~\\&|LAB|H|||202601050800||ORU^R01|1|P|2.5\r", "OBX|1|NM|8867-4||60|/min\r\n");
    for (text, reason) in [
        (xml.clone(), BrokenFrame::LooksLikeXml),
        (format!("\u{feff}\n {xml}"), BrokenFrame::LooksLikeXml),
        ("<Patient xmlns=\"http://hl7.org/fhir\"/>".to_owned(), BrokenFrame::LooksLikeXml),
        ("<!DOCTYPE html>\n<html></html>".to_owned(), BrokenFrame::LooksLikeXml),
        (hl7.clone(), BrokenFrame::LooksLikeHl7V2),
        (format!("\u{b}{hl7}"), BrokenFrame::LooksLikeHl7V2),
        (format!("FHS|^~\\&|LAB\r\n{hl7}"), BrokenFrame::LooksLikeHl7V2),
        (many_lines("id,name,born\n", "1,Ann,1970-01-01\n"), BrokenFrame::LooksLikeCsv),
        (many_lines("\"id\";\"name\"\r\n", "\"1\";\"Ann\"\r\n"), BrokenFrame::LooksLikeCsv),
        (many_lines("id\tname\n", "1\tAnn\n"), BrokenFrame::LooksLikeCsv),
        ("id,name,born".to_owned(), BrokenFrame::LooksLikeCsv),
    ] {
        is_one(text.as_bytes(), reason);
    }
    let binary =
        |magic: &[u8]| [magic, vec![b'\n'; 5_000].as_slice(), b"{\"resourceType\":\"Patient\"}"].concat();
    is_one(&binary(b"PK\x03\x04"), BrokenFrame::LooksLikeZip);
    is_one(b"PK\x05\x06\0\0\0\0", BrokenFrame::LooksLikeZip);
    is_one(&binary(b"%PDF-1.7"), BrokenFrame::LooksLikePdf);
}

#[test]
fn wide_text_has_a_code_of_its_own() {
    let text = "\u{feff}{\"resourceType\":\"Patient\",\"id\":\"ü\"}\n".repeat(300);
    let wide = |text: &str, to: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(to).collect::<Vec<u8>>();
    for (from, text) in [("with a mark", text.as_str()), ("without", text.trim_start_matches('\u{feff}'))] {
        for to in [u16::to_le_bytes, u16::to_be_bytes] {
            for chunk_bytes in CHUNKS {
                let found = frames(&wide(text, to), chunk_bytes);
                assert_eq!(found, [Owned::Broken(BrokenFrame::Utf16)], "{from}");
            }
        }
        let utf_32: Vec<u8> = text.chars().flat_map(|one| u32::from(one).to_le_bytes()).collect();
        assert_eq!(frames(&utf_32, 7), [Owned::Broken(BrokenFrame::Utf16)], "{from}");
    }
}

#[test]
fn what_is_compressed_twice_is_told() {
    let line = patient(1) + "\n";
    for outer in [gzip, zstd] {
        for inner in [gzip, zstd] {
            let raw = outer(&inner(line.repeat(100).as_bytes()));
            for chunk_bytes in CHUNKS {
                assert_eq!(frames(&raw, chunk_bytes), [Owned::Broken(BrokenFrame::CompressedTwice)]);
            }
        }
    }
}

/// However a file begins, resources in it are read.
#[test]
fn no_resource_is_thrown_away_with_another_format() {
    let resources = format!("{}\n{}\n", patient(1), patient(2));
    for head in [
        "<!-- exported by hand -->\n",
        "MSH|^~\\&|\n",
        "id,name,born\n",
        "a,b,c\n1,2,3\n",
        "PKZIP\n",
        "%PDF\n",
        "hello, world\n",
        "\"resourceType\":\"Patient\",\"id\":\"1\",\"x\":1}\n",
    ] {
        for lines in [1, 3, 2_000] {
            let text = format!("{}{resources}", head.repeat(lines));
            for chunk_bytes in [1, 100, 1 << 20] {
                let found = frames(text.as_bytes(), chunk_bytes);
                let kept = found.iter().filter(|frame| matches!(frame, Owned::Resource(_))).count();
                assert_eq!(kept, 2, "{head} {lines} times: {found:?}");
            }
        }
    }
    let pretty = "<a/>\n<b/>\n{\n  \"resourceType\": \"Patient\"\n}\n";
    assert_eq!(
        frames(pretty.as_bytes(), 1),
        [
            Owned::Broken(BrokenFrame::LooksLikeXml),
            Owned::Resource("{\n  \"resourceType\": \"Patient\"\n}".to_owned())
        ]
    );
}

#[test]
fn broken_json_keeps_its_codes() {
    for (text, reason) in [
        ("hello, world", BrokenFrame::NotJson),
        ("42\n", BrokenFrame::NotJson),
        ("null, null, null {", BrokenFrame::NotJson),
        ("a < b\n", BrokenFrame::NotJson),
        ("\"a\":1,\"b\":2,\"c\":3\n\"a\":1,\"b\":2\n", BrokenFrame::NotJson),
        ("{\"a\":", BrokenFrame::Truncated),
        ("\0\0\0\0\0\0", BrokenFrame::NotJson),
    ] {
        for chunk_bytes in CHUNKS {
            let found = frames(text.as_bytes(), chunk_bytes);
            assert_eq!(found.first(), Some(&Owned::Broken(reason)), "{text}");
        }
    }
}
