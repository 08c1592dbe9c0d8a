//! `flatfire push`: a folder into the watched prefix, and what the function makes of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use flatfire_tests::{Ran, Stack};

const FILES: usize = 200;
const KILLS: u32 = 10;

fn patient(number: usize, family: &str) -> String {
    format!(r#"{{"resourceType":"Patient","id":"p{number}","name":[{{"family":"{family}"}}]}}"#)
}

fn name(number: usize) -> String {
    format!("ward {}/ü+&{number}%20 .json", number % 9)
}

fn write(folder: &Path, number: usize, family: &str) {
    let path = folder.join(name(number));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, patient(number, family)).unwrap();
}

async fn push(stack: &Stack, folder: &Path, options: &[&str]) -> Ran {
    let target = format!("s3://{}/incoming/", stack.bucket());
    let folder = folder.display().to_string();
    let stable_for = if options.contains(&"--stable-for") { &[][..] } else { &["--stable-for", "0"][..] };
    stack.flatfire(&[&["push", &folder, &target], stable_for, options].concat()).await
}

/// Returns how many versions each key has.
async fn versions(stack: &Stack) -> BTreeMap<String, usize> {
    let mut versions = BTreeMap::new();
    for key in stack.keys_of_all_versions().await {
        *versions.entry(key).or_default() += 1;
    }
    versions
}

#[tokio::test]
async fn a_folder_is_in_the_bucket_once_though_the_command_is_killed() {
    let stack = Stack::deploy("push").await;
    let folder = tempfile::tempdir().unwrap();
    (0..FILES).for_each(|number| write(folder.path(), number, "First"));
    std::fs::write(folder.path().join("empty.json"), "").unwrap();
    let target = format!("s3://{}/incoming/", stack.bucket());
    let path = folder.path().display().to_string();
    for kill in 0..KILLS {
        let arguments = ["push", &path, &target, "--stable-for", "0", "--jobs", "4"];
        let mut child =
            stack.flatfire_command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(u64::from(kill) * 60)).await;
        child.kill().await.unwrap();
    }
    let ran = push(&stack, folder.path(), &["--to", &stack.uri()]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let keys = versions(&stack).await;
    assert_eq!(keys.len(), FILES);
    assert!((0..FILES).all(|number| keys.contains_key(&format!("incoming/{}", name(number)))), "{keys:?}");
    stack.quiet().await;
    assert_eq!(stack.tables().await.rows("Patient").count(), FILES);

    let ran = push(&stack, folder.path(), &["--to", &stack.uri()]).await;
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (0, format!("0 uploaded, {FILES} unchanged, 0 failed, 1 empty\n{FILES} loaded, 0 loaded in part, 0 not loaded\n").as_str()),
        "{}",
        ran.stderr
    );
    // The same size, another content.
    write(folder.path(), 7, "Fifth");
    let ran = push(&stack, folder.path(), &["--dry-run"]).await;
    assert!(
        ran.stdout.ends_with(&format!("1 would be uploaded, {} unchanged, 0 failed, 1 empty\n", FILES - 1)),
        "{ran:?}"
    );
    let ran = push(&stack, folder.path(), &["--dry-run", "--json"]).await;
    let [file, sums] = [0, 1].map(|line| ran.stdout.lines().nth(line).unwrap_or_default());
    assert!(file.starts_with(r#"{"file":"#) && file.contains(&name(7)), "{ran:?}");
    let unchanged = FILES - 1;
    let expected =
        format!(r#"{{"uploaded":1,"unchanged":{unchanged},"failed":0,"empty":1,"isDryRun":true}}"#);
    assert_eq!(sums, expected);
    let ran = push(&stack, folder.path(), &["--to", &stack.uri()]).await;
    let expected =
        "1 uploaded, 199 unchanged, 0 failed, 1 empty\n200 loaded, 0 loaded in part, 0 not loaded\n";
    assert_eq!(ran.stdout, expected, "{}", ran.stderr);
    // One is uploaded at once, the other when it has settled; neither counts as unchanged.
    write(folder.path(), 8, "Eighth");
    write(folder.path(), 9, "Ninth");
    let old = std::fs::File::options().write(true).open(folder.path().join(name(8))).unwrap();
    old.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    let ran = push(&stack, folder.path(), &["--stable-for", "3"]).await;
    assert_eq!(
        ran.stdout,
        format!("2 uploaded, {} unchanged, 0 failed, 1 empty\n", FILES - 2),
        "{}",
        ran.stderr
    );
    let tables = stack.tables().await;
    assert!(format!("{:?}", tables.row("Patient", "Patient/p7")).contains("Fifth"));
}

#[tokio::test]
async fn a_watched_folder_is_emptied_as_its_files_are_loaded() {
    let stack = Stack::deploy("push-watch").await;
    let folder = tempfile::tempdir().unwrap();
    let sent = folder.path().join("sent");
    let target = format!("s3://{}/incoming/", stack.bucket());
    let (path, to, uri) = (folder.path().display().to_string(), sent.display().to_string(), stack.uri());
    let arguments = ["push", &path, &target, "--watch", "--stable-for", "1", "--move-to", &to, "--to", &uri];
    let mut child = stack.flatfire_command(&arguments).stdout(Stdio::null()).spawn().unwrap();
    for number in 0..5 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        write(folder.path(), number, "Watched");
    }
    // A file that grows for a while is taken once, when it is whole.
    let growing = folder.path().join("growing.ndjson");
    for number in 100..110 {
        let mut text = std::fs::read_to_string(&growing).unwrap_or_default();
        text.push_str(&(patient(number, "Grown") + "\n"));
        std::fs::write(&growing, text).unwrap();
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    flatfire_tests::eventually("all files in the folder of what was sent", async || {
        let moved = (0..5).all(|number| sent.join(name(number)).is_file());
        (moved && sent.join("growing.ndjson").is_file()).then_some(())
    })
    .await;
    child.kill().await.unwrap();
    stack.quiet().await;
    assert_eq!(stack.tables().await.rows("Patient").count(), 15);
    assert_eq!(versions(&stack).await.len(), 6);
    assert_eq!(versions(&stack).await.get("incoming/growing.ndjson"), Some(&1));
}

#[tokio::test]
async fn files_and_folders_are_followed_until_each_load_has_ended() {
    let stack = Stack::deploy("push-mixed").await;
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("day 1/ü");
    std::fs::create_dir_all(&deep).unwrap();
    std::fs::write(deep.join("whole.json"), patient(1, "Whole")).unwrap();
    std::fs::write(deep.join("in part.ndjson"), patient(2, "Part") + "\n{\"resourceType\":\"Patient\",\n")
        .unwrap();
    std::fs::write(folder.path().join("no ending"), patient(4, "Plain")).unwrap();
    std::fs::write(folder.path().join("README.md"), "# What is here").unwrap();
    std::fs::write(folder.path().join("empty.json"), "").unwrap();
    let beside = tempfile::tempdir().unwrap();
    let (named, letter) = (beside.path().join("named.json"), beside.path().join("letter.txt"));
    std::fs::write(&letter, "this is a letter, not FHIR").unwrap();
    std::fs::write(&named, patient(3, "Named")).unwrap();

    let target = format!("s3://{}/incoming/", stack.bucket());
    let folder = folder.path().display().to_string();
    let [named, letter] = [named, letter].map(|path| path.display().to_string());
    let arguments = ["push", "--stable-for", "0", &folder, &named, &letter, &target, "--to", &stack.uri()];
    // The second time everything is in the bucket, and what became of it is the same.
    for uploads in
        ["5 uploaded, 0 unchanged, 0 failed, 1 empty", "0 uploaded, 5 unchanged, 0 failed, 1 empty"]
    {
        let ran = stack.flatfire(&arguments).await;
        let expected = format!("{uploads}\n3 loaded, 1 loaded in part, 1 not loaded\n");
        assert_eq!((ran.code, ran.stdout), (1, expected), "{}", ran.stderr);
        for told in [
            "in part.ndjson: loaded in part",
            "letter.txt: not loaded",
            "README.md: passed over",
            "`flatfire status` explains",
        ] {
            assert!(ran.stderr.contains(told), "{}", ran.stderr);
        }
        assert!(!ran.stderr.contains("whole.json") && !ran.stderr.contains("named.json"), "{}", ran.stderr);
    }
    let keys: Vec<String> = versions(&stack).await.into_keys().collect();
    let expected = ["day 1/ü/in part.ndjson", "day 1/ü/whole.json", "letter.txt", "named.json", "no ending"];
    assert_eq!(keys, expected.map(|key| format!("incoming/{key}")));
    stack.quiet().await;
    assert_eq!(stack.tables().await.rows("Patient").count(), 4);

    let ran = stack
        .flatfire(&[
            "push",
            "--stable-for",
            "0",
            &named,
            &folder,
            &named,
            &letter,
            &target,
            "--json",
            "--to",
            &stack.uri(),
        ])
        .await;
    let expected = r#"{"uploaded":0,"unchanged":5,"failed":0,"empty":1,"isDryRun":false,"loaded":3,"partial":1,"notLoaded":1}"#;
    assert_eq!(ran.stdout.trim_end(), expected, "{}", ran.stderr);
}

#[tokio::test]
async fn ctrl_c_names_what_is_not_loaded_yet() {
    let stack = Stack::deploy("push-wait").await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("waiting.json"), patient(1, "Waiting")).unwrap();
    // Nobody watches this prefix, so nobody loads the file.
    let target = format!("s3://{}/elsewhere/", stack.bucket());
    let path = folder.path().display().to_string();
    let arguments = ["push", "--stable-for", "0", &path, &target, "--to", &stack.uri()];
    let child = stack.flatfire_command(&arguments).spawn().unwrap();
    flatfire_tests::eventually("the file in the bucket", async || {
        (!versions(&stack).await.is_empty()).then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let process = child.id().unwrap().to_string();
    std::process::Command::new("kill").args(["-INT", &process]).status().unwrap();
    let output = child.wait_with_output().await.unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{told}");
    assert!(
        told.contains("1 file is uploaded and not loaded yet") && told.contains("waiting.json"),
        "{told}"
    );
}
