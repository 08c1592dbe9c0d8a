//! Reading objects from a store that cuts, resets, stalls, slows and refuses: the bytes equal the object, or there is
//! a clear error.

mod server;

use std::time::Duration;

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use backon::ExponentialBuilder;
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};

use super::s3::RetryPolicy;
use super::{Opened, ReadFailure, S3, Storage};
use crate::interrupted::Interrupted;
use crate::object::{ObjectRef, Pin};
use server::{Asked, Reply, Server};

const RETRY_POLICY: RetryPolicy = RetryPolicy {
    stall: Duration::from_millis(400),
    backoff: ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(1))
        .with_max_times(3)
        .with_jitter(),
};

fn object(pin: Pin) -> ObjectRef {
    ObjectRef {
        bucket: "clinic".into(),
        key: "incoming/day 1+2.ndjson".into(),
        pin,
        sequencer: None,
        created: 0,
        size: None,
    }
}

fn version() -> ObjectRef {
    object(Pin::VersionId("v1".into()))
}

fn storage(endpoint: &str) -> Storage {
    let config = aws_sdk_s3::config::Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
        .endpoint_url(endpoint)
        .force_path_style(true);
    Storage::S3(S3::with_retry_policy(config, RETRY_POLICY))
}

fn bytes(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    StdRng::seed_from_u64(length as u64).fill_bytes(&mut bytes);
    bytes
}

async fn read_all(storage: &Storage, object: &ObjectRef, from_offset: u64) -> Result<Vec<u8>, ReadFailure> {
    let mut opened = storage.open(object, from_offset).await?;
    read_rest(&mut opened).await
}

async fn read_rest(opened: &mut Opened) -> Result<Vec<u8>, ReadFailure> {
    let mut all = Vec::new();
    while let Some(chunk) = opened.next_chunk().await? {
        assert!(!chunk.is_empty());
        all.extend_from_slice(&chunk);
    }
    Ok(all)
}

/// Reads an object of a million bytes from a store with this script.
async fn read_with(script: &[Reply]) -> (Result<Vec<u8>, ReadFailure>, Vec<Asked>) {
    let server = Server::start(bytes(1_000_000), script.to_vec()).await;
    let outcome = read_all(&storage(&server.address), &version(), 0).await;
    (outcome, server.asked())
}

fn ranges(asked: &[Asked]) -> Vec<Option<&str>> {
    asked.iter().map(|one| one.range.as_deref()).collect()
}

fn interrupted_by(outcome: Result<Vec<u8>, ReadFailure>) -> String {
    match outcome {
        Err(ReadFailure::Interrupted(Interrupted::Read { code })) => code,
        other => panic!("{:?}", other.map(|bytes| bytes.len())),
    }
}

#[tokio::test]
async fn an_object_comes_whole_in_one_request() {
    for length in [0, 1, 300_000, 1_000_000] {
        let server = Server::start(bytes(length), vec![]).await;
        let mut opened = storage(&server.address).open(&version(), 0).await.unwrap();
        assert_eq!(opened.total_bytes(), Some(length as u64));
        assert_eq!(read_rest(&mut opened).await, Ok(bytes(length)));
        assert_eq!(server.asked().len(), 1);
    }
}

#[tokio::test]
async fn the_version_or_else_the_etag_is_pinned() {
    let server = Server::start(bytes(10), vec![]).await;
    let storage = storage(&server.address);
    for pin in [Pin::VersionId("v1".into()), Pin::ETag("abc-2".into()), Pin::Latest] {
        read_all(&storage, &object(pin), 0).await.unwrap();
    }
    let asked = server.asked();
    assert!(asked[0].target.contains("/clinic/incoming/day%201%2B2.ndjson"), "{}", asked[0].target);
    assert!(asked[0].target.contains("versionId=v1"), "{}", asked[0].target);
    assert_eq!(asked[1].if_match.as_deref(), Some("\"abc-2\""));
    assert!(!asked[2].target.contains("versionId"), "{}", asked[2].target);
}

#[tokio::test]
async fn a_broken_connection_is_resumed_where_it_broke() {
    for broken in [Reply::Cut(1000), Reply::Stall(1000)] {
        let (outcome, asked) = read_with(&[broken]).await;
        assert_eq!(outcome, Ok(bytes(1_000_000)), "{broken:?}");
        assert_eq!(ranges(&asked), [None, Some("bytes=1000-")], "{broken:?}");
    }
    // A reset may overtake bytes on their way: where it broke is not certain, the bytes are.
    let (outcome, asked) = read_with(&[Reply::Reset(100_000), Reply::Reset(1), Reply::Cut(0)]).await;
    assert_eq!(outcome, Ok(bytes(1_000_000)));
    assert_eq!(asked.len(), 4);
    assert!(asked.iter().all(|one| one.target.contains("versionId=v1")));
}

#[tokio::test]
async fn the_latest_version_is_pinned_once_it_was_seen() {
    let server = Server::start(bytes(5000), vec![Reply::Cut(1000)]).await;
    let outcome = read_all(&storage(&server.address), &object(Pin::Latest), 0).await;
    assert_eq!(outcome, Ok(bytes(5000)));
    let asked = server.asked();
    assert!(!asked[0].target.contains("versionId"));
    assert!(asked[1].target.contains("versionId=v7"), "{}", asked[1].target);
}

#[tokio::test]
async fn a_slow_connection_is_no_broken_one() {
    let (outcome, asked) = read_with(&[Reply::Slow(100_000, Duration::from_millis(60))]).await;
    assert_eq!(outcome, Ok(bytes(1_000_000)));
    assert_eq!(asked.len(), 1);
}

#[tokio::test]
async fn a_slow_reader_loses_nothing() {
    let server = Server::start(bytes(6_000_000), vec![Reply::Cut(2_000_000)]).await;
    let mut opened = storage(&server.address).open(&version(), 0).await.unwrap();
    // Longer than a stall: waiting for the caller does not count as one.
    tokio::time::sleep(RETRY_POLICY.stall * 2).await;
    assert_eq!(read_rest(&mut opened).await, Ok(bytes(6_000_000)));
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn reading_begins_anywhere_from_the_first_byte_to_the_very_end() {
    for from in [1, 2, 999_999, 1_000_000] {
        let server = Server::start(bytes(1_000_000), vec![Reply::Cut(0), Reply::Cut(1)]).await;
        let mut opened = storage(&server.address).open(&version(), from).await.unwrap();
        assert_eq!(opened.total_bytes(), Some(1_000_000));
        let from = usize::try_from(from).unwrap();
        assert_eq!(read_rest(&mut opened).await, Ok(bytes(1_000_000)[from..].to_vec()), "{from}");
    }
}

#[tokio::test]
async fn attempts_without_progress_end() {
    let (outcome, asked) = read_with(&[Reply::Cut(0); 9]).await;
    assert_eq!(interrupted_by(outcome), "connection-cut");
    assert_eq!(asked.len(), 4);
    let (outcome, asked) = read_with(&[Reply::Error(503, "SlowDown", ""); 9]).await;
    assert_eq!(interrupted_by(outcome), "SlowDown");
    assert_eq!(asked.len(), 4);
}

#[tokio::test]
async fn attempts_with_progress_go_on() {
    let (outcome, asked) = read_with(&[Reply::Cut(1000); 20]).await;
    assert_eq!(outcome, Ok(bytes(1_000_000)));
    assert_eq!(asked.len(), 21);
}

#[tokio::test]
async fn passing_refusals_are_retried() {
    let refusals = [
        Reply::Error(503, "SlowDown", ""),
        Reply::Error(500, "InternalError", ""),
        Reply::Error(400, "RequestTimeout", ""),
        Reply::Error(400, "KMS.ThrottlingException", ""),
        Reply::Error(429, "", ""),
    ];
    for refusal in refusals {
        let (outcome, asked) = read_with(&[refusal, Reply::Cut(7), refusal]).await;
        assert_eq!(outcome, Ok(bytes(1_000_000)), "{refusal:?}");
        assert_eq!(ranges(&asked), [None, None, Some("bytes=7-"), Some("bytes=7-")], "{refusal:?}");
    }
}

#[tokio::test]
async fn what_is_gone_is_gone_at_once_also_in_the_middle() {
    let gone = [
        Reply::Error(404, "NoSuchKey", ""),
        Reply::Error(404, "NoSuchVersion", ""),
        Reply::Error(404, "", "x-amz-delete-marker: true\r\n"),
        Reply::Error(405, "MethodNotAllowed", "x-amz-delete-marker: true\r\n"),
        Reply::Error(412, "PreconditionFailed", ""),
    ];
    for reply in gone {
        for script in [vec![reply], vec![Reply::Cut(500_000), reply]] {
            let (outcome, asked) = read_with(&script).await;
            assert_eq!(outcome, Err(ReadFailure::Gone), "{reply:?}");
            assert_eq!(asked.len(), script.len(), "{reply:?}");
        }
    }
}

#[tokio::test]
async fn refused_access_is_denied_at_once() {
    let refusals =
        [(403, "AccessDenied"), (403, "InvalidAccessKeyId"), (400, "KMS.DisabledException"), (403, "")];
    for (status, code) in refusals {
        let (outcome, asked) = read_with(&[Reply::Error(status, code, "")]).await;
        let code = if code.is_empty() { "HTTP 403" } else { code };
        assert_eq!(outcome, Err(Interrupted::Denied { code: code.into() }.into()));
        assert_eq!(asked.len(), 1);
    }
}

#[tokio::test]
async fn refusals_that_would_be_repeated_are_errors_at_once() {
    let refusals = [
        (Reply::Error(404, "NoSuchBucket", ""), "NoSuchBucket"),
        (Reply::Error(403, "InvalidObjectState", ""), "InvalidObjectState"),
        (Reply::Error(404, "", ""), "HTTP 404"),
        (Reply::Error(400, "no code: CANARY", ""), "HTTP 400"),
        (Reply::Error(301, "PermanentRedirect", ""), "PermanentRedirect"),
    ];
    for (reply, expected) in refusals {
        let (outcome, asked) = read_with(&[reply]).await;
        assert_eq!(interrupted_by(outcome), expected);
        assert_eq!(asked.len(), 1, "{expected}");
    }
}

#[tokio::test]
async fn a_server_may_ignore_the_range() {
    let (outcome, asked) = read_with(&[Reply::Cut(10), Reply::RangeIgnored]).await;
    assert_eq!(outcome, Ok(bytes(1_000_000)));
    assert_eq!(asked.len(), 2);
    for from in [1, 999_999, 1_000_000] {
        let server = Server::start(bytes(1_000_000), vec![Reply::RangeIgnored]).await;
        let read = read_all(&storage(&server.address), &version(), from as u64).await;
        assert_eq!(read, Ok(bytes(1_000_000)[from..].to_vec()), "{from}");
    }
}

#[tokio::test]
async fn an_answer_that_does_not_continue_the_object_is_an_error() {
    let (outcome, _) = read_with(&[Reply::Cut(10), Reply::Longer]).await;
    assert_eq!(interrupted_by(outcome), "size-changed");
    let (outcome, _) = read_with(&[Reply::WrongChecksum]).await;
    assert_eq!(interrupted_by(outcome), "checksum-mismatch");
}

#[tokio::test]
async fn what_was_read_before_a_failure_is_delivered() {
    let server =
        Server::start(bytes(1_000_000), vec![Reply::Cut(10), Reply::Error(403, "AccessDenied", "")]).await;
    let mut opened = storage(&server.address).open(&version(), 0).await.unwrap();
    assert_eq!(opened.next_chunk().await.unwrap().unwrap(), bytes(1_000_000)[..10]);
    assert_eq!(opened.next_chunk().await, Err(Interrupted::Denied { code: "AccessDenied".into() }.into()));
    assert!(opened.next_chunk().await.is_err());
}

#[tokio::test]
async fn nobody_listening_is_an_error_that_quotes_nothing() {
    let server = Server::start(vec![], vec![]).await;
    let address = server.address.clone();
    drop(server);
    let outcome = read_all(&storage(&address), &version(), 0).await;
    let error = outcome.unwrap_err();
    assert!(matches!(error, ReadFailure::Interrupted(Interrupted::Read { .. })), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("day"));
}

#[tokio::test]
async fn random_faults_never_change_a_byte() {
    for seed in 0..60 {
        let mut random = StdRng::seed_from_u64(seed);
        let length = random.random_range(1..700_000);
        let script: Vec<_> =
            (0..random.random_range(0..12)).map(|_| random_reply(&mut random, length)).collect();
        let object = bytes(length);
        let server = Server::start(object.clone(), script.clone()).await;
        let from = random.random_range(0..=length);
        match read_all(&storage(&server.address), &version(), from as u64).await {
            Ok(read) => assert!(read == object[from..], "other bytes with seed {seed}: {script:?}"),
            Err(ReadFailure::Interrupted(Interrupted::Read { .. })) => {
                assert!(server.asked().len() > 3, "gave up too early with seed {seed}: {script:?}");
            }
            Err(other) => panic!("{other:?} with seed {seed}: {script:?}"),
        }
    }
}

fn random_reply(random: &mut StdRng, length: usize) -> Reply {
    let bytes = if random.random_bool(0.3) { 0 } else { random.random_range(0..=length) };
    match random.random_range(0..6) {
        0 | 1 => Reply::Cut(bytes),
        2 | 3 => Reply::Reset(bytes),
        4 => Reply::Slow(bytes.max(length / 4 + 1), Duration::from_millis(5)),
        _ => Reply::Error(503, "SlowDown", ""),
    }
}

#[tokio::test]
async fn a_file_comes_whole_or_from_an_offset() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("day1.ndjson");
    std::fs::write(&path, bytes(1_000_000)).unwrap();
    let storage = Storage::File(path);
    for from in [0, 1, 300_000, 1_000_000] {
        let mut opened = storage.open(&object(Pin::Latest), from as u64).await.unwrap();
        assert_eq!(opened.total_bytes(), Some(1_000_000));
        assert_eq!(read_rest(&mut opened).await, Ok(bytes(1_000_000)[from..].to_vec()));
    }
}

#[tokio::test]
async fn a_file_that_shrinks_while_it_is_read_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("day1.ndjson");
    std::fs::write(&path, bytes(10_000_000)).unwrap();
    let mut opened = Storage::File(path.clone()).open(&object(Pin::Latest), 0).await.unwrap();
    // The queue holds some 2 MB: the rest is not read before somebody asks for it.
    opened.next_chunk().await.unwrap().unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_len(8_000_000).unwrap();
    assert_eq!(interrupted_by(read_rest(&mut opened).await), "file-changed-while-read");
}

#[tokio::test]
async fn a_missing_file_and_a_second_reading_of_standard_input_are_errors() {
    let missing = Storage::File("/nowhere/at/all".into());
    assert_eq!(interrupted_by(read_all(&missing, &object(Pin::Latest), 0).await), "file-not-found");
    let outcome = read_all(&Storage::StandardInput, &object(Pin::Latest), 1).await;
    assert_eq!(interrupted_by(outcome), "standard-input-read-before");
}
