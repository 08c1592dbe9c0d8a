//! `flatfire status`

use crate::database::TestDatabase;
use crate::program::{Ran, run, sample};

#[tokio::test]
async fn loads_are_listed_filtered_and_explained() {
    let database = TestDatabase::of("status").await;
    let status =
        |arguments: &[&str]| -> Ran { run(&[&["status", "--to", &database.uri], arguments].concat()) };
    assert_eq!(status(&[]).stdout, "no loads\n");
    let (broken, whole) = (sample("patients-with-a-broken-line.ndjson"), sample("patient-bundle.json"));
    run(&["load", "--to", &database.uri, "--tables", "automatic", &broken, &whole]);

    let all = status(&[]);
    assert_eq!((all.code, all.stderr.as_str()), (0, ""));
    assert!(all.stdout.contains(&broken) && all.stdout.contains(&whole), "{}", all.stdout);
    let partial = status(&["--status", "partial"]);
    assert!(partial.stdout.contains(&broken) && !partial.stdout.contains(&whole), "{}", partial.stdout);
    assert_eq!(status(&["--limit", "1"]).stdout.matches("samples/").count(), 1);

    let explained = status(&[&broken]).stdout;
    for part in [
        "partial: everything but what was rejected is in the tables",
        "9 records: 8 loaded, 1 rejected; 8 rows",
        "8 Patient",
        "rejects: 1 truncated",
        "patients-with-a-broken-line.ndjson:5: record 4: byte 960: truncated",
    ] {
        assert!(explained.contains(part), "{part} is missing in:\n{explained}");
    }
    let id = explained.lines().next().unwrap();
    assert_eq!(status(&[id]).stdout, explained);
    let unknown = status(&["no/such/key"]);
    assert_eq!((unknown.code, unknown.stdout.as_str()), (1, ""));
    database.remove().await;
}
