//! Codes of interruptions: what stands in parentheses in `problem` of a load and in `error` of the log.

use super::codes::{Code, CodeKind};

const fn read(name: &'static str, meaning: &'static str, remedy: &'static str) -> Code {
    Code { name, kind: CodeKind::Read, meaning, missing: "", remedy }
}

const fn denied(name: &'static str, meaning: &'static str, remedy: &'static str) -> Code {
    Code { name, kind: CodeKind::Denied, meaning, missing: "", remedy }
}

const fn write(name: &'static str, meaning: &'static str, remedy: &'static str) -> Code {
    Code { name, kind: CodeKind::Write, meaning, missing: "", remedy }
}

const fn refused(name: &'static str, meaning: &'static str, remedy: &'static str) -> Code {
    Code { name, kind: CodeKind::Refused, meaning, missing: "", remedy }
}

const NETWORK: &str = "the network between the function and S3 failed";
const OTHER_BYTES: &str = "the bytes are not those that S3 announced";
const TOO_SLOW: &str = "the database is too slow";
const ELECTION: &str = "the database elects a primary or restarts";
const NO_SERVER: &str = "no server of the database could be reached";

const COMES_AGAIN: &str = "nothing: the load is tried again; if it goes on, find out why";
const KEEP_VERSIONS: &str = "nothing: the load is tried again; keep versions in the bucket, or the object may be replaced while it is read";
const REACH_THE_DATABASE: &str = "see the database's address and allow-list, and the function's network";
const LOAD_FEWER: &str = "lower MaximumConcurrency, or enlarge the database";
const CONNECTION_STRING: &str = "correct the connection string";
const OTHER_SERVER: &str =
    "use a MongoDB server of a version that has it, and no view of the database by the name of a table";

/// Every code of an interruption, in the order of the kinds.
pub(super) const INTERRUPTIONS: &[Code] = &[
    read("timeout", NETWORK, COMES_AGAIN),
    read("connection", NETWORK, COMES_AGAIN),
    read("connection-cut", NETWORK, COMES_AGAIN),
    read("connection-stalled", NETWORK, COMES_AGAIN),
    read("request-not-sent", "no request could be sent; mostly there were no credentials", COMES_AGAIN),
    read("answer-unreadable", NETWORK, COMES_AGAIN),
    read("request-not-made", "S3 cannot be asked for this key", "see the object's key"),
    read("unknown", "the S3 client failed in a way that is not known", COMES_AGAIN),
    read("HTTP", "S3, or a proxy before it, answered with this status", COMES_AGAIN),
    read("SlowDown", "S3 asks for fewer requests", COMES_AGAIN),
    read("RequestTimeout", "S3 waited too long for the function", COMES_AGAIN),
    read("InternalError", "S3 failed", COMES_AGAIN),
    read("ExpiredToken", "the credentials have expired; new ones come by themselves", COMES_AGAIN),
    read("RequestTimeTooSkewed", "the function's clock is wrong; that passes", COMES_AGAIN),
    read(
        "InvalidObjectState",
        "the object is in Glacier, or in an archive tier of Intelligent-Tiering",
        "restore the object, then `flatfire replay KEY`; `flatfire backfill` prints the command that restores it",
    ),
    read("checksum-mismatch", OTHER_BYTES, KEEP_VERSIONS),
    read("size-changed", OTHER_BYTES, KEEP_VERSIONS),
    read("range-not-honoured", OTHER_BYTES, KEEP_VERSIONS),
    read("longer-than-announced", OTHER_BYTES, KEEP_VERSIONS),
    read("file-not-found", "there is no such file", "see its name"),
    read("file-permission-denied", "the file may not be read", "give yourself the right to read it"),
    read("file-is-a-directory", "the name is that of a folder", "name the files in it"),
    read("file-unreadable", "the file cannot be read", "see its disk"),
    read("file-changed-while-read", "the file was written to while it was read", "load it again"),
    read("reader-stopped", "the program stopped reading", "load it again; if it goes on, please report it"),
    read("standard-input-read-before", "standard input can be read once only", "use a file"),
    denied(
        "AccessDenied",
        "the function's role may not read the object; the template lets it read under the watched prefix only",
        "grant the role s3:GetObject and s3:GetObjectVersion on the key, and kms:Decrypt on the object's key",
    ),
    denied(
        "KMS",
        "the object's key refuses the function's role, or is disabled or deleted",
        "give the key as KmsKeyArn, or grant the role kms:Decrypt on it; enable the key",
    ),
    write("no server reachable", NO_SERVER, REACH_THE_DATABASE),
    write("host name not resolved", "the name of the database's host is not known", REACH_THE_DATABASE),
    write("network", "the connection to the database was cut", REACH_THE_DATABASE),
    write("connection pool cleared", "a connection to the database failed", REACH_THE_DATABASE),
    write("6 HostUnreachable", NO_SERVER, REACH_THE_DATABASE),
    write("7 HostNotFound", NO_SERVER, REACH_THE_DATABASE),
    write("89 NetworkTimeout", NO_SERVER, REACH_THE_DATABASE),
    write("9001 SocketException", NO_SERVER, REACH_THE_DATABASE),
    write("91 ShutdownInProgress", ELECTION, COMES_AGAIN),
    write("189 PrimarySteppedDown", ELECTION, COMES_AGAIN),
    write("10107 NotWritablePrimary", ELECTION, COMES_AGAIN),
    write("11600 InterruptedAtShutdown", ELECTION, COMES_AGAIN),
    write("11602 InterruptedDueToReplStateChange", ELECTION, COMES_AGAIN),
    write("13435 NotPrimaryNoSecondaryOk", ELECTION, COMES_AGAIN),
    write("13436 NotPrimaryOrSecondary", ELECTION, COMES_AGAIN),
    write("134 ReadConcernMajorityNotAvailableYet", ELECTION, COMES_AGAIN),
    write("24 LockTimeout", TOO_SLOW, LOAD_FEWER),
    write("50 MaxTimeMSExpired", TOO_SLOW, LOAD_FEWER),
    write("64 WriteConcernTimeout", TOO_SLOW, LOAD_FEWER),
    write("112 WriteConflict", "another writer was quicker", COMES_AGAIN),
    write("262 ExceededTimeLimit", TOO_SLOW, LOAD_FEWER),
    write("2 BadValue", "the database refused a value; a document that it refuses is a reject", COMES_AGAIN),
    write("121 DocumentValidationFailure", "a validator refused a document", "change your validator"),
    write("10334 BSONObjectTooLarge", "a document is too large", "load with FLATTEN_ARRAYS=tables"),
    write("11000 DuplicateKey", "another document has that key", COMES_AGAIN),
    write("85 IndexOptionsConflict", "the collection has another index of that name", "drop it, or keep it"),
    write("86 IndexKeySpecsConflict", "the collection has another index of that name", "drop it, or keep it"),
    write(
        "other writers kept coming between",
        "many files hold the same resource",
        "nothing: the next attempt goes on",
    ),
    write(
        "unreadable answer",
        "the database's answer is not one of MongoDB's",
        "see what serves that address",
    ),
    write("client shut down", "the program was about to end", COMES_AGAIN),
    write("driver failure", "the driver failed in a way that is not known", COMES_AGAIN),
    write("unwritable command", "a command could not be written", "please report it, without data"),
    write(
        "unwritable entry",
        "an entry of the ledger could not be written",
        "please report it, without data",
    ),
    write("secret: not readable now", "Secrets Manager did not answer", COMES_AGAIN),
    refused(
        "13 Unauthorized",
        "the database user lacks a right that the message names, or the connection string names no user",
        "grant the action by the role of docs/security.md, or put the user into the connection string",
    ),
    refused(
        "18 AuthenticationFailed",
        "the database does not accept the user",
        "see user, password and authSource in the connection string; a role of AWS must be a user of the database",
    ),
    refused(
        "8000 AtlasError",
        "Atlas refuses",
        "see the user, its rights and the limits of the cluster in Atlas",
    ),
    refused(
        "67 CannotCreateIndex",
        "a collection has at most 64 indexes",
        "remove indexes that nobody needs",
    ),
    refused(
        "73 InvalidNamespace",
        "the database's name is not allowed",
        "choose another: at most 63 bytes without space, dot, dollar and slash",
    ),
    refused(
        "13297 DatabaseDifferCase",
        "another database differs in upper and lower case alone",
        "write the name in its exact case",
    ),
    refused("59 CommandNotFound", "the server does not know a command", OTHER_SERVER),
    refused("115 CommandNotSupported", "the server does not know a command", OTHER_SERVER),
    refused("166 CommandNotSupportedOnView", "a view of the database has a table's name", OTHER_SERVER),
    refused("14031 OutOfDiskSpace", "the database's disk is full", "make room on its disk"),
    refused(
        "79 UnknownReplWriteConcern",
        "the replica set cannot acknowledge a majority",
        "repair the replica set: too few members hold data",
    ),
    refused(
        "100 UnsatisfiableWriteConcern",
        "the replica set cannot acknowledge a majority",
        "repair the replica set: too few members hold data",
    ),
    refused(
        "the secret of the erasures is missing in _erasures",
        "without it, what was erased would come back, so nothing is written",
        "bring the collection _erasures back from a backup",
    ),
    refused("invalid connection string", "the connection string cannot be read", CONNECTION_STRING),
    refused("invalid TLS settings", "the connection string's TLS options are wrong", CONNECTION_STRING),
    refused("invalid argument", "the connection string contradicts itself", CONNECTION_STRING),
    refused("incompatible server", "the server's version is not supported", OTHER_SERVER),
    refused("sessions not supported", "the server has no sessions", OTHER_SERVER),
    refused(
        "secret: AccessDeniedException",
        "the function's role may not read the secret",
        "grant it secretsmanager:GetSecretValue",
    ),
    refused("secret: ResourceNotFoundException", "there is no such secret", "see MongodbSecretArn"),
    refused(
        "secret: DecryptionFailure",
        "the function's role may not use the secret's key",
        "give the key as MongodbSecretKmsKeyArn",
    ),
    refused(
        "secret: InvalidRequestException",
        "the secret cannot be read; it may be going to be deleted",
        "restore the secret",
    ),
    refused(
        "the secret holds no connection string",
        "the secret is neither a connection string nor a JSON object with it as `uri`",
        "put the connection string into it",
    ),
];

#[cfg(test)]
mod tests {
    use pipeline::source::ReadFault;

    use super::super::find;
    use super::INTERRUPTIONS;

    #[test]
    fn every_code_is_explained() {
        let of_reading = ReadFault::ALL.iter().map(|fault| fault.as_str().to_owned());
        let codes = of_reading.chain(mongodb_store::failure_codes()).chain(ingest::secret_codes());
        for code in codes {
            assert!(INTERRUPTIONS.iter().any(|one| one.name == code), "`{code}` is not explained");
        }
    }

    #[test]
    fn a_code_is_found_as_the_log_writes_it() {
        let names = |wanted: &str| find(wanted).map(|code| code.name);
        let unauthorized = Some("13 Unauthorized");
        assert_eq!(names("13"), unauthorized);
        assert_eq!(names("Unauthorized"), unauthorized);
        assert_eq!(names("13 Unauthorized: find on _loads in the database fhir"), unauthorized);
        assert_eq!(names("network: connection reset"), Some("network"));
        assert_eq!(names("KMS.DisabledException"), Some("KMS"));
        assert_eq!(names("HTTP 503"), Some("HTTP"));
        assert_eq!(names("secret: DecryptionFailure"), Some("secret: DecryptionFailure"));
        assert_eq!(names("no server"), None);
    }
}
