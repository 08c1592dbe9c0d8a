//! Every shape in which a notification arrives, each as a case.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    Cause, Event, HOP_LIMIT, Ignored, InvalidNotification, Notification, form_encode, parse, parse_value,
};
use crate::object::{ObjectRef, Pin};
use crate::requester::Requester;

const KEYS: &[&str] =
    &["incoming/day 1+2.ndjson", "incoming/a%2Bb", "incoming/müller.json", "incoming/🔥.json", "x"];

fn object(key: &str) -> ObjectRef {
    ObjectRef {
        bucket: "clinic".into(),
        key: key.into(),
        pin: Pin::VersionId("v1".into()),
        sequencer: Some("0055AED6DCD90281E5".into()),
        created: 1_767_607_200_123,
        size: Some(1024),
    }
}

fn sender() -> Requester {
    Requester {
        principal: Some("AWS:AIDAJDPLRKLG7UEXAMPLE".into()),
        address: Some("192.0.2.7".into()),
        request_id: Some("C3D13FE58DE4C810".into()),
        operator: None,
    }
}

fn s3_record(key: &str) -> Value {
    json!({
        "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "eu-central-1",
        "eventTime": "2026-01-05T10:00:00.123Z", "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": "AWS:AIDAJDPLRKLG7UEXAMPLE"},
        "requestParameters": {"sourceIPAddress": "192.0.2.7"},
        "responseElements": {"x-amz-request-id": "C3D13FE58DE4C810", "x-amz-id-2": "FMyUVURIY8/IgAtTv8xRjskZQpcIZ9KG"},
        "s3": {
            "s3SchemaVersion": "1.0", "configurationId": "incoming",
            "bucket": {"name": "clinic", "ownerIdentity": {"principalId": "A3"}, "arn": "arn:aws:s3:::clinic"},
            "object": {"key": form_encode(key), "size": 1024, "eTag": "0123456789abcdef0123456789abcdef",
                       "versionId": "v1", "sequencer": "0055AED6DCD90281E5"},
        },
    })
}

fn s3(key: &str) -> Value {
    json!({"Records": [s3_record(key)]})
}

fn event_bridge(key: &str) -> Value {
    json!({
        "version": "0", "id": "17793124-05d4-b198-2fde-7ededc63b103", "detail-type": "Object Created",
        "source": "aws.s3", "account": "111122223333", "time": "2026-01-05T10:00:00.123Z",
        "region": "eu-central-1", "resources": ["arn:aws:s3:::clinic"],
        "detail": {
            "version": "0", "bucket": {"name": "clinic"}, "reason": "CompleteMultipartUpload",
            "request-id": "C3D13FE58DE4C810", "requester": "AWS:AIDAJDPLRKLG7UEXAMPLE", "source-ip-address": "192.0.2.7",
            "object": {"key": key, "size": 1024, "etag": "0123456789abcdef0123456789abcdef-2",
                       "version-id": "v1", "sequencer": "0055AED6DCD90281E5"},
        },
    })
}

fn test_event() -> Value {
    json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2026-01-05T10:00:00.000Z", "Bucket": "clinic",
           "RequestId": "5582815E1AEA5ADF", "HostId": "8cLeGAmw098X5cv4Zkwcmo8vvZa3eH3eKxsPzbB9wrR"})
}

fn in_sns(message: &Value) -> Value {
    json!({"Records": [{"EventSource": "aws:sns", "EventVersion": "1.0",
                        "Sns": {"Type": "Notification", "Message": message.to_string()}}]})
}

fn in_sqs(body: &Value) -> Value {
    json!({"Records": [{"messageId": "m1", "body": body.to_string(), "eventSource": "aws:sqs"}]})
}

fn in_sns_body(message: &Value) -> Value {
    json!({"Type": "Notification", "MessageId": "n1", "TopicArn": "arn:aws:sns:eu-central-1:1:t",
           "Subject": "Amazon S3 Notification", "Message": message.to_string()})
}

/// Returns every way in which S3's and `EventBridge`'s messages reach a function or a queue.
fn wrappings(s3: &Value, event_bridge: &Value) -> Vec<(&'static str, Value)> {
    vec![
        ("S3 direct, or raw in a queue", s3.clone()),
        ("SNS{S3}", in_sns(s3)),
        ("SQS{S3}", in_sqs(s3)),
        ("SNS{S3} as the body of a queue's message", in_sns_body(s3)),
        ("SQS{SNS{S3}}", in_sqs(&in_sns_body(s3))),
        ("EventBridge direct, or in a queue", event_bridge.clone()),
        ("SQS{EventBridge}", in_sqs(event_bridge)),
        ("SQS{SNS{EventBridge}}", in_sqs(&in_sns_body(event_bridge))),
    ]
}

fn parse_text(text: &str) -> Result<Notification, InvalidNotification> {
    parse(text.as_bytes())
}

#[test]
fn every_wrapping_of_every_key_announces_the_same_object() {
    for key in KEYS {
        for (shape, message) in wrappings(&s3(key), &event_bridge(key)) {
            let notification = parse_text(&message.to_string()).expect(shape);
            let expected = vec![Event { object: object(key), cause: Cause::Created, by: Some(sender()) }];
            assert_eq!(
                notification,
                Notification { events: expected, ignored: Ignored::default() },
                "{shape}"
            );
        }
    }
}

#[test]
fn a_plus_is_a_space_in_s3_and_a_plus_in_event_bridge() {
    let mut encoded = s3("x");
    encoded["Records"][0]["s3"]["object"]["key"] = json!("a+b%2Bc");
    assert_eq!(parse_value(&encoded).unwrap().events[0].object.key, "a b+c");
    assert_eq!(parse_value(&event_bridge("a+b%2Bc")).unwrap().events[0].object.key, "a+b%2Bc");
}

#[test]
fn a_test_event_is_acknowledged_in_every_wrapping() {
    for (shape, message) in wrappings(&test_event(), &test_event()) {
        let notification = parse_value(&message).expect(shape);
        assert_eq!(notification.ignored, Ignored { tests: 1, ..Ignored::default() }, "{shape}");
        assert_eq!(notification.events, [], "{shape}");
    }
}

#[test]
fn empty_records_announce_nothing() {
    assert_eq!(parse_text(r#"{"Records": []}"#), Ok(Notification::default()));
}

#[test]
fn several_records_are_several_events_and_ignored_ones_are_counted_by_reason() {
    let mut records = vec![s3_record("incoming/1"), s3_record("incoming/2"), s3_record("incoming/")];
    for name in ["ObjectRemoved:Delete", "ObjectRemoved:DeleteMarkerCreated", "ObjectRestore:Completed"] {
        let mut record = s3_record("incoming/3");
        record["eventName"] = json!(name);
        records.push(record);
    }
    let mut empty = s3_record("incoming/4");
    empty["s3"]["object"]["size"] = json!(0);
    records.push(empty);
    let notification = parse_value(&json!({"Records": records})).unwrap();
    let keys: Vec<_> = notification.events.iter().map(|event| event.object.key.as_str()).collect();
    assert_eq!(keys, ["incoming/1", "incoming/2"]);
    assert_eq!(notification.ignored, Ignored { tests: 0, not_created: 3, empty: 1, folders: 1 });
    assert_eq!(notification.ignored.total(), 5);
}

#[test]
fn what_event_bridge_reports_besides_creations_is_counted() {
    for detail_type in ["Object Deleted", "Object Restore Completed", "Object Tags Added"] {
        let mut event = event_bridge("incoming/1");
        event["detail-type"] = json!(detail_type);
        assert_eq!(parse_value(&event).unwrap().ignored.not_created, 1, "{detail_type}");
    }
}

#[test]
fn a_removal_needs_no_size_no_etag_and_no_version() {
    let removal = json!({"Records": [{
        "eventVersion": "2.3", "eventName": "ObjectRemoved:Delete", "eventTime": "2026-01-05T10:00:00.000Z",
        "s3": {"bucket": {"name": "clinic"}, "object": {"key": "incoming/1", "sequencer": "00"}},
    }]});
    assert_eq!(parse_value(&removal).unwrap().ignored.not_created, 1);
}

#[test]
fn pins_the_version_or_else_the_etag_or_else_nothing() {
    let cases = [
        (json!({"versionId": "v1", "eTag": "abc"}), Pin::VersionId("v1".into())),
        (json!({"versionId": "null", "eTag": "abc"}), Pin::ETag("abc".into())),
        (json!({"versionId": "", "eTag": "\"abc\""}), Pin::ETag("abc".into())),
        (json!({"eTag": "abc-17"}), Pin::ETag("abc-17".into())),
        (json!({"versionId": null}), Pin::Latest),
        (json!({}), Pin::Latest),
    ];
    for (fields, pin) in cases {
        let mut message = s3("x");
        message["Records"][0]["s3"]["object"] = fields;
        message["Records"][0]["s3"]["object"]["key"] = json!("x");
        let object = parse_value(&message).unwrap().events.remove(0).object;
        assert_eq!(object.pin, pin);
        assert_eq!((object.sequencer, object.size), (None, None));
    }
}

#[test]
fn later_minor_versions_and_unknown_fields_are_welcome() {
    for version in ["2.0", "2.1", "2.2", "2.3", "2.17"] {
        let mut message = s3("x");
        message["Records"][0]["eventVersion"] = json!(version);
        message["Records"][0]["glacierEventData"] = json!({"restoreEventData": {}});
        message["something"] = json!([1, 2]);
        assert_eq!(parse_value(&message).unwrap().events.len(), 1, "{version}");
    }
}

#[test]
fn another_major_version_is_refused() {
    for version in ["1.0", "3.0", "20.1"] {
        let mut message = s3("x");
        message["Records"][0]["eventVersion"] = json!(version);
        assert_eq!(parse_value(&message), Err(InvalidNotification::UnsupportedVersion), "{version}");
    }
    let own = json!({"flatfire": 2, "cause": "replay", "object": {"bucket": "b", "key": "k", "created": 0}});
    assert_eq!(parse_value(&own), Err(InvalidNotification::UnsupportedVersion));
}

#[test]
fn the_prefix_of_the_configuration_in_an_event_name_is_accepted() {
    let mut message = s3("x");
    message["Records"][0]["eventName"] = json!("s3:ObjectCreated:Copy");
    assert_eq!(parse_value(&message).unwrap().events.len(), 1);
}

#[test]
fn own_messages_survive_the_round_trip_in_every_wrapping() {
    let pins = [Pin::VersionId("v1".into()), Pin::ETag("abc".into()), Pin::Latest];
    let causes = [
        Cause::Replay { hops: 0 },
        Cause::Replay { hops: 7 },
        Cause::Continuation { hops: 1 },
        Cause::Continuation { hops: HOP_LIMIT },
    ];
    let requesters = [None, Some(sender()), Some(Requester::operator("root@ingest-1")), Some(sender())];
    for pin in pins {
        for (cause, by) in causes.into_iter().zip(requesters.clone()) {
            let event = Event { object: ObjectRef { pin: pin.clone(), ..object("a b+c🔥") }, cause, by };
            let message: Value = serde_json::from_str(&event.to_message()).unwrap();
            for wrapped in [message.clone(), in_sqs(&message), in_sqs(&in_sns_body(&message))] {
                assert_eq!(parse_value(&wrapped).unwrap().events, std::slice::from_ref(&event));
            }
        }
    }
}

#[test]
fn who_asked_is_left_out_where_it_is_not_shaped_like_one() {
    let mut s3 = s3("x");
    s3["Records"][0]["userIdentity"]["principalId"] = json!("Doe, Jane");
    s3["Records"][0]["requestParameters"] = json!("Jane");
    s3["Records"][0]["responseElements"] = json!({});
    assert_eq!(parse_value(&s3).unwrap().events[0].by, None);
    let mut own: Value = serde_json::from_str(
        &Event { object: object("x"), cause: Cause::Replay { hops: 0 }, by: Some(sender()) }.to_message(),
    )
    .unwrap();
    own["by"] = json!({"principal": "Doe, Jane", "operator": "root@ingest-1"});
    assert_eq!(parse_value(&own).unwrap().events[0].by, Some(Requester::operator("root@ingest-1")));
}

#[test]
fn continuations_count_their_hops_up_to_the_limit() {
    let mut event = Event { object: object("x"), cause: Cause::Created, by: Some(sender()) };
    for hops in 1..=HOP_LIMIT {
        event = event.continued().unwrap();
        assert_eq!((event.cause, &event.by), (Cause::Continuation { hops }, &Some(sender())));
    }
    assert_eq!(event.continued(), Err(InvalidNotification::TooManyHops));
    let beyond =
        event.to_message().replace(&format!("\"hops\":{HOP_LIMIT}"), &format!("\"hops\":{}", HOP_LIMIT + 1));
    assert_eq!(parse_text(&beyond), Err(InvalidNotification::TooManyHops));
}

#[test]
fn replays_that_are_passed_on_count_their_hops_up_to_the_limit() {
    let mut event = Event { object: object("x"), cause: Cause::Replay { hops: 0 }, by: Some(sender()) };
    for hops in 1..=HOP_LIMIT {
        event = event.passed_on().unwrap();
        assert_eq!((event.cause, &event.by), (Cause::Replay { hops }, &Some(sender())));
    }
    assert_eq!(event.passed_on(), Err(InvalidNotification::TooManyHops));
    assert_eq!(event.continued(), Err(InvalidNotification::TooManyHops));
    let (last, beyond) = (format!("\"hops\":{HOP_LIMIT}"), format!("\"hops\":{}", HOP_LIMIT + 1));
    assert_eq!(parse_text(&event.to_message()).unwrap().events, [event.clone()]);
    assert_eq!(
        parse_text(&event.to_message().replace(&last, &beyond)),
        Err(InvalidNotification::TooManyHops)
    );
}

#[test]
fn unknown_shapes_and_missing_fields_are_errors() {
    let unknown = [
        json!(null),
        json!("Records"),
        json!([]),
        json!({}),
        json!({"Records": [{}]}),
        json!({"Records": {}}),
    ];
    for message in unknown {
        assert_eq!(parse_value(&message), Err(InvalidNotification::UnknownShape), "{message}");
    }
    let missing = [
        ("/eventVersion", "eventVersion"),
        ("/eventName", "eventName"),
        ("/eventTime", "eventTime"),
        ("/s3/bucket/name", "bucket"),
        ("/s3/object/key", "key"),
    ];
    for (pointer, name) in missing {
        for wrong in [json!(null), json!(7), json!("")] {
            let mut record = s3_record("x");
            *record.pointer_mut(pointer).unwrap() = wrong;
            let outcome = parse_value(&json!({"Records": [record]}));
            assert_eq!(outcome, Err(InvalidNotification::Field { name }), "{pointer}");
        }
    }
}

#[test]
fn another_service_in_event_bridge_is_an_error() {
    let mut event = event_bridge("x");
    event["source"] = json!("aws.ec2");
    assert_eq!(parse_value(&event), Err(InvalidNotification::UnknownShape));
}

#[test]
fn endless_wrapping_is_refused() {
    let mut message = s3("x");
    for _ in 0..8 {
        message = in_sns_body(&message);
    }
    assert_eq!(parse_value(&message), Err(InvalidNotification::TooDeep));
}

#[test]
fn an_error_names_the_place_and_quotes_nothing() {
    let outcome = parse_text("{\"Records\": [\n  CANARY]}");
    assert_eq!(outcome, Err(InvalidNotification::Json { line: 2, column: 3 }));
    let mut message = s3("x");
    message["Records"][0]["eventTime"] = json!("CANARY");
    let error = parse_value(&message).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("CANARY"));
}

/// Sample events of the repository that announce something else than one object: objects and ignored, or nothing
/// for a message that is to fail.
const SAMPLES: &[(&str, Option<(usize, u64)>)] = &[
    ("s3-several-records.json", Some((3, 0))),
    ("s3-records-empty.json", Some((0, 0))),
    ("s3-removed.json", Some((0, 1))),
    ("s3-folder.json", Some((0, 1))),
    ("s3-test-event.json", Some((0, 1))),
    ("sqs-several.json", Some((5, 1))),
    ("sqs-unknown.json", None),
];

#[test]
fn every_sample_event_of_the_repository_says_what_its_name_says() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../events");
    let files =
        std::fs::read_dir(folder).expect("the folder of sample events").map(|entry| entry.unwrap().path());
    let samples: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect();
    assert!(samples.len() > SAMPLES.len(), "only {} sample events", samples.len());
    for sample in samples {
        let name = sample.file_name().unwrap().to_str().unwrap();
        let listed = SAMPLES.iter().find(|(listed, _)| *listed == name);
        let expected = listed.map_or(Some((1, 0)), |(_, expected)| *expected);
        let notification = parse(&std::fs::read(&sample).unwrap()).ok();
        let counts = notification.map(|found| (found.events.len(), found.ignored.total()));
        assert_eq!(counts, expected, "{name}");
    }
}

/// Returns JSON with the names that the parser looks for, in places where they may not belong.
fn near_misses() -> impl Strategy<Value = Value> {
    let names = "Records|s3|body|Sns|Message|Event|detail-type|detail|object|key|bucket|name|eventName|eventVersion|\
                 eventTime|source|time|flatfire|cause|hops|created|size|versionId|sequencer";
    let texts = "s3:TestEvent|ObjectCreated:Put|2\\.1|aws\\.s3|Object Created|2026-01-05T10:00:00Z|\\{\\}|a%2|replay|.{0,8}";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        texts.prop_map(Value::from),
        any::<bool>().prop_map(Value::from)
    ];
    leaf.prop_recursive(5, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((names, inner.clone()), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
            inner.prop_map(|value| Value::from(value.to_string())),
        ]
    })
}

proptest! {
    #[test]
    fn any_bytes_parse_or_are_refused(body in prop::collection::vec(any::<u8>(), 0..512)) {
        let _outcome = parse(&body);
    }

    #[test]
    fn any_json_parses_or_is_refused(message in near_misses()) {
        let _outcome = parse_value(&message);
    }

    #[test]
    fn any_key_comes_out_as_it_is(key in "\\PC{0,40}[^/]") {
        for (shape, message) in wrappings(&s3(&key), &event_bridge(&key)) {
            let notification = parse_value(&message).expect(shape);
            prop_assert_eq!(&notification.events[0].object.key, &key);
        }
    }
}
