//! What a code is, and the codes of rejects, loads and checks.

/// A code and what there is to say about it.
#[derive(Debug)]
pub(super) struct Code {
    pub(super) name: &'static str,
    pub(super) kind: CodeKind,
    pub(super) meaning: &'static str,
    /// What does not stand in the tables; empty where nothing is missing for good.
    pub(super) missing: &'static str,
    pub(super) remedy: &'static str,
}

/// Where a code is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CodeKind {
    /// In `_rejects`: the bytes of a record could not be cut out of the file.
    File,
    /// In `_rejects`: a record is defective.
    Record,
    /// In the status of a load.
    Load,
    /// In an audit; `stuck` in the list of loads too.
    Finding,
    /// In `checks` of a load.
    Check,
    /// In `problem` of a load and in the log: reading the object failed.
    Read,
    /// The same: access to the object is denied.
    Denied,
    /// The same: writing to the database failed.
    Write,
    /// The same: the database refuses to work.
    Refused,
    /// An alarm of the template.
    Alarm,
    /// The `message` of a line of the log.
    Line,
    /// A finding of `flatfire quality`.
    Quality,
}

impl CodeKind {
    /// Returns the word in JSON.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Record => "record",
            Self::Load => "load",
            Self::Finding => "finding",
            Self::Check => "check",
            Self::Read => "read",
            Self::Denied => "denied",
            Self::Write => "write",
            Self::Refused => "refused",
            Self::Alarm => "alarm",
            Self::Line => "line",
            Self::Quality => "quality",
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::File => "a reject of a part of a file",
            Self::Record => "a reject of a record",
            Self::Load => "a status of a load",
            Self::Finding => "a finding of an audit",
            Self::Check => "a check of every resource; findings are counted, and the resource is loaded",
            Self::Read => "an interruption: reading the object failed",
            Self::Denied => "an interruption: access to the object is denied",
            Self::Write => "an interruption: writing to the database failed",
            Self::Refused => "an interruption: the database refuses to work",
            Self::Alarm => "an alarm of the stack",
            Self::Line => "a line of the log",
            Self::Quality => "a finding of `flatfire quality`",
        }
    }
}

const fn file(
    name: &'static str,
    meaning: &'static str,
    missing: &'static str,
    remedy: &'static str,
) -> Code {
    Code { name, kind: CodeKind::File, meaning, missing, remedy }
}

const fn record(name: &'static str, meaning: &'static str, remedy: &'static str) -> Code {
    Code { name, kind: CodeKind::Record, meaning, missing: "this record", remedy }
}

const fn load(
    name: &'static str,
    meaning: &'static str,
    missing: &'static str,
    remedy: &'static str,
) -> Code {
    Code { name, kind: CodeKind::Load, meaning, missing, remedy }
}

const fn finding(name: &'static str, meaning: &'static str, remedy: &'static str) -> Code {
    Code { name, kind: CodeKind::Finding, meaning, missing: "this object version", remedy }
}

const fn check(name: &'static str, meaning: &'static str) -> Code {
    Code { name, kind: CodeKind::Check, meaning, missing: "", remedy: TELL_THE_SENDER }
}

const TELL_THE_SENDER: &str = "tell the sender";
const CORRECT_THE_FILE: &str = "correct the file at its source and send it again";
const COMPRESS_AGAIN: &str = "compress the file again and send it again";
const SEND_FHIR_JSON: &str = "send FHIR JSON: a resource, a Bundle, or one resource a line";
const CORRECT_THE_RECORD: &str = "correct the record at its source and send it again";

/// The codes of rejects, loads, audits and checks, in the order of the kinds.
pub(super) const CODES: &[Code] = &[
    file(
        "truncated",
        "the record does not end: its line or the file is cut off",
        "this record; of a Bundle the rest",
        CORRECT_THE_FILE,
    ),
    file(
        "not-json",
        "text or binary data stands in place of a record, or behind one on its line",
        "this line; after 16 such lines in a row the rest of them together",
        SEND_FHIR_JSON,
    ),
    file(
        "not-object",
        "a number, text or list stands in place of a resource or of an entry",
        "this element",
        CORRECT_THE_FILE,
    ),
    file(
        "cut-compression",
        "the compressed file stops before its end",
        "the missing part",
        "send the whole file again; the transfer was probably cut off",
    ),
    file(
        "corrupt-compression",
        "the compressed data or its checksum is wrong",
        "the rest of the file",
        COMPRESS_AGAIN,
    ),
    file("trailing-data", "something else follows the compressed data", "what follows", COMPRESS_AGAIN),
    file(
        "window-too-large",
        "the Zstandard data needs a window of more than 128 MiB, such as `zstd --long=31` makes",
        "the rest of the file",
        "compress with a smaller window: `zstd --long=27` or less",
    ),
    file(
        "inflates-too-much",
        "the compressed data inflates to more than 200 times its size",
        "the rest of the file",
        "see whether the file is what it should be; send it without compression if it is",
    ),
    file(
        "compressed-twice",
        "the file holds compressed data within compressed data",
        "the file",
        "compress it once",
    ),
    file(
        "object-gone",
        "the object was removed while it was read",
        "the rest of the file",
        "send the file again if you want it",
    ),
    file(
        "too-slow",
        "three attempts in a row ran out of time and got no record further",
        "the rest of the file",
        "raise the function's timeout or memory, or load the file with `flatfire work` or `flatfire load`",
    ),
    file("utf-16", "the text is UTF-16 or UTF-32, and JSON is UTF-8", "the file", "save the file as UTF-8"),
    file(
        "looks-like-xml",
        "the file is XML",
        "the text up to a line that begins with `{` and a name",
        SEND_FHIR_JSON,
    ),
    file(
        "looks-like-hl7v2",
        "the file holds messages of HL7 version 2",
        "the text up to a line that begins with `{` and a name",
        SEND_FHIR_JSON,
    ),
    file(
        "looks-like-csv",
        "the file is a table of separated values",
        "the text up to a line that begins with `{` and a name",
        SEND_FHIR_JSON,
    ),
    file(
        "looks-like-zip",
        "the file is a ZIP archive",
        "the file",
        "unpack it; single files may be compressed with gzip or Zstandard",
    ),
    file("looks-like-pdf", "the file is a PDF document", "the file", SEND_FHIR_JSON),
    record("invalid-json", "a token is missing or stands in the wrong place", CORRECT_THE_RECORD),
    record("truncated-json", "the text ends inside a value", CORRECT_THE_RECORD),
    record("invalid-utf8", "the bytes are not UTF-8", "save the file as UTF-8 and send it again"),
    record(
        "invalid-escape",
        "a string has an escape that JSON does not have, or half of a surrogate pair",
        CORRECT_THE_RECORD,
    ),
    record(
        "control-character",
        "a string has an unescaped control character, such as a line break",
        "write it as `\\n` and send the record again",
    ),
    record(
        "invalid-number",
        "a number is written in a way that JSON does not allow, such as `01` or `1.`",
        CORRECT_THE_RECORD,
    ),
    record(
        "duplicate-name",
        "an object has the same name twice, so nobody can say which value counts",
        CORRECT_THE_RECORD,
    ),
    record("too-deep", "the record nests deeper than 64 levels", CORRECT_THE_RECORD),
    record(
        "too-large",
        "the record, or a row of it, is larger than the limits allow (docs/limits.md)",
        "for a row that is too large load with `--arrays tables` (FLATTEN_ARRAYS=tables); else split the record",
    ),
    record(
        "too-many-names",
        "the record brings more names that FHIR does not have than one record may bring",
        "see who made it: names of elements and URLs of extensions look like data",
    ),
    record("not-a-resource", "a JSON value without `resourceType`", SEND_FHIR_JSON),
    record("invalid-resource-type", "a `resourceType` that is not a name", CORRECT_THE_RECORD),
    record("invalid-id", "an `id` that is not a FHIR id and cannot be a key", CORRECT_THE_RECORD),
    record("object-expected", "a number or text stands where an object must stand", CORRECT_THE_RECORD),
    record("integer-out-of-range", "an integer does not fit its type", CORRECT_THE_RECORD),
    record(
        "several-values",
        "a view's column met several values and is not a collection",
        "set `collection: true` in the view, or choose one value in its path; then `flatfire replay --rejects`",
    ),
    record(
        "invalid-operand",
        "an expression of a view, a check or INACTIVE_TYPES met values that it cannot work on",
        "correct the expression, then `flatfire replay --rejects`",
    ),
    record(
        "unresolvable-deletion",
        "a DELETE entry names no type and id, for example a conditional one",
        "send a DELETE entry with the type and id",
    ),
    record(
        "patch-not-applied",
        "a PATCH entry: the resource in the tables is out of date",
        "send the whole resource",
    ),
    record("unknown-method", "`request.method` is not a method of HTTP", CORRECT_THE_RECORD),
    record(
        "ambiguous-identity",
        "its `fullUrl` names another server than an earlier resource with the same type and id",
        "load the files of each server into a database of its own",
    ),
    record("ambiguous-column", "two members would share a column", "please report it, without data"),
    record(
        "check-failed",
        "a check of the deployment refused the record; the path is the name of the check",
        "correct the record, or the check; then `flatfire replay --rejects`",
    ),
    record(
        "refused-by-database",
        "the database refused a document; `flatfire status LOAD` shows its error code",
        "121: change your validator; 10334: the document is too large; then `flatfire replay --rejects`",
    ),
    load(
        "running",
        "an attempt is at work, was interrupted, or was killed",
        "",
        "`flatfire status LOAD` says which and when the next attempt can start; an interrupted load comes again by itself",
    ),
    load(
        "done",
        "everything in the file is in the tables; `manifest`: the files that it names are loaded on their own",
        "",
        "nothing",
    ),
    load(
        "partial",
        "some records were set aside, a view refused some resources, or the object was removed while it was read",
        "the records in _rejects",
        "`flatfire status LOAD` lists them; correct the file at its source and send it again; if the sums do not add up, \
         the program counted wrongly: report it and keep the file",
    ),
    load(
        "failed",
        "every record of the file was set aside",
        "the file",
        "see the first reject; it is probably not FHIR JSON",
    ),
    load(
        "refused",
        "a gate refused the whole file",
        "the file",
        "correct the file or the gate, and send it again, or replay it",
    ),
    load("superseded", "a newer version of the object was loaded before", "", "nothing"),
    load(
        "gone",
        "the object version was deleted before it was read",
        "the file",
        "send it again if you want it",
    ),
    finding(
        "missing",
        "the ledger does not know the object version, or calls it gone although it is there",
        "`flatfire audit --send`; restore it first if it is in Glacier",
    ),
    finding(
        "stuck",
        "the function was killed and its lease has ended: mostly too little memory or time",
        "nothing: the next delivery takes over; if it stays, `flatfire audit --send`, or `flatfire work` for a large file",
    ),
    finding(
        "not-sent",
        "the list of --expect names a file that the bucket does not hold",
        "ask the sender for it",
    ),
    check(
        "id",
        "an id that is a key but not a FHIR id: above 64 characters, or with others than letters, digits, - and .",
    ),
    check("date", "a text that is no date or time, or a day that does not exist"),
    check("code", "a code outside a small required value set, such as gender"),
    check("reference", "a reference that is not a URI"),
    check(
        "value",
        "a value of the wrong primitive type, 0 in a positiveInt, or a negative number in an unsignedInt",
    ),
    check(
        "mandatory",
        "a missing element that every release requires; an extension counts as a value, contained resources are not \
         checked",
    ),
    check(
        "future",
        "a record that says that it is newer than its file plus 24 hours; the file's time counts for it",
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use flatten::check::StructuralCheck;
    use flatten::defect::DefectCode;
    use pipeline::audit::AuditVerdict;
    use pipeline::decode::BrokenFrame;
    use pipeline::ledger::Status;

    use super::{CODES, CodeKind};

    #[test]
    fn every_code_is_explained_once() {
        let known = CODES
            .iter()
            .filter(|code| matches!(code.kind, CodeKind::File | CodeKind::Record | CodeKind::Load));
        let known: Vec<&str> = known.map(|code| code.name).collect();
        let frames = BrokenFrame::ALL.iter().copied().map(BrokenFrame::code);
        let defects = DefectCode::ALL.iter().copied().map(DefectCode::as_str);
        let statuses = Status::ALL.iter().copied().map(Status::as_str);
        let all: BTreeSet<&str> =
            frames.chain(defects).chain(statuses).chain(["refused-by-database"]).collect();
        assert_eq!(known.iter().copied().collect::<BTreeSet<_>>(), all);
        assert_eq!(known.len(), all.len());
    }

    #[test]
    fn every_word_of_an_audit_is_explained() {
        let words = AuditVerdict::ALL.iter().map(|verdict| verdict.as_str());
        let words: BTreeSet<&str> = words.chain(["not-sent"]).collect();
        let known = CODES.iter().filter(|code| matches!(code.kind, CodeKind::Load | CodeKind::Finding));
        assert_eq!(known.map(|code| code.name).collect::<BTreeSet<_>>(), words);
    }

    #[test]
    fn every_structural_check_is_explained() {
        let names = StructuralCheck::ALL.iter().map(|check| check.name());
        let known = CODES.iter().filter(|code| code.kind == CodeKind::Check).map(|code| code.name);
        assert_eq!(known.collect::<BTreeSet<_>>(), names.collect::<BTreeSet<_>>());
    }
}
