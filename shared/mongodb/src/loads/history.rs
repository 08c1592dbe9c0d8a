//! Who asked for a load, and the attempts before its latest one, as fields of its document.

use bson::{Bson, DateTime, Document, doc};
use pipeline::ledger::{AttemptEnd, EarlierAttempt};
use pipeline::requester::Requester;

use super::fields::{moment, number};

/// Returns the document of a requester.
pub(super) fn requester_document(by: &Requester) -> Document {
    let Requester { principal, address, request_id, operator } = by;
    let fields =
        [("principal", principal), ("address", address), ("requestId", request_id), ("operator", operator)];
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.as_deref()?.into()))).collect()
}

/// Returns the requester of a document, if it is one that could be written.
pub(super) fn requester(document: &Document) -> Option<Requester> {
    let text = |name: &str| document.get_str(name).ok().map(str::to_owned);
    let (principal, address) = (text("principal"), text("address"));
    let (request_id, operator) = (text("requestId"), text("operator"));
    Requester { principal, address, request_id, operator }.checked()
}

/// Returns the array of earlier attempts.
pub(super) fn history_array(history: &[EarlierAttempt]) -> Vec<Bson> {
    history.iter().map(|attempt| attempt_document(attempt).into()).collect()
}

/// Returns the earlier attempts of an array. Leaves out items that Flatfire does not write.
pub(super) fn history(document: &Document) -> Vec<EarlierAttempt> {
    let attempts = document.get_array("history").map(Vec::as_slice).unwrap_or_default();
    attempts.iter().filter_map(Bson::as_document).filter_map(attempt).collect()
}

fn attempt_document(attempt: &EarlierAttempt) -> Document {
    let EarlierAttempt { number, begun, ended, end, problem, code, by } = attempt;
    let mut document = doc! {
        "attempt": i64::from(*number), "begun": DateTime::from_millis(*begun), "end": end.as_str(), "code": code,
    };
    let optional = [
        ("ended", ended.map(|moment| DateTime::from_millis(moment).into())),
        ("problem", problem.clone().map(Bson::from)),
        ("by", by.as_ref().map(|by| requester_document(by).into())),
    ];
    document.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    document
}

fn attempt(document: &Document) -> Option<EarlierAttempt> {
    let text = |name: &str| document.get_str(name).ok().map(str::to_owned);
    Some(EarlierAttempt {
        number: u32::try_from(number(document, "attempt")).ok()?,
        begun: moment(document, "begun")?,
        ended: moment(document, "ended"),
        end: AttemptEnd::from_word(document.get_str("end").ok()?)?,
        problem: text("problem"),
        code: text("code")?,
        by: document.get_document("by").ok().and_then(requester),
    })
}
