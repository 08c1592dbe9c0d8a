//! `flatfire push`: files of a folder into a bucket, once or as they come.

mod disposal;
mod files;
mod follow;
mod upload;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use futures::stream::{self, StreamExt as _};
use serde_json::json;

use crate::cloud::Cloud;
use crate::console;
use crate::outcome::Outcome;
use crate::progress::bar_of_files;
use crate::settings::{Destination, Uri};
use crate::signals::asked_to_end;

use disposal::Disposal;
use files::{LocalFile, Stamp};
use follow::Follower;
use upload::{Target, Uploaded};

/// Upload files of a folder to a bucket.
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(crate) struct PushArguments {
    /// The folder
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Where its files go, such as `s3://clinic/incoming/`
    #[arg(value_name = "s3://BUCKET/PREFIX/")]
    target: String,
    /// Go on: upload files as they come, until Ctrl-C or SIGTERM
    #[arg(long)]
    watch: bool,
    /// A file is taken once nothing has written to it for so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    settle: u64,
    #[command(flatten)]
    disposal: Disposal,
    /// Wait until the rows of all files stand in this database: `mongodb://host:27017/database`
    #[arg(long, value_name = "URI")]
    to: Option<Uri>,
    /// Upload so many files at once
    #[arg(long, value_name = "N", default_value = "16")]
    jobs: NonZeroUsize,
    /// Only say what would be uploaded
    #[arg(long, conflicts_with_all = ["watch", "delete_after", "move_to", "to"])]
    dry_run: bool,
    /// Print JSON, an object a line: with --dry-run one for each `file`, at the end one with `uploaded`, `unchanged` and
    /// `failed`
    #[arg(long)]
    json: bool,
}

const NOTES: &str = "\
A file's key is its path within the folder behind the prefix. A file is uploaded if the bucket has no object of that key,
or one of another size or content: each upload carries the SHA-256 of its file as metadata (`flatfire-sha256`), and that
is what is compared. Nothing else is remembered, so the command can be killed and run again at any time.

Hidden files, empty files and linked folders are left out. Files above 64 MiB are uploaded in parts, several at once.

Rights: s3:PutObject, s3:GetObject, s3:ListBucket and s3:AbortMultipartUpload under the prefix.

Exit codes: 0 everything is there, 2 some files were loaded in part (--to), 1 some files are not there, 130 stopped by
Ctrl-C.";

/// How long a watch waits between two looks at the folder.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(2);

/// What one look at the folder has come to.
#[derive(Debug, Default)]
struct Round {
    uploaded: u64,
    unchanged: u64,
    failed: u64,
    /// Files that somebody may still be writing.
    unsettled: u64,
}

/// Uploads files.
struct Pusher {
    arguments: PushArguments,
    target: Target,
    /// Files that are in the bucket as they are here, as far as this process has seen.
    done: BTreeMap<PathBuf, Stamp>,
    /// What was told to have failed, so that a watch tells it once.
    told: BTreeMap<PathBuf, String>,
    follower: Option<Follower>,
}

/// Uploads what is new or changed.
pub(crate) async fn run(arguments: PushArguments) -> anyhow::Result<Outcome> {
    let target = Target::parse(&arguments.target, &Cloud::new().await)?;
    if !arguments.folder.is_dir() {
        bail!("{}: is not a folder", arguments.folder.display());
    }
    if let Some(folder) = &arguments.disposal.move_to {
        std::fs::create_dir_all(folder).with_context(|| format!("--move-to {}", folder.display()))?;
    }
    let follower = match &arguments.to {
        Some(to) => {
            let destination = Destination { to: to.clone(), archive: None };
            Some(Follower::new(destination.connect().await?))
        }
        None => None,
    };
    let mut pusher = Pusher { arguments, target, done: BTreeMap::new(), told: BTreeMap::new(), follower };
    // A file that is being uploaded is not there before its last byte: nothing is left half done.
    tokio::select! {
        outcome = pusher.push() => outcome,
        () = asked_to_end() => Ok(Outcome::Interrupted),
    }
}

impl Pusher {
    async fn push(&mut self) -> anyhow::Result<Outcome> {
        let mut sum = Round::default();
        loop {
            let round = self.round().await?;
            sum.uploaded += round.uploaded;
            sum.unchanged += round.unchanged;
            sum.failed = round.failed;
            let is_over = round.unsettled == 0 && !self.arguments.watch;
            if is_over {
                break;
            }
            if let Some(follower) = &mut self.follower {
                follower.look(&self.arguments.disposal).await?;
            }
            tokio::time::sleep(LOOK_AGAIN_AFTER).await;
        }
        let mut outcome = if sum.failed > 0 { Outcome::Failed } else { Outcome::Done };
        if let Some(follower) = &mut self.follower {
            outcome = outcome.max(follower.wait(&self.arguments.disposal).await?);
        }
        let (verb, Round { uploaded, unchanged, failed, .. }) =
            (if self.arguments.dry_run { "would be uploaded" } else { "uploaded" }, sum);
        if self.arguments.json {
            let is_dry = self.arguments.dry_run;
            let sums =
                json!({ "uploaded": uploaded, "unchanged": unchanged, "failed": failed, "isDryRun": is_dry });
            console::print_json(&sums)?;
        } else {
            console::print(&format!("{uploaded} {verb}, {unchanged} unchanged, {failed} failed"))?;
        }
        Ok(outcome)
    }

    /// Looks at the folder once and uploads what is new or changed and no longer being written.
    async fn round(&mut self) -> anyhow::Result<Round> {
        let left_out = self.arguments.disposal.move_to.as_deref();
        let found = files::find(&self.arguments.folder, left_out)?;
        for (path, reason) in &found.unreadable {
            self.tell(path, reason);
        }
        let mut round = Round { failed: found.unreadable.len() as u64, ..Round::default() };
        let settle = Duration::from_secs(self.arguments.settle);
        let (settled, unsettled): (Vec<LocalFile>, Vec<LocalFile>) =
            found.files.into_iter().partition(|file| file.has_settled(settle));
        round.unsettled = unsettled.len() as u64;
        let mut open = settled;
        open.retain(|file| self.done.get(&file.path) != Some(&file.stamp));
        if open.is_empty() {
            return Ok(round);
        }
        let sizes = self.target.sizes_of(&open).await?;
        let bar = bar_of_files(open.len());
        let (target, is_dry) = (&self.target, self.arguments.dry_run);
        let mut uploads = stream::iter(open.into_iter().zip(sizes))
            .map(|(file, size)| async move {
                let uploaded = target.upload(&file, size, is_dry).await;
                (file, uploaded)
            })
            .buffer_unordered(self.arguments.jobs.get());
        let mut ended = Vec::new();
        while let Some((file, uploaded)) = uploads.next().await {
            bar.inc(1);
            ended.push((file, uploaded));
        }
        drop(uploads);
        bar.finish_and_clear();
        for (file, uploaded) in ended {
            self.enter(file, uploaded, &mut round);
        }
        Ok(round)
    }

    /// Takes down what became of a file.
    fn enter(&mut self, file: LocalFile, uploaded: anyhow::Result<Uploaded>, round: &mut Round) {
        match uploaded {
            Err(error) => {
                round.failed += 1;
                self.tell(&file.path, &format!("{error:#}"));
                return;
            }
            // Somebody has written to it meanwhile.
            Ok(Uploaded::Changing) => {
                round.unsettled += 1;
                return;
            }
            Ok(Uploaded::Unchanged) => round.unchanged += 1,
            Ok(Uploaded::Object(object)) => {
                round.uploaded += 1;
                if self.arguments.dry_run {
                    let name = file.path.display().to_string();
                    if self.arguments.json {
                        console::print_json(&json!({ "file": name })).ok();
                    } else {
                        console::print(&name).ok();
                    }
                }
                if let (Some(follower), Some(object)) = (&mut self.follower, object) {
                    follower.add(&object, file.clone());
                    self.done.insert(file.path, file.stamp);
                    return;
                }
            }
        }
        self.told.remove(&file.path);
        if let Err(error) = self.arguments.disposal.put_away(&file) {
            self.tell(&file.path, &format!("{error:#}"));
        }
        self.done.insert(file.path, file.stamp);
    }

    fn tell(&mut self, path: &Path, reason: &str) {
        if self.told.get(path).is_none_or(|told| told != reason) {
            console::file_error(&path.display().to_string(), reason);
            self.told.insert(path.to_owned(), reason.to_owned());
        }
    }
}
