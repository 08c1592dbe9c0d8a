//! What the environment says about a run, read in this one place.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

/// How many histories, from which seed on.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Histories in the simulation of MongoDB (`FLATFIRE_HISTORIES`).
    pub(crate) histories: u64,
    /// Histories on the store in memory: a third of those in the simulation.
    pub(crate) memory_histories: u64,
    /// Histories on the database (`FLATFIRE_DATABASE_HISTORIES`).
    pub(crate) database_histories: u64,
    /// Histories on a replica set (`FLATFIRE_REPLICA_HISTORIES`).
    pub(crate) replica_histories: u64,
    /// The seed of the first history, those of the others follow it (`FLATFIRE_SEED`); a new one for every run if left
    /// out.
    pub(crate) seed: u64,
    /// The only objects of every history, by number (`FLATFIRE_OBJECTS=0,3`): a history made shorter by hand.
    pub(crate) objects: Option<Vec<usize>>,
    /// Histories at a time (`FLATFIRE_AT_ONCE`): they wait more than they work.
    pub(crate) at_once: usize,
    /// Whether somebody waits for the end and wants to see progress (`FLATFIRE_PROGRESS`).
    pub(crate) shows_progress: bool,
}

impl Settings {
    pub(crate) fn from_environment() -> Self {
        let number = |name: &str| variable(name).map(|text| text.parse().unwrap());
        let objects = variable("FLATFIRE_OBJECTS");
        let objects = objects.map(|list| list.split(',').map(|number| number.parse().unwrap()).collect());
        // Seeds are short, because people copy them.
        let random = || RandomState::new().build_hasher().finish() % 1_000_000_000;
        let histories = number("FLATFIRE_HISTORIES").unwrap_or(300);
        Self {
            histories,
            memory_histories: histories.div_ceil(3),
            database_histories: number("FLATFIRE_DATABASE_HISTORIES").unwrap_or(30),
            replica_histories: number("FLATFIRE_REPLICA_HISTORIES").unwrap_or(30),
            seed: number("FLATFIRE_SEED").unwrap_or_else(random),
            objects,
            at_once: number("FLATFIRE_AT_ONCE").map_or(8, |number| usize::try_from(number).unwrap()),
            shows_progress: variable("FLATFIRE_PROGRESS").is_some(),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place where these tests read the environment for themselves"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

/// Returns the database that is given, if one is.
pub(crate) fn database_uri() -> Option<String> {
    variable("MONGODB_URI")
}

/// Returns the `mongod` that is given, or the word `none`.
pub(crate) fn mongod() -> Option<String> {
    variable("FLATFIRE_MONGOD")
}
