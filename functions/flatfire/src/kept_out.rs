//! Resources that were erased: whether one is kept out, and how that is said.

use mongodb::bson::{DateTime, Document, doc};
use pipeline::erasure::{ERASURES, Marks, SECRET_BYTES, SECRET_ID};

use crate::database::{Database, DatabaseError};

/// Returns the mark that keeps a resource out; `None`: there is none.
pub(crate) async fn mark(database: &Database, key: &str) -> Result<Option<String>, DatabaseError> {
    let secret = database.rows.collection::<Document>(ERASURES).find_one(doc! { "_id": SECRET_ID }).await?;
    let secret = secret.as_ref().and_then(|secret| secret.get_binary_generic("key").ok());
    let secret = secret.and_then(|secret| <[u8; SECRET_BYTES]>::try_from(secret.as_slice()).ok());
    let Some(mark) = secret.map(|secret| Marks::new(&secret).of_resource(key)) else { return Ok(None) };
    let tombstones = database.rows.collection::<Document>("_tombstones");
    Ok(tombstones.find_one(doc! { "_id": &mark }).await?.map(|_| mark))
}

/// Says why a resource does not come back; `None`: it was not erased.
pub(crate) async fn reason(database: &Database, key: &str) -> Result<Option<String>, DatabaseError> {
    let Some(mark) = mark(database, key).await? else { return Ok(None) };
    let erasures = database.rows.collection::<Document>(ERASURES);
    let erasure = erasures.find_one(doc! { "mark": mark }).sort(doc! { "begun": -1 }).await?;
    let when =
        erasure.and_then(|erasure| erasure.get_datetime("begun").ok().copied().map(day)).unwrap_or_default();
    Ok(Some(format!("kept out: erased{when}; `flatfire forget --lift {key}` lets it in again")))
}

fn day(moment: DateTime) -> String {
    let text = moment.try_to_rfc3339_string().unwrap_or_default();
    text.split_once('T').map(|(day, _)| format!(" on {day}")).unwrap_or_default()
}
