//! The words for where a load stands.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use pipeline::ledger::{self, Load, LoadFilter};
use process::milliseconds_now;

/// The word for loads whose function was killed.
pub(super) const STUCK: &str = "stuck";

/// Loads of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LoadKind {
    /// Of a status.
    Of(ledger::Status),
    /// Killed, and not begun again.
    Stuck,
}

impl LoadKind {
    /// Returns the filter of these loads, as of now.
    pub(crate) fn wanted(self) -> LoadFilter {
        match self {
            Self::Of(status) => LoadFilter::Of(status),
            Self::Stuck => LoadFilter::Stuck { now: milliseconds_now() },
        }
    }
}

/// Returns a status by its word in the ledger, or `stuck`.
pub(crate) fn status() -> impl TypedValueParser<Value = LoadKind> {
    let words = ledger::Status::ALL.iter().copied().map(ledger::Status::as_str).chain([STUCK]);
    PossibleValuesParser::new(words).try_map(|word| match ledger::Status::from_word(&word) {
        Some(status) => Ok(LoadKind::Of(status)),
        None if word == STUCK => Ok(LoadKind::Stuck),
        None => Err("no such status"),
    })
}

/// Returns the word for where a load stands.
pub(super) fn word(load: &Load) -> &'static str {
    if load.is_stuck(milliseconds_now()) { STUCK } else { load.status.as_str() }
}

/// Returns the name of a load's object for people: a path, or bucket and key.
pub(super) fn object_name(load: &Load) -> String {
    if load.bucket == "file" { load.key.clone() } else { format!("{}/{}", load.bucket, load.key) }
}

/// Returns a length of time in its largest unit.
pub(super) fn length(milliseconds: i64) -> String {
    let seconds = milliseconds / 1_000;
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        172_800.. => format!("{} d", seconds / 86_400),
    }
}
