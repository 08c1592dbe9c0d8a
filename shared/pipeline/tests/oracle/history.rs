//! A history: object versions that touch the same resources, and how their notifications arrive. A seed makes it.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use pipeline::assemble::BatchLimits;
use pipeline::load::PipelineLimits;
use pipeline::object::{ObjectRef, Pin};
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};

use crate::catalogs;
use crate::content::{Record, record};
use crate::erasures::{Act, acts};
use crate::file::file;

/// What happened, and how it is told.
#[derive(Debug, Clone)]
pub(crate) struct History {
    pub(crate) seed: u64,
    pub(crate) objects: Vec<Object>,
    /// Which of the deployments of [`catalogs`].
    pub(crate) catalog: usize,
    pub(crate) limits: PipelineLimits,
    /// Every object at least once, in the order of arrival.
    pub(crate) deliveries: Vec<Delivery>,
    /// Functions at a time.
    pub(crate) at_once: usize,
    /// Kills, faults of the store and deadlines, until the world calms down.
    pub(crate) mishaps: u32,
    /// Of a hundred answers of S3 so many are bad.
    pub(crate) bad_answers: u32,
    /// Whether leases end while their owners are still at work.
    pub(crate) owners_linger: bool,
    /// Whether attempts may be given a deadline.
    pub(crate) has_deadlines: bool,
    /// Another deployment that loads first.
    pub(crate) earlier: Option<Earlier>,
    /// What the operator erases and lets in again, in this order.
    pub(crate) acts: Vec<Act>,
}

/// A deployment that is replaced in the middle. Everything is asked for again then, as whoever changes settings does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Earlier {
    /// Which of the deployments of [`catalogs`].
    pub(crate) catalog: usize,
    /// It is replaced once so many notifications are acknowledged.
    pub(crate) until: usize,
}

/// One object version.
#[derive(Clone)]
pub(crate) struct Object {
    /// Its number in the whole history, also in a shortened one.
    pub(crate) number: usize,
    /// As its notifications tell of it: of its time they may say anything.
    pub(crate) reference: Arc<ObjectRef>,
    /// When it was made, in milliseconds since 1970-01-01T00:00:00Z, as the store says.
    pub(crate) modified: i64,
    pub(crate) bytes: Bytes,
    /// It was removed before anybody read it.
    pub(crate) is_gone: bool,
}

/// One notification.
#[derive(Clone, Copy)]
pub(crate) struct Delivery {
    /// Index in [`History::objects`].
    pub(crate) object: usize,
    /// Somebody asks for a replay.
    pub(crate) again: bool,
}

/// When objects are made: before, among and after the moments of [`content`](crate::content).
const MODIFIED: [i64; 3] = [1_735_689_600_000, 1_751_277_600_000, 1_756_684_800_000];

/// What a forged message says.
const YEAR_2999: i64 = 32_472_144_000_000;

const MOST_OBJECTS: usize = 8;

impl History {
    /// Returns the history of a seed; with `only`, what is left of it with these objects.
    pub(crate) fn of(seed: u64, only: Option<&[usize]>) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let count = random.random_range(1..=MOST_OBJECTS);
        let objects = (0..count).filter(|number| only.is_none_or(|only| only.contains(number)));
        let objects: Vec<Object> = objects.map(|number| object(seed, number)).collect();
        let deliveries = deliveries(&mut random, objects.len());
        let catalog = random.random_range(0..catalogs::COUNT);
        let earlier = random.random_bool(0.4).then(|| Earlier {
            catalog: random.random_range(0..catalogs::COUNT),
            until: random.random_range(0..=deliveries.len()),
        });
        Self {
            seed,
            catalog,
            earlier: earlier.filter(|earlier| catalogs::takes_all(catalog, earlier.catalog)),
            limits: PipelineLimits {
                batch: BatchLimits { bytes: 1 << 20, resources: random.random_range(1..7) },
                writes_at_once: random.random_range(1..4),
                ..PipelineLimits::default()
            },
            deliveries,
            at_once: random.random_range(1..5),
            mishaps: random.random_range(0..20),
            bad_answers: *[0, 10, 30].choose(&mut random).unwrap(),
            has_deadlines: random.random_bool(0.5),
            owners_linger: random.random_bool(0.3),
            objects,
            acts: acts(seed),
        }
    }

    /// Returns a bucket of its own in the store that all histories share.
    pub(crate) fn bucket(seed: u64) -> String {
        format!("history-{seed}")
    }
}

fn deliveries(random: &mut StdRng, objects: usize) -> Vec<Delivery> {
    let mut deliveries = Vec::new();
    for object in 0..objects {
        for time in 0..random.random_range(1..=5) {
            deliveries.push(Delivery { object, again: time > 0 && random.random_bool(0.15) });
        }
    }
    deliveries.shuffle(random);
    deliveries
}

/// Makes an object that is independent of all others, so that leaving some out changes no other.
fn object(seed: u64, number: usize) -> Object {
    let mut random = StdRng::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(number as u64 + 1));
    let records = records(seed, number);
    let is_large = random.random_bool(0.05);
    let bytes = file(&mut random, &records, is_large);
    // Versions of one key are told apart by their sequencers, as S3 sends them; other objects may have none.
    let is_shared = random.random_bool(0.3);
    let sequencer = (is_shared || random.random_bool(0.5)).then(|| sequencer(&mut random, number));
    let pin = match random.random_range(0..4) {
        0 if !is_shared => Pin::ETag(format!("e{number}")),
        1 if !is_shared => Pin::Latest,
        _ => Pin::VersionId(format!("v{number}")),
    };
    let key = if is_shared { "in/day 1+ü.ndjson".to_owned() } else { format!("in/{number} %2B.json.gz") };
    let modified = *MODIFIED.choose(&mut random).unwrap() + random.random_range(0..3) * 1_000;
    let created = *[modified, modified + 1, 0, YEAR_2999].choose(&mut random).unwrap();
    let reference = ObjectRef { bucket: History::bucket(seed), key, pin, sequencer, created, size: None };
    let is_gone = random.random_bool(0.03);
    Object { number, reference: Arc::new(reference), modified, bytes: bytes.into(), is_gone }
}

/// Returns the records of an object. Some objects say what an earlier one of the history has said, perhaps in another
/// form.
fn records(seed: u64, number: usize) -> Vec<Record> {
    let seed_of_records = seed.wrapping_mul(1_000_003).wrapping_add(number as u64 + 1) ^ (1 << 63);
    let mut random = StdRng::seed_from_u64(seed_of_records);
    if number > 0 && random.random_bool(0.25) {
        return records(seed, random.random_range(0..number));
    }
    (0..random.random_range(1..=12)).map(|place| record(&mut random, &format!("o{number}r{place}"))).collect()
}

/// Returns a sequencer of any length and case; two are never the same, also with zeros behind them.
fn sequencer(random: &mut StdRng, number: usize) -> String {
    let rest = "F".repeat(random.random_range(0..4));
    let sequencer = format!("0055AE{:X}{:X}{rest}", random.random_range(1..16), number + 1);
    if random.random_bool(0.3) { sequencer.to_lowercase() } else { sequencer }
}

impl fmt::Debug for Object {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, reference, modified, bytes, is_gone } = self;
        // The gaps of large files are left out.
        let text = String::from_utf8_lossy(bytes).replace("     ", "");
        let gone = if *is_gone { " (gone)" } else { "" };
        write!(formatter, "{number}{gone}: {reference:?} of {modified} and {} bytes: {text}", bytes.len())
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", self.object, if self.again { " again" } else { "" })
    }
}
