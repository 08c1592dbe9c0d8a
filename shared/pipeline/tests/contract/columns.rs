//! The dictionary's promises, on the one in memory and on the one in the database.

use std::sync::Arc;

use flatten::automatic::Settings;
use flatten::catalog::{Catalog, CatalogFlattener, Choices};
use flatten::column_type::{CellType, ColumnType};
use flatten::decimals::Decimals;
use flatten::dictionary::Dictionary;
use flatten::json::{Limits, Tape};
use flatten::links::Links;
use flatten::resource::Resource;
use flatten::row::Rows;
use mongodb::bson::{Document, doc};
use pipeline::ledger::{Attempt, FilledColumns, Ledger, Status};
use pipeline::store::ColumnEntry;
use pipeline::summary::{Drift, Summary};

use crate::database::Server;
use crate::ledger::{attempt, each, ending, object};

fn columns_of(resources: &[&str], decimals: Decimals) -> Dictionary {
    let automatic = Settings { decimals, ..Settings::default() };
    let catalog = Catalog::compile(Choices { automatic, ..Choices::default() }).unwrap();
    let mut flattener = CatalogFlattener::new(Arc::new(catalog));
    let (mut tape, mut rows) = (Tape::default(), Rows::default());
    for text in resources {
        let document = tape.parse(text.as_bytes(), Limits::default()).unwrap();
        let resource = Resource::read(document.root()).unwrap();
        flattener.flatten(&resource, &resource.key(None, None), &Links::default(), &mut rows).unwrap();
    }
    flattener.count(&rows);
    flattener.take_dictionary()
}

async fn fill(ledger: &Ledger, load: &str, attempt: u32, first_ordinal: u64, resources: &[&str]) -> Drift {
    let columns = columns_of(resources, Decimals::Exact);
    ledger.fill(&FilledColumns { load, attempt, first_ordinal, columns: &columns, now: 5 }).await.unwrap()
}

async fn column(ledger: &Ledger, id: &str) -> ColumnEntry {
    ledger.column(id).await.unwrap().unwrap()
}

/// Returns the load that filled a column first.
async fn first(ledger: &Ledger, id: &str) -> String {
    column(ledger, id).await.first.unwrap().load
}

const MALE: &str = r#"{"resourceType":"Patient","gender":"male"}"#;
const TALL: &str = r#"{"resourceType":"Patient","gender":"male","tallness":7}"#;

#[tokio::test]
async fn columns_know_their_first_load() {
    each(async |ledger| {
        let first = fill(ledger, "one", 1, 0, &[MALE, MALE]).await;
        assert_eq!((first.new_columns, first.unknown_elements, first.clashes), (1, 0, 0));
        assert_eq!(first.names, ["Patient.gender".to_owned()].into());
        let second = fill(ledger, "two", 1, 0, &[TALL]).await;
        assert_eq!((second.new_columns, second.unknown_elements), (1, 1));
        assert!(second.names.is_empty(), "a name that no release knows may be anything: {second:?}");
        assert!(fill(ledger, "three", 1, 0, &[MALE, TALL]).await.is_none());
        let gender = column(ledger, "Patient.gender").await;
        assert_eq!(self::first(ledger, "Patient.gender").await, "one");
        assert_eq!(self::first(ledger, "Patient.tallness").await, "two");
        let expected = ColumnEntry {
            table: "Patient".to_owned(),
            column: "gender".to_owned(),
            path: Some("Patient.gender".to_owned()),
            datatype: Some("code".to_owned()),
            column_type: Some(ColumnType::One(CellType::Text)),
            first: gender.first.clone(),
            url: None,
            derived: None,
            is_unknown: false,
            is_clash: false,
            is_outdated: false,
        };
        assert_eq!(gender, expected);
        assert!(column(ledger, "Patient.tallness").await.is_unknown);
    })
    .await;
}

#[tokio::test]
async fn a_column_has_the_type_that_holds_all_loads() {
    const WEIGHT: &str = r#"{"resourceType":"Observation","status":"final","valueQuantity":{"value":70.5}}"#;
    each(async |ledger| {
        let (double, exact) = (Decimals::Double, Decimals::Exact);
        let types = [(double, CellType::Double), (exact, CellType::Decimal), (double, CellType::Decimal)];
        for (attempt, (decimals, expected)) in (1..).zip(types) {
            let columns = columns_of(&[WEIGHT], decimals);
            let filled = FilledColumns {
                load: "one",
                attempt,
                first_ordinal: u64::from(attempt),
                columns: &columns,
                now: 5,
            };
            ledger.fill(&filled).await.unwrap();
            let value = column(ledger, "Observation.valueQuantity_value").await;
            assert_eq!(value.column_type, Some(ColumnType::One(expected)));
            let status = column(ledger, "Observation.status").await;
            assert_eq!(status.column_type, Some(ColumnType::One(CellType::Text)));
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_entered_again_is_new_to_the_same_part_alone() {
    each(async |ledger| {
        let drift = fill(ledger, "one", 1, 0, &[MALE]).await;
        assert_eq!(fill(ledger, "one", 1, 0, &[MALE]).await, drift, "the answer was lost: it is given again");
        assert!(fill(ledger, "other", 1, 0, &[MALE]).await.is_none());
        assert_eq!(fill(ledger, "one", 2, 0, &[MALE]).await, drift, "the first attempt was killed");
        assert!(fill(ledger, "one", 3, 1, &[MALE]).await.is_none(), "an attempt that went on");
        assert_eq!(first(ledger, "Patient.gender").await, "one");
    })
    .await;
}

#[tokio::test]
async fn to_a_replay_of_what_has_ended_only_new_columns_are_new() {
    each(async |ledger| {
        let (object, id) = (object("a"), object("a").load_id());
        ledger.begin(&object, &attempt("one", 0)).await.unwrap();
        fill(ledger, &id, 1, 0, &[MALE]).await;
        ledger.finish(&id, 1, &ending(Status::Done, &Summary::default(), None, 1)).await.unwrap();
        ledger.begin(&object, &Attempt { again: true, ..attempt("two", 2) }).await.unwrap();
        let drift = fill(ledger, &id, 2, 0, &[TALL]).await;
        assert_eq!((drift.new_columns, drift.unknown_elements), (1, 1));
    })
    .await;
}

/// What earlier versions counted goes away with the next load that fills the column.
#[tokio::test]
async fn entries_of_earlier_versions_lose_what_they_counted() {
    let server = Server::get().await;
    let scratch = server.scratch().await;
    let store = Arc::new(scratch.store().await);
    let columns = scratch.database().collection::<Document>("_columns");
    fill(&Ledger::new(store.clone()), "one", 1, 0, &[MALE]).await;
    let counted = doc! { "$set": { "rows": 7_i64, "last": { "load": "one" }, "marks": ["x"] } };
    columns.update_one(doc! { "_id": "Patient.gender" }, counted).await.unwrap();
    let ledger = Ledger::new(store);
    assert!(fill(&ledger, "two", 1, 0, &[MALE]).await.is_none());
    let gender = columns.find_one(doc! { "_id": "Patient.gender" }).await.unwrap().unwrap();
    assert!(!["rows", "last", "marks"].iter().any(|name| gender.contains_key(name)), "{gender}");
    assert_eq!(first(&ledger, "Patient.gender").await, "one");
    scratch.discard().await;
}

#[tokio::test]
async fn urls_that_share_a_tail_clash_across_loads() {
    let tier = |host: &str| {
        format!(
            r#"{{"resourceType":"Patient","extension":[{{"url":"http://{host}.example/tier","valueCode":"x"}}]}}"#
        )
    };
    let (a, b) = (tier("a"), tier("b"));
    each(async |ledger| {
        assert_eq!(fill(ledger, "one", 1, 0, &[&a]).await.clashes, 0);
        assert_eq!(fill(ledger, "two", 1, 0, &[&b]).await.clashes, 1);
        assert_eq!(fill(ledger, "three", 1, 0, &[&b]).await.clashes, 0, "it is known by now");
        let tier = column(ledger, "Patient.tier").await;
        assert_eq!((tier.url.as_deref(), tier.is_clash), (Some("http://a.example/tier"), true));
    })
    .await;
}

/// Patients with so many extensions that nobody knows, from a number on.
fn made_up(first: usize, count: usize) -> String {
    let extension = |number| format!(r#"{{"url":"http://a.example/e{number}","valueCode":"c"}}"#);
    let extensions: Vec<_> = (first..first + count).map(extension).collect();
    format!(r#"{{"resourceType":"Patient","extension":[{}]}}"#, extensions.join(","))
}

#[tokio::test]
async fn a_table_has_so_many_columns_whichever_loads_bring_them() {
    each(async |ledger| {
        assert_eq!(fill(ledger, "a", 1, 0, &[&made_up(0, 17_990)]).await.new_columns, 17_990);
        let second = fill(ledger, "b", 1, 0, &[&made_up(17_985, 20), MALE]).await;
        assert_eq!((second.new_columns, second.unlisted, second.is_none()), (11, 5, false));
        assert!(
            ledger.column("Patient.gender").await.unwrap().is_some(),
            "FHIR's own columns have room of their own"
        );
        let third = fill(ledger, "c", 1, 0, &[&made_up(18_100, 3), TALL]).await;
        assert_eq!((third.new_columns, third.unlisted), (0, 4));
        // Other tables have room.
        let fourth =
            fill(ledger, "d", 1, 0, &[&made_up(0, 3), &made_up(0, 3).replace("Patient", "Person")]).await;
        assert_eq!((fourth.new_columns, fourth.unlisted), (3, 0));
    })
    .await;
}

#[tokio::test]
async fn columns_with_long_names_and_urls_are_entered() {
    // All of them together are larger than a message that the database takes.
    let tails = (0..400).map(|number| format!("http://a.example/{}{number}", "é".repeat(30_000)));
    let names = (0..400).map(|number| format!("http://a.example/{}{number}", "n".repeat(30_000)));
    let extension = |url: String| format!(r#"{{"url":"{url}","valueCode":"c"}}"#);
    let extensions: Vec<_> = tails.chain(names).map(extension).collect();
    let patient = format!(r#"{{"resourceType":"Patient","extension":[{}]}}"#, extensions.join(","));
    each(async |ledger| {
        let drift = fill(ledger, "a", 1, 0, &[&patient]).await;
        assert_eq!((drift.new_columns, drift.unlisted), (800, 0));
    })
    .await;
}

/// Two that enter a new column at the same moment both meet a column that is not there yet.
#[tokio::test]
async fn loads_that_meet_in_a_new_column_enter_it_once() {
    each(async |ledger| {
        for round in 0..10 {
            let tall = format!(r#"{{"resourceType":"Patient","tallness{round}":7}}"#);
            let resources = [tall.as_str()];
            let loads: Vec<String> = (0..8).map(|load| format!("{round}-{load}")).collect();
            let fills = loads.iter().map(|load| fill(ledger, load, 1, 0, &resources));
            futures::future::join_all(fills).await;
            let first = first(ledger, &format!("Patient.tallness{round}")).await;
            assert!(loads.contains(&first), "round {round}: {first}");
        }
    })
    .await;
}
