//! Files that are loaded as they come.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use process::milliseconds_now;

use super::FileLoader;
use super::interrupt::Interrupt;
use crate::console;
use crate::input::{Input, Inputs};
use crate::outcome::Outcome;

/// How long a watch waits between two looks.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(2);

/// Size and last change of a file.
type FileStamp = (Option<u64>, i64);

impl FileLoader {
    /// Loads what is there, and then what comes or changes, until the user asks for an end.
    pub(super) async fn watch(&self, files: &[PathBuf], quiet: Duration) -> Outcome {
        let interrupt = Interrupt::default();
        tokio::select! {
            biased;
            outcome = self.look_again_and_again(files, quiet, &interrupt) => outcome,
            never = interrupt.listen(&self.bars) => match never {},
        }
    }

    async fn look_again_and_again(
        &self,
        files: &[PathBuf],
        quiet: Duration,
        interrupt: &Interrupt,
    ) -> Outcome {
        let mut loaded: BTreeMap<String, FileStamp> = BTreeMap::new();
        let mut told: BTreeMap<String, String> = BTreeMap::new();
        loop {
            let mut found = Inputs::find(files);
            for (name, reason) in std::mem::take(&mut found.unreadable) {
                if told.get(&name) != Some(&reason) {
                    console::file_error(&name, &reason);
                    told.insert(name, reason);
                }
            }
            let mut ready = found.readable;
            ready.retain(|input| loaded.get(&input.name) != Some(&stamp(input)) && is_stable(input, quiet));
            if !ready.is_empty() {
                let (_, ended) = self.load_each(&ready, Vec::new(), interrupt).await;
                // The others are tried again.
                let ended = ready.iter().filter(|input| ended.contains(&input.name));
                loaded.extend(ended.map(|input| (input.name.clone(), stamp(input))));
            }
            if interrupt.is_requested() {
                return Outcome::Interrupted;
            }
            tokio::time::sleep(LOOK_AGAIN_AFTER).await;
            if interrupt.is_requested() {
                return Outcome::Interrupted;
            }
        }
    }
}

const fn stamp(input: &Input) -> FileStamp {
    (input.bytes, input.modified)
}

fn is_stable(input: &Input, quiet: Duration) -> bool {
    let age = u64::try_from(milliseconds_now() - input.modified).unwrap_or_default();
    Duration::from_millis(age) >= quiet
}
