//! `flatfire backfill` and `flatfire audit` against a bucket that was full before the stack existed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use aws_sdk_s3::types::StorageClass;
use flatfire_tests::{Bucket, PATIENCE, Ran, Stack, number, text};
use futures::StreamExt as _;
use mongodb::bson::{DateTime, Document, doc};
use serde_json::{Value, json};

/// How many object versions the larger tests make; `FLATFIRE_MOVING_IN` says another number.
const VERSIONS: usize = 600;
const KILLS: u32 = 50;

/// Versions of an object: the names and texts of all uploads, those of one name in their order.
type Uploads = BTreeMap<String, Vec<String>>;

#[allow(clippy::disallowed_methods, reason = "whoever runs the test by hand says how large it is")]
fn versions() -> usize {
    std::env::var("FLATFIRE_MOVING_IN").ok().and_then(|number| number.parse().ok()).unwrap_or(VERSIONS)
}

/// Returns uploads with one patient a file name. Every third name has three versions. Half of all patients say nothing
/// of their time: only the order of versions tells which is newer.
fn uploads(wanted: usize) -> Uploads {
    let (mut uploads, mut made) = (Uploads::new(), 0);
    for index in 0.. {
        let count = (if index % 3 == 0 { 3 } else { 1 }).min(wanted - made);
        if count == 0 {
            break;
        }
        let texts = (1..=count).map(|version| patient(&format!("m{index}"), version, index % 2 == 0));
        uploads.insert(format!("{:03}/ü {index}.json", index % 50), texts.collect());
        made += count;
    }
    uploads
}

fn patient(id: &str, version: usize, is_dated: bool) -> String {
    let dated = if is_dated {
        format!(r#","meta":{{"lastUpdated":"2024-01-0{version}T10:00:00Z"}}"#)
    } else {
        String::new()
    };
    format!(r#"{{"resourceType":"Patient","id":"{id}"{dated},"name":[{{"family":"Version {version}"}}]}}"#)
}

/// Puts everything into the bucket and returns the ids that the loads must have, in the order of the uploads.
async fn fill(bucket: &Bucket, uploads: &Uploads) -> Vec<String> {
    let put = |(name, texts): (&String, &Vec<String>)| {
        let (name, texts) = (name.clone(), texts.clone());
        async move {
            let mut ids = Vec::new();
            for text in texts {
                let version = bucket.put(&name, text).await.unwrap();
                ids.push(format!("{}/incoming/{name}@{version}", bucket.name()));
            }
            ids
        }
    };
    futures::stream::iter(uploads.iter().map(put)).buffer_unordered(8).concat().await
}

/// Waits until the queue is empty, longer for more versions.
async fn handled(stack: &Stack) {
    let patience = PATIENCE + Duration::from_millis(100) * u32::try_from(versions()).unwrap();
    let deadline = Instant::now() + patience;
    while stack.messages().await > 0 {
        assert!(
            Instant::now() < deadline,
            "after {patience:?} there still are {} messages",
            stack.messages().await
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn loads(stack: &Stack) -> BTreeMap<String, Document> {
    stack.tables().await.rows("_loads").map(|load| (text(load, "_id").to_owned(), load.clone())).collect()
}

/// Runs one of the commands on everything below the watched prefix.
async fn command(stack: &Stack, command: &str, arguments: &[&str]) -> Ran {
    let place = format!("s3://{}/incoming/", stack.bucket());
    stack.flatfire(&[&[command, &place, "--to", &stack.uri()], arguments].concat()).await
}

async fn backfill(stack: &Stack, arguments: &[&str]) -> Ran {
    let queue = ["--queue-url", &stack.deployment.outputs.queue_url];
    command(stack, "backfill", &[&queue, arguments].concat()).await
}

/// Returns the findings of an audit, by status, and the sums.
async fn audit(stack: &Stack, arguments: &[&str]) -> (i32, BTreeMap<String, BTreeSet<String>>, Value) {
    let ran = command(stack, "audit", &[&["--json"], arguments].concat()).await;
    let mut lines: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let sums = lines.pop().unwrap_or_else(|| panic!("{ran:?}"));
    let mut findings: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in lines {
        let name = line.get("load").or_else(|| line.get("name")).and_then(Value::as_str).unwrap();
        assert!(findings.entry(line["status"].as_str().unwrap().into()).or_default().insert(name.into()));
    }
    (ran.code, findings, sums)
}

/// Returns the tables that the same texts make in one file, the versions of each name in their order.
async fn clean_tables(stack: &Stack, uploads: &Uploads) -> flatfire_tests::Tables {
    let mut file = tempfile::Builder::new().suffix(".ndjson").tempfile().unwrap();
    for text in uploads.values().flatten() {
        writeln!(file, "{text}").unwrap();
    }
    let clean = stack.database_beside("clean").await;
    let ran = stack.flatfire(&["load", "--to", &clean.uri, &file.path().display().to_string()]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    clean.tables().await.without_origin()
}

#[tokio::test]
async fn a_backfill_that_is_killed_again_and_again_loads_every_version_once() {
    let uploads = uploads(versions());
    let bucket = Bucket::make("backfill").await;
    bucket.keep_versions().await;
    let mut expected = fill(&bucket, &uploads).await;
    expected.sort();
    let stack = Stack::deploy_over("backfill", &bucket).await;
    assert!(loads(&stack).await.is_empty());

    let began = Instant::now();
    let dry = backfill(&stack, &["--dry-run"]).await;
    let whole = began.elapsed();
    let mut would_be_sent: Vec<&str> = dry.stdout.lines().collect();
    would_be_sent.sort_unstable();
    assert_eq!(would_be_sent, expected);

    // Any moment from before the first request until after the last one; elsewhere in every run.
    let mut random = u64::from(std::process::id()) | 1;
    for _ in 0..KILLS {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let place = format!("s3://{}/incoming/", stack.bucket());
        let (uri, queue) = (stack.uri(), stack.deployment.outputs.queue_url.clone());
        // The local cloud hands out some dozens of messages a second, and versions that wait are sent again.
        let arguments = ["backfill", &place, "--to", &uri, "--queue-url", &queue, "--rate", "500"];
        let mut child = stack.flatfire_command(&arguments).stderr(Stdio::null()).spawn().unwrap();
        let moment = (whole * u32::try_from(random >> 44).unwrap() / (1 << 20)).mul_f32(1.5);
        tokio::time::sleep(moment.min(Duration::from_secs(2))).await;
        child.kill().await.unwrap();
    }
    // Twice while messages wait, once after all were read.
    for _ in 0..2 {
        let ran = backfill(&stack, &[]).await;
        assert_eq!(ran.code, 0, "{ran:?}");
    }
    handled(&stack).await;
    let ran = backfill(&stack, &[]).await;
    assert!(ran.code == 0 && ran.stderr.contains(&format!(" 0 sent, {} known", expected.len())), "{ran:?}");

    let loads = loads(&stack).await;
    assert_eq!(loads.keys().cloned().collect::<Vec<_>>(), expected);
    for load in loads.values() {
        assert_eq!((text(load, "status"), number(load, "attempts")), ("done", 1), "{load}");
    }
    assert_eq!(stack.dead_letters().await, 0);
    assert_eq!(stack.tables().await.without_origin(), clean_tables(&stack, &uploads).await);

    let ran = command(&stack, "audit", &[]).await;
    let all = format!("everything is in: {} object versions", expected.len());
    assert!(ran.code == 0 && ran.stdout.trim_end().ends_with(&all), "{ran:?}");
}

#[tokio::test]
async fn a_bucket_is_loaded_without_the_function() {
    let uploads = uploads(100);
    let bucket = Bucket::make("direct").await;
    bucket.keep_versions().await;
    let mut expected = fill(&bucket, &uploads).await;
    expected.sort();
    bucket.put("broken.ndjson", "{\"resourceType\":").await;
    let stack = Stack::deploy_over("direct", &bucket).await;
    let ran = command(&stack, "backfill", &["--direct", "--json"]).await;
    assert_eq!(ran.code, 2, "{ran:?}");
    let sums =
        r#"{"versions":101,"sent":101,"known":0,"skipped":0,"inGlacier":0,"loaded":{"done":100,"failed":1}}"#;
    assert_eq!(ran.stdout.trim_end(), sums);
    assert!(ran.stderr.contains("loaded here: 100 done, 1 failed"), "{ran:?}");
    assert!(ran.stderr.contains("101 object versions: 101 begun, 0 known"), "{ran:?}");
    let loads = loads(&stack).await;
    let done = loads.iter().filter(|(_, load)| text(load, "status") == "done").map(|(id, _)| id.clone());
    assert_eq!(done.collect::<Vec<_>>(), expected);
    assert_eq!(stack.tables().await.without_origin(), clean_tables(&stack, &uploads).await);

    let ran = command(&stack, "backfill", &["--direct"]).await;
    assert!(ran.code == 0 && ran.stderr.contains(" 0 begun, 101 known"), "{ran:?}");
    let other = ["--direct", "--arrays", "tables"];
    let ran = command(&stack, "backfill", &other).await;
    assert!(ran.code == 1 && ran.stderr.contains("--catalog-differs-ok"), "{ran:?}");
}

#[tokio::test]
async fn ctrl_c_ends_a_backfill_behind_the_writes_under_way() {
    let uploads = uploads(400);
    let bucket = Bucket::make("ctrl-c").await;
    bucket.keep_versions().await;
    let expected = fill(&bucket, &uploads).await;
    let stack = Stack::deploy_over("ctrl-c", &bucket).await;
    let (place, uri) = (format!("s3://{}/incoming/", stack.bucket()), stack.uri());
    let arguments = ["backfill", &place, "--to", &uri, "--direct", "--jobs", "2"];
    let child = stack.flatfire_command(&arguments).spawn().unwrap();
    flatfire_tests::eventually("the first loads", async || (loads(&stack).await.len() > 4).then_some(()))
        .await;
    let process = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-INT", &process]).status().unwrap().success());
    assert_eq!(flatfire_tests::ended(child).await.status.code(), Some(130));
    let begun = loads(&stack).await;
    assert!(begun.len() < expected.len(), "{} were begun", begun.len());
    // What it was at has given up its lease, so that the next run can begin it at once.
    let (done, stopped): (Vec<_>, Vec<_>) = begun.values().partition(|load| text(load, "status") == "done");
    assert!(stopped.iter().all(|load| !load.contains_key("lease")) && stopped.len() <= 2, "{stopped:?}");

    let ran = command(&stack, "backfill", &["--direct"]).await;
    assert!(ran.code == 0 && ran.stderr.contains(&format!(" {} known", done.len())), "{ran:?}");
    assert_eq!(loads(&stack).await.len(), expected.len());
    assert_eq!(stack.tables().await.without_origin(), clean_tables(&stack, &uploads).await);
}

#[tokio::test]
async fn an_audit_names_exactly_what_was_dropped_or_deleted_and_mends_it() {
    let uploads = uploads(versions());
    let bucket = Bucket::make("audit").await;
    bucket.keep_versions().await;
    let ids = fill(&bucket, &uploads).await;
    let stack = Stack::deploy_over("audit", &bucket).await;
    let nothing = audit(&stack, &[]).await;
    assert_eq!((nothing.0, nothing.1["missing"].len()), (2, ids.len()));

    // Messages wait where nobody reads them, until some of their objects are gone.
    let held = stack.make_queue("flatfire-test-audit-held").await;
    let ran = command(&stack, "backfill", &["--queue-url", &held]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let chosen = |rest: usize| ids.iter().skip(rest).step_by(100).cloned().collect::<BTreeSet<_>>();
    let (dropped, deleted) = (chosen(0), chosen(50));
    let prefix = format!("{}/incoming/", bucket.name());
    for id in &deleted {
        let (name, version) = id.strip_prefix(&prefix).unwrap().rsplit_once('@').unwrap();
        bucket.remove(name, version).await;
    }
    let messages = stack.take_messages(&held).await;
    assert_eq!(messages.len(), ids.len());
    let mut seen = 0;
    for message in messages {
        let object: Value = serde_json::from_str(&message).unwrap();
        let object = &object["object"];
        let (key, version) = (object["key"].as_str().unwrap(), object["versionId"].as_str().unwrap());
        if dropped.contains(&format!("{}/{key}@{version}", bucket.name())) {
            seen += 1;
        } else {
            stack.send(&message).await;
        }
    }
    assert_eq!(seen, dropped.len());
    handled(&stack).await;

    let findings =
        BTreeMap::from([("missing".to_owned(), dropped.clone()), ("gone".to_owned(), deleted.clone())]);
    let (code, found, sums) = audit(&stack, &[]).await;
    assert_eq!((code, &found), (2, &findings));
    let statuses = json!({
        "done": ids.len() - dropped.len() - deleted.len(), "missing": dropped.len(), "gone": deleted.len(),
    });
    assert_eq!((&sums["statuses"], &sums["isComplete"]), (&statuses, &json!(false)));
    let sum = |day: &Value| day.as_object().unwrap().values().filter_map(Value::as_u64).sum::<u64>();
    let by_day: u64 = sums["days"].as_object().unwrap().values().map(sum).sum();
    assert_eq!(by_day, ids.len() as u64);
    let text = command(&stack, "audit", &[]).await;
    assert!(
        text.code == 2 && text.stdout.contains(&format!("not everything is in: {} missing", dropped.len()))
    );

    let queue = stack.deployment.outputs.queue_url.clone();
    let (code, found, _) = audit(&stack, &["--send", "--queue-url", &queue]).await;
    assert_eq!((code, found), (2, findings));
    handled(&stack).await;
    let (code, found, sums) = audit(&stack, &[]).await;
    assert_eq!((code, found), (0, BTreeMap::from([("gone".to_owned(), deleted)])));
    assert_eq!(sums["isComplete"], json!(true));
}

/// Waits for an audit of the function for which this holds, and returns its line of the log.
async fn audit_of_function(stack: &Stack, holds: impl Fn(&Value) -> bool) -> Value {
    let look = async || stack.log_lines("bucket audited").await.into_iter().find(&holds);
    flatfire_tests::eventually("an audit in the log", look).await
}

#[tokio::test]
async fn the_function_audits_the_bucket_on_a_schedule() {
    // More than S3 lists on a page.
    let uploads = uploads(1_050);
    let bucket = Bucket::make("schedule").await;
    bucket.keep_versions().await;
    let mut ids = fill(&bucket, &uploads).await;
    ids.sort();
    let stack = Stack::deploy_over_with("schedule", &bucket, &[("AuditSchedule", "rate(1 minute)")]).await;
    // What is on the schedule leaves out objects of the last hours, which all of these are.
    let line = audit_of_function(&stack, |_| true).await;
    assert_eq!(
        (&line["level"], &line["missing"], &line["versions"]),
        (&json!("INFO"), &json!(0), &json!(""))
    );

    let known = ids.iter().step_by(7).count();
    let sample = ids.iter().step_by(7).map(|id| doc! { "_id": id, "status": "done" });
    stack.database().collection::<Document>("_loads").insert_many(sample).await.unwrap();
    stack.send(r#"{"audit": {"olderThanMinutes": 0}}"#).await;
    let line = audit_of_function(&stack, |line| line["versions"] != "").await;
    let missing = ids.len() - known;
    assert_eq!((&line["level"], &line["missing"]), (&json!("ERROR"), &json!(missing)));
    assert_eq!(line["versions"], format!("done={known} missing={missing}"));
    let metrics = stack.log().await.join("\n");
    assert!(metrics.contains(&format!(r#""MissingObjects":{missing}"#)), "{metrics}");

    // An invocation that has run out of time says where the next one goes on.
    let key_of = |id: &String| id.split_once('/').unwrap().1.rsplit_once('@').unwrap().0.to_owned();
    let key = key_of(&ids[700]);
    let rest = ids.iter().filter(|id| key_of(id) > key).count();
    let began = DateTime::now().timestamp_millis();
    let progress = json!({"began": began, "marker": {"key": key}, "sums": {"missing": 100_000}});
    stack.send(&json!({"audit": {"olderThanMinutes": 0, "progress": progress}}).to_string()).await;
    let line = audit_of_function(&stack, |line| line["missing"].as_u64() > Some(100_000)).await;
    let sums = line["versions"].as_str().unwrap().split(' ').map(|sum| sum.split_once('=').unwrap().1);
    assert_eq!(sums.map(|count| count.parse::<usize>().unwrap()).sum::<usize>(), 100_000 + rest);
}

#[tokio::test]
async fn a_bucket_without_versions_is_known_by_its_etags() {
    let bucket = Bucket::make("etags").await;
    let one = |id: &str| patient(id, 1, false);
    assert_eq!(bucket.put("old.json", one("old")).await, None);
    bucket.put("folder/", "").await;
    bucket.put("empty.json", "").await;
    bucket.put("frozen.json", one("frozen")).await;
    let stack = Stack::deploy_over("etags", &bucket).await;
    bucket.put("new.json", one("new")).await;
    flatfire_tests::eventually("the load of the announced file", async || {
        (loads(&stack).await.values().any(|load| text(load, "status") == "done")).then_some(())
    })
    .await;

    let dry = backfill(&stack, &["--dry-run"]).await;
    assert!(
        dry.stderr.contains("5 object versions: 2 would be sent, 1 known to the ledger, 2 empty or folders"),
        "{dry:?}"
    );
    let ran = backfill(&stack, &[]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    handled(&stack).await;
    let found = loads(&stack).await;
    assert!(found.keys().all(|id| id.contains(".json@etag:")) && found.len() == 3, "{found:?}");
    assert_eq!(audit(&stack, &[]).await.0, 0);

    // Versions are kept from now on: what was there is the version `null`, and is not loaded again. The local cloud leaves
    // versions out of its events, so nothing is announced.
    bucket.keep_versions().await;
    bucket.keep_uploads_quiet().await;
    bucket.put("old.json", patient("old", 2, false)).await.unwrap();
    let ran = backfill(&stack, &[]).await;
    assert!(ran.code == 0 && ran.stderr.contains("6 object versions: 1 sent, 3 known"), "{ran:?}");
    handled(&stack).await;
    let (code, found, sums) = audit(&stack, &[]).await;
    assert_eq!((code, sums["versions"].as_u64()), (0, Some(4)), "{found:?} {sums}");
    assert_eq!(text(stack.tables().await.row("Patient", "Patient/old"), "name_family"), "Version 2");

    bucket.put("late.json", patient("late", 1, false)).await.unwrap();
    let expected = ["incoming/late.json", "incoming/never.json"];
    let list = expected.join("\n");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), list).unwrap();
    let (code, found, _) = audit(&stack, &["--expect", &file.path().display().to_string()]).await;
    assert_eq!((code, found["missing"].len()), (2, 1));
    assert_eq!(found["not-sent"], BTreeSet::from(["incoming/never.json".to_owned()]));

    // As if the function had been killed over one of them.
    let killed = doc! { "status": "running", "lease": { "owner": "o", "until": DateTime::from_millis(0) } };
    let new = doc! { "key": "incoming/new.json" };
    stack.database().collection::<Document>("_loads").update_one(new, doc! { "$set": killed }).await.unwrap();
    let (code, found, _) =
        audit(&stack, &["--send", "--queue-url", &stack.deployment.outputs.queue_url]).await;
    assert_eq!((code, found["missing"].len(), found["stuck"].len()), (2, 1, 1));
    handled(&stack).await;
    assert_eq!(audit(&stack, &[]).await.0, 0);
}

#[tokio::test]
async fn versions_of_before_a_bucket_kept_versions_are_loaded_and_archived_ones_are_listed_apart() {
    let bucket = Bucket::make("frozen").await;
    bucket.put("a.json", patient("a", 1, false)).await;
    bucket.keep_versions().await;
    let newer = bucket.put("a.json", patient("a", 2, false)).await.unwrap();
    let frozen = bucket
        .put_in_class("it's old.json", patient("b", 1, false), StorageClass::DeepArchive)
        .await
        .unwrap();
    let stack = Stack::deploy_over("frozen", &bucket).await;
    let ran = backfill(&stack, &[]).await;
    assert_eq!(ran.code, 2, "{ran:?}");
    let restore = format!(
        "aws s3api restore-object --bucket {} --key 'incoming/it'\\''s old.json' --version-id '{frozen}' \
         --restore-request 'Days=7,GlacierJobParameters={{Tier=Bulk}}'\n",
        bucket.name()
    );
    assert_eq!(ran.stdout, restore);
    handled(&stack).await;
    let found = loads(&stack).await;
    let id = |version: &str| format!("{}/incoming/a.json@{version}", bucket.name());
    assert_eq!(found.keys().cloned().collect::<BTreeSet<_>>(), BTreeSet::from([id("null"), id(&newer)]));
    let tables = stack.tables().await;
    assert_eq!(text(tables.row("Patient", "Patient/a"), "name_family"), "Version 2");

    // The same from an inventory report, which is older than the last upload and holds what was deleted since.
    bucket.keep_uploads_quiet().await;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut line = |key: &str, version: &str, latest: bool, class: &str| {
        let bucket = bucket.name();
        let rest = format!(r#""{latest}","false","100","2026-01-05T10:00:00.000Z","0123","{class}""#);
        writeln!(encoder, r#""{bucket}","incoming/{key}","{version}",{rest}"#).unwrap();
    };
    line("it%27s+old.json", &frozen, true, "DEEP_ARCHIVE");
    line("a.json", &newer, true, "STANDARD");
    line("a.json", "", false, "STANDARD");
    line("deleted+since.json", "v0", true, "STANDARD");
    bucket.put_at("inventory/data/1.csv.gz", encoder.finish().unwrap()).await;
    let manifest = json!({
        "sourceBucket": bucket.name(), "destinationBucket": format!("arn:aws:s3:::{}", bucket.name()),
        "version": "2016-11-30", "creationTimestamp": "1514944800000", "fileFormat": "CSV",
        "fileSchema": "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag, StorageClass",
        "files": [{ "key": "inventory/data/1.csv.gz", "size": 1, "MD5checksum": "" }],
    });
    bucket.put_at("inventory/manifest.json", manifest.to_string()).await;
    let report = format!("s3://{}/inventory/manifest.json", bucket.name());
    let list = tempfile::NamedTempFile::new().unwrap();
    let archived = list.path().display().to_string();
    let ran = backfill(&stack, &["--inventory", &report, "--archived", &archived]).await;
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("4 object versions: 1 sent, 2 known"), "{ran:?}");
    assert_eq!(
        std::fs::read_to_string(list.path()).unwrap(),
        format!("{},incoming/it%27s+old.json,{frozen}\n", bucket.name())
    );
    handled(&stack).await;
    let (code, found, _) = audit(&stack, &["--inventory", &report]).await;
    let ids =
        |key: &str, version: &str| BTreeSet::from([format!("{}/incoming/{key}@{version}", bucket.name())]);
    let findings = BTreeMap::from([
        ("gone".to_owned(), ids("deleted since.json", "v0")),
        ("missing".to_owned(), ids("it's old.json", &frozen)),
    ]);
    assert_eq!((code, found), (2, findings));

    let parquet = manifest.to_string().replace("CSV", "Parquet");
    bucket.put_at("inventory/manifest.json", parquet).await;
    let ran = backfill(&stack, &["--inventory", &report]).await;
    assert!(
        ran.code == 1 && ran.stderr.contains("its files are Parquet; only reports in CSV are read"),
        "{ran:?}"
    );
}
