//! Memory: what is in it is a batch, not the file.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use crate::program::{Ran, flatfire, path_of};

/// In bytes.
pub const MEGABYTE: usize = 1 << 20;

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

/// Observations whose subjects and encounters come behind them. Their keys wait on disk, not in memory, and every row
/// has both in the end.
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

/// The `fullUrl`s of a Bundle's entries that exceed 48 MiB wait on disk, and references to them are joined all the
/// same.
#[test]
fn links_beyond_their_memory_wait_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let file = path_of(&folder, "links.json");
    for (links, waits_on_disk) in [(480, false), (520, true)] {
        write_long_links(&file, links);
        let rows = |place: &str| -> Ran {
            let mut command = flatfire(&["rows", "--tables", "automatic", &file]);
            command.env("TMPDIR", place).output().unwrap().into()
        };
        // Whoever needs the disk fails without it.
        let without_disk = rows("/no/such/folder");
        assert_eq!(without_disk.code, i32::from(waits_on_disk), "{links}: {}", without_disk.stderr);
        assert_eq!(without_disk.stderr.contains("temporary-file"), waits_on_disk, "{}", without_disk.stderr);
        let printed = if waits_on_disk { rows(&path_of(&folder, "")) } else { without_disk };
        assert_eq!(printed.code, 0, "{}", printed.stderr);
        let expected = (0..200).map(|number| (number, format!("Patient/p{}", number % 50)));
        let expected = expected.chain([(200, "Basic/f0".to_owned()), (201, format!("Basic/f{}", links - 1))]);
        for (number, key) in expected {
            let id = format!(r#""_id":"Observation/o{number}""#);
            let row = printed.stdout.lines().find(|line| line.contains(&id)).unwrap();
            assert!(row.contains(&format!(r#""subject_key":"{key}""#)), "{links}: {number}: {}", row.len());
        }
    }
}

/// Entries whose `fullUrl`s have 100 kB each, patients behind them, and observations of all of them.
fn write_long_links(file: &str, links: usize) {
    let long = |number: usize| format!("urn:made:{number}:{}", "x".repeat(100_000));
    let short = |number: usize| format!("urn:uuid:10000000-0000-4000-8000-{number:012x}");
    let mut output = std::io::BufWriter::new(fs::File::create(file).unwrap());
    write!(output, r#"{{"resourceType":"Bundle","type":"transaction","entry":["#).unwrap();
    for number in 0..links {
        let own = long(number);
        write!(output, r#"{{"fullUrl":"{own}","resource":{{"resourceType":"Basic","id":"f{number}"}}}},"#)
            .unwrap();
    }
    for number in 0..50 {
        let own = short(number);
        write!(output, r#"{{"fullUrl":"{own}","resource":{{"resourceType":"Patient","id":"p{number}"}}}},"#)
            .unwrap();
    }
    let subjects = (0..200).map(|number| short(number % 50)).chain([long(0), long(links - 1)]);
    for (number, subject) in subjects.enumerate() {
        let comma = if number > 0 { "," } else { "" };
        write!(
            output,
            r#"{comma}{{"resource":{{"resourceType":"Observation","id":"o{number}","subject":{{"reference":"{subject}"}}}}}}"#
        )
        .unwrap();
    }
    output.write_all(b"]}").unwrap();
    output.flush().unwrap();
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

/// What a run over a file took, and how it ended.
#[derive(Debug)]
pub struct Taken {
    /// The most memory that it ever had, in bytes: `VmHWM` of `proc_pid_status(5)`.
    pub peak: usize,
    /// How long it kept a processor busy: `utime` and `stime` of `proc_pid_stat(5)`.
    pub seconds: f64,
    /// The exit code.
    pub code: i32,
    /// What it said.
    pub stderr: String,
}

/// Returns the most memory that a run over the file ever had, in bytes.
fn peak(file: &str) -> usize {
    peak_into(file, Stdio::null())
}

/// Returns the same, with the rows in a file.
fn peak_into(file: &str, rows: Stdio) -> usize {
    let taken = taken_into(file, rows);
    assert_eq!(taken.code, 0, "{taken:?}");
    taken.peak
}

/// Runs `flatfire rows` over a file.
pub fn taken(file: &str) -> Taken {
    taken_into(file, Stdio::null())
}

fn taken_into(file: &str, rows: Stdio) -> Taken {
    let errors = tempfile::NamedTempFile::new().unwrap();
    let mut command = flatfire(&["rows", "--tables", "automatic", file]);
    let mut child = command.stdout(rows).stderr(errors.reopen().unwrap()).spawn().unwrap();
    let id = child.id();
    let of_process = |name: &str| fs::read_to_string(format!("/proc/{id}/{name}")).unwrap_or_default();
    let (mut peak, mut seconds) = (0, 0.0);
    let exit = loop {
        if let Some(exit) = child.try_wait().unwrap() {
            break exit;
        }
        // Of a process that has ended nothing is said.
        let said = of_process("status");
        let kilobytes = said.lines().find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB"));
        peak = kilobytes.map_or(peak, |kilobytes| kilobytes.trim().parse::<usize>().unwrap() * 1024);
        seconds = ticks(&of_process("stat")).map_or(seconds, |ticks| ticks / 100.0);
        sleep(PAUSE);
    };
    assert!(peak > 0);
    let stderr = fs::read_to_string(errors.path()).unwrap();
    Taken { peak, seconds, code: exit.code().unwrap(), stderr }
}

/// Returns the fourteenth and the fifteenth field; the second, which may have spaces in it, ends in a bracket.
fn ticks(stat: &str) -> Option<f64> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some(fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?)
}
