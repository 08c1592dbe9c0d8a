//! `flatfire show`: rows of a table for people.

use serde_json::Value;

use crate::database::TestDatabase;
use crate::program::{run, sample};
#[cfg(target_os = "linux")]
use crate::terminal::Terminal;

async fn loaded(name: &str) -> TestDatabase {
    let database = TestDatabase::of(name).await;
    let files =
        ["patient-bundle.json", "observations.ndjson.gz", "patients-with-a-broken-line.ndjson"].map(sample);
    let ran = run(&["load", "--to", &database.uri, &files[0], &files[1], &files[2]]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    database
}

#[tokio::test]
async fn tables_are_listed_and_their_rows_fit_the_screen() {
    let database = loaded("show").await;
    let show = |arguments: &[&str]| run(&[&["show", "--to", &database.uri], arguments].concat());
    let tables = show(&[]).stdout;
    let cells = |line: &str| line.split(['│', '┆']).map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let lines: Vec<Vec<String>> = tables.lines().map(cells).collect();
    for (table, rows) in [("Observation", "202"), ("Patient", "9"), ("observations", "203")] {
        assert!(lines.contains(&["", table, rows, ""].map(str::to_owned).to_vec()), "{tables}");
    }
    assert!(!tables.contains("_loads"), "{tables}");
    for width in [80, 160] {
        let ran = show(&["observation", "--rows", "3", "--width", &width.to_string()]);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
        let text = ran.stdout;
        let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= width, "{width}: {widest}\n{text}");
        assert!(text.starts_with("Observation: 202 rows\n") && text.contains("3 of 202 rows"), "{text}");
        let heading = text.lines().nth(2).unwrap();
        let headings: Vec<&str> =
            heading.split(['│', '┆']).map(str::trim).filter(|it| !it.is_empty()).collect();
        assert_eq!(headings[..6], ["subject", "code", "value", "unit", "status", "effective"], "{text}");
        for part in ["Heart rate", " 95.40 ┆ mg/dL ", "2026-01-05 08:00Z"] {
            assert!(text.contains(part), "{part} is missing at {width}:\n{text}");
        }
    }
    // A shown table has no bookkeeping; all of a row has.
    let patients = show(&["Patient"]).stdout;
    assert!(patients.contains("Ines Aalto") && !patients.contains("urn:example:mrn"), "{patients}");
    let all = show(&["Patient", "--all"]).stdout;
    assert!(all.contains("identifier_system") && all.contains("_source") && !all.contains("_hash"), "{all}");
    let ran = show(&["Patients_of_mine"]);
    assert!(ran.code == 1 && ran.stderr.contains("no table `Patients_of_mine`"), "{ran:?}");
    assert_eq!(show(&["Patient", "--columns", "nome"]).code, 1);
    database.remove().await;
}

#[tokio::test]
async fn rows_are_json_for_programs() {
    let database = loaded("show_json").await;
    let objects = |arguments: &[&str]| -> Vec<Value> {
        let ran = run(&[&["show", "--json", "--to", &database.uri], arguments].concat());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let tables = objects(&[]);
    assert!(tables.contains(&serde_json::json!({"table": "Patient", "rows": 9})), "{tables:?}");
    let rows = objects(&["Observation", "--rows", "5"]);
    assert_eq!(rows.len(), 5);
    assert!(
        rows.iter().all(|row| row["_table"] == "Observation" && row["code_system"].is_string()),
        "{rows:?}"
    );
    let rows = objects(&["Observation", "--rows", "9", "--columns", "code,value"]);
    let heart = rows.iter().find(|row| row["code"] == "Heart rate").unwrap();
    assert!(heart["value"].is_number() && heart.as_object().unwrap().len() == 4, "{heart}");
    database.remove().await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_terminal_has_a_pager_and_its_own_width() {
    let database = loaded("show_terminal").await;
    for columns in [80, 160] {
        let arguments = ["show", "--to", &database.uri, "Observation"];
        let (code, shown) = Terminal::run_paged(columns, "sed s/^/>/", &arguments).end();
        let lines: Vec<&str> = shown.lines().filter(|line| line.starts_with('>')).collect();
        assert!(code == 0 && lines.len() > 20, "{shown}");
        let widest = lines.iter().map(|line| line.trim_end().chars().count() - 1).max().unwrap();
        assert!(
            (usize::from(columns) - 12..=usize::from(columns)).contains(&widest),
            "{columns}: {widest}\n{shown}"
        );
    }
    // Without a pager that runs, the text is printed.
    let arguments = ["show", "--to", &database.uri, "Patient"];
    let (code, shown) = Terminal::run_paged(80, "no-such-pager", &arguments).end();
    assert!(code == 0 && shown.contains("Ines Aalto"), "{shown}");
    database.remove().await;
}
