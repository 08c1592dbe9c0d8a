//! Random histories, delivered late, twice, in any order and with failures: the tables equal those of one clean
//! load in the order of versions.

use futures::StreamExt;
use futures::stream;
use mongodb_store::simulation::{Fault, SimulatedMongo};
use pipeline::interrupted::Interrupted;
use pipeline::store::RowStore;
use proptest::prelude::*;
use proptest::sample::subsequence;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};

use crate::database::Server;
use crate::harness::{Harness, of_simulated};
use crate::spec::{BatchSpec, Shape, Write, batch, marked};
use crate::tables::Tables;

/// What happened, and how it was delivered.
#[derive(Debug, Clone)]
struct History {
    /// Versions in their order, one resource each.
    writes: Vec<Write>,
    /// Batches of versions, by index; every version is delivered at least once.
    deliveries: Vec<Vec<usize>>,
    /// After how many statements the next failure comes, and whether the failing statement takes effect.
    faults: Vec<(u64, bool)>,
}

fn shape() -> impl Strategy<Value = Shape> {
    prop_oneof![
        4 => (any::<bool>(), 0..4usize).prop_map(|(main, names)| Shape::Rows { main: main || names > 1, names }),
        1 => Just(Shape::Deleted),
        1 => Just(Shape::Archived),
        1 => Just(Shape::Erased),
    ]
}

fn write() -> impl Strategy<Value = (&'static str, Shape)> {
    prop_oneof![
        5 => (prop_oneof![Just("Patient/1"), Just("Patient/10"), Just("Patient/2")], shape()),
        1 => (Just("AuditEvent/1"), prop_oneof![Just(Shape::Archived), Just(Shape::Deleted), Just(Shape::Erased)]),
    ]
}

fn history() -> impl Strategy<Value = History> {
    proptest::collection::vec(write(), 1..14).prop_flat_map(|writes| {
        let writes: Vec<Write> = (writes.into_iter().zip(1..))
            .map(|((key, shape), version)| Write { key: key.to_owned(), version, shape })
            .collect();
        let all: Vec<usize> = (0..writes.len()).collect();
        let again = proptest::collection::vec(subsequence(all.clone(), 0..=writes.len()), 0..4);
        let order = again
            .prop_flat_map(move |again| Just([vec![all.clone()], again].concat().concat()).prop_shuffle());
        let deliveries = (order, proptest::collection::vec(1..5usize, 1..8)).prop_map(|(order, sizes)| {
            let mut rest = order.as_slice();
            let cut = sizes.into_iter().cycle().map_while(move |size| {
                let (batch, behind) = rest.split_at(size.min(rest.len()));
                rest = behind;
                (!batch.is_empty()).then(|| batch.to_vec())
            });
            cut.collect()
        });
        let faults = proptest::collection::vec((0..30u64, any::<bool>()), 0..12);
        (Just(writes), deliveries, faults).prop_map(|(writes, deliveries, faults)| History {
            writes,
            deliveries,
            faults,
        })
    })
}

impl History {
    fn batches(&self) -> impl Iterator<Item = BatchSpec> {
        self.deliveries.iter().map(|delivery| {
            batch(delivery.iter().map(|&index| self.writes[index].clone()).collect::<Vec<_>>())
        })
    }

    /// Returns the tables of one clean load, version by version. Nothing stands of a resource that is erased at any
    /// moment.
    async fn oracle(&self) -> Tables {
        let store = SimulatedMongo::default();
        for write in &self.writes {
            store.write(marked(batch([write.clone()]).build(), &store.marks())).await.unwrap();
        }
        of_simulated(&store)
    }
}

#[test]
fn any_delivery_with_failures_ends_like_a_clean_load() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let config = Config { cases: 400, failure_persistence: None, ..Config::default() };
    let failures = std::cell::Cell::new(0);
    let result = TestRunner::new(config).run(&history(), |history| {
        let (tables, oracle, failed) = runtime.block_on(async {
            let store = SimulatedMongo::default();
            let mut faults = history.faults.iter();
            let mut failed = 0;
            for batch in history.batches() {
                if let Some(&(operation, takes_effect)) = faults.next() {
                    store.fail(Fault { operation, takes_effect });
                }
                while let Err(error) = store.write(marked(batch.build(), &store.marks())).await {
                    assert_eq!(error, Interrupted::Write { code: "injected fault".into() });
                    failed += 1;
                }
            }
            (of_simulated(&store), history.oracle().await, failed)
        });
        failures.set(failures.get() + failed);
        prop_assert_eq!(tables, oracle);
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    assert!(failures.get() > 100, "only {} failures were met", failures.get());
}

/// The same on the real protocol, three batches at a time.
#[tokio::test(flavor = "multi_thread")]
async fn any_concurrent_delivery_to_the_database_ends_like_a_clean_load() {
    let server = Server::get().await;
    let mut runner = TestRunner::new(Config::default());
    for _ in 0..20 {
        let history = history().new_tree(&mut runner).unwrap().current();
        let harness = Harness::mongodb(&server).await;
        let writes = stream::iter(history.batches()).map(|batch| harness.write(batch.build()));
        let results: Vec<_> = writes.buffer_unordered(3).collect().await;
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        assert_eq!(harness.tables().await, history.oracle().await, "{history:?}");
    }
}
