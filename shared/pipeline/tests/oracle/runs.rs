//! Runs: many histories at a time, each on a thread of its own; one that fails is made shorter and told how to repeat.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use crate::Place;
use crate::chaos::begin_time;
use crate::history::History;
use crate::settings::Settings;
use crate::stats::STATS;
use crate::store::Store;

/// Progress is told after so many histories.
const TELL_EVERY: u64 = 100;

/// Plays histories of one seed after the other.
///
/// # Panics
/// At the first that goes wrong.
pub(crate) fn run(settings: &Settings, histories: u64, place: Place<'_>) {
    let (next, begun) = (AtomicU64::new(0), Instant::now());
    let has_failed = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..settings.at_once {
            scope.spawn(|| {
                while !has_failed.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= histories {
                        break;
                    }
                    let seed = settings.seed + number;
                    if let Some(failure) = failure(seed, settings.objects.as_deref(), place) {
                        has_failed.store(true, Ordering::Relaxed);
                        panic!("{}", told(seed, settings, &failure, place));
                    }
                    if settings.shows_progress && (number + 1) % TELL_EVERY == 0 {
                        let seconds = begun.elapsed().as_secs();
                        println!("    {} histories {}, {seconds} s", number + 1, place.name());
                    }
                }
            });
        }
    });
    let seconds = begun.elapsed().as_secs_f64();
    let (name, seed) = (place.name(), settings.seed);
    println!("{histories} histories {name} from seed {seed}, {seconds:.1} s: {}", STATS.summary());
}

/// Returns what goes wrong with a history, if anything does.
fn failure(seed: u64, only: Option<&[usize]>, place: Place<'_>) -> Option<String> {
    let history = History::of(seed, only);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    Store::get().fill(&history);
    begin_time();
    let wrong = catch_unwind(AssertUnwindSafe(|| runtime.block_on(place.play(&history))));
    Store::get().empty(seed);
    match wrong {
        Ok(wrong) => (!wrong.is_empty()).then(|| wrong.join("\n")),
        Err(panic) => Some(format!("a panic: {}", words(panic.as_ref()))),
    }
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without words")
}

/// Returns the failure, that of the shortest history that was found to fail as well, and how to repeat it.
fn told(seed: u64, settings: &Settings, first: &str, place: Place<'_>) -> String {
    let mut objects: Vec<usize> =
        History::of(seed, settings.objects.as_deref()).objects.iter().map(|object| object.number).collect();
    let mut last = first.to_owned();
    for object in objects.clone() {
        let fewer: Vec<usize> = objects.iter().copied().filter(|&number| number != object).collect();
        // What was a matter of luck may need more than one try.
        let failure = (0..5).filter(|_| !fewer.is_empty()).find_map(|_| failure(seed, Some(&fewer), place));
        if let Some(failure) = failure {
            (objects, last) = (fewer, failure);
        }
    }
    let list = objects.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let history = History::of(seed, Some(&objects));
    format!(
        "{last}\n\nthe history: {history:#?}\n\nthe history of seed {seed} went wrong. Again, as short as it could be made:\n\
         FLATFIRE_SEED={seed} FLATFIRE_HISTORIES=1 FLATFIRE_DATABASE_HISTORIES=1 FLATFIRE_REPLICA_HISTORIES=1 \
         FLATFIRE_OBJECTS={list} cargo nextest run --workspace -E 'binary(oracle)'"
    )
}
