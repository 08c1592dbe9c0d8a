//! What a report counts: the same from every store, and what is worked out by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use flatten::catalog::Catalog;
use pipeline::ledger::{Load, Status};
use pipeline::load::{Pipeline, PipelineLimits};
use pipeline::report::{FailureOutcome, ReportRequest, ReportScope, gather};
use pipeline::source::Storage;
use pipeline::store::Store;
use pipeline::store::admin::{DatabaseUser, Erasure, Lift, ObjectName, Operator};
use pipeline::store::report::{CountedAttempt, DAY_MILLISECONDS, ErasureOutline, FillCounts, LoadSpan};

use crate::admin::each;
use crate::ledger::object;
use crate::overview::{Spec, enter};
use crate::spec::BatchSpec;

const DAY: i64 = DAY_MILLISECONDS;

fn spec(key: &str, begun: i64, status: Status) -> Spec<'_> {
    Spec { key, created: begun, begun, ended: Some((begun + 5, status)), codes: &[], catalog: "abc" }
}

async fn entered(store: &Arc<dyn Store>) {
    let codes = &[("too-deep", 2), ("truncated", 1)];
    let loads = [
        spec("in/a.json", DAY + 1, Status::Done),
        Spec { codes, ..spec("in/b.json", DAY + 2, Status::Partial) },
        spec("in/c.json", 2 * DAY - 1, Status::Failed),
        // Loaded again five days later, and then everything is in.
        spec("in/c.json", 7 * DAY, Status::Done),
        spec("in/d.json", 3 * DAY, Status::Refused),
        Spec { ended: None, ..spec("in/e.json", 3 * DAY + 1, Status::Running) },
    ];
    for load in &loads {
        enter(store, load).await;
    }
}

const fn span(since: i64, until: i64, attempt: CountedAttempt) -> LoadSpan {
    LoadSpan { since: since * DAY, until: until * DAY, attempt }
}

#[tokio::test]
async fn loads_are_summed_by_day() {
    each(async |store| {
        entered(&store).await;
        let days = async |span: &LoadSpan| {
            let days = store.sum_days(span).await.unwrap();
            days.iter().map(|(day, sums)| (day / DAY, sums.loads())).collect::<Vec<_>>()
        };
        assert_eq!(days(&span(0, 9, CountedAttempt::Latest)).await, [(1, 2), (3, 2), (7, 1)]);
        assert_eq!(days(&span(0, 9, CountedAttempt::First)).await, [(1, 3), (3, 2)]);
        assert_eq!(days(&span(2, 7, CountedAttempt::First)).await, [(3, 2)]);
        let first = store.sum_days(&span(1, 2, CountedAttempt::First)).await.unwrap().remove(&DAY).unwrap();
        assert_eq!(first.statuses, BTreeMap::from([(Status::Done, 2), (Status::Partial, 1)]));
        assert_eq!((first.records, first.rows, first.bytes), (30, 60, 300));
        let codes = [("too-deep".to_owned(), 2), ("truncated".to_owned(), 1)];
        assert_eq!(first.codes, BTreeMap::from(codes));
    })
    .await;
}

#[tokio::test]
async fn failures_are_visited_and_complete_files_found() {
    each(async |store| {
        entered(&store).await;
        let visited = async |span: &LoadSpan, now: i64| {
            let mut keys = BTreeSet::new();
            let mut visit = |load: Load| {
                keys.insert(load.key);
                ControlFlow::Continue(())
            };
            store.visit_failures(span, now, &mut visit).await.unwrap();
            keys.into_iter().collect::<Vec<_>>().join(" ")
        };
        let all = span(0, 9, CountedAttempt::First);
        assert_eq!(visited(&all, 3 * DAY + 2).await, "in/b.json in/c.json in/d.json");
        assert_eq!(visited(&all, 9 * DAY).await, "in/b.json in/c.json in/d.json in/e.json");
        assert_eq!(visited(&span(2, 4, CountedAttempt::First), 0).await, "in/d.json");
        assert_eq!(visited(&span(4, 9, CountedAttempt::Latest), 0).await, "in/c.json");
        let name = |key: &str| {
            let (bucket, key) = (object(key).bucket, key.to_owned());
            ObjectName { bucket, key }
        };
        let names = ["in/a.json", "in/b.json", "in/c.json", "other"].map(name).into();
        let complete = store.newest_complete(&names).await.unwrap();
        assert_eq!(complete, BTreeMap::from([(name("in/a.json"), DAY + 1), (name("in/c.json"), 7 * DAY)]));
    })
    .await;
}

#[tokio::test]
async fn rejects_that_stand_are_counted() {
    each(async |store| {
        let spec = BatchSpec { rejects: vec![3, 1], view_defects: vec![2], ..BatchSpec::default() };
        store.write(spec.build()).await.unwrap();
        assert_eq!(store.count_rejects().await.unwrap(), BTreeMap::from([("too-deep".to_owned(), 3)]));
        let load = "clinic/in/day 1.ndjson@v1".to_owned();
        let counts = store.count_rejects_of(&[load.clone(), "other".to_owned()]).await.unwrap();
        assert_eq!(counts, BTreeMap::from([(load, 3)]));
    })
    .await;
}

#[tokio::test]
async fn erasures_of_a_time_are_outlined() {
    each(async |store| {
        let erasure = |mark: &str, begun| Erasure {
            id: store.new_erasure_id(),
            command: store.new_erasure_id(),
            mark: mark.to_owned(),
            reason: "asked for".to_owned(),
            by: Operator { database: DatabaseUser::default(), name: None },
            begun,
            counts: BTreeMap::from([("Patient".to_owned(), 1), ("names".to_owned(), 2)]),
            objects: Vec::new(),
            program: "1".to_owned(),
        };
        let all = [erasure("~a", 5), erasure("~b", 9), erasure("~c", 20)];
        for erasure in all.iter().rev() {
            store.begin_erasure(erasure).await.unwrap();
        }
        store.end_erasure(&all[0].id, 6).await.unwrap();
        let lift = Lift { at: 30, by: Operator::default(), reason: "a mistake".to_owned() };
        store.lift_erasures("~b", &lift).await.unwrap();
        let outline = |of: &Erasure, ended, lifted| ErasureOutline {
            command: of.command.clone(),
            begun: of.begun,
            ended,
            lifted,
            documents: 3,
        };
        let expected = [outline(&all[0], Some(6), None), outline(&all[1], None, Some(30))];
        assert_eq!(store.erasures(5, 20).await.unwrap(), expected);
        assert_eq!(store.erasures(21, 40).await.unwrap(), []);
    })
    .await;
}

/// Columns of cells, of lists, and inside lists of records, in rows that have them and in rows that do not.
#[tokio::test]
async fn filled_columns_are_counted() {
    each(async |store| {
        let lines = [
            r#"{"resourceType":"Patient","id":"a","active":true,"contact":[{"gender":"male"},{"telecom":[{"use":"home"}]}]}"#,
            r#"{"resourceType":"Patient","id":"b","gender":"male","contact":[{"name":{"family":"x"}}]}"#,
            r#"{"resourceType":"Patient","id":"c","active":false}"#,
        ];
        load(&store, &lines.join("\n")).await;
        let columns = ["active", "gender", "contact", "contact.gender", "contact.telecom.use", "no.such.column"];
        let columns = columns.map(str::to_owned);
        let counts = store.count_filled("Patient", &columns, None).await.unwrap();
        assert_eq!(counts, FillCounts { rows: 3, filled: vec![2, 1, 2, 1, 1, 0] });
        assert_eq!(store.estimate_rows("Patient").await.unwrap(), 3);
        let sample = store.count_filled("Patient", &columns[..1], Some(2)).await.unwrap();
        assert!((2..=3).contains(&sample.rows), "{sample:?}");
        let empty = store.count_filled("Observation", &columns, None).await.unwrap();
        assert_eq!(empty, FillCounts { rows: 0, filled: vec![0; 6] });
        assert_eq!(store.estimate_rows("Observation").await.unwrap(), 0);
    })
    .await;
}

/// Loads the rows of a file, without an entry in the ledger.
async fn load(store: &Arc<dyn Store>, text: &str) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let storage = Storage::File(file.path().to_owned());
    let catalog = Arc::<Catalog>::default();
    let pipeline = Pipeline { storage, catalog, store: store.clone(), limits: PipelineLimits::default() };
    pipeline.run(&Arc::new(object("in/x.ndjson")), None, None, &|_| {}).await.unwrap();
}

/// A month's failures with what became of each, and a trend that begins eleven months before.
#[tokio::test]
async fn a_report_of_a_month_says_what_became_of_failures() {
    each(async |store| {
        entered(&store).await;
        // The refused file came again, in a later version.
        let again = Spec { created: 6 * DAY, ..spec("in/d.json", 6 * DAY, Status::Done) };
        crate::overview::enter_version(&store, &again, "v2").await;
        let request = |scope| ReportRequest {
            now: 40 * DAY,
            since: 0,
            until: 31 * DAY,
            scope,
            has_file_names: true,
            check_time: None,
        };
        let report = gather(&*store, &request(ReportScope::Month), &|_, _, _| {}).await.unwrap();
        let outcomes: Vec<_> = report
            .failures
            .iter()
            .map(|failure| (failure.file.name.as_deref().unwrap(), failure.status, failure.outcome))
            .collect();
        let expected = [
            ("d.json", "refused", FailureOutcome::LaterVersion),
            ("e.json", "stuck", FailureOutcome::Open),
            ("c.json", "failed", FailureOutcome::LoadedAgain),
            // No reject of it stands.
            ("b.json", "partial", FailureOutcome::RejectsReplayed),
        ];
        assert_eq!(outcomes, expected);
        assert_eq!((report.total.files, report.days.len(), report.tables.len()), (6, 31, 0));
        let months: Vec<_> =
            report.months.iter().map(|month| (month.month.as_str(), month.counts.files)).collect();
        assert_eq!((months.len(), months[0], months[11]), (12, ("1969-02", 0), ("1970-01", 6)));
        let hidden = ReportRequest { has_file_names: false, ..request(ReportScope::Days) };
        let hidden = gather(&*store, &hidden, &|_, _, _| {}).await.unwrap();
        let shown = serde_json::to_string(&hidden).unwrap();
        assert!(shown.contains("clinic/in/") && !shown.contains(".json"), "{shown}");
    })
    .await;
}
