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
    let settle = if options.contains(&"--settle") { &[][..] } else { &["--settle", "0"][..] };
    stack.flatfire(&[&["push", &folder, &target], settle, options].concat()).await
}

/// How many versions each key has.
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
        let arguments = ["push", &path, &target, "--settle", "0", "--jobs", "4"];
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
        (0, format!("0 uploaded, {FILES} unchanged, 0 failed\n").as_str()),
        "{}",
        ran.stderr
    );
    // The same size, another content.
    write(folder.path(), 7, "Fifth");
    let ran = push(&stack, folder.path(), &["--dry-run"]).await;
    assert!(
        ran.stdout.ends_with(&format!("1 would be uploaded, {} unchanged, 0 failed\n", FILES - 1)),
        "{ran:?}"
    );
    let ran = push(&stack, folder.path(), &["--dry-run", "--json"]).await;
    let [file, sums] = [0, 1].map(|line| ran.stdout.lines().nth(line).unwrap_or_default());
    assert!(file.starts_with(r#"{"file":"#) && file.contains(&name(7)), "{ran:?}");
    let unchanged = FILES - 1;
    let expected = format!(r#"{{"uploaded":1,"unchanged":{unchanged},"failed":0,"isDryRun":true}}"#);
    assert_eq!(sums, expected);
    let ran = push(&stack, folder.path(), &["--to", &stack.uri()]).await;
    assert_eq!(ran.stdout, format!("1 uploaded, {} unchanged, 0 failed\n", FILES - 1), "{}", ran.stderr);
    // One is uploaded at once, the other when it has settled; neither counts as unchanged.
    write(folder.path(), 8, "Eighth");
    write(folder.path(), 9, "Ninth");
    let old = std::fs::File::options().write(true).open(folder.path().join(name(8))).unwrap();
    old.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    let ran = push(&stack, folder.path(), &["--settle", "3"]).await;
    assert_eq!(ran.stdout, format!("2 uploaded, {} unchanged, 0 failed\n", FILES - 2), "{}", ran.stderr);
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
    let arguments = ["push", &path, &target, "--watch", "--settle", "1", "--move-to", &to, "--to", &uri];
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
