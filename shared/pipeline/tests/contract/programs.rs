//! Programs with different catalogs that write to one database, one after the other: in the end the newest version
//! stands, in the tables of the program that wrote it, and nothing else anywhere.

use std::sync::Arc;

use flatten::automatic::{Arrays, Settings};
use flatten::catalog::{Catalog, Choices, Tables as FilledColumns};
use mongodb_store::simulation::SimulatedMongo;
use pipeline::assemble::{Assembler, BatchLimits};
use pipeline::batch::WriteBatch;
use pipeline::decode::{self, Decoder};
use pipeline::object::{ObjectRef, Pin};
use pipeline::store::RowStore;

use crate::database::{Scratch, Server};
use crate::harness::of_simulated;
use crate::tables::Tables;

/// One row a patient; one a name; one only for those with a gender.
const VIEWS: [&str; 3] = [
    r#"{"name":"patients","resource":"Patient","select":[{"column":[
        {"name":"id","path":"getResourceKey()"},{"name":"gender","path":"gender"}]}]}"#,
    r#"{"name":"a_name","resource":"Patient","select":[{"forEach":"name","column":[{"name":"family","path":"family"}]}]}"#,
    r#"{"name":"b_gender","resource":"Patient","where":[{"path":"gender.exists()"}],"select":[{"column":[
        {"name":"gender","path":"gender"}]}]}"#,
];
const VIEW_OF_OTHERS: &str = r#"{"name":"encounters","resource":"Encounter","select":[{"column":[
    {"name":"id","path":"id"}]}]}"#;

/// A program, by what it makes of resources.
struct Program {
    name: &'static str,
    catalog: Arc<Catalog>,
}

/// What a file says of the patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    Much,
    Little,
    Deleted,
}

fn programs() -> Vec<Program> {
    let views = |views: &[&str]| views.iter().map(|view| ("view".to_owned(), (*view).to_owned())).collect();
    let tables = |tables| Choices { tables, ..Choices::default() };
    let child_tables = Settings { arrays: Arrays::Tables, ..Settings::default() };
    let inactive = vec!["Patient".to_owned()];
    let all = [
        ("automatic", tables(FilledColumns::Automatic)),
        ("both", Choices { views: views(&VIEWS), ..tables(FilledColumns::Both) }),
        ("views", Choices { views: views(&VIEWS), ..tables(FilledColumns::Views) }),
        ("names", Choices { views: views(&VIEWS[1..]), ..tables(FilledColumns::Views) }),
        ("genders", Choices { views: views(&VIEWS[2..]), ..tables(FilledColumns::Views) }),
        ("child tables", Choices { automatic: child_tables, ..tables(FilledColumns::Automatic) }),
        ("archive", Choices { inactive: inactive.clone(), ..tables(FilledColumns::Automatic) }),
        (
            "archive alone",
            Choices { views: views(&[VIEW_OF_OTHERS]), inactive, ..tables(FilledColumns::Views) },
        ),
        ("no view", Choices { views: views(&[VIEW_OF_OTHERS]), ..tables(FilledColumns::Views) }),
    ];
    let compiled = |(name, choices)| Program { name, catalog: Arc::new(Catalog::compile(choices).unwrap()) };
    all.into_iter().map(compiled).collect()
}

impl Program {
    /// Returns what it writes of a file.
    fn batch(&self, version: i64, says: Says) -> WriteBatch {
        let contact =
            r#""contact":[{"gender":"other"}],"contained":[{"resourceType":"Organization","id":"o"}]"#;
        let text = match says {
            Says::Much => format!(
                r#"{{"resourceType":"Patient","id":"1","gender":"male","name":[{{"family":"A"}},{{"family":"B"}}],{contact}}}"#
            ),
            Says::Little => r#"{"resourceType":"Patient","id":"1","name":[{"family":"C"}]}"#.to_owned(),
            Says::Deleted => {
                let entry = r#"{"request":{"method":"DELETE","url":"Patient/1"}}"#;
                format!(r#"{{"resourceType":"Bundle","type":"transaction","entry":[{entry}]}}"#)
            }
        };
        let object = ObjectRef {
            bucket: "clinic".into(),
            key: format!("{version}.json"),
            pin: Pin::Latest,
            sequencer: None,
            created: version * 1_000,
            size: None,
        };
        let mut decoder = Decoder::new(decode::DecoderLimits::default());
        let mut assembler =
            Assembler::new(Arc::new(object), Arc::clone(&self.catalog), BatchLimits::default());
        decoder.push(text.as_bytes());
        decoder.finish();
        while let Some(frame) = decoder.next() {
            assembler.add_frame(&frame);
            while assembler.is_waiting() {
                assembler.flush_waiting();
            }
        }
        let mut batch = assembler.take_batch().unwrap();
        // Without the row of the Bundle that deletes.
        batch.resources.retain(|resource| resource.key == "Patient/1");
        batch
    }
}

/// One program writes, then another, or the same; the newest of their versions is the second or the first.
struct Story<'a> {
    first: (&'a Program, i64, Says),
    second: (&'a Program, i64, Says),
}

impl Story<'_> {
    fn name(&self) -> String {
        let told =
            |(program, version, says): (&Program, i64, Says)| format!("{} {version} {says:?}", program.name);
        format!("{}, then {}", told(self.first), told(self.second))
    }

    fn newest(&self) -> (&Program, i64, Says) {
        if self.first.1 > self.second.1 { self.first } else { self.second }
    }

    /// Returns what the newest version alone leaves.
    async fn expected(&self) -> Tables {
        let (program, version, says) = self.newest();
        let store = SimulatedMongo::default();
        store.write(program.batch(version, says)).await.unwrap();
        without_tombstones(of_simulated(&store))
    }

    /// Returns the batches of both programs, then an older version by each.
    fn writes(&self) -> Vec<WriteBatch> {
        let batch = |(program, version, says): (&Program, i64, Says)| program.batch(version, says);
        let older = [self.first.0, self.second.0].map(|program| program.batch(1, Says::Much));
        [batch(self.first), batch(self.second)].into_iter().chain(older).collect()
    }
}

/// Returns which tombstone stays behind is another matter: it shows in what an older version can still do.
fn without_tombstones(mut tables: Tables) -> Tables {
    tables.remove("_tombstones");
    tables
}

fn stories(programs: &[Program]) -> Vec<Story<'_>> {
    let mut stories = Vec::new();
    for first in programs {
        for second in programs {
            for (before, after) in [
                ((2, Says::Much), (3, Says::Much)),
                ((2, Says::Much), (3, Says::Little)),
                ((2, Says::Little), (3, Says::Much)),
                ((2, Says::Much), (3, Says::Deleted)),
                ((2, Says::Deleted), (3, Says::Much)),
                ((3, Says::Little), (2, Says::Much)),
                ((3, Says::Deleted), (2, Says::Much)),
            ] {
                // What no table takes is not written, and nothing is known of it later.
                let is_lost = first.name == "no view" && before.0 > after.0 && before.1 != Says::Deleted;
                if !is_lost {
                    stories.push(Story {
                        first: (first, before.0, before.1),
                        second: (second, after.0, after.1),
                    });
                }
            }
        }
    }
    assert!(stories.len() > 500);
    stories
}

#[tokio::test]
async fn the_newest_version_stands_alone_whichever_program_wrote_it() {
    let programs = programs();
    for story in stories(&programs) {
        let expected = story.expected().await;
        let store = SimulatedMongo::default();
        for (number, batch) in story.writes().into_iter().enumerate() {
            store.write(batch).await.unwrap();
            if number > 0 {
                assert_eq!(without_tombstones(of_simulated(&store)), expected, "{}", story.name());
            }
        }
    }
}

/// The same, where every write is that of a process of its own.
#[tokio::test]
async fn the_newest_version_stands_alone_in_the_database_whichever_program_wrote_it() {
    let (server, programs) = (Server::get().await, programs());
    for story in stories(&programs) {
        // The store in memory tells all of them, which run the same replacement; the database every seventh.
        if story.name().bytes().map(u64::from).sum::<u64>() % 7 != 0 {
            continue;
        }
        let scratch = server.scratch().await;
        for batch in story.writes() {
            scratch.store().await.write(batch).await.unwrap();
        }
        let mut tables = without_tombstones(scratch.read().await);
        tables.retain(|_, table| !table.is_empty());
        assert_eq!(tables, story.expected().await, "{}", story.name());
    }
}

/// Notes of an earlier version of this program, which has written rows whose `_id` has a suffix.
#[tokio::test]
async fn tables_that_an_earlier_version_has_noted_are_cleared() {
    let (server, programs) = (Server::get().await, programs());
    let scratch = server.scratch().await;
    write(&scratch, &programs[5], 1, Says::Much).await;
    let database = scratch.database();
    let contacts = database.collection::<bson::Document>("Patient_contact");
    assert_eq!(contacts.count_documents(bson::doc! {}).await.unwrap(), 1);
    database.collection::<bson::Document>("_tables").drop().await.unwrap();
    let note = bson::doc! { "_id": "Patient/Patient_contact", "type": "Patient", "table": "Patient_contact" };
    database.collection::<bson::Document>("_side_tables").insert_one(note).await.unwrap();
    write(&scratch, &programs[0], 2, Says::Little).await;
    assert_eq!(contacts.count_documents(bson::doc! {}).await.unwrap(), 0);
    scratch.discard().await;
}

async fn write(scratch: &Scratch, program: &Program, version: i64, says: Says) {
    scratch.store().await.write(program.batch(version, says)).await.unwrap();
}
