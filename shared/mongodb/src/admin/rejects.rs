//! The collection `_rejects`, as people read it.

use bson::{Document, doc};
use futures::TryStreamExt as _;
use pipeline::store::admin::{RejectFilter, StoredReject};

use crate::collections::REJECTS;
use crate::ids_with_suffix;

use super::databases::{Databases, number, source_of, text};
use super::failure::DriverFailure;

/// Returns the rejects that a filter finds, ordered by load and ordinal.
pub(super) async fn find(
    databases: &Databases,
    filter: &RejectFilter,
) -> Result<Vec<StoredReject>, DriverFailure> {
    let rejects = databases.own(REJECTS);
    let found = match filter.loads.as_deref() {
        // The index of `_id` is always there, and that of `_load` is not.
        Some([load]) => rejects.find(of_load(load, filter.code.as_deref())).await?,
        loads => rejects.find(of_loads(loads, filter.code.as_deref())).await?,
    };
    let found: Vec<Document> = found.try_collect().await?;
    let mut found: Vec<StoredReject> = found.iter().map(stored).collect();
    found.sort_by(|one, other| (&one.load, one.source.ordinal).cmp(&(&other.load, other.source.ordinal)));
    Ok(found)
}

pub(super) async fn remove(databases: &Databases, id: &str) -> Result<(), DriverFailure> {
    databases.own(REJECTS).delete_one(doc! { "_id": id }).await?;
    Ok(())
}

fn of_load(load: &str, code: Option<&str>) -> Document {
    let ids = ids_with_suffix(load);
    let mut filter = doc! { "_id": { "$gte": ids.start, "$lt": ids.end }, "_load": load };
    filter.extend(code.map(|code| ("code".to_owned(), code.into())));
    filter
}

fn of_loads(loads: Option<&[String]>, code: Option<&str>) -> Document {
    let mut filter = Document::new();
    if let Some(loads) = loads {
        filter.insert("_load", doc! { "$in": loads });
    }
    filter.extend(code.map(|code| ("code".to_owned(), code.into())));
    filter
}

fn stored(document: &Document) -> StoredReject {
    let refused = text(document, "table");
    StoredReject {
        id: text(document, "_id").unwrap_or_default(),
        load: text(document, "_load").unwrap_or_default(),
        source: source_of(document),
        line: number(document, "line"),
        sha256: text(document, "sha256"),
        version: text(document, "version"),
        resource: text(document, "resource"),
        code: text(document, "code").unwrap_or_else(|| "unknown".to_owned()),
        path: text(document, "path"),
        offset_in_record: number(document, "offsetInRecord"),
        view: text(document, "view"),
        refused: refused.map(|table| (table, document.get_i32("status").unwrap_or_default())),
        reading: number(document, "reading").and_then(|reading| reading.try_into().ok()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;
    use pipeline::store::admin::StoredReject;
    use pipeline::store::standing::StoredSource;

    use super::stored;

    #[test]
    fn a_document_is_read() {
        let document = doc! {
            "_id": "file/a@latest#4:100/invalid-number/names", "_load": "file/a@latest", "code": "invalid-number",
            "path": "/birthDate", "offsetInRecord": 5_i64, "line": 7_i64, "view": "names", "bucket": "file", "key": "a",
            "ordinal": 4_i64, "offset": 100_i64, "length": 20_i64, "reading": 2_i64,
        };
        let (bucket, key) = ("file".to_owned(), "a".to_owned());
        let expected = StoredReject {
            id: "file/a@latest#4:100/invalid-number/names".to_owned(),
            load: "file/a@latest".to_owned(),
            source: StoredSource { bucket, key, version_id: None, ordinal: 4, offset: 100, length: 20 },
            line: Some(7),
            code: "invalid-number".to_owned(),
            path: Some("/birthDate".to_owned()),
            offset_in_record: Some(5),
            view: Some("names".to_owned()),
            reading: 2,
            ..StoredReject::default()
        };
        assert_eq!(stored(&document), expected);
        let refused = stored(&doc! { "table": "Patient", "status": 121 });
        assert_eq!((refused.code.as_str(), refused.refused), ("unknown", Some(("Patient".to_owned(), 121))));
    }
}
