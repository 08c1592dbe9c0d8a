//! What the environment may say, and how its mistakes are reported.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use flatten::automatic::Arrays;
use pipeline::object::{ObjectRef, Pin};
use pipeline::sink::mongodb::{Retention, Validation};

use super::{Connection, InvalidSettings, LogKeys, LogLevel, Settings, Tables};

const URI: (&str, &str) = ("MONGODB_URI", "mongodb://user:CANARY@localhost/");

fn read(variables: &[(&str, &str)]) -> Result<Settings, InvalidSettings> {
    Settings::read(|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into()))
}

/// The names of the variables that are reported, for an environment that is right but for these.
fn mistakes(variables: &[(&str, &str)]) -> Vec<&'static str> {
    let invalid = read(&[&[URI], variables].concat()).unwrap_err();
    invalid.mistakes.iter().map(|mistake| mistake.name).collect()
}

fn object(bucket: &str, key: &str) -> ObjectRef {
    ObjectRef {
        bucket: bucket.into(),
        key: key.into(),
        pin: Pin::Latest,
        sequencer: None,
        created: 0,
        size: None,
    }
}

#[test]
fn a_connection_is_enough() {
    let settings = read(&[URI]).unwrap();
    assert_eq!(settings.connection, Connection::Uri(URI.1.into()));
    assert_eq!((settings.database.as_str(), settings.archive_database.as_str()), ("fhir", "fhir_archive"));
    assert!(settings.watched.includes(&object("any", "thing")));
    assert_eq!((settings.log_keys, settings.log_level), (LogKeys::Hash, LogLevel::Info));
    assert_eq!((settings.queue_url, settings.path_style), (None, false));
    assert_eq!((settings.automatic.arrays, settings.automatic.narrative), (Arrays::Embedded, false));
    assert!(settings.automatic.extension_names.is_empty());
    assert_eq!((settings.tables, settings.batch_bytes), (Tables::Both, 8_000_000));
    assert!(settings.inactive.is_empty());
    assert_eq!((settings.checks, settings.gates), (None, None));
    assert_eq!((settings.retention, settings.validation), (Retention::Forever, Validation::Error));
}

#[test]
fn every_variable_is_read() {
    let settings = read(&[
        ("MONGODB_URI", ""),
        ("MONGODB_SECRET_ARN", "arn:aws:secretsmanager:eu-central-1:1:secret:s"),
        ("MONGODB_DATABASE", "clinic"),
        ("ARCHIVE_DATABASE", "attic"),
        ("WATCHED_BUCKET", "b"),
        ("WATCHED_PREFIX", "incoming/"),
        ("WATCHED_SUFFIX", ".ndjson"),
        ("QUEUE_URL", "https://sqs.eu-central-1.amazonaws.com/1/q"),
        ("LOG_KEYS", "plain"),
        ("LOG_LEVEL", "debug"),
        ("AWS_ENDPOINT_URL", "http://localhost:4566"),
        ("FLATTEN_ARRAYS", "tables"),
        ("FLATTEN_NARRATIVE", "true"),
        ("FLATTEN_TABLES", "views"),
        ("EXTENSION_NAMES", r#"{"http://a.example/x": "ax"}"#),
        ("INACTIVE_TYPES", "AuditEvent, Provenance,; Task where status in ('a', 'b')"),
        ("BATCH_MEGABYTES", "16"),
        ("CHECKS", "[]"),
        ("ARCHIVE_DAYS", "30"),
        ("VALIDATE_VIEWS", "warn"),
        ("GATES", r#"{"min_resources": 1}"#),
    ])
    .unwrap();
    assert_eq!((settings.retention, settings.validation), (Retention::Days(30), Validation::Warn));
    assert_eq!(settings.checks.as_deref(), Some("[]"));
    assert_eq!(settings.gates.as_deref(), Some(r#"{"min_resources": 1}"#));
    assert!(matches!(&settings.connection, Connection::SecretArn(arn) if arn.ends_with(":secret:s")));
    assert_eq!((settings.database.as_str(), settings.archive_database.as_str()), ("clinic", "attic"));
    assert_eq!(settings.queue_url.as_deref(), Some("https://sqs.eu-central-1.amazonaws.com/1/q"));
    assert_eq!((settings.log_keys, settings.log_level), (LogKeys::Plain, LogLevel::Debug));
    assert!(settings.path_style);
    assert_eq!((settings.automatic.arrays, settings.automatic.narrative), (Arrays::Tables, true));
    assert_eq!(
        settings.automatic.extension_names.into_iter().collect::<Vec<_>>(),
        [("http://a.example/x".into(), "ax".into())]
    );
    assert_eq!((settings.tables, settings.batch_bytes), (Tables::Views, 16_000_000));
    assert_eq!(settings.inactive, ["AuditEvent", "Provenance", "Task where status in ('a', 'b')"]);
}

#[test]
fn only_objects_that_pass_every_filter_are_watched() {
    let variables =
        [URI, ("WATCHED_BUCKET", "b"), ("WATCHED_PREFIX", "in coming/"), ("WATCHED_SUFFIX", ".json")];
    let watched = read(&variables).unwrap().watched;
    assert!(watched.includes(&object("b", "in coming/1.json")));
    for (bucket, key) in [("c", "in coming/1.json"), ("b", "in+coming/1.json"), ("b", "in coming/1.xml")] {
        assert!(!watched.includes(&object(bucket, key)), "{bucket} {key}");
    }
}

#[test]
fn exactly_one_connection_is_given() {
    let secret = ("MONGODB_SECRET_ARN", "arn:aws:secretsmanager:eu-central-1:1:secret:s");
    for variables in [vec![], vec![URI, secret], vec![("MONGODB_URI", ""), ("MONGODB_SECRET_ARN", "")]] {
        let error = read(&variables).unwrap_err().to_string();
        assert!(error.contains("exactly one of MONGODB_URI and MONGODB_SECRET_ARN"), "{error}");
    }
}

#[test]
fn a_word_that_is_no_choice_is_a_mistake() {
    let wrong = [
        ("LOG_KEYS", "Hash"),
        ("LOG_LEVEL", "trace"),
        ("LOG_LEVEL", "ingest=trace"),
        ("FLATTEN_ARRAYS", "array"),
        ("FLATTEN_NARRATIVE", "1"),
        ("FLATTEN_TABLES", "all"),
        ("EXTENSION_NAMES", "[]"),
        ("EXTENSION_NAMES", r#"{"http://a.example/x": "$ax"}"#),
        ("EXTENSION_NAMES", r#"{"http://a.example/x": "_ax"}"#),
        ("EXTENSION_NAMES", r#"{"": "ax"}"#),
        ("BATCH_MEGABYTES", "0"),
        ("BATCH_MEGABYTES", "41"),
        ("BATCH_MEGABYTES", "eight"),
        ("QUEUE_URL", "arn:aws:sqs:eu-central-1:1:q"),
        ("MONGODB_DATABASE", "a.b"),
        ("ARCHIVE_DATABASE", "fhir"),
    ];
    for (name, value) in wrong {
        assert_eq!(mistakes(&[(name, value)]), [name], "{value}");
    }
}

#[test]
fn every_mistake_is_reported_at_once_and_no_value_is() {
    let invalid = read(&[
        ("MONGODB_URI", "postgres://user:CANARY@localhost/"),
        ("LOG_LEVEL", "CANARY"),
        ("BATCH_MEGABYTES", "CANARY"),
        ("EXTENSION_NAMES", "CANARY"),
    ])
    .unwrap_err();
    let names: Vec<_> = invalid.mistakes.iter().map(|mistake| mistake.name).collect();
    assert_eq!(names, ["MONGODB_URI", "LOG_LEVEL", "EXTENSION_NAMES", "BATCH_MEGABYTES"]);
    let text = format!("{invalid} {invalid:?}");
    assert!(names.iter().all(|name| text.contains(name)), "{text}");
    assert!(!text.contains("CANARY"), "{text}");
}

#[test]
fn what_is_no_text_is_a_mistake() {
    let invalid = Settings::read(|name| match name {
        "MONGODB_URI" => Some(URI.1.into()),
        "WATCHED_PREFIX" => Some(OsString::from_vec(vec![0xff])),
        _ => None,
    });
    assert!(invalid.unwrap_err().to_string().contains("WATCHED_PREFIX: must be UTF-8"));
}

#[test]
fn the_connection_string_is_never_printed() {
    assert!(!format!("{:?}", read(&[URI]).unwrap()).contains("CANARY"));
}

#[test]
fn archives_are_kept_for_whole_days() {
    for wrong in ["-1", "24856", "1.5", "month"] {
        assert_eq!(mistakes(&[("ARCHIVE_DAYS", wrong)]), ["ARCHIVE_DAYS"], "{wrong}");
    }
    assert_eq!(read(&[URI, ("ARCHIVE_DAYS", "0")]).unwrap().retention, Retention::Forever);
}
