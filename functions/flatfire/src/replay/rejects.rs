//! Rejected records once more: read by their exact bytes, flattened, written, and no longer rejected.

use std::collections::BTreeMap;
use std::sync::Arc;

use flatten::catalog::Catalog;
use flatten::dictionary::Dictionary;
use pipeline::assemble::{Assembler, BatchLimits};
use pipeline::batch::{MAX_REJECTS, WriteBatch};
use pipeline::decode::{Frame, FramePlace};
use pipeline::ledger::{Ledger, Load};
use pipeline::object::{ObjectRef, hex};
use pipeline::source::{ReadFailure, Storage};
use pipeline::store::Store;
use pipeline::store::admin::{RejectFilter, StoredReject};
use pipeline::store::standing::StoredSource;
use pipeline::version::Version;
use process::milliseconds_now;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::record::record_bytes;
use crate::cloud::Cloud;
use crate::console;
use crate::console::unreadable;
use crate::database;
use crate::dictionary::{self, SingleResource};
use crate::input::Inputs;
use crate::kept_out;
use crate::load::tell_missing_indexes;
use crate::needs_bundle::needs_bundle;
use crate::origin;
use crate::outcome::Outcome;
use crate::reject;

/// What became of a reject.
enum ReplayOutcome {
    /// Its rows stand; the reject is gone.
    Replayed,
    /// It is rejected still, perhaps for another reason.
    Again,
    /// It was not tried.
    Left(&'static str),
}

struct Replayer {
    store: Arc<dyn Store>,
    catalog: Arc<Catalog>,
    cloud: Cloud,
    ledger: Ledger,
    /// The loads that rejects name; `None`: the ledger does not know it.
    loads: BTreeMap<String, Option<Load>>,
}

/// Replays the rejects that a filter finds.
pub(super) async fn replay(
    store: Arc<dyn Store>,
    catalog: Arc<Catalog>,
    filter: &RejectFilter,
    is_json: bool,
) -> anyhow::Result<Outcome> {
    let cloud = Cloud::new().await;
    let ledger = database::ledger(&store);
    // Those that come while these are replayed are not among them.
    let rejects = store.rejects(filter).await?;
    let mut replayer = Replayer { store, catalog, cloud, ledger, loads: BTreeMap::new() };
    let (mut replayed, mut left) = (0_u64, 0_u64);
    for reject in rejects {
        match replayer.replay(&reject).await? {
            ReplayOutcome::Replayed => replayed += 1,
            outcome => {
                left += 1;
                let why = if let ReplayOutcome::Left(why) = outcome { why } else { "rejected again" };
                let line = reject::line_of_stored(&reject, Some(&replayer.catalog));
                console::line(&format!("{line}: {why}"));
            }
        }
    }
    tell_missing_indexes(&*replayer.store);
    for load in replayer.loads.values().flatten().filter(|load| is_cut(load)) {
        console::line(&format!(
            "flatfire: {}: only its first {MAX_REJECTS} rejects are kept; replay the whole load",
            load.id
        ));
    }
    if is_json {
        console::print_json(&json!({ "replayed": replayed, "stillRejected": left }))?;
    } else {
        console::print(&format!("{replayed} records replayed, {left} still rejected"))?;
    }
    Ok(if left == 0 { Outcome::Done } else { Outcome::Partial })
}

/// Returns whether a load met more rejects than are kept.
const fn is_cut(load: &Load) -> bool {
    load.summary.rejected + load.summary.view_defects > MAX_REJECTS
}

impl Replayer {
    async fn replay(&mut self, reject: &StoredReject) -> anyhow::Result<ReplayOutcome> {
        let Some(sha256) = &reject.sha256 else {
            return Ok(ReplayOutcome::Left("its bytes are no whole record; send the file again"));
        };
        let StoredSource { ordinal, offset, length, .. } = reject.source;
        let Some(line) = reject.line else {
            return Ok(ReplayOutcome::Left("it is not one of this version"));
        };
        let Some(load) = self.load(&reject.load).await? else {
            return Ok(ReplayOutcome::Left("the ledger does not know its load"));
        };
        let Some((storage, object)) = self.object(&load) else {
            return Ok(ReplayOutcome::Left("its object is gone"));
        };
        let bytes = match record_bytes(&storage, &object, offset, length).await {
            Ok(bytes) => bytes,
            Err(ReadFailure::Gone) => None,
            Err(ReadFailure::Interrupted(error)) => anyhow::bail!(console::explained(&error)),
        };
        let Some(bytes) = bytes.filter(|bytes| hex(&Sha256::digest(bytes), 32) == *sha256) else {
            return Ok(ReplayOutcome::Left("its object is gone, or is no longer what it was"));
        };
        if needs_bundle(&bytes) {
            return Ok(ReplayOutcome::Left("it needs its Bundle around it; replay the whole load"));
        }
        let place = FramePlace { ordinal, offset, length, line };
        // What is rejected again is what its reading rejected: the next reading of the whole object makes it anew.
        let mut assembler =
            Assembler::new(Arc::new(object), Arc::clone(&self.catalog), BatchLimits::default())
                .in_edition(load.edition)
                .in_reading(reject.reading, milliseconds_now())
                .with_version(reject.version.as_deref().map(Version::from_token));
        assembler.add_frame(&Frame::Resource { place, bytes: &bytes });
        match assembler.take_batch() {
            Some(batch) => self.write(reject, batch, offset, &assembler.take_dictionary()).await,
            None => Ok(ReplayOutcome::Left("nothing came of it")),
        }
    }

    /// Writes what became of the record, then removes the reject if it is not among that.
    async fn write(
        &self,
        reject: &StoredReject,
        batch: WriteBatch,
        offset: u64,
        columns: &Dictionary,
    ) -> anyhow::Result<ReplayOutcome> {
        let is_rejected = !batch.rejects.is_empty();
        let is_same = batch.rejects.iter().any(|again| again.id() == reject.id);
        let keys: Vec<String> = batch.resources.iter().map(|resource| resource.key.clone()).collect();
        let written = self.store.write(batch).await;
        let written = written.map_err(|error| anyhow::Error::msg(console::explained(&error)))?;
        if is_same {
            return Ok(ReplayOutcome::Again);
        }
        dictionary::fill(&self.ledger, &reject.load, SingleResource::Replayed { offset }, columns).await?;
        self.store.remove_reject(&reject.id).await?;
        if written.superseded > 0 {
            for key in keys {
                if let Some(reason) = kept_out::reason(&*self.store, &key).await? {
                    console::line(&format!("flatfire: {key}: {reason}"));
                }
            }
        }
        Ok(if is_rejected || written.rejected > 0 { ReplayOutcome::Again } else { ReplayOutcome::Replayed })
    }

    async fn load(&mut self, id: &str) -> anyhow::Result<Option<Load>> {
        if let Some(load) = self.loads.get(id) {
            return Ok(load.clone());
        }
        let load = self.ledger.find(id).await.map_err(unreadable)?;
        self.loads.insert(id.to_owned(), load.clone());
        Ok(load)
    }

    /// Returns where the records of a load are; `None`: nowhere any more.
    fn object(&self, load: &Load) -> Option<(Storage, ObjectRef)> {
        let object = origin::object_of(load)?;
        if object.bucket == "file" {
            let found = Inputs::find(&[object.key.clone().into()]).readable.into_iter().next();
            return found.map(|input| (input.storage, object));
        }
        Some((self.cloud.storage(), object))
    }
}
