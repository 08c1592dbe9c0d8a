//! References to nothing: each key of a column is sought once, among the keys of all rows of its type.

use std::collections::{BTreeMap, BTreeSet};

use bson::{Bson, Document, doc};
use pipeline::store::quality::{ReferenceKeyColumn, Share};

use crate::admin::databases::{Databases, text};
use crate::admin::failure::DriverFailure;

use super::{answer, share};

/// Counts, by type, the keys of a column for which no row stands.
pub(crate) async fn count_dangling(
    databases: &Databases,
    table: &str,
    column: &ReferenceKeyColumn,
) -> Result<BTreeMap<String, Share>, DriverFailure> {
    let types = types_of_keys(databases, table, column).await?;
    let mut stages = keys(column);
    for kind in &types {
        // The range makes the server read keys alone.
        let of_type = doc! { "_id": { "$gte": format!("{kind}/"), "$lt": format!("{kind}0") } };
        let standing = vec![
            doc! { "$match": of_type },
            doc! { "$project": { "_id": 1, "standing": { "$literal": 1_i64 } } },
        ];
        stages.push(doc! { "$unionWith": { "coll": kind, "pipeline": standing } });
    }
    stages.push(doc! { "$group": {
        "_id": "$_id", "rows": { "$sum": "$rows" }, "standing": { "$sum": "$standing" },
    } });
    stages.push(doc! { "$match": { "rows": { "$gt": 0 } } });
    let dangling = doc! { "$cond": [{ "$eq": ["$standing", 0] }, "$rows", 0] };
    stages.push(doc! { "$group": {
        "_id": type_of("$_id"), "count": { "$sum": dangling }, "of": { "$sum": "$rows" },
    } });
    let found = answer(databases, table, stages).await?;
    Ok(found.iter().filter_map(|found| Some((text(found, "_id")?, share(found)))).collect())
}

/// Returns the types that the keys of a column begin with.
async fn types_of_keys(
    databases: &Databases,
    table: &str,
    column: &ReferenceKeyColumn,
) -> Result<BTreeSet<String>, DriverFailure> {
    if is_single(column) {
        return types_in_order(databases, table, &column.0).await;
    }
    let mut stages = keys(column);
    stages.push(doc! { "$group": { "_id": type_of("$_id") } });
    let found = answer(databases, table, stages).await?;
    Ok(found.iter().filter_map(|kind| text(kind, "_id")).collect())
}

/// Returns whether a row has one key in the column at most.
fn is_single(column: &ReferenceKeyColumn) -> bool {
    !column.0.contains('.') && !column.0.ends_with("keys")
}

/// Returns the expression of the type that a key begins with.
fn type_of(key: &str) -> Document {
    doc! { "$arrayElemAt": [{ "$split": [key, "/"] }, 0] }
}

/// Returns the types of the keys in a column by jumping from one to the next: where the column has an index, no row is
/// read.
async fn types_in_order(
    databases: &Databases,
    table: &str,
    column: &str,
) -> Result<BTreeSet<String>, DriverFailure> {
    let (mut types, mut behind) = (BTreeSet::new(), String::new());
    loop {
        let (mut filter, mut only, mut order) = (Document::new(), doc! { "_id": 0 }, Document::new());
        filter.insert(column, doc! { "$gt": &behind });
        only.insert(column, 1);
        order.insert(column, 1);
        let next = databases.own(table).find_one(filter).projection(only).sort(order).await?;
        let Some(key) = next.and_then(|row| text(&row, column)) else { return Ok(types) };
        match key.split_once('/') {
            // `0` follows `/`.
            Some((kind, _)) => {
                behind = format!("{kind}0");
                types.insert(kind.to_owned());
            }
            None => behind = key,
        }
    }
}

/// Returns the stages that bring each key of a column, without those of contained resources, with the number of its rows
/// or records. A key may come several times.
fn keys(column: &ReferenceKeyColumn) -> Vec<Document> {
    let path = &*column.0;
    let mut stages = Vec::new();
    if is_single(column) {
        // An index of the column has all that is needed; that of a list has not.
        stages.push(
            doc! { "$match": Document::from_iter([(path.to_owned(), Bson::from(doc! { "$gt": "" }))]) },
        );
    }
    stages.push(doc! { "$group": { "_id": format!("${path}"), "rows": { "$sum": 1_i64 } } });
    if !is_single(column) {
        // A value that is not a list is left as it is.
        stages.extend(path.split('.').map(|_| doc! { "$unwind": "$_id" }));
    }
    stages.push(doc! { "$match": { "_id": { "$type": "string", "$regex": "^[^#/]*/[^#]*$" } } });
    stages
}
