//! What a process takes from its surroundings: the time and randomness.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::{SystemTime, UNIX_EPOCH};

/// Returns a name that no other attempt anywhere has: 128 random bits.
#[must_use]
pub(crate) fn random_name() -> String {
    let random = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", random(), random())
}

/// Returns the milliseconds since 1970-01-01T00:00:00Z.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "this is the edge: the library is told the time")]
pub(crate) fn milliseconds_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or_default()
}
