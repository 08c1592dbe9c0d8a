//! `docs/operations.md`: every command of the page runs as the page writes it, and every link to the page leads somewhere.
//!
//! [`Page::read`] takes the commands from the blocks `sh` and `console`, the exit code from the comment behind each (`#
//! exit code 2`, else 0), and from `console` also the output, in which `…` stands for anything. A command that no step
//! below runs fails the test, and so does a step whose command is not on the page.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use aws_sdk_s3::types::StorageClass;
use flatfire_tests::{Bucket, Ran, Stack, Upload, ended, environment, eventually, number, text};
use mongodb::bson::{DateTime, Document, doc};
use tempfile::TempDir;
use tokio::process::Command;
use xtask::workspace;

const PAGE: &str = "docs/operations.md";

/// A command of the page.
#[derive(Debug)]
struct Example {
    command: String,
    code: i32,
    /// Empty: the page says nothing of it.
    output: String,
    has_run: bool,
}

/// The commands and the examples in JSON of the page, in its order.
#[derive(Debug)]
struct Page {
    examples: Vec<Example>,
    json: Vec<String>,
}

impl Page {
    fn read() -> Self {
        let text = std::fs::read_to_string(workspace::root().join(PAGE)).unwrap();
        let mut page = Self { examples: Vec::new(), json: Vec::new() };
        let mut language = None;
        for line in text.lines() {
            match (line.strip_prefix("```"), language) {
                (Some(_), Some(_)) => language = None,
                (Some(begun), None) => {
                    assert!(
                        ["sh", "console", "json", "text"].contains(&begun),
                        "{PAGE} has a block of {begun}"
                    );
                    language = Some(begun);
                    if begun == "json" {
                        page.json.push(String::new());
                    }
                }
                (None, Some("json")) => *page.json.last_mut().unwrap() += line,
                (None, Some("sh")) => page.examples.push(Example::read(line)),
                (None, Some("console")) => page.read_console(line),
                (None, _) => {}
            }
        }
        page
    }

    fn read_console(&mut self, line: &str) {
        if let Some(command) = line.strip_prefix("$ ") {
            self.examples.push(Example::read(command));
        } else {
            self.examples.last_mut().unwrap().output.extend([line, "\n"]);
        }
    }

    /// Returns the variables that the page tells the reader to set.
    fn variables(&self) -> BTreeSet<&str> {
        let exports = self.examples.iter().filter_map(|example| example.command.strip_prefix("export "));
        exports.flat_map(|words| words.split(' ').filter_map(|word| Some(word.split_once('=')?.0))).collect()
    }

    fn left(&self) -> Vec<&str> {
        let left = self.examples.iter().filter(|example| !example.has_run);
        left.map(|example| example.command.as_str()).collect()
    }
}

impl Example {
    fn read(line: &str) -> Self {
        let (command, comment) = line.split_once(" # ").unwrap_or((line, ""));
        let code = comment.strip_prefix("exit code ").map_or(0, |code| code[..1].parse().unwrap());
        Self { command: command.trim().to_owned(), code, output: String::new(), has_run: false }
    }
}

/// Returns whether a text fits a pattern in which `…` stands for anything.
fn is_like(text: &str, pattern: &str) -> bool {
    let mut pieces = pattern.split('…');
    let Some(mut rest) = text.strip_prefix(pieces.next().unwrap()) else { return false };
    let pieces: Vec<&str> = pieces.collect();
    let Some((last, pieces)) = pieces.split_last() else { return rest.is_empty() };
    for piece in pieces {
        let Some((_, behind)) = rest.split_once(piece) else { return false };
        rest = behind;
    }
    rest.ends_with(last)
}

/// A shell in a folder with the files that the page speaks of.
struct Shell<'a> {
    page: &'a mut Page,
    stack: &'a Stack,
    folder: TempDir,
    variables: BTreeMap<&'static str, String>,
}

impl<'a> Shell<'a> {
    async fn open(page: &'a mut Page, stack: &'a Stack) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let outputs = &stack.deployment.outputs;
        let variables = BTreeMap::from([
            ("MONGODB_URI", stack.uri()),
            ("SCRATCH_URI", stack.database_beside("scratch").await.uri),
            ("BUCKET", stack.bucket().to_owned()),
            ("STACK_ID", String::new()),
            ("QUEUE_URL", outputs.queue_url.clone()),
            ("DEAD_LETTER_QUEUE_URL", outputs.dead_letter_queue_url.clone()),
            ("WORKER_QUEUE_URL", stack.make_queue("flatfire-test-operations-large").await),
        ]);
        std::os::unix::fs::symlink(workspace::root().join("views"), folder.path().join("views")).unwrap();
        let files = [
            ("checks.json", page.json[0].as_str()),
            ("gates.json", page.json[1].as_str()),
            ("day1.ndjson", DAY_1),
            ("manifest.txt", "day1.ndjson\nday3.ndjson\nday9.ndjson\n"),
        ];
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Self { page, stack, folder, variables }
    }

    /// Runs a command of the page that ends well.
    async fn run(&mut self, command: &str) -> Ran {
        self.run_to(0, command).await
    }

    /// Runs a command of the page that ends with this exit code.
    async fn run_to(&mut self, code: i32, command: &str) -> Ran {
        let ran = self.run_anything(command).await;
        assert_eq!(ran.code, code, "{command}: {ran:#?}");
        let output = format!("{}{}", ran.stdout, ran.stderr);
        let mut is_known = false;
        for example in &mut self.page.examples {
            if example.command != command || example.code != code {
                continue;
            }
            let is_right = example.output.is_empty() || is_like(&output, &example.output);
            assert!(is_right, "{command}\nsays in {PAGE}:\n{}\nand here:\n{output}", example.output);
            (example.has_run, is_known) = (true, true);
        }
        assert!(is_known, "{PAGE} has no command `{command}` that ends with {code}");
        ran
    }

    async fn run_anything(&self, command: &str) -> Ran {
        let flatfire = self.stack.flatfire_command(&[]);
        let flatfire = flatfire.as_std();
        let programs = Path::new(flatfire.get_program()).parent().unwrap().display().to_string();
        let cloud = flatfire.get_envs().filter_map(|(name, value)| Some((name, value?)));
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).current_dir(&self.folder).env_clear().envs(cloud).envs(&self.variables);
        shell.env("PATH", format!("{programs}:/usr/local/bin:/usr/bin:/bin"));
        shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let output = ended(shell.spawn().unwrap()).await;
        Ran {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Sets a variable; returns its value before.
    fn set(&mut self, name: &'static str, value: String) -> String {
        self.variables.insert(name, value).unwrap()
    }
}

const CHECKS: &str = r#"[{"type":"Patient","path":"birthDate.exists()","severity":"reject","message":"a patient has a birth date"}]"#;
const DAY_1: &str = concat!(
    r#"{"resourceType":"Patient","id":"p1","birthDate":"1970-01-01"}"#,
    "\n",
    r#"{"resourceType":"Observation","id":"o1","status":"final","code":{"text":"t"},"subject":{"reference":"Patient/p1"}}"#,
    "\n",
    r#"{"resourceType":"AuditEvent","id":"a1"}"#,
    "\n",
);
/// One without a birth date, and one that is cut off.
const DAY_2: &str = concat!(
    r#"{"resourceType":"Patient","id":"p2"}"#,
    "\n",
    r#"{"resourceType":"Patient","id":"p3","#,
    "\n",
    r#"{"resourceType":"Patient","id":"p4","birthDate":"1970-01-01"}"#,
    "\n",
);
const DAY_3: &str = r#"{"resourceType":"Patient","id":"p5","birthDate":"1970-01-01"}"#;

/// Removes an object from the ledger, as if its notification had been lost.
async fn forget_load(stack: &Stack, upload: &Upload) {
    let loads = stack.database().collection::<Document>("_loads");
    assert_eq!(loads.delete_one(doc! { "key": &upload.key }).await.unwrap().deleted_count, 1);
}

async fn holds(stack: &Stack, table: &str, id: &str) -> bool {
    let rows = stack.database().collection::<Document>(table);
    rows.find_one(doc! { "_id": id }).await.unwrap().is_some()
}

async fn set_in_ledger(stack: &Stack, upload: &Upload, change: Document) {
    let loads = stack.database().collection::<Document>("_loads");
    let changed = loads.update_one(doc! { "key": &upload.key }, doc! { "$set": change }).await.unwrap();
    assert_eq!(changed.matched_count, 1);
}

#[tokio::test]
async fn every_command_of_the_page_runs_as_it_says() {
    let mut page = Page::read();
    let uri = environment().await.servers.database.uri();
    let parameters = [("Checks", CHECKS), ("InactiveTypes", "AuditEvent")];
    let stack = Stack::deploy_with("operations", uri, &parameters).await;
    let mut shell = Shell::open(&mut page, &stack).await;
    say_what_is_set(&mut shell).await;
    let day_1 = stack.upload("day1.ndjson", DAY_1).await;
    let day_3 = stack.upload("day3.ndjson", DAY_3).await;
    stack.settled(&day_1).await;
    stack.settled(&day_3).await;
    audit_what_was_dropped(&mut shell, &day_1).await;
    load_again(&mut shell, &day_1).await;
    send_dead_letters_back(&mut shell, &day_1).await;
    see_what_failed(&mut shell, &day_3).await;
    move_in(&mut shell).await;
    try_checks_and_gates(&mut shell).await;
    restore_a_backup(&mut shell, &day_1).await;
    erase_and_bring_back(&mut shell).await;
    ask_about_the_rest(&mut shell).await;
    complete_an_export(&mut shell).await;
    assert!(page.left().is_empty(), "nothing here runs these commands of {PAGE}: {:#?}", page.left());
}

async fn say_what_is_set(shell: &mut Shell<'_>) {
    assert_eq!(shell.page.variables(), shell.variables.keys().copied().collect());
    let exports = shell.page.examples.iter().filter(|example| example.command.starts_with("export "));
    for export in exports.map(|example| example.command.clone()).collect::<Vec<_>>() {
        shell.run(&export).await;
    }
}

async fn audit_what_was_dropped(shell: &mut Shell<'_>, day_1: &Upload) {
    let stack = shell.stack;
    forget_load(stack, day_1).await;
    shell.run_to(2, "flatfire audit s3://$BUCKET/incoming/").await;
    shell.run_to(2, "flatfire audit s3://$BUCKET/incoming/ --send").await;
    stack.settled(day_1).await;
    shell.run("flatfire audit s3://$BUCKET/incoming/").await;
    shell.run("flatfire audit s3://$BUCKET/incoming/ --since 7d --until 1h").await;
    shell.run_to(2, "flatfire audit s3://$BUCKET/incoming/ --expect manifest.txt").await;
}

async fn attempts(stack: &Stack, upload: &Upload, least: i64) {
    let what = format!("{least} attempts at {}", upload.key);
    eventually(&what, async || {
        let load = stack.load(upload).await?;
        (number(&load, "attempts") >= least && text(&load, "status") == "done").then_some(())
    })
    .await;
}

async fn load_again(shell: &mut Shell<'_>, day_1: &Upload) {
    let stack = shell.stack;
    let attempted = number(&stack.load(day_1).await.unwrap(), "attempts");
    shell.run("flatfire replay incoming/day1.ndjson").await;
    attempts(stack, day_1, attempted + 1).await;
    let day = "flatfire backfill s3://$BUCKET/incoming/ --since 2d --dry-run --to $SCRATCH_URI | xargs -d '\\n' flatfire replay";
    let ran = shell.run(day).await;
    assert_eq!(ran.stdout.lines().count(), 2, "{ran:?}");
    attempts(stack, day_1, attempted + 2).await;
    let ran = shell.run("flatfire replay --status done").await;
    assert_eq!(ran.stdout.lines().count(), 2, "{ran:?}");
    attempts(stack, day_1, attempted + 3).await;
    let ran = shell.run("flatfire backfill s3://$BUCKET/incoming/ --direct --to $SCRATCH_URI").await;
    assert!(ran.stderr.contains("loaded here: 2 done"), "{ran:?}");
    shell.run("flatfire find Patient/p1 --in s3://$BUCKET/incoming/").await;
    shell.run("flatfire original Patient/p1").await;
    shell.run("flatfire status --queue-url $QUEUE_URL").await;
    let ran = shell.run("flatfire status --since 24h '*/day*.ndjson'").await;
    assert!(ran.stdout.contains("day1.ndjson"), "{ran:?}");
    shell.run("flatfire replay --outdated --dry-run").await;
}

async fn send_dead_letters_back(shell: &mut Shell<'_>, day_1: &Upload) {
    let stack = shell.stack;
    stack.quiet().await;
    forget_load(stack, day_1).await;
    stack.bury(&stack.notification(day_1, "01")).await;
    shell.run("flatfire replay --dead-letter $DEAD_LETTER_QUEUE_URL").await;
    assert_eq!(text(&stack.settled(day_1).await, "status"), "done");
}

async fn see_what_failed(shell: &mut Shell<'_>, day_3: &Upload) {
    let stack = shell.stack;
    let day_2 = stack.upload("day2.ndjson", DAY_2).await;
    let broken = stack.upload("broken.ndjson", "this is no FHIR").await;
    for (upload, status) in [(&day_2, "partial"), (&broken, "failed"), (day_3, "done")] {
        assert_eq!(text(&stack.settled(upload).await, "status"), status);
    }
    let ran = shell.run("flatfire status --status failed").await;
    assert!(ran.stdout.contains("broken.ndjson") && !ran.stdout.contains("day2.ndjson"), "{ran:?}");
    shell.run("flatfire status incoming/day2.ndjson").await;
    shell.run("flatfire explain truncated").await;
    // As if the function had been killed over it.
    let lease = doc! { "owner": "o", "until": DateTime::from_millis(0) };
    set_in_ledger(stack, day_3, doc! { "status": "running", "lease": lease }).await;
    for status in ["running", "stuck"] {
        let ran = shell.run(&format!("flatfire status --status {status}")).await;
        assert!(ran.stdout.contains("day3.ndjson") && ran.stdout.contains("stuck"), "{ran:?}");
    }
    read_the_log(shell).await;
    shell.run("flatfire replay --rejects --code check-failed").await;
    assert!(holds(stack, "Patient", "Patient/p2").await);
}

async fn read_the_log(shell: &mut Shell<'_>) {
    let secret = shell.stack.processes().into_iter().find_map(|process| {
        let environment = std::fs::read_to_string(format!("/proc/{process}/environ")).ok()?;
        environment.split('\0').find_map(|one| one.strip_prefix("LOG_KEY_SECRET=")).map(str::to_owned)
    });
    shell.set("STACK_ID", secret.expect("a process of the function"));
    let hash = "printf %s incoming/day2.ndjson | openssl dgst -sha256 -hmac \"$STACK_ID\" | sed 's/.*= //' | cut -c 1-16";
    let hash = shell.run(hash).await.stdout.trim().to_owned();
    let lines = shell.stack.log_lines("object handled").await;
    assert!(
        lines.iter().any(|line| line["key_hash"] == hash.as_str() && line["status"] == "partial"),
        "{hash}"
    );
    for code in
        ["'object interrupted'", "13", "AuthenticationFailed", "DeadLetterAlarm", "FunctionErrorAlarm"]
    {
        shell.run(&format!("flatfire explain {code}")).await;
    }
}

async fn move_in(shell: &mut Shell<'_>) {
    let bucket = Bucket::make("operations-moving").await;
    bucket.keep_versions().await;
    bucket.put("day1.ndjson", DAY_1).await;
    let rows = shell.stack.database_beside("moved").await;
    let queue = shell.variables["WORKER_QUEUE_URL"].clone();
    let own = [("BUCKET", bucket.name().to_owned()), ("MONGODB_URI", rows.uri.clone()), ("QUEUE_URL", queue)];
    let own = own.map(|(name, value)| (name, shell.set(name, value)));
    shell.run("flatfire backfill s3://$BUCKET/incoming/ --dry-run").await;
    shell.run("flatfire backfill s3://$BUCKET/incoming/ --since 2023-01-01 --rate 200").await;
    shell.run("flatfire work --queue-url $WORKER_QUEUE_URL --until-empty").await;
    assert!(rows.tables().await.0["Patient"].contains_key("Patient/p1"));
    bucket.put_in_class("cold.ndjson", DAY_3, StorageClass::DeepArchive).await;
    shell.run_to(2, "flatfire backfill s3://$BUCKET/incoming/ --archived restore.csv").await;
    let list = std::fs::read_to_string(shell.folder.path().join("restore.csv")).unwrap();
    assert!(list.contains("incoming/cold.ndjson") && list.lines().count() == 1, "{list}");
    for (name, value) in own {
        shell.set(name, value);
    }
}

async fn try_checks_and_gates(shell: &mut Shell<'_>) {
    let scratch = shell.stack.database_beside("gates").await;
    shell.set("SCRATCH_URI", scratch.uri.clone());
    let load = "flatfire load --checks checks.json --gates gates.json --to $SCRATCH_URI day1.ndjson";
    shell.run(load).await;
    assert!(scratch.tables().await.0["Patient"].contains_key("Patient/p1"));
    // The gates of the page refuse what has no patient, its checks an observation of nobody.
    std::fs::write(shell.folder.path().join("day1.ndjson"), r#"{"resourceType":"Observation","id":"o2"}"#)
        .unwrap();
    assert_ne!(shell.run_anything(load).await.code, 0);
    let tables = scratch.tables().await;
    assert!(tables.rows("_loads").any(|load| text(load, "status") == "refused"), "{tables:?}");
}

async fn restore_a_backup(shell: &mut Shell<'_>, day_1: &Upload) {
    let stack = shell.stack;
    stack.quiet().await;
    // The backup is older than all files, and knows the tables.
    for name in stack.database().list_collection_names().await.unwrap() {
        if !["_tables", "_columns"].contains(&name.as_str()) {
            stack.database().collection::<Document>(&name).delete_many(doc! {}).await.unwrap();
        }
    }
    shell.run_to(2, "flatfire audit s3://$BUCKET/incoming/ --send").await;
    stack.settled(day_1).await;
    stack.quiet().await;
    assert!(holds(stack, "Patient", "Patient/p1").await);
}

async fn erase_and_bring_back(shell: &mut Shell<'_>) {
    let stack = shell.stack;
    shell.run("flatfire forget Patient/p1 --compartment --dry-run").await;
    shell.run("flatfire forget Patient/p1 --compartment --reason 'ticket 7' --yes").await;
    for (table, id) in [("Patient", "Patient/p1"), ("Observation", "Observation/o1")] {
        assert!(!holds(stack, table, id).await, "{id}");
    }
    shell.run("flatfire forget Patient/p1 --lift").await;
    shell.run("flatfire replay incoming/day1.ndjson").await;
    eventually("the patient of the lifted erasure", async || {
        holds(stack, "Patient", "Patient/p1").await.then_some(())
    })
    .await;
    shell.run("flatfire archive list AuditEvent").await;
    shell.run("flatfire archive restore AuditEvent/a1").await;
    assert!(holds(stack, "AuditEvent", "AuditEvent/a1").await);
}

async fn ask_about_the_rest(shell: &mut Shell<'_>) {
    let retention = "index --retention-days 'Observation=3650,*=0' --ledger-days 400";
    for command in ["status incoming/day1.ndjson", "check views", "tidy", "index", retention] {
        shell.run(&format!("flatfire {command}")).await;
    }
}

const MANIFEST: &str = r#"{"transactionTime":"2026-01-05T10:00:00Z","request":"https://example.org/$export","requiresAccessToken":false,"output":[{"type":"Patient","url":"https://example.org/a.ndjson","count":1}],"error":[]}"#;

async fn complete_an_export(shell: &mut Shell<'_>) {
    let stack = shell.stack;
    let manifest = stack.upload("day4/manifest.json", MANIFEST).await;
    assert_eq!(text(&stack.settled(&manifest).await, "status"), "done");
    shell.run_to(2, "flatfire status --exports").await;
    let ran = shell.run_to(2, "flatfire status --exports incoming/day4").await;
    assert!(ran.stdout.contains("a.ndjson"), "{ran:?}");
    let file = stack.upload("day4/a.ndjson", DAY_3).await;
    stack.settled(&file).await;
    let ran = shell.run_anything("flatfire status --exports").await;
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn a_pattern_is_told_from_other_text() {
    assert!(is_like("a b c\n", "a … c\n") && is_like("a\n", "a\n") && is_like("x\ny\nz\n", "…\nz\n"));
    assert!(!is_like("a b\n", "a … c\n") && !is_like("a\nb\n", "a\n") && !is_like("b a\n", "a…"));
    let example = Example::read("flatfire audit s3://$BUCKET/  # exit code 2: not everything");
    assert_eq!((example.command.as_str(), example.code), ("flatfire audit s3://$BUCKET/", 2));
    assert_eq!(Example::read("flatfire check views # or exit code 1").code, 0);
}

/// Returns the name under which a heading is linked to, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|one| one.is_alphanumeric() || " -_".contains(*one));
    kept.map(|one| if one == ' ' { '-' } else { one.to_ascii_lowercase() }).collect()
}

/// Lists the documentation that may link to the page.
fn documents() -> Vec<PathBuf> {
    let folders = ["", "docs", "deploy/worker", "deploy/local-folder", "samples", "events"];
    let files = folders.iter().flat_map(|folder| {
        std::fs::read_dir(workspace::root().join(folder)).unwrap().map(|file| file.unwrap().path())
    });
    files.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

#[test]
fn every_link_to_the_page_leads_to_a_heading_and_every_heading_has_one() {
    let page = std::fs::read_to_string(workspace::root().join(PAGE)).unwrap();
    let headings = page.lines().filter_map(|line| line.strip_prefix("## ")).map(anchor);
    let headings: BTreeSet<String> = headings.collect();
    let mut own_links = BTreeSet::new();
    for document in documents() {
        let text = std::fs::read_to_string(&document).unwrap();
        let is_page = document.ends_with(PAGE);
        for link in text.split(if is_page { "](#" } else { "operations.md#" }).skip(1) {
            let link = link.split([')', ' ']).next().unwrap();
            assert!(headings.contains(link), "{}: {PAGE}#{link} is no heading", document.display());
            if is_page {
                own_links.insert(link.to_owned());
            }
        }
    }
    assert_eq!(own_links, headings, "the list at the top of the page has all of its questions");
}
