//! The error codes of MongoDB servers.

/// Returns the code with the name that the server's documentation gives it, from here and not from the answer.
pub(crate) fn named(code: i32) -> String {
    let name = match code {
        2 => "BadValue",
        6 => "HostUnreachable",
        7 => "HostNotFound",
        13 => "Unauthorized",
        18 => "AuthenticationFailed",
        24 => "LockTimeout",
        50 => "MaxTimeMSExpired",
        59 => "CommandNotFound",
        64 => "WriteConcernTimeout",
        67 => "CannotCreateIndex",
        73 => "InvalidNamespace",
        79 => "UnknownReplWriteConcern",
        85 => "IndexOptionsConflict",
        86 => "IndexKeySpecsConflict",
        89 => "NetworkTimeout",
        91 => "ShutdownInProgress",
        100 => "UnsatisfiableWriteConcern",
        112 => "WriteConflict",
        115 => "CommandNotSupported",
        121 => "DocumentValidationFailure",
        134 => "ReadConcernMajorityNotAvailableYet",
        166 => "CommandNotSupportedOnView",
        189 => "PrimarySteppedDown",
        262 => "ExceededTimeLimit",
        8000 => "AtlasError",
        9001 => "SocketException",
        10107 => "NotWritablePrimary",
        10334 => "BSONObjectTooLarge",
        11000 => "DuplicateKey",
        11600 => "InterruptedAtShutdown",
        11602 => "InterruptedDueToReplStateChange",
        13297 => "DatabaseDifferCase",
        13435 => "NotPrimaryNoSecondaryOk",
        13436 => "NotPrimaryOrSecondary",
        14031 => "OutOfDiskSpace",
        _ => return code.to_string(),
    };
    format!("{code} {name}")
}
