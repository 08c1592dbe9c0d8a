//! Readings of one object: a reject is of the latest one that met it, and goes away when a whole one did not.

use mongodb::bson::doc;

use crate::database::{Scratch, Server};
use crate::harness::Harness;
use crate::spec::BatchSpec;

/// The object of these tests.
const LOAD: &str = "clinic/in/day 1.ndjson@v1";

/// What a reading does, and the rejects that stand afterwards: ordinals, each with its reading.
struct Step {
    reading: u32,
    rejects: &'static [u64],
    is_complete: bool,
    standing: &'static [(u64, i64)],
}

const STEPS: [Step; 6] = [
    Step { reading: 1, rejects: &[4, 5], is_complete: true, standing: &[(4, 1), (5, 1)] },
    Step { reading: 3, rejects: &[5, 6], is_complete: false, standing: &[(4, 1), (5, 3), (6, 3)] },
    Step { reading: 3, rejects: &[], is_complete: true, standing: &[(5, 3), (6, 3)] },
    // Somebody is late: nothing of the later reading is taken away or made older.
    Step { reading: 1, rejects: &[4, 5], is_complete: true, standing: &[(4, 1), (5, 3), (6, 3)] },
    Step { reading: 3, rejects: &[], is_complete: true, standing: &[(5, 3), (6, 3)] },
    Step { reading: 4, rejects: &[], is_complete: true, standing: &[] },
];

#[tokio::test]
async fn a_reject_is_of_the_latest_reading_that_met_it() {
    let server = Server::get().await;
    for harness in [Harness::memory(), Harness::simulated(), Harness::mongodb(&server).await] {
        for (number, step) in STEPS.iter().enumerate() {
            let rejects = step.rejects.to_vec();
            let batch = BatchSpec { rejects, reading: step.reading, ..BatchSpec::default() };
            harness.write(batch.build()).await.unwrap();
            if step.is_complete {
                harness.forget_rejects(LOAD, step.reading).await;
            }
            let standing: Vec<_> = (step.standing.iter())
                .map(|&(ordinal, reading)| (format!("{LOAD}#{ordinal}:{ordinal}00/too-deep/"), reading))
                .collect();
            assert_eq!(harness.rejects().await, standing, "step {number}");
        }
        harness.tables().await;
    }
}

#[tokio::test]
async fn rejects_of_other_loads_stay() {
    let server = Server::get().await;
    for harness in [Harness::memory(), Harness::simulated(), Harness::mongodb(&server).await] {
        let batch = BatchSpec { rejects: vec![4], reading: 1, ..BatchSpec::default() };
        harness.write(batch.build()).await.unwrap();
        for other in ["clinic/in/day 1.ndjson@v", "clinic/in/day 1.ndjson", "clinic/in/day 1.ndjson@v10", ""]
        {
            harness.forget_rejects(other, 9).await;
        }
        assert_eq!(harness.rejects().await.len(), 1);
        harness.tables().await;
    }
}

/// What an earlier version of the program wrote says nothing of a reading.
#[tokio::test]
async fn rejects_of_no_reading_are_earlier_than_any() {
    let server = Server::get().await;
    let scratch = server.scratch().await;
    let id = |ordinal: u64| format!("{LOAD}#{ordinal}:{ordinal}00/too-deep/");
    for ordinal in [4, 7] {
        insert(&scratch, &id(ordinal), LOAD).await;
    }
    // A key may have a `#` of its own: ids of that load stand among those of this one.
    let other = (format!("{LOAD}#x"), format!("{LOAD}#x#1:0/too-deep/"));
    insert(&scratch, &other.1, &other.0).await;
    let harness = Harness::Mongo { store: scratch.store().await, scratch };
    let batch = BatchSpec { rejects: vec![4], reading: 2, ..BatchSpec::default() };
    harness.write(batch.build()).await.unwrap();
    assert_eq!(harness.rejects().await, [(id(4), 2), (id(7), 0), (other.1.clone(), 0)]);
    harness.forget_rejects(LOAD, 2).await;
    assert_eq!(harness.rejects().await, [(id(4), 2), (other.1, 0)]);
    harness.tables().await;
}

async fn insert(scratch: &Scratch, id: &str, load: &str) {
    let rejects = scratch.database().collection("_rejects");
    rejects.insert_one(doc! { "_id": id, "_load": load }).await.unwrap();
}
