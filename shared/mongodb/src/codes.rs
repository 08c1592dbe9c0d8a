//! The codes of failures: those of MongoDB servers, and those that this crate names itself.

use strum::VariantArray;

/// The codes of servers, with the names that the server's documentation gives them.
const SERVER_CODES: [(i32, &str); 35] = [
    (2, "BadValue"),
    (6, "HostUnreachable"),
    (7, "HostNotFound"),
    (13, "Unauthorized"),
    (18, "AuthenticationFailed"),
    (24, "LockTimeout"),
    (50, "MaxTimeMSExpired"),
    (59, "CommandNotFound"),
    (64, "WriteConcernTimeout"),
    (67, "CannotCreateIndex"),
    (73, "InvalidNamespace"),
    (79, "UnknownReplWriteConcern"),
    (85, "IndexOptionsConflict"),
    (86, "IndexKeySpecsConflict"),
    (89, "NetworkTimeout"),
    (91, "ShutdownInProgress"),
    (100, "UnsatisfiableWriteConcern"),
    (112, "WriteConflict"),
    (115, "CommandNotSupported"),
    (121, "DocumentValidationFailure"),
    (134, "ReadConcernMajorityNotAvailableYet"),
    (166, "CommandNotSupportedOnView"),
    (189, "PrimarySteppedDown"),
    (262, "ExceededTimeLimit"),
    (8000, "AtlasError"),
    (9001, "SocketException"),
    (10107, "NotWritablePrimary"),
    (10334, "BSONObjectTooLarge"),
    (11000, "DuplicateKey"),
    (11600, "InterruptedAtShutdown"),
    (11602, "InterruptedDueToReplStateChange"),
    (13297, "DatabaseDifferCase"),
    (13435, "NotPrimaryNoSecondaryOk"),
    (13436, "NotPrimaryOrSecondary"),
    (14031, "OutOfDiskSpace"),
];

/// A failure that this crate names itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, VariantArray)]
pub(crate) enum DatabaseFault {
    /// No server could be reached.
    NoServerReachable,
    /// The name of the database's host is not known.
    HostNameNotResolved,
    /// The connection was cut; the driver's word for it follows.
    Network,
    /// A connection failed, and the driver has dropped the others.
    ConnectionPoolCleared,
    /// The program was about to end.
    ClientShutDown,
    /// The driver failed in a way that is not known.
    DriverFailure,
    /// The connection string's TLS options are wrong.
    InvalidTlsSettings,
    /// The connection string contradicts itself.
    InvalidArgument,
    /// The server's version is not supported.
    IncompatibleServer,
    /// The server has no sessions.
    SessionsNotSupported,
    /// The answer is not one of MongoDB's.
    UnreadableAnswer,
    /// A command could not be written.
    UnwritableCommand,
    /// An entry of the ledger could not be written.
    UnwritableEntry,
    /// Other writers changed the same documents at every attempt.
    OtherWriters,
    /// The secret of the erasures is missing.
    ErasureSecretMissing,
}

impl DatabaseFault {
    /// Returns the code in `problem` of a load and in the log.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::NoServerReachable => "no server reachable",
            Self::HostNameNotResolved => "host name not resolved",
            Self::Network => "network",
            Self::ConnectionPoolCleared => "connection pool cleared",
            Self::ClientShutDown => "client shut down",
            Self::DriverFailure => "driver failure",
            Self::InvalidTlsSettings => "invalid TLS settings",
            Self::InvalidArgument => "invalid argument",
            Self::IncompatibleServer => "incompatible server",
            Self::SessionsNotSupported => "sessions not supported",
            Self::UnreadableAnswer => "unreadable answer",
            Self::UnwritableCommand => "unwritable command",
            Self::UnwritableEntry => "unwritable entry",
            Self::OtherWriters => "other writers kept coming between",
            Self::ErasureSecretMissing => "the secret of the erasures is missing in _erasures",
        }
    }
}

/// Returns the code with its name, from here and not from the answer.
pub(crate) fn named(code: i32) -> String {
    let known = SERVER_CODES.iter().find(|(known, _)| *known == code);
    known.map_or_else(|| code.to_string(), |(code, name)| format!("{code} {name}"))
}

/// Returns every code that has a name here, as it stands in `problem` of a load and in the log.
pub fn failure_codes() -> impl Iterator<Item = String> {
    let own = DatabaseFault::VARIANTS.iter().map(|fault| fault.as_str().to_owned());
    SERVER_CODES.iter().map(|(code, _)| named(*code)).chain(own)
}
