//! One table: what the object holds, and the frames it must give, whatever the size of the chunks.

use super::super::{BrokenFrame, Decoder, DecoderLimits, Shape};
use super::{Owned, decode};

use BrokenFrame::{LooksLikeCsv, NotJson, NotObject, Truncated, Utf16};

fn r(text: &str) -> Owned {
    Owned::Resource(text.to_owned())
}

fn e(bundle: u64, text: &str) -> Owned {
    Owned::Entry(bundle, text.to_owned())
}

fn end(bundle: u64, envelope: &str) -> Owned {
    Owned::BundleEnd(bundle, envelope.to_owned())
}

fn x(reason: BrokenFrame) -> Owned {
    Owned::Broken(reason)
}

fn check(cases: &[(&str, &str, Vec<Owned>)]) {
    for (name, input, expected) in cases {
        for chunk_bytes in [1, 2, 3, 7, 64, 65, 1 << 20] {
            assert_eq!(&decode(input.as_bytes(), chunk_bytes), expected, "{name}, chunks of {chunk_bytes}");
        }
    }
}

#[test]
fn one_value() {
    check(&[
        ("nothing", "", vec![]),
        ("white space", " \r\n\t\n", vec![]),
        ("a byte order mark", "\u{feff}", vec![]),
        ("a resource", r#"{"a":1}"#, vec![r(r#"{"a":1}"#)]),
        ("an empty object", "{}", vec![r("{}")]),
        ("with a mark and lines", "\u{feff}\r\n {\"a\":1}\r\n\r\n", vec![r(r#"{"a":1}"#)]),
        ("brackets in strings", r#"{"a":"}]{\"}","b":"\\"}"#, vec![r(r#"{"a":"}]{\"}","b":"\\"}"#)]),
        ("bad grammar stays", r#"{"a":01,,"b" "c"}"#, vec![r(r#"{"a":01,,"b" "c"}"#)]),
        ("pretty-printed", "{\n  \"a\": [\n    1\n  ]\n}\n", vec![r("{\n  \"a\": [\n    1\n  ]\n}")]),
        ("not JSON", "hello, world", vec![x(NotJson)]),
        ("a number", "42\n", vec![x(NotJson)]),
        ("a cut resource", r#"{"resourceType":"Patient","na"#, vec![x(Truncated)]),
        ("a cut pretty-printed one", "{\n \"a\": [\n  {\n", vec![x(Truncated)]),
        ("text behind it on its line", r#"{"a":1}}, "b":2}"#, vec![x(NotJson)]),
        ("text on the next line", "{\"a\":1}\n}", vec![r(r#"{"a":1}"#), x(NotJson)]),
        ("several lines", "{\"a\":1,\n\"b\":2}\n", vec![r("{\"a\":1,\n\"b\":2}")]),
        (
            "braces in the first column",
            "{\n\"a\":\n{\n\"b\":[\n{\n}\n,\n{\n}\n]\n}\n}",
            vec![r("{\n\"a\":\n{\n\"b\":[\n{\n}\n,\n{\n}\n]\n}\n}")],
        ),
        (
            "a newline in a string of a pretty-printed one",
            "{\n \"a\": \"x\n{y\"\n}",
            vec![r("{\n \"a\": \"x\n{y\"\n}")],
        ),
    ]);
}

#[test]
fn several_values() {
    let ab = || vec![r(r#"{"a":1}"#), r(r#"{"b":2}"#)];
    let abc = || vec![r(r#"{"a":1}"#), r(r#"{"b":2}"#), r(r#"{"c":3}"#)];
    check(&[
        ("lines", "{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n", abc()),
        ("CRLF and blank lines", "\r\n{\"a\":1}\r\n\r\n{\"b\":2}\r\n\r\n{\"c\":3}", abc()),
        ("marks at line starts", "\u{feff}{\"a\":1}\n\u{feff}{\"b\":2}\n\u{feff}{\"c\":3}", abc()),
        ("on one line", r#"{"a":1}{"b":2} {"c":3}"#, abc()),
        ("indented", "  {\"a\":1}\n\t{\"b\":2}\n {\"c\":3}", abc()),
        ("commas behind lines", "{\"a\":1},\n{\"b\":2},\n{\"c\":3}", abc()),
        ("white space behind lines", "{\"a\":1} \t\n{\"b\":2}  \r\n", ab()),
        (
            "pretty-printed ones",
            "{\n \"a\": 1\n}\n{\n \"b\": 2\n}\n",
            vec![r("{\n \"a\": 1\n}"), r("{\n \"b\": 2\n}")],
        ),
        (
            "a pretty-printed one among lines",
            "{\"a\":1}\n{\"b\":2}\n{\n \"c\": 3\n}\n{\"d\":4}\n",
            vec![r(r#"{"a":1}"#), r(r#"{"b":2}"#), r("{\n \"c\": 3\n}"), r(r#"{"d":4}"#)],
        ),
        ("an array", r#"[{"a":1},{"b":2}]"#, ab()),
        ("an array, an element a line", "[\n{\"a\":1},\n{\"b\":2}\n]\n", ab()),
        (
            "a pretty-printed array",
            "[\n  {\n    \"a\": 1\n  },\n  {\"b\":2}\n]",
            vec![r("{\n    \"a\": 1\n  }"), r(r#"{"b":2}"#)],
        ),
        ("an empty array", "[]", vec![]),
        ("arrays on lines", "[{\"a\":1},{\"b\":2}]\n[]\n[{\"c\":3}]", abc()),
        (
            "elements that are no objects",
            r#"[1,"x]",null,[{"y":"]"}],{"a":1}]"#,
            vec![x(NotObject), x(NotObject), x(NotObject), x(NotObject), r(r#"{"a":1}"#)],
        ),
        ("a cut array", r#"[{"a":1},{"b":2},"#, vec![r(r#"{"a":1}"#), r(r#"{"b":2}"#), x(Truncated)]),
        (
            "a form feed, which is no white space in JSON",
            "[\u{c}{\"a\":1}]",
            vec![x(NotObject), r(r#"{"a":1}"#)],
        ),
        ("an array cut in an element", r#"[{"a":1},{"b":"#, vec![r(r#"{"a":1}"#), x(Truncated)]),
        (
            "a cut element of an array in lines",
            "[\n{\"a\":1},\n{\"b\":\"x\n{\"c\":3}\n]",
            vec![r(r#"{"a":1}"#), x(Truncated), r(r#"{"c":3}"#)],
        ),
    ]);
}

#[test]
fn text_sequences() {
    let two = || vec![r(r#"{"a":1}"#), r(r#"{"a":2}"#)];
    check(&[
        ("one a line", "\x1e{\"a\":1}\n\x1e{\"a\":2}\n", two()),
        ("with a mark in front", "\u{feff}\x1e{\"a\":1}\n\x1e{\"a\":2}\n", two()),
        ("on one line", "\x1e{\"a\":1}\x1e{\"a\":2}", two()),
        ("several in a row", "\x1e\x1e {\"a\":1}\n\x1e\n\x1e{\"a\":2}\n\x1e", two()),
        ("pretty-printed", "\x1e{\n \"a\":1}\n\x1e{\"a\":2}\n", vec![r("{\n \"a\":1}"), r(r#"{"a":2}"#)]),
        (
            "a cut one",
            "\x1e{\"a\":1}\n\x1e{\"a\":\n\x1e{\"a\":2}\n",
            vec![r(r#"{"a":1}"#), x(Truncated), r(r#"{"a":2}"#)],
        ),
        (
            "text instead",
            "\x1e{\"a\":1}\n\x1eoops\n\x1e{\"a\":2}\n",
            vec![r(r#"{"a":1}"#), x(NotJson), r(r#"{"a":2}"#)],
        ),
        (
            "inside an array it is none",
            "[{\"a\":1},\x1e{\"a\":2}]",
            vec![r(r#"{"a":1}"#), x(NotObject), r(r#"{"a":2}"#)],
        ),
    ]);
}

#[test]
fn bundles() {
    let e1 = r#"{"fullUrl":"urn:1","resource":{"resourceType":"Patient"}}"#;
    let e2 = r#"{"resource":{"resourceType":"Bundle","entry":[{"resource":{}}]}}"#;
    let both = |envelope: &str| vec![e(0, e1), e(0, e2), end(0, envelope)];
    let typed = r#"{"resourceType":"Bundle","type":"batch"}"#;
    check(&[
        (
            "type before",
            &format!(r#"{{"resourceType":"Bundle","type":"batch","entry":[{e1},{e2}]}}"#),
            both(typed),
        ),
        (
            "type behind",
            &format!(r#"{{"entry":[{e1},{e2}],"resourceType":"Bundle","type":"batch"}}"#),
            both(typed),
        ),
        (
            "entries amid",
            &format!(r#"{{"resourceType":"Bundle", "entry" : [{e1} , {e2}] ,"type":"batch"}}"#),
            both(typed),
        ),
        ("no type at all", &format!(r#"{{"id":"x","entry":[{e1},{e2}]}}"#), both(r#"{"id":"x"}"#)),
        (
            "two arrays",
            &format!(r#"{{"entry":[{e1}],"resourceType":"Bundle","entry":[{e2}],"total":2}}"#),
            both(r#"{"resourceType":"Bundle","total":2}"#),
        ),
        (
            "an entry a line",
            &format!("{{\"resourceType\":\"Bundle\",\"entry\":[\n{e1},\n{e2}\n]}}\n"),
            both(r#"{"resourceType":"Bundle"}"#),
        ),
        (
            "an entry a line, no indentation",
            &format!("{{\n\"resourceType\":\"Bundle\",\n\"entry\":[\n{e1},\n{e2}\n]\n}}\n"),
            both(r#"{"resourceType":"Bundle"}"#),
        ),
        (
            "no entries",
            r#"{"resourceType":"Bundle","total":0}"#,
            vec![end(0, r#"{"resourceType":"Bundle","total":0}"#)],
        ),
        (
            "an empty array",
            r#"{"entry":[],"resourceType":"Bundle"}"#,
            vec![end(0, r#"{"resourceType":"Bundle"}"#)],
        ),
        (
            "entries without keys",
            r#"{"entry":[{},{"id":"1"}],"resourceType":"Bundle"}"#,
            vec![e(0, "{}"), e(0, r#"{"id":"1"}"#), end(0, r#"{"resourceType":"Bundle"}"#)],
        ),
        (
            "entries that are no objects",
            r#"{"resourceType":"Bundle","entry":[null,"]",{"search":{}}]}"#,
            vec![
                x(NotObject),
                x(NotObject),
                e(0, r#"{"search":{}}"#),
                end(0, r#"{"resourceType":"Bundle"}"#),
            ],
        ),
        (
            "two on lines",
            &format!("{{\"resourceType\":\"Bundle\",\"entry\":[{e1}]}}\n{typed}\n"),
            vec![e(0, e1), end(0, r#"{"resourceType":"Bundle"}"#), end(1, typed)],
        ),
        (
            "in an array",
            &format!(r#"[{{"entry":[{e1}]}},{{"a":1}},{typed}]"#),
            vec![e(0, e1), end(0, "{}"), r(r#"{"a":1}"#), end(1, typed)],
        ),
        (
            "cut between entries",
            &format!(r#"{{"resourceType":"Bundle","entry":[{e1},{e2},"#),
            vec![e(0, e1), e(0, e2), x(Truncated)],
        ),
        (
            "cut in an entry",
            &format!(r#"{{"resourceType":"Bundle","entry":[{e1},{{"fullUrl""#),
            vec![e(0, e1), x(Truncated)],
        ),
        (
            "cut behind the entries",
            &format!(r#"{{"resourceType":"Bundle","entry":[{e1}],"total":"#),
            vec![e(0, e1), x(Truncated)],
        ),
        (
            "an entry that is a cut line",
            &format!("{{\"resourceType\":\"Bundle\",\"entry\":[\n{e1},\n{{\"fu\n{e2}\n]}}"),
            vec![e(0, e1), x(Truncated), e(0, e2), end(0, r#"{"resourceType":"Bundle"}"#)],
        ),
    ]);
}

#[test]
fn an_entry_array_alone_makes_no_bundle() {
    let list = r#"{"resourceType":"List","entry":[{"resource":{}}]}"#;
    let list_last = r#"{"entry":[{"id":"x"},{"flag":{}}],"resourceType":"List"}"#;
    let list_items = r#"{"entry":[{"item":{"reference":"Patient/1"}}]}"#;
    let deep = r#"{"resourceType":"Parameters","parameter":[{"entry":[{"resource":{}}]}]}"#;
    let object = r#"{"entry":{"resource":[{"resourceType":"Bundle"}]}}"#;
    let value = r#"{"id":"resourceType","status":"Bundle","code":"entry","name":[{"resource":1}]}"#;
    for text in [list, list_last, list_items, deep, object, value] {
        check(&[("whole", text, vec![r(text)])]);
    }
}

#[test]
fn broken_lines() {
    let (a, b, c) = (r#"{"a":[{"x":"y"}]}"#, r#"{"b":2}"#, r#"{"c":3}"#);
    let rest = |reason| vec![x(reason), r(b), r(c)];
    for (cut, reason) in [
        (r#"{"a":[{"x":"y"}"#, Truncated),
        (r#"{"a":[{"x":"y"#, Truncated),
        (r#"{"a":["#, Truncated),
        (r#"{"a":"#, Truncated),
        (r#"{"a":1,"#, Truncated),
        ("{", Truncated),
        ("{ ", Truncated),
        (r#"{"a":1}}"#, NotJson),
        (r#"{"a":"x\"#, Truncated),
        (r#"{"resourceType":"Bundle","entry":["#, Truncated),
        (r#"{"entry":["#, Truncated),
        (r#"{"entry":[{"item":1},"#, Truncated),
        (r#"{"resourceType":"Bundle","entry":[],"#, Truncated),
        ("garbage", NotJson),
        ("}", NotJson),
        ("\"", NotJson),
    ] {
        let lines = [cut, r#"{"b":2,"resourceType":"Patient"}"#, r#"{"c":3,"resourceType":"Patient"}"#];
        let good = || [r(lines[1]), r(lines[2])];
        let first = [vec![x(reason)], good().to_vec()].concat();
        let last = [good().to_vec(), vec![x(reason)]].concat();
        check(&[
            ("the first", &lines.join("\n"), first),
            ("the last", &[lines[1], lines[2], cut].join("\n"), last.clone()),
            ("the last, with its newline", &[lines[1], lines[2], cut, ""].join("\n"), last),
            ("between", &[lines[1], lines[2], cut, lines[1], lines[2]].join("\r\n"), {
                [good().to_vec(), vec![x(reason)], good().to_vec()].concat()
            }),
        ]);
    }
    check(&[
        ("two in a row", &["{\"a", "{\"a", b, c].join("\n"), [vec![x(Truncated)], rest(Truncated)].concat()),
        (
            "text, then an object",
            &["text", "", b, "more", c].join("\n"),
            vec![x(NotJson), r(b), x(NotJson), r(c)],
        ),
        ("an open array", &["[", b, c].join("\n"), vec![r(b), r(c), x(Truncated)]),
        (
            "a cut line of an array",
            &[a, a, r#"[{"a":1},{"b"#, c].join("\n"),
            vec![r(a), r(a), r(r#"{"a":1}"#), x(Truncated), r(c)],
        ),
    ]);
}

#[test]
fn a_file_of_another_format_gives_few_frames() {
    for (line, frames) in [("some text\n", vec![x(NotJson); 17]), ("id,name\n", vec![x(LooksLikeCsv)])] {
        let text = line.repeat(5000);
        assert_eq!(decode(text.as_bytes(), 100), frames);
        let then_good = decode(format!("{text}\n  {{\"a\":1}}\n").as_bytes(), 100);
        assert_eq!(then_good.last(), Some(&r(r#"{"a":1}"#)));
    }
    let utf16: Vec<u8> = "{\"a\":1}\n{\"b\":2}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(decode(&utf16, 1), [x(Utf16)]);
    assert_eq!(decode(&[&[0xFE, 0xFF], utf16.as_slice()].concat(), 5), [x(Utf16)]);
}

#[test]
fn the_shape_is_told() {
    for (input, expected) in [
        ("", Shape::Empty),
        ("text", Shape::Empty),
        ("{}", Shape::Resource),
        (r#"{"resourceType":"Bundle"}"#, Shape::Bundle),
        (r#"{"entry":[{"resource":{}}]}"#, Shape::Bundle),
        (r#"[{"resourceType":"Bundle"}]"#, Shape::Array),
        ("{}\n{}", Shape::Ndjson),
        ("{}{}", Shape::Concatenated),
        ("{\n}\n{\n}", Shape::Concatenated),
    ] {
        let mut decoder = Decoder::new(DecoderLimits::default());
        decoder.push(input.as_bytes());
        decoder.finish();
        while decoder.next().is_some() {}
        assert_eq!(decoder.summary().shape, expected, "{input}");
    }
}
