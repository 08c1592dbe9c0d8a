//! Troubles with the database: what a failure means, without the driver's words, which quote data.

use bson::Document;
use mongodb::error::{Error, ErrorKind, WriteFailure};

use pipeline::interrupted::Interrupted;

use super::codes::{DatabaseFault, named};
use super::refusal::{Refusal, UNAUTHORIZED};

/// What a failure of a command, or of one statement in it, means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It may go away: try again.
    Transient(String),
    /// No server could be found within the selection timeout: the waiting has been done already, and nothing was sent.
    Unreachable(String),
    /// It stays until somebody does something.
    Stop(Refusal),
    /// A document with that `_id` is there.
    Duplicate,
    /// One document is to blame: the server's code.
    Document(i32),
}

/// Labels by which servers and the driver say that trying again helps.
const TRANSIENT_LABELS: [&str; 2] = [RETRYABLE_WRITE, "TransientTransactionError"];
const RETRYABLE_WRITE: &str = "RetryableWriteError";

impl Trouble {
    /// Returns what a server's error code means. Codes that are not known here are tried again: if that does not help,
    /// the object ends in the dead-letter queue with the code.
    pub(crate) fn of_code(code: i32) -> Self {
        match code {
            11000 | 11001 | 12582 => Self::Duplicate,
            // 26, 27, 48, 85, 86: there is no such collection or index, or another one. Only whoever changes them is
            // told so.
            26 | 27 | 48 | 85 | 86 | 2 | 121 | 10334 | 17280 | 17419 | 17420 => Self::Document(code),
            // A write concern that cannot be met is no refusal of a command.
            79 | 100 => Self::Transient(named(code)),
            _ => Refusal::of_code(code).map_or_else(|| Self::Transient(named(code)), Self::Stop),
        }
    }

    /// Returns what a failure of the driver means.
    pub(crate) fn of_error(error: &Error) -> Self {
        if TRANSIENT_LABELS.iter().any(|label| error.contains_label(label)) {
            return Self::Transient(
                command_code(error).map_or_else(|| DatabaseFault::Network.as_str().to_owned(), named),
            );
        }
        match &*error.kind {
            ErrorKind::Command(failure) => Self::of_code(failure.code),
            ErrorKind::Write(WriteFailure::WriteError(failure)) => Self::of_code(failure.code),
            ErrorKind::Write(WriteFailure::WriteConcernError(failure)) => {
                Self::of_write_concern(failure.code)
            }
            ErrorKind::Io(failure) => {
                Self::Transient(format!("{}: {}", DatabaseFault::Network.as_str(), failure.kind()))
            }
            ErrorKind::ServerSelection { .. } => {
                Self::Unreachable(DatabaseFault::NoServerReachable.as_str().to_owned())
            }
            ErrorKind::ConnectionPoolCleared { .. } => transient(DatabaseFault::ConnectionPoolCleared),
            ErrorKind::DnsResolve { .. } => transient(DatabaseFault::HostNameNotResolved),
            ErrorKind::Authentication { .. } => Self::of_code(18),
            ErrorKind::InvalidTlsConfig { .. } => stop(DatabaseFault::InvalidTlsSettings, CONNECTION_STRING),
            ErrorKind::InvalidArgument { .. } => stop(DatabaseFault::InvalidArgument, CONNECTION_STRING),
            ErrorKind::IncompatibleServer { .. } => stop(DatabaseFault::IncompatibleServer, SERVER_VERSION),
            ErrorKind::SessionsNotSupported => stop(DatabaseFault::SessionsNotSupported, SERVER_VERSION),
            ErrorKind::BsonDeserialization(_)
            | ErrorKind::BsonSerialization(_)
            | ErrorKind::Bson(_)
            | ErrorKind::InvalidResponse { .. } => transient(DatabaseFault::UnreadableAnswer),
            ErrorKind::Shutdown => transient(DatabaseFault::ClientShutDown),
            // Nothing here uses what these belong to: bulk calls of the driver, GridFS, transactions, change
            // streams, encryption. A driver to come may add kinds.
            _ => transient(DatabaseFault::DriverFailure),
        }
    }

    /// Returns the refusal that a failure of the driver means; `None`: trying again may help.
    pub(crate) fn refusal_of(error: &Error) -> Option<Refusal> {
        let Self::Stop(refusal) = Self::of_error(error) else { return None };
        match &*error.kind {
            ErrorKind::Command(failure) if failure.code == UNAUTHORIZED => {
                Some(Refusal::unauthorized(&failure.message).unwrap_or(refusal))
            }
            _ => Some(refusal),
        }
    }

    /// Returns what follows from a write that is not yet durable: it may have been made, so it is made again. The load
    /// stops only for a concern that the cluster does not know (79) or can never satisfy (100).
    pub(crate) fn of_write_concern(code: i32) -> Self {
        let refusal = Refusal::of_code(code).filter(|_| matches!(code, 79 | 100));
        refusal.map_or_else(|| Self::Transient(named(code)), Self::Stop)
    }

    pub(crate) const fn is_worth_another_try(&self) -> bool {
        matches!(self, Self::Transient(_))
    }
}

impl From<Trouble> for Interrupted {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Transient(code) | Trouble::Unreachable(code) => Self::Write { code },
            Trouble::Stop(Refusal { code, remedy }) => Self::Stopped { code, remedy },
            // Statements for which these mean something have dealt with them.
            Trouble::Duplicate => Self::Write { code: named(11000) },
            Trouble::Document(code) => Self::Write { code: named(code) },
        }
    }
}

/// Returns the statements that failed, each with its code. Their messages quote data and are left where they are.
pub(crate) fn write_errors(answer: &Document) -> impl Iterator<Item = (usize, i32)> {
    let errors = answer.get_array("writeErrors").map(Vec::as_slice).unwrap_or_default();
    errors.iter().filter_map(bson::Bson::as_document).map(|error| {
        let index = error.get_i32("index").ok().and_then(|index| usize::try_from(index).ok());
        (index.unwrap_or_default(), error.get_i32("code").unwrap_or_default())
    })
}

pub(super) fn command_code(error: &Error) -> Option<i32> {
    if let ErrorKind::Command(failure) = &*error.kind { Some(failure.code) } else { None }
}

/// Returns whether a server may have received the command of a failure that it did not answer.
pub(super) fn lost_an_answer(error: &Error) -> bool {
    matches!(&*error.kind, ErrorKind::Io(_) | ErrorKind::ConnectionPoolCleared { .. })
        || error.contains_label(RETRYABLE_WRITE) && command_code(error).is_none()
}

fn transient(fault: DatabaseFault) -> Trouble {
    Trouble::Transient(fault.as_str().to_owned())
}

const CONNECTION_STRING: &str = "correct the connection string";
const SERVER_VERSION: &str = "use a MongoDB server of a version that is supported";

fn stop(fault: DatabaseFault, remedy: &str) -> Trouble {
    Trouble::Stop(Refusal { code: fault.as_str().to_owned(), remedy: remedy.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::Trouble;
    use pipeline::interrupted::Interrupted;

    #[test]
    fn codes_have_their_outcomes() {
        for code in [50, 64, 91, 189, 10107, 11600, 11602, 13435, 13436, 112, 424_242] {
            assert!(Trouble::of_code(code).is_worth_another_try(), "{code}");
        }
        for code in [13, 18, 59, 67, 73, 8000, 13297, 14031] {
            assert!(
                matches!(Interrupted::from(Trouble::of_code(code)), Interrupted::Stopped { .. }),
                "{code}"
            );
        }
        for code in [2, 121, 10334] {
            assert_eq!(Trouble::of_code(code), Trouble::Document(code));
        }
        assert_eq!(Trouble::of_code(11000), Trouble::Duplicate);
        assert_eq!(
            Interrupted::from(Trouble::of_code(91)),
            Interrupted::Write { code: "91 ShutdownInProgress".into() }
        );
    }
}
