//! What the environment may say, and how its mistakes are reported.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use flatten::automatic::Arrays;
use flatten::decimals::Decimals;
use flatten::indexes::Indexes;
use pipeline::object::{ObjectRef, Pin};
use pipeline::retention::{KeptDays, RetentionPolicy, RowRetention};

use crate::database::{Retention, Validation};

use super::{
    Choices, ConnectionSource, FunctionSettings, InvalidSettings, LogKeys, LogLevel, Tables, VariableReader,
};

const URI: (&str, &str) = ("MONGODB_URI", "mongodb://user:CANARY@localhost/");

fn read(variables: &[(&str, &str)]) -> Result<FunctionSettings, InvalidSettings> {
    FunctionSettings::read(|name| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
    })
}

fn choices(variables: &[(&str, &str)]) -> Choices {
    let variable = |name: &str| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
    };
    VariableReader { variable, mistakes: Vec::new(), invalid_catalog: None }.choices()
}

/// Returns the names of the variables that are reported, for an environment that is right but for these.
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
    assert_eq!(settings.connection, ConnectionSource::Uri(URI.1.into()));
    assert_eq!(
        (settings.store.database, settings.store.archive_database),
        (None, None),
        "the connection string may name them"
    );
    assert!(settings.watched.includes(&object("any", "thing")));
    assert_eq!((settings.log_keys, settings.log_level), (LogKeys::Hash, LogLevel::Info));
    assert_eq!((settings.queue_url, settings.path_style), (None, false));
    assert_eq!(
        (settings.store.retention, settings.store.validation),
        (Retention::Forever, Validation::Error)
    );
    assert_eq!(settings.batch_bytes, 4_000_000);
    let ever = KeptDays::default();
    let rows = Some(RowRetention::default());
    assert_eq!(settings.store.policy, RetentionPolicy { rows, ledger: Some(ever), rejects: Some(ever) });
    let choices = choices(&[URI]);
    assert_eq!((choices.automatic.arrays, choices.automatic.narrative), (Arrays::Embedded, false));
    assert_eq!(choices.automatic.decimals, Decimals::Exact);
    assert!(choices.automatic.extension_names.is_empty());
    assert_eq!(choices.tables, Tables::Both);
    assert!(choices.inactive.is_empty() && choices.checks.is_empty() && choices.gates.is_none());
}

#[test]
fn every_variable_is_read() {
    let variables = [
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
        ("DECIMALS", "double"),
        ("FLATTEN_TABLES", "views"),
        ("EXTENSION_NAMES", r#"{"http://a.example/x": "ax"}"#),
        ("INACTIVE_TYPES", "AuditEvent, Provenance,; Task where iif(status = 'a', true, false)"),
        ("RESOURCE_TYPES", "Rocket, SpaceSuit"),
        ("BATCH_MEGABYTES", "16"),
        ("STACK_NAME", "flatfire-dev"),
        ("LARGE_OBJECT_QUEUE_URL", "https://sqs.eu-central-1.amazonaws.com/1/large"),
        ("LARGE_OBJECT_MEGABYTES", "2000"),
        ("CHECKS", "[]"),
        ("ARCHIVE_DAYS", "30"),
        ("RETENTION_DAYS", "Observation=3650,Rocket=1,*=0"),
        ("LEDGER_DAYS", "400"),
        ("REJECT_DAYS", "90"),
        ("VALIDATE_VIEWS", "warn"),
        ("SQL_SCHEMAS", "on"),
        ("INDEXES", "all"),
        ("GATES", r#"{"min_resources": 1}"#),
    ];
    let (settings, choices) = (read(&variables).unwrap(), choices(&variables));
    assert_eq!(
        (settings.store.retention, settings.store.validation),
        (Retention::Days(30), Validation::Warn)
    );
    let policy = &settings.store.policy;
    let days = ["Observation", "Rocket", "Patient"].map(|name| policy.rows.as_ref().unwrap().days_of(name));
    assert_eq!(days, [Some(3650), Some(1), None]);
    let kept = [policy.ledger, policy.rejects].map(|kept| kept.unwrap().days());
    assert_eq!(kept, [Some(400), Some(90)]);
    assert_eq!(choices.checks, [("CHECKS".to_owned(), "[]".to_owned())]);
    assert_eq!(choices.gates.as_deref(), Some(r#"{"min_resources": 1}"#));
    assert!(matches!(&settings.connection, ConnectionSource::SecretArn(arn) if arn.ends_with(":secret:s")));
    assert_eq!(
        (settings.store.database.as_deref(), settings.store.archive_database.as_deref()),
        (Some("clinic"), Some("attic"))
    );
    assert_eq!(settings.queue_url.as_deref(), Some("https://sqs.eu-central-1.amazonaws.com/1/q"));
    assert_eq!((settings.log_keys, settings.log_level), (LogKeys::Plain, LogLevel::Debug));
    assert!(settings.path_style && settings.store.sql_schemas);
    assert_eq!(settings.store.indexes, Indexes::All);
    assert_eq!((choices.automatic.arrays, choices.automatic.narrative), (Arrays::Tables, true));
    assert_eq!(choices.automatic.decimals, Decimals::Double);
    assert_eq!(
        choices.automatic.extension_names.into_iter().collect::<Vec<_>>(),
        [("http://a.example/x".into(), "ax".into())]
    );
    assert_eq!(settings.stack.as_deref(), Some("flatfire-dev"));
    let large = settings.large_objects.unwrap();
    assert_eq!((large.queue_url.rsplit('/').next(), large.above), (Some("large"), 2_000_000_000));
    assert_eq!((choices.tables, settings.batch_bytes), (Tables::Views, 16_000_000));
    assert_eq!(choices.automatic.resource_types.added().collect::<Vec<_>>(), ["Rocket", "SpaceSuit"]);
    assert_eq!(choices.inactive, ["AuditEvent", "Provenance", "Task where iif(status = 'a', true, false)"]);
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
        ("DECIMALS", "float"),
        ("INDEXES", "off"),
        ("FLATTEN_TABLES", "all"),
        ("EXTENSION_NAMES", "[]"),
        ("EXTENSION_NAMES", r#"{"http://a.example/x": "$ax"}"#),
        ("EXTENSION_NAMES", r#"{"http://a.example/x": "_ax"}"#),
        ("EXTENSION_NAMES", r#"{"": "ax"}"#),
        ("BATCH_MEGABYTES", "0"),
        ("BATCH_MEGABYTES", "41"),
        ("BATCH_MEGABYTES", "eight"),
        ("LARGE_OBJECT_MEGABYTES", "100"),
        ("LARGE_OBJECT_MEGABYTES", "many"),
        ("SQL_SCHEMAS", "true"),
        ("QUEUE_URL", "arn:aws:sqs:eu-central-1:1:q"),
        ("MONGODB_DATABASE", "a.b"),
        ("ARCHIVE_DATABASE", "a.b"),
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
fn what_is_wrong_with_rules_is_reported_with_the_rest() {
    let invalid = read(&[
        URI,
        ("LOG_LEVEL", "loud"),
        ("GATES", "[]"),
        ("CHECKS", "{}"),
        ("RESOURCE_TYPES", "Rocket, space-suit"),
        ("INACTIVE_TYPES", "patient; Patiant; Patient where brthDate.exists()"),
    ]);
    let text = invalid.unwrap_err().to_string();
    for part in [
        "LOG_LEVEL: ",
        "gates are",
        "CHECKS: checks are",
        "type `space-suit`",
        "`patient`",
        "`Patiant`",
        "brthDate.exists()`",
    ] {
        assert!(text.contains(part), "{part} is missing in:\n{text}");
    }
}

#[test]
fn the_archive_s_name_must_be_one_as_well() {
    let long = "x".repeat(60);
    assert_eq!(mistakes(&[("MONGODB_DATABASE", &long)]), ["ARCHIVE_DATABASE"]);
    assert!(read(&[URI, ("MONGODB_DATABASE", &long), ("ARCHIVE_DATABASE", "attic")]).is_ok());
    assert_eq!(
        mistakes(&[("MONGODB_DATABASE", "attic"), ("ARCHIVE_DATABASE", "attic")]),
        ["ARCHIVE_DATABASE"]
    );
}

#[test]
fn what_is_no_text_is_a_mistake() {
    let invalid = FunctionSettings::read(|name| match name {
        "MONGODB_URI" => Some(URI.1.into()),
        "WATCHED_PREFIX" => Some(OsString::from_vec(vec![0xff])),
        _ => None,
    });
    assert!(invalid.unwrap_err().to_string().contains("WATCHED_PREFIX: must be UTF-8"));
}

#[test]
fn keys_are_hashed_with_the_secret_of_the_deployment_or_of_the_process() {
    let hash = |secret: &str| read(&[URI, ("LOG_KEY_SECRET", secret)]).unwrap().log_hash.of("key");
    assert_eq!(hash("CANARY"), hash("CANARY"));
    assert_ne!(hash("CANARY"), hash("other"));
    assert_ne!(hash(""), hash(""), "without a secret nobody can know it");
    assert!(!format!("{:?}", read(&[URI, ("LOG_KEY_SECRET", "CANARY")]).unwrap()).contains("CANARY"));
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
    assert_eq!(read(&[URI, ("ARCHIVE_DAYS", "0")]).unwrap().store.retention, Retention::Forever);
}

#[test]
fn rules_of_retention_are_for_types_with_tables_and_whole_days() {
    for wrong in ["Observation", "Observation=x", "Nothing=1", "*=1,*=2", "Patient=24856", "Patient=-1"] {
        assert_eq!(mistakes(&[("RETENTION_DAYS", wrong)]), ["RETENTION_DAYS"], "{wrong}");
    }
    for wrong in ["29", "1", "24856", "x", "-1"] {
        assert_eq!(mistakes(&[("LEDGER_DAYS", wrong)]), ["LEDGER_DAYS"], "{wrong}");
    }
    for wrong in ["24856", "x", "-1", "1.5"] {
        assert_eq!(mistakes(&[("REJECT_DAYS", wrong)]), ["REJECT_DAYS"], "{wrong}");
    }
    let all = [("RETENTION_DAYS", "?"), ("LEDGER_DAYS", "?"), ("REJECT_DAYS", "?")];
    assert_eq!(mistakes(&all).len(), 3, "every mistake is told at once");
    let off = [("RETENTION_DAYS", ""), ("LEDGER_DAYS", "0"), ("REJECT_DAYS", "0")];
    assert_eq!(read(&[&[URI], &off[..]].concat()).unwrap().store.policy, read(&[URI]).unwrap().store.policy);
}
