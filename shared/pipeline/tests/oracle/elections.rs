//! Elections: a replica set whose primary steps down or is killed, again and again, while histories are delivered.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use mongodb::bson::doc;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::replica_set::ReplicaSet;
use crate::stats::STATS;

/// Members of the set: one can be away, and there is a majority all the same.
const MEMBERS: usize = 3;

pub(crate) const STEP_DOWNS: &str = "primaries that stepped down";
pub(crate) const KILLED_PRIMARIES: &str = "primaries killed";
pub(crate) const KILLED_SECONDARIES: &str = "secondaries killed";
pub(crate) const KILLED_MAJORITIES: &str = "majorities killed";

/// A thread that disturbs a replica set until it is dropped; the set ends with it.
pub(crate) struct Elections {
    uri: String,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Elections {
    /// Starts a replica set and the disturbances that follow from the seed.
    pub(crate) fn start(mongod: &Path, seed: u64) -> Self {
        // With users, because members that come and go let nobody log in.
        let mut set = ReplicaSet::start(mongod, MEMBERS, Some("a key that the members of the set share"));
        set.add_administrator("administrator", "password");
        let (uri, is_over) = (set.uri(), Arc::new(AtomicBool::new(false)));
        let mut random = StdRng::seed_from_u64(seed);
        let over = Arc::clone(&is_over);
        let thread = std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                pause(&mut random, 100..1_200);
                disturb(&mut set, &mut random);
                assert!(set.wait_for_primary(), "the replica set elects no primary\n{}", set.described());
            }
        });
        Self { uri, is_over, thread: Some(thread) }
    }

    pub(crate) fn uri(&self) -> &str {
        &self.uri
    }

    /// Ends the disturbances and the set.
    ///
    /// # Panics
    /// If the thread did.
    pub(crate) fn stop(mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Drop for Elections {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// Does one thing to the set. Afterwards all members run again.
fn disturb(set: &mut ReplicaSet, random: &mut StdRng) {
    let Some(primary) = set.primary() else { return };
    let secondary = (primary + random.random_range(1..MEMBERS)) % MEMBERS;
    match random.random_range(0..10) {
        0..4 => {
            STATS.count(STEP_DOWNS);
            // Without the time to catch up, what the secondaries have not copied yet is rolled back.
            let catch_up = random.random_range(0..2);
            let seconds = catch_up + random.random_range(1..3);
            set.ask(
                primary,
                doc! { "replSetStepDown": seconds, "secondaryCatchUpPeriodSecs": catch_up, "force": true },
            );
        }
        4..8 => {
            STATS.count(KILLED_PRIMARIES);
            kill_for_a_while(set, &[primary], random);
        }
        8 => {
            STATS.count(KILLED_SECONDARIES);
            kill_for_a_while(set, &[secondary], random);
        }
        _ => {
            STATS.count(KILLED_MAJORITIES);
            kill_for_a_while(set, &[primary, secondary], random);
        }
    }
}

fn kill_for_a_while(set: &mut ReplicaSet, members: &[usize], random: &mut StdRng) {
    for member in members {
        set.kill(*member);
    }
    pause(random, 0..3_000);
    for member in members {
        set.restart(*member);
    }
}

fn pause(random: &mut StdRng, milliseconds: std::ops::Range<u64>) {
    std::thread::sleep(Duration::from_millis(random.random_range(milliseconds)));
}
