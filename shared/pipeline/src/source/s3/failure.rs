//! What an answer of S3 means: gone, denied, passing, or not worth another attempt.

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectError;

use crate::interrupted::Interrupted;
use crate::source::failure::{ReadFailure, ReadFault, coded, interrupted, read};

/// A failed GET.
pub(super) enum GetFailure {
    /// Another attempt may succeed in a moment.
    Passing(Interrupted),
    /// It would fail again.
    Final(ReadFailure),
}

/// Messages are dropped: they may quote the key. Only codes and kinds are kept.
pub(super) fn trouble(error: &SdkError<GetObjectError, HttpResponse>) -> GetFailure {
    match error {
        SdkError::ServiceError(refusal) => refused(refusal.err().code().unwrap_or_default(), refusal.raw()),
        SdkError::TimeoutError(_) => GetFailure::Passing(read(ReadFault::Timeout)),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => {
            GetFailure::Passing(read(ReadFault::Timeout))
        }
        SdkError::DispatchFailure(failure) if failure.is_io() => {
            GetFailure::Passing(read(ReadFault::Connection))
        }
        // What is neither is mostly the credentials' provider, which has retried by itself.
        SdkError::DispatchFailure(_) => GetFailure::Passing(read(ReadFault::RequestNotSent)),
        SdkError::ResponseError(_) => GetFailure::Passing(read(ReadFault::AnswerUnreadable)),
        SdkError::ConstructionFailure(_) => GetFailure::Final(interrupted(ReadFault::RequestNotMade)),
        _ => GetFailure::Final(interrupted(ReadFault::Unknown)),
    }
}

fn refused(code: &str, answer: &HttpResponse) -> GetFailure {
    let status = answer.status().as_u16();
    let deleted = answer.headers().get("x-amz-delete-marker") == Some("true");
    match (status, code) {
        (404, "NoSuchKey" | "NoSuchVersion") | (412, _) => GetFailure::Final(ReadFailure::Gone),
        // A version that is a delete marker answers 405, a key under one 404.
        (404 | 405, _) if deleted => GetFailure::Final(ReadFailure::Gone),
        // Glacier's: the object must be restored first. This is not a missing permission.
        (403, "InvalidObjectState") => GetFailure::Final(coded("InvalidObjectState").into()),
        (_, "SlowDown" | "RequestTimeout" | "RequestTimeTooSkewed" | "ExpiredToken") => {
            GetFailure::Passing(coded(code))
        }
        (429 | 500..=599, _) => GetFailure::Passing(coded(&named(code, status))),
        (_, code) if code.contains("Throttling") => GetFailure::Passing(coded(&named(code, status))),
        (401 | 403, _) => GetFailure::Final(denied(code, status)),
        // S3 hands on what KMS says with 400: a disabled or deleted key, or none that may be used.
        (_, code) if code.starts_with("KMS.") => GetFailure::Final(denied(code, status)),
        _ => GetFailure::Final(coded(&named(code, status)).into()),
    }
}

fn denied(code: &str, status: u16) -> ReadFailure {
    Interrupted::Denied { code: named(code, status) }.into()
}

/// Returns the code if it looks like one, else the status: a proxy may answer with anything.
fn named(code: &str, status: u16) -> String {
    let plausible =
        !code.is_empty() && code.len() <= 64 && code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.');
    if plausible { code.to_owned() } else { format!("HTTP {status}") }
}
