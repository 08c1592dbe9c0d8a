//! The collection `_erasures`, the marks that keep resources out, and the names of objects that held nothing else.

use bson::oid::ObjectId;
use bson::{Bson, DateTime, Document, doc};
use pipeline::erasure::{ERASURES, ErasureMarks, SECRET_BYTES, SECRET_ID};
use pipeline::store::admin::{DatabaseUser, ErasedObject, Erasure, KeptOut, Lift, ObjectName, Operator};

use super::databases::Databases;
use super::exports;
use super::failure::DriverFailure;
use crate::collections::{COLUMNS, LOADS, TOMBSTONES};

pub(super) async fn kept_out(databases: &Databases, key: &str) -> Result<Option<KeptOut>, DriverFailure> {
    let erasures = databases.own(ERASURES);
    let secret = erasures.find_one(doc! { "_id": SECRET_ID }).await?;
    let secret = secret.as_ref().and_then(|secret| secret.get_binary_generic("key").ok());
    let secret = secret.and_then(|secret| <[u8; SECRET_BYTES]>::try_from(secret.as_slice()).ok());
    let Some(mark) = secret.map(|secret| ErasureMarks::new(&secret).of_resource(key)) else {
        return Ok(None);
    };
    if databases.own(TOMBSTONES).find_one(doc! { "_id": &mark }).await?.is_none() {
        return Ok(None);
    }
    let erasure = erasures.find_one(doc! { "mark": &mark }).sort(doc! { "begun": -1 }).await?;
    let since = erasure.and_then(|erasure| erasure.get_datetime("begun").ok().copied());
    Ok(Some(KeptOut { mark, since: since.map(DateTime::timestamp_millis) }))
}

pub(super) async fn user(databases: &Databases) -> Result<DatabaseUser, DriverFailure> {
    let status = databases.rows.run_command(doc! { "connectionStatus": 1 }).await?;
    let users = status.get_document("authInfo").and_then(|info| info.get_array("authenticatedUsers"));
    let users = users.map(Vec::as_slice).unwrap_or_default();
    let users = users.iter().filter_map(Bson::as_document).map(user_name).collect();
    // Not every server that speaks the protocol has this command.
    let admin = databases.rows.client().database("admin");
    let address = admin.run_command(doc! { "whatsmyuri": 1 }).await;
    let address = address.ok().and_then(|answer| answer.get_str("you").ok().map(str::to_owned));
    Ok(DatabaseUser { users, address })
}

fn user_name(user: &Document) -> String {
    let text = |name| user.get_str(name).unwrap_or_default();
    format!("{}@{}", text("user"), text("db"))
}

pub(super) async fn begin(databases: &Databases, erasure: &Erasure) -> Result<(), DriverFailure> {
    let Erasure { id, command, mark, reason, by, begun, counts, objects, program } = erasure;
    let counts: Document = (counts.iter())
        .map(|(place, count)| (place.clone(), i64::try_from(*count).unwrap_or(i64::MAX).into()))
        .collect();
    let record = doc! {
        "_id": id_of(id),
        "command": id_of(command),
        "mark": mark,
        "reason": reason,
        "by": operator(by),
        "begun": DateTime::from_millis(*begun),
        "counts": counts,
        "objects": objects.iter().map(object).collect::<Vec<_>>(),
        "program": program,
    };
    databases.own(ERASURES).insert_one(record).await?;
    Ok(())
}

pub(super) async fn end(databases: &Databases, id: &str, at: i64) -> Result<(), DriverFailure> {
    let ended = doc! { "$set": { "ended": DateTime::from_millis(at) } };
    databases.own(ERASURES).update_one(doc! { "_id": id_of(id) }, ended).await?;
    Ok(())
}

pub(super) async fn lift(databases: &Databases, mark: &str, lift: &Lift) -> Result<(), DriverFailure> {
    let Lift { at, by, reason } = lift;
    let lifted = doc! { "at": DateTime::from_millis(*at), "by": operator(by), "reason": reason };
    let standing = doc! { "mark": mark, "lifted": { "$exists": false } };
    databases.own(ERASURES).update_many(standing, doc! { "$set": { "lifted": lifted } }).await?;
    Ok(())
}

pub(super) async fn rename_object(
    databases: &Databases,
    load: &str,
    object: &ObjectName,
    mark: &str,
) -> Result<bool, DriverFailure> {
    let ObjectName { bucket, key } = object;
    let pin = load.strip_prefix(&format!("{bucket}/{key}")).unwrap_or_default();
    let renamed = format!("{bucket}/{mark}{pin}");
    if !rename_load(databases, load, &renamed, mark).await? {
        return Ok(false);
    }
    exports::rename_file(databases, bucket, key, mark).await?;
    for field in ["first.load", "last.load"] {
        let columns = databases.own(COLUMNS);
        columns.update_many(doc! { field: load }, doc! { "$set": { field: &renamed } }).await?;
    }
    // Erasures before this one, when the object still held others.
    let of_object = doc! { "objects": { "$elemMatch": { "bucket": bucket, "key": key } } };
    let marked = doc! { "$set": { "objects.$[o].key": mark } };
    let erasures = databases.own(ERASURES);
    let update = erasures.update_many(of_object, marked);
    update.array_filters([doc! { "o.bucket": bucket, "o.key": key }]).await?;
    Ok(true)
}

/// Gives the entry of a load another id. Returns `false` if the object is being loaded.
async fn rename_load(
    databases: &Databases,
    load: &str,
    renamed: &str,
    mark: &str,
) -> Result<bool, DriverFailure> {
    let loads = databases.own(LOADS);
    let Some(entry) = loads.find_one(doc! { "_id": load }).await? else { return Ok(true) };
    if entry.get_str("status").is_ok_and(|status| status == "running") {
        return Ok(false);
    }
    let revision = entry.get("revision").cloned().unwrap_or(Bson::Null);
    let mut anonymous = entry;
    anonymous.insert("_id", renamed);
    anonymous.insert("key", mark);
    loads.replace_one(doc! { "_id": renamed }, &anonymous).upsert(true).await?;
    if loads.delete_one(doc! { "_id": load, "revision": revision }).await?.deleted_count == 0 {
        loads.delete_one(doc! { "_id": renamed }).await?;
        return Ok(false);
    }
    Ok(true)
}

/// Identifiers are those of [`ObjectId::to_hex`].
fn id_of(text: &str) -> Bson {
    ObjectId::parse_str(text).map_or_else(|_| text.into(), Bson::from)
}

fn operator(by: &Operator) -> Document {
    let Operator { database: DatabaseUser { users, address }, name } = by;
    doc! { "databaseUsers": users, "address": address.as_deref(), "operator": name.as_deref() }
}

fn object(object: &ErasedObject) -> Document {
    let ErasedObject { bucket, key, version_id, ranges } = object;
    let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let range = |&(offset, length): &(u64, u64)| doc! { "offset": count(offset), "length": count(length) };
    let ranges: Vec<Document> = ranges.iter().map(range).collect();
    doc! { "bucket": bucket, "key": key, "versionId": version_id.as_deref(), "ranges": ranges }
}
