//! Erasures of a history: which resources are erased or let in again at which moments.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// One command of the operator. A history's commands are given one after another.
#[derive(Debug, Clone)]
pub(crate) struct Act {
    pub(crate) kind: ActKind,
    pub(crate) key: String,
    /// The act waits until so many writes of the history have begun, or until nothing is under way.
    pub(crate) after_writes: u64,
    /// Whether it then waits for a load that stops at a deadline, so that the load is continued behind it.
    pub(crate) after_stop: bool,
    /// Then other tasks have so many turns, which ends between two statements of a write.
    pub(crate) turns: u32,
    /// Decides what follows the act, such as which objects are loaded again.
    pub(crate) seed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ActKind {
    /// Erases the resource; killed after so many turns first, and given again.
    Erase { killed_after: Option<u32> },
    /// Lets the resource in again.
    Lift,
}

/// How the last act left a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeyState {
    Erased,
    /// It was let in again. Only these objects, by index, were read from their first byte since then.
    Lifted {
        objects: BTreeSet<usize>,
    },
}

/// The resources that were ever erased, by key.
pub(crate) type KeyStates = BTreeMap<String, KeyState>;

/// A history has at most this many erased resources.
const MOST_KEYS: usize = 3;

/// Returns the acts of a seed, independent of the history's objects.
pub(crate) fn acts(seed: u64) -> Vec<Act> {
    let mut random = StdRng::seed_from_u64(seed.wrapping_mul(7_919).wrapping_add(3));
    if random.random_bool(0.4) {
        return Vec::new();
    }
    let keys: BTreeSet<String> =
        (0..random.random_range(1..=MOST_KEYS)).map(|_| key(&mut random).to_owned()).collect();
    let mut rest: Vec<(String, Vec<ActKind>)> =
        keys.into_iter().map(|key| (key, kinds(&mut random))).collect();
    let (mut acts, mut after_writes) = (Vec::new(), 0);
    while !rest.is_empty() {
        let index = random.random_range(0..rest.len());
        let (key, kinds) = &mut rest[index];
        after_writes += random.random_range(0..15);
        let (turns, seed) = (random.random_range(0..60), random.random());
        let after_stop = random.random_bool(0.3);
        let turns = if after_stop { turns / 10 } else { turns };
        acts.push(Act { kind: kinds.remove(0), key: key.clone(), after_writes, after_stop, turns, seed });
        rest.retain(|(_, kinds)| !kinds.is_empty());
    }
    acts
}

/// Returns what happens to one resource: an erasure, sometimes its end, sometimes another erasure.
fn kinds(random: &mut StdRng) -> Vec<ActKind> {
    let mut kinds = vec![erase(random)];
    if random.random_bool(0.4) {
        kinds.push(ActKind::Lift);
        if random.random_bool(0.3) {
            kinds.push(erase(random));
            if random.random_bool(0.3) {
                kinds.push(ActKind::Lift);
            }
        }
    }
    kinds
}

fn erase(random: &mut StdRng) -> ActKind {
    ActKind::Erase { killed_after: random.random_bool(0.3).then(|| random.random_range(1..20)) }
}

/// Returns a key of resources that occur often, and some that stand nowhere but inside others.
fn key(random: &mut StdRng) -> &'static str {
    const KEYS: [&str; 20] = [
        "Patient/1",
        "Patient/1",
        "Patient/1",
        "Patient/10",
        "Patient/10",
        "Patient/10",
        "Patient/2",
        "Patient/2",
        "Observation/1",
        "Observation/1",
        "Observation/10",
        "Observation/10",
        "Observation/2",
        "MedicationRequest/1",
        "MedicationRequest/1",
        "MedicationRequest/10",
        "MedicationRequest/2",
        "AuditEvent/1",
        "Bundle/b",
        "Organization/o",
    ];
    KEYS[random.random_range(0..KEYS.len())]
}
