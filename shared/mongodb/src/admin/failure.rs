//! Failures of the driver as [`StoreError`]s.

use mongodb::error::{Error, ErrorKind};
use pipeline::interrupted::Interrupted;
use pipeline::store::StoreError;

use crate::Trouble;
use crate::refusal::Refusal;

/// A [`StoreError`] that `?` makes of a failure of the driver.
#[derive(Debug)]
pub(super) struct DriverFailure(StoreError);

impl From<DriverFailure> for StoreError {
    fn from(DriverFailure(error): DriverFailure) -> Self {
        error
    }
}

impl From<Error> for DriverFailure {
    fn from(error: Error) -> Self {
        let failed = |code: String| Self(StoreError::Failed { code });
        if let Some(Refusal { code, remedy }) = Trouble::refusal_of(&error) {
            return Self(StoreError::Refused { code, remedy });
        }
        match &*error.kind {
            ErrorKind::ServerSelection { .. } | ErrorKind::Io(_) | ErrorKind::DnsResolve { .. } => {
                Self(StoreError::Unreachable)
            }
            ErrorKind::Command(failure) => failed(format!("error {} {}", failure.code, failure.code_name)),
            _ => failed("driver failure".to_owned()),
        }
    }
}

/// Some answers come through the connection that loads write through.
impl From<Interrupted> for DriverFailure {
    fn from(interrupted: Interrupted) -> Self {
        Self(match interrupted {
            Interrupted::Stopped { code, remedy } => StoreError::Refused { code, remedy },
            Interrupted::Write { code } => StoreError::Failed { code },
            other => StoreError::Failed { code: other.to_string() },
        })
    }
}
