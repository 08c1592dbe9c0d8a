//! `flatfire push`: files and folders into a bucket, once or as they come.

mod disposal;
mod files;
mod follow;
mod upload;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use futures::stream::{self, StreamExt as _};
use pipeline::object::ObjectRef;
use serde_json::json;

use crate::cloud::Cloud;
use crate::console;
use crate::outcome::Outcome;
use crate::progress::bar_of_files;
use crate::settings::{Destination, Uri, variable};
use crate::signals::asked_to_end;

use disposal::Disposal;
use files::{LocalFile, Stamp};
use follow::{EndedLoads, Follower};
use upload::{Target, Uploaded};

/// Upload files and folders to a bucket.
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(crate) struct PushArguments {
    /// Files and folders
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// Where they go, such as `s3://clinic/incoming/`
    #[arg(value_name = "s3://BUCKET/PREFIX/")]
    target: String,
    /// Go on: upload files as they come, until Ctrl-C or SIGTERM
    #[arg(long)]
    watch: bool,
    /// A file is taken once nothing has written to it for so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    stable_for: u64,
    #[command(flatten)]
    disposal: Disposal,
    /// Wait until the rows of all files stand in this database: `mongodb://host:27017/database`; by default that of the
    /// variable `MONGODB_URI`
    #[arg(long, value_name = "URI", num_args = 0..=1, default_missing_value = "")]
    to: Option<Uri>,
    /// Upload so many files at once
    #[arg(long, value_name = "N", default_value = "16")]
    jobs: NonZeroUsize,
    /// Only say what would be uploaded
    #[arg(long, conflicts_with_all = ["watch", "delete_after", "move_to", "to"])]
    dry_run: bool,
    /// Print JSON, an object a line: with --dry-run one for each `file`, at the end one with `uploaded`, `unchanged`,
    /// `failed` and `empty`, and with --to `loaded`, `partial` and `notLoaded`
    #[arg(long)]
    json: bool,
}

const NOTES: &str = "\
A file's key is its path within the folder behind the prefix; that of a file that is named is its name. A file is uploaded if the bucket has no object of that key,
or one of another size or content: each upload carries the SHA-256 of its file as metadata (`flatfire-sha256`), and that
is what is compared. Nothing else is remembered, so the command can be killed and run again at any time.

Of folders hidden files, linked folders and files that are no FHIR by name and beginning are left out, and empty files
everywhere: the sum says how many. Files above 64 MiB are uploaded in parts, several at once.

With --to it waits as long as it takes, also for files that were uploaded before. Ctrl-C names what is not loaded yet.

Rights: s3:PutObject, s3:GetObject, s3:ListBucket and s3:AbortMultipartUpload under the prefix.

Exit codes: 0 everything is there, 1 some files are not there or, with --to, not loaded, 2 some files were loaded in part
(--to), 130 stopped by Ctrl-C.";

/// How long a watch waits between two looks at the folder.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(2);

/// What one look at the folder has come to.
#[derive(Debug, Default)]
struct Round {
    uploaded: u64,
    unchanged: u64,
    failed: u64,
    empty: u64,
    /// Files that may still be written to.
    unstable: u64,
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
    if let Some(folder) = &arguments.disposal.move_to {
        std::fs::create_dir_all(folder).with_context(|| format!("--move-to {}", folder.display()))?;
    }
    let follower = match &arguments.to {
        Some(to) => Some(Follower::new(Destination { to: database(to)?, archive: None }.connect().await?)),
        None => None,
    };
    let mut pusher = Pusher { arguments, target, done: BTreeMap::new(), told: BTreeMap::new(), follower };
    // A file that is being uploaded is not there before its last byte: nothing is left half done.
    let outcome = tokio::select! {
        outcome = pusher.push() => Some(outcome),
        () = asked_to_end() => None,
    };
    outcome.unwrap_or_else(|| {
        if let Some(follower) = &pusher.follower {
            follower.tell_open();
        }
        Ok(Outcome::Interrupted)
    })
}

/// Returns the database of `--to`.
fn database(to: &Uri) -> anyhow::Result<Uri> {
    if !to.0.is_empty() {
        return Ok(to.clone());
    }
    let uri = variable("MONGODB_URI").and_then(|uri| uri.into_string().ok());
    uri.map(Uri).context("--to: name the database, or set MONGODB_URI")
}

impl Pusher {
    async fn push(&mut self) -> anyhow::Result<Outcome> {
        let mut sum = Round::default();
        loop {
            let round = self.round().await?;
            sum.uploaded += round.uploaded;
            sum.unchanged += round.unchanged;
            (sum.failed, sum.empty) = (round.failed, round.empty);
            let is_over = round.unstable == 0 && !self.arguments.watch;
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
        self.print(&sum)?;
        Ok(outcome)
    }

    /// Prints the sums.
    fn print(&self, sum: &Round) -> std::io::Result<()> {
        let Round { uploaded, unchanged, failed, empty, .. } = *sum;
        let (is_dry, ended) = (self.arguments.dry_run, self.follower.as_ref().map(|follower| follower.ended));
        if self.arguments.json {
            let mut sums = json!({
                "uploaded": uploaded, "unchanged": unchanged, "failed": failed, "empty": empty, "isDryRun": is_dry,
            });
            if let (Some(EndedLoads { whole, partial, failed }), Some(sums)) = (ended, sums.as_object_mut()) {
                let loads = [("loaded", whole), ("partial", partial), ("notLoaded", failed)];
                sums.extend(loads.map(|(name, count)| (name.to_owned(), count.into())));
            }
            return console::print_json(&sums);
        }
        let verb = if is_dry { "would be uploaded" } else { "uploaded" };
        let left_out = if empty > 0 { format!(", {empty} empty") } else { String::new() };
        console::print(&format!("{uploaded} {verb}, {unchanged} unchanged, {failed} failed{left_out}"))?;
        if let Some(EndedLoads { whole, partial, failed }) = ended {
            console::print(&format!("{whole} loaded, {partial} loaded in part, {failed} not loaded"))?;
        }
        Ok(())
    }

    /// Looks at the paths once and uploads what is new or changed and no longer being written.
    async fn round(&mut self) -> anyhow::Result<Round> {
        let left_out = self.arguments.disposal.move_to.as_deref();
        let found = files::find(&self.arguments.paths, left_out)?;
        for (path, reason) in &found.unreadable {
            self.tell(path, reason);
        }
        for path in &found.passed_over {
            self.tell(path, "passed over, neither its name nor its content is that of a FHIR file");
        }
        let (failed, empty) = (found.unreadable.len() as u64, found.empty);
        let mut round = Round { failed, empty, ..Round::default() };
        let quiet = Duration::from_secs(self.arguments.stable_for);
        let (stable, unstable): (Vec<LocalFile>, Vec<LocalFile>) =
            found.files.into_iter().partition(|file| file.is_stable(quiet));
        round.unstable = unstable.len() as u64;
        let mut open = stable;
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
            // The file has changed meanwhile.
            Ok(Uploaded::Changing) => {
                round.unstable += 1;
                return;
            }
            Ok(Uploaded::Unchanged(object)) => {
                round.unchanged += 1;
                if self.follow(&object, &file) {
                    return;
                }
            }
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
                if object.is_some_and(|object| self.follow(&object, &file)) {
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

    /// Waits for the rows of the object from now on, if that is asked for.
    fn follow(&mut self, object: &ObjectRef, file: &LocalFile) -> bool {
        let Some(follower) = &mut self.follower else { return false };
        follower.add(object, file.clone());
        self.done.insert(file.path.clone(), file.stamp);
        true
    }

    fn tell(&mut self, path: &Path, reason: &str) {
        if self.told.get(path).is_none_or(|told| told != reason) {
            console::file_error(&path.display().to_string(), reason);
            self.told.insert(path.to_owned(), reason.to_owned());
        }
    }
}
