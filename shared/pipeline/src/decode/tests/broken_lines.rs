//! One broken line costs one line, wherever it stands and however it is broken.

use proptest::prelude::*;

use super::{Owned, decode, patient};

/// What happened to the line.
#[derive(Debug, Clone)]
enum Damage {
    /// It stops at this byte.
    Cut(usize),
    /// Bytes are put in at this byte.
    Insert(usize, Vec<u8>),
    /// So many bytes are missing from this byte on.
    Remove(usize, usize),
    /// Something else stands in its place.
    Replace(Vec<u8>),
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn the_other_lines_are_framed(
        kinds in prop::collection::vec(0_usize..5, 2..7), broken: prop::sample::Index, damage in damage(), crlf: bool,
        chunk in prop_oneof![1_usize..100, Just(1 << 20)],
    ) {
        let lines: Vec<String> = kinds.iter().enumerate().map(|(number, kind)| line(number, *kind)).collect();
        let broken = broken.index(lines.len());
        let newline = if crlf { "\r\n" } else { "\n" };
        let mut file = Vec::new();
        for (number, text) in lines.iter().enumerate() {
            let text = if number == broken { apply(&damage, text.as_bytes()) } else { text.clone().into_bytes() };
            file.extend([text.as_slice(), newline.as_bytes()].concat());
        }
        let mut frames = decode(&file, chunk).into_iter();
        for (number, text) in lines.iter().enumerate().filter(|(number, _)| *number != broken) {
            for expected in contents(text) {
                prop_assert!(frames.any(|frame| content(&frame) == Some(&expected)), "line {number}: {expected}");
            }
        }
    }
}

/// At every byte of a line of every kind, without luck.
#[test]
fn a_cut_anywhere_costs_one_line() {
    for (kind, position) in (0..5).flat_map(|kind| (0..3).map(move |position| (kind, position))) {
        let whole = line(9, kind);
        for at in 0..whole.len() {
            let mut lines = vec![patient(1), patient(2)];
            lines.insert(position, whole[..at].to_owned());
            let frames = decode(lines.join("\n").as_bytes(), usize::MAX);
            for number in [1, 2] {
                assert!(frames.contains(&Owned::Resource(patient(number))), "{kind} cut at {at}: {frames:?}");
            }
            let broken = frames.iter().filter(|frame| matches!(frame, Owned::Broken(_))).count();
            assert_eq!(broken, usize::from(at > 0), "{kind} cut at {at}: {frames:?}");
        }
    }
}

/// Returns a line of the kinds that the framer treats differently.
fn line(number: usize, kind: usize) -> String {
    let resource = patient(number);
    match kind {
        0 => resource,
        1 => {
            format!(r#"{{"id":"{number}","meta":{{"x":["entry"]}},"resourceType":"Observation","value":1}}"#)
        }
        2 => format!(
            r#"{{"resourceType":"Bundle","entry":[{{"resource":{resource}}},{{"fullUrl":"{number}"}}],"id":"b"}}"#
        ),
        3 => format!(r#"{{"entry":[{{"resource":{resource}}}],"resourceType":"Bundle","total":{number}}}"#),
        _ => format!(r#"{{"resourceType":"List","entry":[{{"item":{{"reference":"{number}"}}}}]}}"#),
    }
}

/// Returns the resources and entries that a whole line gives.
fn contents(line: &str) -> Vec<String> {
    decode(line.as_bytes(), usize::MAX).iter().filter_map(content).cloned().collect()
}

fn content(frame: &Owned) -> Option<&String> {
    match frame {
        Owned::Resource(text) | Owned::Entry(_, text) => Some(text),
        Owned::BundleEnd(..) | Owned::Broken(_) => None,
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    // No zero byte and no byte order mark of UTF-16: at a file's beginning they say that nothing of it can be read.
    let garbage = || prop::collection::vec(prop::sample::select(b"{}[]\"\\,: ax1\xC3\x01\t".to_vec()), 0..12);
    prop_oneof![
        (0_usize..200).prop_map(Damage::Cut),
        (0_usize..200, garbage()).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        (0_usize..200, 1_usize..20).prop_map(|(at, count)| Damage::Remove(at, count)),
        garbage().prop_map(Damage::Replace),
    ]
}

fn apply(damage: &Damage, line: &[u8]) -> Vec<u8> {
    let within = |at: usize| at % (line.len() + 1);
    match damage {
        Damage::Cut(at) => line[..within(*at)].to_vec(),
        Damage::Insert(at, bytes) => [&line[..within(*at)], bytes, &line[within(*at)..]].concat(),
        Damage::Remove(at, count) => {
            [&line[..within(*at)], &line[(within(*at) + count).min(line.len())..]].concat()
        }
        Damage::Replace(bytes) => bytes.clone(),
    }
}
