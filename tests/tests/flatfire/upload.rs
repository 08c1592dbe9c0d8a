//! `cargo xtask upload`: two hundred files of every kind at once, in folders, with what became of each.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use flatfire_tests::{Stack, text};

const FILES: usize = 200;
/// Names that a URL, a shell or a listing could mistake.
const ODD_NAMES: [&str; 5] =
    ["-a b+c%20&d.json", "ü=ß?.json", "tab\there.json", "quote'\"#.json", "back\\slash.json"];

/// What becomes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Whole,
    Lines,
    Zipped,
    Bundle,
    InPart,
    NoFhir,
    Empty,
}

const KINDS: [Kind; 7] =
    [Kind::Whole, Kind::Lines, Kind::Zipped, Kind::Bundle, Kind::InPart, Kind::NoFhir, Kind::Empty];

fn patient(id: &str) -> String {
    format!(r#"{{"resourceType":"Patient","id":"{id}","name":[{{"family":"Made-up"}}]}}"#)
}

fn zipped(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

impl Kind {
    fn of(number: usize) -> Self {
        KINDS[number % KINDS.len()]
    }

    fn bytes(self, number: usize) -> Vec<u8> {
        let (one, two) = (patient(&format!("p{number}-1")), patient(&format!("p{number}-2")));
        let text = match self {
            Self::Whole => one,
            Self::Lines | Self::Zipped => format!("{one}\n{two}\n"),
            Self::Bundle => format!(
                r#"{{"resourceType":"Bundle","type":"collection","entry":[{{"resource":{one}}},{{"resource":{two}}}]}}"#
            ),
            Self::InPart => format!("{one}\n{{\"resourceType\":\"Patient\",\n"),
            Self::NoFhir => "Dear colleague, thank you for the referral.".to_owned(),
            Self::Empty => String::new(),
        };
        if self == Self::Zipped { zipped(&text) } else { text.into_bytes() }
    }

    /// Returns how many rows of patients come of it.
    const fn patients(self) -> usize {
        match self {
            Self::Lines | Self::Zipped | Self::Bundle => 2,
            Self::Whole | Self::InPart => 1,
            Self::NoFhir | Self::Empty => 0,
        }
    }

    /// Returns how its load ends; `None`: nobody uploads it.
    const fn status(self) -> Option<&'static str> {
        match self {
            Self::Whole | Self::Lines | Self::Zipped | Self::Bundle => Some("done"),
            Self::InPart => Some("partial"),
            Self::NoFhir => Some("failed"),
            Self::Empty => None,
        }
    }
}

/// Returns the path of a file within the folder: some lie in the folder, others in folders of it.
fn path(number: usize) -> String {
    let name = ODD_NAMES.get(number).map_or_else(|| format!("{number}.ndjson"), |name| (*name).to_owned());
    match number % 4 {
        0 => name,
        1 => format!("day 1/{name}"),
        2 => format!("day 1/ward ü/{name}"),
        _ => format!("day 2/{name}"),
    }
}

/// Writes files and returns how the load of each key is to end.
fn write(folder: &Path, numbers: impl Iterator<Item = usize>) -> BTreeMap<String, &'static str> {
    let mut expected = BTreeMap::new();
    for number in numbers {
        let (kind, file) = (Kind::of(number), folder.join(path(number)));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, kind.bytes(number)).unwrap();
        expected.extend(kind.status().map(|status| (format!("incoming/{}", path(number)), status)));
    }
    expected
}

async fn statuses(stack: &Stack) -> BTreeMap<String, String> {
    let tables = stack.tables().await;
    let of = |load| (text(load, "key").to_owned(), text(load, "status").to_owned());
    tables.rows("_loads").map(of).collect()
}

#[tokio::test]
async fn two_hundred_files_of_every_kind_go_through_it() {
    let stack = Stack::deploy("upload-chore").await;
    let folder = tempfile::tempdir().unwrap();
    let expected = write(folder.path(), 0..FILES);
    let ended = stack.upload_as_chore(&[folder.path().to_owned()], false).await;
    assert_eq!((ended.code, ended.log), (Some(1), Vec::new()), "some are no FHIR; nobody asked for a log");
    let found = statuses(&stack).await;
    let found: BTreeMap<String, &str> = found.iter().map(|(key, status)| (key.clone(), &**status)).collect();
    assert_eq!(found, expected);
    let patients: usize = (0..FILES).map(|number| Kind::of(number).patients()).sum();
    assert_eq!(stack.tables().await.rows("Patient").count(), patients);
}

/// The exit code is that of the worst file, as of `flatfire load`; the log is there for whoever asks for it.
#[tokio::test]
async fn it_ends_as_a_load_does_and_tells_the_log_if_asked() {
    let stack = Stack::deploy("upload-ends").await;
    let folders = [(Kind::Lines, 0), (Kind::InPart, 2), (Kind::NoFhir, 1)].map(|(kind, code)| {
        let folder = tempfile::tempdir().unwrap();
        let of_kind = (0..KINDS.len()).filter(|number| [kind, Kind::Empty].contains(&Kind::of(*number)));
        write(folder.path(), of_kind);
        (folder, code)
    });
    for (folder, code) in &folders {
        let ended = stack.upload_as_chore(&[folder.path().to_owned()], true).await;
        assert_eq!(ended.code, Some(*code));
        assert!(ended.log.iter().any(|line| line.contains("object handled")), "{:?}", ended.log);
        stack.quiet().await;
    }
    let paths: Vec<_> = folders.iter().map(|(folder, _)| folder.path().to_owned()).collect();
    let ended = stack.upload_as_chore(&paths, true).await;
    assert_eq!((ended.code, ended.log), (Some(1), Vec::new()), "everything was there: nothing happened");
    let nowhere = stack.upload_as_chore(&["no/such/file.json".into()], false).await;
    assert_eq!(nowhere.code, Some(1));
}
