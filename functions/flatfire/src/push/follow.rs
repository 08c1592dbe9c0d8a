//! Objects that were uploaded, until their rows stand.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use indicatif::ProgressBar;
use pipeline::object::ObjectRef;
use pipeline::store::Store;

use super::disposal::Disposal;
use super::files::LocalFile;
use crate::console;
use crate::known_loads::{KnownLoads, LoadState};
use crate::outcome::Outcome;

/// How often the ledger is asked.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Follows objects in the ledger.
#[derive(Debug)]
pub(super) struct Follower {
    loads: KnownLoads,
    open: BTreeMap<String, LocalFile>,
    outcome: Outcome,
}

impl Follower {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self { loads: KnownLoads::new(store), open: BTreeMap::new(), outcome: Outcome::Done }
    }

    /// Follows one more object.
    pub(super) fn add(&mut self, object: &ObjectRef, file: LocalFile) {
        self.open.insert(object.load_id(), file);
    }

    /// Asks the ledger once. What has ended is told if it is not as it should be, and put away if it is.
    pub(super) async fn look(&mut self, disposal: &Disposal) -> anyhow::Result<()> {
        let ids: Vec<String> = self.open.keys().cloned().collect();
        for (id, load) in self.loads.of(&ids).await? {
            let (outcome, problem) = match load.state {
                // Of one that is stuck the next delivery takes over.
                LoadState::Running | LoadState::Stuck => continue,
                LoadState::Done | LoadState::Superseded => (Outcome::Done, None),
                LoadState::Partial => (Outcome::Partial, Some("loaded in part")),
                LoadState::Refused => (Outcome::Failed, Some("refused by a gate")),
                LoadState::Failed => (Outcome::Failed, Some("every record of it is a reject")),
                LoadState::Gone => (Outcome::Failed, Some("deleted in the bucket before it was loaded")),
            };
            let Some(file) = self.open.remove(&id) else { continue };
            self.outcome = self.outcome.max(outcome);
            let name = file.path.display().to_string();
            if let Some(problem) = problem {
                console::file_error(&name, &format!("{problem}; see `flatfire status '{id}'`"));
            } else if let Err(error) = disposal.put_away(&file) {
                console::file_error(&name, &format!("{error:#}"));
            }
        }
        Ok(())
    }

    /// Waits until every object has ended, and returns the worst outcome.
    pub(super) async fn wait(&mut self, disposal: &Disposal) -> anyhow::Result<Outcome> {
        let bar = ProgressBar::new_spinner();
        while !self.open.is_empty() {
            bar.set_message(format!("{} files are being loaded", self.open.len()));
            bar.tick();
            self.look(disposal).await?;
            if !self.open.is_empty() {
                tokio::time::sleep(ASK_AGAIN_AFTER).await;
            }
        }
        bar.finish_and_clear();
        Ok(self.outcome)
    }
}
