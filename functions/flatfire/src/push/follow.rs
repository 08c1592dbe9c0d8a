//! Objects that are in the bucket, until their rows stand.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use indicatif::ProgressBar;
use pipeline::object::ObjectRef;
use pipeline::store::Store;
use process::milliseconds_now;

use super::disposal::Disposal;
use super::files::LocalFile;
use crate::console;
use crate::known_loads::{CurrentStatus, KnownLoads};
use crate::outcome::Outcome;
use crate::progress::bar_of_loads;

/// How often the ledger is asked.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How long a queue keeps a notification at most: what the ledger does not know by then is never loaded.
const NOTIFIED_WITHIN_MILLISECONDS: i64 = 14 * 24 * 60 * 60 * 1_000;
/// How many files are named when the user ends the wait.
const NAMED: usize = 20;

/// Follows objects in the ledger.
#[derive(Debug)]
pub(super) struct Follower {
    loads: KnownLoads,
    open: BTreeMap<String, OpenLoad>,
    /// How many ended: whole, in part, not at all.
    pub(super) ended: EndedLoads,
    /// The key of one that is not whole, for a hint.
    example: Option<String>,
    outcome: Outcome,
}

/// An object whose load has not ended.
#[derive(Debug)]
struct OpenLoad {
    file: LocalFile,
    key: String,
    /// When the object was made, if it was in the bucket before: milliseconds since 1970-01-01T00:00:00Z.
    created: i64,
}

/// How many objects ended in which way.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct EndedLoads {
    pub(super) whole: u64,
    pub(super) partial: u64,
    pub(super) failed: u64,
}

impl Follower {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        let (loads, ended) = (KnownLoads::new(store), EndedLoads::default());
        Self { loads, open: BTreeMap::new(), ended, example: None, outcome: Outcome::Done }
    }

    /// Follows one more object.
    pub(super) fn add(&mut self, object: &ObjectRef, file: LocalFile) {
        let (key, created) = (object.key.clone(), object.created);
        self.open.insert(object.load_id(), OpenLoad { file, key, created });
    }

    /// Asks the ledger once. What has ended is told if it is not as it should be, and put away if it is.
    pub(super) async fn look(&mut self, disposal: &Disposal) -> anyhow::Result<()> {
        let ids: Vec<String> = self.open.keys().cloned().collect();
        let (known, now) = (self.loads.of(&ids).await?, milliseconds_now());
        for id in ids {
            let state = known.get(&id).map(|load| load.state);
            let is_forgotten =
                |open: &OpenLoad| open.created > 0 && now - open.created > NOTIFIED_WITHIN_MILLISECONDS;
            let (outcome, problem) = match state {
                None if !self.open.get(&id).is_some_and(is_forgotten) => continue,
                // Of one that is stuck the next delivery takes over.
                Some(CurrentStatus::Running | CurrentStatus::Stuck) => continue,
                None => (
                    Outcome::Failed,
                    Some("in the bucket, but the ledger does not know it; see `flatfire audit`"),
                ),
                Some(CurrentStatus::Done | CurrentStatus::Superseded) => (Outcome::Done, None),
                Some(CurrentStatus::Partial) => (Outcome::Partial, Some("loaded in part")),
                Some(CurrentStatus::Refused) => (Outcome::Failed, Some("refused by a gate")),
                Some(CurrentStatus::Failed) => {
                    (Outcome::Failed, Some("not loaded: every record of it is a reject"))
                }
                Some(CurrentStatus::Gone) => {
                    (Outcome::Failed, Some("deleted in the bucket before it was loaded"))
                }
            };
            if let Some(open) = self.open.remove(&id) {
                self.enter(open, outcome, problem, disposal);
            }
        }
        Ok(())
    }

    fn enter(&mut self, open: OpenLoad, outcome: Outcome, problem: Option<&str>, disposal: &Disposal) {
        self.outcome = self.outcome.max(outcome);
        match outcome {
            Outcome::Done => self.ended.whole += 1,
            Outcome::Partial => self.ended.partial += 1,
            Outcome::Failed | Outcome::Interrupted => self.ended.failed += 1,
        }
        let name = open.file.path.display().to_string();
        if let Some(problem) = problem {
            console::file_error(&name, problem);
            self.example.get_or_insert(open.key);
        } else if let Err(error) = disposal.put_away(&open.file) {
            console::file_error(&name, &format!("{error:#}"));
        }
    }

    /// Waits until every object has ended, however long it takes, and returns the worst outcome.
    pub(super) async fn wait(&mut self, disposal: &Disposal) -> anyhow::Result<Outcome> {
        let bar = bar_of_loads(self.open.len());
        let all = self.open.len();
        while !self.open.is_empty() {
            self.show_progress(&bar, all);
            self.look(disposal).await?;
            if !self.open.is_empty() {
                tokio::time::sleep(ASK_AGAIN_AFTER).await;
            }
        }
        bar.finish_and_clear();
        if let Some(key) = &self.example {
            console::line(&format!(
                "flatfire: `flatfire status` explains a file by its key, such as '{key}'"
            ));
        }
        Ok(self.outcome)
    }

    /// Names the files that are not loaded yet, when the user ends the wait.
    pub(super) fn tell_open(&self) {
        if self.open.is_empty() {
            return;
        }
        let are = if self.open.len() == 1 { "file is" } else { "files are" };
        console::line(&format!("flatfire: {} {are} uploaded and not loaded yet:", self.open.len()));
        for open in self.open.values().take(NAMED) {
            console::line(&format!("  {}", open.file.path.display()));
        }
        if self.open.len() > NAMED {
            console::line(&format!("  and {} more", self.open.len() - NAMED));
        }
        console::line("flatfire: their loads go on without this command; run it again to wait for them");
    }

    fn show_progress(&self, bar: &ProgressBar, all: usize) {
        bar.set_position((all - self.open.len()) as u64);
        bar.tick();
    }
}
