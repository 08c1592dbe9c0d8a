//! Resources that were erased: how it is said that one is kept out.

use jiff::Timestamp;
use pipeline::store::{Store, StoreError};

/// Says why a resource does not come back; `None`: it was not erased.
pub(crate) async fn reason(store: &dyn Store, key: &str) -> Result<Option<String>, StoreError> {
    let Some(kept_out) = store.kept_out(key).await? else { return Ok(None) };
    let since = kept_out.since.and_then(|moment| Timestamp::from_millisecond(moment).ok());
    let when = since.map(|moment| format!(" on {}", moment.strftime("%Y-%m-%d"))).unwrap_or_default();
    Ok(Some(format!("kept out: erased{when}; `flatfire forget --lift {key}` lets it in again")))
}
