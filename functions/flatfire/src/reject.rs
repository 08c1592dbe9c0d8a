//! Rejects in one line each: where a record stands and what is wrong with it, never what it says.
//!
//! `file:LINE: record N: byte OFFSET: code at /path`. The line is the one on which the record begins, counted from 1;
//! the record's number (for a Bundle: the entry's) and the byte are counted from 0, as everywhere in the ledger. All
//! three count what is left after decompression.

use flatten::catalog::Catalog;
use flatten::defect::DefectCode;
use pipeline::batch::{Reason, Reject};
use pipeline::store::admin::StoredReject;

/// Returns the line that prints a reject just met in the file of this name.
pub(crate) fn line(reject: &Reject, file: &str, catalog: &Catalog) -> String {
    let (source, mut byte) = (&reject.source, reject.source.offset);
    if let Reason::Defect { defect, .. } = &reject.reason {
        byte += defect.offset.unwrap_or_default() as u64;
    }
    let mut what = reason(&reject.reason);
    if let Reason::Defect { defect, .. } = &reject.reason {
        what.push_str(&asked(defect.code.as_str(), &defect.path, Some(catalog)));
        what.push_str(hint(defect.code.as_str(), defect.offset.is_some()));
    }
    RecordPlace { file, line: source.line, ordinal: source.ordinal, byte }.told(&what)
}

/// Returns `code at /path in view name`.
pub(crate) fn reason(reason: &Reason) -> String {
    let mut what = reason.code().to_owned();
    match reason {
        Reason::Frame(_) => {}
        Reason::Defect { view, defect } => {
            what.push_str(&at(&defect.path));
            what.push_str(&in_view(view.as_deref()));
        }
        Reason::Refused { table, code } => what.push_str(&by_table(table, *code)),
    }
    what
}

/// Returns what a check asks for, in the words of the deployment, where the catalog has it.
fn asked(code: &str, name: &str, catalog: Option<&Catalog>) -> String {
    let checks = catalog.filter(|_| code == DefectCode::CheckFailed.as_str()).map(Catalog::checks);
    let check = checks.into_iter().flatten().find(|check| check.name() == name);
    check.map(|check| format!(": {}", check.message())).unwrap_or_default()
}

/// Returns the line that prints a reject of a store.
pub(crate) fn line_of_stored(reject: &StoredReject, catalog: Option<&Catalog>) -> String {
    let StoredReject { source, code, path, view, refused, offset_in_record, .. } = reject;
    let path = path.as_deref();
    let mut what = code.clone();
    what.push_str(&at(path.unwrap_or_default()));
    what.push_str(&in_view(view.as_deref()));
    what.push_str(&asked(code, path.unwrap_or_default(), catalog));
    if let Some((table, code)) = refused {
        what.push_str(&by_table(table, *code));
    }
    // What could not be cut out of its file has no path.
    let has_place = offset_in_record.is_some() || path.is_none();
    what.push_str(hint(code, has_place));
    let byte = source.offset + offset_in_record.unwrap_or_default();
    let line = reject.line.unwrap_or_default();
    RecordPlace { file: &source.key, line, ordinal: source.ordinal, byte }.told(&what)
}

/// Returns what helps: a row that is too large is no place of the record's.
fn hint(code: &str, has_place: bool) -> &'static str {
    if code == DefectCode::TooLarge.as_str() && !has_place {
        "; a row would be larger than 12 MiB: with `--arrays tables` (FLATTEN_ARRAYS) lists have rows of their own"
    } else {
        ""
    }
}

/// Where a record stands, and which byte of its file is to blame.
struct RecordPlace<'a> {
    file: &'a str,
    line: u64,
    ordinal: u64,
    byte: u64,
}

impl RecordPlace<'_> {
    fn told(&self, what: &str) -> String {
        let Self { file, line, ordinal, byte } = self;
        format!("{file}:{line}: record {ordinal}: byte {byte}: {what}")
    }
}

fn at(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!(" at {path}") }
}

fn in_view(view: Option<&str>) -> String {
    view.map(|view| format!(" in view {view}")).unwrap_or_default()
}

fn by_table(table: &str, code: i32) -> String {
    format!(" (error {code}) in table {table}")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use flatten::catalog::{Catalog, Choices};
    use flatten::defect::{Defect, DefectCode};
    use pipeline::batch::{Reason, Reject};
    use pipeline::object::{ObjectRef, Pin, Source};
    use pipeline::store::admin::StoredReject;
    use pipeline::store::standing::StoredSource;

    use super::{line, line_of_stored};

    fn reject(reason: Reason) -> String {
        let (bucket, key) = ("file".to_owned(), "a b.ndjson".to_owned());
        let object = ObjectRef { bucket, key, pin: Pin::Latest, sequencer: None, created: 0, size: None };
        let source = Source { object: Arc::new(object), ordinal: 4, offset: 100, length: 20, line: 7 };
        let text = r#"[{"name":"born","type":"Patient","path":"birthDate.exists()","severity":"reject","message":"say when"}]"#;
        let checks = vec![("checks.json".to_owned(), text.to_owned())];
        let catalog = Catalog::compile(Choices { checks, ..Choices::default() }).unwrap();
        line(&Reject { source, resource: None, sha256: None, version: None, reason }, "a b.ndjson", &catalog)
    }

    #[test]
    fn a_reject_says_where_and_what() {
        assert_eq!(reject(Reason::Frame("truncated")), "a b.ndjson:7: record 4: byte 100: truncated");
        let defect = Defect::at(DefectCode::InvalidNumber, "/birthDate", 5);
        assert_eq!(
            reject(Reason::Defect { view: None, defect }),
            "a b.ndjson:7: record 4: byte 105: invalid-number at /birthDate"
        );
        let defect = Defect { code: DefectCode::CheckFailed, path: "born".into(), offset: None };
        assert_eq!(
            reject(Reason::Defect { view: None, defect }),
            "a b.ndjson:7: record 4: byte 100: check-failed at born: say when"
        );
        let defect = Defect { code: DefectCode::SeveralValues, path: "family".into(), offset: None };
        assert_eq!(
            reject(Reason::Defect { view: Some("names".into()), defect }),
            "a b.ndjson:7: record 4: byte 100: several-values at family in view names"
        );
        assert_eq!(
            reject(Reason::Refused { table: "Patient".into(), code: 121 }),
            "a b.ndjson:7: record 4: byte 100: refused-by-database (error 121) in table Patient"
        );
    }

    #[test]
    fn a_row_that_is_too_large_has_a_hint() {
        let told = |defect| reject(Reason::Defect { view: None, defect });
        assert!(told(Defect::whole(DefectCode::TooLarge)).ends_with("lists have rows of their own"));
        let large = Defect::at(DefectCode::TooLarge, "/contained", 5);
        assert_eq!(told(large), "a b.ndjson:7: record 4: byte 105: too-large at /contained");
        let has_hint = |path: Option<&str>, offset_in_record| {
            let path = path.map(str::to_owned);
            let code = "too-large".to_owned();
            let stored = StoredReject { code, path, offset_in_record, ..StoredReject::default() };
            line_of_stored(&stored, None).contains("--arrays tables")
        };
        assert!(has_hint(Some(""), None));
        assert!(!has_hint(Some("/a"), Some(7)) && !has_hint(None, None));
    }

    #[test]
    fn a_stored_reject_says_the_same() {
        let (bucket, key) = ("file".to_owned(), "a b.ndjson".to_owned());
        let stored = StoredReject {
            source: StoredSource { bucket, key, ordinal: 4, offset: 100, ..StoredSource::default() },
            line: Some(7),
            code: "invalid-number".to_owned(),
            path: Some("/birthDate".to_owned()),
            offset_in_record: Some(5),
            view: Some("names".to_owned()),
            ..StoredReject::default()
        };
        assert_eq!(
            line_of_stored(&stored, None),
            "a b.ndjson:7: record 4: byte 105: invalid-number at /birthDate in view names"
        );
    }
}
