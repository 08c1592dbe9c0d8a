//! Memory: what is in it is a batch, not the file.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use crate::program::{flatfire, path_of};

const MEGABYTE: usize = 1 << 20;

/// How often the peak is read; the last reading before the end is the one that counts.
const PAUSE: Duration = Duration::from_millis(5);

#[derive(Clone, Copy)]
enum Shape {
    Ndjson,
    /// All on one line.
    Bundle,
}

#[test]
fn memory_does_not_grow_with_the_file() {
    let folder = tempfile::tempdir().unwrap();
    for shape in [Shape::Ndjson, Shape::Bundle] {
        let [small, large] = [8, 40].map(|megabytes| {
            let file = path_of(&folder, "large.json");
            write(&file, shape, megabytes * MEGABYTE);
            peak(&file)
        });
        // Of a Bundle the servers of its entries are kept, some 30 bytes for each entry of some 300.
        let allowed = small + 32 * MEGABYTE / 4;
        assert!(large < allowed, "{large} bytes for 40 MB, {small} for 8 MB");
    }
}

/// Observations whose subjects and encounters come behind them. Their keys wait on disk, not in memory, and every row has
/// both in the end.
#[test]
fn references_that_point_forward_wait_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let (file, rows) = (path_of(&folder, "forward.json"), path_of(&folder, "rows.ndjson"));
    let [few, many] = [50_000, 150_000].map(|observations| {
        write_forward(&file, observations);
        let peak = peak_into(&file, fs::File::create(&rows).unwrap().into());
        let printed = fs::read_to_string(&rows).unwrap();
        let whole = printed.lines().filter(|line| {
            line.contains(r#""subject_key":"Patient/p"#) && line.contains(r#""encounter_key":"Encounter/e"#)
        });
        assert_eq!(whole.count(), observations);
        assert!(
            printed.lines().next().is_some_and(|line| line.contains("Observation/o0\"")),
            "the order is the file's"
        );
        peak
    });
    // The `fullUrl`s of the entries and what is read at once; the waiting cells alone would be 60 MB more.
    assert!(many < few + 24 * MEGABYTE, "{many} bytes for 150,000, {few} for 50,000");
}

fn write_forward(file: &str, observations: usize) {
    let urn = |kind: u8, number: usize| format!("urn:uuid:{kind}0000000-0000-4000-8000-{number:012x}");
    let mut output = std::io::BufWriter::new(fs::File::create(file).unwrap());
    write!(output, r#"{{"resourceType":"Bundle","type":"transaction","entry":["#).unwrap();
    for number in 0..observations {
        let (own, subject, encounter) = (urn(0, number), urn(1, number % 500), urn(2, number % 5_000));
        write!(
            output,
            r#"{{"fullUrl":"{own}","resource":{{"resourceType":"Observation","id":"o{number}","status":"final","subject":{{"reference":"{subject}"}},"encounter":{{"reference":"{encounter}"}}}}}},"#
        )
        .unwrap();
    }
    for (kind, name, count) in [(1, "Patient", 500), (2, "Encounter", 5_000)] {
        for number in 0..count {
            let id = name.to_lowercase().remove(0);
            let comma = if (kind, number) == (1, 0) { "" } else { "," };
            let own = urn(kind, number);
            write!(
                output,
                r#"{comma}{{"fullUrl":"{own}","resource":{{"resourceType":"{name}","id":"{id}{number}"}}}}"#
            )
            .unwrap();
        }
    }
    output.write_all(b"]}").unwrap();
    output.flush().unwrap();
}

fn write(file: &str, shape: Shape, bytes: usize) {
    let mut output = std::io::BufWriter::new(fs::File::create(file).unwrap());
    let (mut written, mut number, mut record) = (0, 0, String::new());
    if let Shape::Bundle = shape {
        write!(output, r#"{{"resourceType":"Bundle","type":"collection","entry":["#).unwrap();
    }
    while written < bytes {
        record.clear();
        let patient = format!(
            r#"{{"resourceType":"Patient","id":"{number}","name":[{{"family":"Family{number}","given":["A","B"]}}],
            "contact":[{{"name":{{"text":"Nobody {number}"}},"telecom":[{{"system":"phone","value":"{number}"}}]}}],
            "address":[{{"line":["{number} Long Street"],"city":"Somewhere","postalCode":"12345"}}]}}"#
        )
        .replace('\n', "");
        match shape {
            Shape::Ndjson => writeln!(record, "{patient}").unwrap(),
            Shape::Bundle => {
                let comma = if number > 0 { "," } else { "" };
                write!(
                    record,
                    r#"{comma}{{"fullUrl":"https://a.example/Patient/{number}","resource":{patient}}}"#
                )
                .unwrap();
            }
        }
        output.write_all(record.as_bytes()).unwrap();
        (written, number) = (written + record.len(), number + 1);
    }
    if let Shape::Bundle = shape {
        output.write_all(b"]}").unwrap();
    }
    output.flush().unwrap();
}

/// The most memory that a run over the file ever had, in bytes: `VmHWM` of `proc_pid_status(5)`.
fn peak(file: &str) -> usize {
    peak_into(file, Stdio::null())
}

/// The same, with the rows in a file.
fn peak_into(file: &str, rows: Stdio) -> usize {
    let arguments = ["rows", "--tables", "automatic", file];
    let mut child = flatfire(&arguments).stdout(rows).stderr(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    let exit = loop {
        if let Some(exit) = child.try_wait().unwrap() {
            break exit;
        }
        // Of a process that has ended nothing is said.
        let said = fs::read_to_string(&status).unwrap_or_default();
        let kilobytes = said.lines().find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB"));
        peak = kilobytes.map_or(peak, |kilobytes| kilobytes.trim().parse::<usize>().unwrap() * 1024);
        sleep(PAUSE);
    };
    assert!(exit.success() && peak > 0);
    peak
}
