//! Fields of an entry of the ledger, as they are read.

use bson::Document;

/// Returns a count; 0 where there is none.
pub(super) fn number(document: &Document, name: &str) -> u64 {
    document.get_i64(name).ok().and_then(|value| u64::try_from(value).ok()).unwrap_or_default()
}

/// Returns a moment, in milliseconds since 1970-01-01T00:00:00Z.
pub(super) fn moment(document: &Document, name: &str) -> Option<i64> {
    document.get_datetime(name).ok().map(|moment| moment.timestamp_millis())
}
