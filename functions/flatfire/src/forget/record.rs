//! The record of an erasure: who, when, why, and what stood where. It does not say the resource's key.

use std::collections::BTreeMap;

use pipeline::store::admin::{ErasedObject, Erasure, Lift, Operator};
use pipeline::store::{Store, StoreError};
use process::milliseconds_now;

/// Who erases, and why.
#[derive(Debug)]
pub(super) struct Warrant {
    /// The same for all resources of one command.
    command: String,
    by: Operator,
    reason: String,
}

impl Warrant {
    /// Asks the database who is connected and from where. `operator` is the user of this machine.
    pub(super) async fn of(
        store: &dyn Store,
        operator: Option<&str>,
        reason: &str,
    ) -> Result<Self, StoreError> {
        let by = Operator { database: store.user().await?, name: operator.map(str::to_owned) };
        Ok(Self { command: store.new_erasure_id(), by, reason: reason.to_owned() })
    }

    /// Notes that an erasure begins, and returns the id of the record.
    pub(super) async fn begin(
        &self,
        store: &dyn Store,
        mark: &str,
        places: &BTreeMap<String, u64>,
        objects: Vec<ErasedObject>,
    ) -> Result<String, StoreError> {
        let erasure = Erasure {
            id: store.new_erasure_id(),
            command: self.command.clone(),
            mark: mark.to_owned(),
            reason: self.reason.clone(),
            by: self.by.clone(),
            begun: milliseconds_now(),
            counts: places.clone(),
            objects,
            program: env!("CARGO_PKG_VERSION").to_owned(),
        };
        store.begin_erasure(&erasure).await?;
        Ok(erasure.id)
    }

    /// Notes on every record of a resource that its mark was taken away.
    pub(super) async fn lift(&self, store: &dyn Store, mark: &str) -> Result<(), StoreError> {
        let lift = Lift { at: milliseconds_now(), by: self.by.clone(), reason: self.reason.clone() };
        store.lift_erasures(mark, &lift).await
    }
}

/// Notes that nothing of the resource stands any more.
pub(super) async fn end(store: &dyn Store, record: &str) -> Result<(), StoreError> {
    store.end_erasure(record, milliseconds_now()).await
}
