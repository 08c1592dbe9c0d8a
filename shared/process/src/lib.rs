//! What a program takes from its process: the time and randomness.
//!
//! The libraries are told both, so that the same bytes give the same rows at every attempt.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::{SystemTime, UNIX_EPOCH};

/// Returns a name that no other attempt anywhere has: 128 random bits.
#[must_use]
pub fn random_name() -> String {
    let random = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", random(), random())
}

/// Returns the milliseconds since 1970-01-01T00:00:00Z.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "programs read the clock here, and tell the libraries the time")]
pub fn milliseconds_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or_default()
}
